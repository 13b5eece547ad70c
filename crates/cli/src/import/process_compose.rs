//! process-compose.yaml.

mod health;

use std::path::Path;
use std::time::Duration;

use config::ForeignValue;
use model::{
    Definition, EnvironmentFile, Hook, KillMode, OnStartLimit, Output, Readiness, RestartPolicy, Signal,
};

use super::command::{hook, of_shell_line, set_words};
use super::draft::{Draft, Import, Link, Tie, Unusable};
use super::files::{Files, directory, file, joined};
use super::tree::{Item, parse};

/// Replicas of one process; more is a mistake.
const MOST: u32 = 1000;
const SECOND: Duration = Duration::from_secs(1);

/// What the file says for all processes.
struct Common {
    shell: Vec<String>,
    environment: Vec<(String, String)>,
    environment_files: Vec<EnvironmentFile>,
}

pub(super) fn read(files: &dyn Files, path: &Path, into: &mut Import) -> Result<(), Unusable> {
    let root = parse(files, path)?;
    let here = directory(path);
    let mut common = Common {
        shell: vec!["bash".to_owned(), "-c".to_owned()],
        environment: Vec::new(),
        environment_files: Vec::new(),
    };
    let dotenv = here.join(".env");
    if files.exists(&dotenv) {
        common.environment_files.push(EnvironmentFile { path: dotenv, optional: true });
    }
    let items: Vec<Item<'_>> = root.entries().iter().map(|entry| Item::new(path, "", entry)).collect();
    for item in &items {
        top(item, &here, &mut common, into);
    }
    let Some(processes) = items.iter().find(|item| item.key == "processes").filter(|item| !item.is_off())
    else {
        return Err(Unusable::new(
            &file(path),
            "there are no `processes:` in it",
            "is it a process-compose file?",
        ));
    };
    for process in processes.below() {
        Process { here: &here, common: &common, item: &process, all: processes.value }.read(into);
    }
    Ok(())
}

fn top(item: &Item<'_>, here: &Path, common: &mut Common, into: &mut Import) {
    match item.key {
        "processes" | "version" | "log_level" | "log_length" | "is_strict" | "name" | "theme" => {}
        "disable_env_expansion" | "is_dotenv_disabled" | "is_tui_disabled" | "ordered_shutdown" => {}
        "environment" => common.environment = environment(item, into),
        "env_file" => {
            let files = item.texts(into).into_iter();
            common.environment_files =
                files.map(|path| EnvironmentFile { path: joined(here, &path), optional: false }).collect();
        }
        "shell" => {
            for key in item.below() {
                match key.key {
                    "shell_command" => common.shell[0] = key.text(into).unwrap_or_else(|| "bash".to_owned()),
                    "shell_argument" => common.shell[1] = key.text(into).unwrap_or_else(|| "-c".to_owned()),
                    _ => key.lost(into, "this is not known", ""),
                }
            }
        }
        // Pieces for anchors.
        key if key.starts_with("x-") => {}
        "log_location" => {
            item.lost(into, "each process has a file of its own", "/var/log/dd-procmgrd/NAME.log");
        }
        "log_configuration" => {
            item.lost(into, "files are rotated as `log:` says", "write it below `defaults:`");
        }
        "vars" => item.lost(into, "there are no templates", "write the values out where {{.NAME}} stands"),
        "extends" => item.lost(into, "another file is not read", "import it as well, in the same command"),
        _ => item.lost(into, "dd-procmgrd has nothing that does this", ""),
    }
}

/// `- NAME=value`, or a mapping.
fn environment(item: &Item<'_>, into: &mut Import) -> Vec<(String, String)> {
    if let ForeignValue::Map(_) = item.value {
        return item
            .below()
            .iter()
            .filter_map(|v| Some((v.key.to_owned(), unescaped(&v.text(into)?))))
            .collect();
    }
    let mut pairs = Vec::new();
    for text in item.texts(into) {
        match text.split_once('=') {
            Some((name, value)) => {
                if has_variable(value) {
                    let why = format!("{name}: variables are not put in");
                    item.lost(into, why, "write the value out, or set it in a file for `environment_file`");
                    continue;
                }
                pairs.push((name.to_owned(), unescaped(value)));
            }
            None => item.lost(into, format!("{text:?} is no NAME=value"), ""),
        }
    }
    pairs
}

/// `${NAME}` or `$NAME`, which process-compose takes from its own environment.
fn has_variable(text: &str) -> bool {
    let text = text.replace("$$", "");
    text.split('$')
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c == '{' || c.is_ascii_alphabetic() || c == '_'))
}

/// `$$` is a dollar.
fn unescaped(text: &str) -> String {
    text.replace("$$", "$")
}

struct Process<'a> {
    here: &'a Path,
    common: &'a Common,
    item: &'a Item<'a>,
    /// `processes:`
    all: &'a ForeignValue,
}

