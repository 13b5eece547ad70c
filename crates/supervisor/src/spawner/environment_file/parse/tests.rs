//! What each kind of line means, and that hostile ones are errors with the right line.

use super::*;
use proptest::prelude::*;

/// The variables of a good text, as `NAME[value]`.
fn good(text: &str) -> Vec<String> {
    let variables = parse(text.as_bytes()).unwrap_or_else(|bad| panic!("{text:?}: {bad:?}"));
    variables.into_iter().map(|(name, value)| format!("{name}[{value}]")).collect()
}

/// Line and message of a bad one.
fn bad(text: impl AsRef<[u8]>) -> (usize, &'static str) {
    let bad = parse(text.as_ref()).unwrap_err();
    assert!(!bad.hint.is_empty());
    (bad.line, bad.message)
}

#[test]
fn the_rules_of_systemd_exec() {
    for (text, expected) in [
        ("", ""),
        ("A=1", "A[1]"),
        ("A=", "A[]"),
        ("\n \t\nA=1\n\n", "A[1]"),
        (" A = 1 \n", "A[1]"),
        ("A=b c  d\t\n", "A[b c  d]"),
        ("# A=1\n ;B=2\n#\n;\nC=3 # not a comment", "C[3 # not a comment]"),
        ("# a comment is not continued \\\nA=1", "A[1]"),
        ("A=$HOME ${B} `id` ~", "A[$HOME ${B} `id` ~]"),
        ("A=a=b==", "A[a=b==]"),
        ("A=1\nA=2", "A[1] A[2]"),
        ("_a1=x\nA_=y", "_a1[x] A_[y]"),
        ("A=é ☃", "A[é ☃]"),
    ] {
        assert_eq!(good(text).join(" "), expected, "{text:?}");
    }
}

