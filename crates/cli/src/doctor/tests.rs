//! Facts as they are on machines that are well, and on machines that are not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::Wall;
use rpc::v1;

use super::facts::{
    Answer, Capabilities, Definitions, Disk, Facts, Journal, Meta, Metrics, Proc, Role, Scrape, Seen,
    Silence, Unit,
};
use super::show;
use super::table::{CHECKS, markdown};
use super::{Found, Verdict, examine};
use crate::render::Paint;
use crate::when::Clock;

/// 2026-11-20
const NOW: Wall = Wall(1_795_199_850_000_000_000);
const EVIL: &str = "EVIL\x1b[2J\x1b[31m\x07\u{9b}1m\u{202e}\r\x7f\nok           forged";

fn listener(role: &str, address: &str, state: v1::ListenerState) -> v1::Listener {
    v1::Listener { role: role.into(), address: address.into(), state: state.into(), ..Default::default() }
}

fn seen(role: Role, path: &str, uid: u32, mode: u32) -> Seen {
    let directory = !path.contains('.') && role != Role::Token;
    let meta = Meta { uid, gid: uid, mode, directory, open: true };
    Seen { role, path: path.into(), meta: Ok(Some(meta)) }
}

fn process(name: &str, state: v1::State) -> v1::Process {
    let definition = v1::ProcessDefinition { user: Some("web".into()), ..Default::default() };
    v1::Process {
        name: name.into(),
        state: state.into(),
        definition: Some(definition.into()),
        ..Default::default()
    }
}

/// A machine on which all is well, as root sees it.
fn well() -> Facts {
    use v1::ListenerState::Listening;
    let status = v1::DaemonStatus {
        version: "1.2.3".into(),
        pid: 77,
        ready: true,
        caller_role: "admin".into(),
        containment: "cgroup".into(),
        last_reload: Some(v1::ReloadResult { ok: true, ..Default::default() }),
        listeners: vec![
            listener("control socket", "/run/dd-procmgrd/control.sock", Listening),
            listener("control tcp", "127.0.0.1:50051", Listening),
            listener("metrics", "127.0.0.1:9090", Listening),
        ],
        ..Default::default()
    };
    let limit =
        [("LogRateLimitIntervalUSec", "1s"), ("LogRateLimitBurst", "1000000"), ("UnitFileState", "enabled")];
    let disk = Disk { bytes: 100 << 30, bytes_free: 50 << 30, inodes: 1000, inodes_free: 900 };
    Facts {
        clock: Clock { now: NOW, zone: jiff::tz::TimeZone::UTC },
        uid: 0,
        own_version: "1.2.3".into(),
        here: Ok(()),
        daemon: Ok(Answer { at: "/run/dd-procmgrd/control.sock".into(), status }),
        processes: Ok(vec![process("web", v1::State::Running)]),
        definitions: Ok(Definitions {
            main: "/etc/p.yaml".into(),
            exists: true,
            good: 1,
            ..Default::default()
        }),
        files: Ok(vec![
            seen(Role::Config, "/etc/p.yaml", 0, 0o640),
            seen(Role::State, "/var/lib/dd-procmgrd", 0, 0o755),
            seen(Role::Made, "/var/lib/dd-procmgrd/processes", 0, 0o700),
            seen(Role::Runtime, "/run/dd-procmgrd", 0, 0o755),
            seen(Role::Socket, "/run/dd-procmgrd/control.sock", 0, 0o666),
            seen(Role::Token, "/run/dd-procmgrd/token", 0, 0o640),
            seen(Role::Program, "/usr/bin/dd-procmgrd", 0, 0o755),
        ]),
        proc: Proc {
            capabilities: Ok(Capabilities { effective: u64::MAX, bounding: u64::MAX }),
            exe: Ok("/usr/bin/dd-procmgrd".into()),
            nofile: Ok(1024),
            user: Some("root".into()),
        },
        metrics: Metrics::Answers(Scrape { status: 200, own: true, open_fds: Some(20), ..Scrape::default() }),
        journal: Journal::Takes("/run/systemd/journal/socket".into()),
        unit: Ok(Unit {
            name: "dd-procmgrd.service".into(),
            user: false,
            properties: limit.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        }),
        disks: vec![("log files", "/var/log/dd-procmgrd".into(), Ok(disk))],
        installed: BTreeMap::from([("pm-cli", vec![PathBuf::from("/usr/bin/pm-cli")])]),
    }
}

fn status(facts: &mut Facts) -> &mut v1::DaemonStatus {
    &mut facts.daemon.as_mut().unwrap().status
}

