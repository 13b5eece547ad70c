//! The health check of a process. What it leaves out gets the documented default, as it does in a file.

use model::{HealthSpec, Probe};

use super::check::Check;
use super::hooks::command;
use crate::convert::duration;
use crate::v1;
use crate::v1::health_check::Probe as Wire;

pub(super) fn health_check(spec: HealthSpec) -> v1::HealthCheck {
    v1::HealthCheck {
        probe: Some(match spec.probe {
            Probe::Http { url } => Wire::Http(v1::HttpProbe { url }),
            Probe::Tcp { address } => Wire::Tcp(v1::TcpProbe { address }),
            Probe::Exec(line) => Wire::Exec(command(line)),
            Probe::Grpc { address, service } => Wire::Grpc(v1::GrpcProbe { address, service }),
        }),
        interval: Some(duration(spec.interval)),
        timeout: Some(duration(spec.timeout)),
        retries: Some(spec.retries),
        start_period: Some(duration(spec.start_period)),
        success_threshold: Some(spec.success_threshold),
        restart_after: Some(spec.restart_after),
    }
}

impl Check {
    pub(super) fn health_check(&mut self, field: &str, check: Option<v1::HealthCheck>) -> Option<HealthSpec> {
        let check = check?;
        let mut time = |key: &str, raw| self.duration(&format!("{field}.{key}"), raw);
        let interval = time("interval", check.interval);
        let timeout = time("timeout", check.timeout);
        let start_period = time("start_period", check.start_period);
        let default = HealthSpec::new(self.probe(field, check.probe)?);
        Some(HealthSpec {
            interval: interval.unwrap_or(default.interval),
            timeout: timeout.unwrap_or(default.timeout),
            retries: check.retries.unwrap_or(default.retries),
            start_period: start_period.unwrap_or(default.start_period),
            success_threshold: check.success_threshold.unwrap_or(default.success_threshold),
            restart_after: check.restart_after.unwrap_or(default.restart_after),
            probe: default.probe,
        })
    }

    fn probe(&mut self, field: &str, probe: Option<Wire>) -> Option<Probe> {
        match probe {
            Some(Wire::Http(http)) => {
                self.given(&format!("{field}.http.url"), http.url).map(|url| Probe::Http { url })
            }
            Some(Wire::Tcp(tcp)) => {
                self.given(&format!("{field}.tcp.address"), tcp.address).map(|address| Probe::Tcp { address })
            }
            Some(Wire::Exec(line)) => self.command(&format!("{field}.exec"), Some(line)).map(Probe::Exec),
            Some(Wire::Grpc(v1::GrpcProbe { address, service })) => self
                .given(&format!("{field}.grpc.address"), address)
                .map(|address| Probe::Grpc { address, service }),
            None => {
                self.fault(field, "it is not said what to ask: set http, tcp, exec or grpc");
                None
            }
        }
    }

    fn given(&mut self, field: &str, text: String) -> Option<String> {
        if text.is_empty() {
            self.fault(field, "it is missing");
            return None;
        }
        Some(text)
    }
}
