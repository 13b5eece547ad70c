//! The verbs that act on several processes, change definitions and answer scripts.

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, run};

fn daemon() -> Daemon {
    Daemon::start(tables::crowd(), &[])
}

#[test]
fn groups() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli start @shop")
        .run("pm-cli stop cache @front bbbb00000001 web cccc")
        .run("pm-cli restart @shpo web @nope")
        .run("pm-cli reset old @all")
        .run("pm-cli delete @front")
        .run("pm-cli start @front")
        .run("pm-cli logs @shop")
        .check("groups");
    let empty = Daemon::start(vec![], &[]);
    Transcript::new(&empty).run("pm-cli start @all").run("pm-cli start @x").check("groups_empty");
}

#[test]
fn who_goes_down_along_is_told() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli start api")
        .run("pm-cli stop api")
        .run("pm-cli stop cache")
        .run("pm-cli stop db --no-wait")
        .run("pm-cli restart cache")
        .run("pm-cli delete api")
        .run("pm-cli delete api --force")
        .run("pm-cli delete api db web -o json")
        .run("pm-cli disable cache --now")
        .check("along");
}

#[test]
fn what_a_newcomer_mistypes() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli create x sleep 10 --autostart")
        .run("pm-cli create x sleep 10 --memory-mx 5M --port 80")
        .run("pm-cli create y sleep 10 --user nosuch")
        .run("pm-cli create z sleep 10 --user nosuch --dry-run -o json")
        .run("pm-cli completion")
        .run("pm-cli create x --command 'sleep 10'")
        .run("pm-cli create x sleep 10 --health-interval 1s")
        .run("pm-cli update old --health-interval 1s")
        .run("pm-cli wait old --for healthy")
        .run("pm-cli list --host http://x:1")
        .run("pm-cli list --host x:port")
        .run("pm-cli export -o name")
        .run("pm-cli validate -o name")
        .run("pm-cli events --since nonsense")
        .run("pm-cli cat gone")
        .run("pm-cli delete gone")
        .run("pm-cli delete nope")
        .check("mistypes");
}

#[test]
fn reload_kill_reset() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli reload cache")
        .run("pm-cli reload cache db")
        .run("pm-cli reload cache -o json")
        .run("pm-cli kill cache")
        .run("pm-cli kill cache -s hup --all")
        .run("pm-cli kill @shop --signal 10")
        .run("pm-cli kill cache -s TREM")
        .run("pm-cli reset db old")
        .run("pm-cli reset nope")
        .check("reload_kill_reset");
    // A call for each of a group is made at the same time as the others.
    let mut signals = daemon.signals();
    signals[2..].sort();
    assert_eq!(signals, ["cache SIGTERM", "cache SIGHUP all", "api SIGUSR1", "cache SIGUSR1", "web SIGUSR1"]);
}

#[test]
fn enable_and_disable() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli enable api cache")
        .run("pm-cli enable api db --now")
        .run("pm-cli disable --now cache")
        .run("pm-cli disable cache -o json")
        .run("pm-cli enable nope")
        .run("pm-cli is-enabled cache")
        .run("pm-cli is-enabled api")
        .run("pm-cli is-enabled @shop")
        .run("pm-cli is-enabled api nope")
        .run("pm-cli is-enabled api cache -o json")
        .check("enable_and_disable");
    let switched: Vec<_> =
        daemon.updates().into_iter().map(|u| (u.definition.auto_start, u.dry_run, u.unset.len())).collect();
    assert_eq!(switched[0], (Some(true), false, 0));
    assert_eq!(switched.last(), Some(&(Some(false), false, 0)));
}

#[test]
fn is_active() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli is-active cache")
        .run("pm-cli is-active migrate")
        .run("pm-cli is-active db")
        .run("pm-cli is-active db old cache")
        .run("pm-cli is-active db old")
        .run("pm-cli is-active nope")
        .run("pm-cli is-active cache nope @x")
        .run("pm-cli is-active db cache --output json")
        .check("is_active");
    let socket = daemon.socket();
    for (line, expected) in [
        ("pm-cli is-active -q cache", 0),
        ("pm-cli is-active -q db", 3),
        ("pm-cli is-active -q db -o json", 3),
        ("pm-cli is-enabled --quiet api", 1),
    ] {
        let (code, out, err) = run(line, &[("PM_SOCKET", &socket)], None, false);
        assert_eq!((code, out.as_str(), err.as_str()), (expected, "", ""), "{line}");
    }
}

#[test]
fn plan() {
    let error = "error: unknown key `restrat`\n --> processes.yaml:12:5\n";
    let broken = Daemon::start(tables::table(), &[error]);
    Transcript::new(&broken).run("pm-cli plan").run("pm-cli plan -o json").check("plan_with_errors");
    let fine = Daemon::start(tables::table(), &[]);
    let empty = Daemon::start(vec![], &[]);
    let mut transcript = Transcript::new(&fine);
    transcript.run("pm-cli plan").run("pm-cli reload-config --dry-run").run("pm-cli reload-config");
    let (code, out, err) = run("pm-cli plan", &[("PM_SOCKET", &empty.socket())], None, false);
    transcript.add("pm-cli plan (nothing to do)", code, &out, &err);
    transcript.check("plan");
}

#[test]
fn cat() {
    let daemon = daemon();
    daemon.override_with("web", "restart: never\n");
    Transcript::new(&daemon)
        .run("pm-cli cat web")
        .run("pm-cli cat @shop")
        .run("pm-cli cat cccc -o json")
        .run("pm-cli cat nope")
        .check("cat");
}

#[test]
fn update() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli update web --env WORKERS=8 --dry-run")
        .run("pm-cli update web --env WORKERS=8")
        .run("pm-cli update cccc --auto-start=false")
        .run("pm-cli update web --pty --dry-run")
        .run("pm-cli update web --restart always --unset user,group")
        .run("pm-cli update web --user nosuch --dry-run")
        .run("pm-cli update web --unset stdot")
        .run("pm-cli update web --env A=1 --dry-run -o json")
        .run("pm-cli update web")
        .run("pm-cli update nope --pty")
        .check("update");
    let updates = daemon.updates();
    assert!(updates[0].dry_run && !updates[1].dry_run);
    assert_eq!(updates[4].unset, ["user", "group"]);
    assert_eq!(updates[4].definition.restart, Some(model::RestartPolicy::Always));
}
