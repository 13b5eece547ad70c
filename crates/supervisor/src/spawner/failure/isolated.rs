//! Limits, priorities and privileges that can't be given: which, why, and the way out.

use model::{Capabilities, IsolationSpec, LimitPair};
use nix::errno::Errno;
use nix::unistd::geteuid;

use super::hint::resources;
use crate::spawner::limits::resource;

/// The thing, and the way out.
type Explained = (String, String);

/// The kernel does not say which of them it was: the one that is above the daemon's own.
pub(super) fn rlimits(errno: Errno, spec: &IsolationSpec) -> Explained {
    if errno == Errno::EINVAL {
        return (String::new(), "the soft limit must not be above the hard one: fix `rlimits`".into());
    }
    let above = spec.rlimits.iter().find_map(|(limit, pair)| {
        let own = sys::limits::own(resource(*limit)).ok()?.hard;
        (pair.hard > own).then_some((limit, pair.hard, own))
    });
    match above {
        Some((limit, wanted, own)) => {
            let shown =
                |n: u64| if n == LimitPair::UNLIMITED { "unlimited".to_owned() } else { n.to_string() };
            let unit = limit.as_str().to_uppercase();
            let hint = format!(
                "{} is above the daemon's own hard limit of {}: raise Limit{unit}= of its unit, or give it CAP_SYS_RESOURCE",
                shown(wanted),
                shown(own)
            );
            (limit.as_str().to_owned(), hint)
        }
        None if errno == Errno::EPERM => {
            (String::new(), "nofile must not be above the sysctl fs.nr_open: lower it".into())
        }
        None => (String::new(), resources(errno)),
    }
}

pub(super) fn nice(errno: Errno, spec: &IsolationSpec) -> Explained {
    let subject = spec.nice.map_or(String::new(), |nice| nice.to_string());
    let hint = match errno {
        Errno::EACCES | Errno::EPERM => format!(
            "less than the daemon's own needs CAP_SYS_NICE (it runs as uid {}): give its unit that, or LimitNICE=, or \
             write a larger number",
            geteuid()
        ),
        other => resources(other),
    };
    (subject, hint)
}

pub(super) fn oom_score_adj(errno: Errno, spec: &IsolationSpec) -> Explained {
    let subject = spec.oom_score_adj.map_or(String::new(), |score| score.to_string());
    let hint = match errno {
        Errno::EACCES | Errno::EPERM => format!(
            "less than the daemon's own needs CAP_SYS_RESOURCE, and a daemon that is not root (it runs as uid {}) can't set \
             it any more once it has started a process of another user: set OOMScoreAdjust= of its unit instead",
            geteuid()
        ),
        Errno::ENOENT => "the daemon has no /proc".into(),
        other => resources(other),
    };
    (subject, hint)
}

/// What the daemon does not have itself it can't give.
pub(super) fn capabilities(errno: Errno, spec: &IsolationSpec) -> Explained {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    let own = own.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let wanted = spec.ambient_capabilities;
    let missing = Capabilities::from_bits(wanted.bits() & !own);
    let subject = if missing.is_empty() { wanted } else { missing };
    let hint = match errno {
        Errno::EPERM => {
            "the daemon must have it itself: CapabilityBoundingSet= of its unit, and AmbientCapabilities= where it is \
             not root"
                .into()
        }
        other => resources(other),
    };
    (subject.to_string(), hint)
}

/// A directory of `runtime_directory`.
pub(super) fn directory(errno: i32, user: &str) -> String {
    match Errno::from_raw(errno) {
        Errno::EPERM => {
            format!("to give it to user {user} the daemon needs CAP_CHOWN (it runs as uid {})", geteuid())
        }
        Errno::EACCES | Errno::EROFS => {
            format!(
                "the daemon, which runs as uid {}, must be able to write to its runtime directory",
                geteuid()
            )
        }
        Errno::ENOTDIR => "something else is there in place of the directory: remove it".into(),
        other => resources(other),
    }
}

#[cfg(test)]
mod tests {
    use model::Rlimit;

    use super::*;

    #[test]
    fn the_limit_that_is_too_high_is_named() {
        let own = sys::limits::own(resource(Rlimit::Memlock)).unwrap().hard;
        let pair = |hard| LimitPair { soft: 0, hard };
        let mut spec = IsolationSpec::default();
        spec.rlimits.insert(Rlimit::Core, pair(0));
        if own != LimitPair::UNLIMITED {
            spec.rlimits.insert(Rlimit::Memlock, pair(LimitPair::UNLIMITED));
            let (subject, hint) = rlimits(Errno::EPERM, &spec);
            assert_eq!(subject, "memlock");
            assert!(hint.starts_with("unlimited is above the daemon's own hard limit of "), "{hint}");
            assert!(hint.contains("LimitMEMLOCK=") && hint.contains("CAP_SYS_RESOURCE"), "{hint}");
        }
        spec.rlimits.remove(&Rlimit::Memlock);
        assert!(rlimits(Errno::EPERM, &spec).1.contains("fs.nr_open"));
    }

    #[test]
    fn the_capability_that_is_missing_is_named() {
        let spec = IsolationSpec {
            ambient_capabilities: Capabilities::default().with("CAP_KILL").unwrap(),
            ..IsolationSpec::default()
        };
        let (subject, hint) = capabilities(Errno::EPERM, &spec);
        assert_eq!(subject, "CAP_KILL");
        assert!(hint.contains("AmbientCapabilities="), "{hint}");
    }

    #[test]
    fn directories_have_a_way_out() {
        assert!(directory(Errno::EPERM as i32, "app").contains("user app the daemon needs CAP_CHOWN"));
        assert!(directory(Errno::EROFS as i32, "app").contains("write to its runtime directory"));
        assert!(directory(Errno::ENOSPC as i32, "app").contains("full"));
    }
}
