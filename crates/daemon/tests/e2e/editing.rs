//! Changing one process: update, edit, and where each piece of a definition stands.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use testkit::{Finished, TempDaemon};

use crate::support::{process, until_logged};

/// What a script prints of itself, before it waits.
const SHOW: &str = "sh -c 'echo \"$MODE $LEVEL.\"; exec sleep 1000'";

/// `pm-cli edit web` with a shell script as editor, which finds the path of the text in `$1`. What is kept of a text
/// that was refused stays in the directory of the daemon.
fn edit(daemon: &TempDaemon, script: &str) -> Finished {
    let path = daemon.dir().join("editor.sh");
    fs::write(&path, script).expect("the test's own file can be written");
    let editor = format!("sh {}", path.display());
    let tmp = daemon.dir().display().to_string();
    daemon.pm_with(&[("EDITOR", &editor), ("TMPDIR", &tmp)], &["edit", "web"])
}

/// Directories that `edit` left behind.
fn kept(daemon: &TempDaemon) -> Vec<PathBuf> {
    let entries = fs::read_dir(daemon.dir()).expect("a directory").map(|e| e.expect("an entry").path());
    let ours =
        |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("pm-cli-edit"));
    entries.filter(ours).collect()
}

fn is_new_run(old: &Value) -> impl Fn(&Value) -> bool + use<> {
    let old = old["pid"].clone();
    move |p| p["state"] == "running" && p["pid"] != old
}

#[test]
fn an_update_concerns_its_process_and_outlives_the_daemon() {
    let mut daemon = TempDaemon::start(&format!(
        "processes:\n  web: {{command: {SHOW:?}, env: {{MODE: loud, LEVEL: 1}}}}\n  other: {{command: sleep 1000}}\n"
    ));
    let web = daemon.wait_for_state("web", "running");
    let other = daemon.wait_for_state("other", "running");
    // Files that somebody is in the middle of changing.
    daemon.write_config(&format!(
        "processes:\n  web: {{command: {SHOW:?}, env: {{MODE: loud, LEVEL: 2}}}}\n  other: {{command: sleep 1001}}\n  new: {{command: sleep 1000}}\n"
    ));
    let preview =
        daemon.pm(&["update", "web", "--env", "MODE=quiet", "--restart", "always", "--dry-run"]).success();
    let change = "web: restart (env, restart)\n";
    assert_eq!(preview, format!("preview, nothing is changed yet; the update would do this:\n{change}"));
    assert_eq!(process(&daemon, "web").expect("defined")["pid"], web["pid"], "nothing happened");
    assert_eq!(fs::read_dir(daemon.dir().join("state/processes.d")).expect("there").count(), 0);

    let told = daemon.pm(&["update", "web", "--env", "MODE=quiet", "--restart", "always"]).success();
    assert!(told.starts_with(&format!("{change}web: running (pid ")), "{told}");
    let web = daemon.wait_for("web", "get a new run", is_new_run(&web));
    until_logged(&daemon, "web.log", "loud 1.\nquiet 2.\n");
    let others = process(&daemon, "other").expect("defined");
    assert_eq!((&others["pid"], &others["command_line"]), (&other["pid"], &"sleep 1000".into()));
    assert_eq!(process(&daemon, "new"), None);
    assert_eq!(daemon.pm(&["reload-config"]).success(), "new: start\nother: restart (args)\n");

    // Hot ones keep the run, those that differ in nothing do nothing.
    assert_eq!(
        daemon.pm(&["update", "web", "--restart", "on-failure"]).success(),
        "web: change without a restart (restart)\n"
    );
    assert_eq!(daemon.pm(&["update", "web", "--restart", "on-failure"]).success(), "web: nothing changed\n");
    assert_eq!(process(&daemon, "web").expect("defined")["pid"], web["pid"]);
    // A variable more, and none of those before is lost.
    daemon.pm(&["update", "web", "--env", "LEVEL=3"]).success();
    until_logged(&daemon, "web.log", "quiet 3.\n");
    daemon.restart();
    daemon.wait_for_state("web", "running");
    until_logged(&daemon, "web.log", "quiet 3.\nquiet 3.\n");
    let shown = daemon.pm(&["cat", "web"]).success();
    assert!(shown.contains("env:\n  LEVEL: \"3\"\n  MODE: quiet\nrestart: on-failure"), "{shown}");
    // Taken back, the file decides again.
    let told = daemon.pm(&["update", "web", "--unset", "env.MODE,env.LEVEL,restart"]).success();
    assert!(told.starts_with("web: restart (env)\nweb: running (pid "), "{told}");
    until_logged(&daemon, "web.log", "loud 2.\n");
    assert!(!daemon.pm(&["cat", "web"]).success().contains("pm-cli"));
}

