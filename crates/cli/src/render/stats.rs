//! `stats`: what processes use, as a table and for programs.

use std::collections::HashMap;
use std::time::Duration;

use rpc::v1::{ListStatsResponse, Member, ProcessStats};
use serde_json::{Value, json};

use super::Paint;
use super::columns::{Column, cell, fit};
use crate::units::{bytes, duration, shortly, wall};

const COLUMNS: [Column; 10] = [
    Column::left("NAME", 0),
    Column::right("CPU %", 1),
    Column::right("CPU TIME", 4),
    Column::right("MEMORY", 2),
    Column::right("MAIN", 6),
    Column::right("PROCS", 3),
    Column::right("THREADS", 7),
    Column::right("FDS", 5),
    Column::right("READ", 8),
    Column::right("WRITTEN", 9),
];

/// CPU time that each run had used at a moment, to tell what it uses a second.
#[derive(Debug, Default)]
pub(crate) struct Before {
    at: Option<model::Wall>,
    cpu: HashMap<(String, u64), Duration>,
}

impl Before {
    pub(crate) fn new(sample: &ListStatsResponse) -> Self {
        let cpu = sample.stats.iter().map(|s| ((s.process_id.clone(), s.run), used(s)));
        Self { at: sample.time.as_ref().map(wall), cpu: cpu.collect() }
    }

    /// How much time lies between.
    pub(crate) fn since(&self, sample: &ListStatsResponse) -> Option<Duration> {
        let span = sample.time.as_ref().map(wall)?.since(self.at?);
        (!span.is_zero()).then_some(span)
    }

    /// Percent of one CPU since then, where that run was alive then.
    pub(crate) fn percent(&self, now: &ProcessStats, since: Option<Duration>) -> Option<f64> {
        let before = self.cpu.get(&(now.process_id.clone(), now.run)).filter(|_| now.run != 0)?;
        // What ended without being waited for takes its CPU time along.
        let more = used(now).saturating_sub(*before);
        Some(more.as_secs_f64() / since?.as_secs_f64() * 100.0)
    }
}

pub(crate) fn used(stats: &ProcessStats) -> Duration {
    stats.cpu.map(duration).unwrap_or_default()
}

/// `0.3`, `12.5`, `100`, `1600`
pub(crate) fn percent_text(percent: f64) -> String {
    if percent < 99.95 { format!("{percent:.1}") } else { format!("{percent:.0}") }
}

/// CPU time: `0s`, `330ms`, `4.2s`, `5m 3s`.
pub(crate) fn cpu_text(cpu: Duration) -> String {
    shortly(cpu)
}

/// The table. Without `idle` those that have no live run are left out.
pub(crate) fn table(
    sample: &ListStatsResponse,
    before: Option<&Before>,
    idle: bool,
    width: Option<usize>,
    paint: Paint,
) -> String {
    let since = before.and_then(|before| before.since(sample));
    let dash = || "-".to_owned();
    let mut rows = Vec::new();
    for s in sample.stats.iter().filter(|s| idle || s.run != 0) {
        if s.run == 0 {
            let mut row = vec![cell(&s.name)];
            row.resize_with(COLUMNS.len(), dash);
            rows.push(row);
            continue;
        }
        let percent = before.and_then(|before| before.percent(s, since));
        rows.push(vec![
            cell(&s.name),
            percent.map_or_else(dash, percent_text),
            cpu_text(used(s)),
            bytes(s.resident_bytes),
            s.pid.map_or_else(dash, |_| bytes(s.main_resident_bytes)),
            s.processes.to_string(),
            s.threads.to_string(),
            s.fds.map_or_else(dash, |fds| fds.to_string()),
            s.read_bytes.map_or_else(dash, bytes),
            s.written_bytes.map_or_else(dash, bytes),
        ]);
    }
    // Looked at once there is nothing to tell.
    let columns: Vec<Column> =
        COLUMNS.into_iter().filter(|column| before.is_some() || column.title != "CPU %").collect();
    if before.is_none() {
        rows.iter_mut().for_each(|row| drop(row.remove(1)));
    }
    let layout = fit(&columns, &rows, width, None);
    let mut text = format!("{}\n", paint.bold(&layout.header(&columns)));
    for row in &rows {
        text.push_str(&layout.line(&columns, row));
        text.push('\n');
    }
    text
}

