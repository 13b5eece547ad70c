//! Hooks.

use model::Hook;

use super::super::Hooks;
use super::*;

fn hooks(yaml: &str) -> Vec<String> {
    let text = |hook: &Hook| {
        let sign = if hook.ignore_failure { "-" } else { "" };
        let words: Vec<&str> =
            std::iter::once(&hook.command.program).chain(&hook.command.args).map(String::as_str).collect();
        let timeout = hook.timeout.map(|time| format!(" within {time:?}")).unwrap_or_default();
        format!("{sign}{words:?}{timeout}")
    };
    read::<Hooks>(yaml).unwrap_or_else(|message| panic!("{yaml}: {message}")).iter().map(text).collect()
}

#[test]
fn every_form() {
    for (yaml, expected) in [
        ("/bin/true", vec![r#"["/bin/true"]"#]),
        ("true", vec![r#"["true"]"#]),
        ("-/bin/rm -f /run/x", vec![r#"-["/bin/rm", "-f", "/run/x"]"#]),
        ("\"- sh -c 'exit 1'\"", vec![r#"-["sh", "-c", "exit 1"]"#]),
        ("[a, -b c]", vec![r#"["a"]"#, r#"-["b", "c"]"#]),
        ("{command: a b}", vec![r#"["a", "b"]"#]),
        ("{command: /opt/a b, args: []}", vec![r#"["/opt/a b"]"#]),
        (
            "{command: a, args: [-b, 1], timeout: 1m, ignore_failure: true}",
            vec![r#"-["a", "-b", "1"] within 60s"#],
        ),
        ("[{command: a}, b]", vec![r#"["a"]"#, r#"["b"]"#]),
        ("[]", vec![]),
        ("it's", vec![r#"["it's"]"#]),
    ] {
        assert_eq!(hooks(yaml), expected, "{yaml}");
    }
}

#[test]
fn the_shortest_spelling_is_written() {
    for (yaml, text) in [
        ("[/bin/true]", "/bin/true"),
        ("{command: a, args: [b c], ignore_failure: true}", "-a 'b c'"),
        ("{command: a b, args: []}", "command: a b\nargs: []"),
        ("{command: a, timeout: 1.5}", "command: a\ntimeout: 1.5s"),
        (
            "[-a, {command: b, timeout: 1, ignore_failure: true}]",
            "- -a\n- command: b\n  timeout: 1\n  ignore_failure: true",
        ),
        ("[]", "[]"),
    ] {
        assert_eq!(written::<Hooks>(yaml), text, "{yaml}");
    }
}

#[test]
fn what_is_no_hook() {
    for (yaml, part) in [
        ("\"\"", "the command is empty"),
        ("\"-\"", "the command is empty"),
        ("[a, \" \"]", "the command is empty"),
        ("{command: \"\"}", "the command is empty"),
        ("{}", "a hook needs a `command`"),
        ("{args: [a]}", "a hook needs a `command`"),
        ("{command: }", "expected a command, found nothing"),
        ("{command: [a, b]}", "expected a text, found a list"),
        ("{command: a, args: b}", "expected a list, found the text `b`"),
        ("{command: a, timeout: 0}", "no time at all"),
        ("{command: a, timeout: -1}", "negative"),
        ("{command: a, timeout: 11y}", "expected a time"),
        ("{command: a, ignore_failure: yes}", "expected true or false"),
        ("{command: a, user: root}", "`user` is not a key of a hook"),
        ("{command: a, timeout_sec: 5}", "`timeout_sec` is not a key of a hook"),
        ("{command: -a}", "`-a` can't be a program"),
        ("--a", "`-a` can't be a program"),
        ("+/bin/a", "`+` before a command is not supported"),
        ("-@/bin/a b", "`@` before a command is not supported"),
        ("'!!/bin/a'", "`!!` before a command is not supported"),
        ("!/bin/a", "found a value with the tag"),
        ("sh -c 'a", "can't be split into words"),
        ("{command: sh -c 'a}", "can't be split into words"),
        ("\"'' a\"", "can't be split into words"),
        ("[[a]]", "expected a command, found a list"),
        ("[a, null]", "expected a command, found null"),
        ("null", "expected a command or a list, found null"),
        ("\"a\\0b\"", "NUL"),
        ("\"a b\\0\"", "NUL"),
    ] {
        is_refused::<Hooks>(yaml, part);
    }
}
