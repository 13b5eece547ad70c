//! A terminal's line ends: one CR before each LF is taken out, and nothing else.
//!
//! The terminals that children get put no CR there; this is for programs that set their terminal's modes, or write CRLF,
//! themselves.

use memchr::memmem;

/// The state between two chunks of one stream: a CR whose next byte has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Crlf {
    held: bool,
}

impl Crlf {
    /// What has to be put in front of the next bytes.
    pub(crate) fn held(&self) -> &'static [u8] {
        if self.held { b"\r" } else { b"" }
    }

    /// Takes `data`, which starts with [`held`](Self::held), and moves what is left of it to its front; returns how
    /// much that is. A CR at its end is held back.
    pub(crate) fn strip(&mut self, data: &mut [u8]) -> usize {
        self.held = data.last() == Some(&b'\r');
        let end = data.len() - usize::from(self.held);
        let Some(first) = memmem::find(&data[..end], b"\r\n") else { return end };
        let (mut from, mut to) = (first, first);
        while let Some(next) = memmem::find(&data[from + 1..end], b"\r\n").map(|i| from + 1 + i) {
            data.copy_within(from + 1..next, to);
            to += next - from - 1;
            from = next;
        }
        data.copy_within(from + 1..end, to);
        to + end - from - 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stripped(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut crlf = Crlf::default();
        let mut all = Vec::new();
        for chunk in chunks {
            let mut data = [crlf.held(), chunk].concat();
            let n = crlf.strip(&mut data);
            all.extend_from_slice(&data[..n]);
        }
        all.extend_from_slice(crlf.held());
        all
    }

    fn chunk() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![2 => Just(b'\r'), 2 => Just(b'\n'), 1 => any::<u8>()], 0..12)
    }

    proptest! {
        #[test]
        fn any_chunking_loses_exactly_the_cr_of_each_crlf(chunks in prop::collection::vec(chunk(), 0..8)) {
            let whole = chunks.concat();
            let expected: Vec<u8> = (0..whole.len())
                .filter(|i| !whole[*i..].starts_with(b"\r\n"))
                .map(|i| whole[i])
                .collect();
            prop_assert_eq!(stripped(&chunks), &expected[..]);
            let bytewise: Vec<Vec<u8>> = whole.iter().map(|b| vec![*b]).collect();
            prop_assert_eq!(stripped(&bytewise), &expected[..]);
        }
    }

    #[test]
    fn one_cr_before_lf_and_no_other() {
        let text = |bytes: &[u8]| stripped(&[bytes.to_vec()]);
        assert_eq!(text(b"a\r\nb\r\r\nc\rd\n\re\r"), b"a\nb\r\nc\rd\n\re\r");
        assert_eq!(text(b"\r\n\r\n"), b"\n\n");
        assert_eq!(text(b""), b"");
    }
}
