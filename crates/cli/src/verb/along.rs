//! Whom a stop takes along: those that require a process, or are bound to it, go down with it.

use std::collections::{BTreeSet, HashMap};

use rpc::Client;
use rpc::v1::{self, ListProcessesRequest, State};
use serde_json::{Value, json};

use crate::report::{Session, Stop};
use crate::select::{Pick, pick};

/// All that is needed of a process to tell.
const FIELDS: [&str; 8] = [
    "name",
    "process_id",
    "groups",
    "state",
    "wanted_up",
    "definition.requires",
    "definition.wants",
    "definition.binds_to",
];

/// Who depends on the processes that are named, beside those themselves.
#[derive(Debug, Default)]
pub(super) struct Along {
    /// Those that are up and go down too, sorted.
    pub(super) follow: Vec<String>,
    /// Those that can't do without one of them, up or not: who, and which.
    pub(super) require: Vec<(String, String)>,
    /// Whether one that is named can't do without another one that is named.
    pub(super) among: bool,
}

impl Along {
    /// One line for the human, before it happens. `verb` = `stops`, `restarts`.
    pub(super) fn tell(&self, session: &mut Session<'_>, verb: &str) -> Result<(), Stop> {
        if self.follow.is_empty() || session.json() {
            return Ok(());
        }
        session.say(&format!("also {verb}: {}", self.follow.join(", ")))
    }

    /// The same for a stop: who is taken along is still wanted.
    pub(super) fn tell_stop(&self, session: &mut Session<'_>, names: &[String]) -> Result<(), Stop> {
        self.tell(session, "stops")?;
        if self.follow.is_empty() || session.json() {
            return Ok(());
        }
        let (who, verb) = if let [name] = names { (name.as_str(), "is") } else { ("these", "are") };
        session.say(&format!("they wait, and come back when {who} {verb} started again"))
    }

    pub(super) fn json(&self) -> Value {
        json!(self.follow)
    }
}

/// Asks the daemon who depends on whom. What a list can't tell is no reason to refuse anything: then nothing is known.
pub(super) async fn along(client: &Client, words: &[String]) -> Along {
    let mask = prost_types::FieldMask { paths: FIELDS.map(str::to_owned).to_vec() };
    let request = ListProcessesRequest { read_mask: Some(mask), ..Default::default() };
    match client.clone().list_where(request).await {
        Ok(processes) => of(&processes, words),
        Err(_) => Along::default(),
    }
}

/// Who is started along with the processes that are named: what they require, want or are bound to and is not up. Only those
/// on the way are asked for, so that a start does not cost a list of everything.
pub(super) async fn started_along(client: &Client, words: &[String]) -> Along {
    let mut processes: Vec<v1::Process> = Vec::new();
    let is_group = words.iter().any(|word| word.starts_with('@'));
    let mut asked = BTreeSet::new();
    let mut next = Some(if is_group { Vec::new() } else { words.to_vec() });
    while let Some(names) = next {
        let mask = prost_types::FieldMask { paths: FIELDS.map(str::to_owned).to_vec() };
        let request = ListProcessesRequest { read_mask: Some(mask), names, ..Default::default() };
        let Ok(found) = client.clone().list_where(request).await else { return Along::default() };
        processes.extend(found);
        let known: BTreeSet<&str> = processes.iter().map(|p| p.name.as_str()).collect();
        let unknown: BTreeSet<&str> =
            processes.iter().flat_map(needs).filter(|n| !known.contains(n)).collect();
        // What is not defined is not found either: asked for once more, it would be asked for ever.
        let more: Vec<String> =
            unknown.into_iter().filter(|n| asked.insert((*n).to_owned())).map(str::to_owned).collect();
        next = Some(more).filter(|more| !more.is_empty());
    }
    Along { follow: needed(&processes, words), ..Along::default() }
}

/// The names of what a process is started with.
fn needs(process: &v1::Process) -> impl Iterator<Item = &str> {
    let lists = process.definition.iter().flat_map(|of| [&of.requires, &of.wants, &of.binds_to]);
    lists.flatten().flat_map(|list| &list.values).map(|on| on.name.as_str())
}

/// The processes that are named.
fn named<'a>(processes: &'a [v1::Process], words: &[String]) -> BTreeSet<&'a str> {
    let picked = pick(processes, words).into_iter().filter_map(|picked| match picked {
        Ok(Pick::Process(place)) => Some(processes[place].name.as_str()),
        Ok(Pick::Unclear(_)) | Err(_) => None,
    });
    picked.collect()
}

fn needed(processes: &[v1::Process], words: &[String]) -> Vec<String> {
    let by_name: HashMap<&str, &v1::Process> = processes.iter().map(|p| (p.name.as_str(), p)).collect();
    let named = named(processes, words);
    let (mut found, mut queue) = (BTreeSet::new(), named.iter().copied().collect::<Vec<_>>());
    while let Some(name) = queue.pop() {
        for other in by_name.get(name).into_iter().flat_map(|process| needs(process)) {
            let Some(other) = by_name.get(other) else { continue };
            let down =
                !other.wanted_up && matches!(other.state(), State::Stopped | State::Exited | State::Failed);
            if down && !named.contains(other.name.as_str()) && found.insert(other.name.clone()) {
                queue.push(&other.name);
            }
        }
    }
    found.into_iter().collect()
}

