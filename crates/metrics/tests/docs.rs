//! `docs/METRICS.md` is made from the table of names. `UPDATE_DOCS=1 cargo test -p metrics` rewrites it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use metrics::names::{Group, TABLE};

const HEAD: &str = "\
# Metrics

<!-- Made from crates/metrics/src/names.rs. Change it there, then: UPDATE_DOCS=1 cargo test -p metrics -->

dd-procmgrd serves these on `http://127.0.0.1:9090/metrics` (`METRICS_BIND_ADDRESS`, `METRICS_PORT`; `METRICS_ENABLED=false`
turns it off) in the Prometheus text format 0.0.4, or as OpenMetrics 1.0.0 to whoever asks for it; compressed with gzip where
that is accepted. When the port is taken, supervision goes on without metrics and the port is tried again every 10 s;
`pm-cli status` shows it. 9090 is also Prometheus' own port: on a host that runs one, give dd-procmgrd another.

Beside it: `/` shows the processes to a person with a browser, `/healthz` answers 200 while the daemon is alive, and `/readyz`
once everything with `auto_start: true` is up and, with a health check, healthy; until then it answers 503 and names what is
not. A process that an operator stopped, one that ended well and one that was skipped don't hold it up.

```yaml
scrape_configs:
  - job_name: dd-procmgrd
    static_configs:
      - targets: ['127.0.0.1:9090']
```

- The label `process` is the process's name. Its PROCESS_ID, which the journal knows it by, stands on
  `ddprocmgr_process_info` alone. Join what you need:
  `ddprocmgr_process_resident_memory_bytes * on (job, instance, process) group_left (process_id, user) ddprocmgr_process_info`
- No label holds a pid or the number of a run: a series lives as long as its process is defined, over all its runs.
  Counters exist from 0, so `increase()` sees the first restart too, and start again from 0 with the daemon.
- A scrape takes values that are at most one second old; scrapes at the same time share them. Whole numbers are exact here;
  Prometheus keeps 53 bits of them.
- What says `tree` is of everything that a run consists of, as far as /proc shows it: what descends from the main process, or
  is in its session. Memory that processes share is counted once for each of them: where dd-procmgrd has cgroups and the
  memory controller, `ddprocmgr_process_cgroup_memory_bytes` is exact. Everything else is of the main process alone; its CPU
  time has that of its finished children in it.
- Histograms are of the daemon as a whole: one for each process would be most of the exposition.
- `metrics: basic` in a definition, or in `defaults:`, exports a fifth of a process's series; `off` nothing but its part of
  `ddprocmgr_processes`. It is applied at once, and no counter falls when it is switched back.
- A collector that fails leaves out what it could not get, shows 0 in `ddprocmgr_scrape_collector_success` and is
  logged once; the scrape goes on.
";

fn title(group: Group) -> &'static str {
    match group {
        Group::Processes => "Managed processes",
        Group::Proc => "What they use",
        Group::Cgroups => "Their cgroups",
        Group::Logs => "Their output",
        Group::Durations => "How long things take",
        Group::Daemon => "The daemon",
        Group::Grpc => "Its control API",
        Group::SelfProcess => "The daemon as an operating system process",
        Group::Scrape => "The scrape",
    }
}

fn markdown() -> String {
    let mut out = HEAD.to_owned();
    for group in Group::ALL {
        write!(out, "\n## {}\n\nCollector `{}`.\n\n", title(group), group.as_str()).unwrap();
        out.push_str("| metric | type | labels | unit | series | meaning |\n|---|---|---|---|---|---|\n");
        for m in TABLE.iter().filter(|m| m.group == group) {
            let labels: Vec<String> = m.labels.iter().map(|l| format!("`{l}`")).collect();
            let labels = labels.join(", ");
            writeln!(
                out,
                "| `{}` | {} | {labels} | {} | {} | {} |",
                m.name,
                m.kind.as_str(),
                m.unit,
                m.series,
                m.help
            )
            .unwrap();
        }
    }
    out.push_str("\n## Values of the labels\n\n");
    let states = model::State::ALL.map(model::State::as_str).join("`, `");
    let reasons = model::ExitReason::ALL.map(model::ExitReason::as_str).join("`, `");
    let health = model::HealthState::ALL.map(model::HealthState::as_str).join("`, `");
    let policies = model::RestartPolicy::ALL.map(model::RestartPolicy::as_str).join("`, `");
    let streams = model::Stream::ALL.map(model::Stream::as_str).join("`, `");
    let sinks = model::Sink::ALL.map(model::Sink::as_str).join("`, `");
    for (label, values) in [
        ("state", states),
        ("state` of `ddprocmgr_process_health", health),
        ("reason", reasons),
        ("restart_policy", policies),
        ("stream", streams),
        ("sink", sinks),
        ("resource", "cpu`, `memory`, `io".to_owned()),
        ("result", "passed`, `failed".to_owned()),
        ("grpc_type", "unary`, `server_stream".to_owned()),
    ] {
        writeln!(out, "- `{label}`: `{values}`").unwrap();
    }
    out
}

#[test]
fn the_document_is_made_from_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, markdown()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == markdown(), "docs/METRICS.md is not what the table says; UPDATE_DOCS=1 rewrites it");
}
