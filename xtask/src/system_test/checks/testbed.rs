//! Whether the test bed itself is what the other checks take it for, and whether systemd likes our units.

use anyhow::{Result, ensure};

use crate::system_test::bed::Bed;
use crate::system_test::prometheus;

pub(super) fn no_unit_failed(bed: &Bed) -> Result<()> {
    let failed = bed.sh("systemctl list-units --failed --no-legend --plain")?;
    ensure!(failed.is_empty(), "failed:\n{failed}");
    Ok(())
}

pub(super) fn journald_works(bed: &Bed) -> Result<()> {
    bed.sh("printf 'MESSAGE=hello\\nPROCESS_ID=feedfacecafe\\n' | logger --journald")?;
    let found = bed.wait("the entry", || {
        let text = bed.sh("journalctl --quiet --output=cat PROCESS_ID=feedfacecafe")?;
        Ok((!text.is_empty()).then_some(text))
    })?;
    ensure!(found.trim() == "hello", "found {found:?}");
    Ok(())
}

/// The way in which the daemon stops a process: a leaf below its unit, and `cgroup.kill` of that.
pub(super) fn cgroup_kill_works(bed: &Bed) -> Result<()> {
    bed.sh("systemd-run --quiet --unit=testbed-leaf --property=Delegate=yes sleep infinity")?;
    let script = "\
        cd /sys/fs/cgroup/system.slice/testbed-leaf.service && mkdir leaf && cd leaf || exit 1
        sleep infinity > /dev/null &
        echo $! > cgroup.procs && grep -q 'populated 1' cgroup.events && echo 1 > cgroup.kill || exit 2
        wait $!
        echo ended with $?
        until grep -q 'populated 0' cgroup.events; do :; done";
    let said = bed.sh(script)?;
    ensure!(said.trim() == "ended with 137", "{said}");
    bed.sh("systemctl stop testbed-leaf").map(drop)
}

pub(super) fn prometheus_works(bed: &Bed) -> Result<()> {
    prometheus::start(bed)?;
    prometheus::wait(bed, r#"up{job="prometheus"}"#, |up| up == 1.0).map(drop)
}

pub(super) fn units_verify(bed: &Bed) -> Result<()> {
    // The programs that the units name have to be there; what they are does not matter here.
    bed.sh("mkdir -p /root/.local/bin && ln -s /bin/true /root/.local/bin/dd-procmgrd && ln -s /bin/true /usr/bin/dd-procmgrd")?;
    bed.sh("useradd --system --shell /bin/false --home-dir /var/lib/dd-procmgrd dd-procmgrd")?;
    let mut said = String::new();
    for (units, option) in [
        ("dd-procmgrd.service", ""),
        ("dd-procmgrd-capability.service", ""),
        ("dd-procmgrd-secure.service", ""),
        ("dd-procmgrd-user.service", "--user"),
        ("dd-procmgrd.socket", ""),
    ] {
        let script = format!(
            "cd /src/systemd && XDG_RUNTIME_DIR=/run systemd-analyze verify --man=no {option} ./{units}"
        );
        let done = bed.try_sh(&script)?;
        if done.code != 0 || !done.stdout.is_empty() || !done.stderr.is_empty() {
            said += &format!("{done}\n");
        }
    }
    bed.sh("rm /usr/bin/dd-procmgrd /root/.local/bin/dd-procmgrd && userdel dd-procmgrd")?;
    ensure!(said.is_empty(), "{said}");
    Ok(())
}

/// Parsed only: whether the kernel confines anything is not up to the container.
pub(super) fn profile_parses(bed: &Bed) -> Result<()> {
    let parse = "apparmor_parser --skip-kernel-load --skip-cache --quiet";
    bed.sh(&format!("{parse} /src/packaging/examples/apparmor"))?;
    // A profile with a mistake would be noticed.
    let broken = bed.try_sh(&format!(
        "sed 's/capability setuid/capability sit/' /src/packaging/examples/apparmor | {parse}"
    ))?;
    ensure!(broken.code != 0, "an unknown capability is fine with it: {broken}");
    Ok(())
}
