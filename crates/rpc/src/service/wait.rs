//! Waiting for a condition of a process, without asking again and again: listen, look, sleep until something changed.

use std::sync::Arc;

use model::{HealthState, ProcessName, ProcessType, ProcessView, Refusal, RunNumber, State};

use super::Service;
use crate::{ControlError, ErrorKind, v1};

/// What a look at a process says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    NotYet,
    /// Nothing will bring it about by itself.
    Never,
}

impl Service {
    /// Until the condition holds. Dropped with its caller: nothing of it is left then.
    pub(super) async fn until(
        &self,
        name: &ProcessName,
        condition: v1::WaitCondition,
    ) -> Result<Arc<ProcessView>, ControlError> {
        let (mut news, mut drain) = (self.control.events().listen(), self.drain.clone());
        let mut first = None;
        loop {
            // Before the look: what changes after it is news.
            news.mark_unchanged();
            let view = self.control.view(name).ok_or_else(|| Refusal::NotFound(name.clone()))?;
            let run = *first.get_or_insert(view.run.as_ref().map(|run| run.number));
            match judge(&view, condition, run) {
                Verdict::Holds => return Ok(view),
                Verdict::Never => return Err(never(&view, condition)),
                Verdict::NotYet => {}
            }
            tokio::select! {
                told = news.changed() => if told.is_err() { return Err(Refusal::ShuttingDown.into()) },
                _ = drain.wait_for(|draining| *draining) => return Err(Refusal::ShuttingDown.into()),
            }
        }
    }
}

/// `run` is the one that was alive at the first look.
fn judge(view: &ProcessView, condition: v1::WaitCondition, run: Option<RunNumber>) -> Verdict {
    let holds = |holds| if holds { Verdict::Holds } else { Verdict::NotYet };
    match condition {
        v1::WaitCondition::Unspecified | v1::WaitCondition::Ready => ready(view),
        v1::WaitCondition::Healthy if view.spec.health.is_none() => Verdict::Never,
        // One that is done is no longer healthy.
        v1::WaitCondition::Healthy if view.state == State::Exited => Verdict::Never,
        v1::WaitCondition::Healthy => ready(view),
        v1::WaitCondition::Exited => {
            holds(view.run.as_ref().is_none_or(|now| run.is_none_or(|run| run != now.number)))
        }
        v1::WaitCondition::Stopped => {
            let down = matches!(
                view.state,
                State::Stopped | State::Exited | State::Failed | State::Invalid | State::Skipped
            );
            holds(down && view.run.is_none() && view.next.is_none())
        }
    }
}

fn ready(view: &ProcessView) -> Verdict {
    let kind = view.spec.start.kind;
    match view.state {
        State::Running | State::Reloading => match (&view.spec.health, &view.health) {
            (None, _) => Verdict::Holds,
            (Some(_), Some(health)) if health.state == HealthState::Healthy => Verdict::Holds,
            (Some(_), _) => Verdict::NotYet,
        },
        // It counts as up, or has done what it is for.
        State::Exited if view.wanted_up || kind == ProcessType::Oneshot => Verdict::Holds,
        State::Exited | State::Stopped | State::Failed | State::Invalid | State::Skipped => Verdict::Never,
        State::Starting | State::Stopping | State::Backoff | State::CrashLoop | State::Waiting => {
            Verdict::NotYet
        }
    }
}

fn never(view: &ProcessView, condition: v1::WaitCondition) -> ControlError {
    let (name, state, reason) = (&view.spec.name, view.state, &view.reason);
    if condition == v1::WaitCondition::Healthy && view.spec.health.is_none() {
        let text = format!("{name} has no health check, so that nobody can tell when it is healthy");
        let error = ControlError::new(ErrorKind::FailedPrecondition, text).about(name.as_str());
        return error.with_hint("give it one (`health_check`), or wait until it is ready");
    }
    let text = format!("{name} won't be ready by itself: it is {state} ({reason})");
    ControlError::new(ErrorKind::FailedPrecondition, text).about(name.as_str()).with_hint(match view.state {
        State::Invalid => "correct the definition, then: pm-cli reload-config".to_owned(),
        State::Failed => format!("see why: pm-cli why {name}"),
        _ => format!("start it: pm-cli start {name}"),
    })
}
