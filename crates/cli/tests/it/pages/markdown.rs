//! Our own documents as pages of the manual: the part of Markdown that they use.

use super::roff::Page;

/// Appends a document without its title and its comments.
pub fn append(page: &mut Page, document: &str) {
    let mut lines = document.lines().peekable();
    let mut comment = false;
    let mut header: Vec<String> = Vec::new();
    while let Some(line) = lines.next() {
        if comment || line.starts_with("<!--") {
            comment = !line.contains("-->");
        } else if line.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            page.example(&code.join("\n"));
        } else if let Some(title) = line.strip_prefix("## ") {
            page.section(&title.replace('`', ""));
        } else if let Some(title) = line.strip_prefix("### ") {
            page.subsection(&title.replace('`', ""));
        } else if line.starts_with("# ") || line.is_empty() {
            // The title is that of the page.
        } else if line.starts_with('|') {
            let cells = cells(line);
            if header.is_empty() {
                header = cells;
            } else if !cells.iter().all(|cell| cell.starts_with("---")) {
                row(page, &header, &cells);
            }
            if !lines.peek().is_some_and(|next| next.starts_with('|')) {
                header.clear();
            }
        } else if let Some(text) = line.strip_prefix("- ") {
            page.bullet(&joined(text, &mut lines));
        } else if let Some((number, text)) = line.split_once(". ").filter(|(n, _)| n.parse::<u8>().is_ok()) {
            let number = format!("{number}.");
            let text = joined(text, &mut lines);
            page.numbered(&number, &text);
        } else {
            page.paragraph(&joined(line, &mut lines));
        }
    }
}

/// A paragraph or an item with the lines that go on with it.
fn joined<'a>(first: &str, lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> String {
    let mut text = first.trim().to_owned();
    let goes_on = |line: &str| {
        let starts = ["- ", "|", "```", "#", "<!--"].iter().any(|mark| line.starts_with(mark));
        let numbered = line.split_once(". ").is_some_and(|(n, _)| n.parse::<u8>().is_ok());
        !line.is_empty() && !starts && !numbered
    };
    while let Some(line) = lines.next_if(|line| goes_on(line)) {
        text.push(' ');
        text.push_str(line.trim());
    }
    text
}

fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{1}");
    line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// The first cell is what the row is about; the others follow, each behind its heading when there are several.
fn row(page: &mut Page, header: &[String], cells: &[String]) {
    let Some((first, others)) = cells.split_first() else { return };
    let mut paragraphs: Vec<String> = Vec::new();
    for (i, (cell, heading)) in others.iter().zip(header.iter().skip(1)).enumerate() {
        for (j, text) in cell.split("<br>").filter(|text| !text.is_empty()).enumerate() {
            let plain = i == 0 || heading.is_empty();
            // "a change | restarts it" reads on.
            let colon = if heading == "a change" { "" } else { ":" };
            paragraphs.push(if plain || j > 0 {
                text.to_owned()
            } else {
                format!("{heading}{colon} {text}")
            });
        }
    }
    page.term(first, paragraphs.first().map_or("", String::as_str));
    // What says little goes on one line.
    let rest: Vec<String> = paragraphs.iter().skip(1).map(|text| sentence(text)).collect();
    if !rest.is_empty() {
        page.more(&rest.join(" "));
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map_or(String::new(), |c| c.to_uppercase().to_string());
    let text = format!("{first}{}", chars.as_str());
    if text.ends_with(['.', ':', '!', '?']) { text } else { format!("{text}.") }
}

#[test]
fn tables_lists_and_code_become_paragraphs() {
    let mut page = Page::new("x", 5, "V");
    let text = "# T\n\n<!-- a\nb -->\n\ntwo\nlines\n\n| key | takes | default |\n|---|---|---|\n| `k` | A \\| b.<br>a word | none |\n\n- one\n  more\n- two\n\n1. a\n2. b\n\n```yaml\nx: 1\n```\n## `H` h\n";
    append(&mut page, text);
    let text = page.finish();
    for part in [
        ".PP\ntwo lines\n",
        ".TP\n\\fBk\\fR\nA | b.\n.IP\nA word. Default: none.\n",
        ".IP \\(bu 2\none more\n.IP \\(bu 2\ntwo\n",
        ".IP 1. 4\na\n.IP 2. 4\nb\n",
        ".nf\nx: 1\n.fi\n",
        ".SH \"H H\"\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
