//! systemd's .service units, with their drop-ins and templates.

mod exec;
mod needs;
mod service;
mod specifier;
mod time;
mod unit;
mod words;

use std::path::{Path, PathBuf};

use super::draft::{Import, Unusable};
use super::files::{Files, file, text};
use unit::Unit;

/// Reads a unit, or all units of a directory.
pub(super) fn read(files: &dyn Files, path: &Path, into: &mut Import) -> Result<(), Unusable> {
    if files.is_dir(path) {
        return directory(files, path, into);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(stem) = name.strip_suffix(".service") else {
        let kind = name.rsplit_once('.').map_or("", |(_, kind)| kind);
        let hint = match kind {
            "socket" => "let the program open its socket itself, and import its .service",
            "timer" => {
                "a process runs until it ends: import the .service, and start it with pm-cli from cron or a timer"
            }
            "conf" => "name the unit that this belongs to: drop-ins are read with it",
            _ => "name a .service unit, or a directory of them",
        };
        return Err(Unusable::new(&file(path), "only services can be imported from systemd", hint));
    };
    if let Some(template) = stem.strip_suffix('@') {
        let hint = format!(
            "name an instance, whether there is such a file or not: pm-cli import {template}@NAME.service"
        );
        return Err(Unusable::new(&file(path), "this is a template", hint));
    }
    one(files, path, stem, into)
}

fn directory(files: &dyn Files, path: &Path, into: &mut Import) -> Result<(), Unusable> {
    let list =
        files.list(path).map_err(|error| Unusable::new(&file(path), error, "name a directory of units"))?;
    let mut any = false;
    for unit in list {
        let name = unit.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match name.rsplit_once('.') {
            Some((stem, "service")) if stem.ends_with('@') => {
                any = true;
                let template = stem.trim_end_matches('@');
                let instead = format!("name each instance: pm-cli import {template}@NAME.service");
                into.lost(&file(&unit), &name, "a template is a service for each of its instances", instead);
            }
            Some((stem, "service")) => {
                any = true;
                if let Err(error) = one(files, &unit, stem, into) {
                    into.lost(&file(&unit), &name, error.message, error.hint);
                }
            }
            Some((_, kind @ ("socket" | "timer" | "path" | "target" | "mount" | "slice"))) => {
                into.lost(
                    &file(&unit),
                    &name,
                    format!("a .{kind} unit has nothing that it could become"),
                    "",
                );
            }
            _ => {}
        }
    }
    match any {
        true => Ok(()),
        false => Err(Unusable::new(
            &file(path),
            "there is no .service in this directory",
            "name one that has units",
        )),
    }
}

fn one(files: &dyn Files, path: &Path, stem: &str, into: &mut Import) -> Result<(), Unusable> {
    let beside = |name: String| path.with_file_name(name);
    let template = stem.split_once('@').map(|(template, _)| format!("{template}@"));
    let fragment = match &template {
        Some(template) if !files.exists(path) => beside(format!("{template}.service")),
        _ => path.to_owned(),
    };
    let mut unit = Unit::default();
    unit.read(&fragment, &text(files, &fragment)?, into)?;
    for name in template.iter().map(String::as_str).chain([stem]) {
        for part in drop_ins(files, &beside(format!("{name}.service.d"))) {
            unit.read(&part, &text(files, &part)?, into)?;
        }
    }
    service::read(files, &fragment, stem, &unit, into)
}

fn drop_ins(files: &dyn Files, dir: &Path) -> Vec<PathBuf> {
    let parts = files.list(dir).unwrap_or_default();
    parts.into_iter().filter(|part| part.extension().is_some_and(|e| e == "conf")).collect()
}
