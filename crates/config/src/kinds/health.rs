//! How a process is asked whether it works.

mod table;

use std::time::Duration;

use model::{HealthSpec, Probe};
use serde_yaml::{Mapping, Value};

use super::address::{Plain, Port, check_address, check_request_path, check_url, of_port};
use super::fields::Fields;
use super::hook::{check_command, read_command, write_command};
use super::{Count, Kind, Seconds, Times, choice, replaced_as_a_whole};
use crate::fault::Faults;
use crate::tree::{Node, Yaml, quoted};

pub(crate) use table::FIELDS;

/// `health_check`
pub(crate) struct Health;

/// Shortest `interval` and `timeout`: each check costs a connection or a process.
const SHORTEST: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Http,
    Tcp,
    Exec,
    Grpc,
}

impl Type {
    const ALL: [(&'static str, Self); 4] =
        [("http", Self::Http), ("tcp", Self::Tcp), ("exec", Self::Exec), ("grpc", Self::Grpc)];

    fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// The keys that say what is asked; the others are for every type.
    fn own(self) -> &'static [&'static str] {
        match self {
            Self::Http => &["url", "port", "path"],
            Self::Tcp => &["address", "port"],
            Self::Exec => &["command", "args"],
            Self::Grpc => &["address", "port", "service"],
        }
    }
}

impl Kind for Health {
    type Value = HealthSpec;
    const WORDS: &'static str = "a [health check](#health-checks)";

    fn read(node: &Node, faults: &mut Faults) -> Option<HealthSpec> {
        let Some(map) = node.map() else {
            faults
                .value(format!("expected a mapping of keys, found {}", node.value), instead_of(&node.value));
            return None;
        };
        let before = faults.count();
        let fields = Fields::new(map, &FIELDS, "`health_check:`", faults);
        let probe = read_type(&fields, faults).and_then(|kind| {
            foreign_keys(kind, &fields, faults);
            read_probe(kind, &fields, faults)
        });
        let default = HealthSpec::new(Probe::Tcp { address: String::new() });
        let mut time = |name, default| fields.read::<Seconds>(name, faults).unwrap_or(default);
        let (interval, timeout) = (time("interval", default.interval), time("timeout", default.timeout));
        let start_period = time("start_period", default.start_period);
        let mut times = |name, default| fields.read::<Times>(name, faults).unwrap_or(default);
        let (retries, threshold) =
            (times("retries", default.retries), times("success_threshold", default.success_threshold));
        let health = HealthSpec {
            probe: probe.unwrap_or(default.probe),
            interval,
            timeout,
            start_period,
            retries,
            success_threshold: threshold,
            restart_after: fields.read::<Count>("restart_after", faults).unwrap_or(default.restart_after),
        };
        (faults.count() == before).then_some(health)
    }

    fn check(value: &HealthSpec, faults: &mut Faults) {
        check_probe(&value.probe, faults);
        for (key, time) in [("interval", value.interval), ("timeout", value.timeout)] {
            faults.at(key, |faults| {
                Seconds::check(&time, faults);
                if time < SHORTEST {
                    faults.value("less than 10 ms", "write at least 10ms");
                }
            });
        }
        faults.at("start_period", |faults| Seconds::check(&value.start_period, faults));
        for (key, count) in [("retries", value.retries), ("success_threshold", value.success_threshold)] {
            faults.at(key, |faults| Times::check(&count, faults));
        }
        faults.at("restart_after", |faults| {
            Count::check(&value.restart_after, faults);
            if (1..value.retries).contains(&value.restart_after) {
                let message = format!(
                    "{} is less than `retries` ({}): it would be restarted before it is unhealthy",
                    value.restart_after, value.retries
                );
                faults.value(message, "raise it or lower `retries` (3 when it is not written); 0 = never");
            }
        });
    }

    fn write(value: &HealthSpec) -> Value {
        let mut map = Mapping::new();
        map.insert("type".into(), value.probe.as_str().into());
        match &value.probe {
            Probe::Http { url } => {
                map.insert("url".into(), url.as_str().into());
            }
            Probe::Tcp { address } => {
                map.insert("address".into(), address.as_str().into());
            }
            Probe::Exec(line) => write_command(line, &mut map),
            Probe::Grpc { address, service } => {
                map.insert("address".into(), address.as_str().into());
                if !service.is_empty() {
                    map.insert("service".into(), service.as_str().into());
                }
            }
        }
        let default = HealthSpec::new(value.probe.clone());
        let mut put = |key: &str, text: Value, differs: bool| {
            if differs {
                map.insert(key.into(), text);
            }
        };
        put("interval", Seconds::write(&value.interval), value.interval != default.interval);
        put("timeout", Seconds::write(&value.timeout), value.timeout != default.timeout);
        put("retries", value.retries.into(), value.retries != default.retries);
        put("start_period", Seconds::write(&value.start_period), value.start_period != default.start_period);
        let threshold = value.success_threshold;
        put("success_threshold", threshold.into(), threshold != default.success_threshold);
        put("restart_after", value.restart_after.into(), value.restart_after != default.restart_after);
        Value::Mapping(map)
    }

