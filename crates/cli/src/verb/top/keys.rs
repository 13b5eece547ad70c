//! What a terminal sends, as keys.

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Ctrl(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
}

/// Longest sequence that is waited for; what is longer is none that is known.
const LONGEST: usize = 32;

/// Bytes that are not a whole key yet.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pending: Vec<u8>,
}

impl Keys {
    /// Takes bytes and hands back the keys that are complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while !self.pending.is_empty() {
            let Some((length, key)) = first(&self.pending) else {
                if self.pending.len() > LONGEST {
                    self.pending.clear();
                }
                break;
            };
            self.pending.drain(..length);
            keys.extend(key);
        }
        keys
    }

    /// Whether something is left that may be the beginning of a key, or the escape key alone.
    pub(super) fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Nothing more came for a while: an escape that stands alone was the key of that name.
    pub(super) fn end(&mut self) -> Option<Key> {
        let escape = self.pending.first() == Some(&0x1b);
        self.pending.clear();
        escape.then_some(Key::Escape)
    }
}

/// The first key and how many bytes it has; `None` = more bytes are needed. No key = bytes that mean nothing here.
fn first(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    let key = match bytes[0] {
        b'\r' | b'\n' => Key::Enter,
        0x7f | 0x08 => Key::Backspace,
        0x1b => return escape(bytes),
        control @ 0x01..=0x1a => Key::Ctrl(char::from(control - 1 + b'a')),
        0x00 | 0x1c..=0x1f => return Some((1, None)),
        _ => return character(bytes),
    };
    Some((1, Some(key)))
}

fn character(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let text = bytes.get(..length)?;
    match std::str::from_utf8(text).ok().and_then(|text| text.chars().next()) {
        Some(c) => Some((length, (!c.is_control()).then_some(Key::Char(c)))),
        // Not UTF-8: this byte means nothing, the next one may.
        None => Some((1, None)),
    }
}

fn escape(bytes: &[u8]) -> Option<(usize, Option<Key>)> {
    match bytes.get(1)? {
        b'[' => {
            let end = 2 + bytes[2..].iter().position(|b| (0x40..=0x7e).contains(b))?;
            let parameters = &bytes[2..end];
            let key = match (bytes[end], parameters) {
                (b'A', _) => Some(Key::Up),
                (b'B', _) => Some(Key::Down),
                (b'C', _) => Some(Key::Right),
                (b'D', _) => Some(Key::Left),
                (b'H', _) | (b'~', b"1" | b"7") => Some(Key::Home),
                (b'F', _) | (b'~', b"4" | b"8") => Some(Key::End),
                (b'~', b"5") => Some(Key::PageUp),
                (b'~', b"6") => Some(Key::PageDown),
                _ => None,
            };
            Some((end + 1, key))
        }
        b'O' => {
            let key = match bytes.get(2)? {
                b'A' => Some(Key::Up),
                b'B' => Some(Key::Down),
                b'C' => Some(Key::Right),
                b'D' => Some(Key::Left),
                b'H' => Some(Key::Home),
                b'F' => Some(Key::End),
                b'M' => Some(Key::Enter),
                _ => None,
            };
            Some((3, key))
        }
        // Escape, and then another key.
        _ => Some((1, Some(Key::Escape))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terminals_send() {
        let mut keys = Keys::default();
        let bytes = b"q\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[1;5H\x1b[4~\r\x7f\x03\xc3\xa9\x1b[200~";
        let expected = [
            Key::Char('q'),
            Key::Up,
            Key::Down,
            Key::PageUp,
            Key::PageDown,
            Key::Home,
            Key::End,
            Key::Enter,
            Key::Backspace,
            Key::Ctrl('c'),
            Key::Char('é'),
        ];
        assert_eq!(keys.feed(bytes), expected);
        assert!(!keys.is_waiting());
        // The same, byte by byte.
        let single: Vec<Key> = bytes.iter().flat_map(|byte| keys.feed(&[*byte])).collect();
        assert_eq!(single, expected);
    }

    #[test]
    fn an_escape_alone_is_a_key_after_a_while() {
        let mut keys = Keys::default();
        assert_eq!(keys.feed(b"\x1b"), []);
        assert!(keys.is_waiting());
        assert_eq!(keys.end(), Some(Key::Escape));
        assert_eq!(keys.feed(b"\x1bq"), [Key::Escape, Key::Char('q')]);
        assert_eq!(keys.end(), None);
    }

    #[test]
    fn garbage_is_no_key_and_does_not_grow() {
        let mut keys = Keys::default();
        assert_eq!(keys.feed(b"\xff\xfe\x00a"), [Key::Char('a')]);
        assert_eq!(keys.feed(&[b"\x1b[".as_slice(), &[b'1'; 1000]].concat()), []);
        assert!(!keys.is_waiting(), "no sequence is as long as that");
        // A control character that takes two bytes.
        assert_eq!(keys.feed("\u{9b}x".as_bytes()), [Key::Char('x')]);
    }
}
