//! What the documents tell people to type, typed: each block ```` ```console ```` of them, one after the other, on one
//! daemon, with what they say is printed. A comment `<!-- console` is such a block that readers don't see: what stands
//! behind an example.
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
    // The line that ends the block.
    let mut inside: Option<&str> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (inside, line) {
            (None, "```console") => inside = Some("```"),
            (None, "<!-- console") => inside = Some("-->"),
            (Some(end), _) if line == end => inside = None,
            (None, _) => {}
            (Some(_), _) => match (line.strip_prefix("$ "), steps.last_mut()) {
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
fn works_as_typed(document: &str, least: usize) {
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
    assert!(steps.len() >= least, "{document} has hardly anything to type");
    for Step { line, command, printed } in steps {
        // What waits for something that never comes fails, with its line.
        let mut bash = Command::new("timeout");
        bash.args(["60", "bash", "-c", &format!("exec 2>&1\n{command}")]).current_dir(home).env_clear();
        bash.env("PATH", &path).env("HOME", home).env("PM_SOCKET", daemon.socket()).env("LANG", "C.UTF-8");
        // A daemon of this machine may have its token where pm-cli looks for one.
        bash.env("PM_TOKEN_FILE", "/dev/null");
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
    works_as_typed("docs/QUICKSTART.md", 20);
}

#[test]
fn troubleshooting_works_as_typed() {
    works_as_typed("docs/TROUBLESHOOTING.md", 40);
}

#[test]
fn the_answers_work_as_typed() {
    works_as_typed("docs/FAQ.md", 15);
}

#[test]
fn the_page_on_logs_works_as_typed() {
    works_as_typed("docs/LOGS.md", 10);
}

#[test]
fn the_checklist_works_as_typed() {
    works_as_typed("docs/SECURITY_CHECKLIST.md", 2);
}

#[test]
fn coming_from_another_supervisor_works_as_typed() {
    works_as_typed("docs/MIGRATION.md", 3);
}

/// A file of definitions with what stands in a document: that itself, or some keys of a process.
fn definitions(block: &str) -> String {
    let whole = |line: &str| line.starts_with("processes:") || line.starts_with("defaults:");
    if block.lines().any(whole) {
        return block.to_owned();
    }
    let keys = block.lines().map(|line| format!("    {line}\n"));
    format!("processes:\n  web:\n    command: /usr/bin/web\n{}", keys.collect::<String>())
}

#[test]
fn the_definitions_in_the_documents_are_valid() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut seen = 0;
    for document in ["LOGS", "LIMITS", "MIGRATION"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/{document}.md"));
        let text = fs::read_to_string(path).expect("the document is there");
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            let file = dir.path().join("p.yaml");
            fs::write(&file, definitions(block)).expect("a file");
            let mut validate = Command::new(binary("pm-cli").expect("it is built"));
            validate.arg("validate").arg(&file).env_clear().env("HOME", dir.path());
            let done = run(&mut validate).expect("it can be executed");
            assert!(
                done.code == 0 && done.stdout.contains(" 0 warnings"),
                "{document}: {block}\n{}",
                done.stderr
            );
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen}");
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
    let hidden = steps("<!-- console\n$ a\nb\n-->\n$ c\n```console system\n$ d\n```\n");
    assert_eq!(hidden.iter().map(|step| step.command.as_str()).collect::<Vec<_>>(), ["a"]);
    let steps = steps("x\n```console\n$ cat <<END\n> a\n>\n> END\na\n\n$ true\n```\n");
    assert_eq!((steps[0].command.as_str(), steps[0].line), ("cat <<END\na\n\nEND", 3));
    assert_eq!(steps[0].printed, ["a", ""]);
    assert_eq!(steps[1].command, "true");
}
