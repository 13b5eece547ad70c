//! Text in the language of man(7).

/// A page that is being written.
pub struct Page(String);

/// man(1) shows when a page was last looked over as a whole.
const DATE: &str = "2026-11-21";

impl Page {
    /// `title` is what man(1) is asked for; `volume` stands in the middle of the head.
    pub fn new(title: &str, section: u8, volume: &str) -> Self {
        let note = ".\\\" Generated; the head of crates/cli/tests/it/pages.rs says how.\n";
        Self(format!(
            "{note}.TH {} {section} {DATE} dd-procmgrd \"{volume}\"\n",
            escape(&title.to_uppercase())
        ))
    }

    pub fn section(&mut self, title: &str) {
        self.0.push_str(&format!(".SH {}\n", quoted(&title.to_uppercase())));
    }

    pub fn subsection(&mut self, title: &str) {
        self.0.push_str(&format!(".SS {}\n", quoted(title)));
    }

    /// A paragraph of text with `code`, **bold** and [links](x).
    pub fn paragraph(&mut self, text: &str) {
        self.begin();
        self.0.push_str(&format!("{}\n", inline(text)));
    }

    /// Begins a paragraph, where no heading has done so.
    fn begin(&mut self) {
        let headed = |line: &str| line.starts_with(".SH") || line.starts_with(".SS");
        if !self.0.lines().last().is_some_and(headed) {
            self.0.push_str(".PP\n");
        }
    }

    /// A paragraph that goes on the one before it or on a term.
    pub fn text(&mut self, text: &str) {
        self.0.push_str(&format!("{}\n", inline(text)));
    }

    /// A term and, below it, what it means.
    pub fn term(&mut self, term: &str, text: &str) {
        self.0.push_str(&format!(".TP\n{}\n{}\n", inline(term), inline(text)));
    }

    /// A term in bold as it stands.
    pub fn option(&mut self, term: &str, text: &str) {
        self.0.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", line(term), inline(text)));
    }

    /// One more paragraph below a term.
    pub fn more(&mut self, text: &str) {
        self.0.push_str(&format!(".IP\n{}\n", inline(text)));
    }

    pub fn bullet(&mut self, text: &str) {
        self.0.push_str(&format!(".IP \\(bu 2\n{}\n", inline(text)));
    }

    pub fn numbered(&mut self, number: &str, text: &str) {
        self.0.push_str(&format!(".IP {number} 4\n{}\n", inline(text)));
    }

    /// Lines as they stand.
    pub fn example(&mut self, lines: &str) {
        self.begin();
        self.0.push_str(".RS 4\n.nf\n");
        for text in lines.lines() {
            self.0.push_str(&format!("{}\n", line(text)));
        }
        self.0.push_str(".fi\n.RE\n");
    }

    pub fn finish(self) -> String {
        self.0
    }
}

/// Characters that mean something to roff.
fn escape(text: &str) -> String {
    let mut done = String::new();
    for c in text.chars() {
        match c {
            '\\' => done.push_str("\\e"),
            // Typed by whoever copies it: not to become another dash.
            '-' => done.push_str("\\-"),
            '\'' => done.push_str("\\(aq"),
            '`' => done.push_str("\\(ga"),
            '^' => done.push_str("\\(ha"),
            '~' => done.push_str("\\(ti"),
            '…' => done.push_str("..."),
            '×' => done.push_str("\\(mu"),
            c if c.is_ascii() => done.push(c),
            c => done.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    done
}

/// The same where a line of input begins: neither a dot nor a quote there is a request.
fn line(text: &str) -> String {
    let text = escape(text);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text).replace('"', "\\(dq"))
}

/// Text with the marks of Markdown.
fn inline(text: &str) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        let (before, mark) = rest.split_at(at);
        done.push_str(&escape(before));
        let between = |open: &str, close: &str| {
            let inner = mark.strip_prefix(open)?;
            let (inner, after) = inner.split_once(close)?;
            (!inner.is_empty()).then_some((inner, after))
        };
        let link = || {
            let (text, after) = between("[", "](")?;
            let (_, after) = after.split_once(')')?;
            Some((text, after))
        };
        if let Some((code, after)) = between("``", "``").or_else(|| between("`", "`")) {
            done.push_str(&format!("\\fB{}\\fR", escape(code.trim())));
            rest = after;
        } else if let Some((bold, after)) = between("**", "**") {
            done.push_str(&format!("\\fB{}\\fR", escape(bold)));
            rest = after;
        } else if let Some((text, after)) = link() {
            done.push_str(&inline(text));
            rest = after;
        } else {
            done.push_str(&escape(&mark[..1]));
            rest = &mark[1..];
        }
    }
    done.push_str(&escape(rest));
    if done.starts_with(['.', '\'']) { format!("\\&{done}") } else { done }
}

#[test]
fn what_means_something_to_roff_is_escaped() {
    let mut page = Page::new("a-b", 1, "V");
    page.paragraph(".x 'y \\z `--out` **b** [t](u) a*b [c] ☃");
    page.example("'q\n.r\n  -s");
    let text = page.finish();
    assert!(text.contains(".TH A\\-B 1 "), "{text}");
    assert!(text.contains("\n\\&.x \\(aqy \\ez \\fB\\-\\-out\\fR \\fBb\\fR t a*b [c] \\[u2603]\n"), "{text}");
    assert!(text.contains("\n\\(aqq\n\\&.r\n  \\-s\n"), "{text}");
}
