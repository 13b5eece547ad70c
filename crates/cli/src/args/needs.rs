//! What it needs of others, on the command line.

use clap::Args;
use model::{Definition, Dependency, ProcessName, Readiness};

use super::definition::some;

/// Order and dependencies. Each may be given several times.
#[derive(Debug, Args)]
#[command(next_help_heading = "What it needs of others (each may be given several times)")]
pub(crate) struct NeedArgs {
    /// Start after this process and stop before it
    #[arg(long, value_name = "NAME", value_parser = ProcessName::new)]
    after: Vec<ProcessName>,
    /// Start before this process and stop after it
    #[arg(long, value_name = "NAME", value_parser = ProcessName::new)]
    before: Vec<ProcessName>,
    /// Start that one first, and go down with it; STATE: started, ready, healthy or completed
    #[arg(long, value_name = "NAME[:STATE]", value_parser = dependency)]
    requires: Vec<Dependency>,
    /// Start that one first, if it can be started
    #[arg(long, value_name = "NAME[:STATE]", value_parser = dependency)]
    wants: Vec<Dependency>,
    /// As --requires; also go down when that one ends by itself, and come back with it
    #[arg(long, value_name = "NAME[:STATE]", value_parser = dependency)]
    binds_to: Vec<Dependency>,
    /// Never be up together with that one
    #[arg(long, value_name = "NAME", value_parser = ProcessName::new)]
    conflicts: Vec<ProcessName>,
}

/// `db`, or `db:healthy`. A name has no colon.
fn dependency(text: &str) -> Result<Dependency, String> {
    let (name, until) = match text.split_once(':') {
        None => (text, None),
        Some((name, word)) => {
            let until = Readiness::ALL.into_iter().find(|readiness| readiness.as_str() == word);
            (name, Some(until.ok_or("after NAME: write started, ready, healthy or completed")?))
        }
    };
    Ok(Dependency { name: ProcessName::new(name).map_err(|e| e.to_string())?, until })
}

impl NeedArgs {
    pub(super) fn write(self, definition: &mut Definition) {
        definition.after = some(self.after);
        definition.before = some(self.before);
        definition.requires = some(self.requires);
        definition.wants = some(self.wants);
        definition.binds_to = some(self.binds_to);
        definition.conflicts = some(self.conflicts);
    }
}
