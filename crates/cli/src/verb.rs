//! The verbs, one a file.

mod create;
mod delete;
mod describe;
mod each;
mod list;
mod logs;
mod reload_config;
mod restart;
mod start;
mod status;
mod stop;

use crate::args::Verb;
use crate::report::{Session, Stop};

/// Does what the command line says.
pub(crate) async fn run(session: &mut Session<'_>, verb: Verb) -> Result<(), Stop> {
    match verb {
        Verb::List => list::run(session).await,
        Verb::Create(args) => create::run(session, *args).await,
        Verb::Start(names) => start::run(session, names).await,
        Verb::Stop(names) => stop::run(session, names).await,
        Verb::Restart(names) => restart::run(session, names).await,
        Verb::Describe(names) => describe::run(session, names).await,
        Verb::Delete(names) => delete::run(session, names).await,
        Verb::Logs(args) => logs::run(session, args).await,
        Verb::ReloadConfig => reload_config::run(session).await,
        Verb::Status => status::run(session).await,
    }
}
