//! Who a process runs as: names to numbers, and the part of them that differs from the daemon's own.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgrouplist, getgroups, getresgid, getresuid};

use crate::spawn::{SpawnError, Stage};

/// What setresuid(2) and setresgid(2) take for "leave it as it is": never a user, and as one it would be the daemon's.
const UNCHANGED: u32 = u32::MAX;

/// Numbers of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// Supplementary groups, in any order.
    pub groups: Vec<u32>,
}

/// The system calls that are needed to get there from the daemon's own credentials.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    pub(crate) groups: Option<Vec<u32>>,
    pub(crate) gid: Option<u32>,
    pub(crate) uid: Option<u32>,
}

impl Credentials {
    /// Leaves out what is so already, as each of the three calls needs a privilege even when it changes nothing.
    pub(crate) fn difference(&self) -> Result<Switch, SpawnError> {
        for (id, stage) in [(self.uid, Stage::Uid), (self.gid, Stage::Gid)] {
            if id == UNCHANGED {
                return Err(SpawnError { stage, errno: Errno::EINVAL });
            }
        }
        let groups = getgroups().map_err(SpawnError::at(Stage::Groups))?;
        let gid = getresgid().map_err(SpawnError::at(Stage::Gid))?;
        let uid = getresuid().map_err(SpawnError::at(Stage::Uid))?;
        let own_gid = [gid.real, gid.effective, gid.saved].map(Gid::as_raw);
        let own_uid = [uid.real, uid.effective, uid.saved].map(Uid::as_raw);
        let own_groups: Vec<u32> = groups.into_iter().map(Gid::as_raw).collect();
        let same_gid = own_gid == [self.gid; 3];
        // The group itself counts as a member of the list or not, depending on who made the list: it adds no right.
        // That holds only while the group is the same.
        let set = |groups: &[u32]| groups.iter().copied().filter(|g| *g != self.gid).collect::<BTreeSet<_>>();
        let same_groups = same_gid && set(&own_groups) == set(&self.groups);
        Ok(Switch {
            groups: (!same_groups).then(|| self.groups.clone()),
            gid: (!same_gid).then_some(self.gid),
            uid: (own_uid != [self.uid; 3]).then_some(self.uid),
        })
    }
}

/// A user as the user database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The numbers.
    pub credentials: Credentials,
    /// Home directory; `/` without an entry.
    pub home: PathBuf,
    /// Login shell; `/bin/sh` without an entry.
    pub shell: PathBuf,
    /// Login name; the number without an entry.
    pub name: String,
}

/// A user or a group that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{subject:?}: {kind}")]
pub struct CredentialsError {
    /// The name or number that was looked up.
    pub subject: String,
    /// What is wrong with it.
    pub kind: CredentialsErrorKind,
}

/// What is wrong with a user or a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsErrorKind {
    /// Neither a name of the user database, nor a number with an entry or a group given beside it.
    #[error("no such user; create it with useradd, or give a number and a group: with it")]
    UnknownUser,
    /// Neither a name of the group database nor a number.
    #[error("no such group; create it with groupadd, or give a number")]
    UnknownGroup,
    /// The database did not answer.
    #[error("the name services failed: {}; see /etc/nsswitch.conf, or give numbers", .0.desc())]
    Io(Errno),
}

/// Turns names or numbers into credentials. May take as long as the name services do: call it where waiting is fine.
///
/// Without `user` it is the daemon's own; without `group`, the user's; without `supplementary`, those that the group
/// database lists for the user. A daemon without privileges that is told to run something as itself keeps the groups
/// that it has, as it could set no others.
///
/// # Errors
/// [`CredentialsError`], which names what was not found.
pub fn lookup(
    user: Option<&str>,
    group: Option<&str>,
    supplementary: Option<&[String]>,
) -> Result<Resolved, CredentialsError> {
    let (own_uid, own_gid) = (geteuid(), getegid());
    let (uid, entry) = match user {
        Some(user) => find_user(user)?,
        None => (own_uid, ask(&own_uid.to_string(), User::from_uid(own_uid).or_else(absent))?),
    };
    let gid = match (group, &entry) {
        (Some(group), _) => find_group(group)?,
        (None, _) if user.is_none() => own_gid,
        (None, Some(entry)) => entry.gid,
        (None, None) if uid == own_uid => own_gid,
        (None, None) => return Err(unknown_user(uid.to_string())),
    };
    let is_own = uid == own_uid && gid == own_gid && (user.is_none() || !own_uid.is_root());
    let groups = match (supplementary, &entry) {
        (Some(names), _) => names.iter().map(|name| find_group(name)).collect::<Result<_, _>>()?,
        (None, _) if is_own => ask(&uid.to_string(), getgroups())?,
        (None, Some(entry)) => {
            // A name of the user database has no NUL in it.
            let name = CString::new(entry.name.as_bytes()).unwrap_or_default();
            ask(&entry.name, getgrouplist(&name, gid))?
        }
        (None, None) => vec![gid],
    };
    let groups = groups.into_iter().map(Gid::as_raw).collect();
    let credentials = Credentials { uid: uid.as_raw(), gid: gid.as_raw(), groups };
    Ok(match entry {
        Some(User { name, dir, shell, .. }) => Resolved { credentials, home: dir, shell, name },
        None => Resolved { credentials, home: "/".into(), shell: "/bin/sh".into(), name: uid.to_string() },
    })
}

