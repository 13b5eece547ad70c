//! One verb on several daemons at once: each on a thread of its own, as if it had been called alone.

use std::io::{self, Write};
use std::sync::mpsc;

use serde_json::{Map, Value, json};

use crate::args::{self, Global, Parsed, Verb};
use crate::context::Context;
use crate::find::{self, Place};
use crate::report::{Failure, Session, Stop};
use crate::select::is_exact;
use crate::{DONE, FAILED, UNREACHABLE, USAGE, execute};

/// Daemons that one command may be about: each takes a thread.
const MOST: usize = 64;

/// How a verb works on several daemons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Breadth {
    /// It asks all of them by itself.
    Itself,
    /// One answer behind the other.
    InTurn,
    /// Lines as they come, behind the daemon that they are of.
    AsTheyCome,
    /// Not at all, and why.
    No(&'static str),
}

const ONE_ONLY: &str = "this works on one daemon at a time";
const NAMES_ONLY: &str =
    "what changes something on several daemons needs the names of the processes, no group and no pattern";

fn breadth(verb: &Verb) -> Breadth {
    let exact = |names: &[String]| {
        if names.iter().all(|n| is_exact(n)) { Breadth::InTurn } else { Breadth::No(NAMES_ONLY) }
    };
    match verb {
        Verb::List(_) => Breadth::Itself,
        Verb::Describe(_) | Verb::Why(_) | Verb::IsActive(_) | Verb::IsEnabled(_) | Verb::Cat(_) => {
            Breadth::InTurn
        }
        Verb::Status(_) | Verb::Daemon(_) | Verb::Plan | Verb::Version | Verb::Doctor => Breadth::InTurn,
        Verb::Stats(_) | Verb::Wait(_) | Verb::Graph(_) => Breadth::InTurn,
        Verb::Logs(_) | Verb::Events(_) => Breadth::AsTheyCome,
        Verb::Start(args) | Verb::Stop(args) | Verb::Restart(args) | Verb::Reload(args) => {
            exact(&args.names.names)
        }
        Verb::Kill(args) => exact(&args.names.names),
        Verb::Enable(args) => exact(&args.names.names),
        Verb::Disable(args) => exact(&args.names.names),
        Verb::Delete(args) => exact(&args.names.names),
        Verb::Reset(names) => exact(&names.names),
        Verb::Create(_) | Verb::Update(_) => Breadth::InTurn,
        _ => Breadth::No(ONE_ONLY),
    }
}

