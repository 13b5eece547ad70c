//! Which signal a text means; else all that there are, and the one that was probably meant.

use model::Signal;

use crate::lookup::distance;
use crate::{ControlError, v1};

/// Longest part of a wrong text that is told back.
const MAX_SHOWN: usize = 32;

/// The signal of a SignalProcess request.
pub(crate) fn wanted(request: &v1::SignalProcessRequest) -> Result<Signal, ControlError> {
    let text = request.signal.as_str();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(MAX_SHOWN).collect();
        let names: Vec<String> = (1..=31).filter_map(Signal::from_number).map(short).collect();
        let upper = shown.trim().to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let near = names.iter().map(|name| (distance(bare, name), name)).filter(|(d, _)| *d == 1).min();
        let meant = near.map(|(_, name)| format!("did you mean {name}? ")).unwrap_or_default();
        let message = if bare.is_empty() {
            "no signal is named".to_owned()
        } else {
            format!("{shown:?} is not a signal")
        };
        ControlError::invalid("signal", message).with_hint(format!(
            "{meant}the signals are {}, RTMIN to RTMIN+30, and the numbers from 1 to 64",
            names.join(", ")
        ))
    })
}

/// `TERM` for SIGTERM.
fn short(signal: Signal) -> String {
    signal.to_string().trim_start_matches("SIG").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<Signal, ControlError> {
        wanted(&v1::SignalProcessRequest { signal: text.into(), ..Default::default() })
    }

    #[test]
    fn names_and_numbers_are_signals() {
        for text in ["HUP", "SIGHUP", "sighup", "1", " hup "] {
            assert_eq!(ask(text), Ok(Signal::HUP), "{text}");
        }
        assert_eq!(ask("RTMIN+2").unwrap().number(), 36);
    }

    #[test]
    fn what_is_none_is_answered_with_the_list() {
        for text in ["", " ", "TREM", "0", "65", "-9", "HUP\0", "SIG", &"9".repeat(1_000_000)] {
            let error = ask(text).unwrap_err();
            let hint = error.hint.unwrap();
            assert!(hint.contains("HUP, INT, QUIT,") && hint.contains("SYS, RTMIN to RTMIN+30"), "{hint}");
            assert!(error.message.len() < 100, "{}", error.message);
        }
        let meant = ask("sigtrem").unwrap_err();
        assert_eq!(meant.message, "\"sigtrem\" is not a signal");
        assert!(meant.hint.unwrap().starts_with("did you mean TERM? "));
        assert!(ask("x").unwrap_err().hint.unwrap().starts_with("the signals are "));
    }
}