/// What one check finds.
fn of<'a>(found: &'a [Found], check: &str) -> Vec<&'a Found> {
    let found: Vec<_> = found.iter().filter(|found| found.check.name == check).collect();
    assert!(!found.is_empty(), "{check} found nothing at all");
    found
}

/// What a change of the facts makes of one check.
#[track_caller]
fn finds(check: &str, verdict: Verdict, text: &str, change: impl FnOnce(&mut Facts)) {
    let mut facts = well();
    change(&mut facts);
    let found = examine(&facts);
    let found = of(&found, check);
    let fits =
        found.iter().any(|found| found.finding.verdict == verdict && found.finding.found.contains(text));
    assert!(fits, "{check}: no {verdict:?} with {text:?} in {found:?}");
}

#[test]
fn a_machine_on_which_all_is_well_is_ok_in_every_check() {
    let found = examine(&well());
    for found in &found {
        assert_eq!(found.finding.verdict, Verdict::Ok, "{found:?}");
    }
    assert!(CHECKS.iter().all(|check| !of(&found, check.name).is_empty()));
}

#[test]
fn every_problem_says_what_it_means_and_what_mends_it() {
    let mut facts = bad();
    for (round, _) in [(0, ()), (1, ())] {
        for Found { check, finding } in examine(&facts) {
            let told = !finding.meaning.is_empty() && !finding.command.is_empty();
            let must = matches!(finding.verdict, Verdict::Warning | Verdict::Problem);
            assert!(!must || told || check.name == "daemon", "{round} {}: {finding:?}", check.name);
            assert!(!finding.found.is_empty(), "{}", check.name);
        }
        facts.daemon = Err(Silence { message: "no daemon answers".into(), hint: "start it".into() });
    }
}

#[test]
fn a_daemon_that_does_not_answer_is_told_in_whole_sentences() {
    let mut facts = well();
    let message =
        "no daemon answers; looked at\n  /a: there is no socket\nno dd-procmgrd is seen running".to_owned();
    facts.daemon = Err(Silence { message, hint: "start it".into() });
    let found = examine(&facts);
    let daemon = found.iter().find(|found| found.check.name == "daemon").unwrap();
    assert_eq!(daemon.finding.found, "no daemon answers");
    assert_eq!(daemon.finding.meaning, "looked at /a: there is no socket; no dd-procmgrd is seen running");
}

/// A machine on which most things are wrong.
fn bad() -> Facts {
    let mut facts = well();
    facts.own_version = "1.2.4".into();
    facts.definitions = Ok(Definitions {
        main: "/etc/p.yaml".into(),
        errors: vec!["error: a\n --> /etc/p.yaml:3:5".into()],
        warnings: vec!["warning: b".into()],
        secrets: vec!["/etc/p.yaml".into()],
        ..Default::default()
    });
    facts.files = Ok([
        Role::Config,
        Role::State,
        Role::Made,
        Role::Socket,
        Role::Runtime,
        Role::Token,
        Role::Program,
        Role::Key,
    ]
    .map(|role| seen(role, "/etc/p.yaml", 7, 0o666))
    .into());
    facts.proc.capabilities = Ok(Capabilities::default());
    facts.proc.exe = Ok("/usr/bin/dd-procmgrd (deleted)".into());
    facts.proc.nofile = Ok(50);
    facts.metrics = Metrics::Silent("connection refused".into());
    facts.journal = Journal::Refuses("/s".into(), "connection refused".into());
    facts.unit.as_mut().unwrap().properties.insert("LogRateLimitBurst".into(), "100".into());
    facts.unit.as_mut().unwrap().properties.insert("UnitFileState".into(), "disabled".into());
    facts.disks[0].2 = Ok(Disk::default());
    let two = vec![PathBuf::from("/usr/bin/pm-cli"), PathBuf::from("/usr/local/bin/pm-cli")];
    facts.installed.insert("pm-cli", two);
    let mut web = process("web", v1::State::CrashLoop);
    web.degraded = Some("memory_high is left out".into());
    facts.processes = Ok(vec![web, process("db", v1::State::Backoff)]);
    status(&mut facts).listeners[2].state = v1::ListenerState::Failed.into();
    status(&mut facts).containment = "subreaper".into();
    facts
}

#[test]
fn a_machine_on_which_most_is_wrong() {
    let found = examine(&bad());
    let fine: Vec<_> =
        found.iter().filter(|f| f.finding.verdict == Verdict::Ok).map(|f| f.check.name).collect();
    // The daemon answers, whoever asks may do everything, the last load was good, the ports are on loopback, the clock is
    // set, and processes have users.
    assert_eq!(fine, ["daemon", "role", "binding", "last-load", "clock", "users"]);
}

