//! Options of `import`, `export` and `validate`.

use std::path::PathBuf;

use clap::Args;

use crate::import::Format;

/// `import`
#[derive(Debug, Args)]
#[command(after_help = IMPORT_HELP)]
pub(crate) struct ImportArgs {
    /// Files, or directories of units; several become one file, in which they may depend on each other
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// What the files are
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Write the definitions to this file, which must not exist yet
    #[arg(long, value_name = "PATH")]
    pub(crate) output_file: Option<PathBuf>,
}

const IMPORT_HELP: &str = "\
The definitions go to stdout. What could not be carried over, why, and what to do instead goes to stderr.

Exit codes: 0 everything was carried over, 1 something was not (what could be is printed), 2 a file can't be used.";

/// `export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Names, ids, unique id prefixes, @GROUP or @all [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Write the definitions to this file, which must not exist yet
    #[arg(long, value_name = "PATH")]
    pub(crate) output_file: Option<PathBuf>,
}

/// `validate`
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Files, each checked by itself; - is standard input [default: every layer that a daemon started here would read]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}
