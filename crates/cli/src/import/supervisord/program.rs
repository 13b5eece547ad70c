//! `[program:x]`: one process, or several from a template.

use std::path::Path;
use std::time::Duration;

use model::{Definition, ExitMatcher, InheritEnv, KillMode, OnStartLimit, Output, RestartPolicy};

use super::expand::{Expanded, Variables, expand, for_shell};
use super::ini::{Entry, Section, pairs};
use super::{Common, shared_logs};
use crate::import::command::{set_words, words};
use crate::import::draft::{At, Draft, Import};
use crate::import::files::{Files, joined};

/// Processes of one program; more than this is a mistake.
const MOST: u32 = 1000;

/// What a program stands in.
pub(super) struct Surroundings<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) here: &'a Path,
    pub(super) common: &'a Common,
}

/// Makes its processes; returns their priorities where it has one.
pub(super) fn read(
    around: &Surroundings<'_>,
    section: &Section,
    name: &str,
    into: &mut Import,
) -> Vec<(u32, String, At)> {
    let number =
        |key: &str, default: u32| section.get(key).and_then(|e| e.value.parse().ok()).unwrap_or(default);
    let (count, start) = (number("numprocs", 1), number("numprocs_start", 0));
    if count > MOST {
        into.lost(
            &section.at,
            &format!("numprocs = {count}"),
            format!("more than {MOST} processes of one program"),
            "",
        );
        return Vec::new();
    }
    let template = section.get("process_name").map_or("%(program_name)s", |entry| entry.value.as_str());
    if count > 1 && !template.contains("process_num") {
        let why = "with numprocs > 1 the process_name has to hold %(process_num)d";
        into.lost(&section.at, &format!("[{}]", section.name), why, "add it, as supervisord demands");
        return Vec::new();
    }
    let mut priorities = Vec::new();
    let first = into.drafts.len();
    for index in 0..count {
        let own = vec![
            ("program_name", name.to_owned()),
            ("group_name", name.to_owned()),
            ("numprocs", count.to_string()),
            ("process_num", start.saturating_add(index).to_string()),
        ];
        let variables = Variables::outside(around.files, around.here).with(own);
        let process = match expand(template, &variables) {
            Ok(expanded) => expanded.text,
            Err(why) => {
                into.lost(&section.at, template, why, "write the name out");
                return priorities;
            }
        };
        let mut draft = Draft { name: process.clone(), at: section.at.clone(), ..Draft::default() };
        if count > 1 || process != name {
            draft.definition.groups = Some(vec![name.to_owned()]);
        }
        let mut reader = Reader { around, section, variables, draft: &mut draft, into };
        reader.all();
        if draft.definition.command.is_none() {
            into.lost(&section.at, &format!("[{}]", section.name), "it has no command that can be used", "");
            return priorities;
        }
        if let Some(entry) = section.get("priority") {
            match entry.value.parse() {
                Ok(priority) => priorities.push((priority, process, entry.at.clone())),
                Err(_) => into.lost(&entry.at, &entry.written(), "it is no number", ""),
            }
        }
        into.drafts.push(draft);
    }
    let mut own = into.drafts.split_off(first);
    shared_logs::part(&mut own, name, section, into);
    into.drafts.append(&mut own);
    priorities
}

struct Reader<'a> {
    around: &'a Surroundings<'a>,
    section: &'a Section,
    variables: Variables<'a>,
    draft: &'a mut Draft,
    into: &'a mut Import,
}

