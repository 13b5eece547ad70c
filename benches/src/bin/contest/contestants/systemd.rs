//! systemd, as PID 1 of a booted container. The round's directory is at the same path inside. Its commands enter the container
//! first, which takes a few milliseconds that are in their times.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{Field, words};
use crate::plan::{Begin, Change, End, Plan, Root};
use crate::stage::Stage;

pub(super) fn plan(field: &Field, stage: &Stage, count: usize) -> Result<Plan> {
    let init = field.systemd.context("no container was booted")?;
    let units = PathBuf::from(format!("/proc/{init}/root/run/systemd/system"));
    fs::create_dir_all(&units)?;
    // What an interrupted round left.
    for entry in fs::read_dir(&units)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("bench-") {
            fs::remove_file(entry.path())?;
        }
    }
    let mut target = "[Unit]\nDefaultDependencies=no\n".to_owned();
    for n in 0..count {
        fs::write(units.join(format!("bench-p{n}.service")), unit(stage, &format!("p{n}")))?;
        target += &format!("Wants=bench-p{n}.service\n");
    }
    fs::write(units.join("bench-all.target"), target)?;
    let inside = |command: &str| {
        let enter = format!("--target={init}");
        words(["nsenter", &enter, "--all", "--", "sh", "-c", command])
    };
    let mut plan = Plan::cold(Vec::new());
    plan.supervisor = None;
    // Loading the units is not starting them.
    plan.ready = Some(inside("systemctl daemon-reload"));
    plan.begin = Begin::Run(inside("systemctl start bench-all.target"));
    plan.end = End::Run(inside("systemctl stop bench-all.target"));
    plan.root = Root::Pid(init);
    plan.list = Some(inside("systemctl list-units --no-pager --type=service 'bench-*'"));
    plan.status = Some(inside("systemctl status --no-pager --lines=0 bench-p0.service"));
    plan.change = Some(Change {
        files: vec![(units.join("bench-p0.service"), unit(stage, "changed"))],
        run: inside("systemctl daemon-reload && systemctl restart bench-p0.service"),
    });
    plan.cleanup = Some(inside(
        "systemctl stop bench-all.target; systemctl kill --signal=KILL 'bench-p*' 2>/dev/null; \
         rm -f /run/systemd/system/bench-*; systemctl daemon-reload; systemctl reset-failed",
    ));
    Ok(plan)
}

fn unit(stage: &Stage, name: &str) -> String {
    format!(
        "[Unit]\nDefaultDependencies=no\nPartOf=bench-all.target\nStartLimitIntervalSec=0\n[Service]\nExecStart={}\n\
         Restart=always\nRestartSec=0\n",
        stage.child(name).join(" ")
    )
}
