//! supervisord.conf: programs and groups, with the files that it includes.

mod expand;
mod ini;
mod program;
mod shared_logs;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::draft::{At, Import, Link, Tie, Unusable};
use super::files::{Files, directory, file, joined, text};
use ini::{Entry, Section};

/// Files that may be included; beyond it is a circle or a mistake.
const MOST_FILES: usize = 1000;
/// Programs of a priority that all of the next one wait for. Beyond it the lists would be longer than the rest.
const MOST_TIES: usize = 200;

/// What `[supervisord]` says for all programs.
#[derive(Default)]
struct Common {
    environment: Vec<(String, String)>,
    directory: Option<String>,
    umask: Option<String>,
    user: Option<String>,
}

pub(super) fn read(files: &dyn Files, path: &Path, into: &mut Import) -> Result<(), Unusable> {
    let here = directory(path);
    let mut sections = ini::parse(path, &text(files, path)?)?;
    include(files, &here, &mut sections, into)?;
    let mut common = Common::default();
    for section in sections.iter().filter(|section| section.name == "supervisord") {
        read_common(files, &here, section, &mut common, into);
    }
    let first = into.drafts.len();
    let mut priorities: Vec<(u32, String, At)> = Vec::new();
    for section in &sections {
        match section.name.split_once(':') {
            Some(("program", name)) => {
                let surroundings = program::Surroundings { files, here: &here, common: &common };
                priorities.extend(program::read(&surroundings, section, name.trim(), into));
            }
            Some(("eventlistener", _)) => into.lost(
                &section.at,
                &format!("[{}]", section.name),
                "a listener talks supervisord's own protocol",
                "read the events from `journalctl -u dd-procmgrd -o json`, or from the API",
            ),
            Some(("fcgi-program", _)) => into.lost(
                &section.at,
                &format!("[{}]", section.name),
                "no socket is handed to processes",
                "let the program open its own (`php-fpm`, `spawn-fcgi -n`), and define that",
            ),
            Some(("group" | "rpcinterface" | "ctlplugin", _)) => {}
            _ => other(section, into),
        }
    }
    for section in &sections {
        if let Some(("group", name)) = section.name.split_once(':') {
            let known = |program: &str| sections.iter().any(|s| s.name == format!("program:{program}"));
            group(section, name.trim(), first, &known, into, &mut priorities);
        }
    }
    order(&priorities, first, into);
    if into.drafts.len() == first && !sections.iter().any(|section| section.name.contains(':')) {
        let hint = "name the file that has the [program:...] sections, or one that includes it";
        return Err(Unusable::new(&file(path), "no program is defined here", hint));
    }
    Ok(())
}

fn other(section: &Section, into: &mut Import) {
    match section.name.as_str() {
        "supervisord" | "supervisorctl" | "unix_http_server" | "include" => {}
        "inet_http_server" => into.lost(
            &section.at,
            "[inet_http_server]",
            "this is supervisord's own way in",
            "pm-cli speaks to the daemon over its socket; over TCP see PM_BIND_ADDRESS, and :9090 has a status page",
        ),
        name => into.lost(&section.at, &format!("[{name}]"), "this section is not known", ""),
    }
}

/// The files of `[include]`, as their directory has them.
fn include(
    files: &dyn Files,
    here: &Path,
    sections: &mut Vec<Section>,
    into: &mut Import,
) -> Result<(), Unusable> {
    let asked: Vec<Entry> = sections
        .iter()
        .filter(|section| section.name == "include")
        .flat_map(|section| section.entries.iter().filter(|entry| entry.key == "files").cloned())
        .collect();
    let mut count = 0;
    for entry in asked {
        let patterns = expand::expand(&entry.value, &expand::Variables::outside(files, here));
        let Ok(patterns) = patterns else {
            into.lost(
                &entry.at,
                "files",
                format!("{} can't be expanded", entry.value),
                "name the files here, too",
            );
            continue;
        };
        for pattern in patterns.text.split_whitespace() {
            let found = matching(files, &joined(here, pattern));
            if found.is_empty() {
                into.changed(&entry.at, &format!("files = {pattern}"), "no file fits", "");
            }
            for path in found {
                count += 1;
                if count > MOST_FILES {
                    return Err(Unusable::new(
                        &entry.at,
                        format!("more than {MOST_FILES} files"),
                        "import fewer at once",
                    ));
                }
                match text(files, &path).and_then(|text| ini::parse(&path, &text)) {
                    Ok(more) => sections.extend(more.into_iter().filter(|section| section.name != "include")),
                    Err(error) => into.lost(&entry.at, pattern, error.message, error.hint),
                }
            }
        }
    }
    Ok(())
}

/// The files of which each part of the path fits the pattern's.
fn matching(files: &dyn Files, pattern: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![std::path::PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy().into_owned();
        if !name.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let fits = |path: &std::path::PathBuf| {
            let own = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            expand::fits(&name, &own) && (!own.starts_with('.') || name.starts_with('.'))
        };
        found = found.iter().flat_map(|dir| files.list(dir).unwrap_or_default()).filter(fits).collect();
    }
    found.retain(|path| files.exists(path) && !files.is_dir(path));
    found
}

