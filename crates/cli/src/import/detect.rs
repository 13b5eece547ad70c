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
    by_content(&text(files, path)?, extension).ok_or_else(|| {
        Unusable::new(
            &file(path),
            "can't tell which format this is",
            "say it: --format supervisord, systemd, procfile, pm2 or process-compose",
        )
    })
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
