//! `logs`: what processes printed, of several in the order of time.

mod feed;
mod merge;

use std::io;
use std::sync::Arc;

use model::Wall;
use rpc::v1;
use serde_json::json;

use crate::USAGE;
use crate::args::{LogsArgs, Output, RunChoice, StreamArg};
use crate::render::json::stream_name;
use crate::render::lines::Lines;
use crate::report::{Failure, Session, Stop};
use crate::verb::known::named;
use crate::verb::reader;
use crate::when;
use feed::Link;
use merge::{Item, Part, Source};

/// Lines of each process when nobody says how many.
const DEFAULT_LINES: u32 = 20;
const ALL_LINES: u32 = u32::MAX;

/// How lines are written.
enum Shape {
    /// Byte for byte.
    Raw,
    /// One object a line.
    Json,
    /// For humans.
    Lines(Lines),
}

pub(super) async fn run(session: &mut Session<'_>, args: LogsArgs) -> Result<(), Stop> {
    let request = request(session, &args)?;
    let mut found = session.connect().await?;
    let processes = named(session, &mut found.client, &args.names).await?;
    if args.after.is_some() && processes.len() > 1 {
        return Err(Failure::new(USAGE, "--after goes on in the log of one process")
            .with_hint("a cursor belongs to the process that it was shown with")
            .into());
    }
    let shape = shape(session, &args, &processes);
    let link = Arc::new(Link::new(session.context.clone(), session.global.clone(), found.client));
    let mut sources: Vec<Source> = Vec::new();
    let mut never = Vec::new();
    for process in processes {
        let newest = newest(&process);
        let run = match args.run {
            None => 0,
            Some(RunChoice::Number(number)) => number,
            Some(RunChoice::Back(back)) => newest.saturating_sub(back),
        };
        if args.run.is_some() && !(1..=newest).contains(&run) {
            never.push(match newest {
                0 => format!("no run of {} is known", process.name),
                1 => format!("{} has had 1 run", process.name),
                runs => format!("{} has had {runs} runs", process.name),
            });
            // For the daemon this would be every run. Any other number it is asked for: one may still come, and the log may
            // know of runs before the daemon's own memory.
            if run == 0 {
                continue;
            }
        }
        let request = v1::StreamLogsRequest { name: process.name.clone(), run, ..request.clone() };
        let events = feed::start(Arc::clone(&link), request, session.context.now);
        sources.push(Source::new(process.name, process.process_id, events));
    }
    let several = sources.len() > 1;
    let mut silent = true;
    loop {
        for source in &mut sources {
            while source.is_needed() {
                if !source.take_ready() {
                    session.flush()?;
                    source.take_next().await;
                }
            }
        }
        if let Some((source, item)) = merge::pick(&mut sources) {
            silent = false;
            write(session, &shape, source, item, several)?;
        } else if sources.iter().all(Source::has_ended) {
            if silent && !never.is_empty() {
                session.say(&format!("no line fits: {}", never.join(", ")))?;
            } else if silent && !sources.is_empty() {
                let nothing = if all_of_it(&args) { "nothing was printed so far" } else { "no line fits" };
                session.say(nothing)?;
            }
            return Ok(());
        } else {
            // A follower must see a line when it comes, not when a buffer is full.
            session.flush()?;
            tokio::select! {
                () = merge::next_of_any(&mut sources) => {}
                () = reader::gone(), if args.follow => {
                    return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
                }
            }
        }
    }
}

/// Whether every line is asked for, were it not for their number.
fn all_of_it(args: &LogsArgs) -> bool {
    let LogsArgs { lines, since, until, stream, grep, run, after, .. } = args;
    *lines != Some(0)
        && [since, until, grep, after].into_iter().all(Option::is_none)
        && (stream.is_none() && run.is_none())
}

