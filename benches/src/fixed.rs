//! An exporter over a table in which nothing runs: what it costs to say what is known, without the reading of /proc.

use std::sync::Arc;

use metrics::{BuildInfo, DaemonFacts, Durations, Exporter, LogStream, SinkStats, Source};
use model::{ProcessView, Seq, Snapshot, Stamp, Stream, Wall};

/// Of so many processes.
#[must_use]
pub fn exporter(count: u32) -> Exporter {
    let snapshot = Snapshot { seq: Seq(1), processes: (0..count).map(view).collect() };
    let build = BuildInfo { version: "0", revision: "" };
    Exporter::new(Arc::new(Fixed(snapshot)), Arc::new(Durations::default()), build, Stamp::default)
}

struct Fixed(Snapshot);

impl Source for Fixed {
    fn snapshot(&self) -> Snapshot {
        self.0.clone()
    }

    fn log_streams(&self, each: &mut dyn FnMut(LogStream)) {
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
        self.0.processes.iter().flat_map(of).for_each(each);
    }

    fn daemon(&self) -> DaemonFacts {
        DaemonFacts::default()
    }

    fn ready(&self) -> bool {
        true
    }
}

fn view(n: u32) -> Arc<ProcessView> {
    Arc::new(ProcessView::new(Arc::new(crate::spec(n)), Wall(0)))
}
