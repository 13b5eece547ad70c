//! The two families that keep a directory and a small supervisor for each process. Neither has a logger here: children print
//! nothing, and a logger each would double their memory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{Field, show, words};
use crate::plan::{Change, End, Plan};
use crate::stage::Stage;

pub(super) fn s6(_: &Field, stage: &Stage, count: usize) -> Result<Plan> {
    let dir = services(stage, count)?;
    let scan = show(&dir);
    let mut plan = Plan::cold(words(["s6-svscan", "-c", "20000", &scan]));
    plan.list = Some(words(["sh", "-c", &format!("for d in {scan}/p*; do s6-svstat $d; done")]));
    plan.status = Some(words(["s6-svstat", &format!("{scan}/p0")]));
    plan.change = Some(change(stage, &dir, words(["s6-svc", "-r", &format!("{scan}/p0")])));
    Ok(plan)
}

pub(super) fn runit(_: &Field, stage: &Stage, count: usize) -> Result<Plan> {
    let dir = services(stage, count)?;
    let scan = show(&dir);
    let mut plan = Plan::cold(words(["runsvdir", &scan]));
    // SIGTERM would leave everything running.
    plan.end = End::Signal(Signal::SIGHUP);
    plan.list = Some(words(["sh", "-c", &format!("sv status {scan}/p*")]));
    plan.status = Some(words(["sv", "status", &format!("{scan}/p0")]));
    plan.change = Some(change(stage, &dir, words(["sv", "restart", &format!("{scan}/p0")])));
    Ok(plan)
}

/// A directory with one for each.
fn services(stage: &Stage, count: usize) -> Result<PathBuf> {
    let all = stage.dir().join("services");
    fs::create_dir(&all)?;
    for n in 0..count {
        let name = format!("p{n}");
        let dir = all.join(&name);
        fs::create_dir(&dir)?;
        let run = dir.join("run");
        fs::write(&run, script(stage, &name))?;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
    }
    Ok(all)
}

fn script(stage: &Stage, name: &str) -> String {
    format!("#!/bin/sh\nexec {}\n", stage.child(name).join(" "))
}

fn change(stage: &Stage, services: &Path, run: Vec<String>) -> Change {
    Change { files: vec![(services.join("p0/run"), script(stage, "changed"))], run }
}
