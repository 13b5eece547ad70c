//! Ports: whether they are open, to whom, and whether the metrics come.

use std::net::SocketAddr;

use rpc::v1::ListenerState;

use super::facts::Metrics;
use super::{Facts, Finding, some};

pub(super) fn listeners(facts: &Facts) -> Vec<Finding> {
    let status = match facts.status() {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(status) => status,
    };
    let mut findings = Vec::new();
    let mut good = Vec::new();
    for listener in &status.listeners {
        let (role, address) = (&listener.role, &listener.address);
        match listener.state() {
            ListenerState::Failed => {
                let port = address.rsplit_once(':').map_or("", |(_, port)| port);
                findings.push(Finding::problem(
                    format!("{role} {address} failed: {}", listener.error.as_deref().unwrap_or("no reason given")),
                    "supervision goes on without it, and it is tried again every 10 s; another address goes into daemon.env \
                     (PM_BIND_ADDRESS, METRICS_PORT)",
                    match port.parse::<u16>() {
                        Ok(port) => format!("sudo ss -tlnp 'sport = :{port}'"),
                        Err(_) => "pm-cli status".to_owned(),
                    },
                ));
            }
            ListenerState::Disabled => good.push(format!("{role} off")),
            _ => good.push(format!("{role} {address}")),
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(good.join(", ")));
    }
    findings
}

pub(super) fn binding(facts: &Facts) -> Vec<Finding> {
    let status = match facts.status() {
        Err(why) => return vec![Finding::not_checked(why)],
        Ok(status) => status,
    };
    let mut findings = Vec::new();
    for listener in status.listeners.iter().filter(|listener| listener.state() == ListenerState::Listening) {
        // The control socket has a path.
        let Ok(address) = listener.address.parse::<SocketAddr>() else { continue };
        if address.ip().is_loopback() {
            continue;
        }
        if listener.role != "metrics" {
            // Without them the daemon does not start.
            findings.push(Finding::ok(format!(
                "{} {address}: every caller has to present a certificate",
                listener.role
            )));
            continue;
        }
        findings.push(match &facts.metrics {
            Metrics::Answers(scrape) if scrape.status == 200 => Finding::warning(
                format!("metrics {address}: other machines read them without a password"),
                "names, commands, users and counts of all processes; keep it to loopback (METRICS_BIND_ADDRESS), or set \
                 METRICS_WEB_CONFIG",
                "pm-cli status",
            ),
            Metrics::Answers(_) | Metrics::Encrypted => {
                Finding::ok(format!("metrics {address}: a password or a certificate is asked for"))
            }
            Metrics::Unknown(why) | Metrics::Silent(why) => Finding::not_checked(format!("metrics {address}: {why}")),
            Metrics::Off | Metrics::Closed => continue,
        });
    }
    if findings.is_empty() {
        findings.push(Finding::ok("only this machine reaches the ports"));
    }
    findings
}

pub(super) fn metrics(facts: &Facts) -> Vec<Finding> {
    let finding = match &facts.metrics {
        Metrics::Unknown(why) => Finding::not_checked(why),
        Metrics::Off => Finding::ok("switched off"),
        Metrics::Closed => Finding::not_checked("the port could not be opened, see listeners"),
        Metrics::Encrypted => {
            Finding::not_checked("the port speaks TLS, for which doctor has no certificate")
        }
        Metrics::Silent(why) => Finding::problem(
            format!("no metrics: {why}"),
            "Prometheus gets none either, and alerts of this daemon say nothing",
            "pm-cli status",
        ),
        Metrics::Answers(scrape) => match (scrape.status, scrape.own) {
            (401 | 403, _) => Finding::not_checked("a password is asked for; the port answers"),
            (200, true) if scrape.incomplete.is_empty() => Finding::ok("they come, and are complete"),
            (200, true) => Finding::warning(
                format!("these collectors left something out: {}", some(&scrape.incomplete)),
                "some values are missing; the daemon's log says which it could not read",
                "journalctl -u dd-procmgrd -p warning -n 20",
            ),
            (200, false) => Finding::problem(
                "somebody else answers on the port of the metrics",
                "what is scraped there is not this daemon's",
                "pm-cli status",
            ),
            (status, _) => Finding::problem(
                format!("/metrics answers with status {status}"),
                "Prometheus gets the same",
                "journalctl -u dd-procmgrd -n 20",
            ),
        },
    };
    vec![finding]
}
