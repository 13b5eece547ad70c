//! Mends the one header that keeps clients on grpc-core (Python, C++, Ruby, PHP) from the Unix socket.
//!
//! Over a Unix socket they name the server after its path, `:authority: run%2Fdd-procmgrd%2Fcontrol.sock`. A percent sign
//! can't stand in an authority, so that h2 resets the stream before anybody could look at it. Nobody reads the name here;
//! each `%` of it becomes a `-` on its way in. That changes no length, neither of the frame nor in the compression's table,
//! and touches nothing but header blocks.
//!
//! grpc-core writes the name out and doesn't compress it. A client that does otherwise is served as before: not at all,
//! unless it sets an authority.

/// Bytes that a client sends before its first frame.
const PREFACE: usize = 24;
/// Length, type, flags and stream of a frame.
const HEAD: usize = 9;
/// A literal header that is to be remembered, whose name is written out.
const NAME: &[u8] = b"\x40\x0a:authority";
/// Types of frames with header blocks: HEADERS and CONTINUATION.
const BLOCKS: [u8; 2] = [1, 9];

/// What comes next of a connection.
#[derive(Debug)]
enum Next {
    /// So many bytes that are none of our business.
    Skip(usize),
    /// The head of a frame, of which so much is there.
    Head([u8; HEAD], usize),
    /// So many bytes of a header block.
    Block(usize),
}

/// How far the header is read. It may go over the bounds of reads and frames.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// So many bytes of its name.
    Name(usize),
    /// The name; its length follows.
    Length,
    /// The name, and that it is longer than a byte can tell by so much.
    More,
    /// So many bytes of the value are left.
    Value(usize),
}

/// Looks through what a client sends.
#[derive(Debug)]
pub(crate) struct Authority {
    next: Next,
    found: Found,
}

impl Default for Authority {
    fn default() -> Self {
        Self { next: Next::Skip(PREFACE), found: Found::Name(0) }
    }
}

impl Authority {
    /// Mends what was read.
    pub(crate) fn mend(&mut self, mut read: &mut [u8]) {
        while !read.is_empty() {
            let taken = match &mut self.next {
                Next::Skip(left) => {
                    let taken = read.len().min(*left);
                    *left -= taken;
                    taken
                }
                Next::Head(head, there) => {
                    let taken = read.len().min(HEAD - *there);
                    head[*there..*there + taken].copy_from_slice(&read[..taken]);
                    *there += taken;
                    taken
                }
                Next::Block(left) => {
                    let taken = read.len().min(*left);
                    *left -= taken;
                    for byte in &mut read[..taken] {
                        self.found.step(byte);
                    }
                    taken
                }
            };
            self.next = match self.next {
                Next::Skip(0) | Next::Block(0) => Next::Head([0; HEAD], 0),
                Next::Head([a, b, c, kind, ..], HEAD) => {
                    let size = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                    if BLOCKS.contains(&kind) { Next::Block(size) } else { Next::Skip(size) }
                }
                Next::Skip(_) | Next::Head(..) | Next::Block(_) => {
                    read = &mut read[taken..];
                    continue;
                }
            };
            read = &mut read[taken..];
        }
    }
}

impl Found {
    fn step(&mut self, byte: &mut u8) {
        *self = match *self {
            Self::Name(at) if *byte == NAME[at] && at + 1 == NAME.len() => Self::Length,
            Self::Name(at) if *byte == NAME[at] => Self::Name(at + 1),
            Self::Name(_) => Self::Name(usize::from(*byte == NAME[0])),
            // 7 bits, and more to come when all are set; the eighth = compressed.
            Self::Length if *byte == 127 => Self::More,
            Self::Length if *byte > 127 => Self::Name(0),
            Self::Length => Self::Value(usize::from(*byte)),
            // A path has at most 108 bytes, which three times over fits into one more byte.
            Self::More => Self::Value(127 + usize::from(*byte & 127)),
            Self::Value(left) => {
                if *byte == b'%' {
                    *byte = b'-';
                }
                Self::Value(left - 1)
            }
        };
        if matches!(self, Self::Value(0)) {
            *self = Self::Name(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&size[1..], &[kind, 4, 0, 0, 0, 1], payload].concat()
    }

    fn header(value: &str) -> Vec<u8> {
        let size = match value.len() {
            short @ 0..127 => vec![u8::try_from(short).unwrap()],
            long => vec![127, u8::try_from(long - 127).unwrap()],
        };
        [NAME, &size, value.as_bytes(), b"\x83\x86@\x02te\x03a%b"].concat()
    }

    fn sent(frames: &[Vec<u8>]) -> Vec<u8> {
        [vec![b'%'; PREFACE], frames.concat()].concat()
    }

    #[test]
    fn the_name_is_mended_and_nothing_else_however_it_is_cut() {
        let long = |c: char| format!("a{c}2F").repeat(40);
        let said = |mark: char| {
            sent(&[
                frame(4, &[]),
                frame(1, &header(&format!("run{mark}2Fx.sock"))),
                // What looks like it in the data of a call is data.
                frame(0, &header("50%2F")),
                frame(1, &header("")),
                frame(9, &header(&long(mark))),
            ])
        };
        for step in 1..=said('%').len() {
            let mut bytes = said('%');
            let mut authority = Authority::default();
            bytes.chunks_mut(step).for_each(|chunk| authority.mend(chunk));
            assert!(bytes == said('-'), "in parts of {step}");
        }
    }

    #[test]
    fn a_compressed_name_and_garbage_are_left_alone() {
        let compressed = [NAME, &[0x83], b"%%%"].concat();
        for bytes in [sent(&[frame(1, &compressed)]), vec![b'%'; 100_000], NAME.repeat(100)] {
            let mut read = bytes.clone();
            Authority::default().mend(&mut read);
            assert!(read == bytes);
        }
    }
}