#[test]
fn what_would_not_start_for_want_of_a_limit_is_a_problem_and_names_it() {
    let limited = |name: &str, value| {
        let mut process = process(name, v1::State::Running);
        let limits = v1::ResourceLimits { pids_max: Some(v1::Ceiling { value }), ..Default::default() };
        process.definition.get_or_insert_default().resource_limits = Some(limits);
        process
    };
    let mut facts = well();
    facts.processes = Ok(vec![limited("web", Some(9)), limited("free", None)]);
    let found = |facts: &Facts| {
        let all = examine(facts).into_iter().filter(|f| f.check.name == "degraded");
        all.map(|f| (f.finding.verdict, f.finding.found)).collect::<Vec<_>>()
    };
    assert_eq!(found(&facts)[0].0, Verdict::Ok);
    status(&mut facts).containment = "subreaper".into();
    let said = found(&facts);
    assert_eq!(
        (said.len(), said[0].0, said[0].1.as_str()),
        (1, Verdict::Problem, "1 process can't be started: web")
    );
}

#[test]
fn what_may_not_be_looked_at_is_not_checked_and_no_problem() {
    let no = || "your user may not".to_owned();
    let mut facts = well();
    status(&mut facts).caller_role = "viewer".into();
    facts.proc = Proc { capabilities: Err(no()), exe: Err(no()), nofile: Err(no()), user: None };
    facts.files.as_mut().unwrap().iter_mut().for_each(|seen| seen.meta = Err(no()));
    facts.definitions =
        Ok(Definitions { left_out: vec!["/etc/p.yaml".into()], exists: true, ..Default::default() });
    (facts.unit, facts.processes) = (Err(no()), Err(no()));
    (facts.metrics, facts.journal) = (Metrics::Unknown(no()), Journal::Unknown(no()));
    facts.disks[0].2 = Err(no());
    for Found { check, finding } in examine(&facts) {
        let known = [
            "daemon",
            "versions",
            "role",
            "installations",
            "listeners",
            "binding",
            "last-load",
            "cgroup",
            "clock",
        ];
        let wanted = if known.contains(&check.name) { Verdict::Ok } else { Verdict::NotChecked };
        assert_eq!(finding.verdict, wanted, "{}: {finding:?}", check.name);
    }
}

#[test]
fn who_can_write_decides() {
    use Verdict::{Ok as Fine, Problem, Warning};
    let file = |uid, gid, mode, open| {
        move |facts: &mut Facts| {
            let meta = Meta { uid, gid, mode, directory: false, open };
            facts.files.as_mut().unwrap()[0].meta = Ok(Some(meta));
        }
    };
    finds("config-files", Problem, "everybody can write", file(0, 0, 0o646, true));
    finds("config-files", Fine, "0646", file(0, 0, 0o646, false));
    finds("config-files", Warning, "the group 7", file(0, 7, 0o660, true));
    finds("config-files", Fine, "0660", file(0, 0, 0o660, true));
    finds("config-files", Problem, "belongs to uid 7", file(7, 7, 0o600, true));
    finds("config-files", Fine, "0664", |facts| {
        status(facts).uid = 7;
        facts.files.as_mut().unwrap().iter_mut().for_each(|seen| {
            seen.meta = Ok(Some(Meta { uid: 7, gid: 7, mode: 0o664, directory: false, open: true }));
        });
    });
    // Whoever may make files beside the main one may make processes.d.
    finds("config-files", Problem, "/tmp (mode 1777)", |facts| {
        facts.files.as_mut().unwrap().push(seen(Role::Config, "/tmp", 0, 0o1777));
    });
    finds("token", Problem, "everybody can read", |facts| {
        facts.files.as_mut().unwrap().push(seen(Role::Token, "/token", 0, 0o644));
    });
    finds("state-files", Warning, "0755", |facts| {
        facts.files.as_mut().unwrap().push(seen(Role::Made, "/made", 0, 0o755));
    });
}

#[test]
fn secrets_for_everybody() {
    let secret = |mode| {
        move |facts: &mut Facts| {
            facts.definitions.as_mut().unwrap().secrets.push("/etc/p.yaml".into());
            facts.files.as_mut().unwrap()[0] = seen(Role::Config, "/etc/p.yaml", 0, mode);
        }
    };
    finds("secrets", Verdict::Warning, "everybody can read /etc/p.yaml", secret(0o644));
    finds("secrets", Verdict::Ok, "1 file with secrets", secret(0o640));
    finds("secrets", Verdict::Problem, "the key of a certificate", |facts| {
        facts.files.as_mut().unwrap().push(seen(Role::Key, "/k.pem", 0, 0o644));
    });
}