/// `[supervisord]`: what it says of all programs.
fn read_common(files: &dyn Files, here: &Path, section: &Section, common: &mut Common, into: &mut Import) {
    for entry in &section.entries {
        let value = match expand::expand(&entry.value, &expand::Variables::outside(files, here)) {
            Ok(expanded) => expanded.text,
            Err(why) => {
                into.lost(&entry.at, &entry.written(), why, "write the value out");
                continue;
            }
        };
        match entry.key.as_str() {
            "environment" => match ini::pairs(&value) {
                Some(pairs) => common.environment.extend(pairs),
                None => into.lost(
                    &entry.at,
                    &entry.written(),
                    "these are no pairs of NAME=\"value\"",
                    "put the values in quotes",
                ),
            },
            "directory" => common.directory = Some(value),
            "umask" => common.umask = Some(value),
            "user" => common.user = Some(value).filter(|user| user != "root" && user != "0"),
            "minfds" | "minprocs" => into.lost(
                &entry.at,
                &entry.written(),
                "limits are those of each process",
                "`rlimits: {nofile: NUMBER, nproc: NUMBER}` in `defaults:`",
            ),
            "childlogdir" => into.lost(
                &entry.at,
                &entry.written(),
                "there is one directory for logs, /var/log/dd-procmgrd",
                "give a process a file of its own with `stdout: /path`",
            ),
            // The rest is about supervisord's own log, pid file and memory.
            _ => {}
        }
    }
}

/// `[group:x]`: a name for several programs.
fn group(
    section: &Section,
    name: &str,
    first: usize,
    known: &dyn Fn(&str) -> bool,
    into: &mut Import,
    priorities: &mut Vec<(u32, String, At)>,
) {
    for entry in &section.entries {
        match entry.key.as_str() {
            "programs" => {
                for program in entry.value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                    let mut found = false;
                    for draft in into.drafts.iter_mut().skip(first) {
                        let groups = draft.definition.groups.clone().unwrap_or_default();
                        // Programs of several processes are groups already.
                        if draft.name != program && !groups.iter().any(|group| group == program) {
                            continue;
                        }
                        found = true;
                        if !groups.iter().any(|group| group == name) {
                            draft.definition.groups.get_or_insert_default().push(name.to_owned());
                        }
                    }
                    // What can't be used was reported already.
                    if !found && !known(program) {
                        let what = format!("programs = {program}");
                        into.lost(&entry.at, &what, "there is no such program", "remove the name");
                    }
                }
            }
            "priority" => {
                let members: Vec<(String, At)> = into
                    .drafts
                    .iter()
                    .skip(first)
                    .filter(|draft| draft.definition.groups.iter().flatten().any(|group| group == name))
                    .map(|draft| (draft.name.clone(), entry.at.clone()))
                    .collect();
                match entry.value.parse() {
                    Ok(priority) => {
                        // The group's priority counts before those of its members.
                        let names: HashSet<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
                        priorities.retain(|(_, own, _)| !names.contains(own.as_str()));
                        priorities.extend(members.into_iter().map(|(name, at)| (priority, name, at)));
                    }
                    Err(_) => into.lost(&entry.at, &entry.written(), "it is no number", ""),
                }
            }
            _ => into.lost(&entry.at, &entry.written(), "a group has no such key", ""),
        }
    }
}

/// Lower priorities come first: each program starts after those of the next lower priority.
fn order(priorities: &[(u32, String, At)], first: usize, into: &mut Import) {
    /// What a program has that says nothing.
    const DEFAULT: u32 = 999;
    let written: HashMap<&str, u32> =
        priorities.iter().map(|(priority, name, _)| (name.as_str(), *priority)).collect();
    let priority = |name: &str| written.get(name).copied().unwrap_or(DEFAULT);
    let mut levels: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for draft in &into.drafts[first..] {
        levels.entry(priority(&draft.name)).or_default().push(draft.name.clone());
    }
    let steps: Vec<(&u32, &Vec<String>)> = levels.iter().collect();
    let mut links: Vec<(String, Link)> = Vec::new();
    for pair in steps.windows(2) {
        let [(_, earlier), (level, later)] = pair else { continue };
        let at = priorities.iter().find(|(p, _, _)| p == *level).or_else(|| priorities.first());
        let Some((_, _, at)) = at else { continue };
        if earlier.len().saturating_mul(later.len()) > MOST_TIES {
            let why = format!("{} programs would each have to wait for {}", later.len(), earlier.len());
            into.lost(at, &format!("priority {level}"), why, "write `after: [name]` where the order matters");
            continue;
        }
        for name in later.iter() {
            for target in earlier.iter() {
                let what = "priority".to_owned();
                let link =
                    Link { tie: Tie::After, target: target.clone(), until: None, at: at.clone(), what };
                links.push((name.clone(), link));
            }
        }
    }
    let places: HashMap<String, usize> = into
        .drafts
        .iter()
        .enumerate()
        .skip(first)
        .map(|(place, draft)| (draft.name.clone(), place))
        .collect();
    for (name, link) in links {
        if let Some(place) = places.get(&name) {
            into.drafts[*place].links.push(link);
        }
    }
}
