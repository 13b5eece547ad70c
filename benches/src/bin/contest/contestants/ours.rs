//! The daemon, in one of its builds.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit};

use super::{show, words};
use crate::plan::{Begin, Change, Plan};
use crate::stage::Stage;

/// Descriptors of the daemon for each process that prints nothing: its pidfd and two pipes.
const EACH: u64 = 3;
/// Its own.
const OTHERS: u64 = 200;

/// Started with all definitions.
pub(super) fn cold(build: &Path, stage: &Stage, count: usize, capture: bool) -> Result<Plan> {
    let config = stage.dir().join("config/processes.yaml");
    let mut plan = plan(build, stage)?;
    fs::write(&config, definitions(stage, count, capture, "p0")?)?;
    let pm = show(&build.join("pm-cli"));
    plan.change = Some(Change {
        files: vec![(config, definitions(stage, count, capture, "changed")?)],
        run: vec![pm, "reload-config".to_owned()],
    });
    Ok(plan)
}

/// Started without any, and told of them by SIGHUP.
pub(super) fn reloaded(build: &Path, stage: &Stage, count: usize) -> Result<Plan> {
    let config = stage.dir().join("config/processes.yaml");
    let mut plan = plan(build, stage)?;
    fs::write(&config, "processes: {}\n")?;
    plan.begin = Begin::Reload(config, definitions(stage, count, true, "p0")?);
    Ok(plan)
}

fn plan(build: &Path, stage: &Stage) -> Result<Plan> {
    let mut plan = Plan::cold(vec![show(&build.join("dd-procmgrd"))]);
    let dir = stage.dir();
    for (variable, name) in [
        ("CONFIGURATION_DIRECTORY", "config"),
        ("STATE_DIRECTORY", "state"),
        ("LOGS_DIRECTORY", "logs"),
        ("RUNTIME_DIRECTORY", "runtime"),
    ] {
        fs::create_dir(dir.join(name))?;
        plan.env.push((variable.to_owned(), show(&dir.join(name))));
    }
    let others = [
        ("PM_CONFIG_PATH", show(&dir.join("config/processes.yaml"))),
        ("PM_SOCKET", show(&dir.join("runtime/control.sock"))),
        ("PM_BIND_ADDRESS", "127.0.0.1:0".to_owned()),
        ("METRICS_PORT", "0".to_owned()),
        ("PM_JOURNAL_SOCKET", "off".to_owned()),
        // At info it writes a line for each event.
        ("RUST_LOG", "warn".to_owned()),
    ];
    plan.env.extend(others.map(|(name, value)| (name.to_owned(), value)));
    let pm = show(&build.join("pm-cli"));
    plan.ready = Some([pm.clone()].into_iter().chain(words(["status"])).collect());
    plan.list = Some([pm.clone()].into_iter().chain(words(["list"])).collect());
    plan.status = Some([pm].into_iter().chain(words(["describe", "p0"])).collect());
    Ok(plan)
}

fn definitions(stage: &Stage, count: usize, capture: bool, first: &str) -> Result<String> {
    let output = if capture { "" } else { ", stdout: \"null\", stderr: \"null\"" };
    let mut text = "processes:\n".to_owned();
    for n in 0..count {
        let name = format!("p{n}");
        let child = stage.child(if n == 0 { first } else { &name });
        writeln!(
            text,
            "  {name}: {{command: {}, restart: always, restart_sec: 0, start_limit_burst: 0{output}}}",
            child.join(" ")
        )?;
    }
    Ok(text)
}

/// Why so many can't be captured here.
///
/// # Errors
/// The reason.
pub(crate) fn descriptors_suffice(count: usize) -> Result<(), String> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| error.to_string())?;
    let needed = EACH * count as u64 + OTHERS;
    if needed <= hard {
        return Ok(());
    }
    Err(format!(
        "{count} captured processes need {needed} descriptors ({EACH} each), and the hard limit here is {hard}: raise it (ulimit -Hn)"
    ))
}
