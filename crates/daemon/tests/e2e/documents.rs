//! What the documents tell people to type, typed: each block ```` ```console ```` of them, one after the other, on one
//! daemon, with what they say is printed.
//!
//! A line `$ ...` is a command for bash, lines `> ...` behind it belong to it, and everything up to the next one is what it
//! prints, standard error included. `…` stands for any text in a line, and alone in a line for any lines.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use testkit::{TempDaemon, binary, run};

/// A command and what it is said to print.
struct Step {
    line: usize,
    command: String,
    printed: Vec<String>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (false, _) => {}
            (true, _) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => {
                    steps.push(Step { line: number, command: command.to_owned(), printed: Vec::new() });
                }
                (None, Some(step)) if step.printed.is_empty() && line.starts_with('>') => {
                    step.command.push('\n');
                    step.command.push_str(line.strip_prefix("> ").unwrap_or_default());
                }
                (None, Some(step)) => step.printed.push(line.to_owned()),
                (None, None) => panic!("line {number}: output of no command"),
            },
        }
    }
    steps
}

/// Whether a line is as said, `…` being any text.
fn line_fits(said: &str, line: &str) -> bool {
    let mut parts = said.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        (rest, last) = (behind, Some(part));
    }
    // The last part stands at the end, and may have been found too early.
    rest.is_empty() || last.is_some_and(|part| part.is_empty() || rest.ends_with(part))
}

/// Whether all lines are as said, a line `…` being any lines.
fn fits(said: &[String], lines: &[&str]) -> bool {
    match said.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "…" => (0..=lines.len()).any(|n| fits(rest, &lines[n..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, lines)| line_fits(first, line) && fits(rest, lines))
        }
    }
}

/// Types everything of a document, in the home directory of somebody whose daemon runs.
#[track_caller]
fn works_as_typed(document: &str) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document));
    let text = text.expect("the document is there");
    let daemon = TempDaemon::start("processes: {}\n");
    let home = daemon.dir();
    fs::create_dir_all(home.join(".config")).expect("a new directory");
    symlink(home.join("config"), home.join(".config/dd-procmgrd")).expect("a new link");
    let bin = binary("pm-cli").expect("it is built");
    let bin = bin.parent().expect("it is in a directory").display();
    let path = format!("{bin}:{}", std::env::var("PATH").expect("everybody has one"));
    let steps = steps(&text);
    assert!(steps.len() > 5, "{document} has hardly anything to type");
    for Step { line, command, printed } in steps {
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("exec 2>&1\n{command}")]).current_dir(home).env_clear();
        bash.env("PATH", &path).env("HOME", home).env("PM_SOCKET", daemon.socket()).env("LANG", "C.UTF-8");
        let done = run(&mut bash).expect("bash can be executed");
        let lines: Vec<&str> = done.stdout.lines().collect();
        assert!(
            fits(&printed, &lines),
            "{document}:{line}: $ {command}\nprinted (exit code {})\n{}\nand not\n{}\n\nThe daemon's log:\n{}",
            done.code,
            done.stdout,
            printed.join("\n"),
            daemon.log()
        );
    }
}

#[test]
fn the_quick_start_works_as_typed() {
    works_as_typed("docs/QUICKSTART.md");
}

#[test]
fn what_is_said_is_compared() {
    for (said, line) in
        [("", ""), ("a", "a"), ("a…c", "abbc"), ("…", ""), ("…b", "abb"), ("a…b…c", "a b b c")]
    {
        assert!(line_fits(said, line), "{said} {line}");
    }
    for (said, line) in [("", "a"), ("a", "ab"), ("a…c", "abcd"), ("…b", "abc"), ("x…", "y")] {
        assert!(!line_fits(said, line), "{said} {line}");
    }
    let said = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(fits(&said(&["a", "…", "b"]), &["a", "x", "y", "b"]));
    assert!(!fits(&said(&["a", "…", "b"]), &["a", "x", "y"]));
    assert!(!fits(&said(&[]), &["a"]));
    let steps = steps("x\n```console\n$ cat <<END\n> a\n>\n> END\na\n\n$ true\n```\n");
    assert_eq!((steps[0].command.as_str(), steps[0].line), ("cat <<END\na\n\nEND", 3));
    assert_eq!(steps[0].printed, ["a", ""]);
    assert_eq!(steps[1].command, "true");
}
