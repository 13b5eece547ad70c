//! Every check, in the order in which they run. Each of the first suite leaves the daemon running with the processes of
//! [`install::CONFIG`] in force, so that one failing check does not take others with it.

mod documents;
mod every_line;
mod guide;
mod install;
mod journald;
mod logs;
mod metrics;
pub(super) mod packages;
mod printers;
mod readiness;
mod reload;
mod restart;
mod roles;
mod rotation;
mod stop;
mod story;
mod testbed;
mod tree;
mod users;
mod variants;

use anyhow::Result;

pub(crate) use story::Variant;

use super::bed::Bed;

/// One check.
#[derive(Debug)]
pub(crate) struct Check {
    topic: &'static str,
    name: &'static str,
    /// Whether the checks after it build on it.
    pub(crate) essential: bool,
    pub(crate) run: fn(&Bed) -> Result<()>,
}

/// Checks that share a container.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) variant: Option<&'static Variant>,
    checks: &'static [Check],
}

impl Suite {
    /// How a check of it is called.
    pub(crate) fn title(&self, check: &Check) -> String {
        format!("{}: {}: {}", self.name, check.topic, check.name)
    }

    /// The names of the checks whose title holds this text.
    pub(crate) fn titles(&self, only: &str) -> Vec<String> {
        self.checks.iter().map(|check| self.title(check)).filter(|title| title.contains(only)).collect()
    }

    /// Whether it has such a check.
    pub(crate) fn wants(&self, only: &str) -> bool {
        !self.titles(only).is_empty()
    }

    /// Those checks, and before each of them the essential ones.
    pub(crate) fn up_to_the_last(&self, only: &str) -> Vec<&'static Check> {
        let is_wanted = |check: &Check| self.title(check).contains(only);
        let last = self.checks.iter().rposition(is_wanted).map_or(0, |last| last + 1);
        self.checks[..last].iter().filter(|check| check.essential || is_wanted(check)).collect()
    }
}

const fn check(topic: &'static str, name: &'static str, run: fn(&Bed) -> Result<()>) -> Check {
    Check { topic, name, essential: false, run }
}

const fn essential(topic: &'static str, name: &'static str, run: fn(&Bed) -> Result<()>) -> Check {
    Check { topic, name, essential: true, run }
}

/// The containers, one after the other.
pub(crate) static SUITES: [Suite; 7] = [
    Suite { name: "daemon", variant: None, checks: &CHECKS },
    Suite { name: "root unit", variant: Some(&story::ROOT), checks: &story::CHECKS },
    Suite { name: "capability unit", variant: Some(&story::CAPABILITY), checks: &story::CHECKS },
    Suite { name: "hardened unit", variant: Some(&story::HARDENED), checks: &story::CHECKS },
    Suite { name: "user unit", variant: Some(&story::USER), checks: &story::CHECKS },
    Suite { name: "beginner", variant: None, checks: &guide::CHECKS },
    Suite { name: "documents", variant: None, checks: &documents::CHECKS },
];

/// What is tried with `--packages`.
pub(crate) static PACKAGES: [Suite; 2] = [
    Suite { name: "deb", variant: None, checks: &packages::DEB },
    Suite { name: "static build", variant: None, checks: &packages::STATIC },
];

/// The table of the first one.
static CHECKS: [Check; 41] = [
    check("testbed", "no unit failed at boot", testbed::no_unit_failed),
    check("testbed", "journald keeps a structured entry", testbed::journald_works),
    check("testbed", "cgroup.kill ends a leaf of a delegated unit", testbed::cgroup_kill_works),
    check("testbed", "Prometheus scrapes", testbed::prometheus_works),
    check("units", "systemd-analyze verify has nothing to say", testbed::units_verify),
    check("units", "systemd-analyze security: hardened at most 3.5, capabilities 4.0", packages::exposure),
    check("units", "the example of an AppArmor profile can be parsed", testbed::profile_parses),
    essential("install", "the guide's commands", install::install),
    check("install", "the examples have no problem", install::examples),
    essential("install", "systemctl start waits for READY=1", install::start),
    check("install", "pm-cli create, as the guide types it", install::create),
    check("logs", "a child's lines carry the promised fields", logs::fields_of_a_line),
    check("logs", "both streams, told apart", logs::both_streams),
    check("logs", "events carry MESSAGE_ID and can be grepped", logs::events),
    check("logs", "the file has the same lines", logs::file),
    check("journald", "stalled: nobody waits, and what it misses is counted and marked", journald::stalled),
    check("journald", "killed and restarted: what was written is there, once", journald::restarted),
    check("journald", "the unit's rate limit is lifted, and has to be", journald::rate_limit),
    check("files", "logrotate as the guide has it, with SIGUSR1, and a mere rename", rotation::logrotate),
    check("files", "a full disk: its process waits, and every line is there in the end", rotation::full_disk),
    check(
        "lines",
        "fifty at full speed, kill -9, stalls, renames: each line once",
        every_line::everything_at_once,
    ),
    check("lines", "read = written + dropped + truncated + queued, everywhere", every_line::accounts),
    check("metrics", "promtool has nothing to say", metrics::promtool),
    check("metrics", "Prometheus has memory, uptime and state", metrics::scraped),
    check("restart", "kill -9 is seen by pm-cli, the journal and Prometheus", restart::kill),
    check("tree", "a double-forked process with a session of its own is stopped, too", tree::grandchild),
    check("users", "pm-cli create --user, as the guide types it", users::whoami),
    check("readiness", "type notify, as another user, with systemd-notify", readiness::notify),
    check("readiness", "a forking daemon is found by its pidfile and comes back", readiness::forking),
    check("readiness", "a hook runs as the user, and what it leaves behind is killed", readiness::hooks),
    check("readiness", "the lab report's afternoon", readiness::lab),
    check("reload", "systemctl reload applies what changed and nothing else", reload::only_what_changed),
    check("reload", "a broken file changes nothing", reload::broken_file),
    check("roles", "anybody may list, nobody else may stop", roles::viewer),
    check("roles", "the group dd-procmgrd may restart but not create", roles::operator),
    check("reboot", "created processes survive systemctl restart", stop::restart),
    check("reboot", "kill -9 of the daemon: systemd brings it back, nothing runs twice", stop::crash),
    check("stop", "systemctl stop leaves nothing behind", stop::stop),
    check(
        "variants",
        "capabilities alone: a process of another user, from start to stop",
        variants::capability,
    ),
    check("variants", "hardened: the same", variants::secure),
    check("variants", "systemctl --user, with lingering", variants::user),
];
