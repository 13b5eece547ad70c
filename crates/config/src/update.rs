//! Changes of what the API keeps of a process: keys that are set, and keys that are taken back.

use model::{Definition, ResourceLimits, Rlimit};

use crate::definition::{find, meant};
use crate::fault::{Fault, Faults};
use crate::keys::{KEYS, Key, LOG_KEYS, overlay};
use crate::suggest::one_of;
use crate::tree::quoted;

/// Whether a definition has no key at all.
#[must_use]
pub fn is_empty(definition: &Definition) -> bool {
    keys().all(|key| (key.write)(definition).is_none())
}

fn keys() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().chain(&LOG_KEYS)
}

/// The definition that results when the keys in `unset` are removed from `earlier` and those of `set` are put on top.
/// A key is named as in a file: `restart`, `log.max_size`, `log` for all keys below it, `env.NAME` for one variable,
/// `resource_limits.memory_max` and `rlimits.nofile` for one limit; `all` for everything that was set earlier.
/// Removing what is not there changes nothing.
///
/// What the result means, together with the other layers, is for [`resolve`](crate::resolve) to judge.
///
/// # Errors
/// A fault for each key that doesn't exist, and for each that is both set and removed.
pub fn merge_update(
    earlier: Option<Definition>,
    set: &Definition,
    unset: &[String],
) -> Result<Definition, Vec<Fault>> {
    let (mut definition, mut faults) = (earlier.unwrap_or_default(), Faults::default());
    for name in unset {
        if name == "all" {
            definition = Definition::default();
        } else {
            remove(&mut definition, set, name, &mut faults);
        }
    }
    overlay(&mut definition, set);
    if faults.count() > 0 { Err(faults.finish()) } else { Ok(definition) }
}

fn remove(definition: &mut Definition, set: &Definition, name: &str, faults: &mut Faults) {
    let parts: Vec<&str> = name.split('.').collect();
    let mut also_set = false;
    let mut clear = |key: &Key| {
        also_set |= (key.write)(set).is_some();
        (key.clear)(definition);
    };
    match parts.as_slice() {
        ["log"] => LOG_KEYS.iter().for_each(&mut clear),
        ["log", inner] => match find(&LOG_KEYS, inner) {
            Some(key) => clear(key),
            None => return unknown(name, meant(inner, &LOG_KEYS), faults),
        },
        // A variable's name may hold dots.
        ["env", _, ..] => {
            let variable = name.strip_prefix("env.").unwrap_or_default();
            also_set = set.env.as_ref().is_some_and(|env| env.contains_key(variable));
            if let Some(env) = &mut definition.env {
                env.remove(variable);
            }
            // An empty mapping would still count as a key.
            definition.env = definition.env.take().filter(|env| !env.is_empty());
        }
        ["resource_limits", inner] => match resource(inner) {
            Some(take) => {
                also_set = set.resource_limits.is_some_and(|limits| take(&mut limits.clone()));
                if let Some(limits) = &mut definition.resource_limits {
                    take(limits);
                }
                definition.resource_limits = definition.resource_limits.filter(|limits| !limits.is_empty());
            }
            None => return unknown(name, listed(&RESOURCES.map(|(key, _)| key)), faults),
        },
        ["rlimits", inner] => match Rlimit::ALL.into_iter().find(|limit| limit.as_str() == *inner) {
            Some(limit) => {
                also_set = set.rlimits.as_ref().is_some_and(|limits| limits.contains_key(&limit));
                if let Some(limits) = &mut definition.rlimits {
                    limits.remove(&limit);
                }
                definition.rlimits = definition.rlimits.take().filter(|limits| !limits.is_empty());
            }
            None => return unknown(name, listed(&Rlimit::ALL.map(Rlimit::as_str)), faults),
        },
        [key] => match find(&KEYS, key) {
            Some(key) => clear(key),
            None => return unknown(name, meant(key, &KEYS), faults),
        },
        _ => return unknown(name, meant(name, &KEYS), faults),
    }
    if also_set {
        let message = format!("{} is both set and removed", quoted(name));
        faults.at(name, |faults| faults.key(message, "do one of them"));
    }
}

