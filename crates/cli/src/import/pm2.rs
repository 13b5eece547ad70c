//! Ecosystem files of PM2, as JSON.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::ForeignValue;
use model::{Definition, ExitMatcher, KillMode, LogFormat, OnStartLimit, Output, RestartPolicy, Signal};

use super::command::{set_words, words};
use super::draft::{At, Draft, Import, Unusable};
use super::files::{Files, directory, file, joined};
use super::tree::{Item, parse};

/// Instances of one app; more is a mistake.
const MOST: u32 = 1000;
const MILLIS: Duration = Duration::from_millis(1);

pub(super) fn read(files: &dyn Files, path: &Path, into: &mut Import) -> Result<(), Unusable> {
    let root = parse(files, path)?;
    let here = directory(path);
    let apps = match &root {
        ForeignValue::List(items) => items.clone(),
        ForeignValue::Map(entries) => {
            let mut apps = Vec::new();
            for item in entries.iter().map(|entry| Item::new(path, "", entry)) {
                match item.key {
                    "apps" => apps = one_or_list(&item),
                    "deploy" => {
                        item.lost(into, "nothing is deployed", "use what you deploy everything else with");
                    }
                    "module_conf" | "pm2" => {
                        item.lost(into, "PM2's own modules and settings have no meaning here", "");
                    }
                    _ => {}
                }
            }
            // A file may be one app.
            if apps.is_empty() && entries.iter().any(|entry| entry.key == "script") {
                apps.push((1, root.clone()));
            }
            apps
        }
        _ => Vec::new(),
    };
    if apps.is_empty() {
        return Err(Unusable::new(
            &file(path),
            "there are no apps in it",
            "an ecosystem file has {\"apps\": [...]}",
        ));
    }
    for (line, app) in &apps {
        let first = app.entries().first().map_or(*line, |entry| entry.line);
        App { path, here: &here, app, at: At { line: first, ..file(path) } }.read(into);
    }
    Ok(())
}

fn one_or_list(item: &Item<'_>) -> Vec<(usize, ForeignValue)> {
    match item.value {
        ForeignValue::List(items) => items.clone(),
        ForeignValue::Null => Vec::new(),
        one => vec![(item.at.line, one.clone())],
    }
}

struct App<'a> {
    path: &'a Path,
    here: &'a Path,
    app: &'a ForeignValue,
    at: At,
}

