//! Sentences about a state: what it means, what comes next, and the way out.

use rpc::v1::{self, NextActionKind, State};

use crate::render::{paint::one_line, word};
use crate::units::{shortly, wall};
use crate::when::Clock;

/// What follows the name: `failed and waits for its restart (backoff)`.
pub(super) fn phrase(state: State) -> &'static str {
    match state {
        State::Stopped => "is stopped",
        State::Starting => "is starting",
        State::Running => "is running",
        State::Reloading => "is reloading",
        State::Stopping => "is stopping",
        State::Backoff => "failed and waits for its restart (backoff)",
        State::CrashLoop => "failed too often and is left alone for a while (crash_loop)",
        State::Exited => "has ended by itself (exited)",
        State::Failed => "has failed",
        State::Waiting => "is waiting",
        State::Invalid => "has a broken definition (invalid)",
        State::Skipped => "was skipped",
        State::Unspecified => "is in a state that this pm-cli does not know",
    }
}

/// What the daemon will do by itself.
pub(super) fn next(process: &v1::Process, now: &Clock) -> String {
    if let Some(next) = &process.next_action {
        let what = match next.kind() {
            NextActionKind::Start => "it is started".to_owned(),
            NextActionKind::Kill => "what is left of it gets SIGKILL".to_owned(),
            NextActionKind::Unspecified => {
                let kind = word(next.kind().as_str_name(), "NEXT_ACTION_KIND_");
                format!("something that this pm-cli does not know ({kind})")
            }
        };
        return match next.time.as_ref().map(wall) {
            Some(at) if at > now.now => {
                format!("{what} in {} ({})", shortly(at.since(now.now)), now.moment(at))
            }
            Some(_) => format!("{what} at any moment"),
            None => what,
        };
    }
    match process.state() {
        State::Waiting => "it is started as soon as that changes",
        State::Stopped if process.wanted_up => "it is started as soon as that changes",
        State::Stopped => "nothing by itself, as nobody wants it up",
        State::Exited if remains(process) => "nothing by itself; it counts as up until it is stopped",
        State::Exited | State::Failed => "nothing by itself, as its policy asks for no restart",
        State::Skipped => "nothing by itself; a start checks its conditions again",
        State::Invalid => "nothing until its definition is put right",
        _ => "",
    }
    .to_owned()
}

/// Whether its success stands for it.
fn remains(process: &v1::Process) -> bool {
    process.definition.as_ref().is_some_and(|definition| definition.remain_after_exit())
}

/// What an operator can do: as the daemon says, else what the state suggests.
pub(crate) fn way_out(process: &v1::Process) -> String {
    if let Some(hint) = &process.hint {
        return hint.clone();
    }
    let name = one_line(&process.name);
    match process.state() {
        State::Backoff | State::CrashLoop => {
            format!("put right what makes it fail, then try it at once: pm-cli reset {name}")
        }
        State::Failed => format!("put right what made it fail, then: pm-cli start {name}"),
        State::Skipped => format!("make its conditions true, then: pm-cli start {name}"),
        State::Invalid => "correct the definition, then: pm-cli reload-config".to_owned(),
        State::Stopped if !process.wanted_up => format!("pm-cli start {name}"),
        _ => String::new(),
    }
}
