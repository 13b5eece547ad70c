//! `doctor`: what it prints, its exit code, and what it looks at on a machine that the test makes up.

use std::fs;
use std::path::Path;

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, context};

/// Runs it with a /proc of the test.
fn doctor(line: &str, socket: &str, proc: &Path) -> (u8, String, String) {
    let mut context = context(line, &[("PM_SOCKET", socket)], None, false);
    context.proc = proc.to_owned();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = cli::run(&context, &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn doctor_of_a_daemon_elsewhere() {
    let daemon = Daemon::start(tables::table(), &["error: a\n --> p.yaml:3:5", "error: b"]);
    let socket = daemon.socket();
    // Its pid is another program's here: nothing of this machine is said to be the daemon's.
    let proc = daemon.dir.path().join("proc");
    fs::create_dir_all(proc.join("77")).unwrap();
    fs::write(proc.join("77/comm"), "bash\n").unwrap();
    let mut transcript = Transcript::new(&daemon);
    for line in ["pm-cli doctor", "pm-cli doctor -o json", "pm-cli doctor -o name", "pm-cli doctor web"] {
        let (code, out, err) = doctor(line, &socket, &proc);
        transcript.add(line, code, &out, &err);
    }
    transcript.check("doctor");
}

#[test]
fn another_machine_that_does_not_answer_is_exit_code_5() {
    // No packet leaves the machine: the kernel refuses to connect to this address.
    let (code, out, err) =
        doctor("pm-cli --host 255.255.255.255:1 doctor -o json", "", Path::new("/nonexistent"));
    assert_eq!((code, err.as_str()), (5, ""));
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["counts"]["problem"], &document["counts"]["ok"]), (&1.into(), &0.into()), "{out}");
}

#[test]
fn a_daemon_that_is_not_there_leaves_the_rest_to_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("p.yaml");
    fs::write(&main, "processes: {web: {comand: x}}\n").unwrap();
    let mut context = context("pm-cli doctor -o json", &[("PM_SOCKET", "/nonexistent/s")], None, false);
    context.env.insert("PM_CONFIG_PATH".into(), main.to_str().unwrap().into());
    context.env.insert("STATE_DIRECTORY".into(), dir.path().join("none").to_str().unwrap().into());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(cli::run(&context, &mut out, &mut err), 1);
    let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let found = |check: &str| {
        let checks = document["checks"].as_array().unwrap().iter();
        checks.filter(|found| found["check"] == check).cloned().collect::<Vec<_>>()
    };
    assert_eq!(found("daemon")[0]["verdict"], "problem");
    assert_eq!(found("processes")[0]["verdict"], "not_checked");
    let definitions = &found("definitions")[0];
    assert_eq!(definitions["verdict"], "problem");
    assert!(
        definitions["found"].as_str().unwrap().contains("did you mean")
            || definitions["found"].as_str().unwrap().contains("p.yaml:1:"),
        "{definitions}"
    );
    assert_eq!(definitions["next"], format!("pm-cli validate {}", main.display()));
}

#[test]
fn no_secret_and_no_control_character_gets_out() {
    let daemon = Daemon::start(tables::hostile(), &[tables::EVIL]);
    let proc = daemon.dir.path().join("proc");
    let (code, out, err) = doctor("pm-cli doctor", &daemon.socket(), &proc);
    assert_eq!(code, 1);
    let acts = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(out.contains("EVIL") && !(out.clone() + &err).contains(acts), "{out:?}{err:?}");
    assert!(!out.lines().any(|line| line.starts_with("EVIL")), "{out}");
}

#[test]
fn a_daemon_below_systemd_is_looked_at_with_its_unit() {
    let daemon = Daemon::start(tables::table(), &[]);
    let dir = daemon.dir.path();
    let (proc, bin) = (dir.join("proc"), dir.join("bin"));
    let own = proc.join("77");
    fs::create_dir_all(&own).unwrap();
    fs::create_dir(&bin).unwrap();
    let write = |name: &str, text: &str| fs::write(own.join(name), text).unwrap();
    write("comm", "dd-procmgrd\n");
    write("status", "Uid:\t0\t0\t0\t0\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n");
    write("limits", "Max open files            1024                 524288               files\n");
    write("cgroup", "0::/system.slice/dd-procmgrd.service/supervisor\n");
    std::os::unix::fs::symlink("/usr/bin/dd-procmgrd (deleted)", own.join("exe")).unwrap();
    let systemctl = bin.join("systemctl");
    let script = "#!/bin/sh\n[ \"$*\" = 'show --no-pager -p LogRateLimitIntervalUSec,LogRateLimitBurst,Delegate,UnitFileState -- \
                  dd-procmgrd.service' ] && printf 'LogRateLimitIntervalUSec=30s\\nLogRateLimitBurst=10000\\nUnitFileState=disabled\\n'\n";
    // Written by another process: one that another test forks meanwhile must not have it open for writing.
    let write = "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\"";
    let mut sh = std::process::Command::new("sh");
    assert!(sh.args(["-c", write]).arg(&systemctl).arg(script).status().unwrap().success());

    let socket = daemon.socket();
    let env = [("PM_SOCKET", socket.as_str()), ("PATH", bin.to_str().unwrap())];
    let mut context = context("pm-cli doctor -o json", &env, None, false);
    context.proc = proc;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    assert_eq!(cli::run(&context, &mut out, &mut err), 1);
    let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let found = |check: &str| {
        let mut checks = document["checks"].as_array().unwrap().iter();
        let found = checks.find(|found| found["check"] == check).unwrap();
        ["verdict", "found", "next"].map(|key| found[key].as_str().unwrap_or_default().to_owned())
    };
    let wanted = "dd-procmgrd.service: 10000 lines in 30s";
    assert_eq!(found("rate-limit"), ["warning", wanted, "sudo systemctl edit dd-procmgrd.service"]);
    let boot = "dd-procmgrd.service is disabled: it runs now, and is not started at boot";
    assert_eq!(found("boot"), ["warning", boot, "sudo systemctl enable dd-procmgrd.service"]);
    let gone = "/usr/bin/dd-procmgrd was replaced or removed while the daemon runs";
    assert_eq!(found("running-program"), ["warning", gone, "sudo systemctl restart dd-procmgrd.service"]);
    let missing = "CAP_SETGID, CAP_SETUID missing, which `user` needs of: web";
    assert_eq!(found("capabilities"), ["problem", missing, "pm-cli why web"]);
    assert!(found("cgroup")[0] == "warning" && found("descriptors")[0] == "ok", "{document:#}");
}