impl App<'_> {
    fn get(&self, key: &str) -> Option<&ForeignValue> {
        self.app.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    fn text(&self, keys: &[&str]) -> Option<String> {
        keys.iter().find_map(|key| self.get(key)?.text())
    }

    fn read(&self, into: &mut Import) {
        let Some(script) = self.text(&["script"]) else {
            into.lost(&self.at, "an app", "it has no `script`", "");
            return;
        };
        let stem = Path::new(&script).file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.text(&["name"]).or(stem).unwrap_or_default();
        let cwd = self.text(&["cwd"]).map_or_else(|| self.here.to_path_buf(), |cwd| joined(self.here, &cwd));
        let mut definition = Definition {
            working_dir: Some(cwd.clone()),
            // What PM2 does where nothing is said.
            restart: Some(RestartPolicy::Always),
            kill_signal: Some(Signal::INT),
            ..Definition::default()
        };
        self.command(&script, &cwd, &mut definition, into);
        for entry in self.app.entries() {
            self.key(&Item::new(self.path, &name, entry), &cwd, &mut definition, into);
        }
        if let Some(burst) = definition.start_limit_burst {
            // It counts runs that were shorter than min_uptime, one after the other.
            let run = definition.runtime_success_sec.unwrap_or(Duration::from_secs(1));
            let each = run + definition.restart_sec.unwrap_or(Duration::from_secs(1));
            let window = each
                .saturating_mul(burst.saturating_add(1))
                .clamp(Duration::from_secs(10), Duration::from_secs(86_400));
            definition.start_limit_interval_sec = Some(Duration::from_secs(window.as_secs()));
        }
        let count = self.instances(&name, into);
        let variable = self.text(&["instance_var"]).unwrap_or_else(|| "NODE_APP_INSTANCE".to_owned());
        for index in 0..count {
            let mut definition = definition.clone();
            let mut own = name.clone();
            if count > 1 {
                own = format!("{name}-{index}");
                definition.groups.get_or_insert_default().push(name.clone());
                definition.env.get_or_insert_default().insert(variable.clone(), index.to_string());
                // Two must not write the same file.
                for output in [&mut definition.stdout, &mut definition.stderr].into_iter().flatten() {
                    if let Output::File(path) = output {
                        *path = numbered(path, index);
                    }
                }
            }
            into.drafts.push(Draft { name: own, at: self.at.clone(), definition, links: Vec::new() });
        }
    }

    /// Interpreter, its options, the script, and its arguments.
    fn command(&self, script: &str, cwd: &Path, definition: &mut Definition, into: &mut Import) {
        let extension = Path::new(script).extension().map(|e| e.to_string_lossy().into_owned());
        let by_extension = match extension.as_deref() {
            Some("js" | "mjs" | "cjs") => Some("node"),
            Some("ts" | "tsx") => Some("bun"),
            Some("py") => Some("python3"),
            Some("sh") => Some("bash"),
            Some("rb") => Some("ruby"),
            Some("pl") => Some("perl"),
            Some("php") => Some("php"),
            Some("coffee") => Some("coffee"),
            _ => None,
        };
        let said = self.text(&["interpreter", "exec_interpreter"]);
        let interpreter = match said.as_deref() {
            Some("none") => None,
            Some(interpreter) => Some(interpreter.to_owned()),
            None => by_extension.map(str::to_owned),
        };
        let is_path = script.contains('/') || by_extension.is_some();
        let script = if is_path { joined(cwd, script).display().to_string() } else { script.to_owned() };
        let mut line: Vec<String> = interpreter.into_iter().collect();
        if !line.is_empty() {
            line.extend(self.words(&["interpreter_args", "interpreterArgs", "node_args", "nodeArgs"], into));
        }
        line.push(script);
        line.extend(self.words(&["args"], into));
        set_words(definition, &line);
    }

    fn words(&self, keys: &[&str], into: &mut Import) -> Vec<String> {
        let entry = self.app.entries().iter().find(|entry| keys.contains(&entry.key.as_str()));
        let Some(item) = entry.map(|entry| Item::new(self.path, "", entry)) else { return Vec::new() };
        match item.value {
            ForeignValue::List(_) => item.texts(into),
            _ => item.text(into).and_then(|text| words(&text)).unwrap_or_default(),
        }
    }

    fn instances(&self, name: &str, into: &mut Import) -> u32 {
        let Some(entry) = self.app.entries().iter().find(|entry| entry.key == "instances") else { return 1 };
        let item = Item::new(self.path, name, entry);
        match item.value.text().as_deref().map(str::trim) {
            Some("max" | "0" | "-1") => {
                item.lost(
                    into,
                    "how many processors there are is not asked",
                    "write the number, one process is made",
                );
                1
            }
            Some(text) => match text.parse::<u32>() {
                Ok(count @ 1..=MOST) => count,
                _ => {
                    item.lost(into, format!("it is no number from 1 to {MOST}"), "");
                    1
                }
            },
            None => 1,
        }
    }

    fn key(&self, item: &Item<'_>, cwd: &Path, definition: &mut Definition, into: &mut Import) {
        match item.key {
            "name" | "script" | "args" | "cwd" | "interpreter" | "exec_interpreter" | "interpreter_args"
            | "interpreterArgs" | "node_args" | "nodeArgs" | "instances" | "instance_var" | "merge_logs"
            | "combine_logs" | "vizion" | "pmx" | "automation" | "time" | "append_env_to_name"
            | "increment_var" | "force" | "windowsHide" | "autostart" => Self::small(item, definition),
            "env" => {
                let env = definition.env.get_or_insert_default();
                for variable in item.below() {
                    if let Some(value) = variable.text(into) {
                        env.insert(variable.key.to_owned(), value);
                    }
                }
            }
            "env_file" => {
                if let Some(path) = item.text(into) {
                    let path = joined(cwd, &path);
                    definition.environment_file = Some(vec![model::EnvironmentFile { path, optional: true }]);
                }
            }
            "uid" | "user" => definition.user = item.text(into),
            "gid" => definition.group = item.text(into),
            "namespace" => definition.groups.get_or_insert_default().extend(item.text(into)),
            "autorestart" => {
                if item.flag(into) == Some(false) {
                    definition.restart = Some(RestartPolicy::Never);
                }
            }
            "max_restarts" => {
                definition.start_limit_burst = item.number(into).map(|n| n.min(10_000));
                definition.on_start_limit = Some(OnStartLimit::Fail);
            }
            "min_uptime" => definition.runtime_success_sec = uptime(item, into),
            "restart_delay" => {
                // 0 is at once.
                definition.restart_sec = item.time(MILLIS, into);
                definition.restart_max_delay_sec = definition.restart_sec;
            }
            "exp_backoff_restart_delay" => {
                definition.restart_sec = item.time(MILLIS, into);
                definition.restart_max_delay_sec =
                    Some(definition.restart_sec.unwrap_or_default().max(Duration::from_secs(15)));
            }
            "stop_exit_codes" => {
                let codes = item
                    .texts(into)
                    .iter()
                    .filter_map(|code| code.parse().ok())
                    .map(ExitMatcher::Code)
                    .collect();
                definition.restart_prevent_exit_status = Some(codes);
            }
            "kill_timeout" => definition.stop_timeout = item.time(MILLIS, into),
            "treekill" => {
                if item.flag(into) == Some(false) {
                    definition.kill_mode = Some(KillMode::Process);
                }
            }
            "out_file" | "output" | "out" => definition.stdout = self.output(item, cwd, into),
            "error_file" | "error" | "err_file" => definition.stderr = self.output(item, cwd, into),
            "log" | "log_file" => {
                if item.flag_or_text().is_some() {
                    definition.stdout = self.output(item, cwd, into);
                    definition.stderr.clone_from(&definition.stdout);
                }
            }
            "log_type" if item.value.text().as_deref() == Some("json") => {
                definition.log.format = Some(LogFormat::Json);
                item.changed(
                    into,
                    "the keys of the objects have other names",
                    "see `log.format` in docs/CONFIG.md",
                );
            }
            "log_date_format" => {
                definition.log.format.get_or_insert(LogFormat::Prefixed);
                item.changed(into, "the time before each line is RFC 3339 (`log.format: prefixed`)", "");
            }
            key => {
                if let Some((why, instead)) = absent(key, item) {
                    item.lost(into, why, instead);
                }
            }
        }
    }

    /// Keys that say something in one case only.
    fn small(item: &Item<'_>, definition: &mut Definition) {
        match (item.key, item.value) {
            ("autostart", ForeignValue::Bool(false)) => definition.auto_start = Some(false),
            ("time", ForeignValue::Bool(true)) => {
                definition.log.format.get_or_insert(LogFormat::Prefixed);
            }
            _ => {}
        }
    }

    fn output(&self, item: &Item<'_>, cwd: &Path, into: &mut Import) -> Option<Output> {
        let text = item.text(into)?;
        match text.as_str() {
            "/dev/null" | "NULL" => Some(Output::Null),
            _ if text.starts_with('~') => {
                item.lost(into, "`~` is not expanded", "write the whole path");
                None
            }
            _ => Some(Output::File(joined(cwd, &text))),
        }
    }
}