    replaced_as_a_whole!();
}

/// How to write as a mapping what was written as something else.
fn instead_of(value: &Yaml) -> String {
    match value.text() {
        Some(text) if text.starts_with("http") => {
            "write its keys below it: `type: http`, then `url: ...`".to_owned()
        }
        Some(text) if Type::ALL.iter().any(|(word, _)| *word == text) => {
            format!("write its keys below it: `type: {text}`, then what it asks")
        }
        Some(_) => "write its keys below it: `type: exec`, then `command: ...`".to_owned(),
        None if matches!(value, Yaml::List(_)) => {
            "write its keys below it: `type: exec`, then `command: ...` and `args: [...]`".to_owned()
        }
        None => "write its keys below it, for example `type: tcp`, then `port: 5432`".to_owned(),
    }
}

fn read_type(fields: &Fields<'_>, faults: &mut Faults) -> Option<Type> {
    let Some(node) = fields.node("type") else {
        let guess = Type::ALL.iter().find(|(_, kind)| kind.own().first().is_some_and(|key| fields.has(key)));
        let hint = match guess {
            Some((word, _)) => format!("add `type: {word}`"),
            None => "add `type: http`, `tcp`, `exec` or `grpc`".to_owned(),
        };
        faults.value("a health check needs a `type`", hint);
        return None;
    };
    let foreign =
        [("https", "http"), ("command", "exec"), ("cmd", "exec"), ("script", "exec"), ("socket", "tcp")];
    faults.at("type", |faults| choice::choice(node, faults, &Type::ALL, &foreign))
}

/// Keys that another type has.
fn foreign_keys(kind: Type, fields: &Fields<'_>, faults: &mut Faults) {
    let others = ["url", "address", "port", "path", "service", "command", "args"];
    for key in others.into_iter().filter(|key| fields.has(key) && !kind.own().contains(key)) {
        let of: Vec<&str> =
            Type::ALL.iter().filter(|(_, t)| t.own().contains(&key)).map(|(w, _)| *w).collect();
        faults.at(key, |faults| {
            let message = format!("`{key}` is not a key of a check of type `{}`", kind.as_str());
            faults.key(message, format!("remove it; it is one of type {}", crate::suggest::one_of(&of)));
        });
    }
}

fn read_probe(kind: Type, fields: &Fields<'_>, faults: &mut Faults) -> Option<Probe> {
    if kind == Type::Exec {
        if !fields.has("command") {
            faults.value("a check of type `exec` needs a `command`", "add `command: /path/of/the/program`");
        }
        return Some(Probe::Exec(read_command(fields, faults)?));
    }
    let key = if kind == Type::Http { "url" } else { "address" };
    let port = fields.read::<Port>("port", faults);
    let place = fields.read::<Plain>(key, faults);
    let path = read_path(fields, faults);
    for other in ["port", "path"].into_iter().filter(|other| fields.has(key) && fields.has(other)) {
        faults.at(other, |faults| faults.key(format!("`{key}` says it already"), "remove one of them"));
    }
    if !fields.has(key) && !fields.has("port") {
        let hint = match kind {
            Type::Http => "add `url: http://127.0.0.1:8080/health`, or `port: 8080` and `path: /health`",
            _ => "add `address: 127.0.0.1:5432`, or `port: 5432`",
        };
        faults.value(format!("a check of type `{}` needs `{key}` or `port`", kind.as_str()), hint);
    }
    let place = place.or_else(|| port.map(of_port))?;
    Some(match kind {
        Type::Http if fields.has("url") => Probe::Http { url: place },
        Type::Http => Probe::Http { url: format!("http://{place}{}", path?) },
        Type::Tcp => Probe::Tcp { address: place },
        _ => {
            let service = fields.read::<Plain>("service", faults).unwrap_or_default();
            Probe::Grpc { address: place, service }
        }
    })
}

/// `path`; `None` when it can't be one, as it is not seen any more once it is part of a URL.
fn read_path(fields: &Fields<'_>, faults: &mut Faults) -> Option<String> {
    if !fields.has("path") {
        return Some("/".to_owned());
    }
    let path = fields.read::<Plain>("path", faults)?;
    faults.at("path", |faults| match check_request_path(&path) {
        Ok(()) => Some(path),
        Err((message, hint)) => {
            faults.value(message, hint);
            None
        }
    })
}

fn check_probe(probe: &Probe, faults: &mut Faults) {
    let (key, checked) = match probe {
        Probe::Http { url } => ("url", check_url(url)),
        Probe::Tcp { address } => ("address", check_address(address)),
        Probe::Grpc { address, service } => {
            if let Some(c) = service.chars().find(|c| c.is_control()) {
                let message = format!("{} can't be a service: it holds {c:?}", quoted(service));
                faults.at("service", |faults| faults.value(message, "write its full name: package.Service"));
            }
            ("address", check_address(address))
        }
        Probe::Exec(line) => return check_command(line, faults),
    };
    if let Err((message, hint)) = checked {
        faults.at(key, |faults| faults.value(message, hint));
    }
}
