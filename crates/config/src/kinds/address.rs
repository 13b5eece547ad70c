//! Where a health check asks: ports, `host:port`, and URLs of the one form that is spoken.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_yaml::Value;

use super::{Kind, TEXT, replaced_as_a_whole, scalar};
use crate::fault::Faults;
use crate::tree::{Node, Yaml, quoted};

/// A port of this machine.
pub(super) struct Port;

const PORTS: &str = "write a whole number from 1 to 65535";

impl Kind for Port {
    type Value = u16;
    const WORDS: &'static str = "a number from 1 to 65535";

    fn read(node: &Node, faults: &mut Faults) -> Option<u16> {
        let text = match &node.value {
            Yaml::Number(text) | Yaml::Text(text) => text.as_str(),
            other => {
                faults.value(format!("expected a port, found {other}"), PORTS);
                return None;
            }
        };
        let port = port(text);
        if port.is_none() {
            faults.value(format!("{} is not a port", quoted(text)), PORTS);
        }
        port
    }

    fn write(value: &u16) -> Value {
        (*value).into()
    }

    replaced_as_a_whole!();
}

fn port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// The `host:port` of this machine's port.
pub(super) fn of_port(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// What is wrong with a text, and the way out.
type Flaw = (String, &'static str);

/// A host's name or address; an IPv6 address in brackets.
fn check_host(host: &str) -> Result<(), Flaw> {
    let good = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => inside.parse::<Ipv6Addr>().is_ok(),
        None => {
            let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            let numbers = !host.is_empty() && host.chars().all(|c| c.is_ascii_digit() || c == '.');
            let named = !host.is_empty() && host.len() <= 253 && host.chars().all(named);
            if numbers { host.parse::<Ipv4Addr>().is_ok() } else { named }
        }
    };
    match good {
        true => Ok(()),
        false if host.is_empty() => Err(("there is no host".to_owned(), "write 127.0.0.1 for this machine")),
        false => Err((
            format!("{} is not a host", quoted(host)),
            "write a name, an IPv4 address, or an IPv6 address in brackets: [::1]",
        )),
    }
}

/// `host:port`
pub(super) fn check_address(address: &str) -> Result<(), Flaw> {
    const WAY_OUT: &str = "write `host:port`, as in 127.0.0.1:5432 or [::1]:5432";
    if address.contains("://") {
        return Err((format!("{} is a URL", quoted(address)), WAY_OUT));
    }
    // The colons of `[::1]` belong to the host.
    match address.rsplit_once(':').filter(|_| !address.ends_with(']')) {
        // `::1` has a port of 1 only at first sight.
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => {
            Err((format!("{} is ambiguous: where does the port begin?", quoted(address)), WAY_OUT))
        }
        Some((host, digits)) => {
            // `[fe80::1%eth0]`: which link a link-local address is on.
            let zone = host.strip_suffix(']').and_then(|host| host.rsplit_once('%'));
            match zone.filter(|(_, zone)| zone.chars().all(|c| c.is_ascii_graphic()) && !zone.is_empty()) {
                Some((bare, _)) => check_host(&format!("{bare}]"))?,
                None => check_host(host)?,
            }
            port(digits).map(drop).ok_or_else(|| (format!("{} is not a port", quoted(digits)), PORTS))
        }
        None => Err((format!("{} has no port", quoted(address)), WAY_OUT)),
    }
}

/// What a request asks for: a path, perhaps with a query. It is sent as it stands, so that a line end in it would be
/// another header.
pub(super) fn check_request_path(path: &str) -> Result<(), Flaw> {
    if !path.starts_with('/') {
        return Err((format!("{} does not begin with `/`", quoted(path)), "write the path from `/`"));
    }
    if path.contains('#') {
        return Err(("what stands after `#` is never sent to a server".to_owned(), "remove it"));
    }
    match path.chars().find(|c| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(*c)) {
        Some(c) => Err((format!("a URL can't hold {c:?}"), "write it percent-encoded: a blank is %20")),
        None => Ok(()),
    }
}

/// `http://host[:port][/path]`
pub(super) fn check_url(url: &str) -> Result<(), Flaw> {
    const FORM: &str = "write http://host:port/path";
    const PLAIN: &str =
        "ask the plain port of this machine, or use `type: exec` with a client that can do it";
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err((format!("{} is not a URL", quoted(url)), FORM));
    };
    match scheme {
        "http" => {}
        "https" => return Err(("https is not supported".to_owned(), PLAIN)),
        other => return Err((format!("{} is not supported, only `http`", quoted(other)), FORM)),
    }
    let (authority, path) = authority(rest);
    if authority.contains('@') {
        return Err(("a user and password can't stand in it".to_owned(), PLAIN));
    }
    let (host, digits) = match authority.rsplit_once(':') {
        // The colons of `[::1]`.
        Some((_, after)) if after.ends_with(']') => (authority, None),
        Some((host, digits)) => (host, Some(digits)),
        None => (authority, None),
    };
    check_host(host)?;
    if let Some(digits) = digits.filter(|digits| port(digits).is_none()) {
        return Err((format!("{} is not a port", quoted(digits)), PORTS));
    }
    if path.is_empty() { Ok(()) } else { check_request_path(path) }
}

/// Host and port, and what comes after them.
fn authority(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()))
}

/// The URL with the path that it means when it has none.
pub(crate) fn with_path(url: &str) -> String {
    match url.split_once("://") {
        Some((_, rest)) if authority(rest).1.is_empty() => format!("{url}/"),
        _ => url.to_owned(),
    }
}

/// A text for a check of its own.
pub(super) struct Plain;

impl Kind for Plain {
    type Value = String;
    const WORDS: &'static str = "a text";

    fn read(node: &Node, faults: &mut Faults) -> Option<String> {
        scalar(node, TEXT, faults).map(str::to_owned)
    }

    fn write(value: &String) -> Value {
        value.as_str().into()
    }

    replaced_as_a_whole!();
}
