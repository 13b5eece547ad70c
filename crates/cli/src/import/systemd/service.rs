//! The keys of a service.

mod absent;
mod ending;
mod environment;
mod flag;
mod limits;
mod output;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use model::{Definition, EnvironmentFile, InheritEnv, ProcessType, RestartPolicy};

use super::exec;
use super::needs;
use super::specifier::Specifiers;
use super::time::span;
use super::unit::{Assignment, Unit};
use super::words::split;
use crate::import::draft::{At, Draft, Import, Link, Tie, Unusable};
use crate::import::files::{Files, directory};

/// What systemd waits after SIGTERM when a unit says nothing.
const STOP: Duration = Duration::from_secs(90);

pub(super) fn read(
    files: &dyn Files,
    fragment: &Path,
    stem: &str,
    unit: &Unit,
    into: &mut Import,
) -> Result<(), Unusable> {
    let at = At { file: fragment.display().to_string(), line: 0 };
    if !unit.assignments.iter().any(|assignment| assignment.section == "Service") {
        return Err(Unusable::new(&at, "there is no [Service] section", "is it a service?"));
    }
    let specifiers = Specifiers {
        files,
        stem,
        directory: directory(fragment).display().to_string(),
        fragment: fragment.display().to_string(),
    };
    let line = unit.assignments.iter().find(|a| a.section == "Service").map_or(0, |a| a.at.line);
    let mut draft = Draft { name: stem.to_owned(), at: At { line, ..at.clone() }, ..Draft::default() };
    let effective = unit.effective();
    let mut reader = Reader { specifiers, effective, draft: &mut draft, into };
    reader.all();
    if draft.definition.command.is_none() {
        into.lost(
            &at,
            stem,
            "it has no ExecStart= that can be used",
            "a process is a program that is executed",
        );
        return Ok(());
    }
    into.drafts.push(draft);
    Ok(())
}

struct Reader<'a> {
    specifiers: Specifiers<'a>,
    effective: Vec<&'a Assignment>,
    draft: &'a mut Draft,
    into: &'a mut Import,
}

/// Keys of which every assignment counts.
fn is_list(key: &str) -> bool {
    key.starts_with("Exec")
        || key.starts_with("Condition")
        || key.starts_with("Assert")
        || matches!(
            key,
            "After"
                | "Before"
                | "Requires"
                | "Requisite"
                | "Wants"
                | "Upholds"
                | "BindsTo"
                | "PartOf"
                | "Conflicts"
                | "Environment"
                | "EnvironmentFile"
                | "PassEnvironment"
                | "SupplementaryGroups"
                | "SuccessExitStatus"
                | "RestartPreventExitStatus"
                | "Documentation"
                | "WantedBy"
                | "RequiredBy"
        )
}

impl<'a> Reader<'a> {
    fn all(&mut self) {
        // systemd's own defaults, where they differ from ours.
        self.draft.definition.restart = Some(RestartPolicy::Never);
        self.draft.definition.stop_timeout = Some(STOP);
        let effective = std::mem::take(&mut self.effective);
        let last = |index: usize, a: &Assignment| {
            !effective[index + 1..].iter().any(|b| b.key == a.key && b.section == a.section)
        };
        // What the kind is decides what the rest means.
        let kind = effective.iter().rev().find(|a| a.section == "Service" && a.key == "Type").copied();
        if let Some(kind) = kind {
            self.kind(kind);
        }
        let mut start = Vec::new();
        for (index, from) in effective.iter().enumerate().filter(|(i, a)| is_list(&a.key) || last(*i, a)) {
            match (from.section.as_str(), from.key.as_str()) {
                ("Service", "ExecStart") => start.extend(exec::lines(from, &self.specifiers, self.into)),
                ("Service", key) if exec_key(key) => {
                    let lines = exec::lines(from, &self.specifiers, self.into);
                    exec::set(&mut self.draft.definition, key, &lines);
                }
                ("Service", _) => self.service(from),
                ("Unit", _) => self.unit(from),
                ("Install", _) => {}
                (section, _) if effective[..index].iter().any(|a| a.section == section) => {}
                (section, _) if section.starts_with("X-") => {}
                (section, _) => {
                    self.into.lost(&from.at, &format!("[{section}]"), "a service has no such section", "");
                }
            }
        }
        exec::start(&mut self.draft.definition, &start, self.into);
        environment::settle(self.specifiers.files, &effective, &mut self.draft.definition, self.into);
        self.install(&effective);
        self.together();
    }

    fn definition(&mut self) -> &mut Definition {
        &mut self.draft.definition
    }

