//! `list`: processes at a glance, of one daemon or of several, once or again and again.

mod choose;
mod watch;

use std::collections::HashMap;

use rpc::v1::{self, ListProcessesRequest, ProcessView};
use rpc::{Client, ClientError};
use serde_json::{Value, json};

use crate::UNREACHABLE;
use crate::args::{ListArgs, Output, Sort};
use crate::find::{self, Place};
use crate::render::table::{Look, Row, Usage};
use crate::render::{json, table};
use crate::report::{Failure, Session, Stop};
use crate::select::{Pick, pick};
use crate::units::duration;
use choose::{fits, sort};

pub(super) async fn run(session: &mut Session<'_>, args: ListArgs) -> Result<(), Stop> {
    // `-o json -q` asks for both: the document is the one that cannot be had otherwise.
    match session.global.output {
        Output::Table if args.quiet => session.global.output = Output::Name,
        Output::Table if args.wide => session.global.output = Output::Wide,
        _ => {}
    }
    let places = find::places(session.context, &session.global)?;
    match args.watch {
        Some(interval) => watch::run(session, &args, &places, interval).await,
        None => {
            let (rows, failures) = gather(session, &args, &places).await?;
            for failure in &failures {
                session.fail(failure);
            }
            // What could not be asked at all weighs more than a name that somewhere means nothing.
            if failures.iter().any(|failure| failure.code() == UNREACHABLE) {
                session.code = UNREACHABLE;
            }
            if rows.is_empty() && !session.json() {
                return nothing(session, &args);
            }
            let look = Look { now: session.now(), width: session.width(), wide: session.wide() };
            if session.json() {
                return session.write_json(&document(&rows, look));
            }
            let text = table::list(&rows, look, session.paint());
            session.show(&text)?;
            tell_of_reload(session, &places).await
        }
    }
}

/// On a terminal: says that the files on disk are not what is in force. Who looks at a healthy table would not think of it; a
/// program asks `status`, and is not to pay for the question.
async fn tell_of_reload(session: &mut Session<'_>, places: &[Place]) -> Result<(), Stop> {
    let [place] = places else { return Ok(()) };
    if session.context.width.is_none() {
        return Ok(());
    }
    let Ok(found) = find::reach(session.context, &session.global, place).await else { return Ok(()) };
    let mut client = found.client.with_timeout(Some(std::time::Duration::from_secs(2)));
    let Some(load) = client.status().await.ok().and_then(|status| status.last_reload) else { return Ok(()) };
    let Some(first) = load.problems.iter().find(|problem| problem.starts_with("error:")).filter(|_| !load.ok)
    else {
        return Ok(());
    };
    let first = first.lines().next().unwrap_or_default().trim_start_matches("error:").trim();
    session.say(&format!("\nnote: what the files say is not all in force: {first}; see pm-cli status"))
}

/// Says why the table is empty, unless an error has done so.
fn nothing(session: &mut Session<'_>, args: &ListArgs) -> Result<(), Stop> {
    if session.code != crate::DONE {
        return Ok(());
    }
    let narrowed = !args.names.is_empty()
        || !args.state.is_empty()
        || !args.group.is_empty()
        || args.unhealthy
        || args.failed;
    session.say(if narrowed {
        "no process is like that; pm-cli list shows all of them"
    } else {
        "no processes are defined\n\nhint: create one: pm-cli create test sleep 10 --auto-start, or write it into \
         processes.yaml and run: pm-cli reload-config"
    })
}

fn document(rows: &[Row], look: Look) -> Value {
    let processes: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut process = json::process(&row.process, look.now);
            if let Some(host) = &row.host {
                process["host"] = json!(host);
            }
            process
        })
        .collect();
    json!({ "processes": processes })
}

