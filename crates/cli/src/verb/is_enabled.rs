//! `is-enabled`: whether processes are started with the daemon, for scripts.

use rpc::v1;

use crate::FAILED;
use crate::args::AskArgs;
use crate::report::{Session, Stop};
use crate::verb::ask::{Question, ask};

pub(super) async fn run(session: &mut Session<'_>, args: AskArgs) -> Result<(), Stop> {
    let word = |process: &v1::Process| if enabled(process) { "enabled" } else { "disabled" }.to_owned();
    ask(session, args, Question { key: "enabled", yes: enabled, word, none: FAILED }).await
}

fn enabled(process: &v1::Process) -> bool {
    process.definition.as_ref().is_some_and(|definition| definition.auto_start())
}
