//! What bites somebody who is new: a reload that would end a program, a change that is answered before it is up, settings
//! of a process that is gone.

use testkit::TempDaemon;

use crate::support::{pid, process, until_state};

const ONE: &str = "processes:\n  web: {command: sleep 1000}\n";

#[test]
fn a_reload_that_would_end_the_program_is_refused() {
    let daemon = TempDaemon::start(ONE);
    let before = until_state(&daemon, "web", "running");
    let error = daemon.pm(&["reload", "web"]).failure(1);
    for part in ["doesn't handle SIGHUP", "`exec_reload`", "`reload_signal`", "pm-cli restart web"] {
        assert!(error.contains(part), "{error}");
    }
    let error = daemon.pm(&["reload", "@all"]).failure(1);
    assert!(error.contains("web was not reloaded"), "{error}");
    assert_eq!(pid(&process(&daemon, "web").expect("defined")), pid(&before), "it runs on");
    // Whoever means the signal itself has a verb for that.
    daemon.pm(&["kill", "web", "-s", "HUP"]).success();
}

#[test]
fn an_update_tells_what_became_of_it() {
    let daemon = TempDaemon::start(ONE);
    let before = until_state(&daemon, "web", "running");
    let told = daemon.pm(&["update", "web", "--env", "A=1"]).success();
    let after = process(&daemon, "web").expect("defined");
    assert_eq!(told, format!("web: restart (env)\nweb: running (pid {})\n", pid(&after)));
    assert_ne!(pid(&before), pid(&after));
    let error = daemon.pm(&["update", "web", "--", "/nowhere/to/be/found"]).failure(1);
    assert!(error.contains("web could not start") && error.contains("--unset KEY"), "{error}");
    // The change stays, and what corrects it is tried at once.
    let told = daemon.pm(&["update", "web", "--unset", "command,args"]).success();
    let now = process(&daemon, "web").expect("defined");
    assert!(told.ends_with(&format!("web: running (pid {})\n", pid(&now))), "{told}");
    let told = daemon.pm(&["update", "web", "--description", "x"]).success();
    assert_eq!(told, "web: change without a restart (description)\n");
}

#[test]
fn what_is_so_already_is_not_written_down() {
    let daemon = TempDaemon::start(ONE);
    until_state(&daemon, "web", "running");
    assert_eq!(daemon.pm(&["enable", "web"]).success(), "web: enabled already\n");
    let text = daemon.pm(&["cat", "web"]).success();
    assert!(!text.contains("pm-cli create/update"), "{text}");
    daemon.pm(&["disable", "web"]).success();
    assert_eq!(daemon.pm(&["disable", "web"]).success(), "web: disabled already\n");
    assert_eq!(daemon.pm(&["enable", "web"]).success(), "web: enabled\n");
}

#[test]
fn settings_of_a_process_that_is_gone_are_seen_and_removed() {
    let daemon = TempDaemon::start(&format!("{ONE}  other: {{command: sleep 1000}}\n"));
    until_state(&daemon, "other", "running");
    daemon.pm(&["update", "other", "--description", "set once"]).success();
    daemon.write_config(ONE);
    let plan = daemon.pm(&["plan"]).success();
    assert!(plan.contains("other: stop and remove\n"), "{plan}");
    daemon.pm(&["reload-config"]).success();
    let status = daemon.pm(&["status"]).success();
    assert!(status.contains("pm-cli delete other"), "{status}");
    let text = daemon.pm(&["cat", "other"]).success();
    assert!(text.contains("set once"), "{text}");
    let told = daemon.pm(&["delete", "other"]).success();
    assert!(told.contains("is removed"), "{told}");
    daemon.pm(&["cat", "other"]).failure(4);
    daemon.pm(&["delete", "other"]).failure(4);
}

#[test]
fn a_plan_tells_what_is_added_and_not_started() {
    let daemon = TempDaemon::start(ONE);
    until_state(&daemon, "web", "running");
    daemon.write_config(&format!("{ONE}  lazy: {{command: sleep 1000, auto_start: false}}\n"));
    let plan = daemon.pm(&["plan"]).success();
    assert!(plan.contains("lazy: add, not started (auto_start is false)\n"), "{plan}");
    let report = daemon.pm(&["reload-config"]).success();
    assert_eq!(report, "lazy: add, not started (auto_start is false)\n");
    assert_eq!(process(&daemon, "lazy").expect("defined")["state"], "stopped");
}

#[test]
fn a_start_names_those_that_are_started_along_and_a_stop_those_that_wait() {
    let daemon = TempDaemon::start(
        "defaults: {auto_start: false}\nprocesses:\n  other: {command: sleep 1000}\n  db: {command: sleep 1000}\n  \
         api: {command: sleep 1000, requires: [db]}\n  web: {command: sleep 1000, requires: [api], wants: [nosuch]}\n",
    );
    for (words, told) in [
        (["start", "web"], "also starts: api, db"),
        (["start", "web"], ""),
        (["stop", "db"], "also stops: api, web\nthey wait, and come back when db is started again"),
        (["start", "@all"], ""),
    ] {
        let said = daemon.pm(&words);
        assert_eq!(said.stderr.trim(), told, "{words:?}");
        said.success();
    }
}

#[test]
fn a_file_that_lies_here_and_not_where_the_process_runs_is_told() {
    let daemon = TempDaemon::start("processes: {}\n");
    std::fs::write(daemon.dir().join("server.py"), "").expect("the test's own file");
    let told = |words: &[&str]| {
        let said = daemon.pm(words);
        let stderr = said.stderr.clone();
        said.success();
        stderr.lines().find(|line| line.contains("is a file here")).map(str::to_owned)
    };
    let warning =
        "warning: server.py is a file here, and the process runs in /: give --working-dir . or the full path";
    assert_eq!(told(&["create", "a", "--", "python3", "-u", "server.py"]).as_deref(), Some(warning));
    assert_eq!(told(&["create", "b", "python3 server.py", "--dry-run"]).as_deref(), Some(warning));
    assert_eq!(told(&["create", "c", "--working-dir", ".", "--", "python3", "server.py"]), None);
    assert_eq!(told(&["create", "d", "--", "python3", "nosuch", "/etc/hostname", "."]), None);
}
