//! docs/BENCHMARKS.md: each part's tables stand between two marks and are replaced there; all else is written by hand.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::parts::{Part, Ran};
use super::{curves, tables};

pub(crate) fn write(path: &Path, ran: &[Ran]) -> Result<()> {
    let mut text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    // What misses a bound was measured all the same.
    for ran in ran.iter().filter(|ran| !ran.failed || ran.raw.has_values()) {
        let content = pictures(ran) + &tables::part(ran);
        text = replaced(&text, ran.part.name(), &content)
            .with_context(|| format!("{} has no marks for the part {}", path.display(), ran.part.name()))?;
    }
    Ok(fs::write(path, text)?)
}

/// Links to those that were drawn.
fn pictures(ran: &Ran) -> String {
    if ran.part != Part::Growth {
        return String::new();
    }
    let drawn = curves::pictures(std::slice::from_ref(ran));
    let links =
        drawn.iter().map(|(file, _)| format!("![{}](benchmarks/{file})\n", file.trim_end_matches(".svg")));
    links.collect::<String>() + "\n"
}

/// The text with another content between the marks of a part.
fn replaced(text: &str, part: &str, content: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- bench {part} -->\n"), format!("<!-- end of bench {part} -->"));
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", content.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::raw::Raw;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = "a\n<!-- bench crowd -->\nold\n<!-- end of bench crowd -->\nb\n";
        let new = replaced(text, "crowd", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- bench crowd -->\n\nnew\n\n<!-- end of bench crowd -->\nb\n");
        assert_eq!(replaced(&new, "crowd", "new\n").unwrap(), new);
        assert_eq!(replaced(text, "growth", "new"), None);
    }

    #[test]
    fn the_page_has_a_place_for_each_part() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/BENCHMARKS.md");
        let text = fs::read_to_string(path).unwrap();
        for part in Part::ALL {
            assert!(replaced(&text, part.name(), "").is_some(), "no marks for {}", part.name());
        }
    }
    #[test]
    fn what_was_drawn_is_linked_above_the_tables() {
        let line = |count: u32| {
            format!(
                "{{\"part\":\"growth\",\"count\":{count},\"round\":0,\"who\":\"a\",\"what\":\"list\",\"value\":{count}.5,\"unit\":\"ms\"}}\n"
            )
        };
        let raw = Raw::read(&(line(100) + &line(1000))).unwrap();
        let ran = Ran { part: Part::Growth, raw, failed: false };
        assert_eq!(pictures(&ran), "![list](benchmarks/list.svg)\n\n");
        assert_eq!(pictures(&Ran { part: Part::Crowd, ..ran }), "");
    }
}