impl Process<'_> {
    fn read(&self, into: &mut Import) {
        let name = self.item.key.to_owned();
        let mut definition = Definition {
            working_dir: Some(self.here.to_path_buf()),
            // What holds where nothing is said.
            restart: Some(RestartPolicy::Never),
            ..Definition::default()
        };
        if !self.common.environment.is_empty() {
            definition.env = Some(self.common.environment.iter().cloned().collect());
        }
        if !self.common.environment_files.is_empty() {
            definition.environment_file = Some(self.common.environment_files.clone());
        }
        let mut links = Vec::new();
        let mut replicas = 1;
        for item in self.item.below() {
            match item.key {
                "replicas" => replicas = item.number(into).filter(|n| *n <= MOST).unwrap_or(1),
                "depends_on" => self.depends_on(&item, &mut links, into),
                _ => self.key(&item, &mut definition, into),
            }
        }
        health::read(self.item, &self.common.shell, &mut definition, into);
        if definition.command.is_none() {
            self.item.lost(into, "it has no command", "");
            return;
        }
        for index in 0..replicas {
            let mut definition = definition.clone();
            let own = if replicas > 1 { format!("{name}-{index}") } else { name.clone() };
            let env = definition.env.get_or_insert_default();
            // process-compose numbers them, and programs use it to find a port of their own.
            env.insert("PC_REPLICA_NUM".to_owned(), index.to_string());
            if replicas == 1 {
                env.remove("PC_REPLICA_NUM");
                definition.env.take_if(|env| env.is_empty());
            } else {
                definition.groups.get_or_insert_default().push(name.clone());
            }
            into.drafts.push(Draft { name: own, at: self.item.at.clone(), definition, links: links.clone() });
        }
    }

    fn key(&self, item: &Item<'_>, definition: &mut Definition, into: &mut Import) {
        match item.key {
            "command" => {
                if let Some(line) = item.text(into) {
                    let shell: Vec<&str> = self.common.shell.iter().map(String::as_str).collect();
                    set_words(definition, &of_shell_line(&unescaped(&line), &shell));
                    self.templates(&line, item, into);
                }
            }
            "entrypoint" => set_words(definition, &item.texts(into)),
            "description" => definition.description = item.text(into).map(|text| text.replace('\n', " ")),
            "working_dir" => {
                if let Some(text) = item.text(into) {
                    if has_variable(&text) {
                        return item.lost(into, "variables are not put in", "write the path out");
                    }
                    definition.working_dir = Some(joined(self.here, &text));
                }
            }
            "environment" => definition.env.get_or_insert_default().extend(environment(item, into)),
            "env_file" => {
                let files = item.texts(into).into_iter();
                let files =
                    files.map(|path| EnvironmentFile { path: joined(self.here, &path), optional: false });
                definition.environment_file.get_or_insert_default().extend(files);
            }
            "is_dotenv_disabled" => {
                if item.value == &ForeignValue::Bool(true) {
                    definition.environment_file = None;
                }
            }
            "disabled" => {
                if item.flag(into) == Some(true) {
                    definition.auto_start = Some(false);
                }
            }
            "namespace" => definition.groups.get_or_insert_default().extend(item.text(into)),
            "is_tty" => definition.pty = item.flag(into).filter(|on| *on),
            "is_daemon" => {
                if item.flag(into) == Some(true) {
                    definition.kind = Some(model::ProcessType::Forking);
                    item.changed(
                        into,
                        "`type: forking`: the daemon that is left is followed",
                        "better: start it in the foreground",
                    );
                }
            }
            "launch_timeout_seconds" => definition.start_timeout = item.time(SECOND, into),
            "log_location" => {
                if let Some(path) = item.text(into) {
                    definition.stdout = Some(Output::File(joined(self.here, &path)));
                    definition.stderr.clone_from(&definition.stdout);
                }
            }
            "availability" => self.availability(item, definition, into),
            "shutdown" => self.shutdown(item, definition, into),
            // The checks are read together.
            "readiness_probe" | "liveness_probe" => {}
            _ if item.is_off() => {}
            key => {
                let (why, instead) = absent(key);
                item.lost(into, why, instead);
            }
        }
    }

    /// `{{.PORT}}`
    fn templates(&self, text: &str, item: &Item<'_>, into: &mut Import) {
        if text.contains("{{") {
            item.lost(into, "there are no templates", "write the value out where {{...}} stands");
        }
    }

    fn depends_on(&self, item: &Item<'_>, links: &mut Vec<Link>, into: &mut Import) {
        for target in item.below() {
            let condition = target.below().into_iter().find(|key| key.key == "condition");
            let word = condition
                .as_ref()
                .and_then(|c| c.value.text())
                .unwrap_or_else(|| "process_started".to_owned());
            let until = match word.as_str() {
                "process_started" => Readiness::Started,
                "process_healthy" => Readiness::Healthy,
                "process_completed_successfully" => Readiness::Completed,
                "process_completed" => {
                    target.lost(
                        into,
                        "it waits for a success: how it ended counts",
                        "end it with 0 always, `sh -c '...; true'`",
                    );
                    Readiness::Completed
                }
                "process_log_ready" => {
                    target.lost(
                        into,
                        "lines are not looked at",
                        "add a `health_check` to it, and wait for `healthy`",
                    );
                    Readiness::Started
                }
                _ => {
                    target.lost(into, format!("the condition {word} is not known"), "");
                    Readiness::Started
                }
            };
            let replicas = self.replicas(target.key);
            for name in replicas {
                let what = format!("depends_on.{}", target.key);
                links.push(Link {
                    tie: Tie::Requires,
                    target: name,
                    until: Some(until),
                    at: target.at.clone(),
                    what,
                });
            }
        }
    }

    /// The names that a process has here.
    fn replicas(&self, name: &str) -> Vec<String> {
        let process = self.all.entries().iter().find(|entry| entry.key == name);
        let count = process.and_then(|p| p.value.entries().iter().find(|entry| entry.key == "replicas"));
        match count.and_then(|entry| entry.value.text()?.parse::<u32>().ok()) {
            Some(count @ 2..=MOST) => (0..count).map(|index| format!("{name}-{index}")).collect(),
            _ => vec![name.to_owned()],
        }
    }

    fn availability(&self, item: &Item<'_>, definition: &mut Definition, into: &mut Import) {
        for key in item.below() {
            match key.key {
                "restart" => match key.text(into).as_deref() {
                    Some("no" | "false") => definition.restart = Some(RestartPolicy::Never),
                    Some("always") => definition.restart = Some(RestartPolicy::Always),
                    Some("on_failure" | "on-failure") => definition.restart = Some(RestartPolicy::OnFailure),
                    Some("exit_on_failure") => {
                        definition.restart = Some(RestartPolicy::Never);
                        definition.critical = Some(true);
                        key.changed(into, "`critical`: the daemon also ends when it ends well", "");
                    }
                    Some(_) => key.lost(into, "this is not known", ""),
                    None => {}
                },
                "backoff_seconds" => {
                    definition.restart_sec = key.time(SECOND, into);
                    definition.restart_max_delay_sec = definition.restart_sec;
                }
                "max_restarts" => {
                    if let Some(most @ 1..=10_000) = key.number(into) {
                        definition.start_limit_burst = Some(most);
                        definition.start_limit_interval_sec = Some(Duration::from_secs(3650 * 24 * 3600));
                        definition.on_start_limit = Some(OnStartLimit::Fail);
                    }
                }
                "exit_on_end" if !key.is_off() => {
                    definition.critical = Some(true);
                    key.changed(into, "`critical`: the daemon ends with it, with its status", "");
                }
                _ if key.is_off() => {}
                _ => key.lost(into, "dd-procmgrd has nothing that does this", ""),
            }
        }
    }

    fn shutdown(&self, item: &Item<'_>, definition: &mut Definition, into: &mut Import) {
        for key in item.below() {
            match key.key {
                "command" => {
                    let shell: Vec<&str> = self.common.shell.iter().map(String::as_str).collect();
                    let line = key.text(into).map(|line| of_shell_line(&unescaped(&line), &shell));
                    definition.exec_stop =
                        line.and_then(|words| hook(&words, false)).map(|hook: Hook| vec![hook]);
                }
                "timeout_seconds" => definition.stop_timeout = key.time(SECOND, into),
                "signal" => {
                    let number = key.number(into).and_then(|n| i32::try_from(n).ok());
                    definition.kill_signal = number.and_then(Signal::from_number);
                }
                "parent_only" => {
                    if key.value == &ForeignValue::Bool(true) || key.value.text().as_deref() == Some("yes") {
                        definition.kill_mode = Some(KillMode::Process);
                    }
                }
                _ => key.lost(into, "this is not known", ""),
            }
        }
    }
}

/// What nothing stands for.
fn absent(key: &str) -> (&'static str, &'static str) {
    match key {
        "ready_log_line" => {
            ("lines are not looked at", "add a `health_check`, or let it notify (`type: notify`)")
        }
        "is_foreground" | "is_interactive" => ("nobody types into a process", "run it in a terminal"),
        "is_elevated" => ("sudo is not run for it", "`user: root`, where the daemon runs as root"),
        "schedule" => ("nothing is started at a time", "cron: pm-cli start NAME"),
        "vars" => ("there are no templates", "write the values out where {{.NAME}} stands"),
        "disable_ansi_colors" => ("lines are written as they are printed", "NO_COLOR: \"1\" below `env`"),
        "extends" => ("a definition can't be taken over from another one", "use an anchor and `<<: *base`"),
        "log_configuration" | "logger" => {
            ("files are rotated as `log:` says", "`log.max_size`, `log.max_files`")
        }
        _ => ("dd-procmgrd has nothing that does this", ""),
    }
}
