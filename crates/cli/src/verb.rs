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

use crate::args::{DaemonVerb, Verb};
use crate::report::{Session, Stop};

/// Does what the command line says.
pub(crate) async fn run(session: &mut Session<'_>, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List(args) => list::run(session, *args).await,
        Verb::Describe(names) => describe::run(session, names).await,
        Verb::Why(names) => why::run(session, names).await,
        Verb::Events(args) => events::run(session, args).await,
        Verb::Stats(args) => stats::run(session, args).await,
        Verb::Top(args) => top::run(session, args).await,
        Verb::Wait(args) => wait::run(session, args).await,
        Verb::Graph(args) => graph::run(session, args).await,
        Verb::IsActive(args) => is_active::run(session, args).await,
        Verb::IsEnabled(args) => is_enabled::run(session, args).await,
        Verb::Logs(args) => logs::run(session, *args).await,
        Verb::ReopenLogs => reopen_logs::run(session).await,
        Verb::Start(args) => start::run(session, args).await,
        Verb::Stop(args) => stop::run(session, args).await,
        Verb::Restart(args) => restart::run(session, args).await,
        Verb::Reload(args) => reload::run(session, args).await,
        Verb::Kill(args) => kill::run(session, args).await,
        Verb::Reset(names) => reset::run(session, names).await,
        Verb::Enable(args) => enable::run(session, args).await,
        Verb::Disable(args) => disable::run(session, args).await,
        Verb::Create(args) => create::run(session, *args).await,
        Verb::Update(args) => update::run(session, *args).await,
        Verb::Edit(args) => edit::run(session, args).await,
        Verb::Cat(names) => cat::run(session, names).await,
        Verb::Delete(args) => delete::run(session, args).await,
        Verb::Plan => plan::run(session).await,
        Verb::ReloadConfig(args) => reload_config::run(session, args.dry_run).await,
        Verb::Daemon(DaemonVerb::Status) => daemon::run(session).await,
        Verb::Token(verb) => token::run(session, verb).await,
        Verb::Context(verb) => context::run(session, verb),
        Verb::Completion { shell } => completion::run(session, shell),
        Verb::Version => version::run(session).await,
        Verb::Complete { line } => complete::run(session, &line).await,
        Verb::Import(args) => import::run(session, &args),
        Verb::Export(args) => export::run(session, args).await,
        Verb::Validate(args) => validate::run(session, args),
        Verb::Schema => schema::run(session),
        Verb::Doctor => doctor::run(session).await,
        Verb::Status(args) => status::run(session, args).await,
    }
}
