//! What stands below `log:`.

use std::time::Duration;

use model::{Compression, LineParser, LogFormat, Multiline, Overflow};

use super::super::{
    Age, CompressionKind, FormatKind, JsonKeys, MultilineKind, OverflowKind, ParserKind, Patterns, Rate,
};
use super::*;

#[test]
fn ages() {
    for (yaml, seconds) in [("0", 0), ("1", 1), ("12h", 43_200), ("7d", 604_800), ("1d12h", 129_600)] {
        assert_eq!(read::<Age>(yaml), Ok(Duration::from_secs(seconds)), "{yaml}");
    }
    is_refused::<Age>("500ms", "less than a second");
    is_refused::<Age>("1w", "expected a time");
    is_refused::<Age>("daily", "expected a time");
    assert_eq!(written::<Age>("7d"), "604800");
}

#[test]
fn words() {
    assert_eq!(read::<CompressionKind>("gzip"), Ok(Compression::Gzip));
    assert_eq!(read::<FormatKind>("logfmt"), Ok(LogFormat::Logfmt));
    assert_eq!(read::<OverflowKind>("drop_oldest"), Ok(Overflow::DropOldest));
    assert_eq!(read::<ParserKind>("syslog-prefix"), Ok(LineParser::SyslogPrefix));
    is_refused::<CompressionKind>("zstd", "`zstd` is not supported by this version");
    is_refused::<CompressionKind>("true", "expected `none` or `gzip`, found `true`");
    is_refused::<CompressionKind>("", "found nothing");
    is_refused::<FormatKind>("[json]", "found a list");
    is_refused::<OverflowKind>("drop-oldest", "expected `block`, `drop_oldest` or `drop_newest`");
    is_refused::<ParserKind>("syslog_prefix", "expected `none`, `json` or `syslog-prefix`");
}

#[test]
fn rates() {
    for (yaml, text) in [
        ("none", "none"),
        ("1000/s", "1000/s"),
        ("1000/1s", "1000/s"),
        ("500 / 10s", "500/10s"),
        ("60000/m", "60000/m"),
        ("60000/60", "60000/m"),
        ("100/1m30s", "100/90s"),
        ("1/24h", "1/d"),
        ("7/0.1", "7/100ms"),
        ("007/h", "7/h"),
    ] {
        assert_eq!(written::<Rate>(yaml), text, "{yaml}");
    }
    for (yaml, part) in [
        ("1000", "expected a rate such as `1000/s`, found `1000`"),
        ("0", "expected a rate"),
        ("true", "expected a rate"),
        ("null", "found null"),
        ("[1/s]", "found a list"),
        ("/s", "expected a rate"),
        ("1000/", "expected a rate"),
        ("1k/s", "expected a rate"),
        ("-1/s", "expected a rate"),
        ("1.5/s", "expected a rate"),
        ("1000/sec", "expected a rate"),
        ("1000/s/s", "expected a rate"),
        ("1000/-5s", "expected a rate"),
        ("0/s", "a rate of 0 lines"),
        ("1000000001/s", "more than 1000000000 lines"),
        ("99999999999999999999/s", "more than 1000000000 lines"),
        ("1/99ms", "from 100ms to 1d"),
        ("1/2d", "from 100ms to 1d"),
        ("1/0", "from 100ms to 1d"),
        ("1/99999999999999999999999999999999999999999d", "from 100ms to 1d"),
    ] {
        is_refused::<Rate>(yaml, part);
    }
}