/// Does the verb on each daemon that the command line means, if these are several; else `None`.
pub(crate) fn run(
    context: &Context,
    parsed: &Parsed,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Option<u8> {
    let global = &parsed.global;
    // These only write an address down.
    let local = matches!(parsed.verb, Verb::Context(_) | Verb::Completion { .. } | Verb::Complete { .. });
    if global.host.len().max(global.context.len()) < 2 || local {
        return None;
    }
    let mut session = Session::new(context, global.clone(), out, err);
    let places = match find::places(context, global) {
        Ok(places) if places.len() < 2 => return None,
        Ok(places) => places,
        Err(failure) => return Some(session.fail(&failure)),
    };
    if places.len() > MOST {
        let failure =
            Failure::new(USAGE, format!("{} daemons at once are too many; at most {MOST}", places.len()));
        return Some(session.fail(&failure));
    }
    let code = match breadth(&parsed.verb) {
        Breadth::Itself => return None,
        Breadth::No(why) => {
            let hint = if why == NAMES_ONLY {
                "name the processes, or one daemon"
            } else {
                "name one --host or one --context"
            };
            session.fail(&Failure::new(USAGE, why).with_hint(hint))
        }
        Breadth::InTurn => in_turn(context, parsed, &places, &mut session),
        Breadth::AsTheyCome => as_they_come(context, global, &places, &mut session),
    };
    Some(code)
}

/// What one daemon had to say.
struct Said {
    code: u8,
    out: Vec<u8>,
    err: Vec<u8>,
    documents: Vec<Value>,
}

fn in_turn(context: &Context, parsed: &Parsed, places: &[Place], session: &mut Session<'_>) -> u8 {
    let said: Vec<Said> = std::thread::scope(|scope| {
        let ask = |place| scope.spawn(move || alone(context, &parsed.global, place));
        let threads: Vec<_> = places.iter().map(ask).collect();
        let lost =
            |_| Said { code: FAILED, out: vec![], err: b"error: it ended badly".to_vec(), documents: vec![] };
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
    });
    let codes: Vec<u8> = said.iter().map(|said| said.code).collect();
    let any = matches!(parsed.verb, Verb::IsActive(_) | Verb::IsEnabled(_));
    let code = overall(&codes, any);
    ended(show(session, places, &said), code, session)
}

fn show(session: &mut Session<'_>, places: &[Place], said: &[Said]) -> Result<(), Stop> {
    if session.json() {
        let documents = places.iter().zip(said);
        let documents = documents.flat_map(|(p, said)| said.documents.iter().map(|d| (p.label.as_str(), d)));
        session.write_json(&together(documents))?;
    }
    let mut gap = "";
    for (place, said) in places.iter().zip(said) {
        if !said.out.is_empty() {
            let head = format!("{gap}{}\n", session.paint().bold(&format!("# {}", place.label)));
            session.show(&head)?;
            session.raw(&said.out)?;
            gap = "\n";
        }
        session.flush()?;
        for line in String::from_utf8_lossy(&said.err).lines() {
            session.say(&if line.is_empty() { String::new() } else { format!("{}: {line}", place.label) })?;
        }
    }
    Ok(())
}

/// Runs the verb on one daemon into memory.
fn alone(context: &Context, global: &Global, place: &Place) -> Said {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (mut documents, mut code) = (Vec::new(), FAILED);
    let context = Context { interactive: false, ..context.clone() };
    // Read anew: what was typed is cheap to read, and a verb is used up when it is done.
    if let Ok(parsed) = args::parse(&context.args) {
        let mut session = Session::new(&context, only(global, place), &mut out, &mut err);
        session.documents = Some(Vec::new());
        session.host = Some(place.label.clone());
        code = execute(&mut session, parsed.verb);
        documents = session.documents.take().unwrap_or_default();
    }
    Said { code, out, err, documents }
}

/// The exit code of all: that of the first failure, but one that could not be asked at all comes first. With `any` one
/// good answer is enough, as for a question about several processes.
fn overall(codes: &[u8], any: bool) -> u8 {
    if codes.contains(&UNREACHABLE) {
        return UNREACHABLE;
    }
    if any && codes.contains(&DONE) {
        return DONE;
    }
    codes.iter().copied().find(|code| *code != DONE).unwrap_or(DONE)
}

fn ended(shown: Result<(), Stop>, code: u8, session: &mut Session<'_>) -> u8 {
    match shown {
        Ok(()) => code,
        Err(Stop::Io(e)) if e.kind() == io::ErrorKind::BrokenPipe => code,
        Err(Stop::Io(e)) => session.fail(&Failure::new(FAILED, format!("can't write the output: {e}"))),
        Err(Stop::Failure(failure)) => session.fail(&failure),
    }
}

/// Lines on their way to this program's streams; whoever writes faster than they are read waits.
const WAITING: usize = 256;

/// A piece of whole lines.
enum Piece {
    Out(Vec<u8>),
    Err(Vec<u8>),
}

fn as_they_come(context: &Context, global: &Global, places: &[Place], session: &mut Session<'_>) -> u8 {
    let widest = places.iter().map(|place| place.label.chars().count()).max().unwrap_or(0);
    // Documents have the host in them.
    let plain = session.json();
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel(WAITING);
        let follow = |place: &Place| {
            let label = &place.label;
            let prefix = format!("{label:<widest$} | ");
            let out = Lines::new(if plain { "" } else { &prefix }, &send, Piece::Out);
            let err = Lines::new(&prefix, &send, Piece::Err);
            let place = place.clone();
            scope.spawn(move || line_by_line(context, global, &place, out, err))
        };
        let threads: Vec<_> = places.iter().map(follow).collect();
        drop(send);
        let shown = pass_on(session, &receive);
        // Who still writes is told that nobody reads any more.
        drop(receive);
        let codes: Vec<u8> = threads.into_iter().map(|thread| thread.join().unwrap_or(FAILED)).collect();
        ended(shown, overall(&codes, false), session)
    })
}

fn pass_on(session: &mut Session<'_>, receive: &mpsc::Receiver<Piece>) -> Result<(), Stop> {
    while let Ok(first) = receive.recv() {
        for piece in std::iter::once(first).chain(std::iter::from_fn(|| receive.try_recv().ok())) {
            match piece {
                Piece::Out(bytes) => session.raw(&bytes)?,
                Piece::Err(bytes) => {
                    session.flush()?;
                    session.ask_raw(&String::from_utf8_lossy(&bytes))?;
                }
            }
        }
        session.flush()?;
    }
    Ok(())
}

fn line_by_line(context: &Context, global: &Global, place: &Place, mut out: Lines, mut err: Lines) -> u8 {
    let context = Context { interactive: false, ..context.clone() };
    let Ok(parsed) = args::parse(&context.args) else { return FAILED };
    let mut session = Session::new(&context, only(global, place), &mut out, &mut err);
    session.host = Some(place.label.clone());
    execute(&mut session, parsed.verb)
}