#[test]
fn an_update_that_is_refused_changes_nothing() {
    let daemon = TempDaemon::start(
        "processes:\n  web: {command: sleep 1000}\n  db: {command: sleep 1000, after: [web]}\n",
    );
    let web = daemon.wait_for_state("web", "running");
    for (args, code, told) in [
        (&["--unset", "enviroment"][..], 1, "did you mean `env"),
        (&["--after", "db"], 1, "wait for each other: web -> db (`after`) -> web (`after`)"),
        (&["--restart", "allways"], 2, "always"),
        (&["--kill-signal", "NOPE"], 2, "NOPE"),
        (&["--pidfile", "/run/x"], 1, "forking"),
        (&[], 2, "nothing to change"),
        (&["--", "sh", "-c", "exit", "--dry-run"], 0, ""),
    ] {
        let answer = daemon.pm(&[&["update", "web"], args].concat());
        if code == 0 {
            // All words behind the -- are the command's.
            answer.success();
            daemon.pm(&["update", "web", "--unset", "command,args"]).success();
            continue;
        }
        assert_eq!((answer.code, answer.stderr.contains(told)), (code, true), "{args:?}: {answer}");
        assert_eq!(process(&daemon, "web").expect("defined")["pid"], web["pid"]);
        assert_eq!(
            fs::read_dir(daemon.dir().join("state/processes.d")).expect("there").count(),
            0,
            "{args:?}"
        );
    }
    daemon.pm(&["update", "nobody", "--pty"]).failure(4);
}

#[test]
fn an_override_wins_over_the_shipped_file_until_it_is_removed() {
    let daemon = TempDaemon::start("processes: {}\n");
    let shipped = format!(
        "processes:\n  web: {{command: {SHOW:?}, env: {{MODE: shipped, LEVEL: 1}}, restart_sec: 7}}\n"
    );
    let dir = daemon.dir().join("config/processes.d");
    fs::create_dir(&dir).expect("a new directory");
    fs::write(dir.join("web.yaml"), shipped).expect("a new file");
    daemon.pm(&["reload-config"]).success();
    let web = daemon.wait_for_state("web", "running");

    let script = "cp \"$1\" seen.txt; printf 'restart_sec: 2\\nenv:\\n  MODE: mine\\n' >> \"$1\"";
    let saved = edit(&daemon, script).success();
    let path = daemon.override_path("web").display().to_string();
    let expected = format!("web: {path} saved\nweb: restart (env, restart_sec)\nweb: running (pid ");
    assert!(saved.starts_with(&expected), "{saved}");
    let web = daemon.wait_for("web", "get a new run", is_new_run(&web));
    until_logged(&daemon, "web.log", "shipped 1.\nmine 1.\n");
    assert_eq!(fs::read_to_string(&path).expect("there").trim(), "restart_sec: 2\nenv:\n  MODE: mine");
    let seen = fs::read_to_string(daemon.dir().join("seen.txt")).expect("there");
    assert!(
        seen.contains(&path) && seen.contains("#   MODE: shipped"),
        "the editor shows what there is: {seen}"
    );

    // Every piece with its place, later ones win.
    daemon.pm(&["update", "web", "--env", "LEVEL=9"]).success();
    until_logged(&daemon, "web.log", "mine 9.\n");
    let origins: Vec<String> = daemon
        .pm(&["cat", "web"])
        .success()
        .lines()
        .filter_map(|l| l.strip_prefix("# ").map(str::to_owned))
        .collect();
    let file = dir.join("web.yaml").display().to_string();
    assert_eq!(origins, [format!("{file}:2"), format!("{path}:1"), "pm-cli create/update".to_owned()]);
    let cat = daemon.pm(&["cat", "web", "-o", "json"]).json();
    let texts: Vec<&str> = cat["processes"][0]["fragments"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| f["text"].as_str().expect("a text"))
        .collect();
    assert!(texts[0].contains("restart_sec: 7") && texts[1].contains("restart_sec: 2"), "{texts:?}");
    assert!(texts[2].contains("LEVEL: \"9\"") && !texts[2].contains("restart_sec"), "{texts:?}");

    // The next sitting begins with what is stored; without any key it is removed.
    let web = daemon.wait_for("web", "get a new run", is_new_run(&web));
    let removed = edit(&daemon, "grep -q '^restart_sec: 2' \"$1\" && : > \"$1\"").success();
    let expected = format!("web: {path} removed\nweb: restart (env, restart_sec)\nweb: running (pid ");
    assert!(removed.starts_with(&expected), "{removed}");
    daemon.wait_for("web", "get a new run", is_new_run(&web));
    until_logged(&daemon, "web.log", "shipped 9.\n");
    assert!(!daemon.override_path("web").exists());
    assert_eq!(kept(&daemon), Vec::<PathBuf>::new());
    assert_eq!(daemon.pm(&["reload-config"]).success(), "nothing changed\n");
}

