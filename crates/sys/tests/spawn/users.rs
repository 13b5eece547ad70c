//! Running as another user, or failing to.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};
use sys::credentials::lookup;
use sys::spawn::{Credentials, SpawnError, Stage};

use crate::support::{command, field, path};

fn status_as(credentials: Credentials) -> Result<String, SpawnError> {
    let mut command = command(&["/bin/cat", "/proc/self/status"]);
    command.credentials = Some(credentials);
    command.spawn().map(|mut running| {
        let status = running.rest();
        running.end();
        status
    })
}

fn numbers(list: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = list.split_whitespace().map(|n| n.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn another_user_with_its_groups() {
    let nobody = lookup(Some("nobody"), None, None).unwrap().credentials;
    let (uid, gid) = (nobody.uid, nobody.gid);
    let result = status_as(Credentials { groups: vec![gid, 4711, 4712], ..nobody });
    if geteuid().is_root() {
        let status = result.unwrap();
        assert_eq!(numbers(field(&status, "Uid")), [uid; 4]);
        assert_eq!(numbers(field(&status, "Gid")), [gid; 4]);
        assert_eq!(numbers(field(&status, "Groups")), [4711, 4712, gid]);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(field(&status, set), "0000000000000000", "{set}");
        }
        // The daemon is who it was.
        assert!(geteuid().is_root());
    } else {
        assert_eq!(result, Err(SpawnError { stage: Stage::Groups, errno: Errno::EPERM }));
    }
}

#[test]
fn root_without_being_root() {
    let own = lookup(None, None, None).unwrap().credentials;
    let result = status_as(Credentials { uid: 0, ..own });
    if geteuid().is_root() {
        assert_eq!(numbers(field(&result.unwrap(), "Uid")), [0; 4]);
    } else {
        assert_eq!(result, Err(SpawnError { stage: Stage::Uid, errno: Errno::EPERM }));
    }
}

#[test]
fn ourselves_needs_no_privilege() {
    let name = lookup(None, None, None).unwrap().name;
    let own = lookup(Some(&name), None, None).unwrap().credentials;
    let status = status_as(own).unwrap();
    assert_eq!(numbers(field(&status, "Uid")), [geteuid().as_raw(); 4]);
    assert_eq!(numbers(field(&status, "Gid")), [getegid().as_raw(); 4]);
}

#[test]
fn no_change_is_not_a_user() {
    let own = lookup(None, None, None).unwrap().credentials;
    // To the kernel -1 is "leave it": it would run as the daemon.
    let result = status_as(Credentials { uid: u32::MAX, ..own.clone() });
    assert_eq!(result, Err(SpawnError { stage: Stage::Uid, errno: Errno::EINVAL }));
    let result = status_as(Credentials { gid: u32::MAX, ..own });
    assert_eq!(result, Err(SpawnError { stage: Stage::Gid, errno: Errno::EINVAL }));
}

#[test]
fn directory_and_program_are_entered_and_executed_as_the_user() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o000)).unwrap();
    let nobody = geteuid().is_root().then(|| lookup(Some("nobody"), None, None).unwrap().credentials);

    // As root the daemon itself could enter it, so this fails only if the user was switched before.
    let mut enter = command(&["/bin/true"]);
    enter.credentials.clone_from(&nobody);
    enter.working_dir = Some(path(dir.path()));
    assert_eq!(enter.failure(), SpawnError { stage: Stage::WorkingDir, errno: Errno::EACCES });

    let mut execute = command(&[dir.path().join("program").to_str().unwrap()]);
    execute.credentials = nobody;
    assert_eq!(execute.failure(), SpawnError { stage: Stage::Exec, errno: Errno::EACCES });
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
}