fn of(processes: &[v1::Process], words: &[String]) -> Along {
    let named = named(processes, words);
    let mut needed_by: HashMap<&str, Vec<&v1::Process>> = HashMap::new();
    for process in processes {
        let Some(definition) = &process.definition else { continue };
        let lists = [&definition.requires, &definition.binds_to];
        for on in lists.into_iter().flatten().flat_map(|list| &list.values) {
            needed_by.entry(&on.name).or_default().push(process);
        }
    }
    let (mut require, mut among) = (BTreeSet::new(), false);
    let (mut follow, mut queue) = (BTreeSet::new(), named.iter().copied().collect::<Vec<_>>());
    while let Some(name) = queue.pop() {
        for by in needed_by.get(name).into_iter().flatten() {
            if named.contains(by.name.as_str()) {
                among |= named.contains(name);
                continue;
            }
            if named.contains(name) {
                require.insert((by.name.clone(), name.to_owned()));
            }
            if goes_down(by) && follow.insert(by.name.clone()) {
                queue.push(&by.name);
            }
        }
    }
    Along { follow: follow.into_iter().collect(), require: require.into_iter().collect(), among }
}

/// Whether there is something of it to take down.
fn goes_down(process: &v1::Process) -> bool {
    let up = matches!(process.state(), State::Starting | State::Running | State::Reloading | State::Exited);
    process.wanted_up && up
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, state: State, requires: &[&str]) -> v1::Process {
        let on = |name: &&str| v1::Dependency { name: (*name).to_owned(), ..Default::default() };
        let list = v1::DependencyList { values: requires.iter().map(on).collect() };
        let definition = v1::ProcessDefinition { requires: Some(list), ..Default::default() };
        v1::Process {
            name: name.to_owned(),
            state: state.into(),
            wanted_up: state == State::Running,
            groups: vec!["g".to_owned()],
            definition: Some(Box::new(definition)),
            ..Default::default()
        }
    }

    fn told(words: &[&str]) -> (Vec<String>, Vec<String>) {
        let processes = [
            process("db", State::Running, &[]),
            process("api", State::Running, &["db"]),
            process("web", State::Running, &["api", "db"]),
            process("job", State::Stopped, &["db"]),
            // In a circle, and about something that is not there.
            process("a", State::Running, &["b", "gone"]),
            process("b", State::Running, &["a"]),
        ];
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let along = of(&processes, &words);
        let require = along.require.iter().map(|(who, whom)| format!("{who}:{whom}")).collect();
        (along.follow, require)
    }

    #[test]
    fn those_that_require_it_follow_down_to_the_last() {
        assert_eq!(
            told(&["db"]),
            (vec!["api".into(), "web".into()], ["api:db", "job:db", "web:db"].map(String::from).into())
        );
        assert_eq!(told(&["api"]), (vec!["web".into()], vec!["web:api".into()]));
        assert_eq!(told(&["web"]), (vec![], vec![]));
        assert_eq!(told(&["a"]), (vec!["b".into()], vec!["b:a".into()]));
    }

    #[test]
    fn what_is_needed_and_down_is_started_along() {
        let processes = [
            process("db", State::Stopped, &[]),
            process("cache", State::Running, &["db"]),
            process("api", State::Stopped, &["db", "cache", "gone"]),
            process("web", State::Stopped, &["api"]),
            process("a", State::Stopped, &["b"]),
            process("b", State::Stopped, &["a"]),
        ];
        let needed = |word: &str| needed(&processes, &[word.to_owned()]);
        assert_eq!(needed("web"), ["api", "db"]);
        assert_eq!(needed("api"), ["db"]);
        assert_eq!(needed("db"), Vec::<String>::new());
        assert_eq!(needed("a"), ["b"], "in a circle");
    }

    #[test]
    fn whether_those_that_are_named_need_each_other_is_known() {
        let processes = [
            process("db", State::Running, &[]),
            process("api", State::Stopped, &["db"]),
            process("x", State::Running, &["db"]),
        ];
        let among =
            |words: &[&str]| of(&processes, &words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).among;
        assert!(among(&["db", "api"]) && among(&["api", "db"]) && among(&["@g"]));
        assert!(!among(&["db"]) && !among(&["api", "x"]) && !among(&["nobody"]));
    }

    #[test]
    fn those_that_are_named_are_not_told_again() {
        assert_eq!(told(&["db", "api"]).0, ["web"]);
        assert_eq!(told(&["@g"]), (vec![], vec![]));
        assert_eq!(told(&["nobody", "@no"]), (vec![], vec![]));
    }
}