#[test]
fn quotes_and_escapes() {
    for (text, expected) in [
        ("A='b c '", "A[b c ]"),
        (r"A='b\'", r"A[b\]"),
        (r#"A='\n "$x" \'"#, r#"A[\n "$x" \]"#),
        (r#"A="\" \\ \` \$ \n \'""#, r#"A[" \ ` $ \n \']"#),
        ("A='1\n2'\nB=3", "A[1\n2] B[3]"),
        ("A=\"1\n2\\\n3\"", "A[1\n23]"),
        ("A=\"1\" '2' 3 4 ", "A[123 4]"),
        ("A=\"\"", "A[]"),
        // Quotes count only before anything else.
        ("A=it's", "A[it's]"),
        (r#"A="x"y"z""#, r#"A[xy"z"]"#),
        (r"A=\'b\ \\c\d", r"A['b \cd]"),
        // What is escaped is kept, and so are the blanks before it.
        ("A=b\\  \t", "A[b ]"),
        ("A=b \\\n", "A[b ]"),
        ("A=a\\\nb \\\n c", "A[ab  c]"),
        ("A=\\\n  b", "A[  b]"),
        ("A=a\\", "A[a]"),
        ("A=a\\\n#b\nC=d", "A[a#b] C[d]"),
    ] {
        assert_eq!(good(text).join(" "), expected, "{text:?}");
    }
}

#[test]
fn what_systemd_does_not_know() {
    for (text, expected) in [
        ("export A=1\n  export\t B=2", "A[1] B[2]"),
        ("export=1\nexport = 2\nexported=3", "export[1] export[2] exported[3]"),
        ("\u{feff}A=1", "A[1]"),
        ("A=1\r\nB=2\r\n\r\n# c\r\nC=3", "A[1] B[2] C[3]"),
        ("A=a\\\r\nb\r\nB=\"c\\\r\nd\"\r\n", "A[ab] B[cd]"),
        ("A='1\r\n2'\r\n", "A[1\r\n2]"),
        ("A=1\rB=2\r", "A[1] B[2]"),
    ] {
        assert_eq!(good(text).join(" "), expected, "{text:?}");
    }
}

#[test]
fn a_bad_line_is_named_by_its_number() {
    let no_name = "has something before its `=` that can't be a variable's name";
    let unterminated = "opens a quote that nothing closes";
    for (text, line, message) in [
        ("=", 1, "has no name before its `=`"),
        ("A=1\n =b", 2, "has no name before its `=`"),
        ("export\t=b\nexport  =b\nexport 1=b", 3, no_name),
        ("1A=b", 1, no_name),
        ("A=1\r\n\r\nB C=d\r\n", 3, no_name),
        ("a.b=c", 1, no_name),
        ("a-b=c", 1, no_name),
        ("é=c", 1, no_name),
        ("export export A=1", 1, no_name),
        ("A=1\n\u{feff}B=2", 2, no_name),
        ("A", 1, "has no `=`"),
        ("A=1\n[section]\nB=2", 2, "has no `=`"),
        ("A=1\rB\r", 2, "has no `=`"),
        ("\"A=b", 1, no_name),
        ("A=b\nexport A", 2, "exports without a value"),
        ("A=1\nB='2\n3\n", 2, unterminated),
        ("A='1\n2' \"3\n4", 2, unterminated),
        ("A=\"b\\", 1, unterminated),
        ("A=\"b\\\"\n\n", 1, unterminated),
        ("A=1\nB=2\0\nC", 2, "holds a NUL character"),
    ] {
        assert_eq!(bad(text), (line, message), "{text:?}");
    }
}

#[test]
fn binary_files_are_refused() {
    assert_eq!(bad(b"A=1\nB=\xff\n"), (2, "holds something that is not a UTF-8 character"));
    // Latin-1, and a character that is cut off.
    assert_eq!(bad(b"A=1\r\n\r\nB=\xe4\r\n").0, 3);
    assert_eq!(bad(b"A=\xe2\x82"), (1, "holds something that is not a UTF-8 character"));
    let utf16: Vec<u8> = "\u{feff}A=1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(bad(utf16), (1, "holds a NUL character"));
    let program = std::fs::read("/proc/self/exe").unwrap();
    assert_eq!(bad(&program[..4096]), (1, "holds a NUL character"));
}

#[test]
fn masses_of_anything_are_parsed_or_refused() {
    let many = |text: &str| text.repeat((1 << 18) / text.len());
    assert_eq!(parse(many("A=1\n").as_bytes()).unwrap().len(), 1 << 16);
    for text in ["'", "\"", "\\", "\n", "\r", "\r\n", "=", "A", "#", "A='\n", "A=\\\n", "export ", " "] {
        let _good_or_bad = parse(many(text).as_bytes());
        let _good_or_bad = parse(format!("A={}", many(text)).as_bytes());
        let _good_or_bad = parse(format!("A=\"{}", many(text)).as_bytes());
    }
}

/// Text that is made of what means something.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = [
        "A", "b1", "=", "'", "\"", "\\", "\n", "\r", " ", "\t", "#", ";", "export ", "$", "é", "\u{feff}",
        "`",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_with_a_line_that_it_has(text in hostile()) {
        let lines = line_at(text.as_bytes(), text.len());
        match parse(text.as_bytes()) {
            Ok(variables) => prop_assert!(variables.iter().all(|(name, _)| !name.is_empty() && is_name(name))),
            Err(bad) => prop_assert!((1..=lines).contains(&bad.line), "{bad:?} of {lines} lines"),
        }
    }

    #[test]
    fn any_value_can_be_written_in_each_way(value in "[^\0']*", other in hostile()) {
        prop_assume!(!value.is_empty());
        let double = value.chars().map(|c| match c {
            '"' | '\\' | '`' | '$' => format!("\\{c}"),
            c => c.to_string(),
        }).collect::<String>();
        let text = format!("A='{value}'\nB=\"{double}\"\r\n");
        let expected = [("A".to_owned(), value.clone()), ("B".to_owned(), value.clone())];
        prop_assert_eq!(parse(text.as_bytes()).unwrap(), expected);
        // Without quotes everything but a line's end can be escaped.
        let flat: String = value.chars().chain(other.chars()).filter(|c| !is_break(*c)).collect();
        let text: String = flat.chars().flat_map(|c| ['\\', c]).collect();
        prop_assert_eq!(parse(format!("A={text}").as_bytes()).unwrap(), [("A".to_owned(), flat)]);
    }
}
