//! A child's environment: a clean base, what it may inherit, what its files and its definition say, and who it is.
//!
//! `WATCHDOG_PID`, which systemd sets beside `WATCHDOG_USEC`, is left out: it would have to be the child's own pid, and
//! that is known only when its environment is made already. Without it, `WATCHDOG_USEC` is for whoever reads it
//! (sd_watchdog_enabled(3)), so a process that starts others which know of watchdogs should not hand it on.
//!
//! A helper has no notification socket. Programs announce themselves on it without being asked, and what a hook or a
//! check says of itself is not true of the process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use model::InheritEnv;
use sys::credentials::Resolved;

use crate::stdio::RunInfo;

/// Names and values.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// Where programs are searched.
pub(super) const PATH: &str = "PATH";
/// The socket that the process reports to.
pub(super) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// The directories that were made for it.
pub(super) const RUNTIME_DIRECTORY: &str = "RUNTIME_DIRECTORY";

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that describe a user: with `user:` they are the user's, even when everything else is inherited.
const OF_THE_USER: [&str; 4] = ["HOME", "USER", "LOGNAME", "SHELL"];

/// What systemd told the daemon about itself: a child that took it for its own would report on the daemon's socket,
/// feed its watchdog or take its descriptors. Inherited only where it is asked for by name.
const OF_THE_DAEMON: [&str; 6] =
    [NOTIFY_SOCKET, "JOURNAL_STREAM", "INVOCATION_ID", "MAINPID", "MANAGERPID", "SYSTEMD_EXEC_PID"];
/// The same, by how they begin.
const OF_THE_DAEMON_BEGIN: [&str; 3] = ["WATCHDOG_", "LISTEN_", "MEMORY_PRESSURE_"];

/// By these two a process is recognized when it lost its parents.
const INVOCATION: &str = "PROCESS_INVOCATION_ID";
const HELPER: &str = "PROCESS_HELPER_ID";
/// By this one a daemon knows what an earlier one left behind. In the daemon's environment it is the daemon's own.
const MANAGER: &str = "PROCESS_MANAGER_ID";

/// The terminal behind `pty:`. Nobody draws on it: what arrives is written to a log.
const TERM: &str = "dumb";

/// Later wins: base, inherited, `files` in their order, the definition's, a helper's, and who the run is. The address
/// of the notification socket is not known yet; no other one is left in its place.
pub(super) fn build(
    info: &RunInfo,
    account: &Resolved,
    daemon: &Environment,
    files: Vec<(String, String)>,
) -> Environment {
    let (spec, exec) = (&info.spec, &info.spec.exec);
    let mut env = base(account);
    let mut set = |name: &str, value: &OsStr| drop(env.insert(name.into(), value.to_owned()));
    if let Some(lang) = daemon.get(OsStr::new("LANG")) {
        set("LANG", lang);
    }
    if spec.output.pty {
        set("TERM", TERM.as_ref());
    }
    match &exec.inherit_env {
        InheritEnv::None => {}
        InheritEnv::Names(names) => {
            for name in names {
                if let Some(value) = daemon.get(OsStr::new(name)) {
                    set(name, value);
                }
            }
        }
        InheritEnv::All => {
            let foreign = |name: &OsStr| exec.user.is_some() && OF_THE_USER.iter().any(|own| name == *own);
            let inherited = daemon.iter().filter(|(name, _)| !foreign(name) && !is_of_the_daemon(name));
            env.extend(inherited.map(|(name, value)| (name.clone(), value.clone())));
        }
    }
    env.extend(files.into_iter().map(|(name, value)| (name.into(), value.into())));
    env.extend(exec.env.iter().map(|(name, value)| (name.into(), value.into())));
    identify(&mut env, info);
    if let Some(id) = daemon.get(OsStr::new(MANAGER)) {
        env.insert(MANAGER.into(), id.clone());
    }
    env
}

fn base(account: &Resolved) -> Environment {
    // An empty field of the user database means the same as for login(1).
    let or = |value: &OsStr, default: &str| if value.is_empty() { default.into() } else { value.to_owned() };
    [
        (PATH, DEFAULT_PATH.into()),
        ("HOME", or(account.home.as_ref(), "/")),
        ("USER", account.name.as_str().into()),
        ("LOGNAME", account.name.as_str().into()),
        ("SHELL", or(account.shell.as_ref(), "/bin/sh")),
    ]
    .map(|(name, value)| (OsString::from(name), value))
    .into()
}

