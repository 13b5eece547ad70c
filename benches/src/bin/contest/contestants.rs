//! Who takes part: how to see whether it is installed, how to install it, and how it is configured for a round.

mod ours;
mod peers;
mod scripts;
mod systemd;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::floor;
use crate::plan::{Plan, Session};
use crate::stage::Stage;

pub(crate) use ours::descriptors_suffice;

/// What is known before a round.
#[derive(Debug)]
pub(crate) struct Field {
    /// Where peers are that no package manager of the system installs: `<dir>/circus/bin`, `<dir>/pm2/node_modules/.bin`, `<dir>/bin`.
    pub(crate) peers: PathBuf,
    /// The init of a booted container.
    pub(crate) systemd: Option<u32>,
    /// Builds of the daemon, by name.
    pub(crate) builds: BTreeMap<String, PathBuf>,
}

/// Who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A bare loop.
    Floor,
    /// A build of the daemon, started with all definitions.
    Ours(String),
    /// The same, idle, that gets the definitions by a reload.
    Reloaded(String),
    /// The same as [`Who::Ours`], and nothing that the children print is captured: one descriptor each instead of four.
    Uncaptured(String),
    /// One of [`PEERS`].
    Peer(&'static Peer),
}

/// Somebody else's supervisor.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Has to be found.
    pub(crate) program: &'static str,
    /// For a shell; its first line is the version.
    pub(crate) version: &'static str,
    /// How it is installed.
    pub(crate) install: &'static str,
    /// More processes than this it can't have, by its own limits.
    pub(crate) most: usize,
    plan: fn(&Field, &Stage, usize) -> Result<Plan>,
}

// Each is a place of its own: the name decides.
impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Peer {}

/// In the order of the tables.
pub(crate) const PEERS: [Peer; 8] = [
    Peer {
        name: "dinit",
        program: "dinit",
        version: "dinit --version",
        install: "from source: https://github.com/davmac314/dinit, make, and dinit and dinitctl into target/peers/bin",
        most: usize::MAX,
        plan: peers::dinit,
    },
    Peer {
        name: "systemd",
        program: "systemctl",
        version: "systemctl --version",
        install: "apt-get install --no-install-recommends systemd-container mmdebstrap, and be root: it is booted in a container",
        most: usize::MAX,
        plan: systemd::plan,
    },
    Peer {
        name: "s6",
        program: "s6-svscan",
        version: "dpkg-query --show s6",
        install: "apt-get install --no-install-recommends s6",
        most: usize::MAX,
        plan: scripts::s6,
    },
    Peer {
        name: "runit",
        program: "runsvdir",
        version: "dpkg-query --show runit",
        install: "apt-get install --no-install-recommends runit",
        most: 1000,
        plan: scripts::runit,
    },
    Peer {
        name: "Horust",
        program: "horust",
        // It does not tell its own; cargo has noted what it installed.
        version: r#"sed -n 's/^"\(horust [^ ]*\) .*/\1/p' "$(dirname "$(command -v horust)")/../.crates.toml""#,
        install: "cargo install --root target/peers horust",
        most: usize::MAX,
        plan: peers::horust,
    },
    Peer {
        name: "supervisord",
        program: "supervisord",
        version: "supervisord --version",
        install: "apt-get install --no-install-recommends supervisor",
        most: usize::MAX,
        plan: peers::supervisord,
    },
    Peer {
        name: "circus",
        program: "circusd",
        version: "circusd --version",
        install: "python3 -m venv target/peers/circus && target/peers/circus/bin/pip install circus",
        most: usize::MAX,
        plan: peers::circus,
    },
    Peer {
        name: "pm2",
        program: "pm2",
        version: "pm2 --version | tail -n 1",
        install: "npm install --prefix target/peers/pm2 pm2",
        most: usize::MAX,
        plan: peers::pm2,
    },
];

impl Field {
    /// Makes programs of peers be found by all commands that this program runs.
    pub(crate) fn path(&self) -> std::ffi::OsString {
        let own = ["bin", "circus/bin", "pm2/node_modules/.bin"].map(|dir| self.peers.join(dir));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = own.into_iter().chain(std::env::split_paths(&path));
        std::env::join_paths(all).unwrap_or(path)
    }

    /// First line of its version, or why it can't take part.
    pub(crate) fn version(&self, peer: &Peer) -> Result<String, String> {
        let missing = || format!("not installed: {}", peer.install);
        let mut command = match (peer.name, self.systemd) {
            ("systemd", None) => return Err(missing()),
            ("systemd", Some(init)) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--target={init}")).args(["--all", "--", "sh", "-c"]);
                command
            }
            _ if !self.is_there(peer.program) => return Err(missing()),
            _ => {
                let mut command = Command::new("sh");
                command.arg("-c");
                command
            }
        };
        let output = command.arg(peer.version).env("PATH", self.path()).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{}: {error}", peer.version))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .next()
            .map(|line| line.replace('\t', " "))
            .ok_or_else(|| format!("{} says nothing", peer.version))
    }

    fn is_there(&self, program: &str) -> bool {
        std::env::split_paths(&self.path()).any(|dir| dir.join(program).is_file())
    }
}

impl Who {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Floor => "floor".to_owned(),
            Self::Ours(build) => build.clone(),
            Self::Reloaded(build) => format!("{build}, by a reload"),
            Self::Uncaptured(build) => format!("{build}, nothing captured"),
            Self::Peer(peer) => peer.name.to_owned(),
        }
    }

    /// Everything is written and, where a supervisor runs before, it runs.
    pub(crate) fn prepare(&self, field: &Field, stage: &Stage, count: usize) -> Result<Box<dyn Round>> {
        let build = |name: &String| field.builds[name].as_path();
        let plan = match self {
            Self::Floor => return Ok(Box::new(floor::Floor::new(stage, count))),
            Self::Ours(name) => ours::cold(build(name), stage, count, true)?,
            Self::Uncaptured(name) => ours::cold(build(name), stage, count, false)?,
            Self::Reloaded(name) => ours::reloaded(build(name), stage, count)?,
            Self::Peer(peer) => (peer.plan)(field, stage, count)?,
        };
        let mut plan = plan;
        plan.env.push(("PATH".to_owned(), field.path().to_string_lossy().into_owned()));
        Ok(Box::new(Session::prepare(plan, stage.dir())?))
    }
}

/// What a contestant can be asked for in a round.
pub(crate) trait Round {
    /// Starts all processes, without waiting for them.
    fn begin(&mut self) -> Result<()>;
    /// Waits until it can be talked to.
    fn settle(&mut self) -> Result<()>;
    /// Reacts to processes that died, where somebody has to call it: the floor has no thread of its own.
    fn react(&mut self, dead: usize) -> Result<()>;
    /// Ends all processes, without waiting for them.
    fn end(&mut self) -> Result<()>;
    /// The supervisor, where there is one.
    fn session(&self) -> Option<&Session>;
}

impl Round for Session {
    fn begin(&mut self) -> Result<()> {
        Self::begin(self)
    }

    fn settle(&mut self) -> Result<()> {
        Self::settle(self)
    }

    fn react(&mut self, _dead: usize) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        Self::end(self)
    }

    fn session(&self) -> Option<&Session> {
        Some(self)
    }
}

/// `["a", "b"]` as strings.
fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn show(path: &Path) -> String {
    path.display().to_string()
}