impl Reader<'_> {
    fn all(&mut self) {
        self.common();
        for entry in &self.section.entries {
            let last = self.section.get(&entry.key).is_some_and(|last| last.at == entry.at);
            if !last
                || matches!(entry.key.as_str(), "process_name" | "numprocs" | "numprocs_start" | "priority")
            {
                continue;
            }
            let Expanded { text, from_env } = match expand(&entry.value, &self.variables) {
                Ok(expanded) => expanded,
                // Known by their names only: what has the daemon's variables at each start is told of that there.
                Err(_) if entry.key == "environment" && self.inherited(entry) => continue,
                Err(_) if entry.key == "command" && self.through_shell(entry) => continue,
                Err(why) => {
                    self.into.lost(
                        &entry.at,
                        &entry.written(),
                        why,
                        "write the value out, or export the variable and import again",
                    );
                    continue;
                }
            };
            if !from_env.is_empty() {
                let why = format!("{} is what it is in the environment of this import", from_env.join(", "));
                self.into.changed(&entry.at, &format!("{} = ...", entry.key), why, "check the value");
            }
            self.key(entry, &text);
        }
        self.together();
    }

    /// What `[supervisord]` says.
    fn common(&mut self) {
        let common = self.around.common;
        let definition = &mut self.draft.definition;
        if !common.environment.is_empty() {
            definition.env = Some(common.environment.iter().cloned().collect());
        }
        definition.user.clone_from(&common.user);
        if let Some(directory) = &common.directory {
            definition.working_dir = Some(joined(self.around.here, directory));
        }
        if let Some(umask) = &common.umask {
            definition.umask = u32::from_str_radix(umask, 8).ok();
        }
    }

    /// `environment = A="%(ENV_A)s"`, with a variable that is not known here: it is inherited under its own name.
    fn inherited(&mut self, entry: &Entry) -> bool {
        let Some(found) = pairs(&entry.value) else { return false };
        let own = |name: &str, value: &str| value == format!("%(ENV_{name})s");
        let mut names = Vec::new();
        let mut env = Vec::new();
        for (name, value) in found {
            match expand(&value, &self.variables) {
                Ok(expanded) => env.push((name, expanded.text)),
                Err(_) if own(&name, &value) => names.push(name),
                Err(_) => return false,
            }
        }
        self.into.changed(
            &entry.at,
            &format!("environment: {}", names.join(", ")),
            "taken over from the daemon's environment (`inherit_env`)",
            "give the daemon the variable: systemctl edit dd-procmgrd, Environment=",
        );
        self.inherit(names);
        self.draft.definition.env.get_or_insert_default().extend(env);
        true
    }

    fn inherit(&mut self, more: Vec<String>) {
        if let InheritEnv::Names(names) =
            self.draft.definition.inherit_env.get_or_insert(InheritEnv::Names(Vec::new()))
        {
            names.extend(more);
            names.sort();
            names.dedup();
        }
    }

    /// `command = x %(ENV_A)s`, with a variable that is not known here: a shell puts it in at each start.
    fn through_shell(&mut self, entry: &Entry) -> bool {
        let Ok(expanded) = expand(&entry.value, &self.variables.keeping_unknown()) else { return false };
        let Some(words) = words(&expanded.text).filter(|words| !words.is_empty()) else { return false };
        let mut names = Vec::new();
        let words: Option<Vec<String>> = words.iter().map(|word| for_shell(word, &mut names)).collect();
        let Some(words) = words else { return false };
        let script = format!("exec {}", words.join(" "));
        set_words(&mut self.draft.definition, &["/bin/sh".to_owned(), "-c".to_owned(), script]);
        self.into.changed(
            &entry.at,
            &entry.written(),
            format!(
                "{} is not known here: a shell takes it over from the daemon's environment (`inherit_env`) at each start",
                names.join(", ")
            ),
            "give the daemon the variable: systemctl edit dd-procmgrd, Environment=",
        );
        self.inherit(names);
        true
    }

    fn lost(&mut self, entry: &Entry, why: &str, instead: &str) {
        self.into.lost(&entry.at, &entry.written(), why, instead);
    }

    fn key(&mut self, entry: &Entry, text: &str) {
        let text = text.trim();
        match entry.key.as_str() {
            "command" => match words(text) {
                Some(words) if !words.is_empty() => set_words(&mut self.draft.definition, &words),
                _ => self.lost(entry, "it can't be split into words: a quote is not closed", "close it"),
            },
            "environment" => match pairs(text) {
                Some(found) => self.draft.definition.env.get_or_insert_default().extend(found),
                None => self.lost(entry, "these are no pairs of NAME=\"value\"", "put the values in quotes"),
            },
            "directory" => self.draft.definition.working_dir = Some(joined(self.around.here, text)),
            "user" => self.draft.definition.user = Some(text.to_owned()),
            "umask" => match u32::from_str_radix(text, 8) {
                Ok(umask) => self.draft.definition.umask = Some(umask),
                Err(_) => self.lost(entry, "it is not octal", "write it as 022"),
            },
            "autostart" => self.flag(entry, text, |definition, on| definition.auto_start = Some(on)),
            "autorestart" => self.autorestart(entry, text),
            "exitcodes" => self.exit_codes(entry, text),
            "startsecs" => {
                self.seconds(entry, text, |definition, time| definition.runtime_success_sec = Some(time));
            }
            "stopwaitsecs" => {
                self.seconds(entry, text, |definition, time| definition.stop_timeout = Some(time));
            }
            "startretries" => self.retries(entry, text),
            "stopsignal" => match text.parse() {
                Ok(signal) => self.draft.definition.kill_signal = Some(signal),
                Err(_) => self.lost(entry, "it is not one signal", "write one name: TERM"),
            },
            // Whatever outlives `stop_timeout` is killed anyway.
            "killasgroup" => {}
            // All of a process's descendants get the signal here, unless it says otherwise.
            "stopasgroup" => self.flag(entry, text, |definition, on| {
                definition.kill_mode = (!on).then_some(KillMode::Process);
            }),
            "redirect_stderr" => {}
            "stdout_logfile" | "stderr_logfile" => self.log_file(entry, text),
            "stdout_logfile_maxbytes" | "stdout_logfile_backups" => self.rotation(entry, text),
            "stderr_logfile_maxbytes" | "stderr_logfile_backups" => self.rotation_of_stderr(entry),
            "stdout_capture_maxbytes"
            | "stderr_capture_maxbytes"
            | "stdout_events_enabled"
            | "stderr_events_enabled" => {
                if !matches!(text, "0" | "0MB" | "0B" | "false" | "no" | "off") {
                    self.lost(
                        entry,
                        "it is for supervisord's event listeners",
                        "read the lines with `pm-cli logs -f`",
                    );
                }
            }
            "stdout_syslog" | "stderr_syslog" => self.into.changed(
                &entry.at,
                &entry.written(),
                "lines go to journald, which is the same where syslog reads that",
                "",
            ),
            "serverurl" => self.lost(entry, "there is no supervisord to ask", "let the program use pm-cli"),
            _ => self.lost(entry, "a program has no such key", ""),
        }
    }

    fn flag(&mut self, entry: &Entry, text: &str, set: impl FnOnce(&mut Definition, bool)) {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => set(&mut self.draft.definition, true),
            "false" | "0" | "no" | "off" => set(&mut self.draft.definition, false),
            _ => self.lost(entry, "it is neither true nor false", ""),
        }
    }

    fn seconds(&mut self, entry: &Entry, text: &str, set: impl FnOnce(&mut Definition, Duration)) {
        match text.parse() {
            Ok(seconds) => set(&mut self.draft.definition, Duration::from_secs(seconds)),
            Err(_) => self.lost(entry, "it is no number of seconds", ""),
        }
    }

    fn autorestart(&mut self, entry: &Entry, text: &str) {
        let policy = match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => RestartPolicy::Always,
            "false" | "0" | "no" | "off" => RestartPolicy::Never,
            "unexpected" => RestartPolicy::OnFailure,
            _ => return self.lost(entry, "it is neither true, false nor unexpected", ""),
        };
        self.draft.definition.restart = Some(policy);
    }

    fn exit_codes(&mut self, entry: &Entry, text: &str) {
        let codes: Result<Vec<u8>, _> = text.split(',').map(|code| code.trim().parse()).collect();
        let Ok(codes) = codes else { return self.lost(entry, "these are no exit codes", "") };
        if !codes.contains(&0) {
            self.lost(
                entry,
                "0 counts as success always",
                "let the program end with another code where that is a failure",
            );
        }
        let codes: Vec<ExitMatcher> =
            codes.into_iter().filter(|code| *code != 0).map(ExitMatcher::Code).collect();
        if !codes.is_empty() {
            self.draft.definition.success_exit_status = Some(codes);
        }
    }

    /// So many starts that fail before it is given up.
    fn retries(&mut self, entry: &Entry, text: &str) {
        let Ok(retries) = text.parse::<u32>() else { return self.lost(entry, "it is no number", "") };
        if retries > 10_000 {
            return self.lost(entry, "more than 10000", "0 is no limit: `start_limit_burst: 0`");
        }
        let definition = &mut self.draft.definition;
        definition.on_start_limit = Some(OnStartLimit::Fail);
        definition.start_limit_burst = Some(retries.max(1));
        // Long enough for all of them: the delay doubles up to a minute, and each may last startsecs.
        let delays: u64 = (0..u64::from(retries)).map(|n| if n < 6 { 1 << n } else { 60 }).sum();
        let lasting = self.section.get("startsecs").and_then(|e| e.value.parse::<u64>().ok()).unwrap_or(1);
        let window = delays + lasting.min(86_400).saturating_mul(u64::from(retries)) + 10;
        definition.start_limit_interval_sec = Some(Duration::from_secs(window));
        if retries == 0 {
            let why = "one automatic start is allowed: 0 is no limit here";
            self.into.changed(&entry.at, &entry.written(), why, "write `restart: never` for none at all");
        }
    }

    fn log_file(&mut self, entry: &Entry, text: &str) {
        let output = match text.to_ascii_uppercase().as_str() {
            "AUTO" => Output::Capture,
            "NONE" => Output::Null,
            "SYSLOG" => Output::Capture,
            _ if matches!(text, "/dev/stdout" | "/dev/stderr" | "/dev/fd/1" | "/dev/fd/2") => {
                let why = "lines are captured";
                let instead =
                    "a daemon in the foreground or in a container prints them as well, behind the name";
                self.into.changed(&entry.at, &entry.written(), why, instead);
                Output::Capture
            }
            _ if text == "/dev/null" => Output::Null,
            _ => Output::File(joined(self.around.here, text)),
        };
        match entry.key.as_str() {
            "stdout_logfile" => self.draft.definition.stdout = Some(output),
            _ => self.draft.definition.stderr = Some(output),
        }
    }

    fn rotation(&mut self, entry: &Entry, text: &str) {
        // `/dev/stdout` is not rotated, and the file that it becomes has to be.
        let own = self.section.get("stdout_logfile").map_or("AUTO", |file| file.value.as_str());
        if own.starts_with("/dev/") || own.eq_ignore_ascii_case("none") {
            return;
        }
        let log = &mut self.draft.definition.log;
        let good = match entry.key.as_str() {
            "stdout_logfile_maxbytes" => {
                log.max_size = bytes(text);
                log.max_size.is_some()
            }
            _ => {
                log.max_files = text.parse().ok().filter(|n| *n <= 10_000);
                log.max_files.is_some()
            }
        };
        if !good {
            self.lost(entry, "it is no number", "");
        }
    }

    /// Both files of a process are rotated in the same way.
    fn rotation_of_stderr(&mut self, entry: &Entry) {
        let twin = entry.key.replace("stderr", "stdout");
        let same = self.section.get(&twin).is_some_and(|other| other.value == entry.value);
        let unused =
            self.section.get("stderr_logfile").is_none_or(|file| file.value.eq_ignore_ascii_case("none"));
        if !same && !unused {
            self.lost(
                entry,
                "both files of a process are rotated as `log:` says",
                "see what `log:` has, it is stdout's",
            );
        }
    }

    /// What several keys mean together.
    fn together(&mut self) {
        let definition = &mut self.draft.definition;
        let redirect = self.section.get("redirect_stderr").map(|entry| entry.value.to_ascii_lowercase());
        if redirect.is_some_and(|on| matches!(on.as_str(), "true" | "1" | "yes" | "on")) {
            definition.stderr.clone_from(&definition.stdout);
        }
        for stream in [&mut definition.stdout, &mut definition.stderr] {
            stream.take_if(|output| *output == Output::Capture);
        }
    }
}

/// `50MB`, 1024 each.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (digits, shift) = [("kb", 10), ("mb", 20), ("gb", 30)]
        .iter()
        .find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, *shift)))
        .unwrap_or((lower.as_str(), 0));
    digits.trim().parse::<u64>().ok()?.checked_shl(shift).filter(|bytes| *bytes <= i64::MAX.unsigned_abs())
}
