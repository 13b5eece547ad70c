//! Which format a file has: by its name, else by what it holds.

use std::path::Path;

use super::Format;
use super::draft::Unusable;
use super::files::{Files, file, text};

pub(super) fn detect(files: &dyn Files, path: &Path) -> Result<Format, Unusable> {
    if files.is_dir(path) {
        return Ok(Format::Systemd);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if let Some(format) = by_name(&name, extension) {
        return Ok(format);
    }
    if matches!(extension, "js" | "cjs" | "mjs" | "ts") {
        return Err(Unusable::new(
            &file(path),
            "this is a program, not data: PM2 executes it to get its settings",
            format!(
                "let node print them: node -p 'JSON.stringify(require(\"{}\"))' >ecosystem.json, then: pm-cli import \
                 ecosystem.json. Of what runs: pm2 prettylist >pm2.json",
                path.display()
            ),
        ));
    }
    let text = text(files, path)?;
    if is_own(&text) {
        return Err(Unusable::new(
            &file(path),
            "this is already a processes.yaml: there is nothing to import",
            format!(
                "check it: pm-cli validate {}; then put it where the daemon reads it (pm-cli status shows `config`) and run: \
                 pm-cli reload-config",
                path.display()
            ),
        ));
    }
    by_content(&text, extension).ok_or_else(|| {
        Unusable::new(
            &file(path),
            "can't tell which format this is",
            "say it: --format supervisord, systemd, procfile, pm2 or process-compose",
        )
    })
}

/// What only process-compose has, at the top and in a process.
const FOREIGN_TOP: [&str; 8] = [
    "version",
    "environment",
    "shell",
    "log_location",
    "log_level",
    "log_configuration",
    "is_strict",
    "vars",
];
const FOREIGN: [&str; 22] = [
    "availability",
    "depends_on",
    "readiness_probe",
    "liveness_probe",
    "environment",
    "log_location",
    "log_configuration",
    "namespace",
    "replicas",
    "is_daemon",
    "is_foreground",
    "is_tty",
    "is_elevated",
    "is_disabled",
    "disabled",
    "shutdown",
    "entrypoint",
    "launch_timeout_seconds",
    "ready_log_line",
    "disable_ansi_colors",
    "schedule",
    "vars",
];

/// Whether it is a file of definitions as the daemon reads it. Both kinds have `processes:`; what tells them apart are
/// keys that one of them doesn't know. What has none of these needs no import either.
fn is_own(text: &str) -> bool {
    let Ok(serde_yaml::Value::Mapping(top)) = serde_yaml::from_str(text) else { return false };
    let has = |map: &serde_yaml::Mapping, keys: &[&str]| keys.iter().any(|key| map.contains_key(*key));
    let Some(serde_yaml::Value::Mapping(processes)) = top.get("processes") else { return false };
    let mut maps = processes.values().filter_map(serde_yaml::Value::as_mapping);
    !has(&top, &FOREIGN_TOP) && !processes.is_empty() && maps.all(|process| !has(process, &FOREIGN))
}

fn by_name(name: &str, extension: &str) -> Option<Format> {
    let stem = name.split('.').next().unwrap_or_default();
    match extension {
        "service" => Some(Format::Systemd),
        "json" => Some(Format::Pm2),
        _ if stem.starts_with("procfile") => Some(Format::Procfile),
        _ if stem.starts_with("supervisord") => Some(Format::Supervisord),
        "yaml" | "yml" if stem.starts_with("process-compose") => Some(Format::ProcessCompose),
        _ => None,
    }
}

fn by_content(text: &str, extension: &str) -> Option<Format> {
    let lines =
        || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    let section = |start: &str| lines().any(|line| line.starts_with(start));
    if ["[program:", "[supervisord]", "[group:", "[eventlistener:", "[fcgi-program:"]
        .iter()
        .any(|s| section(s))
    {
        return Some(Format::Supervisord);
    }
    if section("[Service]") || section("[Unit]") {
        return Some(Format::Systemd);
    }
    if text.trim_start().starts_with(['{', '[']) {
        return Some(Format::Pm2);
    }
    if lines().any(|line| line == "processes:") {
        return Some(Format::ProcessCompose);
    }
    let entry = |line: &str| {
        line.split_once(':')
            .is_some_and(|(name, command)| super::procfile::is_name(name) && !command.trim().is_empty())
    };
    (!matches!(extension, "yaml" | "yml") && lines().next().is_some() && lines().all(entry))
        .then_some(Format::Procfile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_files_are_told_from_those_of_process_compose() {
        for (text, own) in [
            ("processes:\n  web:\n    command: x\n    restart: always\n", true),
            ("defaults: {user: x}\nprocesses: {web: {command: x}}\n", true),
            ("processes:\n  web:\n    command: x\n    comand: typo\n", true),
            ("version: '0.5'\nprocesses: {web: {command: x}}\n", false),
            ("processes:\n  web: {command: x}\n  db: {command: y, availability: {restart: always}}\n", false),
            ("processes: {}\n", false),
            ("processes: [a]\n", false),
            ("web: bin/web\n", false),
            ("processes:\n\tx", false),
        ] {
            assert_eq!(is_own(text), own, "{text}");
        }
    }

    #[test]
    fn names_and_contents() {
        for (name, text, format) in [
            ("web.service", "", Some(Format::Systemd)),
            ("Procfile.dev", "", Some(Format::Procfile)),
            ("supervisord.conf", "", Some(Format::Supervisord)),
            ("ecosystem.json", "", Some(Format::Pm2)),
            ("process-compose.prod.yml", "", Some(Format::ProcessCompose)),
            ("app.conf", "; x\n[program:web]\ncommand=x\n", Some(Format::Supervisord)),
            ("unit", "# x\n[Unit]\nDescription=x\n", Some(Format::Systemd)),
            ("list", " [ {}]", Some(Format::Pm2)),
            ("dev.yaml", "version: '0.5'\nprocesses:\n  a: {}\n", Some(Format::ProcessCompose)),
            ("start", "web: bin/web\nworker: bin/work\n", Some(Format::Procfile)),
            ("x.yaml", "web: bin/web\n", None),
            ("empty", "", None),
        ] {
            let name = name.to_lowercase();
            let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
            let found = by_name(&name, extension).or_else(|| by_content(text, extension));
            assert_eq!(found, format, "{name}");
        }
    }
}
