//! Every check, in the order in which they run. Each leaves the daemon running with the processes of
//! [`install::CONFIG`] in force, so that one failing check does not take others with it.

mod every_line;
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
mod testbed;
mod tree;
mod users;
mod variants;

use anyhow::Result;

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

impl Check {
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.topic, self.name)
    }
}

const fn check(topic: &'static str, name: &'static str, run: fn(&Bed) -> Result<()>) -> Check {
    Check { topic, name, essential: false, run }
}

const fn essential(topic: &'static str, name: &'static str, run: fn(&Bed) -> Result<()>) -> Check {
    Check { topic, name, essential: true, run }
}

/// The table.
pub(crate) static CHECKS: [Check; 40] = [
    check("testbed", "no unit failed at boot", testbed::no_unit_failed),
    check("testbed", "journald keeps a structured entry", testbed::journald_works),
    check("testbed", "cgroup.kill ends a leaf of a delegated unit", testbed::cgroup_kill_works),
    check("testbed", "Prometheus scrapes", testbed::prometheus_works),
    check("units", "systemd-analyze verify has nothing to say", testbed::units_verify),
    check("units", "systemd-analyze security: hardened at most 3.5, capabilities 4.0", packages::exposure),
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
