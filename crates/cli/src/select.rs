//! Which processes the words of a command line mean: names, ids, unique id prefixes, `@group`, `@all`, `pat*terns`.

mod pattern;

use std::collections::{BTreeSet, HashSet};

use rpc::v1;

use crate::NO_SUCH_PROCESS;
use crate::report::Failure;

/// The group that everything belongs to.
const ALL: &str = "all";
/// Shortest prefix of an id, as in the API.
const MIN_PREFIX: usize = 4;
/// Groups that an error lists.
const LISTED: usize = 20;

/// What a word means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The process at this place of the list.
    Process(usize),
    /// No process, or more than one: the daemon says it better than this side could.
    Unclear(String),
}

/// Whether the words mean something only together with the list of all processes.
pub(crate) fn needs_list(words: &[String]) -> bool {
    words.len() > 1 || words.iter().any(|word| !is_exact(word))
}

/// Whether a word means one process: no group and no pattern.
pub(crate) fn is_exact(word: &str) -> bool {
    !word.starts_with('@') && !is_pattern(word)
}

/// No name holds one of these.
fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?', '['])
}

/// What the words mean, in their order, members of a group by name, each process once.
pub(crate) fn pick(processes: &[v1::Process], words: &[String]) -> Vec<Result<Pick, Failure>> {
    let mut seen = HashSet::new();
    let mut picks = Vec::new();
    for word in words {
        // No name begins with @.
        let found = match word.strip_prefix('@') {
            Some(group) => match members(processes, group) {
                Ok(members) => members.into_iter().map(Pick::Process).collect(),
                Err(failure) => {
                    picks.push(Err(failure));
                    continue;
                }
            },
            None if is_pattern(word) => {
                let fits: Vec<_> =
                    processes.iter().enumerate().filter(|(_, p)| pattern::fits(word, &p.name)).collect();
                if fits.is_empty() {
                    let failure =
                        Failure::new(NO_SUCH_PROCESS, format!("no process has a name like {word:?}"));
                    picks
                        .push(Err(failure
                            .with_hint("pm-cli list -o name shows the names; * is any text, ? one letter")));
                }
                fits.into_iter().map(|(place, _)| Pick::Process(place)).collect()
            }
            None => match find(processes, word) {
                Some(place) => vec![Pick::Process(place)],
                None => vec![Pick::Unclear(word.clone())],
            },
        };
        for pick in found {
            let new = match &pick {
                Pick::Process(place) => seen.insert(processes[*place].name.clone()),
                Pick::Unclear(word) => seen.insert(word.clone()),
            };
            if new {
                picks.push(Ok(pick));
            }
        }
    }
    picks
}

/// As the daemon finds it: an exact name wins over an id prefix.
fn find(processes: &[v1::Process], word: &str) -> Option<usize> {
    let named = processes.iter().position(|p| p.name == word);
    named.or_else(|| {
        let digits = word.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let prefix = digits && word.len() >= MIN_PREFIX;
        let mut fits = processes.iter().enumerate().filter(|(_, p)| prefix && p.process_id.starts_with(word));
        let one = fits.next().map(|(place, _)| place);
        one.filter(|_| fits.next().is_none())
    })
}

/// The members of a group, at least one.
fn members(processes: &[v1::Process], group: &str) -> Result<Vec<usize>, Failure> {
    let belongs = |p: &v1::Process| group == ALL || p.groups.iter().any(|g| g == group);
    let members: Vec<usize> =
        processes.iter().enumerate().filter(|(_, p)| belongs(p)).map(|(place, _)| place).collect();
    if !members.is_empty() {
        return Ok(members);
    }
    if group == ALL {
        let failure = Failure::new(NO_SUCH_PROCESS, "no processes are defined");
        return Err(failure.with_hint("create one: pm-cli create test sleep 10 --auto-start"));
    }
    let groups: BTreeSet<&str> = processes.iter().flat_map(|p| &p.groups).map(String::as_str).collect();
    let shown: String = group.chars().take(64).collect();
    let near = nearest(&shown, groups.iter().copied().chain([ALL]));
    let meant = near.map_or(String::new(), |known| format!("did you mean @{known}? "));
    let listed: Vec<String> = groups.iter().take(LISTED).map(|g| format!("@{g}")).collect();
    let more = if groups.len() > LISTED { ", …" } else { "" };
    let hint = if listed.is_empty() {
        format!(
            "{meant}there are no groups; the key `groups` makes a process a member, and @all means every process"
        )
    } else {
        format!("{meant}the groups are {}{more}; @all means every process", listed.join(", "))
    };
    Err(Failure::new(NO_SUCH_PROCESS, format!("no process belongs to the group {shown:?}")).with_hint(hint))
}

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (distance(word, known), known));
    near.filter(|(edits, known)| *edits <= 1 + known.chars().count() / 4).min().map(|(_, known)| known)
}

