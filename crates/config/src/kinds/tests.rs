//! Spellings of values: what is read, what is refused, and that what is written is read back.

use std::path::Path;
use std::time::Duration;

mod commands;
mod health;
mod logs;
mod names;
mod paths;

use super::*;
use crate::parse::parse;
use crate::source::Source;

/// Reads and checks one value as it would stand after a key; the error is the first message.
fn read<K: Kind>(yaml: &str) -> Result<K::Value, String> {
    let source = Source::from_bytes(Path::new("t.yaml"), format!("k: {yaml}\n").into_bytes()).unwrap();
    let root = parse(&source).unwrap().unwrap();
    let mut faults = Faults::default();
    let value = K::read(&root.map().unwrap().entries[0].value, &mut faults);
    if let Some(value) = &value {
        K::check(value, &mut faults);
    }
    match faults.finish().first() {
        Some(fault) => Err(fault.message.clone()),
        None => Ok(value.unwrap()),
    }
}

fn is_refused<K: Kind>(yaml: &str, part: &str) {
    let Err(message) = read::<K>(yaml) else { panic!("{yaml} was accepted") };
    assert!(message.contains(part), "{yaml}: {message}");
}

/// What is written is read back as the same value; the text that it is written as.
fn written<K: Kind>(yaml: &str) -> String
where
    K::Value: PartialEq + std::fmt::Debug,
{
    let value = read::<K>(yaml).unwrap_or_else(|message| panic!("{yaml}: {message}"));
    let mut text = serde_yaml::to_string(&K::write(&value)).unwrap();
    let indented = format!("\n{text}").replace('\n', "\n  ");
    assert_eq!(read::<K>(&indented).as_ref(), Ok(&value), "{yaml}: {text}");
    text.truncate(text.trim_end().len());
    text
}

#[test]
fn times() {
    for (yaml, nanos) in [
        ("0", 0),
        ("5", 5_000_000_000),
        ("0.5", 500_000_000),
        ("1.234567891", 1_234_567_891),
        ("-0", 0),
        ("1e1", 10_000_000_000),
        ("500ms", 500_000_000),
        ("5s", 5_000_000_000),
        ("\"5\"", 5_000_000_000),
        ("2m", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1h 30m", 5_400_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1.5h", 5_400_000_000_000),
        ("3650d", 315_360_000_000_000_000),
        ("7us", 7_000),
    ] {
        assert_eq!(read::<Seconds>(yaml), Ok(Duration::from_nanos(nanos)), "{yaml}");
    }
    for (yaml, part) in [
        ("-1", "negative"),
        ("\"-5s\"", "negative"),
        ("1e30", "more than 10 years"),
        ("315360001", "more than 10 years"),
        ("99999999999999999999999999999999999999999", "more than 10 years"),
        (".nan", "expected a time"),
        (".inf", "expected a time"),
        ("-.inf", "expected a time"),
        ("0x10", "expected a time"),
        ("30m1h", "expected a time"),
        ("5s5s", "expected a time"),
        ("ms", "expected a time"),
        ("5 parsecs", "expected a time"),
        ("\"\"", "expected a time"),
        ("true", "expected a time"),
        ("[5]", "expected a time"),
        ("", "expected a time, found nothing"),
    ] {
        is_refused::<Seconds>(yaml, part);
    }
}

#[test]
fn sizes() {
    for (yaml, bytes) in [
        ("0", 0),
        ("1000", 1000),
        ("10M", 10 << 20),
        ("10m", 10 << 20),
        ("1GiB", 1 << 30),
        ("1.5G", 3 << 29),
        ("10MB", 10_000_000),
        ("64 KiB", 64 << 10),
        ("\"7B\"", 7),
    ] {
        assert_eq!(read::<Bytes>(yaml), Ok(bytes), "{yaml}");
    }
    for (yaml, part) in [
        ("-1", "negative"),
        ("10X", "expected a size"),
        ("8388608T", "more than a file"),
        ("1e3", "expected"),
        ("M", "expected"),
    ] {
        is_refused::<Bytes>(yaml, part);
    }
    is_refused::<LineBytes>("63", "out of range");
    is_refused::<LineBytes>("17M", "out of range");
    assert_eq!(read::<LineBytes>("16M"), Ok(16 << 20));
}

#[test]
fn umasks() {
    for (yaml, mask) in
        [("0027", 0o027), ("\"0027\"", 0o027), ("0o027", 0o027), ("\"27\"", 0o027), ("0", 0), ("0777", 0o777)]
    {
        assert_eq!(read::<Umask>(yaml), Ok(mask), "{yaml}");
    }
    for (yaml, part) in [
        ("27", "ambiguous"),
        ("0x1f", "not octal"),
        ("0888", "not octal"),
        ("01000", "more than"),
        ("\"\"", "not octal"),
        ("+7", "ambiguous"),
    ] {
        is_refused::<Umask>(yaml, part);
    }
}

#[test]
fn texts_keep_their_spelling() {
    let env = read::<Env>("{PORT: 8000, V: 1.10, D: TRUE, H: 0x1F, E: \"\", Z: 007, B: .5, N: -0.0, X: 1e3}")
        .unwrap();
    let found: Vec<String> = env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(found, ["B=.5", "D=TRUE", "E=", "H=0x1F", "N=-0.0", "PORT=8000", "V=1.10", "X=1e3", "Z=007"]);
    assert_eq!(read::<Account>("1000"), Ok("1000".to_owned()));
    assert_eq!(read::<Args>("[-p, 80, true, 1.0]").unwrap(), ["-p", "80", "true", "1.0"]);
}

#[test]
fn null_is_null_for_output_only() {
    use model::Output;
    for yaml in ["null", "~", "\"null\""] {
        assert_eq!(read::<OutputKind>(yaml), Ok(Output::Null), "{yaml}");
    }
    is_refused::<OutputKind>("", "found nothing");
    is_refused::<OutputKind>("\"direct:\"", "not an absolute path");
    is_refused::<Account>("null", "found null");
    is_refused::<Args>("[null]", "found null");
}