/// `{"time", "interval_seconds", "stats": […]}`
pub(crate) fn json(sample: &ListStatsResponse, before: Option<&Before>) -> Value {
    let since = before.and_then(|before| before.since(sample));
    let stats: Vec<Value> = sample
        .stats
        .iter()
        .map(|s| {
            let mut value = one(s);
            value["cpu_percent"] = json!(before.and_then(|before| before.percent(s, since)));
            value
        })
        .collect();
    json!({
        "time": sample.time.as_ref().map(|at| wall(at).to_string()),
        "interval_seconds": since.map(|span| span.as_secs_f64()),
        "stats": stats,
    })
}

/// What one process uses, as far as one look tells.
pub(crate) fn one(s: &ProcessStats) -> Value {
    let mut value = json!({
        "name": s.name,
        "process_id": s.process_id,
        "run": (s.run != 0).then_some(s.run),
        "pid": s.pid,
        "processes": s.processes,
        "threads": s.threads,
        "resident_bytes": s.resident_bytes,
        "cpu_seconds": used(s).as_secs_f64(),
        "main_resident_bytes": s.main_resident_bytes,
        "main_cpu_seconds": s.main_cpu.map(|cpu| duration(cpu).as_secs_f64()),
        "fds": s.fds,
        "read_bytes": s.read_bytes,
        "written_bytes": s.written_bytes,
    });
    if !s.members.is_empty() {
        value["members"] = s.members.iter().map(member).collect();
    }
    value
}

fn member(m: &Member) -> Value {
    json!({
        "pid": m.pid,
        "parent_pid": m.parent_pid,
        "command_line": m.command_line,
        "resident_bytes": m.resident_bytes,
        "cpu_seconds": m.cpu.map(|cpu| duration(cpu).as_secs_f64()),
        "start_time": m.start_time.as_ref().map(|at| wall(at).to_string()),
        "state": m.state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(name: &str, run: u64, cpu_ms: i32) -> ProcessStats {
        ProcessStats {
            name: name.into(),
            process_id: format!("{name}-id"),
            run,
            pid: (run != 0).then_some(42),
            processes: 3,
            resident_bytes: 5 << 20,
            cpu: Some(prost_types::Duration { seconds: 1, nanos: cpu_ms * 1_000_000 }),
            fds: Some(7),
            ..Default::default()
        }
    }

    fn sample(ms: i32, stats: Vec<ProcessStats>) -> ListStatsResponse {
        let time = Some(prost_types::Timestamp { seconds: 1_795_199_850, nanos: ms * 1_000_000 });
        ListStatsResponse { time, stats }
    }

    #[test]
    fn a_percentage_is_of_one_run_between_two_looks() {
        let first =
            sample(0, vec![stats("a", 1, 100), stats("b", 1, 100), stats("c", 1, 500), stats("d", 0, 0)]);
        let before = Before::new(&first);
        let second =
            sample(500, vec![stats("a", 1, 350), stats("b", 2, 350), stats("c", 1, 400), stats("d", 0, 0)]);
        let since = before.since(&second);
        let percents: Vec<Option<f64>> = second.stats.iter().map(|s| before.percent(s, since)).collect();
        assert_eq!(percents, [Some(50.0), None, Some(0.0), None]);
        assert_eq!(before.since(&first), None, "no time passed, or the clock was set back");
        assert_eq!(before.percent(&second.stats[0], None), None);
    }

    #[test]
    fn the_table_fits() {
        let first = sample(0, vec![stats("a", 1, 100), stats("idle", 0, 0)]);
        let second = sample(500, vec![stats("a", 1, 350), stats("idle", 0, 0)]);
        let before = Before::new(&first);
        let text = |idle, width| table(&second, Some(&before), idle, width, Paint::new(false));
        let expected = "\
NAME  CPU %  CPU TIME   MEMORY  MAIN  PROCS  THREADS  FDS  READ  WRITTEN
a      50.0      1.4s  5.0 MiB   0 B      3        0    7     -        -
";
        assert_eq!(text(false, None), expected);
        assert!(
            text(true, None)
                .ends_with("\nidle      -         -        -     -      -        -    -     -        -\n"),
            "{}",
            text(true, None)
        );
        for width in 1..100 {
            let text = text(true, Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
        }
        assert_eq!(text(false, Some(30)).lines().next(), Some("NAME  CPU %   MEMORY  PROCS"));
        let once = table(&second, None, false, None, Paint::new(false));
        assert!(once.starts_with("NAME  CPU TIME   MEMORY"), "{once}");
    }

    #[test]
    fn percents_are_short() {
        let texts = [0.0, 0.04, 12.54, 99.94, 99.96, 1600.4].map(percent_text);
        assert_eq!(texts, ["0.0", "0.0", "12.5", "99.9", "100", "1600"]);
    }
}
