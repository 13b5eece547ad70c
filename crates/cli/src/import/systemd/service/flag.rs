//! Yes or no, as systemd.syntax(7) has it.

pub(super) fn read(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" | "y" | "t" => Some(true),
        "0" | "no" | "false" | "off" | "n" | "f" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn every_word_of_systemd() {
        for (word, on) in [("yes", Some(true)), ("On", Some(true)), ("1", Some(true)), ("t", Some(true))] {
            assert_eq!(read(word), on, "{word}");
        }
        for (word, on) in
            [("no", Some(false)), ("FALSE", Some(false)), ("0", Some(false)), ("f", Some(false))]
        {
            assert_eq!(read(word), on, "{word}");
        }
        for word in ["", "2", "yess", "ja"] {
            assert_eq!(read(word), None, "{word}");
        }
    }
}