/// A name first, then a number: a user may be called `1000`.
fn find_user(text: &str) -> Result<(Uid, Option<User>), CredentialsError> {
    if let Some(user) = ask(text, User::from_name(text).or_else(absent))? {
        return Ok((user.uid, Some(user)));
    }
    let uid = number(text).map(Uid::from_raw).ok_or_else(|| unknown_user(text.into()))?;
    Ok((uid, ask(text, User::from_uid(uid).or_else(absent))?))
}

fn find_group(text: &str) -> Result<Gid, CredentialsError> {
    if let Some(group) = ask(text, Group::from_name(text).or_else(absent))? {
        return Ok(group.gid);
    }
    let kind = CredentialsErrorKind::UnknownGroup;
    number(text).map(Gid::from_raw).ok_or_else(|| CredentialsError { subject: text.into(), kind })
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|n| *n != UNCHANGED)
}

fn ask<T>(subject: &str, answer: nix::Result<T>) -> Result<T, CredentialsError> {
    answer
        .map_err(|errno| CredentialsError { subject: subject.into(), kind: CredentialsErrorKind::Io(errno) })
}

/// Without a user database nobody is in it: getpwnam(3) and getgrnam(3) may say so with an error.
fn absent<T>(errno: nix::errno::Errno) -> nix::Result<Option<T>> {
    use nix::errno::Errno;
    if matches!(errno, Errno::ENOENT | Errno::ESRCH) { Ok(None) } else { Err(errno) }
}

fn unknown_user(subject: String) -> CredentialsError {
    CredentialsError { subject, kind: CredentialsErrorKind::UnknownUser }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Credentials {
        lookup(None, None, None).unwrap().credentials
    }

    #[test]
    fn nobody_by_name_and_by_number() {
        let entry = User::from_name("nobody").unwrap().unwrap();
        let by_name = lookup(Some("nobody"), None, None).unwrap();
        let Resolved { credentials, home, shell, name } = by_name.clone();
        assert_eq!((credentials.uid, credentials.gid), (entry.uid.as_raw(), entry.gid.as_raw()));
        assert_eq!((home, shell, name.as_str()), (entry.dir, entry.shell, "nobody"));
        assert_eq!(lookup(Some(&entry.uid.to_string()), None, None).unwrap(), by_name);
    }

    #[test]
    fn groups_are_the_users_or_the_ones_given() {
        let group = Group::from_gid(getegid()).unwrap().unwrap();
        let given = [group.name.clone(), "4711".into()];
        let resolved = lookup(Some("nobody"), Some(&group.name), Some(&given)).unwrap().credentials;
        assert_eq!((resolved.gid, resolved.groups), (group.gid.as_raw(), vec![group.gid.as_raw(), 4711]));
        let resolved = lookup(Some("nobody"), None, Some(&[])).unwrap().credentials;
        assert_eq!(resolved.groups, []);
        // As login does it, with the group itself in the list.
        let resolved = lookup(Some("nobody"), Some("4712"), None).unwrap().credentials;
        assert!(resolved.groups.contains(&4712), "{resolved:?}");
    }

    #[test]
    fn a_number_without_an_entry_needs_a_group() {
        let resolved = lookup(Some("3999999"), Some("3999998"), None).unwrap();
        let credentials = Credentials { uid: 3_999_999, gid: 3_999_998, groups: vec![3_999_998] };
        assert_eq!(resolved.credentials, credentials);
        assert_eq!((resolved.name.as_str(), resolved.home.to_str()), ("3999999", Some("/")));
        let error = lookup(Some("3999999"), None, None).unwrap_err();
        assert_eq!(error.kind, CredentialsErrorKind::UnknownUser);
    }

    #[test]
    fn the_unknown_are_named() {
        let minus_one = u32::MAX.to_string();
        for user in ["no-such-user", "-1", "", &minus_one] {
            let error = lookup(Some(user), Some("0"), None).unwrap_err();
            assert_eq!((error.subject.as_str(), error.kind), (user, CredentialsErrorKind::UnknownUser));
        }
        for group in ["no-such-group", &minus_one] {
            let error = lookup(None, Some(group), None).unwrap_err();
            assert_eq!((error.subject.as_str(), error.kind), (group, CredentialsErrorKind::UnknownGroup));
            let error = lookup(None, None, Some(&[group.to_owned()])).unwrap_err();
            assert_eq!((error.subject.as_str(), error.kind), (group, CredentialsErrorKind::UnknownGroup));
        }
    }

    #[test]
    fn no_system_call_for_what_is_so_already() {
        let Switch { groups, gid, uid } = own().difference().unwrap();
        assert_eq!((groups, gid, uid), (None, None, None));
        // The order, and the group itself, make no difference.
        let mut turned = own();
        turned.groups.reverse();
        turned.groups.push(turned.gid);
        assert_eq!(turned.difference().unwrap().groups, None);
    }

    #[test]
    fn only_what_differs() {
        let Switch { groups, gid, uid } = Credentials { uid: own().uid + 1, ..own() }.difference().unwrap();
        assert_eq!((groups, gid, uid), (None, None, Some(own().uid + 1)));
        let more = [own().groups, vec![4711]].concat();
        let Switch { groups, gid, uid } = Credentials { groups: more.clone(), ..own() }.difference().unwrap();
        assert_eq!((groups, gid, uid), (Some(more), None, None));
        // With the group the meaning of the list changes, too: the old group is in no list.
        let other = Credentials { gid: own().gid + 1, ..own() }.difference().unwrap();
        assert_eq!((other.groups, other.gid, other.uid), (Some(own().groups), Some(own().gid + 1), None));
    }
}