    fn lost(&mut self, from: &Assignment, why: &str, instead: &str) {
        self.into.lost(&from.at, &from.written(), why, instead);
    }

    fn changed(&mut self, from: &Assignment, why: &str, instead: &str) {
        self.into.changed(&from.at, &from.written(), why, instead);
    }

    /// The value with its specifiers; a note where one is not known.
    fn text(&mut self, from: &Assignment) -> Option<String> {
        match self.specifiers.expand(&from.value) {
            Ok(text) => Some(text),
            Err(why) => {
                self.into.lost(&from.at, &from.written(), why, "write the value out");
                None
            }
        }
    }

    fn span(&mut self, from: &Assignment) -> Option<Duration> {
        let span = span(&from.value);
        if span.is_none() {
            self.lost(from, "it is no time", "");
        }
        span
    }

    fn flag(&mut self, from: &Assignment) -> Option<bool> {
        let on = flag::read(&from.value);
        if on.is_none() {
            self.lost(from, "it is neither yes nor no", "");
        }
        on
    }

    fn kind(&mut self, from: &Assignment) {
        let kind = match from.value.as_str() {
            "simple" | "exec" => ProcessType::Simple,
            "idle" => {
                self.changed(from, "it does not wait until everything else is started", "use `after`");
                ProcessType::Simple
            }
            "notify" => ProcessType::Notify,
            "notify-reload" => {
                self.changed(from, "a reload sends SIGHUP and does not wait for RELOADING=1", "");
                ProcessType::Notify
            }
            "oneshot" => ProcessType::Oneshot,
            "forking" => ProcessType::Forking,
            "dbus" => {
                self.lost(
                    from,
                    "nobody waits for a name on the bus",
                    "it counts as up once it is executed; with sd_notify: `type: notify`",
                );
                ProcessType::Simple
            }
            _ => return self.lost(from, "this type is not known", "see `type` in docs/CONFIG.md"),
        };
        if kind != ProcessType::Simple {
            self.definition().kind = Some(kind);
        }
    }

    fn unit(&mut self, from: &Assignment) {
        match from.key.as_str() {
            "Description" => {
                let text = self.text(from);
                self.definition().description = text;
            }
            "StartLimitIntervalSec" | "StartLimitInterval" | "StartLimitBurst" => self.start_limit(from),
            "StartLimitAction" | "FailureAction" | "SuccessAction" if from.value == "none" => {}
            "Documentation"
            | "DefaultDependencies"
            | "SourcePath"
            | "RefuseManualStart"
            | "RefuseManualStop" => {}
            _ if needs::tie(from, &self.specifiers, self.draft, self.into) => {}
            _ if needs::condition(from, &self.specifiers, &mut self.draft.definition, self.into) => {}
            _ => absent::say(from, self.into),
        }
    }

    fn service(&mut self, from: &Assignment) {
        match from.key.as_str() {
            "Type" | "GuessMainPID" => {}
            "RemainAfterExit" => {
                let on = self.flag(from);
                self.definition().remain_after_exit = on.filter(|on| *on);
            }
            "PIDFile" => {
                let path = self.text(from).map(|path| Path::new("/run").join(path));
                self.definition().pidfile = path;
            }
            "User" => {
                let text = self.text(from).filter(|user| user != "root" && user != "0");
                self.definition().user = text;
            }
            "Group" => {
                let text = self.text(from);
                self.definition().group = text;
            }
            "SupplementaryGroups" => {
                let groups = from.value.split_whitespace().map(str::to_owned);
                self.definition().supplementary_groups.get_or_insert_default().extend(groups);
            }
            "WorkingDirectory" => self.working_directory(from),
            "UMask" => match u32::from_str_radix(&from.value, 8) {
                Ok(umask) => self.definition().umask = Some(umask),
                Err(_) => self.lost(from, "it is not octal", ""),
            },
            "Environment" => self.environment(from),
            "EnvironmentFile" => self.environment_file(from),
            "PassEnvironment" => self.pass_environment(from),
            "Restart" | "RestartSec" | "RestartMaxDelaySec" => self.restart(from),
            "StartLimitIntervalSec" | "StartLimitInterval" | "StartLimitBurst" => self.start_limit(from),
            "SuccessExitStatus" | "RestartPreventExitStatus" => self.statuses(from),
            "KillMode" | "KillSignal" | "SendSIGHUP" | "SendSIGKILL" | "ReloadSignal" => self.kill(from),
            "TimeoutStartSec" | "TimeoutStopSec" | "TimeoutSec" | "WatchdogSec" => self.timeout(from),
            "StandardOutput"
            | "StandardError"
            | "SyslogLevelPrefix"
            | "LogRateLimitBurst"
            | "LogRateLimitIntervalSec"
            | "SyslogIdentifier" => {
                output::read(from, &self.specifiers, &mut self.draft.definition, self.into);
            }
            "StandardInput" if from.value == "null" => {}
            "NotifyAccess" if self.draft.definition.kind == Some(ProcessType::Notify) => {}
            _ if limits::read(from, &mut self.draft.definition, self.into) => {}
            _ => absent::say(from, self.into),
        }
    }

