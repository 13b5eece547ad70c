//! Definitions of other supervisors, turned into ours: text in, definitions and remarks out.
//!
//! Each reader makes [`Draft`]s and says in [`Note`]s what it could not carry over; `finish` ties the drafts together and
//! lets the config crate judge the result, so that what is printed is valid. Files are reached through [`Files`] alone.

mod command;
mod detect;
mod draft;
mod files;
mod finish;
mod pm2;
mod process_compose;
mod procfile;
mod supervisord;
mod systemd;
mod tree;

use std::path::Path;

use clap::ValueEnum;

pub(crate) use draft::{Import, Note, Unusable, Weight};
pub(crate) use files::{Files, RealFiles};
pub(crate) use finish::{Finished, finish};

/// What kind of file it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// By its name, else by what it holds
    #[default]
    Auto,
    /// supervisord.conf
    Supervisord,
    /// A .service unit with its drop-ins, or a directory of them
    Systemd,
    /// Procfile (foreman, honcho, Heroku), with the .env beside it
    Procfile,
    /// Ecosystem file of PM2, as JSON
    Pm2,
    /// process-compose.yaml
    ProcessCompose,
}

/// Reads one file, or a directory of units, in addition to what was read before.
///
/// # Errors
/// What keeps it from being used at all.
pub(crate) fn read(
    files: &dyn Files,
    path: &Path,
    format: Format,
    into: &mut Import,
) -> Result<(), Unusable> {
    let format = match format {
        Format::Auto => detect::detect(files, path)?,
        format => format,
    };
    match format {
        Format::Supervisord => supervisord::read(files, path, into),
        Format::Procfile => procfile::read(files, path, into),
        Format::Pm2 => pm2::read(files, path, into),
        Format::ProcessCompose => process_compose::read(files, path, into),
        Format::Systemd | Format::Auto => systemd::read(files, path, into),
    }
}
