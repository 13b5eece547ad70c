//! Between the supervisor and the log pipeline, which do not know each other.

use std::sync::Arc;

use logpipe::{LogPipe, Source};
use model::{Event, ProcessName, ProcessRef, ProcessSpec, RunId};
use supervisor::{Attach, ChildStdio, Observer, RunInfo, StdioError, StdioProvider};
use tokio::sync::Notify;

/// Children's output goes into the log pipeline.
pub(crate) struct Stdio(pub(crate) LogPipe);

fn process_ref(spec: &ProcessSpec) -> ProcessRef {
    ProcessRef { name: spec.name.clone(), id: spec.id }
}

impl StdioProvider for Stdio {
    fn open(&self, run: &RunInfo) -> Result<(ChildStdio, Attach), StdioError> {
        let ends = self.0.open(&run.spec.name, &run.spec.output).map_err(|e| StdioError {
            subject: e.subject,
            source: e.source,
            hint: e.hint,
        })?;
        let (pipe, run, captured) = (self.0.clone(), run.clone(), ends.captured);
        let attach: Attach = Box::new(move |pid| {
            pipe.attach(Source {
                process: process_ref(&run.spec),
                run: run.run,
                number: run.number,
                invocation: run.invocation,
                pid,
                output: run.spec.output.clone(),
                captured,
            });
        });
        Ok((ChildStdio { stdin: ends.stdin, stdout: ends.stdout, stderr: ends.stderr }, attach))
    }

    fn finished(&self, run: RunId) {
        self.0.finished(run);
    }

    fn configure(&self, spec: &Arc<ProcessSpec>) {
        self.0.configure(process_ref(spec), spec.output.clone());
    }

    fn forget(&self, name: &ProcessName) {
        self.0.forget(name);
    }
}

/// Health checks over the network.
pub(crate) struct NoProber;

impl supervisor::Prober for NoProber {
    fn probe(&self, probe: &model::Probe, _: std::time::Duration, done: supervisor::ProbeDone) {
        done(Err(format!("not built yet: {probe}")));
    }
}

/// Lifecycle events go to the journal, to standard error, and wake whoever shows a summary.
pub(crate) struct Events {
    pub(crate) pipe: LogPipe,
    /// False when standard error is the journal and the event is in it already, with its fields.
    pub(crate) to_stderr: bool,
    pub(crate) happened: Arc<Notify>,
}

impl Observer for Events {
    fn event(&mut self, event: &Event) {
        self.pipe.event(event);
        self.happened.notify_one();
        if !self.to_stderr {
            return;
        }
        let text = logpipe::describe(event);
        match logpipe::priority(&event.kind) {
            3 => tracing::error!("{text}"),
            4 => tracing::warn!("{text}"),
            _ => tracing::info!("{text}"),
        }
    }
}
