//! `status`: the daemon itself, or processes at a glance.

use std::time::Duration;

use rpc::{Client, ClientError, v1};
use serde_json::json;

use crate::args::Names;
use crate::args::look::StatusArgs;
use crate::render::status::process::{self, Facts, Printed, Style};
use crate::render::{json, status};
use crate::report::{Session, Stop};
use crate::verb::is_active::active;
use crate::verb::known::named;
use crate::verb::tail::tail;
use crate::{DONE, NOT_ACTIVE};

/// Lines of output of each process.
const LINES: u32 = 10;
/// A disk that hangs must not hide everything else that is known.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn run(session: &mut Session<'_>, args: StatusArgs) -> Result<(), Stop> {
    if args.names.is_empty() { daemon(session).await } else { processes(session, args.names).await }
}

async fn daemon(session: &mut Session<'_>) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let daemon = found.client.status().await?;
    if session.json() {
        return session.write_json(&json::status(&daemon, session.context.now));
    }
    let text = status::daemon(&daemon, &session.clock(), session.paint());
    session.show(&text)
}

async fn processes(session: &mut Session<'_>, names: Vec<String>) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let asked = named(session, &mut found.client, &Names { names }).await?;
    if session.code == DONE && !asked.iter().all(active) {
        session.code = NOT_ACTIVE;
    }
    let looks: Vec<_> =
        asked.into_iter().map(|process| tokio::spawn(look(found.client.clone(), process))).collect();
    let mut facts = Vec::new();
    for look in looks {
        facts.push(look.await.map_err(std::io::Error::other)?);
    }
    if session.json() {
        let all: Vec<_> = facts.iter().map(|facts| process::json(facts, session.context.now)).collect();
        return session.write_json(&json!({ "processes": all }));
    }
    let zone = (session.context.zone)();
    let style =
        Style { now: session.context.now, zone: &zone, width: session.context.width, paint: session.paint() };
    for (i, facts) in facts.iter().enumerate() {
        let gap = if i == 0 { "" } else { "\n" };
        session.show(&format!("{gap}{}\n", process::sheet(facts, &style)))?;
        session.raw(&process::output(facts, &style))?;
    }
    Ok(())
}

/// What a process uses and what it printed, both at the same time.
async fn look(mut client: Client, process: v1::Process) -> Facts {
    let mut other = client.clone();
    let usage = other.stats(vec![process.name.clone()], true);
    let printed = tail(&mut client, &process.name, LINES);
    let (usage, printed) =
        tokio::join!(tokio::time::timeout(PATIENCE, usage), tokio::time::timeout(PATIENCE, printed));
    let late = || format!("no answer within {} s", PATIENCE.as_secs());
    let stats = match usage {
        Ok(Ok(mut answer)) => answer.stats.pop().ok_or_else(|| "the daemon knows nothing of it".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(late()),
    };
    let printed = match printed {
        Ok(Ok(lines)) => Printed::Lines(lines),
        Ok(Err(ClientError::Rejected(rejection))) if rejection.reason == "ROLE_TOO_LOW" => {
            Printed::Unknown("your role may not read logs".to_owned())
        }
        Ok(Err(error)) => Printed::Unknown(error.to_string()),
        Err(_) => Printed::Unknown(late()),
    };
    Facts { process, stats, printed }
}
