//! Which layer says what about a process.

use model::{Definition, Origin, ProcessName};

use crate::document::Written;
use crate::layers::{Layer, Layers, Layout, LoadError, Main};
use crate::render::render;
use crate::secret::mask_value;
use crate::update::is_empty;

/// What one layer says about a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The file and the line of the process's name (`/etc/dd-procmgrd/processes.yaml:12`; ` (defaults)` behind it for
    /// what holds for all processes), or `pm-cli create/update`.
    pub origin: String,
    /// Its keys as YAML, at the top level. Values of variables that look secret are masked. What could not be read
    /// stands above them as comments.
    pub text: String,
}

/// Every layer that says something about a process, lowest first: `defaults:`, packages, the main file, the
/// administrator's files, the override, the API. Empty when there is none but `defaults:`.
///
/// # Errors
/// [`LoadError`]: a file can't be used at all, so that nobody can tell what it says.
pub fn fragments(layout: &Layout, name: &ProcessName) -> Result<Vec<Fragment>, LoadError> {
    let layers = Layers::read(layout, Main::Optional)?;
    let Some(pieces) = layers.processes.get(name) else { return Ok(Vec::new()) };
    let defaults = layers.defaults_line.filter(|_| !is_empty(&layers.defaults)).map(|line| Fragment {
        origin: format!("{} (defaults)", Origin::File { path: layout.main.clone(), line }),
        text: render(&masked(&layers.defaults)),
    });
    let own = pieces.iter().map(|(layer, written)| Fragment {
        origin: match layer {
            Layer::File | Layer::Override => {
                Origin::File { path: written.path().to_owned(), line: written.line() }.to_string()
            }
            Layer::Runtime => "pm-cli create/update".to_owned(),
        },
        text: text(written),
    });
    Ok(defaults.into_iter().chain(own).collect())
}

fn text(written: &Written) -> String {
    let mut text = String::new();
    for problem in &written.problems {
        let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
        // One line: a message quotes what was written, but never its line ends.
        text.push_str(&format!("# error: {key}{}\n", problem.message));
    }
    text.push_str(&render(&masked(&written.definition)));
    text
}

fn masked(definition: &Definition) -> Definition {
    let env = definition.env.as_ref().map(|env| {
        env.iter().map(|(key, value)| (key.clone(), mask_value(key, value).into_owned())).collect()
    });
    Definition { env, ..definition.clone() }
}

#[cfg(test)]
mod tests;