/// Collects lines, puts the host in front of each, and sends them away.
struct Lines {
    prefix: String,
    partial: Vec<u8>,
    send: mpsc::SyncSender<Piece>,
    piece: fn(Vec<u8>) -> Piece,
}

impl Lines {
    fn new(prefix: &str, send: &mpsc::SyncSender<Piece>, piece: fn(Vec<u8>) -> Piece) -> Self {
        Self { prefix: prefix.to_owned(), partial: Vec::new(), send: send.clone(), piece }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.iter().rposition(|b| *b == b'\n') else { return Ok(bytes.len()) };
        let rest = self.partial.split_off(end + 1);
        let lines = std::mem::replace(&mut self.partial, rest);
        let mut prefixed = Vec::with_capacity(lines.len() + 64);
        for line in lines.split_inclusive(|b| *b == b'\n') {
            prefixed.extend_from_slice(self.prefix.as_bytes());
            prefixed.extend_from_slice(line);
        }
        self.send.send((self.piece)(prefixed)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lines {
    /// The last line of a log may lack its end.
    fn drop(&mut self) {
        if !self.partial.is_empty() {
            let _read_or_not = self.write(b"\n").is_ok();
        }
    }
}

/// The options of one daemon out of those of several.
fn only(global: &Global, place: &Place) -> Global {
    let one = |words: &[String]| words.iter().filter(|word| **word == place.label).take(1).cloned().collect();
    Global { host: one(&global.host), context: one(&global.context), ..global.clone() }
}

/// One document of several: what is in a list gets its host and is put into one list, everything else into `hosts`.
fn together<'a>(documents: impl Iterator<Item = (&'a str, &'a Value)>) -> Value {
    let mut whole = Map::new();
    for (host, document) in documents {
        let list = |key: &String| ["processes", "changes", "deleted"].contains(&key.as_str());
        // Where there is more than lists, the parts of one daemon's answer belong together.
        let lists: Vec<&String> = match document {
            Value::Object(map) if map.keys().all(list) => map.keys().collect(),
            _ => Vec::new(),
        };
        if lists.is_empty() {
            push(&mut whole, "hosts", host, document);
        }
        for key in lists {
            whole.entry(key.clone()).or_insert_with(|| json!([]));
            for item in document[key].as_array().into_iter().flatten() {
                push(&mut whole, key, host, item);
            }
        }
    }
    Value::Object(whole)
}

fn push(whole: &mut Map<String, Value>, key: &str, host: &str, item: &Value) {
    let mut item = item.clone();
    if let Value::Object(map) = &mut item {
        map.insert("host".to_owned(), json!(host));
    }
    if let Value::Array(list) = whole.entry(key).or_insert_with(|| json!([])) {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_several_daemons_become_one() {
        let list = json!({ "processes": [{ "name": "web" }] });
        let none = json!({ "processes": [] });
        let whole = together([("a", &list), ("b", &none), ("c", &list)].into_iter());
        assert_eq!(
            whole,
            json!({ "processes": [{ "name": "web", "host": "a" }, { "name": "web", "host": "c" }] })
        );
        let plan = json!({ "changes": [{ "name": "web" }], "problems": [], "dry_run": true });
        let whole = together([("a", &plan)].into_iter());
        assert_eq!(whole["hosts"][0]["host"], "a");
        assert_eq!(whole["hosts"][0]["changes"][0]["name"], "web");
        assert_eq!(together(std::iter::empty()), json!({}));
    }

    #[test]
    fn the_worst_answer_decides() {
        assert_eq!(overall(&[0, 0], false), 0);
        assert_eq!(overall(&[0, 4, 1], false), 4);
        assert_eq!(overall(&[4, 5], false), 5);
        assert_eq!(overall(&[3, 0], true), 0);
        assert_eq!(overall(&[3, 3], true), 3);
        assert_eq!(overall(&[0, 5], true), 5);
    }

    #[test]
    fn lines_are_whole_and_have_their_host() {
        let (send, receive) = mpsc::sync_channel(8);
        let mut lines = Lines::new("a | ", &send, Piece::Out);
        for piece in [&b"one\ntw"[..], b"o", b"\n\nthree"] {
            lines.write_all(piece).unwrap();
        }
        drop(lines);
        let mut all = Vec::new();
        while let Ok(Piece::Out(bytes)) = receive.try_recv() {
            all.extend(bytes);
        }
        assert_eq!(String::from_utf8(all).unwrap(), "a | one\na | two\na | \na | three\n");
        drop(receive);
        let mut lines = Lines::new("", &send, Piece::Err);
        assert_eq!(lines.write(b"x\n").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
