//! Limits, priorities and privileges that a child is given, as the kernel shows them in /proc.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::errno::Errno;
use nix::unistd::geteuid;
use sys::credentials::lookup;
use sys::limits::own;
use sys::spawn::{Isolation, Limit, Resource, SpawnError, Stage};

use crate::support::{c, command, field, sh};

/// CAP_NET_BIND_SERVICE and CAP_NET_RAW of linux/capability.h.
const CAPABILITIES: u64 = 1 << 10 | 1 << 13;

fn isolated(argv: &[&str], isolation: Isolation, user: Option<&str>) -> Result<String, SpawnError> {
    let mut command = command(argv);
    command.isolation = isolation;
    command.credentials = user.map(|user| lookup(Some(user), None, None).unwrap().credentials);
    command.spawn().map(|mut running| {
        let printed = running.rest();
        running.end();
        printed
    })
}

/// Numbers of linux/capability.h: what of root's powers a container may have taken away.
const SYS_NICE: u32 = 23;
const SYS_RESOURCE: u32 = 24;

fn may(capability: u32) -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    u64::from_str_radix(field(&status, "CapEff"), 16).unwrap() & 1 << capability != 0
}

/// Who the daemon can start processes as: itself, and with privileges somebody else.
fn users() -> Vec<Option<&'static str>> {
    if geteuid().is_root() { vec![None, Some("nobody")] } else { vec![None] }
}

#[test]
fn lowered_limits_need_no_privilege() {
    let limit = |resource, soft, hard| (resource, Limit { soft, hard });
    let rlimits = vec![
        limit(Resource::Core, 0, 0),
        limit(Resource::Nofile, 33, 44),
        limit(Resource::Stack, 4 << 20, 5 << 20),
    ];
    for user in users() {
        let isolation = Isolation { rlimits: rlimits.clone(), ..Isolation::default() };
        let limits = isolated(&["/bin/cat", "/proc/self/limits"], isolation, user).unwrap();
        let of = |name: &str| -> Vec<String> {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().take(2).map(ToOwned::to_owned).collect()
        };
        assert_eq!(of("Max core file size"), ["0", "0"]);
        assert_eq!(of("Max open files"), ["33", "44"]);
        assert_eq!(of("Max stack size"), ["4194304", "5242880"]);
    }
    // The daemon's own are as they were.
    assert_ne!(own(Resource::Nofile).unwrap(), Limit { soft: 33, hard: 44 });
}

#[test]
fn a_hard_limit_above_the_daemons_needs_a_privilege() {
    let hard = own(Resource::Memlock).unwrap().hard;
    if hard == u64::MAX {
        // Nothing is above it.
        return;
    }
    let rlimits = vec![(Resource::Memlock, Limit { soft: hard, hard: hard + 4096 })];
    let isolation = Isolation { rlimits, ..Isolation::default() };
    let result = isolated(&["/bin/true"], isolation, None);
    if may(SYS_RESOURCE) {
        assert_eq!(result, Ok(String::new()));
    } else {
        assert_eq!(result, Err(SpawnError { stage: Stage::Rlimits, errno: Errno::EPERM }));
    }
}

#[test]
fn an_impossible_limit_is_refused() {
    let rlimits = vec![(Resource::Core, Limit { soft: 2, hard: 1 })];
    let result = isolated(&["/bin/true"], Isolation { rlimits, ..Isolation::default() }, None);
    assert_eq!(result, Err(SpawnError { stage: Stage::Rlimits, errno: Errno::EINVAL }));
}

#[test]
fn politeness_needs_no_privilege_and_priority_does() {
    for user in users() {
        let isolation = Isolation { nice: Some(7), ..Isolation::default() };
        let stat = isolated(&["/bin/cat", "/proc/self/stat"], isolation, user).unwrap();
        assert_eq!(stat.split(' ').nth(18), Some("7"), "{stat}");
        let isolation = Isolation { nice: Some(-5), ..Isolation::default() };
        let result = isolated(&["/bin/cat", "/proc/self/stat"], isolation, user);
        let refused = SpawnError { stage: Stage::Nice, errno: Errno::EACCES };
        match result {
            Ok(stat) => {
                assert_eq!((stat.split(' ').nth(18), may(SYS_NICE)), (Some("-5"), true), "{stat}");
            }
            Err(error) => assert_eq!((error, may(SYS_NICE)), (refused, false)),
        }
    }
}