fn is_of_the_daemon(name: &OsStr) -> bool {
    let begins = |begin: &&str| name.as_encoded_bytes().starts_with(begin.as_bytes());
    OF_THE_DAEMON.iter().any(|own| name == *own) || OF_THE_DAEMON_BEGIN.iter().any(begins)
}

/// What no definition may change: what the daemon recognizes the run by, and what the process reports by.
fn identify(env: &mut Environment, info: &RunInfo) {
    let start = &info.spec.start;
    let mut set = |name: &str, value: String| drop(env.insert(name.into(), value.into()));
    set("PROCESS_NAME", info.spec.name.to_string());
    set("PROCESS_ID", info.spec.id.to_string());
    set("PROCESS_RUN", info.number.to_string());
    set(INVOCATION, info.invocation.to_string());
    match &info.helper {
        Some(helper) => {
            helper.env.iter().for_each(|(name, value)| set(name, value.clone()));
            set(HELPER, helper.id.to_string());
        }
        None => {
            if let Some(interval) = start.watchdog {
                set("WATCHDOG_USEC", interval.as_micros().to_string());
                // Whoever wrote it can't have known the pid; and with another one the process would not report at all.
                env.remove(OsStr::new("WATCHDOG_PID"));
            }
            if start.notifies() {
                env.remove(OsStr::new(NOTIFY_SOCKET));
            }
            // A daemon that is itself a helper of another one inherits it, and so would its children.
            env.remove(OsStr::new(HELPER));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::machine::{Helper, Role};
    use model::{
        CommandLine, ExecSpec, HookKind, InvocationId, Origin, ProcessId, ProcessName, ProcessSpec,
        ProcessType, RunId, RunNumber, StartSpec,
    };
    use std::sync::Arc;
    use std::time::Duration;
    use sys::credentials::Credentials;

    pub(in super::super) fn exec(program: &str) -> ExecSpec {
        ExecSpec {
            program: program.into(),
            args: Vec::new(),
            working_dir: None,
            env: BTreeMap::new(),
            environment_files: Vec::new(),
            inherit_env: InheritEnv::None,
            user: None,
            group: None,
            supplementary_groups: None,
            umask: None,
            isolation: model::IsolationSpec::default(),
        }
    }

    fn info(exec: ExecSpec) -> RunInfo {
        let (name, id) = (ProcessName::new("web").unwrap(), ProcessId::from_digest([0, 1, 2, 3, 4, 5]));
        let spec = ProcessSpec { exec, ..ProcessSpec::new(name, id, Origin::Runtime, "") };
        RunInfo {
            run: RunId(7),
            number: RunNumber(3),
            invocation: InvocationId(0xabc),
            spec: Arc::new(spec),
            helper: None,
            first: true,
        }
    }

    pub(in super::super) fn account() -> Resolved {
        let credentials = Credentials { uid: 1000, gid: 1000, groups: Vec::new() };
        Resolved { credentials, name: "app".into(), home: "/srv/app".into(), shell: "/bin/sh".into() }
    }

    fn daemon(variables: &[(&str, &str)]) -> Environment {
        variables.iter().map(|(k, v)| (k.into(), v.into())).collect()
    }

    fn text(env: &Environment) -> String {
        env.iter().map(|(k, v)| format!("{}={}\n", k.display(), v.display())).collect()
    }

    /// The environment as text, for a daemon that runs with `inherited`.
    fn built(exec: ExecSpec, inherited: &[(&str, &str)]) -> String {
        text(&build(&info(exec), &account(), &daemon(inherited), Vec::new()))
    }

    fn map(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn has(env: &Environment, name: &str, value: Option<&str>) {
        assert_eq!(env.get(OsStr::new(name)).map(OsString::as_os_str), value.map(OsStr::new), "{name}");
    }

    const BASE: &str = "HOME=/srv/app\nLOGNAME=app\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n\
        PROCESS_ID=000102030405\nPROCESS_INVOCATION_ID=00000000000000000000000000000abc\nPROCESS_NAME=web\nPROCESS_RUN=3\n\
        SHELL=/bin/sh\nUSER=app\n";

    #[test]
    fn a_clean_environment_takes_only_the_language_from_the_daemon() {
        assert_eq!(built(exec("x"), &[("SECRET", "1"), ("HOME", "/root")]), BASE);
        let with_lang = BASE.replace("LOGNAME", "LANG=C.UTF-8\nLOGNAME");
        assert_eq!(built(exec("x"), &[("LANG", "C.UTF-8")]), with_lang);
    }

    #[test]
    fn named_variables_are_taken_where_they_are_set() {
        let names = InheritEnv::Names(vec!["HOME".into(), "UNSET".into()]);
        let env = built(ExecSpec { inherit_env: names, ..exec("x") }, &[("HOME", "/root"), ("SECRET", "1")]);
        assert_eq!(env, BASE.replace("HOME=/srv/app", "HOME=/root"));
    }

    #[test]
    fn all_variables_leave_another_user_its_own_home() {
        let daemon = [("HOME", "/root"), ("PATH", "/opt"), ("PROCESS_ID", "outer")];
        let spec = ExecSpec { inherit_env: InheritEnv::All, ..exec("x") };
        let env = built(spec.clone(), &daemon);
        assert!(env.contains("HOME=/root\n") && env.contains("PATH=/opt\n"), "{env}");
        assert!(env.contains("PROCESS_ID=000102030405\n"), "{env}");
        let env = built(ExecSpec { user: Some("app".into()), ..spec }, &daemon);
        assert!(env.contains("HOME=/srv/app\n") && env.contains("PATH=/opt\n"), "{env}");
    }

    #[test]
    fn files_win_over_what_is_inherited_and_the_definition_over_files() {
        let mut exec = ExecSpec { inherit_env: InheritEnv::All, ..exec("x") };
        exec.env = map(&[("C", "env")]);
        let inherited = daemon(&[("A", "daemon"), ("B", "daemon"), ("C", "daemon")]);
        let file = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let files =
            vec![file("B", "1"), file("B", "2"), file("C", "2"), file("PATH", "/opt"), file("HOME", "/h")];
        let env = build(&info(exec), &account(), &inherited, files);
        for (name, value) in [("A", "daemon"), ("B", "2"), ("C", "env"), ("PATH", "/opt"), ("HOME", "/h")] {
            has(&env, name, Some(value));
        }
    }

    #[test]
    fn nobody_changes_what_a_run_is_known_by() {
        let ours =
            ["PROCESS_NAME", "PROCESS_ID", "PROCESS_RUN", "PROCESS_INVOCATION_ID", "PROCESS_HELPER_ID"];
        let foreign = ours.map(|name| (name, "mine"));
        let names = InheritEnv::Names(ours.map(str::to_owned).into());
        let exec = ExecSpec { env: map(&[("PATH", "mine")]), ..exec("x") };
        let expected = built(exec.clone(), &[]);
        assert!(expected.contains("PATH=mine\n") && !expected.contains("PROCESS_HELPER_ID"), "{expected}");
        for inherit_env in [InheritEnv::All, names] {
            assert_eq!(built(ExecSpec { inherit_env, ..exec.clone() }, &foreign), expected);
        }
        let env = map(&[&foreign[..], &[("PATH", "mine")]].concat());
        assert_eq!(built(ExecSpec { env, ..exec.clone() }, &[]), expected);
        let files = foreign.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(text(&build(&info(exec), &account(), &Environment::new(), files)), expected);
        // But other names that only look like them are the definition's.
        let env = map(&[("PROCESS_COUNT", "4")]);
        assert!(built(ExecSpec { env, ..super::tests::exec("x") }, &[]).contains("PROCESS_COUNT=4\n"));
    }

    #[test]
    fn a_helper_has_the_environment_of_its_process_and_a_name_of_its_own() {
        let mut of_process = info(ExecSpec { env: map(&[("A", "1"), ("MAINPID", "x")]), ..exec("x") });
        let process = build(&of_process, &account(), &Environment::new(), Vec::new());
        of_process.helper = Some(Helper {
            id: InvocationId(0xdef),
            role: Role::Hook(HookKind::Reload),
            command: CommandLine::default(),
            env: vec![("MAINPID", "42".to_owned())],
        });
        let mut env = build(&of_process, &account(), &Environment::new(), Vec::new());
        has(&env, "MAINPID", Some("42"));
        has(&env, "PROCESS_HELPER_ID", Some("00000000000000000000000000000def"));
        env.remove(OsStr::new("PROCESS_HELPER_ID"));
        env.insert("MAINPID".into(), "x".into());
        assert_eq!(env, process);
    }

    /// What systemd gives to the daemon for itself.
    const OF_SYSTEMD: [(&str, &str); 9] = [
        ("NOTIFY_SOCKET", "/run/systemd/notify"),
        ("WATCHDOG_USEC", "1"),
        ("WATCHDOG_PID", "2"),
        ("LISTEN_PID", "3"),
        ("LISTEN_FDS", "4"),
        ("LISTEN_FDNAMES", "a:b"),
        ("JOURNAL_STREAM", "8:9"),
        ("INVOCATION_ID", "0"),
        ("SYSTEMD_EXEC_PID", "5"),
    ];

    #[test]
    fn what_systemd_told_the_daemon_is_inherited_by_name_only() {
        let all = ExecSpec { inherit_env: InheritEnv::All, ..exec("x") };
        assert_eq!(built(all, &OF_SYSTEMD), BASE);
        let names = InheritEnv::Names(OF_SYSTEMD.map(|(name, _)| name.to_owned()).into());
        let env = built(ExecSpec { inherit_env: names, ..exec("x") }, &OF_SYSTEMD);
        for (name, value) in OF_SYSTEMD {
            assert!(env.contains(&format!("{name}={value}\n")), "{name}: {env}");
        }
        // Names that only begin like one of them are nobody's.
        let all = ExecSpec { inherit_env: InheritEnv::All, ..exec("x") };
        assert!(built(all, &[("NOTIFY_SOCKETS", "1"), ("WATCHDOG", "2"), ("LISTEN", "3")]) != BASE);
    }

    #[test]
    fn a_process_that_reports_gets_no_foreign_socket_and_its_own_watchdog() {
        let names = InheritEnv::Names(OF_SYSTEMD.map(|(name, _)| name.to_owned()).into());
        let watched = |watchdog, kind, helper| {
            let mut info = info(ExecSpec { inherit_env: names.clone(), ..exec("x") });
            let mut spec = (*info.spec).clone();
            spec.start = StartSpec { kind, watchdog, ..StartSpec::default() };
            info.spec = Arc::new(spec);
            info.helper = helper;
            build(&info, &account(), &daemon(&OF_SYSTEMD), Vec::new())
        };
        let half = Some(Duration::from_millis(500));
        let env = watched(half, ProcessType::Simple, None);
        has(&env, "WATCHDOG_USEC", Some("500000"));
        has(&env, "WATCHDOG_PID", None);
        has(&env, "NOTIFY_SOCKET", None);
        let env = watched(None, ProcessType::Notify, None);
        has(&env, "NOTIFY_SOCKET", None);
        let (role, command) = (Role::HealthCheck, CommandLine::default());
        let helper = Helper { id: InvocationId(1), role, command, env: Vec::new() };
        let env = watched(half, ProcessType::Notify, Some(helper));
        has(&env, "WATCHDOG_USEC", Some("1"));
    }

    #[test]
    fn behind_a_pty_there_is_a_terminal_that_nobody_draws_on() {
        let pty = |env: &[(&str, &str)], inherited: &[(&str, &str)]| {
            let inherit_env = InheritEnv::All;
            let mut info = info(ExecSpec { env: map(env), inherit_env, ..exec("x") });
            let mut spec = (*info.spec).clone();
            spec.output.pty = true;
            info.spec = Arc::new(spec);
            build(&info, &account(), &daemon(inherited), Vec::new())
        };
        has(&pty(&[], &[]), "TERM", Some("dumb"));
        has(&pty(&[], &[("TERM", "screen")]), "TERM", Some("screen"));
        has(&pty(&[("TERM", "xterm")], &[("TERM", "screen")]), "TERM", Some("xterm"));
        assert!(!built(exec("x"), &[("TERM", "screen")]).contains("TERM"));
    }

    #[test]
    fn all_four_variables_of_a_user_are_the_users() {
        let root =
            [("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root"), ("SHELL", "/bin/zsh"), ("A", "1")];
        let all = ExecSpec { inherit_env: InheritEnv::All, ..exec("x") };
        let of_app = BASE.replace("HOME", "A=1\nHOME");
        assert_eq!(built(ExecSpec { user: Some("app".into()), ..all.clone() }, &root), of_app);
        // Another group is no other user.
        let env = built(ExecSpec { group: Some("app".into()), ..all }, &root);
        assert!(root.iter().all(|(name, value)| env.contains(&format!("{name}={value}\n"))), "{env}");
        // Who asks for one by name gets it.
        let names = InheritEnv::Names(vec!["SHELL".into()]);
        let env = built(ExecSpec { user: Some("app".into()), inherit_env: names, ..exec("x") }, &root);
        assert_eq!(env, BASE.replace("/bin/sh", "/bin/zsh"));
        // Empty fields of the user database.
        let bare = Resolved { home: "".into(), shell: "".into(), ..account() };
        let env = build(&info(exec("x")), &bare, &Environment::new(), Vec::new());
        has(&env, "HOME", Some("/"));
        has(&env, "SHELL", Some("/bin/sh"));
    }
}