#[test]
fn ports() {
    use Verdict::{NotChecked, Ok as Fine, Problem, Warning};
    let outside = |metrics: Metrics| {
        move |facts: &mut Facts| {
            status(facts).listeners[2].address = "0.0.0.0:9090".into();
            facts.metrics = metrics;
        }
    };
    let answers = |status| Metrics::Answers(Scrape { status, own: true, ..Scrape::default() });
    finds("binding", Warning, "without a password", outside(answers(200)));
    finds("binding", Fine, "a password or a certificate", outside(answers(401)));
    finds("binding", Fine, "a password or a certificate", outside(Metrics::Encrypted));
    finds("binding", NotChecked, "why", outside(Metrics::Unknown("why".into())));
    finds("metrics", Problem, "somebody else", |facts| {
        facts.metrics = Metrics::Answers(Scrape { status: 200, ..Scrape::default() });
    });
    finds("metrics", Warning, "proc", |facts| {
        if let Metrics::Answers(scrape) = &mut facts.metrics {
            scrape.incomplete.push("proc".into());
        }
    });
    finds("metrics", Fine, "switched off", |facts| facts.metrics = Metrics::Off);
    finds("listeners", Problem, "Address already in use", |facts| {
        let listener = &mut status(facts).listeners[2];
        (listener.state, listener.error) =
            (v1::ListenerState::Failed.into(), Some("Address already in use".into()));
    });
}

#[test]
fn what_journald_drops() {
    use Verdict::{Ok as Fine, Warning};
    let limit = |interval: &'static str, burst: &'static str| {
        move |facts: &mut Facts| {
            let properties = &mut facts.unit.as_mut().unwrap().properties;
            properties.insert("LogRateLimitIntervalUSec".into(), interval.into());
            properties.insert("LogRateLimitBurst".into(), burst.into());
        }
    };
    finds("rate-limit", Fine, "1000000 lines in 1s", limit("1s", "1000000"));
    finds("rate-limit", Warning, "10000 lines in 30s", limit("30s", "10000"));
    finds("rate-limit", Warning, "no limit is set", limit("0", "0"));
    finds("rate-limit", Verdict::NotChecked, "does not say", limit("", ""));
    finds("rate-limit", Warning, "a user's unit", |facts| facts.unit.as_mut().unwrap().user = true);
    finds("journald", Verdict::Problem, "does not reach journald", |facts| {
        if let Metrics::Answers(scrape) = &mut facts.metrics {
            scrape.journald = Some(false);
        }
    });
    finds("journald", Verdict::NotChecked, "no journald", |facts| {
        facts.journal = Journal::Missing("/s".into());
    });
}

#[test]
fn what_definitions_ask_for() {
    use Verdict::{Ok as Fine, Problem};
    let without = |facts: &mut Facts| facts.proc.capabilities = Ok(Capabilities::default());
    finds("capabilities", Problem, "CAP_SETGID, CAP_SETUID missing, which `user` needs of: web", without);
    finds("capabilities", Fine, "none, and no definition", |facts| {
        without(facts);
        facts.processes = Ok(vec![]);
    });
    // Its own user needs nothing, by name or by number.
    for user in ["me", "7"] {
        finds("capabilities", Fine, "has what", |facts| {
            facts.proc.capabilities = Ok(Capabilities { effective: 1 << 23, bounding: 0 });
            facts.proc.user = Some("me".into());
            status(facts).uid = 7;
            let mut own = process("own", v1::State::Running);
            let definition = own.definition.as_mut().unwrap();
            (definition.user, definition.nice) = (Some(user.into()), Some(-5));
            facts.processes = Ok(vec![own]);
        });
    }
    finds("capabilities", Problem, "CAP_NET_ADMIN", |facts| {
        without(facts);
        let mut vpn = process("vpn", v1::State::Running);
        let list = v1::StringList { values: vec!["CAP_NET_ADMIN".into()] };
        vpn.definition =
            Some(Box::new(v1::ProcessDefinition { ambient_capabilities: Some(list), ..Default::default() }));
        facts.processes = Ok(vec![vpn]);
    });
}

