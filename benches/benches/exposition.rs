//! What one scrape costs for 1,000 and 10,000 processes, without the reading of /proc (nothing in the table runs). With it,
//! and with real processes: `cargo run --release -p metrics --example render 1000`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use metrics::{BuildInfo, DaemonFacts, Durations, Exporter, LogStream, SinkStats, Source};
use model::{Counters, ProcessView, Reason, Seq, Snapshot, State, Stream, Wall};

struct Fixed(Snapshot);

impl Source for Fixed {
    fn snapshot(&self) -> Snapshot {
        self.0.clone()
    }

    fn log_streams(&self) -> Vec<LogStream> {
        let sink = SinkStats { written: 5, bytes: 100, ..SinkStats::default() };
        let of = |view: &Arc<ProcessView>| {
            Stream::ALL.map(|stream| LogStream {
                process: view.spec.name.clone(),
                stream,
                lines: 5,
                bytes: 100,
                sinks: [Some(sink), Some(sink), None],
                lag: Default::default(),
            })
        };
        self.0.processes.iter().flat_map(of).collect()
    }

    fn daemon(&self) -> DaemonFacts {
        DaemonFacts::default()
    }

    fn ready(&self) -> bool {
        true
    }
}

fn view(n: u32) -> Arc<ProcessView> {
    Arc::new(ProcessView {
        spec: Arc::new(benches::spec(n)),
        state: State::Stopped,
        reason: Reason::NotStarted,
        since: Wall(0),
        wanted_up: false,
        run: None,
        next: None,
        exits: Arc::new([]),
        status: String::new(),
        health: None,
        counters: Counters::default(),
        problem: None,
        degraded: None,
    })
}

fn exposition(c: &mut Criterion) {
    let mut group = c.benchmark_group("exposition");
    group.sample_size(20);
    for count in [1_000, 10_000] {
        let snapshot = Snapshot { seq: Seq(1), processes: (0..count).map(view).collect() };
        let build = BuildInfo { version: "0", revision: "" };
        let exporter = Exporter::new(Arc::new(Fixed(snapshot)), Arc::new(Durations::default()), build);
        group.bench_function(BenchmarkId::from_parameter(count), |b| b.iter(|| black_box(exporter.render())));
    }
    group.finish();
}

criterion_group!(all, exposition);
criterion_main!(all);