impl Item<'_> {
    /// `log: true` chooses PM2's own place, which is nothing that could be carried over.
    fn flag_or_text(&self) -> Option<()> {
        matches!(self.value, ForeignValue::Text(_)).then_some(())
    }
}

/// `web.log`, `web-2.log`
fn numbered(path: &Path, index: u32) -> PathBuf {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{index}{extension}"))
}

/// Milliseconds, or a text such as `10s`, `1h`.
fn uptime(item: &Item<'_>, into: &mut Import) -> Option<Duration> {
    let text = item.text(into)?;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => 0,
    };
    let time = text[..digits].parse::<u64>().ok().filter(|_| unit > 0).map(|n| n.saturating_mul(unit));
    if time.is_none() {
        item.lost(into, "it is no time", "write milliseconds, or 10s");
    }
    time.map(Duration::from_millis)
}

/// What nothing stands for; `None` where it says nothing.
fn absent(key: &str, item: &Item<'_>) -> Option<(&'static str, &'static str)> {
    if item.is_off() {
        return None;
    }
    Some(match key {
        "exec_mode" if item.value.text().is_some_and(|mode| mode.starts_with("fork")) => return None,
        "exec_mode" => (
            "no port is shared between instances",
            "give each a port of its own behind a proxy, or let the program use node's cluster or SO_REUSEPORT",
        ),
        "watch" | "ignore_watch" | "watch_options" | "watch_delay" => (
            "files are not watched",
            "in development start the command with `node --watch`, or another watcher",
        ),
        "max_memory_restart" => (
            "nothing is restarted for its memory",
            "`resource_limits: {memory_max: SIZE}`: the kernel kills it, and `restart` brings it back; or node's --max-old-space-size",
        ),
        "wait_ready" => (
            "process.send('ready') is PM2's own",
            "let it send READY=1 (the package sd-notify), with `type: notify`; or add a `health_check`",
        ),
        "listen_timeout" => ("it belongs to wait_ready", "`start_timeout` with `type: notify`"),
        "shutdown_with_message" => ("no messages are sent to processes", "end on SIGINT"),
        "cron" | "cron_restart" => ("nothing is restarted at a time of day", "cron: pm-cli restart NAME"),
        "pid" | "pid_file" => ("no pid file is written", "pm-cli describe NAME -o json has the pid"),
        "source_map_support" | "disable_source_map_support" => {
            ("nothing is put into the program", "node --enable-source-maps")
        }
        "filter_env" => ("the environment is clean, there is nothing to filter", ""),
        "max_log_size" | "max_size" => {
            ("it belongs to the module pm2-logrotate", "`log.max_size`, 50MiB unless written")
        }
        "post_update" => ("nothing is updated", ""),
        _ if key.starts_with("env_") => (
            "there are no environments to choose from",
            "put what differs into a file for `environment_file`, or into overrides.d/NAME.yaml",
        ),
        _ => ("dd-procmgrd has nothing that does this", ""),
    })
}
