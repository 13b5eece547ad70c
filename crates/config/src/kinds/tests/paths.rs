//! Files and conditions.

use model::{EnvironmentFile, PathCondition};

use super::super::{Conditions, EnvironmentFiles, FilePath};
use super::*;

#[test]
fn files_of_variables() {
    let files = |yaml: &str| -> Vec<String> {
        read::<EnvironmentFiles>(yaml).unwrap().iter().map(EnvironmentFile::to_string).collect()
    };
    assert_eq!(files("/etc/default/web"), ["/etc/default/web"]);
    assert_eq!(files("-/etc/default/web"), ["-/etc/default/web"]);
    assert_eq!(files("[/a, \"- /b\"]"), ["/a", "-/b"]);
    assert!(files("[]").is_empty());
    assert_eq!(written::<EnvironmentFiles>("[-/a]"), "-/a");
    assert_eq!(written::<EnvironmentFiles>("[/a, -/b]"), "- /a\n- -/b");
    for (yaml, part) in [
        ("web.env", "`web.env` is not an absolute path"),
        ("-web.env", "`web.env` is not an absolute path"),
        ("~/web.env", "not an absolute path"),
        ("[--/a]", "not an absolute path"),
        ("/etc/", "names a directory"),
        ("\"\"", "not an absolute path"),
        ("\"-\"", "not an absolute path"),
        ("{A: b}", "expected a path, found a mapping"),
        ("[[/a]]", "expected a path, found a list"),
        ("null", "expected a path or a list, found null"),
        ("\"/a\\0b\"", "NUL"),
    ] {
        is_refused::<EnvironmentFiles>(yaml, part);
    }
}

#[test]
fn conditions() {
    let conditions = |yaml: &str| -> Vec<String> {
        read::<Conditions>(yaml).unwrap().iter().map(PathCondition::to_string).collect()
    };
    assert_eq!(conditions("/etc/on"), ["/etc/on"]);
    assert_eq!(conditions("\"!/etc/off\""), ["!/etc/off"]);
    assert_eq!(conditions("[/a/, '! /b']"), ["/a/", "!/b"]);
    assert_eq!(written::<Conditions>("[\"!/b\"]"), "'!/b'");
    for (yaml, part) in [
        ("!/etc/off", "found a value with the tag `!/etc/off`"),
        ("[!/etc/off ]", "found a value with the tag `!/etc/off`"),
        ("'|/etc/on'", "`|/etc/on` is not an absolute path"),
        ("'!|/etc/on'", "`|/etc/on` is not an absolute path"),
        ("'!!/etc/on'", "not an absolute path"),
        ("etc", "not an absolute path"),
        ("true", "not an absolute path"),
        ("", "expected a path or a list, found nothing"),
    ] {
        is_refused::<Conditions>(yaml, part);
    }
}

#[test]
fn a_pidfile_is_a_file() {
    assert_eq!(read::<FilePath>("/run/x.pid"), Ok("/run/x.pid".into()));
    is_refused::<FilePath>("x.pid", "not an absolute path");
    is_refused::<FilePath>("/run/", "names a directory");
    is_refused::<FilePath>("/", "names a directory");
    is_refused::<FilePath>("[/run/x]", "found a list");
}
