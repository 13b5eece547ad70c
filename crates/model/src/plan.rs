//! What a new set of definitions means for each process: one comparison, used by the reload and by its preview.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{ProcessName, ProcessSpec};

/// What a change does to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Nothing.
    None,
    /// Applied to the running process; its pid stays.
    Hot,
    /// Needs a new run when it runs.
    Restart,
    /// A new process, which is started.
    Start,
    /// A new process with `auto_start: false`: nothing is started.
    Add,
    /// The definition is gone: stopped and removed.
    Stop,
}

impl Impact {
    /// Its name in `plan` and in the reply to a reload.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Hot => "hot",
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Add => "add",
            Self::Stop => "stop",
        }
    }
}

impl Impact {
    /// What a definition of something new does.
    #[must_use]
    pub fn of_new(spec: &ProcessSpec) -> Self {
        if spec.auto_start { Self::Start } else { Self::Add }
    }
}

/// What happens to one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub name: ProcessName,
    /// What.
    pub impact: Impact,
    /// The keys that cause it, as written in a definition.
    pub keys: Vec<&'static str>,
}

/// Compares two definitions of one process. Only keys that exec depends on need a new run.
#[must_use]
pub fn plan_one(old: &ProcessSpec, new: &ProcessSpec) -> (Impact, Vec<&'static str>) {
    let (a, b) = (&old.exec, &new.exec);
    let restart = [
        ("command", a.program != b.program),
        ("args", a.args != b.args),
        ("working_dir", a.working_dir != b.working_dir),
        ("env", a.env != b.env),
        ("environment_file", a.environment_files != b.environment_files),
        ("inherit_env", a.inherit_env != b.inherit_env),
        ("user", a.user != b.user),
        ("group", a.group != b.group),
        ("supplementary_groups", a.supplementary_groups != b.supplementary_groups),
        ("umask", a.umask != b.umask),
        ("rlimits", a.isolation.rlimits != b.isolation.rlimits),
        ("nice", a.isolation.nice != b.isolation.nice),
        ("oom_score_adj", a.isolation.oom_score_adj != b.isolation.oom_score_adj),
        ("ambient_capabilities", a.isolation.ambient_capabilities != b.isolation.ambient_capabilities),
        ("no_new_privileges", a.isolation.no_new_privileges != b.isolation.no_new_privileges),
        ("runtime_directory", a.isolation.runtime_directories != b.isolation.runtime_directories),
        ("runtime_directory_mode", a.isolation.runtime_directory_mode != b.isolation.runtime_directory_mode),
        ("type", old.start.kind != new.start.kind),
        ("remain_after_exit", old.start.remain_after_exit != new.start.remain_after_exit),
        ("pidfile", old.start.pidfile != new.start.pidfile),
        ("watchdog_sec", old.start.watchdog != new.start.watchdog),
        ("pty", old.output.pty != new.output.pty),
        ("stdout", old.output.stdout != new.output.stdout),
        ("stderr", old.output.stderr != new.output.stderr),
    ];
    let (r, s) = (&old.restart, &new.restart);
    let (needs, needs_now) = (&old.needs, &new.needs);
    let (hooks, hooks_now) = (&old.hooks, &new.hooks);
    let hot = [
        ("description", old.description != new.description),
        ("groups", old.groups != new.groups),
        ("auto_start", old.auto_start != new.auto_start),
        ("after", old.after != new.after),
        ("before", old.before != new.before),
        ("requires", needs.requires != needs_now.requires),
        ("wants", needs.wants != needs_now.wants),
        ("binds_to", needs.binds_to != needs_now.binds_to),
        ("conflicts", needs.conflicts != needs_now.conflicts),
        ("condition_path_exists", old.start.conditions != new.start.conditions),
        ("start_timeout", old.start.timeout != new.start.timeout),
        ("restart", r.policy != s.policy),
        ("restart_sec", r.delay != s.delay),
        ("restart_max_delay_sec", r.max_delay != s.max_delay),
        ("restart_jitter", r.jitter.to_bits() != s.jitter.to_bits()),
        ("runtime_success_sec", r.stable_after != s.stable_after),
        ("start_limit_burst", r.limit_burst != s.limit_burst),
        ("start_limit_interval_sec", r.limit_interval != s.limit_interval),
        ("on_start_limit", r.on_limit != s.on_limit),
        ("success_exit_status", r.success != s.success),
        ("restart_prevent_exit_status", r.prevent != s.prevent),
        ("kill_signal", old.stop.signal != new.stop.signal),
        ("kill_mode", old.stop.mode != new.stop.mode),
        ("stop_timeout", old.stop.timeout != new.stop.timeout),
        ("send_sighup", old.stop.send_sighup != new.stop.send_sighup),
        ("exec_start_pre", hooks.start_pre != hooks_now.start_pre),
        ("exec_start_post", hooks.start_post != hooks_now.start_post),
        ("exec_reload", hooks.reload != hooks_now.reload),
        ("reload_signal", old.reload_signal != new.reload_signal),
        ("exec_stop", hooks.stop != hooks_now.stop),
        ("exec_stop_post", hooks.stop_post != hooks_now.stop_post),
        ("health_check", old.health != new.health),
        ("critical", old.critical != new.critical),
        ("log", old.output.log != new.output.log),
        ("metrics", old.metrics != new.metrics),
        ("resource_limits", old.limits != new.limits),
    ];
    let differing = |keys: &[(&'static str, bool)]| -> Vec<&'static str> {
        keys.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect()
    };
    let (cold, warm) = (differing(&restart), differing(&hot));
    match (cold.is_empty(), warm.is_empty()) {
        (true, true) => (Impact::None, warm),
        (true, false) => (Impact::Hot, warm),
        (false, _) => (Impact::Restart, [cold, warm].concat()),
    }
}

/// Compares two sets of definitions. Unchanged processes are left out; the rest is sorted by name.
#[must_use]
pub fn plan(old: &[Arc<ProcessSpec>], new: &[Arc<ProcessSpec>]) -> Vec<Change> {
    let by_name = |specs: &[Arc<ProcessSpec>]| -> BTreeMap<ProcessName, Arc<ProcessSpec>> {
        specs.iter().map(|s| (s.name.clone(), Arc::clone(s))).collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let mut changes: Vec<Change> = Vec::new();
    for (name, spec) in &new {
        let (impact, keys) = match old.get(name) {
            Some(before) => plan_one(before, spec),
            None => (Impact::of_new(spec), Vec::new()),
        };
        if impact != Impact::None {
            changes.push(Change { name: name.clone(), impact, keys });
        }
    }
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    changes.extend(gone.map(|name| Change { name: name.clone(), impact: Impact::Stop, keys: Vec::new() }));
    changes.sort_by(|a, b| a.name.cmp(&b.name));
    changes
}
