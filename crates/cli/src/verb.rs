//! The verbs, one a file.

mod along;
mod ask;
mod cat;
mod complete;
mod completion;
mod context;
mod create;
mod daemon;
mod delete;
mod describe;
mod disable;
mod doctor;
mod each;
mod edit;
mod enable;
mod events;
mod export;
mod graph;
mod import;
mod is_active;
mod is_enabled;
mod kill;
mod known;
mod list;
mod logs;
mod plan;
mod reader;
mod reload;
mod reload_config;
mod reopen_logs;
mod reset;
mod restart;
mod schema;
mod start;
mod stats;
mod status;
mod stop;
mod switch;
pub(crate) mod tail;
mod token;
mod top;
mod update;
mod validate;
mod version;
mod wait;
mod why;

use std::future::{Future, ready};
use std::pin::Pin;

use crate::args::{DaemonVerb, Verb};
use crate::report::{Session, Stop};

/// A verb at work.
type Work<'a> = Pin<Box<dyn Future<Output = Result<(), Stop>> + 'a>>;

/// Does what the command line says.
pub(crate) fn run<'a>(session: &'a mut Session<'_>, verb: Verb) -> Work<'a> {
    match verb {
        Verb::List(args) => boxed(move || list::run(session, *args)),
        Verb::Describe(names) => boxed(move || describe::run(session, names)),
        Verb::Why(names) => boxed(move || why::run(session, names)),
        Verb::Events(args) => boxed(move || events::run(session, args)),
        Verb::Stats(args) => boxed(move || stats::run(session, args)),
        Verb::Top(args) => boxed(move || top::run(session, args)),
        Verb::Wait(args) => boxed(move || wait::run(session, args)),
        Verb::Graph(args) => boxed(move || graph::run(session, args)),
        Verb::IsActive(args) => boxed(move || is_active::run(session, args)),
        Verb::IsEnabled(args) => boxed(move || is_enabled::run(session, args)),
        Verb::Logs(args) => boxed(move || logs::run(session, *args)),
        Verb::ReopenLogs => boxed(move || reopen_logs::run(session)),
        Verb::Start(args) => boxed(move || start::run(session, args)),
        Verb::Stop(args) => boxed(move || stop::run(session, args)),
        Verb::Restart(args) => boxed(move || restart::run(session, args)),
        Verb::Reload(args) => boxed(move || reload::run(session, args)),
        Verb::Kill(args) => boxed(move || kill::run(session, args)),
        Verb::Reset(names) => boxed(move || reset::run(session, names)),
        Verb::Enable(args) => boxed(move || enable::run(session, args)),
        Verb::Disable(args) => boxed(move || disable::run(session, args)),
        Verb::Create(args) => boxed(move || create::run(session, *args)),
        Verb::Update(args) => boxed(move || update::run(session, *args)),
        Verb::Edit(args) => boxed(move || edit::run(session, args)),
        Verb::Cat(names) => boxed(move || cat::run(session, names)),
        Verb::Delete(args) => boxed(move || delete::run(session, args)),
        Verb::Plan => boxed(move || plan::run(session)),
        Verb::ReloadConfig(args) => boxed(move || reload_config::run(session, args.dry_run)),
        Verb::Daemon(DaemonVerb::Status) => boxed(move || daemon::run(session)),
        Verb::Token(verb) => boxed(move || token::run(session, verb)),
        Verb::Context(verb) => Box::pin(ready(context::run(session, verb))),
        Verb::Completion { shell } => Box::pin(ready(completion::run(session, shell))),
        Verb::Version => boxed(move || version::run(session)),
        Verb::Complete { line } => boxed(move || async move { complete::run(session, &line).await }),
        Verb::Import(args) => Box::pin(ready(import::run(session, &args))),
        Verb::Export(args) => boxed(move || export::run(session, args)),
        Verb::Validate(args) => Box::pin(ready(validate::run(session, args))),
        Verb::Schema => Box::pin(ready(schema::run(session))),
        Verb::Doctor => boxed(move || doctor::run(session)),
        Verb::Status(args) => boxed(move || status::run(session, args)),
    }
}

/// In a frame of its own: the caller's would have room for all verbs side by side, and its 52 pages would all be touched.
#[inline(never)]
fn boxed<'a, F: Future<Output = Result<(), Stop>> + 'a>(work: impl FnOnce() -> F) -> Work<'a> {
    Box::pin(work())
}