/// What the places answer, in their order, and what went wrong: a place that does not answer hides no other.
async fn gather(
    session: &Session<'_>,
    args: &ListArgs,
    places: &[Place],
) -> Result<(Vec<Row>, Vec<Failure>), Stop> {
    let mut asked = Vec::new();
    for place in places {
        let (context, global, place) = (session.context.clone(), session.global.clone(), place.clone());
        let (words, usage) = (args.names.clone(), needs_usage(session, args));
        let request = request(args);
        let several = places.len() > 1;
        let ask = async move {
            let found = find::reach(&context, &global, &place).await?;
            let mut answer = answer(found.client, request, &words, usage).await?;
            for row in &mut answer.rows {
                row.host = several.then(|| place.label.clone());
            }
            Ok::<Answer, Failure>(answer)
        };
        asked.push((several.then_some(&places[asked.len()].label), tokio::spawn(ask)));
    }
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for (host, ask) in asked {
        match ask.await.map_err(std::io::Error::other)? {
            Ok(answer) => {
                rows.extend(answer.rows);
                failures.extend(answer.failures.into_iter().map(|failure| failure.of(host)));
            }
            Err(failure) => failures.push(failure.of(host)),
        }
    }
    rows.retain(|row| fits(&row.process, args));
    sort(&mut rows, args.sort, args.reverse, session.now());
    Ok((rows, failures))
}

/// What one daemon says.
struct Answer {
    rows: Vec<Row>,
    /// Names that mean nothing there.
    failures: Vec<Failure>,
}

/// What the daemon is asked for. What a word means only shows in the whole list; all else it can leave out by itself.
fn request(args: &ListArgs) -> ListProcessesRequest {
    let view = ProcessView::Basic.into();
    if !args.names.is_empty() {
        return ListProcessesRequest { view, ..Default::default() };
    }
    // The one that is no state stands for a choice that nothing fits: that is found out here.
    let states = choose::states(args).into_iter().filter(|state| *state != v1::State::Unspecified);
    ListProcessesRequest {
        view,
        states: states.map(Into::into).collect(),
        groups: args.group.clone(),
        unhealthy: args.unhealthy,
        ..Default::default()
    }
}

async fn answer(
    mut client: Client,
    request: ListProcessesRequest,
    words: &[String],
    usage: bool,
) -> Result<Answer, ClientError> {
    let mut processes = client.list_where(request).await?;
    let mut failures = Vec::new();
    if !words.is_empty() {
        let mut named = Vec::new();
        for picked in pick(&processes, words) {
            match picked {
                Ok(Pick::Process(place)) => named.push(processes[place].clone()),
                // The daemon says what is wrong with it.
                Ok(Pick::Unclear(word)) => match client.get(&word).await {
                    Ok(process) => named.push(v1::Process { definition: None, ..process }),
                    Err(error) => failures.push(error.into()),
                },
                Err(failure) => failures.push(failure),
            }
        }
        processes = named;
    }
    let mut rows: Vec<Row> = processes.into_iter().map(|process| Row { process, ..Row::default() }).collect();
    if usage && !rows.is_empty() {
        match client.stats(Vec::new(), false).await {
            Ok(stats) => used(&mut rows, &stats.stats),
            // The list is worth more than a column of it; a daemon of before has no such call.
            Err(ClientError::Rejected(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Answer { rows, failures })
}

/// Adds what is used by those that run.
fn used(rows: &mut [Row], stats: &[v1::ProcessStats]) {
    let known: HashMap<&str, &v1::ProcessStats> = stats.iter().map(|s| (s.name.as_str(), s)).collect();
    for row in rows {
        row.usage = known.get(row.process.name.as_str()).filter(|stats| stats.pid.is_some()).map(|stats| {
            Usage { memory: stats.resident_bytes, cpu: stats.cpu.map(duration).unwrap_or_default() }
        });
    }
}

/// Whether somebody sees, or the order depends on, what processes use: finding it out costs the daemon a look at each.
fn needs_usage(session: &Session<'_>, args: &ListArgs) -> bool {
    session.wide() || matches!(args.sort, Sort::Memory | Sort::Cpu)
}