/// Takes one limit away and says whether it was there.
type Take = fn(&mut ResourceLimits) -> bool;

/// The keys below `resource_limits`.
const RESOURCES: [(&str, Take); 8] = [
    ("memory_max", |limits| limits.memory_max.take().is_some()),
    ("memory_high", |limits| limits.memory_high.take().is_some()),
    ("memory_swap_max", |limits| limits.memory_swap_max.take().is_some()),
    ("oom_group", |limits| limits.oom_group.take().is_some()),
    ("cpu_max", |limits| limits.cpu_max.take().is_some()),
    ("cpu_weight", |limits| limits.cpu_weight.take().is_some()),
    ("pids_max", |limits| limits.pids_max.take().is_some()),
    ("io_weight", |limits| limits.io_weight.take().is_some()),
];

fn resource(name: &str) -> Option<Take> {
    RESOURCES.into_iter().find(|(key, _)| *key == name).map(|(_, take)| take)
}

const HOW_TO_SEE: &str = "pm-cli cat NAME shows what was set; `all` takes back all of it";

fn listed(keys: &[&str]) -> String {
    format!("the keys there are {}", one_of(keys))
}

fn unknown(name: &str, hint: String, faults: &mut Faults) {
    // Sixty names help nobody who has to find the one that was set.
    let hint = if hint.starts_with("the keys are ") { HOW_TO_SEE.to_owned() } else { hint };
    faults.at(name, |faults| faults.key(format!("{} is not a known key", quoted(name)), hint));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{LogDefinition, RestartPolicy};

    use super::*;

    fn earlier() -> Definition {
        Definition {
            command: Some("x".into()),
            args: Some(vec!["a".into()]),
            env: Some([("A".into(), "1".into()), ("B.c".into(), "2".into())].into()),
            restart: Some(RestartPolicy::Always),
            log: LogDefinition { max_size: Some(1), max_files: Some(2), ..LogDefinition::default() },
            ..Definition::default()
        }
    }

    fn unset(names: &[&str]) -> Result<Definition, Vec<Fault>> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        merge_update(Some(earlier()), &Definition::default(), &names)
    }

    #[test]
    fn keys_are_set_on_top() {
        let set = Definition {
            env: Some([("A".into(), "3".into())].into()),
            stop_timeout: Some(Duration::from_secs(5)),
            log: LogDefinition { file: Some(false), ..LogDefinition::default() },
            ..Definition::default()
        };
        let updated = merge_update(Some(earlier()), &set, &["restart".to_owned()]).unwrap();
        let env: Vec<String> = updated.env.unwrap().iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(env, ["A=3", "B.c=2"]);
        assert_eq!((updated.restart, updated.stop_timeout), (None, Some(Duration::from_secs(5))));
        assert_eq!((updated.log.max_size, updated.log.file), (Some(1), Some(false)));
        assert_eq!(updated.args, earlier().args);
        // Another program brings its own arguments.
        let command = Definition { command: Some("y".into()), ..Definition::default() };
        assert_eq!(merge_update(Some(earlier()), &command, &[]).unwrap().args, None);
        assert_eq!(merge_update(None, &set, &[]).unwrap(), set);
    }

    #[test]
    fn keys_are_taken_back() {
        assert_eq!(unset(&[]).unwrap(), earlier());
        assert_eq!(unset(&["log"]).unwrap().log, LogDefinition::default());
        assert_eq!(unset(&["log.max_size"]).unwrap().log.max_files, Some(2));
        let log = LogDefinition { rate_limit: Some(None), redact: Some(vec![]), ..LogDefinition::default() };
        let earlier_log = Definition { log, ..Definition::default() };
        let names = ["log.rate_limit".to_owned(), "log.redact".to_owned()];
        let left = merge_update(Some(earlier_log), &Definition::default(), &names).unwrap();
        assert_eq!(left, Definition::default());
        assert_eq!(unset(&["env.A"]).unwrap().env.unwrap().len(), 1);
        assert_eq!(unset(&["env.B.c", "env.A", "env.gone"]).unwrap().env, None);
        assert_eq!(unset(&["env"]).unwrap().env, None);
        // What is not there, and twice.
        assert_eq!(unset(&["user", "critical", "type", "log.journald"]).unwrap(), earlier());
        assert!(is_empty(&unset(&["command", "args", "args", "env", "restart", "log"]).unwrap()));
        assert!(!is_empty(&unset(&["command", "args", "env", "log"]).unwrap()));
        assert!(is_empty(&Definition::default()));
        assert!(is_empty(&unset(&["all"]).unwrap()));
        let set = Definition { critical: Some(true), ..Definition::default() };
        assert_eq!(merge_update(Some(earlier()), &set, &["all".to_owned()]).unwrap(), set, "and set anew");
        let told = unset(&["nonsense"]).unwrap_err()[0].to_string();
        assert!(told.contains("pm-cli cat NAME") && told.len() < 160, "{told}");
    }

    #[test]
    fn one_limit_is_taken_back_and_the_others_stay() {
        let limits = ResourceLimits {
            memory_max: Some(model::Ceiling::At(1)),
            pids_max: Some(model::Ceiling::At(2)),
            ..ResourceLimits::default()
        };
        let pair = model::LimitPair { soft: 1, hard: 2 };
        let earlier = Definition {
            resource_limits: Some(limits),
            rlimits: Some([(Rlimit::Nofile, pair), (Rlimit::Core, pair)].into()),
            ..Definition::default()
        };
        let unset = |names: &[&str], set: &Definition| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            merge_update(Some(earlier.clone()), set, &names)
        };
        let none = Definition::default();
        let left = unset(&["resource_limits.memory_max", "rlimits.nofile"], &none).unwrap();
        assert_eq!(left.resource_limits, Some(ResourceLimits { memory_max: None, ..limits }));
        assert_eq!(left.rlimits.unwrap().len(), 1);
        let all =
            ["resource_limits.memory_max", "resource_limits.pids_max", "rlimits.nofile", "rlimits.core"];
        assert!(is_empty(&unset(&all, &none).unwrap()));
        let told = unset(&["resource_limits.memory", "rlimits.files"], &none).unwrap_err();
        assert!(told[0].to_string().contains("`memory_max`"), "{}", told[0]);
        assert!(told[1].to_string().contains("`nofile`"), "{}", told[1]);
        assert!(
            unset(&["rlimits.core", "resource_limits.pids_max"], &earlier).is_err(),
            "both set and removed"
        );
        // Every limit that there is can be named.
        for (key, _) in RESOURCES {
            assert!(unset(&[&format!("resource_limits.{key}")], &none).is_ok(), "{key}");
        }
    }

    #[test]
    fn mistakes_are_all_told() {
        let names = ["restrat", "environment", "log.max_sise", "log.x.y", "", "args.0", "log.user"];
        let faults = unset(&names).unwrap_err();
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for (said, part) in said.iter().zip([
            "`restrat` is not a known key (did you mean `restart`?)",
            "did you mean `env`?",
            "`log.max_sise` is not a known key (did you mean `max_size`?)",
            "`log.x.y` is not a known key",
            "`` is not a known key",
            "`args.0` is not a known key",
            "`log.user` is not a known key",
        ]) {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(said.len(), names.len());
        let both = merge_update(None, &earlier(), &["env.A".to_owned(), "log".to_owned(), "user".to_owned()]);
        let keys: Vec<String> = both.unwrap_err().iter().map(Fault::key).collect();
        assert_eq!(keys, ["\"env.A\"", "log"]);
    }
}
