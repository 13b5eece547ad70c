//! Readiness, hooks, dependencies and the lab's afternoon, in the daemon's delegated cgroup.

use anyhow::{Result, ensure};

use crate::system_test::bed::{Bed, UNIT_CGROUP};

/// A program that says that it is ready with systemd's own tool, which is a child of it, and of another user.
const REPORTER: &str = "systemd-notify --status=warm READY=1; exec sleep infinity";

pub(super) fn notify(bed: &Bed) -> Result<()> {
    bed.sh(&format!("pm-cli create reporter sh -c '{REPORTER}' --type notify --user nobody --auto-start"))?;
    let shown = bed.sh("pm-cli describe reporter")?;
    ensure!(shown.contains("running") && shown.contains("warm"), "{shown}");
    bed.sh("pm-cli delete reporter")?;
    let left = bed.sh("ls /run/dd-procmgrd/notify")?;
    ensure!(left.trim().is_empty(), "sockets are left: {left}");

    let silent =
        "pm-cli create silent sleep infinity --type notify --start-timeout 1s --restart never --auto-start";
    let refused = bed.try_sh(silent)?;
    ensure!(refused.code == 1 && refused.stderr.contains("start_timeout"), "{refused}");
    bed.sh("pm-cli delete silent").map(drop)
}

pub(super) fn forking(bed: &Bed) -> Result<()> {
    let program = "setsid sh -c \"echo \\$\\$ >/run/forked.pid; exec sleep 7654\" & sleep 0.2";
    bed.sh("mkdir -p /etc/dd-procmgrd/processes.d")?;
    bed.write(
        "/etc/dd-procmgrd/processes.d/forked.yaml",
        &format!(
            "processes:\n  forked:\n    type: forking\n    pidfile: /run/forked.pid\n    command: sh\n    args: [\"-c\", '{program}']\n"
        ),
    )?;
    bed.sh("pm-cli reload-config")?;
    bed.wait("the daemon", || Ok((bed.process("forked")?.state == "running").then_some(())))?;
    let pid = bed.pid("forked")?;
    ensure!(bed.sh("cat /run/forked.pid")?.trim() == pid.to_string(), "{pid} is not what the pidfile says");
    ensure!(bed.cgroup(pid)?.starts_with(UNIT_CGROUP), "{pid} left the unit");
    bed.sh(&format!("kill -9 {pid}"))?;
    bed.wait("its restart", || {
        let now = bed.process("forked")?;
        Ok((now.state == "running" && bed.pid("forked")? != pid).then_some(()))
    })?;
    bed.sh("rm /etc/dd-procmgrd/processes.d/forked.yaml && pm-cli reload-config")?;
    bed.wait("its end", || Ok((bed.try_sh("pgrep -xf 'sleep 7654'")?.code == 1).then_some(())))
}

pub(super) fn hooks(bed: &Bed) -> Result<()> {
    let pre = "setsid --fork sleep 8765; id -un";
    bed.sh(&format!(
        "pm-cli create hooked sleep infinity --user nobody --exec-start-pre \"sh -c '{pre}'\" --auto-start"
    ))?;
    bed.wait("the hook's line", || Ok((bed.sh("pm-cli logs hooked")? == "nobody\n").then_some(())))?;
    let left = bed.try_sh("pgrep -xf 'sleep 8765'")?;
    ensure!(left.code == 1, "what the hook started is alive: {left}");
    bed.sh("pm-cli delete hooked")?;
    let leaves = bed.sh(&format!("ls {UNIT_CGROUP}"))?;
    ensure!(!leaves.contains("hooked"), "a cgroup is left:\n{leaves}");
    Ok(())
}

/// What the beginner's report does with systemctl, with pm-cli.
pub(super) fn lab(bed: &Bed) -> Result<()> {
    bed.sh(
        "pm-cli create lab sh -c 'trap \"echo reloaded\" HUP; while :; do sleep 0.1; done' --restart always",
    )?;
    ensure!(bed.try_sh("pm-cli is-active lab")?.code == 3, "active before its start");
    bed.sh("pm-cli start lab && pm-cli is-active lab")?;
    ensure!(bed.try_sh("pm-cli is-enabled lab")?.code == 1, "enabled before it was enabled");
    bed.sh("pm-cli enable lab && pm-cli is-enabled lab")?;
    let pid = bed.pid("lab")?;
    bed.sh("pm-cli reload lab")?;
    bed.wait("its answer", || Ok(bed.sh("pm-cli logs lab")?.contains("reloaded").then_some(())))?;
    ensure!(bed.pid("lab")? == pid, "a reload gave a new pid");
    bed.sh("pm-cli kill lab -s KILL")?;
    bed.wait("the next run", || {
        let now = bed.process("lab")?;
        Ok((now.state == "running" && bed.pid("lab")? != pid).then_some(()))
    })?;
    let typo = "EDITOR='sh -c \"echo Enviroment: x >>\\$0\"' pm-cli edit lab </dev/null";
    let typo = bed.try_sh(typo)?;
    ensure!(typo.code == 1 && typo.stderr.contains("Enviroment"), "{typo}");
    bed.sh("EDITOR='sh -c \"echo restart_sec: 7 >>\\$0\"' pm-cli edit lab")?;
    ensure!(bed.sh("pm-cli cat lab")?.contains("restart_sec: 7"), "the override is not in force");
    bed.sh("pm-cli delete lab && rm -f /etc/dd-procmgrd/overrides.d/lab.yaml").map(drop)
}
