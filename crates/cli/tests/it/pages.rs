//! The manual: pm-cli(1) out of the command line itself, processes.yaml(5) out of the table of keys.
//!
//! `UPDATE_DOCS=1 cargo test -p cli --test it pages` writes packaging/man anew. dd-procmgrd.8 is written by hand, and
//! checked beside the daemon's command line.

mod markdown;
mod roff;

use std::path::Path;

use clap::{Arg, Command};
use roff::Page;

/// Compares a page with what is packaged.
fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/man").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(found.lines().chain(std::iter::repeat(""))).find(|(new, old)| new != old);
    assert!(
        text == found,
        "packaging/man/{name} is out of date (UPDATE_DOCS=1 cargo test -p cli --test it pages): {differs:?}"
    );
}

#[test]
fn the_page_of_the_program_is_up_to_date() {
    let mut command = cli::command();
    command.build();
    check("pm-cli.1", &program(&command));
}

#[test]
fn the_page_of_the_configuration_is_up_to_date() {
    let mut page = Page::new("processes.yaml", 5, "File Formats");
    page.section("Name");
    page.text("processes.yaml \u{2d} the processes that dd-procmgrd runs");
    page.section("Synopsis");
    page.text("`/etc/dd-procmgrd/processes.yaml`, `~/.config/dd-procmgrd/processes.yaml`");
    page.section("Description");
    markdown::append(&mut page, &config::markdown());
    page.section("See also");
    page.text("**pm-cli**(1), **dd-procmgrd**(8)");
    check("processes.yaml.5", &page.finish());
}

#[test]
fn every_verb_and_option_is_in_the_manual() {
    let mut command = cli::command();
    command.build();
    let page = program(&command);
    for verb in verbs(&command) {
        assert!(
            page.contains(&format!(".SS \"{}", verb.get_name().replace('-', "\\-"))),
            "{}",
            verb.get_name()
        );
        let shown = verb.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long);
        for option in shown.filter(|option| *option != "help") {
            assert!(page.contains(&option.replace('-', "\\-")), "{} --{option}", verb.get_name());
        }
    }
}

fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help")
}

fn program(command: &Command) -> String {
    let mut page = Page::new("pm-cli", 1, "User Commands");
    page.section("Name");
    page.text("pm-cli \u{2d} controls dd-procmgrd, the process manager");
    page.section("Synopsis");
    page.text(
        "**pm-cli** [*OPTIONS*] *VERB* [*ARGS*]".replace('*', "").replace("pm-cli", "**pm-cli**").as_str(),
    );
    page.section("Description");
    page.text("Data goes to standard output, everything else to standard error.");
    for paragraph in command.get_after_help().map(ToString::to_string).unwrap_or_default().split("\n\n") {
        if !paragraph.starts_with("Exit codes") {
            page.paragraph(paragraph);
        }
    }
    page.section("Options of every verb");
    options(&mut page, command, Arg::is_global_set);
    page.section("Verbs");
    for verb in verbs(command) {
        describe(&mut page, verb, "");
    }
    page.section("Exit status");
    for (code, meaning) in [
        ("0", "done; also when the reader of a pipe went away"),
        ("1", "refused or failed; a reload or a plan with errors; is-enabled: none of them is enabled"),
        ("2", "the command line is wrong"),
        ("3", "is-active: none of them is up"),
        ("4", "no such process, or a group without members"),
        ("5", "no daemon answers, or one of several does not"),
    ] {
        page.option(code, meaning);
    }
    page.paragraph("With several names it is that of the first failure.");
    page.section("Environment");
    for (variable, meaning) in [
        ("PM_SOCKET, PM_HOST, PM_CONTEXT", "as `--socket`, `--host` and `--context`, which win over them"),
        ("PM_TOKEN_FILE", "file with the token to present over TCP"),
        ("PM_BIND_ADDRESS", "the TCP address that is tried last, 127.0.0.1:50051 without it"),
        ("NO_COLOR", "no colors when it is set to something"),
        ("VISUAL, EDITOR", "the editor of `edit`"),
        (
            "XDG_CONFIG_HOME, XDG_RUNTIME_DIR",
            "where saved contexts and the own daemon's socket are looked for",
        ),
    ] {
        page.option(variable, meaning);
    }
    page.section("Files");
    for (path, meaning) in [
        ("~/.config/dd-procmgrd/cli.yaml", "saved contexts"),
        ("$XDG_RUNTIME_DIR/dd-procmgrd/control.sock", "the user's own daemon"),
        ("/run/dd-procmgrd/control.sock", "the system's daemon"),
        ("/run/dd-procmgrd/token", "its token for callers over TCP"),
    ] {
        page.option(path, meaning);
    }
    page.section("Examples");
    page.example(
        "pm-cli create web 'python3 -m http.server' --auto-start\npm-cli status\npm-cli why web\npm-cli logs web -f\n\
         pm-cli update web --env WORKERS=8 --dry-run\npm-cli list --failed -q\npm-cli --context prod-1,prod-2 list",
    );
    page.section("See also");
    page.text("**dd-procmgrd**(8), **processes.yaml**(5)");
    page.finish()
}

/// A verb with its options, and those below it.
fn describe(page: &mut Page, verb: &Command, before: &str) {
    let name = format!("{before}{}", verb.get_name());
    if verb.has_subcommands() {
        for inner in verbs(verb) {
            describe(page, inner, &format!("{name} "));
        }
        return;
    }
    let operands: Vec<String> = verb
        .get_positionals()
        .map(|arg| {
            let word = arg.get_value_names().and_then(<[_]>::first).map_or("ARG", |name| name.as_str());
            let dots = if arg.get_num_args().is_some_and(|n| n.max_values() > 1) { "..." } else { "" };
            if arg.is_required_set() { format!("{word}{dots}") } else { format!("[{word}{dots}]") }
        })
        .collect();
    page.subsection(format!("{name} {}", operands.join(" ")).trim());
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    page.text(&format!("{about}."));
    options(page, verb, |arg| !arg.is_global_set() && !arg.is_positional());
    for paragraph in verb.get_after_help().map(ToString::to_string).unwrap_or_default().split("\n\n") {
        if !paragraph.is_empty() {
            page.paragraph(paragraph);
        }
    }
}

fn options(page: &mut Page, command: &Command, wanted: impl Fn(&Arg) -> bool) {
    for arg in command.get_arguments().filter(|arg| wanted(arg) && !arg.is_hide_set()) {
        let Some(long) = arg.get_long().filter(|long| !["help", "version"].contains(long)) else { continue };
        let short = arg.get_short().map_or(String::new(), |c| format!("-{c}, "));
        let value = arg.get_value_names().and_then(<[_]>::first).filter(|_| arg.get_action().takes_values());
        let optional = arg.get_num_args().is_some_and(|n| n.min_values() == 0);
        let value =
            value.map_or(String::new(), |v| if optional { format!("[={v}]") } else { format!(" {v}") });
        let mut text = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let values: Vec<_> = arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
        if values.len() > 2 || (values.len() == 2 && values != ["true", "false"]) {
            text.push_str(&format!(": {}", values.join(", ")));
        }
        page.option(&format!("{short}--{long}{value}"), &format!("{}.", text.trim_end_matches('.')));
    }
}
