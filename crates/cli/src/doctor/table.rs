//! The table of checks.

use std::fmt::Write as _;

use super::{Facts, Finding, access, definitions, life, logs, machine, network, processes};

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    /// The daemon and its program.
    Daemon,
    /// Who can change or read what.
    Access,
    /// Ports.
    Network,
    /// Definitions.
    Definitions,
    /// Where lines go.
    Logs,
    /// What the machine gives.
    Machine,
    /// What is run.
    Processes,
}

impl Area {
    pub(crate) const ALL: [Self; 7] = [
        Self::Access,
        Self::Network,
        Self::Daemon,
        Self::Definitions,
        Self::Logs,
        Self::Machine,
        Self::Processes,
    ];

    /// The heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Daemon => "The daemon",
            Self::Access => "Who can read and change what",
            Self::Network => "Ports",
            Self::Definitions => "Definitions",
            Self::Logs => "Logs",
            Self::Machine => "The machine",
            Self::Processes => "Processes",
        }
    }
}

/// One check.
#[derive(Debug)]
pub(crate) struct Check {
    /// What it is called, for humans and programs. Never changed.
    pub(crate) name: &'static str,
    pub(crate) area: Area,
    /// What it looks at.
    pub(crate) looks: &'static str,
    /// When all is well; in the document.
    pub(crate) fine: &'static str,
    pub(crate) run: fn(&Facts) -> Vec<Finding>,
}

