//! `context`: where daemons are, under names.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::args::{ContextAddArgs, ContextVerb};
use crate::find;
use crate::report::{Failure, Session, Stop};
use crate::saved::{Entry, Saved, Tls, check_name};
use crate::{FAILED, USAGE};

pub(super) fn run(session: &mut Session<'_>, verb: ContextVerb) -> Result<(), Stop> {
    match verb {
        ContextVerb::List => list(session),
        ContextVerb::Show { name } => show(session, name),
        ContextVerb::Add(args) => add(session, &args),
        ContextVerb::Use { name, .. } => choose(session, name),
        ContextVerb::Remove { name } => remove(session, &name),
    }
}

fn list(session: &mut Session<'_>) -> Result<(), Stop> {
    let saved = Saved::read(session.context)?;
    if session.json() {
        let contexts: Vec<Value> = saved.contexts.iter().map(|(n, e)| document(&saved, n, e)).collect();
        return session.write_json(&json!({ "contexts": contexts }));
    }
    if saved.contexts.is_empty() {
        return session.say("no contexts are saved\n\nhint: save one: pm-cli context add NAME --host ADDR");
    }
    overruled(session)?;
    let widest = saved.contexts.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, entry) in &saved.contexts {
        let mark = if saved.current.as_ref() == Some(name) { '*' } else { ' ' };
        session.show(&format!("{mark} {name:<widest$}  {}\n", address(entry)))?;
    }
    Ok(())
}

fn show(session: &mut Session<'_>, name: Option<String>) -> Result<(), Stop> {
    let saved = Saved::read(session.context)?;
    let Some(name) =
        name.or_else(|| session.context.var("PM_CONTEXT").map(str::to_owned)).or(saved.current.clone())
    else {
        return Err(Failure::new(FAILED, "no context is current: the daemon of this machine is looked for")
            .with_hint("choose one: pm-cli context use NAME")
            .into());
    };
    let entry = saved.get(&name)?;
    if session.json() {
        return session.write_json(&document(&saved, &name, entry));
    }
    let mut text = format!("context {name}\n");
    let paths = [
        ("socket", entry.socket.as_deref()),
        ("token file", entry.token_file.as_deref()),
        ("tls ca", entry.tls.as_ref().map(|tls| tls.ca.as_path())),
        ("tls cert", entry.tls.as_ref().and_then(|tls| tls.cert.as_deref())),
        ("tls key", entry.tls.as_ref().and_then(|tls| tls.key.as_deref())),
    ];
    let words = [
        ("host", entry.host.as_deref()),
        ("tls name", entry.tls.as_ref().and_then(|tls| tls.server_name.as_deref())),
    ];
    let paths = paths.into_iter().filter_map(|(k, path)| Some((k, path?.to_string_lossy().into_owned())));
    let words = words.into_iter().filter_map(|(k, word)| Some((k, word?.to_owned())));
    for (key, value) in words.chain(paths) {
        text.push_str(&format!("{key:>12}: {value}\n"));
    }
    session.show(&text)?;
    overruled(session)
}

/// Says what is used in the place of the current context, where something in the environment wins over it.
fn overruled(session: &mut Session<'_>) -> Result<(), Stop> {
    let wins = ["PM_CONTEXT", "PM_SOCKET", "PM_HOST"]
        .into_iter()
        .find_map(|name| session.context.var(name).map(|value| (name, value)));
    let Some((name, value)) = wins else { return Ok(()) };
    let text =
        format!("warning: {name}={value} is set and wins over the current context; unset {name} to use it");
    session.say(&text)
}

