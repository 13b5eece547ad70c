//! The last lines of a process, with what is known of each.

use model::Wall;
use rpc::{Client, ClientError, v1};

use crate::units::wall;

/// What is read of one log at most: the end of a log with longer lines can wait for `logs`.
const MOST: usize = 4 * 1024 * 1024;
/// Of each line; the rest is cut. A log may hold lines of 256 KiB.
const LONGEST: usize = 2000;

/// One line of output, without the newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Option<Wall>,
    pub(crate) stream: v1::Stream,
    pub(crate) run: Option<u64>,
    pub(crate) text: Vec<u8>,
}

/// The last lines; where the two streams have a file each, those of both.
pub(super) async fn tail(client: &mut Client, name: &str, lines: u32) -> Result<Vec<Line>, ClientError> {
    let request = v1::StreamLogsRequest {
        name: name.to_owned(),
        lines: Some(lines),
        split_lines: true,
        ..Default::default()
    };
    let mut logs = client.logs(request).await?;
    let (mut found, mut read) = (Vec::new(), 0);
    while let Some(chunk) = logs.next().await? {
        read += chunk.data.len();
        take(&mut found, &chunk);
        if read > MOST {
            break;
        }
    }
    Ok(found)
}

fn take(found: &mut Vec<Line>, chunk: &v1::StreamLogsResponse) {
    let mut rest = chunk.data.as_slice();
    let mut push = |text: &[u8], stream, run, at: Option<Wall>| {
        for line in text.split_inclusive(|b| *b == b'\n') {
            found.push(Line { at, stream, run, text: shortened(line.strip_suffix(b"\n").unwrap_or(line)) });
        }
    };
    for part in &chunk.parts {
        let size = usize::try_from(part.size).unwrap_or(rest.len()).min(rest.len());
        let (text, behind) = rest.split_at(size);
        rest = behind;
        push(text, part.stream(), (part.run != 0).then_some(part.run), part.time.as_ref().map(wall));
    }
    // An older daemon knows nothing of parts.
    push(rest, chunk.stream(), None, None);
}

fn shortened(line: &[u8]) -> Vec<u8> {
    if line.len() <= LONGEST {
        return line.to_vec();
    }
    // Not within a character, where it is text.
    let mut end = LONGEST;
    while end > LONGEST - 4 && line[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    [&line[..end], "…".as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_parts_and_of_daemons_without_them() {
        let part = |size, run| v1::LogPart { size, run, ..Default::default() };
        let chunk = v1::StreamLogsResponse {
            data: b"a\nb\nc\nrest".to_vec(),
            parts: vec![part(4, 2), part(2, 0)],
            ..Default::default()
        };
        let mut found = Vec::new();
        take(&mut found, &chunk);
        let shown: Vec<(&[u8], Option<u64>)> = found.iter().map(|line| (&*line.text, line.run)).collect();
        assert_eq!(shown, [(&b"a"[..], Some(2)), (b"b", Some(2)), (b"c", None), (b"rest", None)]);
        // A size that is wrong takes no more than there is.
        let wrong =
            v1::StreamLogsResponse { data: b"x".to_vec(), parts: vec![part(9, 1)], ..Default::default() };
        take(&mut found, &wrong);
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn long_lines_are_cut_on_a_character() {
        let cut = shortened("☃".repeat(1000).as_bytes());
        let text = String::from_utf8(cut).unwrap();
        assert!(text.ends_with("☃…") && text.len() <= LONGEST + 3, "{}", text.len());
        assert_eq!(shortened(&vec![b'x'; LONGEST]).len(), LONGEST);
        assert_eq!(shortened(&vec![0x80; 5000]).len(), LONGEST - 4 + 3, "what is no text is cut somewhere");
    }
}