/// Edits between two words: insertions, deletions, substitutions and swaps of neighbors, each 1. Case is ignored.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let other = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (above[j - 1] + other).min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, id: &str, groups: &[&str]) -> v1::Process {
        v1::Process {
            name: name.into(),
            process_id: id.into(),
            groups: groups.iter().map(|g| (*g).to_owned()).collect(),
            ..Default::default()
        }
    }

    fn table() -> Vec<v1::Process> {
        vec![
            process("api", "aaaa00000001", &["web"]),
            process("beef", "bbbb00000001", &[]),
            process("db", "bbbb00000002", &["data"]),
            process("front", "beef00000001", &["web", "edge"]),
        ]
    }

    /// The names that the words mean; `?word` where the daemon has to say, `!` where a group is wrong.
    fn picked(words: &[&str]) -> Vec<String> {
        let table = table();
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        let shown = |pick: Result<Pick, Failure>| match pick {
            Ok(Pick::Process(place)) => table[place].name.clone(),
            Ok(Pick::Unclear(word)) => format!("?{word}"),
            Err(failure) => format!("!{}", failure.hint()),
        };
        pick(&table, &words).into_iter().map(shown).collect()
    }

    #[test]
    fn names_ids_prefixes_and_groups_mix() {
        assert_eq!(picked(&["db", "@web", "aaaa"]), ["db", "api", "front"]);
        assert_eq!(picked(&["front", "@all"]), ["front", "api", "beef", "db"]);
        assert_eq!(picked(&["@edge", "@web"]), ["front", "api"]);
        assert_eq!(picked(&["bbbb00000002", "db"]), ["db"]);
    }

    #[test]
    fn patterns_mix_with_names_and_say_when_nothing_fits() {
        assert_eq!(picked(&["*b*", "front"]), ["beef", "db", "front"]);
        assert_eq!(picked(&["front", "[!f]*", "d?"]), ["front", "api", "beef", "db"]);
        let nothing = "!pm-cli list -o name shows the names; * is any text, ? one letter";
        assert_eq!(picked(&["x*", "db"]), [nothing, "db"]);
    }

    #[test]
    fn an_exact_name_wins_over_an_id() {
        assert_eq!(picked(&["beef"]), ["beef"]);
        assert_eq!(picked(&["beef0"]), ["front"]);
    }

    #[test]
    fn what_is_unclear_is_left_to_the_daemon() {
        assert_eq!(picked(&["bbbb", "nope", "aaa", "", "nope"]), ["?bbbb", "?nope", "?aaa", "?"]);
    }

    #[test]
    fn wrong_groups_keep_their_place() {
        let groups = "the groups are @data, @edge, @web; @all means every process";
        assert_eq!(
            picked(&["db", "@wbe", "api"]),
            ["db".to_owned(), format!("!did you mean @web? {groups}"), "api".into()]
        );
        assert_eq!(picked(&["@"]), [format!("!{groups}")]);
        assert_eq!(picked(&["@al"]), [format!("!did you mean @all? {groups}")]);
        let failure = pick(&[], &["@all".to_owned()]).remove(0).unwrap_err();
        assert_eq!(failure.message, "no processes are defined");
        let failure = pick(&[process("a", "1", &[])], &["@x".to_owned()]).remove(0).unwrap_err();
        assert!(failure.hint().starts_with("there are no groups"));
    }
}
