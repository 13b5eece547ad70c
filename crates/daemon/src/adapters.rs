//! Between the supervisor and the log pipeline, which do not know each other.

use std::sync::Arc;

use logpipe::{ChildEnds, LogPipe, Source};
use metrics::Durations;
use model::{Event, EventKind, Output, OutputSpec, ProcessName, ProcessRef, ProcessSpec, RunId};
use rpc::{EventRing, Severity, Wording};
use supervisor::{Attach, ChildStdio, Observer, Role, RunInfo, StdioError, StdioProvider};

use crate::counts::Marker;
use crate::ending::Ending;

/// Children's output goes into the log pipeline.
pub(crate) struct Stdio(pub(crate) LogPipe);

fn process_ref(spec: &ProcessSpec) -> ProcessRef {
    ProcessRef { name: spec.name.clone(), id: spec.id }
}

/// Where a run's output goes. A helper's goes where that of its process goes, but is never a terminal; of a health check,
/// which says the same thing every few seconds, only what it complains about is kept.
fn output_of(run: &RunInfo) -> OutputSpec {
    let mut output = run.spec.output.clone();
    if let Some(helper) = &run.helper {
        output.pty = false;
        if helper.role == Role::HealthCheck {
            output.stdout = Output::Null;
        }
    }
    output
}

/// A program may open its terminal by its name, and that takes an owner. A daemon without CAP_CHOWN can't give it away:
/// then it can only be written to, as a pipe.
fn give_terminal(ends: &ChildEnds, spec: &ProcessSpec) {
    let exec = &spec.exec;
    let Some(user) = exec.user.as_deref().filter(|_| ends.has_terminal()) else { return };
    let (group, groups) = (exec.group.as_deref(), exec.supplementary_groups.as_deref());
    // The spawner has looked up the same just now, and would have failed where this does.
    let Ok(account) = sys::credentials::lookup(Some(user), group, groups) else { return };
    if let Err(error) = ends.give_terminal(account.credentials.uid) {
        tracing::debug!(process = %spec.name, user, %error, "its terminal stays the daemon's");
    }
}

impl StdioProvider for Stdio {
    fn open(&self, run: &RunInfo) -> Result<(ChildStdio, Attach), StdioError> {
        let output = output_of(run);
        let ends = self.0.open(&run.spec.name, &output).map_err(|e| StdioError {
            subject: e.subject,
            source: e.source,
            hint: e.hint,
        })?;
        give_terminal(&ends, &run.spec);
        let (pipe, run, captured) = (self.0.clone(), run.clone(), ends.captured);
        let attach: Attach = Box::new(move |pid| {
            pipe.attach(Source {
                process: process_ref(&run.spec),
                run: run.run,
                number: run.number,
                invocation: run.invocation,
                pid,
                output,
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

/// Lifecycle events go to the journal, to standard error, into the metrics, and wake whoever keeps counts.
pub(crate) struct Events {
    pub(crate) pipe: LogPipe,
    /// False when standard error is the journal and the event is in it already, with its fields.
    pub(crate) to_stderr: bool,
    pub(crate) ending: Arc<Ending>,
    pub(crate) counts: Marker,
    pub(crate) durations: Arc<Durations>,
    pub(crate) ring: Arc<EventRing>,
}

/// The last events, for the control API. `epoch` is a random number of this life of the daemon.
pub(crate) fn event_ring(epoch: u64) -> Arc<EventRing> {
    let wording = Wording { describe: logpipe::describe, severity };
    Arc::new(EventRing::new(format!("{epoch:016x}"), wording))
}

fn severity(kind: &EventKind) -> Severity {
    match logpipe::priority(kind) {
        0..=3 => Severity::Error,
        4 => Severity::Warning,
        5 => Severity::Notice,
        _ => Severity::Info,
    }
}

impl Observer for Events {
    fn event(&mut self, event: &Event) {
        self.pipe.event(event);
        self.durations.event(event);
        self.ring.push(event);
        self.counts.mark(&event.process.name, event.process.id, event.run.map(|(number, _)| number));
        if let EventKind::CriticalEnded { code } = event.kind {
            self.ending.critical(code);
        }
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

    fn changed(&mut self) {
        self.ring.changed();
    }
}

#[cfg(test)]
mod tests;