fn add(session: &mut Session<'_>, args: &ContextAddArgs) -> Result<(), Stop> {
    check_name(&args.name)?;
    let cwd = session.context.cwd.clone();
    let absolute = |path: &Path| cwd.join(path);
    let entry = Entry {
        socket: session.global.socket.as_deref().map(|path| absolute(Path::new(path))),
        host: session.global.host.first().cloned(),
        token_file: args.token_file.as_deref().map(absolute),
        tls: args.tls_ca.as_deref().map(|ca| Tls {
            ca: absolute(ca),
            cert: args.tls_cert.as_deref().map(absolute),
            key: args.tls_key.as_deref().map(absolute),
            server_name: args.tls_server_name.clone(),
        }),
    };
    let usage = |text: &str| Failure::new(USAGE, text).with_hint("see pm-cli context add --help");
    if let [address] = session.global.host.as_slice() {
        find::check_address(address)
            .map_err(|(why, hint)| usage(&format!("--host {address:?}: {why}")).with_hint(hint))?;
    }
    match (&entry.socket, session.global.host.as_slice()) {
        (None, []) => return Err(usage("it is not said where the daemon is: give --socket or --host").into()),
        (_, [_, _, ..]) => return Err(usage("a context is one daemon: give one --host").into()),
        (Some(_), _) if entry.tls.is_some() || entry.token_file.is_some() => {
            return Err(
                usage("tokens and TLS go with --host; over a socket the kernel says who you are").into()
            );
        }
        _ => {}
    }
    // A typing error is better told now than at the first call.
    let files: Vec<&PathBuf> = [
        entry.token_file.as_ref(),
        entry.tls.as_ref().map(|tls| &tls.ca),
        entry.tls.as_ref().and_then(|tls| tls.cert.as_ref()),
        entry.tls.as_ref().and_then(|tls| tls.key.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let missing: Vec<String> =
        files.into_iter().filter(|path| !path.exists()).map(|path| path.display().to_string()).collect();
    let mut saved = Saved::read(session.context)?;
    let replaced = saved.contexts.insert(args.name.clone(), entry).is_some();
    if args.current {
        saved.current = Some(args.name.clone());
    }
    let path = saved.write(session.context)?;
    for path in missing {
        session.say(&format!("warning: there is no {path} (yet)"))?;
    }
    let word = if replaced { "replaced" } else { "saved" };
    let current = if args.current { ", and used from now on" } else { "" };
    told(
        session,
        &saved,
        &args.name,
        &format!("context {} {word} in {}{current}\n", args.name, path.display()),
    )
}

fn choose(session: &mut Session<'_>, name: Option<String>) -> Result<(), Stop> {
    let mut saved = Saved::read(session.context)?;
    if let Some(name) = &name {
        saved.get(name)?;
    }
    saved.current = name.clone();
    saved.write(session.context)?;
    match name {
        Some(name) => {
            told(session, &saved, &name, &format!("context {name} is used from now on\n"))?;
            overruled(session)
        }
        None if session.json() => session.write_json(&json!({ "name": null, "current": false })),
        None => session.show("no context is used any more: the daemon of this machine is looked for\n"),
    }
}

fn remove(session: &mut Session<'_>, name: &str) -> Result<(), Stop> {
    let mut saved = Saved::read(session.context)?;
    let entry = saved.get(name)?.clone();
    let document = document(&saved, name, &entry);
    saved.contexts.remove(name);
    let was_current = saved.current.as_deref() == Some(name);
    if was_current {
        saved.current = None;
    }
    saved.write(session.context)?;
    if session.json() {
        return session.write_json(&document);
    }
    let note = if was_current { "; no context is used any more" } else { "" };
    session.show(&format!("context {name} removed{note}\n"))
}

fn told(session: &mut Session<'_>, saved: &Saved, name: &str, text: &str) -> Result<(), Stop> {
    if session.json() {
        let document = document(saved, name, saved.get(name)?);
        return session.write_json(&document);
    }
    session.show(text)
}

fn address(entry: &Entry) -> String {
    match (&entry.socket, &entry.host) {
        (Some(path), _) => path.display().to_string(),
        (None, host) => {
            let tls = if entry.tls.is_some() { " (TLS)" } else { "" };
            format!("{}{tls}", host.as_deref().unwrap_or_default())
        }
    }
}

fn document(saved: &Saved, name: &str, entry: &Entry) -> Value {
    json!({
        "name": name,
        "current": saved.current.as_deref() == Some(name),
        "socket": entry.socket,
        "host": entry.host,
        "token_file": entry.token_file,
        "tls": entry.tls.as_ref().map(|tls| json!({
            "ca": tls.ca, "cert": tls.cert, "key": tls.key, "server_name": tls.server_name,
        })),
    })
}
