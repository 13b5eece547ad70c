//! Health checks: what is asked, how often, and what the answers mean.

use std::fmt;
use std::time::Duration;

use crate::{CommandLine, Wall};

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// GET of this URL (`http://host:port/path`); healthy = a status from 200 to 399. Redirects are not followed.
    Http {
        /// The URL.
        url: String,
    },
    /// A TCP connection to `host:port` is accepted.
    Tcp {
        /// The address.
        address: String,
    },
    /// This command ends with 0. It runs as the process's user, in its environment.
    Exec(CommandLine),
    /// grpc.health.v1.Health/Check at `host:port` answers SERVING.
    Grpc {
        /// The address.
        address: String,
        /// The service asked about; empty = the server as a whole.
        service: String,
    },
}

impl Probe {
    /// Its `type:` in a definition.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Tcp { .. } => "tcp",
            Self::Exec(_) => "exec",
            Self::Grpc { .. } => "grpc",
        }
    }
}

/// `http http://127.0.0.1:80/`, `exec /bin/check --fast`
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.as_str())?;
        match self {
            Self::Http { url } => f.write_str(url),
            Self::Tcp { address } => f.write_str(address),
            Self::Exec(command) => write!(f, "{command}"),
            Self::Grpc { address, service } if service.is_empty() => f.write_str(address),
            Self::Grpc { address, service } => write!(f, "{address} {service}"),
        }
    }
}

/// `health_check:`. The first check is made as soon as the process is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSpec {
    /// What is asked.
    pub probe: Probe,
    /// From one check's end to the next check's start.
    pub interval: Duration,
    /// Longest wait for an answer; no answer is a failure.
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy; at least 1.
    pub retries: u32,
    /// For this long after it is up, failures don't count, and it is asked each second (or each `interval`, if that is
    /// shorter) until the first success.
    pub start_period: Duration,
    /// Successes in a row that make it healthy; at least 1.
    pub success_threshold: u32,
    /// Failures in a row after which it is restarted as after a crash; 0 = never.
    pub restart_after: u32,
}

impl HealthSpec {
    /// A check with the documented default of everything else.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self {
            probe,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            retries: 3,
            start_period: Duration::from_secs(10),
            success_threshold: 1,
            restart_after: 0,
        }
    }
}

/// What the checks say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthState {
    /// Not enough is known yet.
    Starting,
    /// Enough successes in a row.
    Healthy,
    /// Enough failures in a row.
    Unhealthy,
}

impl HealthState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Starting, Self::Healthy, Self::Unhealthy];

    /// Its name in lists and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The health of a running process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthView {
    /// What the checks say.
    pub state: HealthState,
    /// Since when.
    pub since: Wall,
    /// Failures in a row.
    pub failures: u32,
    /// What the last failure said; empty when there was none since the last success.
    pub message: String,
    /// Checks of this run that passed.
    pub passed: u64,
    /// Checks of this run that failed.
    pub failed: u64,
    /// How long the last one took; `None` before the first.
    pub took: Option<Duration>,
}
