//! Where a reader stands, as a text that it can come back with: after a broken connection, after a restart of the
//! daemon, after rotation and compression.
//!
//! `1:<device>:<inode>:<born>:<offset>` in hex: a file (that which an archive was before it was compressed), when its
//! first line came, and the first byte that was not handed out. Device and inode alone would not do: a deleted file's
//! inode is soon another file's. Where stdout and stderr have files of their own there are two, with a comma between
//! them; `-` stands for one of which nothing was there yet. The leading 1 is the version of this format.

use std::fmt;
use std::str::FromStr;

use crate::place::FileId;

const VERSION: &str = "1";
/// Files of one reader: stdout's and stderr's.
const FILES_MAX: usize = 2;

/// A place in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) file: FileId,
    /// Microseconds: the time of the first record of its index, else when the file was made; 0 = not known.
    pub(crate) born: u64,
    pub(crate) offset: u64,
}

/// A reader's place: opaque to whoever keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub(crate) Vec<Option<Mark>>);

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a position that this version of dd-procmgrd has given out")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        for (i, mark) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { ":" } else { "," })?;
            match mark {
                Some(Mark { file, born, offset }) => {
                    write!(f, "{:x}:{:x}:{born:x}:{offset:x}", file.device, file.inode)?;
                }
                None => f.write_str("-")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let marks = text.strip_prefix(VERSION).and_then(|t| t.strip_prefix(':')).ok_or(CursorError)?;
        let marks = marks.split(',').map(mark).collect::<Result<Vec<_>, _>>()?;
        if marks.len() > FILES_MAX {
            return Err(CursorError);
        }
        Ok(Self(marks))
    }
}

fn mark(text: &str) -> Result<Option<Mark>, CursorError> {
    if text == "-" {
        return Ok(None);
    }
    let mut parts = text.split(':').map(|part| {
        // from_str_radix takes a sign.
        let digits = part.bytes().all(|b| b.is_ascii_hexdigit());
        u64::from_str_radix(part, 16).ok().filter(|_| digits).ok_or(CursorError)
    });
    let mut next = || parts.next().unwrap_or(Err(CursorError));
    let mark = Mark { file: FileId { device: next()?, inode: next()? }, born: next()?, offset: next()? };
    if parts.next().is_some() { Err(CursorError) } else { Ok(Some(mark)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks() -> impl Strategy<Value = Vec<Option<Mark>>> {
        let mark = any::<(u64, u64, u64, u64)>().prop_map(|(device, inode, born, offset)| Mark {
            file: FileId { device, inode },
            born,
            offset,
        });
        prop::collection::vec(prop::option::of(mark), 1..=2)
    }

    proptest! {
        #[test]
        fn what_is_given_out_is_taken_back(marks in marks()) {
            let cursor = Cursor(marks);
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_text_is_read_without_harm(text in "[0-9a-f:,+-]{0,60}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let mark = Mark { file: FileId { device: 0xfd01, inode: 255 }, born: 16, offset: 0 };
        assert_eq!("1:fd01:ff:10:0,-".parse(), Ok(Cursor(vec![Some(mark), None])));
        for bad in [
            "",
            "1",
            "1:",
            "2:1:1:1:1",
            "1:1:1:1",
            "1:1:1:1:1:1",
            "1:+1:1:1:1",
            "1:g:1:1:1",
            "1:-,-,-",
            "1:-,",
        ] {
            assert_eq!(bad.parse::<Cursor>(), Err(CursorError), "{bad}");
        }
    }
}
