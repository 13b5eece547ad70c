//! The whole exposition against a file. `UPDATE_EXPECT=1 cargo test -p metrics` rewrites it.

use std::collections::{BTreeSet, HashSet};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use model::{InvocationId, ProcessName, Snapshot};

use super::{Fixture, exporter, exporter_on, process};
use crate::names::{BASIC, Detail};
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
    String::from_utf8(exporter(source).render().into()).unwrap()
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

/// Neither how long a run is up nor which process it is depends on what the clock was set to meanwhile.
#[test]
fn a_clock_that_was_set_changes_no_uptime() {
    let mut set = Fixture::default();
    for run in set.processes.iter_mut().filter_map(|view| view.run.as_mut()) {
        run.started.wall = model::Wall(0);
    }
    let without_times = |exposition: String| -> Vec<String> {
        let lines = steady(&exposition);
        let others = lines.lines().filter(|line| !line.starts_with("ddprocmgr_process_start_time_seconds{"));
        others.map(str::to_owned).collect()
    };
    assert_eq!(without_times(render(set)), without_times(render(Fixture::default())));
}

#[test]
fn open_metrics_is_the_same_but_for_what_it_wants_otherwise() {
    let text = steady(&render(Fixture::default()));
    let packed = exporter(Fixture::default()).render_packed();
    let mut open = String::new();
    flate2::read::GzDecoder::new(&*packed).read_to_string(&mut open).unwrap();
    let open = steady(&open);
    let expected = text.lines().map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
        ["#", "TYPE", name, "counter"] => {
            format!("# TYPE {} counter\n", name.strip_suffix("_total").unwrap())
        }
        ["#", "HELP", name, ..] => line.replacen(name, name.strip_suffix("_total").unwrap_or(name), 1) + "\n",
        _ => format!("{line}\n"),
    });
    assert_eq!(open, expected.chain(["# EOF\n".to_owned()]).collect::<String>());
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
    fixture.streams.truncate(1);
    let mut other = fixture.streams[0].clone();
    // `a` + `b…` and `ab` + `…` would be one series for a hash without a separator.
    other.process = model::ProcessName::new("api@1.bluestdout").unwrap();
    fixture.streams.push(other);
    fixture.processes.push(process("api@1.bluestdout"));
    let text = render(fixture);
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
    let facts = DaemonFacts::default();
    let empty = Fixture { processes: Vec::new(), streams: Vec::new(), facts, ..Fixture::default() };
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
    fn log_streams(&self, _each: &mut dyn FnMut(LogStream)) {
        panic!("a bug")
    }
    fn daemon(&self) -> DaemonFacts {
        self.0.daemon()
    }
    fn ready(&self) -> bool {
        true
    }
    fn cgroup(&self, process: &ProcessName, invocation: InvocationId) -> Option<PathBuf> {
        self.0.cgroup(process, invocation)
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
    let text = String::from_utf8(exporter_on(fixture, "proc-broken").render().into()).unwrap();
    assert!(text.contains("collector_success{collector=\"processes\"} 1\n"));
    assert!(text.contains("collector_success{collector=\"proc\"} 0\n"));
    assert!(text.contains("collector_success{collector=\"self_process\"} 0\n"));
    assert!(text.contains("collector_success{collector=\"daemon\"} 1\n"));
    assert!(text.contains("ddprocmgr_process_up{process=\"adopted\"} 1\n"));
    assert!(text.contains("ddprocmgr_process_cpu_seconds_total{process=\"crasher\"} 0\n"));
    assert!(!text.contains("ddprocmgr_process_cpu_seconds_total{process=\"adopted\"}"));
}

/// The names of the metrics that a process has.
fn metrics_of(text: &str, process: &str) -> BTreeSet<String> {
    let label = format!("{{process=\"{process}\"");
    let name = |line: &str| line.split_once(&label).map(|(name, _)| name.to_owned());
    text.lines().filter_map(name).collect()
}

#[test]
fn a_process_shows_as_much_as_it_shall() {
    let with = |detail| {
        let mut fixture = Fixture::default();
        fixture.details.insert("api@1.blue", detail);
        render(fixture)
    };
    let basic: BTreeSet<String> = BASIC.iter().map(|metric| metric.name.to_owned()).collect();
    let (off, some, all) = (with(Detail::Off), with(Detail::Basic), with(Detail::Full));
    assert_eq!(metrics_of(&some, "api@1.blue"), basic);
    assert!(metrics_of(&all, "api@1.blue").is_superset(&basic));
    assert!(metrics_of(&off, "api@1.blue").is_empty());
    for text in [&off, &some] {
        assert_eq!(metrics_of(text, "crasher"), metrics_of(&all, "crasher"), "of others nothing is missing");
        assert!(text.contains("ddprocmgr_processes{state=\"running\"} 5\n"), "it is counted all the same");
    }
}

/// A fixture whose processes show as much as is said from outside.
struct Switched(Fixture, Arc<Mutex<Detail>>);

impl Source for Switched {
    fn snapshot(&self) -> Snapshot {
        let mut snapshot = self.0.snapshot();
        for view in &mut snapshot.processes {
            let view = Arc::make_mut(view);
            Arc::make_mut(&mut view.spec).metrics = *self.1.lock().unwrap();
        }
        snapshot
    }
    fn log_streams(&self, each: &mut dyn FnMut(LogStream)) {
        self.0.log_streams(each);
    }
    fn daemon(&self) -> DaemonFacts {
        self.0.daemon()
    }
    fn ready(&self) -> bool {
        true
    }
}

#[test]
fn no_counter_falls_when_metrics_are_switched_off_and_on() {
    let detail = Arc::new(Mutex::new(Detail::Full));
    let exporter = exporter(Switched(Fixture::default(), Arc::clone(&detail)));
    let counters = || {
        let text = String::from_utf8(exporter.render().into()).unwrap();
        let of_processes = |line: &&str| line.starts_with("ddprocmgr_process_") && line.contains("_total{");
        text.lines().filter(of_processes).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = counters();
    assert!(before.len() > 50, "{before:?}");
    for off in [Detail::Off, Detail::Basic] {
        *detail.lock().unwrap() = off;
        assert!(counters().len() < before.len() / 2);
        *detail.lock().unwrap() = Detail::Full;
        assert_eq!(counters(), before);
    }
}

#[test]
fn whatever_is_counted_stays_when_the_time_of_a_run_is_neither_here_nor_there() {
    let fixture = Fixture::default();
    let tree_cpu = |text: &str, name: &str| {
        let series = format!("ddprocmgr_process_tree_cpu_seconds_total{{process=\"{name}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)).unwrap().to_owned()
    };
    let exporter = exporter(fixture);
    for _ in 0..2 {
        let text = String::from_utf8(exporter.render().into()).unwrap();
        // 12.5 s of finished runs, and 1.81 + 3 + 0.5 + 0.25 + 0.05 s of its five processes.
        assert_eq!(tree_cpu(&text, "api@1.blue"), "18.11");
        // Its pid is gone, the supervisor has not heard of it.
        assert_eq!(tree_cpu(&text, "gone"), "0");
    }
}
