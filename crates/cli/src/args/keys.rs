//! Options and the keys of processes.yaml that they stand for.

use clap::{Args as _, Command};

use super::definition::DefinitionArgs;

/// The options of which several are one key.
const RESOURCES: [&str; 8] = [
    "memory-max",
    "memory-high",
    "memory-swap-max",
    "oom-group",
    "cpu-max",
    "cpu-weight",
    "pids-max",
    "io-weight",
];

/// The key that somebody means who writes an option, with or without its hyphens, or a key. What is neither stays as it
/// is: the daemon knows what it may have been meant to be.
pub(crate) fn key_of(word: &str) -> String {
    let option = word.trim_start_matches('-');
    if options().iter().any(|known| known == option) { of_option(option) } else { option.to_owned() }
}

fn of_option(option: &str) -> String {
    match option {
        _ if RESOURCES.contains(&option) => format!("resource_limits.{}", option.replace('-', "_")),
        _ if option.starts_with("health-") => "health_check".to_owned(),
        "rlimit" => "rlimits".to_owned(),
        "member-of" => "groups".to_owned(),
        "ambient-capability" => "ambient_capabilities".to_owned(),
        _ => option.replace('-', "_"),
    }
}

/// A hint about keys, in the words of somebody who gave options: `` `user` `` is `` `--user` ``. A key that several options
/// make stays as it is.
pub(crate) fn in_options(hint: &str) -> String {
    replaced(hint, "")
}

/// The same for an error: only the keys that it is about, each with a colon behind it. Others may stand in a file.
pub(crate) fn about_options(message: &str) -> String {
    replaced(message, ": ")
}

fn replaced(text: &str, behind: &str) -> String {
    let mut text = text.to_owned();
    for option in options().iter().filter(|option| !option.starts_with("health-")) {
        let key = of_option(option);
        text = text.replace(&format!("`{key}`{behind}"), &format!("`--{option}`{behind}"));
    }
    text
}

/// The options that are keys.
pub(crate) fn options() -> Vec<String> {
    let command = DefinitionArgs::augment_args(Command::new("create"));
    command.get_arguments().filter_map(clap::Arg::get_long).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use model::Definition;

    use super::*;

    #[test]
    fn every_option_stands_for_a_key_that_can_be_taken_back() {
        for option in options() {
            for word in [option.clone(), format!("--{option}")] {
                let unset = [key_of(&word)];
                let taken = config::merge_update(None, &Definition::default(), &unset);
                assert!(taken.is_ok(), "{word}: {taken:?}");
            }
        }
    }

    #[test]
    fn keys_stay_as_they_are() {
        for word in
            ["env.A-B", "log.max_size", "resource_limits.memory_max", "restrat", "stdout", "rlimits.nofile"]
        {
            assert_eq!(key_of(word), word);
        }
        assert_eq!(key_of("--memory-max"), "resource_limits.memory_max");
        assert_eq!(key_of("stop-timeout"), "stop_timeout");
    }

    #[test]
    fn errors_name_options() {
        assert_eq!(
            in_options("create it with useradd, or fix `user`"),
            "create it with useradd, or fix `--user`"
        );
        assert_eq!(about_options("`user`: no such user"), "`--user`: no such user");
        assert_eq!(about_options("`resource_limits.memory_max`: it is 0"), "`--memory-max`: it is 0");
        let circle = "`after[0]`: a -> b (`after`) -> a";
        assert_eq!(about_options(circle), circle, "what it goes through stands in files");
    }
}