#[test]
fn disks_descriptors_and_clocks() {
    use Verdict::{Ok as Fine, Problem, Warning};
    const GIB: u64 = 1 << 30;
    let disk = |bytes, bytes_free, inodes, inodes_free| {
        move |facts: &mut Facts| facts.disks[0].2 = Ok(Disk { bytes, bytes_free, inodes, inodes_free })
    };
    finds("disks", Problem, "free", disk(100 * GIB, 40 << 20, 0, 0));
    finds("disks", Warning, "free", disk(100 * GIB, 9 * GIB, 0, 0));
    finds("disks", Fine, "free", disk(10_000 * GIB, 20 * GIB, 0, 0));
    finds("disks", Fine, "free", disk(20 * GIB, 4 * GIB, 0, 0));
    finds("disks", Warning, "inodes", disk(100 * GIB, 50 * GIB, 1000, 40));
    finds("disks", Problem, "inodes", disk(100 * GIB, 50 * GIB, 1000, 0));
    let many = |number| {
        move |facts: &mut Facts| {
            facts.processes =
                Ok((0..number).map(|i| process(&format!("p{i}"), v1::State::Running)).collect());
        }
    };
    finds("descriptors", Fine, "of 1024", many(100));
    finds("descriptors", Warning, "of 1024", many(160));
    finds("descriptors", Problem, "of 1024", many(10_000));
    finds("clock", Problem, "1970", |facts| facts.clock.now = Wall(5));
    finds("clock", Warning, "was started at", |facts| {
        let start = prost_types::Timestamp { seconds: 1_795_203_450, nanos: 0 };
        status(facts).start_time = Some(start);
    });
}

#[test]
fn ten_thousand_failed_processes_are_some_names_and_a_number() {
    let mut facts = well();
    let failed = |i| process(&format!("p{i}"), v1::State::Failed);
    facts.processes = Ok((0..10_000).map(failed).collect());
    let found = examine(&facts);
    let text = show::text(&found, Paint::new(false));
    assert!(text.contains("10000 processes have failed: p0 (failed), p1 (failed)"), "{text}");
    assert!(text.contains("and 9995 more") && text.contains("pm-cli why p0\n"), "{text}");
    assert!(text.len() < 10_000, "{}", text.len());
}

#[test]
fn no_text_of_others_acts_on_the_terminal_or_begins_a_line() {
    let mut facts = bad();
    let evil = || EVIL.to_owned();
    let mut web = process(EVIL, v1::State::Failed);
    web.degraded = Some(evil());
    facts.processes = Ok(vec![web]);
    let definitions = facts.definitions.as_mut().unwrap();
    (definitions.main, definitions.errors, definitions.warnings) = (EVIL.into(), vec![evil()], vec![evil()]);
    facts.files.as_mut().unwrap().iter_mut().for_each(|seen| seen.path = Path::new(EVIL).into());
    facts.installed.insert("pm-cli", vec![EVIL.into(), "x".into()]);
    facts.journal = Journal::Refuses(EVIL.into(), evil());
    facts.metrics = Metrics::Silent(evil());
    facts.unit.as_mut().unwrap().name = evil();
    facts.disks[0].1 = EVIL.into();
    let status = status(&mut facts);
    status.version = evil();
    status.last_reload = Some(v1::ReloadResult { ok: false, problems: vec![evil()], ..Default::default() });
    (status.listeners[2].error, status.listeners[2].address) = (Some(evil()), evil());
    let text = Paint::new(false).finish(&show::text(&examine(&facts), Paint::new(false)));
    assert!(text.matches("EVIL").count() > 20, "{text}");
    let acts = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text.contains(acts), "{text:?}");
    assert!(
        !text.lines().any(|line| line.ends_with("ok           forged") && line.starts_with("ok")),
        "{text}"
    );
}

#[test]
fn without_a_daemon_the_rest_is_looked_at() {
    let mut facts = well();
    facts.daemon = Err(Silence { message: "no daemon answers\nnowhere".into(), hint: "start it".into() });
    facts.processes = Err("no daemon answers".into());
    let found = examine(&facts);
    let daemon = of(&found, "daemon")[0];
    assert_eq!(daemon.finding.verdict, Verdict::Problem);
    assert_eq!((daemon.finding.meaning.as_str(), daemon.finding.command.as_str()), ("nowhere", "start it"));
    assert_eq!(of(&found, "config-files")[0].finding.verdict, Verdict::Ok);
}

#[test]
fn the_document_of_the_checks_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/SECURITY_CHECKLIST.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let (begin, end) =
        ("<!-- begin: made by UPDATE_DOCS=1 cargo test -p cli --lib doctor -->\n", "<!-- end -->\n");
    let (head, rest) = text.split_once(begin).expect("the mark of the beginning");
    let (_, tail) = rest.split_once(end).expect("the mark of the end");
    let new = format!("{head}{begin}{}\n{end}{tail}", markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &new).unwrap();
    }
    assert!(
        new == text || std::env::var_os("UPDATE_DOCS").is_some(),
        "UPDATE_DOCS=1 cargo test -p cli --lib doctor"
    );
}