#[test]
fn ways_to_join_lines() {
    assert_eq!(read::<MultilineKind>("none"), Ok(Multiline::None));
    assert_eq!(read::<MultilineKind>("indent"), Ok(Multiline::Indent));
    assert_eq!(read::<MultilineKind>(r"^\d{4}-"), Ok(Multiline::Start(r"^\d{4}-".to_owned())));
    // Quoted it is what somebody means.
    assert_eq!(read::<MultilineKind>("'7'"), Ok(Multiline::Start("7".to_owned())));
    for (yaml, part) in [
        ("true", "expected a word or a regular expression, found `true`"),
        ("5", "found the number 5"),
        ("", "found nothing"),
        ("''", "an empty regular expression"),
        ("auto", "`auto` is no way to join lines"),
        ("'^(\\d+'", "unclosed group, at its character 2"),
    ] {
        is_refused::<MultilineKind>(yaml, part);
    }
    let mut faults = Faults::default();
    MultilineKind::check(&Multiline::Start("none".to_owned()), &mut faults);
    assert_eq!(faults.finish()[0].message, "`none` is a word of this key");
}

#[test]
fn patterns() {
    assert_eq!(written::<Patterns>(r"password=\S+"), r"password=\S+");
    assert_eq!(written::<Patterns>("[a, 'b|c']"), "- a\n- b|c");
    assert_eq!(written::<Patterns>("[]"), "[]");
    assert_eq!(written::<Patterns>("[1234]"), "'1234'");
    assert_eq!(written::<Patterns>("\"true\""), "'true'");
    // Of an empty line there is nothing to hide, but it does no harm.
    assert!(read::<Patterns>("'^$'").is_ok());
    let many = |count: usize| format!("[{}]", vec!["a"; count].join(", "));
    assert_eq!(read::<Patterns>(&many(64)).unwrap().len(), 64);
    for (yaml, part) in [
        (many(65).as_str(), "65 regular expressions"),
        ("", "found nothing"),
        ("[[a]]", "found a list"),
        ("''", "an empty regular expression"),
        ("true", "expected a regular expression, found `true`"),
        ("'a*'", "nothing to replace"),
        ("'x|'", "nothing to replace"),
        ("'\\b'", "nothing to replace"),
        ("^", "nothing to replace"),
        ("'*a'", "repetition operator missing expression, at its character 1"),
        ("'é[a'", "unclosed character class, at its character 2"),
        ("'^^^['", "unclosed character class, at its character 4"),
        ("'a\\q'", "unrecognized escape sequence, at its character 2"),
        ("'(?=a)'", "look-around"),
        ("'(a)\\1'", "backreferences are not supported"),
        ("\"a\\n(b\"", "this is no regular expression: unclosed group"),
        (r"'\w{999}{99}'", "more than 1 MiB"),
        ("'\\p{Klingon}'", "Unicode property not found"),
        (&format!("'{}'", "x".repeat(4097)), "at most 4 KiB"),
    ] {
        is_refused::<Patterns>(yaml, part);
    }
    assert!(read::<Patterns>(&format!("'{}'", "x".repeat(4096))).is_ok());
    // More than are remembered, and the first one again.
    for n in 0..600 {
        assert!(read::<Patterns>(&format!("pattern-{}", n % 300)).is_ok());
    }
}

#[test]
fn keys_of_json() {
    assert_eq!(
        read::<JsonKeys>("[trace_id, user.id, '@timestamp', _x, a-b]").unwrap(),
        ["trace_id", "user.id", "@timestamp", "_x", "a-b"]
    );
    assert_eq!(written::<JsonKeys>("trace_id"), "trace_id");
    for (yaml, part) in [
        ("", "found nothing"),
        ("{a: b}", "found a mapping"),
        ("['']", "`` can't become a field"),
        ("[a..b]", "`a..b` can't become a field"),
        ("[.a]", "`.a` can't become a field"),
        ("[a b]", "`a b` can't become a field"),
        ("[_]", "`_` can't become a field"),
        ("[\"a\\n\"]", "can't become a field"),
        (&format!("[{}]", "x".repeat(65)), "can't become a field"),
        (&format!("[{}]", vec!["a"; 65].join(", ")), "65 keys"),
    ] {
        is_refused::<JsonKeys>(yaml, part);
    }
}
