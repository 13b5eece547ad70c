//! What the program finds when it starts: arguments, environment, directory, umask, user, descriptors, signals.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Rig, id, line, sh, spec};
use model::{InheritEnv, ProcessSpec};

/// Everything that the first run prints.
fn output_of(rig: &Rig, spec: ProcessSpec) -> String {
    let name = spec.name.to_string();
    let command = model::Command::Create { spec: spec.into(), start: true };
    rig.ask(command).unwrap();
    let mut text = String::new();
    rig.output(&name, 1).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_environment_is_clean_and_says_who_it_is() {
    let rig = Rig::new();
    let mut env = spec("web", "env", &[]);
    env.exec.env = [("GREETING".to_owned(), "hello world".to_owned())].into();
    let text = output_of(&rig, env);
    let has = |line: &str| text.lines().any(|l| l == line);
    assert!(has("GREETING=hello world") && has("LANG=C"), "{text}");
    assert!(
        has("PROCESS_NAME=web") && has(&format!("PROCESS_ID={}", id("web"))) && has("PROCESS_RUN=1"),
        "{text}"
    );
    assert!(has("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), "{text}");
    let invocation = text.lines().find_map(|l| l.strip_prefix("PROCESS_INVOCATION_ID=")).unwrap();
    assert_eq!(invocation.len(), 32);
    assert!(!text.contains("SECRET") && !text.contains("CARGO"), "{text}");
}

#[test]
fn inherited_variables_come_from_the_daemon() {
    let rig = Rig::new();
    let mut env = spec("web", "env", &[]);
    env.exec.inherit_env = InheritEnv::Names(vec!["SECRET".into()]);
    assert!(output_of(&rig, env).contains("SECRET=42\n"));
}

#[test]
fn a_relative_program_is_relative_to_the_working_directory_and_keeps_its_name() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("run.sh");
    fs::write(&script, "#!/bin/sh\necho \"$0|$1|$(pwd)|$(umask)\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut run = spec("run", "./run.sh", &["a b"]);
    run.exec.working_dir = Some(dir.path().into());
    run.exec.umask = Some(0o077);
    let text = output_of(&rig, run);
    let dir = dir.path().canonicalize().unwrap();
    // The kernel names a script by its path; `argv[0]` of a binary is the next test's.
    assert!(text.ends_with(&format!("run.sh|a b|{}|0077\n", dir.display())), "{text}");
}

#[test]
fn argv_zero_is_the_program_as_written() {
    let rig = Rig::new();
    let text = output_of(&rig, spec("cat", "cat", &["/proc/self/cmdline"]));
    assert_eq!(text, "cat\0/proc/self/cmdline\0");
}

#[test]
fn without_settings_it_starts_in_the_root_directory_with_umask_022() {
    let rig = Rig::new();
    assert_eq!(output_of(&rig, sh("web", "pwd; umask")), "/\n0022\n");
}

#[test]
fn the_child_has_three_descriptors_and_no_blocked_signals() {
    let rig = Rig::new();
    // The fourth is the directory that ls itself reads.
    assert_eq!(output_of(&rig, spec("fds", "ls", &["/proc/self/fd"])), "0\n1\n2\n3\n");
    let status = output_of(&rig, spec("signals", "cat", &["/proc/self/status"]));
    for mask in ["SigBlk:\t", "SigIgn:\t"] {
        let line = status.lines().find(|l| l.starts_with(mask)).unwrap();
        assert_eq!(line.trim_start_matches(mask), "0000000000000000");
    }
}

#[test]
fn it_leads_its_own_session() {
    let rig = Rig::new();
    let view = rig.up(spec("cat", "cat", &["/proc/self/stat"]));
    let pid = view.run.as_ref().and_then(|r| r.pid).unwrap().to_string();
    let stat = line(&mut rig.output("cat", 1));
    let fields: Vec<&str> = stat.split(' ').collect();
    assert_eq!((fields[0], fields[4], fields[5]), (&*pid, &*pid, &*pid), "{stat}");
}

#[test]
fn a_user_is_switched_to_or_the_missing_capability_is_named() {
    let rig = Rig::new();
    let privileged = nix::unistd::geteuid().is_root();
    let mut who = sh("who", "id -u; echo $HOME");
    who.exec.user = Some(if privileged { "nobody" } else { "root" }.into());
    if privileged {
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        let expected = format!("{}\n{}\n", nobody.uid, nobody.dir.display());
        assert_eq!(output_of(&rig, who), expected);
    } else {
        let refusal = rig.ask(model::Command::Create { spec: who.into(), start: true }).unwrap_err();
        let model::Refusal::StartFailed(_, failure) = refusal else { panic!("{refusal:?}") };
        assert!(failure.hint.contains("CAP_SETUID"), "{failure:?}");
    }
}
