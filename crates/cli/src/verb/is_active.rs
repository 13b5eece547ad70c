//! `is-active`: whether processes are up, for scripts.

use rpc::v1::{self, State};

use crate::NOT_ACTIVE;
use crate::args::AskArgs;
use crate::render::state_word;
use crate::report::{Session, Stop};
use crate::verb::ask::{Question, ask};

pub(super) async fn run(session: &mut Session<'_>, args: AskArgs) -> Result<(), Stop> {
    let word = |process: &v1::Process| state_word(process.state());
    ask(session, args, Question { key: "active", yes: active, word, none: NOT_ACTIVE }).await
}

/// A oneshot that ended well does what it is there for, when it says so.
pub(super) fn active(process: &v1::Process) -> bool {
    let remains = || process.definition.as_ref().is_some_and(|definition| definition.remain_after_exit());
    match process.state() {
        State::Running | State::Reloading => true,
        State::Exited => remains(),
        _ => false,
    }
}