/// Every check, in the order in which they are shown.
pub(crate) static CHECKS: &[Check] = &[
    Check {
        name: "daemon",
        area: Area::Daemon,
        looks: "whether a daemon answers where `pm-cli` looks for one",
        fine: "it answers and is ready",
        run: life::daemon,
    },
    Check {
        name: "versions",
        area: Area::Daemon,
        looks: "the versions of `pm-cli` and of the daemon",
        fine: "they are the same",
        run: life::versions,
    },
    Check {
        name: "role",
        area: Area::Daemon,
        looks: "your role",
        fine: "always; it says what you can't see and do",
        run: life::role,
    },
    Check {
        name: "running-program",
        area: Area::Daemon,
        looks: "`/proc/PID/exe`",
        fine: "the program that runs is the one that is installed: no upgrade waits for a restart",
        run: life::running_program,
    },
    Check {
        name: "boot",
        area: Area::Daemon,
        looks: "whether systemd starts the daemon's unit at boot",
        fine: "the unit is enabled",
        run: life::boot,
    },
    Check {
        name: "installations",
        area: Area::Daemon,
        looks: "`dd-procmgrd` and `pm-cli` in every directory of PATH",
        fine: "there is one of each, whatever links lead to it",
        run: life::installations,
    },
    Check {
        name: "config-files",
        area: Area::Access,
        looks: "directories and files of definitions and overrides, `daemon.env`, and every `environment_file`",
        fine: "they belong to root or the daemon's user, and only these can write to them",
        run: access::config,
    },
    Check {
        name: "secrets",
        area: Area::Access,
        looks: "definitions and environment files with keys that look secret (`PASSWORD`, `TOKEN`, …), keys of certificates",
        fine: "not everybody on the machine can read them",
        run: access::secrets,
    },
    Check {
        name: "state-files",
        area: Area::Access,
        looks: "the directories of state and logs, and the definitions made over the API",
        fine: "they belong to root or the daemon's user, only these can write, and definitions are nobody else's to read",
        run: access::state,
    },
    Check {
        name: "socket",
        area: Area::Access,
        looks: "the runtime directory and the control socket in it",
        fine: "they belong to the daemon's user and nobody else can put a socket of his own in their place",
        run: access::socket,
    },
    Check {
        name: "token",
        area: Area::Access,
        looks: "the token that callers over TCP present",
        fine: "only the daemon's user and the group of operators can read it",
        run: access::token,
    },
    Check {
        name: "program",
        area: Area::Access,
        looks: "the daemon's program file",
        fine: "it belongs to root or the daemon's user, and only these can write to it",
        run: access::program,
    },
    Check {
        name: "listeners",
        area: Area::Network,
        looks: "the addresses that the daemon should listen on",
        fine: "it could open all of them",
        run: network::listeners,
    },
    Check {
        name: "binding",
        area: Area::Network,
        looks: "whether other machines reach the control port and the metrics",
        fine: "they listen on loopback, or ask for a certificate or a password",
        run: network::binding,
    },
    Check {
        name: "metrics",
        area: Area::Network,
        looks: "`/metrics`, as Prometheus would",
        fine: "it answers within 2 s, and no collector left something out",
        run: network::metrics,
    },
    Check {
        name: "definitions",
        area: Area::Definitions,
        looks: "every file of definitions, read as the daemon reads them",
        fine: "the main file is there, and nothing in any file is an error",
        run: definitions::files,
    },
    Check {
        name: "last-load",
        area: Area::Definitions,
        looks: "how the daemon's last load of the definitions went",
        fine: "everything in the files is in force",
        run: definitions::last_load,
    },
    Check {
        name: "journald",
        area: Area::Logs,
        looks: "the journal's socket, and what the daemon says of it",
        fine: "it takes entries",
        run: logs::journald,
    },
    Check {
        name: "rate-limit",
        area: Area::Logs,
        looks: "`LogRateLimitIntervalSec=` and `LogRateLimitBurst=` of the daemon's unit",
        fine: "journald does not drop the lines of all processes because of one",
        run: logs::rate_limit,
    },
    Check {
        name: "disks",
        area: Area::Logs,
        looks: "space and inodes where log files and state are",
        fine: "more than 10 % or 10 GiB is free, and more than 5 % of the inodes",
        run: logs::disks,
    },
    Check {
        name: "capabilities",
        area: Area::Machine,
        looks: "`CapEff` and `CapBnd` in `/proc/PID/status`, and what definitions ask for (`user`, `ambient_capabilities`, …)",
        fine: "the daemon has what they need",
        run: machine::capabilities,
    },
    Check {
        name: "cgroup",
        area: Area::Machine,
        looks: "whether systemd gave the daemon cgroups of its own",
        fine: "it did (`Delegate=yes`), or the daemon is not run by systemd",
        run: machine::cgroup,
    },
    Check {
        name: "descriptors",
        area: Area::Machine,
        looks: "the daemon's limit of open files, and what it uses or will need",
        fine: "a fifth is left",
        run: machine::descriptors,
    },
    Check {
        name: "clock",
        area: Area::Machine,
        looks: "the time",
        fine: "it is after 2020, and after the daemon's start",
        run: machine::clock,
    },
    Check {
        name: "processes",
        area: Area::Processes,
        looks: "the states of all processes",
        fine: "none is in `crash_loop`, `failed` or `invalid`, none waits in `backoff`, none is unhealthy",
        run: processes::states,
    },
    Check {
        name: "degraded",
        area: Area::Processes,
        looks: "what of the definitions can't be done on this machine",
        fine: "everything can",
        run: processes::degraded,
    },
    Check {
        name: "users",
        area: Area::Processes,
        looks: "the users that processes run as",
        fine: "the daemon is not root's, or every process has a `user:` that is not root",
        run: processes::users,
    },
];

/// The table for docs/SECURITY_CHECKLIST.md.
pub(crate) fn markdown() -> String {
    let mut text = String::new();
    for area in Area::ALL {
        let head = "| check | looks at | fine is |\n|---|---|---|";
        let _infallible = writeln!(text, "\n### {}\n\n{head}", area.title()).is_ok();
        for check in CHECKS.iter().filter(|check| check.area == area) {
            let _infallible =
                writeln!(text, "| `{}` | {} | {} |", check.name, check.looks, check.fine).is_ok();
        }
    }
    text
}
