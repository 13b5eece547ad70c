//! Signals by name and number (Linux numbering of x86_64 and aarch64, signal(7)).

use std::fmt;
use std::str::FromStr;

/// A signal number from 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// The named signals. Real-time ones are shown as `RTMIN+n`.
const NAMES: [(&str, u8); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// glibc's SIGRTMIN: the kernel's 32 and 33 belong to the C library.
const RTMIN: u8 = 34;

impl Signal {
    /// Abnormal end, with a core dump.
    pub const ABRT: Self = Self(6);
    /// Hang-up: by convention "reload".
    pub const HUP: Self = Self(1);
    /// Interrupt, what Ctrl-C sends.
    pub const INT: Self = Self(2);
    /// Cannot be caught.
    pub const KILL: Self = Self(9);
    /// The polite request to end.
    pub const TERM: Self = Self(15);
    /// Continue when stopped.
    pub const CONT: Self = Self(18);

    /// A signal by number, 1 to 64.
    #[must_use]
    pub fn from_number(n: i32) -> Option<Self> {
        u8::try_from(n).ok().filter(|n| (1..=64).contains(n)).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        i32::from(self.0)
    }
}

/// `SIGTERM`, `SIGRTMIN+2`.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, n)| *n == self.0) {
            Some((name, _)) => write!(f, "SIG{name}"),
            None if self.0 >= RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "SIG{}", self.0),
        }
    }
}

/// Accepts `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+1`.
impl FromStr for Signal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let upper = text.trim().to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let number = match bare.strip_prefix("RTMIN") {
            Some("") => Some(RTMIN),
            Some(rest) => {
                rest.strip_prefix('+').and_then(|n| n.parse::<u8>().ok()).and_then(|n| n.checked_add(RTMIN))
            }
            None => NAMES.iter().find(|(n, _)| *n == bare).map(|(_, n)| *n).or_else(|| bare.parse().ok()),
        };
        number.and_then(|n| Self::from_number(i32::from(n))).ok_or_else(|| {
            format!("{text:?} is not a signal; write a name such as TERM or HUP, or a number from 1 to 64")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_round_trips_through_its_name() {
        for n in 1..=64 {
            let signal = Signal::from_number(n).unwrap();
            assert_eq!(signal.to_string().parse(), Ok(signal), "{signal}");
        }
    }

    #[test]
    fn spellings() {
        for s in ["TERM", "SIGTERM", "sigterm", "15", " term "] {
            assert_eq!(s.parse(), Ok(Signal::TERM), "{s}");
        }
        for s in ["", "0", "65", "TREM", "RTMIN+31", "RTMIN-1", "-15"] {
            assert!(s.parse::<Signal>().is_err(), "{s}");
        }
    }
}
