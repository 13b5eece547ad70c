//! What a program is given to run with: priorities, capabilities, directories.

use model::Capabilities;
use serde_yaml::Value;

use super::{Kind, each, one_or_each, one_or_list, replaced_as_a_whole, scalar};
use crate::fault::Faults;
use crate::suggest::closest;
use crate::tree::{Node, quoted};

/// A whole number, perhaps negative; what is far out of range is cut to what `check` refuses.
fn signed(node: &Node, hint: &str, faults: &mut Faults) -> Option<i16> {
    let text = scalar(node, "a whole number", faults)?;
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_digit()) {
        faults.value(format!("expected a whole number, found {}", quoted(text)), hint);
        return None;
    }
    let far = if text.starts_with('-') { i16::MIN } else { i16::MAX };
    Some(text.parse().unwrap_or(far))
}

/// `nice`
pub(crate) struct Nice;

const NICE: &str = "write a whole number from -20 (first) to 19 (last)";

impl Kind for Nice {
    type Value = i8;
    const WORDS: &'static str = "a whole number from -20 (first) to 19 (last)";

    fn read(node: &Node, faults: &mut Faults) -> Option<i8> {
        let value = signed(node, NICE, faults)?;
        Some(i8::try_from(value).unwrap_or(if value < 0 { i8::MIN } else { i8::MAX }))
    }

    fn check(value: &i8, faults: &mut Faults) {
        if !(-20..=19).contains(value) {
            faults.value("not from -20 to 19", NICE);
        }
    }

    fn write(value: &i8) -> Value {
        (*value).into()
    }

    replaced_as_a_whole!();
}

/// `oom_score_adj`
pub(crate) struct OomScore;

const OOM: &str = "write a whole number from -1000 (never killed) to 1000 (killed first)";

impl Kind for OomScore {
    type Value = i16;
    const WORDS: &'static str = "a whole number from -1000 (never killed) to 1000 (killed first)";

    fn read(node: &Node, faults: &mut Faults) -> Option<i16> {
        signed(node, OOM, faults)
    }

    fn check(value: &i16, faults: &mut Faults) {
        if !(-1000..=1000).contains(value) {
            faults.value("not from -1000 to 1000", OOM);
        }
    }

    fn write(value: &i16) -> Value {
        (*value).into()
    }

    replaced_as_a_whole!();
}

/// `ambient_capabilities`
pub(crate) struct CapabilitySet;

impl Kind for CapabilitySet {
    type Value = Capabilities;
    const WORDS: &'static str = "a capability, or a list of them: `CAP_NET_BIND_SERVICE`";

    fn read(node: &Node, faults: &mut Faults) -> Option<Capabilities> {
        let before = faults.count();
        let mut set = Capabilities::default();
        one_or_each(node, "a capability", faults, |node, faults| {
            let name = scalar(node, "a capability", faults)?;
            match set.with(name) {
                Some(larger) => set = larger,
                None => faults.value(format!("{} is not a capability", quoted(name)), suggestion(name)),
            }
            Some(())
        })?;
        (faults.count() == before).then_some(set)
    }

    fn write(value: &Capabilities) -> Value {
        one_or_list(value.names().map(Value::from).collect())
    }

    replaced_as_a_whole!();
}

fn suggestion(name: &str) -> String {
    if name.starts_with(['~', '+', '-', '=']) || name.contains([' ', '=', '+']) {
        return "write names only, as a list: [CAP_NET_BIND_SERVICE, CAP_CHOWN]".to_owned();
    }
    let names: Vec<String> = Capabilities::all_names().collect();
    let spellings = names
        .iter()
        .flat_map(|full| [(full.as_str(), full.as_str()), (full.trim_start_matches("CAP_"), full.as_str())]);
    match closest(name, spellings) {
        Some(word) => format!("did you mean `{word}`?"),
        None => "capabilities(7) lists them, for example CAP_NET_BIND_SERVICE".to_owned(),
    }
}

/// `runtime_directory`
pub(crate) struct DirectoryNames;

/// Longest name of a file.
const LONGEST: usize = 255;

impl Kind for DirectoryNames {
    type Value = Vec<String>;
    const WORDS: &'static str = "a name, or a list of them";

    fn read(node: &Node, faults: &mut Faults) -> Option<Vec<String>> {
        one_or_each(node, "a name", faults, |node, faults| scalar(node, "a name", faults).map(str::to_owned))
    }

    fn check(value: &Vec<String>, faults: &mut Faults) {
        each(value, faults, |name, faults| {
            let hint = "write a single name: it becomes a directory below the daemon's runtime directory, and \
                        $RUNTIME_DIRECTORY tells the program where";
            let plain = !name.is_empty()
                && name.len() <= LONGEST
                && !name.starts_with('.')
                // The program gets several of them with colons in between.
                && !name.contains(|c: char| c == '/' || c == ':' || c.is_control());
            if !plain {
                faults.value(format!("{} can't be a runtime directory's name", quoted(name)), hint);
            }
        });
        let unique: std::collections::BTreeSet<&String> = value.iter().collect();
        if unique.len() != value.len() {
            faults.value("a name stands here twice", "remove one of them");
        }
    }

    fn write(value: &Vec<String>) -> Value {
        one_or_list(value.iter().map(|name| name.as_str().into()).collect())
    }

    replaced_as_a_whole!();
}