#[test]
fn a_text_that_is_refused_changes_nothing_and_is_not_lost() {
    let daemon = TempDaemon::start("processes:\n  web: {command: sleep 1000}\n");
    let web = daemon.wait_for_state("web", "running");
    let unchanged = || {
        assert!(!daemon.override_path("web").exists());
        let now = process(&daemon, "web").expect("defined");
        assert_eq!((&now["pid"], &now["problem"]), (&web["pid"], &Value::Null));
    };
    // The typing error that systemd only warns of.
    let refused = edit(&daemon, "echo 'Enviroment: {APP_ENV: production}' >> \"$1\"").failure(1);
    for told in ["overrides.d/web.yaml:", "`Enviroment` is not a known key", "did you mean `env`?"] {
        assert!(refused.contains(told), "{told}: {refused}");
    }
    unchanged();
    let told = refused.lines().find_map(|l| l.strip_prefix("your text is kept in ")).expect("a path");
    let (place, way_on) = told.split_once("; ").expect("and how to go on");
    assert!(way_on.ends_with(&format!("EDITOR='cp {place}' pm-cli edit web")), "{way_on}");
    assert!(fs::read_to_string(place).expect("it is there").contains("Enviroment: {APP_ENV: production}"));
    for (script, told) in [
        ("echo 'restart: allways' >> \"$1\"", "did you mean `always`?"),
        ("echo 'env: [' >> \"$1\"", "overrides.d/web.yaml:"),
        ("echo 'requires: [web]' >> \"$1\"", "wait"),
        ("echo 'command: \"\"' >> \"$1\"", "command"),
        ("echo 'restart: always' >> \"$1\"; exit 3", "editor"),
        ("rm \"$1\"", "can't read what the editor wrote"),
    ] {
        let refused = edit(&daemon, script).failure(1);
        assert!(refused.contains(told), "{script}: {refused}");
        unchanged();
    }
    // Looking changes nothing and leaves nothing.
    let before = kept(&daemon).len();
    assert_eq!(edit(&daemon, ":").success(), "web: nothing changed\n");
    assert_eq!(edit(&daemon, "echo '# a comment' >> \"$1\"").success(), "web: nothing changed\n");
    assert_eq!(kept(&daemon).len(), before);
    unchanged();
    // What is written by hand, without the daemon, is checked all the same.
    daemon.write_override("web", "Enviroment: {APP_ENV: production}\n");
    let told = daemon.pm(&["reload-config"]).failure(1);
    assert!(told.contains("overrides.d/web.yaml:1:1") && told.contains("did you mean `env`?"), "{told}");
    assert_eq!(process(&daemon, "web").expect("defined")["pid"], web["pid"]);
    // And can be repaired in the editor.
    let web_path = daemon.override_path("web");
    assert!(edit(&daemon, "sed -i s/Enviroment/env/ \"$1\"").success().contains("web: restart (env)"));
    assert_eq!(fs::read_to_string(web_path).expect("there").trim(), "env: {APP_ENV: production}");
    daemon.wait_for("web", "get a new run", is_new_run(&web));
    assert_eq!(process(&daemon, "web").expect("defined")["problem"], Value::Null);
}

#[test]
fn two_that_edit_at_the_same_time_lose_nothing() {
    let daemon = TempDaemon::start("processes:\n  web: {command: sleep 1000}\n");
    daemon.wait_for_state("web", "running");
    let path = daemon.override_path("web");
    let other = format!(
        "mkdir -p {0}; echo 'restart_sec: 3' > {1}; echo 'restart_sec: 4' >> \"$1\"",
        path.parent().expect("a directory").display(),
        path.display()
    );
    let refused = edit(&daemon, &other).failure(1);
    assert!(refused.contains("changed by somebody else") && refused.contains("pm-cli edit web"), "{refused}");
    assert_eq!(fs::read_to_string(path).expect("there"), "restart_sec: 3\n");
    assert_eq!(kept(&daemon).len(), 1);
}