    fn working_directory(&mut self, from: &Assignment) {
        let Some(text) = self.text(from) else { return };
        match text.strip_prefix('-') {
            _ if text == "~" => self.lost(from, "the home of the user is not looked up", "write its path"),
            Some(path) => {
                self.changed(from, "it has to exist", "");
                self.definition().working_dir = Some(path.into());
            }
            None => self.definition().working_dir = Some(text.into()),
        }
    }

    fn environment(&mut self, from: &Assignment) {
        let words = self.text(from).and_then(|text| split(&text));
        let Some(words) = words else { return self.lost(from, "it can't be split into words", "") };
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => {
                    self.definition().env.get_or_insert_default().insert(name.to_owned(), value.to_owned());
                }
                None => self.lost(from, "a word of it is no NAME=value", "put a value with blanks in quotes"),
            }
        }
    }

    fn environment_file(&mut self, from: &Assignment) {
        let Some(text) = self.text(from) else { return };
        let (optional, path) = text.strip_prefix('-').map_or((false, text.as_str()), |path| (true, path));
        if path.contains(['*', '?', '[']) {
            return self.lost(from, "a pattern is not expanded", "name each file");
        }
        let file = EnvironmentFile { path: path.into(), optional };
        self.definition().environment_file.get_or_insert_default().push(file);
    }

    fn pass_environment(&mut self, from: &Assignment) {
        let names = from.value.split_whitespace().map(str::to_owned);
        match &mut self.draft.definition.inherit_env {
            Some(InheritEnv::Names(list)) => list.extend(names),
            inherit => *inherit = Some(InheritEnv::Names(names.collect())),
        }
    }

    /// Whether it is started at boot.
    fn install(&mut self, effective: &[&'a Assignment]) {
        let install =
            |key: &'static str| effective.iter().filter(move |a| a.section == "Install" && a.key == key);
        let mut wanted = false;
        for from in install("WantedBy").chain(install("RequiredBy")) {
            for unit in from.value.split_whitespace() {
                wanted = true;
                // A target is the boot.
                let Some(stem) = unit.strip_suffix(".service") else { continue };
                let tie = if from.key == "WantedBy" { Tie::WantedBy } else { Tie::RequiredBy };
                let (target, what) = (stem.to_owned(), format!("{}={unit}", from.key));
                self.draft.links.push(Link { tie, target, until: None, at: from.at.clone(), what });
            }
        }
        for from in install("Alias") {
            self.lost(from, "a process has one name", "use the name itself");
        }
        for from in install("Also") {
            self.into.lost(
                &from.at,
                &from.written(),
                "each process is enabled by itself",
                "import that unit as well",
            );
        }
        if !wanted {
            self.definition().auto_start = Some(false);
            let at = self.draft.at.clone();
            let why = "no [Install] section starts it at boot, so that it has `auto_start: false`";
            self.into.changed(&at, &self.draft.name, why, "remove the key if something else started it");
        }
    }

    /// What several keys mean together.
    fn together(&mut self) {
        let definition = &mut self.draft.definition;
        if definition.restart == Some(RestartPolicy::Never) {
            definition.restart_sec = None;
            definition.restart_max_delay_sec = None;
        }
        let kind = definition.kind.unwrap_or_default();
        definition.remain_after_exit.take_if(|_| kind != ProcessType::Oneshot);
        definition.pidfile.take_if(|_| kind != ProcessType::Forking);
        if definition.stdout.is_some() && definition.stdout == Some(model::Output::Capture) {
            definition.stdout = None;
        }
        // A list that is written twice, in a drop-in and in the unit.
        if let Some(list) = &mut definition.supplementary_groups {
            let mut seen = BTreeSet::new();
            list.retain(|group| seen.insert(group.clone()));
        }
    }
}

fn exec_key(key: &str) -> bool {
    matches!(
        key,
        "ExecCondition" | "ExecStartPre" | "ExecStartPost" | "ExecReload" | "ExecStop" | "ExecStopPost"
    )
}
