//! Whose share something is: a caller as far as it can be known again on another connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Role;
use crate::auth::{Caller, Peer};
use crate::certificate::Certified;

/// Who is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    Uid(u32),
    /// The name in a certificate.
    Certified(Certified),
    /// Whoever presented the token.
    Token,
    /// Nothing else is known.
    Address(IpAddr),
    /// All who came when there was no room.
    Others,
}

/// As far as it is known without looking at a call.
impl From<&Peer> for Who {
    fn from(peer: &Peer) -> Self {
        match peer {
            Peer::Unix { uid, .. } => Self::Uid(*uid),
            Peer::Tls { client: Some(client), .. } => Self::Certified(*client),
            Peer::Tcp(address) | Peer::Tls { address, client: None } => Self::Address(place(address.ip())),
        }
    }
}

impl From<Caller> for Who {
    fn from(caller: Caller) -> Self {
        match Self::from(&caller.peer) {
            Self::Address(_) if caller.role > Role::Viewer => Self::Token,
            who => who,
        }
    }
}

/// What one program can't have many of: a machine has millions of loopback addresses, and mostly a whole /64 of IPv6.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        local if local.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Who {
        Who::from(&Peer::Tcp((address.parse::<IpAddr>().unwrap(), 1).into()))
    }

    #[test]
    fn many_addresses_of_one_machine_are_one_caller() {
        for local in ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.2"] {
            assert_eq!(at(local), at("127.0.0.1"), "{local}");
        }
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(at("192.0.2.1"), at("::ffff:192.0.2.1"));
    }

    #[test]
    fn the_token_makes_another_caller_of_an_address_and_of_nobody_else() {
        let peer = Peer::Tcp(([127, 0, 0, 1], 1).into());
        assert_eq!(Who::from(Caller { peer, role: Role::Operator }), Who::Token);
        assert_eq!(Who::from(Caller { peer, role: Role::Viewer }), at("127.0.0.1"));
        let peer = Peer::Unix { uid: 7, gid: 7, pid: None };
        assert_eq!(Who::from(Caller { peer, role: Role::Admin }), Who::Uid(7));
        let identity = tls::Identity { common_name: "ada".into(), units: vec![] };
        let client = Certified::of(&identity);
        let peer = Peer::Tls { address: ([192, 0, 2, 1], 1).into(), client: Some(client) };
        assert_eq!(Who::from(Caller { peer, role: Role::Operator }), Who::Certified(client));
    }
}
