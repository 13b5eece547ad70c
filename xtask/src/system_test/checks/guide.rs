//! The installation guide and the lab report that this project was given, typed by users of a fresh machine.

use anyhow::{Result, ensure};

use super::{Check, check, essential};
use crate::system_test::bed::Bed;
use crate::system_test::typed::{self, Typed};

/// Two people: one has sudo and the machine, the other one a service of her own.
pub(super) static CHECKS: [Check; 5] = [
    essential("quick start", "for production, as typed", production),
    check("lab", "its five tasks with pm-cli, as typed", lab),
    check("management", "the guide's commands, as typed", management),
    check("second daemon", "started by hand beside the service, it says so", second),
    check("quick start", "for development, as typed", development),
];

const COMMANDS: &str = include_str!("guide/commands.txt");
const LAB: &str = include_str!("guide/lab.txt");

/// A directory as people have it after `git clone` and `cargo build --release`.
pub(super) const CHECKOUT: &str = "/opt/dd-procmgrd";

/// The lab's program. Its report shows what it prints.
const APP: &str = r#"import os, signal, sys, time

def hang_up(*_):
    print("Received signal 1, would reload config")

def end(*_):
    print("Received signal 15, shutting down gracefully...")
    sys.exit(0)

signal.signal(signal.SIGHUP, hang_up)
signal.signal(signal.SIGTERM, end)
print(f"Application starting, APP_ENV={os.environ.get('APP_ENV')} DEBUG={os.environ.get('DEBUG')}")
print("PID:", os.getpid())
beat = 0
while True:
    beat += 1
    print(f"Heartbeat #{beat}")
    time.sleep(1)"#;

pub(super) fn section(name: &str) -> Result<Vec<Typed>> {
    typed::section(COMMANDS, name)
}

/// Makes the checkout, with definitions beside it.
pub(super) fn checkout(bed: &Bed, definitions: &str) -> Result<()> {
    bed.sh(&format!("mkdir -p {CHECKOUT} /opt/lab && ln -sfn -t {CHECKOUT} /src/target /src/systemd /src/packaging /src/examples"))?;
    bed.write(&format!("{CHECKOUT}/processes.yaml"), definitions)?;
    bed.write("/opt/lab/app.py", APP)
}

/// Alice is the first user of the machine, and Sam has the lab's program.
pub(super) fn users(bed: &Bed) -> Result<()> {
    for (name, uid) in [("alice", 1000), ("sam", 1001)] {
        bed.sh(&format!("id {name} || useradd --uid {uid} --create-home --shell /bin/bash {name}"))?;
        bed.sh(&format!("echo '{name} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{name}"))?;
    }
    // sudo looks for it, and complains when nothing knows it.
    bed.sh("grep -q $(hostname) /etc/hosts || echo 127.0.1.1 $(hostname) >> /etc/hosts")?;
    bed.sh("install -d -o sam -g sam /home/sam/webapp && cp /opt/lab/app.py /home/sam/webapp/").map(drop)
}

fn production(bed: &Bed) -> Result<()> {
    checkout(bed, "processes: {}")?;
    users(bed)?;
    typed::type_all(bed, "sam", CHECKOUT, &section("quick start, production")?)
}

fn development(bed: &Bed) -> Result<()> {
    // The guide has them on different machines: here, the ports are taken.
    typed::type_all(bed, "alice", CHECKOUT, &section("quick start, development")?)
}

fn lab(bed: &Bed) -> Result<()> {
    for name in [
        "service",
        "1. basic management",
        "2. boot persistence",
        "3. signal handling",
        "4. automatic restart",
        "5. override",
    ] {
        typed::type_all(bed, "sam", "/home/sam", &typed::section(LAB, name)?)?;
    }
    Ok(())
}

fn management(bed: &Bed) -> Result<()> {
    // A relative path is looked up where the daemon is, as the guide's own example has it.
    bed.sh("install -m 644 /opt/lab/app.py /opt/app.py")?;
    typed::type_all(bed, "root", CHECKOUT, &section("management")?)
}

fn second(bed: &Bed) -> Result<()> {
    let refused = bed.try_sh("timeout 20 /usr/bin/dd-procmgrd")?;
    ensure!(refused.code != 0 && refused.code != 124, "it did not refuse: {refused}");
    ensure!(refused.to_string().contains("another dd-procmgrd (pid "), "it does not say why: {refused}");
    bed.sh("pm-cli list").map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system_test::typed::How;

    /// The names of a file's sections.
    fn names(text: &str) -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')).collect()
    }

    #[test]
    fn every_section_can_be_read() {
        for text in [COMMANDS, LAB] {
            for name in names(text) {
                typed::section(text, name).unwrap();
            }
        }
    }

    /// What the guide gets wrong: that it copies no pm-cli where it types it, that `~/.local/bin` is in no PATH yet, that
    /// chown takes capabilities from a file, and the one example that needs more than it says.
    #[test]
    fn the_guide_needs_no_further_correction() {
        let all: Vec<Typed> = names(COMMANDS).iter().flat_map(|name| section(name).unwrap()).collect();
        let added = all.iter().filter(|typed| typed.how == How::Added);
        let mut added: Vec<&str> =
            added.map(|typed| typed.command.split(" # ").next().unwrap_or_default()).collect();
        added.sort_unstable();
        added.dedup();
        assert_eq!(
            added,
            [
                "PATH=\"$HOME/.local/bin:$PATH\"",
                "id www-data > /dev/null",
                "ln -s python3 /usr/bin/python",
                "pm-cli create myapp /usr/bin/python /opt/lab/app.py --user www-data --auto-start",
                "sudo ln -s dd-procmgr-cli /usr/bin/pm-cli",
                "sudo setcap cap_setuid,cap_setgid+ep /usr/bin/dd-procmgrd",
            ]
        );
        assert!(all.len() > 150, "only {} commands", all.len());
    }

    #[test]
    fn nothing_of_the_lab_needs_a_correction() {
        let all = names(LAB).into_iter().flat_map(|name| typed::section(LAB, name).unwrap());
        assert!(all.into_iter().all(|typed| typed.how == How::Verbatim));
    }
}
