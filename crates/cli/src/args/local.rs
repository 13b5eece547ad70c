//! Verbs about the daemon itself and about where daemons are.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `daemon`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum DaemonVerb {
    /// Show everything about the daemon: what it uses, where it listens and keeps things, what a reload left behind
    Status,
}

/// `token`
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum TokenVerb {
    /// Print the token that would be presented
    Show,
    /// Print the file that it is read from
    Path,
    /// Make the daemon write a new token; the old one is void at once
    Rotate,
}

/// `context`
#[derive(Debug, Subcommand)]
pub(crate) enum ContextVerb {
    /// Show the saved contexts; the current one has a *
    List,
    /// Show one context, or the current one
    Show {
        /// Its name
        #[arg(value_name = "CONTEXT")]
        name: Option<String>,
    },
    /// Save where a daemon is, as --socket or --host say; replaces a context of that name
    Add(Box<ContextAddArgs>),
    /// Make a context the one that is used when nothing else is said
    Use {
        /// Its name
        #[arg(value_name = "CONTEXT", required_unless_present = "none")]
        name: Option<String>,
        /// No context any more: look for the daemon of this machine
        #[arg(long, conflicts_with = "name")]
        none: bool,
    },
    /// Forget a context
    Remove {
        /// Its name
        #[arg(value_name = "CONTEXT")]
        name: String,
    },
}

/// `context add`
#[derive(Debug, Args)]
pub(crate) struct ContextAddArgs {
    /// Its name: letters, digits, and _ . -
    #[arg(value_name = "CONTEXT")]
    pub(crate) name: String,
    /// File with the token to present over TCP
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Speak TLS, and trust servers with a certificate of this authority (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// Certificate to present (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_ca", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Name in the server's certificate, where it is not that of --host
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    pub(crate) tls_server_name: Option<String>,
    /// Also make it the current one
    #[arg(long = "use")]
    pub(crate) current: bool,
}

/// A shell that can complete.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    /// The Bourne-again shell
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}
