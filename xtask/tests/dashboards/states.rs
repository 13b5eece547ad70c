//! How states look: a word and a color for each, as text in tables and as a number in time lines.

use model::State;
use serde_json::{Map, Value, json};

/// Green is up, blue on its way, orange and red in trouble, gray at rest.
fn color(state: State) -> &'static str {
    match state {
        State::Stopped | State::Skipped => "text",
        State::Starting | State::Reloading => "blue",
        State::Running => "green",
        State::Stopping => "super-light-blue",
        State::Backoff => "orange",
        State::CrashLoop => "red",
        State::Exited => "super-light-green",
        State::Failed => "dark-red",
        State::Waiting => "yellow",
        State::Invalid => "purple",
    }
}

/// Mappings by the name of the state, for a column that holds it.
pub(crate) fn by_name() -> Value {
    mappings(|_, state| state.as_str().to_owned())
}

/// Mappings by the number that [`number`] gives it.
pub(crate) fn by_number() -> Value {
    mappings(|index, _| index.to_string())
}

fn mappings(key: impl Fn(usize, State) -> String) -> Value {
    let entry = |(index, state): (usize, State)| {
        let shown = json!({"color": color(state), "index": index, "text": state.as_str()});
        (key(index, state), shown)
    };
    let options: Map<String, Value> = State::ALL.into_iter().enumerate().map(entry).collect();
    json!([{"type": "value", "options": options}])
}

/// The number of the state that each process is in: its place among all states.
pub(crate) fn number() -> String {
    let term = |(index, state): (usize, State)| {
        format!(r#"(ddprocmgr_process_state{{@process,state="{state}"}} == 1) * {index}"#)
    };
    let terms: Vec<String> = State::ALL.into_iter().enumerate().map(term).collect();
    format!("max by (job, instance, process) ({})", terms.join(" or "))
}
