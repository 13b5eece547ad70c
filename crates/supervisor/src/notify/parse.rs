//! What a datagram says: lines of `KEY=VALUE` (sd_notify(3)).
//!
//! Unknown keys are ignored, as senders use them freely; so is a known one with a value that makes no sense. Of a key
//! that is there twice the first one counts, as in systemd.

use std::time::Duration;

use crate::machine::Notice;

/// Longest `STATUS=`, in bytes of UTF-8. It is shown in lists and kept per process.
pub(crate) const STATUS_MAX: usize = 512;

/// What was said, before anything of it is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// All of it but for `MAINPID=`.
    pub(crate) notice: Notice,
    /// `MAINPID=`, a claim. `Some(None)` = it was no pid.
    pub(crate) main_pid: Option<Option<u32>>,
}

/// Total: any bytes say something, if only nothing.
pub(crate) fn parse(datagram: &[u8]) -> Said {
    let mut said = Said::default();
    let notice = &mut said.notice;
    for line in datagram.split(|byte| *byte == b'\n') {
        let Some(equals) = line.iter().position(|byte| *byte == b'=') else { continue };
        let (key, value) = (&line[..equals], &line[equals + 1..]);
        match key {
            b"READY" => notice.ready |= value == b"1",
            b"RELOADING" => notice.reloading |= value == b"1",
            b"STOPPING" => notice.stopping |= value == b"1",
            b"STATUS" => first(&mut notice.status, || Some(status(value))),
            b"WATCHDOG" => {
                notice.watchdog_ping |= value == b"1";
                notice.watchdog_trigger |= value == b"trigger";
            }
            b"WATCHDOG_USEC" => first(&mut notice.watchdog_every, || micros(value)),
            b"EXTEND_TIMEOUT_USEC" => first(&mut notice.extend, || micros(value)),
            b"MAINPID" => first(&mut said.main_pid, || Some(number(value).filter(|pid| *pid > 0))),
            _ => {}
        }
    }
    said
}

fn first<T>(place: &mut Option<T>, value: impl FnOnce() -> Option<T>) {
    if place.is_none() {
        *place = value();
    }
}

/// Decimal digits and nothing else: `parse` alone would take a plus sign.
fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(value).ok()?.parse().ok() } else { None }
}

/// All ones is how systemd writes "for ever", which is no time.
fn micros(value: &[u8]) -> Option<Duration> {
    number(value).filter(|micros| *micros != u64::MAX).map(Duration::from_micros)
}

/// Cut at a character, without anything that a terminal would obey.
fn status(value: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(value).replace(|c: char| hidden(c), "\u{fffd}");
    let end = (0..=STATUS_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text
}

/// Control characters, and those that turn the direction of the text around them.
fn hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn notice(text: &str) -> Notice {
        parse(text.as_bytes()).notice
    }

    #[test]
    fn every_key() {
        let said = parse(
            b"READY=1\nRELOADING=1\nSTOPPING=1\nSTATUS=all is well\nMAINPID=4711\nWATCHDOG=1\nWATCHDOG=trigger\n\
              WATCHDOG_USEC=1500000\nEXTEND_TIMEOUT_USEC=2000000\n",
        );
        let all = Notice {
            ready: true,
            reloading: true,
            stopping: true,
            status: Some("all is well".into()),
            main_pid: None,
            watchdog_ping: true,
            watchdog_trigger: true,
            watchdog_every: Some(Duration::from_millis(1500)),
            extend: Some(Duration::from_secs(2)),
        };
        assert_eq!(said, Said { notice: all, main_pid: Some(Some(4711)) });
    }

    #[test]
    fn what_makes_no_sense_is_ignored() {
        for text in [
            "",
            "\n\n",
            "READY",
            "READY=",
            "READY=0",
            "READY=yes",
            " READY=1",
            "ready=1",
            "READY=1 ",
            "READY=1\r",
            "STOPPING=2",
            "WATCHDOG=0",
            "WATCHDOG_USEC=-1",
            "WATCHDOG_USEC=",
            "WATCHDOG_USEC=1s",
            "WATCHDOG_USEC=+1",
            "EXTEND_TIMEOUT_USEC=18446744073709551615",
            "EXTEND_TIMEOUT_USEC=18446744073709551616",
            "BARRIER=1",
            "FDSTORE=1\nFDNAME=x",
            "X_MINE=READY=1",
            "=1",
        ] {
            assert_eq!(parse(text.as_bytes()), Said::default(), "{text:?}");
        }
        assert_eq!(notice("X=1\nREADY=1"), Notice { ready: true, ..Notice::default() });
        assert_eq!(notice("WATCHDOG_USEC=0").watchdog_every, Some(Duration::ZERO));
    }

    #[test]
    fn a_claimed_pid_is_a_positive_number_or_a_bad_claim() {
        let claim = |text: &str| parse(format!("MAINPID={text}").as_bytes()).main_pid;
        assert_eq!(claim("1"), Some(Some(1)));
        for bad in ["0", "-1", "", "x", "4294967296", "12 "] {
            assert_eq!(claim(bad), Some(None), "{bad:?}");
        }
    }

    #[test]
    fn the_first_of_two_counts() {
        let said = notice("STATUS=a\nSTATUS=b\nWATCHDOG_USEC=x\nWATCHDOG_USEC=5");
        assert_eq!(said.status.as_deref(), Some("a"));
        assert_eq!(said.watchdog_every, Some(Duration::from_micros(5)));
    }

    #[test]
    fn a_status_is_cut_at_a_character_and_harmless() {
        let status = |bytes: &[u8]| parse(&[b"STATUS=", bytes].concat()).notice.status.unwrap();
        assert_eq!(status(b""), "");
        assert_eq!(status("größer = besser".as_bytes()), "größer = besser");
        assert_eq!(status(b"\x1b[31mred\0\t\x7f\xff"), "\u{fffd}[31mred\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(status("a\u{202e}b".as_bytes()), "a\u{fffd}b");
        assert_eq!(status(&[b'x'; 600]), "x".repeat(512));
        // 170 times three bytes are 510, one more would be 513.
        assert_eq!(status("€".repeat(200).as_bytes()), "€".repeat(170));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            crate::properties::notice(&bytes);
        }

        #[test]
        fn any_lines_are_taken(text in "((READY|STATUS|MAINPID|WATCHDOG_USEC|X)=[0-9a-z\\x00-\\x1f]{0,30}\n){0,40}") {
            crate::properties::notice(text.as_bytes());
        }
    }
}
