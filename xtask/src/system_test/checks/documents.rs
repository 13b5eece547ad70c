//! This project's own documents, typed: README.md and docs/INSTALL.md for whoever builds from source.

use anyhow::{Result, ensure};

use super::{Check, check, essential, guide};
use crate::system_test::bed::Bed;
use crate::system_test::typed::{self, Typed};

pub(super) static CHECKS: [Check; 4] = [
    essential("README.md", "Install under systemd, as typed", readme),
    check("docs/INSTALL.md", "from source with the root unit, as typed", from_source),
    check("docs/INSTALL.md", "socket activation, as typed: a restart refuses nobody", activation),
    check("docs/INSTALL.md", "the user service, as typed", user_service),
];

const README: &str = include_str!("../../../../README.md");
const INSTALL: &str = include_str!("../../../../docs/INSTALL.md");

/// What these commands make is there: the test does not build.
const MADE: [&str; 4] = ["cargo build", "cargo install", "cargo xtask package", "rustup target add"];

/// The commands of the blocks ```` ```bash ```` below a heading, up to the next heading.
fn blocks(text: &str, heading: &str) -> Result<Vec<Typed>> {
    let mut all = Vec::new();
    let mut fence = "";
    let below = text.lines().skip_while(|line| **line != *heading).skip(1);
    for line in below {
        match (fence, line) {
            (_, "```") => fence = "",
            ("", line) if line.starts_with("```") => fence = line,
            ("", line) if line.starts_with('#') => break,
            ("```bash", line) if !line.is_empty() && !MADE.iter().any(|made| line.starts_with(made)) => {
                all.push(Typed::verbatim(line));
            }
            _ => {}
        }
    }
    ensure!(!all.is_empty(), "nothing to type below `{heading}`");
    Ok(all)
}

/// Types what stands below a heading of docs/INSTALL.md, up to a command that is not typed any more.
pub(super) fn type_install(bed: &Bed, user: &str, heading: &str, end: &str) -> Result<()> {
    let mut all = blocks(INSTALL, heading)?;
    let end = all.iter().position(|typed| typed.command == end).unwrap_or(all.len());
    all.truncate(end);
    typed::type_all(bed, user, guide::CHECKOUT, &all)
}

fn readme(bed: &Bed) -> Result<()> {
    guide::checkout(bed, "processes: {}")?;
    guide::users(bed)?;
    let mut all = blocks(README, "## Install under systemd")?;
    // The second block of that chapter is for another unit.
    let end = all.iter().position(|typed| typed.command == "pm-cli list");
    all.truncate(end.map_or(0, |end| end + 1));
    typed::type_all(bed, "sam", guide::CHECKOUT, &all)?;
    ensure!(bed.list()?.iter().any(|process| process.name == "heartbeat"), "the examples are not there");
    Ok(())
}

fn from_source(bed: &Bed) -> Result<()> {
    bed.sh("systemctl disable --quiet --now dd-procmgrd && rm -r /etc/dd-procmgrd /usr/bin/pm-cli /etc/systemd/system/dd-procmgrd.service")?;
    bed.sh("getent group dd-procmgrd && groupdel dd-procmgrd || true")?;
    type_install(bed, "sam", "## From source", "")?;
    type_install(bed, "sam", "### Root", "")?;
    ensure!(bed.list()?.is_empty(), "the first definitions are empty");
    Ok(())
}

fn activation(bed: &Bed) -> Result<()> {
    /// Connects again and again, to the port and to the socket, and tells which of them were not served.
    const CLIENTS: &str = "
        for n in $(seq 15); do
            curl --silent --fail --max-time 60 --output /dev/null http://127.0.0.1:9090/metrics || echo port $n: $?
            timeout 60 pm-cli list > /dev/null || echo socket $n: $?
        done";

    type_install(bed, "sam", "## Socket activation", "")?;
    let said = bed.sh("journalctl -u dd-procmgrd --output=cat --no-pager")?;
    for what in ["control socket /run/dd-procmgrd/control.sock", "control port 127.0.0.1:50051"] {
        ensure!(said.contains(&format!("systemd listens on the {what}")), "{said}");
    }
    let first = bed.sh("systemctl show --value --property=MainPID dd-procmgrd")?;
    let refused =
        bed.sh(&format!("({CLIENTS}) & for n in 1 2 3; do systemctl restart dd-procmgrd; done; wait"))?;
    ensure!(refused.is_empty(), "clients that were not served while it was restarted:\n{refused}");
    ensure!(
        bed.sh("systemctl show --value --property=MainPID dd-procmgrd")? != first,
        "it was not restarted"
    );
    // Stopped by hand, it is back with the first connection.
    bed.sh("systemctl stop dd-procmgrd && curl --silent --fail http://127.0.0.1:9090/metrics > /dev/null")?;
    bed.sh("systemctl is-active dd-procmgrd && systemctl disable --quiet --now dd-procmgrd.socket")?;
    bed.sh("systemctl stop dd-procmgrd && rm -r /etc/systemd/system/dd-procmgrd.s* /run/dd-procmgrd")?;
    bed.sh("cp /src/systemd/dd-procmgrd.service /etc/systemd/system/ && systemctl daemon-reload && systemctl start dd-procmgrd")?;
    ensure!(bed.try_sh("pm-cli list")?.code == 0, "without the sockets of systemd it has none of its own");
    Ok(())
}

fn user_service(bed: &Bed) -> Result<()> {
    bed.sh("systemctl stop dd-procmgrd && rm /usr/bin/pm-cli /usr/bin/dd-procmgr-cli")?;
    // Debian's ~/.profile puts this directory into PATH if it is there, as the document asks for.
    bed.sh("runuser -u alice -- mkdir -p /home/alice/.local/bin")?;
    type_install(bed, "alice", "### User service", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Below these headings of docs/INSTALL.md, commands are typed by a check, here or of the packages.
    const TYPED: [&str; 8] = [
        "## Debian package",
        "## From source",
        "### Root",
        "### Capabilities",
        "### Hardened",
        "### User service",
        "## Rotation",
        "## Socket activation",
    ];
    /// And below these they are not: what they need is not there, or a check of its own types other words.
    const NOT_TYPED: [&str; 3] = ["## Archive", "## Container", "## Kubernetes"];

    #[test]
    fn every_command_of_the_installation_is_typed_by_somebody() {
        let mut heading = "";
        let mut seen = Vec::new();
        for line in INSTALL.lines() {
            if line.starts_with('#') && !line.starts_with("# ") {
                heading = line;
            }
            if line == "```bash" {
                assert!(
                    TYPED.contains(&heading) || NOT_TYPED.contains(&heading),
                    "nobody types what stands below `{heading}`"
                );
                seen.push(heading);
            }
        }
        for heading in TYPED {
            assert!(seen.contains(&heading), "nothing stands below `{heading}`");
            assert!(blocks(INSTALL, heading).is_ok());
        }
    }

    #[test]
    fn commands_of_a_heading_alone_are_taken() {
        let text = "## A\n```bash\none\ncargo build --release\n```\ntext\n```text\nno\n```\n```bash\ntwo  # 2\n```\n## B\n```bash\nthree\n```\n";
        assert_eq!(blocks(text, "## A").unwrap(), [Typed::verbatim("one"), Typed::verbatim("two  # 2")]);
        assert!(blocks(text, "## C").is_err());
    }
}
