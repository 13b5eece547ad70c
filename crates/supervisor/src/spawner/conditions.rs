//! `condition_path_exists`: whether a start may begin at all.
//!
//! Looked at on the spawner's thread, as a path may lie on a disk or a server that hangs, and with the daemon's rights,
//! as the question is the administrator's and not the process's. As in systemd.unit(5), symbolic links are followed, so
//! one that leads nowhere does not exist; neither does a path that can't be looked at, whatever the reason.

use std::path::Path;

use model::PathCondition;

/// The first condition that does not hold; `None` = go ahead.
pub(super) fn first_unmet(conditions: &[PathCondition]) -> Option<&PathCondition> {
    conditions.iter().find(|condition| exists(&condition.path) == condition.negated)
}

fn exists(path: &Path) -> bool {
    path.metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn condition(path: &Path, negated: bool) -> PathCondition {
        PathCondition { path: path.to_owned(), negated }
    }

    #[test]
    fn links_are_followed_and_whatever_leads_nowhere_does_not_exist() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let path = |name: &str| dir.join(name);
        fs::write(path("file"), "").unwrap();
        symlink("file", path("good")).unwrap();
        symlink("gone", path("dangling")).unwrap();
        symlink("circle", path("circle")).unwrap();
        let there = [path("file"), path("good"), dir.to_owned(), "/dev/null".into()];
        let too_long = path(&"x".repeat(300));
        let not_there = [
            path("gone"),
            path("dangling"),
            path("circle"),
            path("file/x"),
            too_long,
            "/a\0b".into(),
            "".into(),
        ];
        for (paths, exists) in [(&there[..], true), (&not_there[..], false)] {
            for path in paths {
                for negated in [false, true] {
                    let conditions = [condition(path, negated)];
                    let holds = first_unmet(&conditions).is_none();
                    assert_eq!(holds, exists != negated, "{path:?}, negated: {negated}");
                }
            }
        }
    }

    #[test]
    fn all_must_hold_and_the_first_that_does_not_is_named() {
        let (root, gone) = (Path::new("/"), Path::new("/no/such/path"));
        assert_eq!(first_unmet(&[]), None);
        assert_eq!(first_unmet(&[condition(root, false), condition(gone, true)]), None);
        let conditions = [condition(root, false), condition(root, true), condition(gone, false)];
        assert_eq!(first_unmet(&conditions).map(ToString::to_string), Some("!/".to_owned()));
    }
}
