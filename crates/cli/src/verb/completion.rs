//! `completion`: what makes a shell ask this program when somebody presses TAB.

use crate::args::Shell;
use crate::report::{Session, Stop};

pub(super) fn run(session: &mut Session<'_>, shell: Shell) -> Result<(), Stop> {
    session.raw(
        match shell {
            Shell::Bash => include_str!("../../../../packaging/completions/pm-cli.bash"),
            Shell::Zsh => include_str!("../../../../packaging/completions/_pm-cli"),
            Shell::Fish => include_str!("../../../../packaging/completions/pm-cli.fish"),
        }
        .as_bytes(),
    )
}
