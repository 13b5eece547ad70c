//! A child's environment: a clean base, what it may inherit, what it is, and what its definition says.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use model::InheritEnv;
use sys::credentials::Resolved;

use crate::stdio::RunInfo;

/// Where programs are searched.
pub(super) const PATH: &str = "PATH";

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables that describe a user: with `user:` they are the user's, even when everything else is inherited.
const OF_THE_USER: [&str; 4] = ["HOME", "USER", "LOGNAME", "SHELL"];

/// By this a process is recognized when it lost its parents, so that no definition may change it.
const INVOCATION: &str = "PROCESS_INVOCATION_ID";

/// Later wins: base, inherited, the run's own, the definition's.
pub(super) fn build(
    info: &RunInfo,
    account: &Resolved,
    daemon: &BTreeMap<OsString, OsString>,
) -> BTreeMap<OsString, OsString> {
    let exec = &info.spec.exec;
    let mut env: BTreeMap<OsString, OsString> = BTreeMap::new();
    let mut set = |name: &OsStr, value: &OsStr| {
        env.insert(name.to_owned(), value.to_owned());
    };

    set(PATH.as_ref(), DEFAULT_PATH.as_ref());
    set("HOME".as_ref(), account.home.as_ref());
    set("USER".as_ref(), account.name.as_ref());
    set("LOGNAME".as_ref(), account.name.as_ref());
    set("SHELL".as_ref(), account.shell.as_ref());
    if let Some(lang) = daemon.get(OsStr::new("LANG")) {
        set("LANG".as_ref(), lang);
    }

    match &exec.inherit_env {
        InheritEnv::None => {}
        InheritEnv::Names(names) => {
            for name in names {
                if let Some(value) = daemon.get(OsStr::new(name)) {
                    set(name.as_ref(), value);
                }
            }
        }
        InheritEnv::All => {
            let foreign = |name: &OsStr| exec.user.is_some() && OF_THE_USER.iter().any(|v| name == *v);
            for (name, value) in daemon.iter().filter(|(name, _)| !foreign(name)) {
                set(name, value);
            }
        }
    }

    set("PROCESS_NAME".as_ref(), info.spec.name.as_str().as_ref());
    set("PROCESS_ID".as_ref(), info.spec.id.to_string().as_ref());
    set("PROCESS_RUN".as_ref(), info.number.to_string().as_ref());
    for (name, value) in &exec.env {
        set(name.as_ref(), value.as_ref());
    }
    set(INVOCATION.as_ref(), info.invocation.to_string().as_ref());
    env
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use model::{ExecSpec, InvocationId, Origin, ProcessId, ProcessName, ProcessSpec, RunId, RunNumber};
    use std::sync::Arc;
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

    /// The environment as text, for a daemon that runs with `daemon`.
    fn built(exec: ExecSpec, daemon: &[(&str, &str)]) -> String {
        let daemon = daemon.iter().map(|(k, v)| (k.into(), v.into())).collect();
        let env = build(&info(exec), &account(), &daemon);
        let line = |(k, v): (&OsString, &OsString)| format!("{}={}\n", k.display(), v.display());
        env.iter().map(line).collect()
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
    fn the_definition_wins_but_for_the_invocation_id() {
        let keys = ["PATH", "PROCESS_NAME", "PROCESS_INVOCATION_ID"];
        let env = keys.iter().map(|k| ((*k).to_owned(), "mine".to_owned())).collect();
        let env = built(ExecSpec { env, ..exec("x") }, &[]);
        assert!(env.contains("PATH=mine\n") && env.contains("PROCESS_NAME=mine\n"), "{env}");
        assert!(env.contains("PROCESS_INVOCATION_ID=00000000000000000000000000000abc\n"), "{env}");
    }
}