fn request(session: &Session<'_>, args: &LogsArgs) -> Result<v1::StreamLogsRequest, Stop> {
    let zone = (session.context.zone)();
    let moment = |option: &str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        match when::parse(text, session.context.now, &zone) {
            Ok(at) => Ok(Some(timestamp(at))),
            Err(error) => Err(Stop::from(Failure::new(USAGE, format!("{option}: {error}")))),
        }
    };
    let since = moment("--since", &args.since)?;
    let lines = args.lines.unwrap_or(if since.is_some() { ALL_LINES } else { DEFAULT_LINES });
    Ok(v1::StreamLogsRequest {
        name: String::new(),
        lines: Some(lines),
        follow: args.follow,
        stream: match args.stream {
            None => v1::Stream::Unspecified,
            Some(StreamArg::Stdout) => v1::Stream::Stdout,
            Some(StreamArg::Stderr) => v1::Stream::Stderr,
        }
        .into(),
        since,
        until: moment("--until", &args.until)?,
        run: 0,
        grep: args.grep.clone().unwrap_or_default(),
        after_cursor: args.after.clone().unwrap_or_default(),
        split_lines: session.json(),
    })
}

/// The number of the last run of a process that is known; 0 = there was none.
fn newest(process: &v1::Process) -> u64 {
    let now = process.run.as_ref().map(|run| run.number);
    let ended = process.exits.iter().chain(&process.last_exit).map(|exit| exit.run).max();
    // What an earlier daemon counted is known, even where how it ended is not.
    let counted = process.counters.as_ref().map(|counters| counters.starts);
    now.max(ended).max(counted).unwrap_or_default()
}

fn timestamp(at: Wall) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.0 / 1_000_000_000).unwrap_or(i64::MAX);
    prost_types::Timestamp { seconds, nanos: i32::try_from(at.0 % 1_000_000_000).unwrap_or(0) }
}

fn shape(session: &Session<'_>, args: &LogsArgs, processes: &[v1::Process]) -> Shape {
    let several = processes.len() > 1;
    match session.global.output {
        Output::Json | Output::Yaml | Output::Name => Shape::Json,
        Output::Cat => Shape::Raw,
        // One process alone: what it printed, as it printed it; a terminal would obey it.
        Output::Table | Output::Wide if !several && !args.time && !session.context.terminal => Shape::Raw,
        Output::Table | Output::Wide => {
            let longest = processes.iter().map(|process| process.name.len()).max();
            Shape::Lines(Lines {
                names: longest.filter(|_| several && !args.no_prefix),
                times: args.time.then(|| (session.context.zone)()),
                color: session.color(),
            })
        }
    }
}

fn write(
    session: &mut Session<'_>,
    shape: &Shape,
    source: &Source,
    item: Item,
    several: bool,
) -> Result<(), Stop> {
    let named = |text: &str| if several { format!("({}: {text})", source.name) } else { format!("({text})") };
    match item {
        Item::Part(part) => match shape {
            Shape::Raw => session.raw(&part.bytes),
            Shape::Json => write_json(session, source, &part),
            Shape::Lines(lines) => {
                let mut out = Vec::new();
                lines.write(&mut out, &source.name, part.at, &part.bytes);
                session.raw(&out)
            }
        },
        Item::Missed if matches!(shape, Shape::Json) => session.write_json_line(&json!({
            "process": source.name, "process_id": source.id, "missed": true,
        })),
        Item::Missed => note(session, &named("older lines were deleted before they were read")),
        Item::LeftOut => note(
            session,
            &named(
                "lines were left out of which the time, the stream or the run is not known: they are in no index",
            ),
        ),
        Item::Note(text) => note(session, &format!("({text})")),
        Item::Failed(failure) => {
            session.fail(&failure);
            Ok(())
        }
    }
}

/// Tells the human, behind what was shown before.
fn note(session: &mut Session<'_>, text: &str) -> Result<(), Stop> {
    session.flush()?;
    session.say(text)
}

/// One JSON object a line, for programs that read as it comes.
fn write_json(session: &mut Session<'_>, source: &Source, part: &Part) -> Result<(), Stop> {
    for line in part.bytes.split_inclusive(|b| *b == b'\n') {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        session.write_json_line(&json!({
            "process": source.name,
            "process_id": source.id,
            "stream": stream_name(part.stream),
            "run": part.run,
            "time": part.at.map(|at| at.to_string()),
            "line": line,
            "cursor": part.cursor,
        }))?;
    }
    Ok(())
}
