//! The whole exposition against a file. `UPDATE_EXPECT=1 cargo test -p metrics` rewrites it.

use std::collections::HashSet;

use model::Snapshot;

use super::{Fixture, exporter};
use crate::{DaemonFacts, LogStream, Source};

/// Durations of the scrape itself are the only values that differ from run to run.
fn steady(exposition: &str) -> String {
    let line = |l: &str| match l.rsplit_once(' ') {
        Some((series, _)) if l.starts_with("ddprocmgr_scrape_") && series.contains("duration_seconds") => {
            format!("{series} 0.001\n")
        }
        _ => format!("{l}\n"),
    };
    exposition.split_terminator('\n').map(line).collect()
}

fn render(source: impl Source) -> String {
    String::from_utf8(exporter(source).render()).unwrap()
}

#[test]
fn the_exposition_is_as_agreed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");
    let actual = steady(&render(Fixture::default()));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    for (number, (a, e)) in actual.lines().zip(expected.lines()).enumerate() {
        assert_eq!(a, e, "line {} of {path}; UPDATE_EXPECT=1 accepts the change", number + 1);
    }
    assert_eq!(
        actual.lines().count(),
        expected.lines().count(),
        "{path}; UPDATE_EXPECT=1 accepts the change"
    );
}

#[test]
fn no_series_stands_twice() {
    let text = render(Fixture::default());
    let mut seen = HashSet::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "{series}");
    }
    assert!(seen.len() > 250, "only {} series", seen.len());
}

#[test]
fn labels_with_the_same_letters_stay_apart() {
    let mut fixture = Fixture::default();
    let lines = |f: &Fixture| {
        render(Fixture { processes: Vec::new(), streams: f.streams.clone(), facts: f.facts.clone() })
    };
    fixture.streams.truncate(1);
    let mut other = fixture.streams[0].clone();
    // `a` + `b…` and `ab` + `…` would be one series for a hash without a separator.
    other.process = model::ProcessName::new("api@1.bluestdout").unwrap();
    fixture.streams.push(other);
    let text = lines(&fixture);
    assert!(
        text.contains("ddprocmgr_process_log_lines_total{process=\"api@1.blue\",stream=\"stdout\"} 10\n")
    );
    assert!(
        text.contains(
            "ddprocmgr_process_log_lines_total{process=\"api@1.bluestdout\",stream=\"stdout\"} 10\n"
        )
    );
}

#[test]
fn every_value_is_a_finite_number_in_plain_digits() {
    let text = render(Fixture::default());
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.bytes().all(|b| b.is_ascii_digit() || b == b'.'), "{series} is {value}");
    }
}

#[test]
fn an_empty_daemon_still_has_an_exposition() {
    let empty = Fixture { processes: Vec::new(), streams: Vec::new(), facts: DaemonFacts::default() };
    let text = render(empty);
    assert!(text.contains("ddprocmgr_processes{state=\"running\"} 0\n"));
    assert!(text.contains("ddprocmgr_scrape_collector_success{collector=\"processes\"} 1\n"));
    assert!(!text.contains("ddprocmgr_process_up"), "a metric without a series is left out whole");
    assert!(!text.contains("last_reload_success_timestamp"), "there was no successful load yet");
}

/// Knows nothing about logs and says so in the worst way.
struct Broken(Fixture);

impl Source for Broken {
    fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
    fn log_streams(&self) -> Vec<LogStream> {
        panic!("a bug")
    }
    fn daemon(&self) -> DaemonFacts {
        self.0.daemon()
    }
    fn ready(&self) -> bool {
        true
    }
}

#[test]
fn a_collector_that_panics_takes_only_itself_away() {
    let whole = steady(&render(Fixture::default()));
    let broken = steady(&render(Broken(Fixture::default())));
    let expected: String = whole
        .split_inclusive('\n')
        .filter(|l| !l.contains("ddprocmgr_process_log_"))
        .map(|l| l.replace("success{collector=\"logs\"} 1", "success{collector=\"logs\"} 0"))
        .collect();
    assert_eq!(broken, expected);
}

#[test]
fn a_process_that_cant_be_read_is_left_out_and_marked() {
    let mut fixture = Fixture::default();
    // In this tree 7 is malformed and 9 unreadable.
    for (view, pid) in fixture.processes.iter_mut().zip([7, 9]) {
        view.run.as_mut().unwrap().pid = Some(pid);
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/proc-broken").to_owned();
    let proc = crate::proc::ProcFs::at(root, 1000, 100.0, Some(4096), false);
    let exporter = crate::Exporter::on(std::sync::Arc::new(fixture), super::BUILD, proc, || super::NOW);
    let text = String::from_utf8(exporter.render()).unwrap();
    assert!(text.contains("collector_success{collector=\"processes\"} 0\n"));
    assert!(text.contains("collector_success{collector=\"self_process\"} 0\n"));
    assert!(text.contains("collector_success{collector=\"daemon\"} 1\n"));
    assert!(text.contains("ddprocmgr_process_up{process=\"adopted\"} 1\n"));
    assert!(text.contains("ddprocmgr_process_cpu_seconds_total{process=\"crasher\"} 0\n"));
    assert!(!text.contains("ddprocmgr_process_cpu_seconds_total{process=\"adopted\"}"));
}
