//! The health check on the command line: one option says what is asked, the others how.

use std::path::Path;
use std::time::Duration;

use clap::{ArgGroup, Args};
use model::{CommandLine, HealthSpec, Probe};

use super::definition::{command_line, located};
use crate::units;

/// `--health-…`. The check is one key: with one of the first four it is replaced as a whole, without them `update`
/// changes the one that is there.
#[derive(Debug, Args)]
#[command(next_help_heading = "Health check", group = ArgGroup::new("probe"))]
pub(crate) struct HealthArgs {
    /// It is healthy when a GET of this http:// URL answers with 200 to 399
    #[arg(long, value_name = "URL", group = "probe")]
    health_http: Option<String>,
    /// It is healthy when this port accepts connections
    #[arg(long, value_name = "HOST:PORT", group = "probe")]
    health_tcp: Option<String>,
    /// It is healthy when this command ends with 0
    #[arg(long, value_name = "COMMAND", group = "probe", value_parser = command_line)]
    health_exec: Option<CommandLine>,
    /// It is healthy when this gRPC server says SERVING, of itself or of a service
    #[arg(long, value_name = "HOST:PORT[/SERVICE]", group = "probe")]
    health_grpc: Option<String>,
    /// Time between two checks [default: 10]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    health_interval: Option<Duration>,
    /// Longest wait for an answer [default: 5]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    health_timeout: Option<Duration>,
    /// Failures in a row that make it unhealthy [default: 3]
    #[arg(long, value_name = "N")]
    health_retries: Option<u32>,
    /// Time after its start in which failures don't count [default: 10]
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    health_start_period: Option<Duration>,
    /// Successes in a row that make it healthy [default: 1]
    #[arg(long, value_name = "N")]
    health_success_threshold: Option<u32>,
    /// Failures in a row after which it is restarted, 0 = never [default: 0]
    #[arg(long, value_name = "N")]
    health_restart_after: Option<u32>,
}

/// How it is asked, as far as that was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HealthChange {
    interval: Option<Duration>,
    timeout: Option<Duration>,
    retries: Option<u32>,
    start_period: Option<Duration>,
    success_threshold: Option<u32>,
    restart_after: Option<u32>,
}

impl HealthChange {
    /// The check with that changed.
    pub(crate) fn of(self, check: HealthSpec) -> HealthSpec {
        HealthSpec {
            interval: self.interval.unwrap_or(check.interval),
            timeout: self.timeout.unwrap_or(check.timeout),
            retries: self.retries.unwrap_or(check.retries),
            start_period: self.start_period.unwrap_or(check.start_period),
            success_threshold: self.success_threshold.unwrap_or(check.success_threshold),
            restart_after: self.restart_after.unwrap_or(check.restart_after),
            ..check
        }
    }
}

impl HealthArgs {
    fn how(&self) -> HealthChange {
        HealthChange {
            interval: self.health_interval,
            timeout: self.health_timeout,
            retries: self.health_retries,
            start_period: self.health_start_period,
            success_threshold: self.health_success_threshold,
            restart_after: self.health_restart_after,
        }
    }

    /// What is to be changed of a check that is there: it was said how is asked, and not what.
    pub(super) fn change(&self) -> Option<HealthChange> {
        let what = self.health_http.is_some()
            || self.health_tcp.is_some()
            || self.health_exec.is_some()
            || self.health_grpc.is_some();
        Some(self.how()).filter(|how| !what && *how != HealthChange::default())
    }

    /// The check, when one was given. The daemon checks addresses and bounds.
    pub(super) fn check(self, cwd: &Path) -> Option<HealthSpec> {
        let how = self.how();
        let http = self.health_http.map(|url| Probe::Http { url });
        let tcp = self.health_tcp.map(|address| Probe::Tcp { address });
        let exec = self.health_exec.map(|line| Probe::Exec(located(cwd, line)));
        let grpc = self.health_grpc.map(|text| {
            let (address, service) = text.split_once('/').unwrap_or((&text, ""));
            Probe::Grpc { address: address.to_owned(), service: service.to_owned() }
        });
        Some(how.of(HealthSpec::new(http.or(tcp).or(exec).or(grpc)?)))
    }
}