#[test]
fn the_kernels_choice_of_victims() {
    let before = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    for user in users() {
        let isolation = Isolation { oom_score_adj: Some(c("777")), ..Isolation::default() };
        let result = isolated(&["/bin/cat", "/proc/self/oom_score_adj"], isolation, user).unwrap();
        assert_eq!(result, "777\n");
        let isolation = Isolation { oom_score_adj: Some(c("-999")), ..Isolation::default() };
        let refused = SpawnError { stage: Stage::OomScoreAdj, errno: Errno::EACCES };
        match isolated(&["/bin/cat", "/proc/self/oom_score_adj"], isolation, user) {
            Ok(text) => assert_eq!((text.as_str(), may(SYS_RESOURCE)), ("-999\n", true)),
            Err(error) => assert_eq!((error, may(SYS_RESOURCE)), (refused, false)),
        }
        let isolation = Isolation { oom_score_adj: Some(c("5000")), ..Isolation::default() };
        let refused = isolated(&["/bin/true"], isolation, user);
        assert_eq!(refused, Err(SpawnError { stage: Stage::OomScoreAdj, errno: Errno::EINVAL }));
    }
    // The child shared the daemon's memory when it was written.
    assert_eq!(std::fs::read_to_string("/proc/self/oom_score_adj").unwrap(), before);
}

#[test]
fn kept_capabilities_are_those_and_no_more() {
    let user = geteuid().is_root().then_some("nobody");
    let isolation = Isolation { capabilities: CAPABILITIES, ..Isolation::default() };
    let result = isolated(&["/bin/cat", "/proc/self/status"], isolation, user);
    if user.is_none() {
        // What the daemon does not have it can't give.
        assert_eq!(result, Err(SpawnError { stage: Stage::Capabilities, errno: Errno::EPERM }));
        return;
    }
    let status = result.unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(&status, set), format!("{CAPABILITIES:016x}"), "{set}");
    }
    let uid = lookup(user, None, None).unwrap().credentials.uid;
    assert_eq!(field(&status, "Uid"), [uid; 4].map(|uid| uid.to_string()).join("\t"));
}

#[test]
fn capabilities_open_no_working_directory() {
    if !geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = command(&["/bin/true"]);
    // CAP_DAC_OVERRIDE: as the program it could enter it, as the user it can't.
    command.isolation = Isolation { capabilities: 1 << 1, ..Isolation::default() };
    command.credentials = Some(lookup(Some("nobody"), None, None).unwrap().credentials);
    command.working_dir = Some(crate::support::path(dir.path()));
    assert_eq!(command.failure(), SpawnError { stage: Stage::WorkingDir, errno: Errno::EACCES });
}

#[test]
fn no_new_privileges_is_for_ever() {
    for (no_new_privileges, shown) in [(true, "1"), (false, "0")] {
        let isolation = Isolation { no_new_privileges, ..Isolation::default() };
        for user in users() {
            let argv = ["/bin/cat", "/proc/self/status"];
            let status = isolated(&argv, isolation.clone(), user).unwrap();
            let before = std::fs::read_to_string("/proc/self/status").unwrap();
            // Whoever runs the test may have it already.
            if no_new_privileges || field(&before, "NoNewPrivs") == "0" {
                assert_eq!(field(&status, "NoNewPrivs"), shown);
            }
        }
    }
}

#[test]
fn all_of_it_together() {
    let isolation = Isolation {
        rlimits: vec![(Resource::Nofile, Limit { soft: 100, hard: 200 })],
        nice: Some(19),
        oom_score_adj: Some(c("1000")),
        capabilities: 0,
        no_new_privileges: true,
    };
    let mut command = sh("ulimit -Sn; ulimit -Hn; nice; cat /proc/self/oom_score_adj");
    command.isolation = isolation;
    let (printed, _) = command.run();
    assert_eq!(printed, "100\n200\n19\n1000\n");
}
