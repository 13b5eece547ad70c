//! `why`: explains the state of processes, down to the cause.

use std::collections::HashMap;
use std::time::Duration;

use rpc::v1;
use rpc::{Client, ClientError};
use serde_json::json;

use crate::args::Names;
use crate::render::why::{self, Facts, Link, Printed};
use crate::report::{Session, Stop};
use crate::verb::known::known;

/// Lines of output that are shown.
const LINES: u32 = 10;
/// Of each line; the rest is cut. A log may hold lines of 256 KiB.
const LONGEST: usize = 500;
/// What is read of one log at most. More than that is cut: the end of a log with such lines can wait for `logs`.
const MOST: usize = 16 * 1024 * 1024;
/// Reading ten lines takes milliseconds; a disk that hangs must not hide everything else that is known.
const PATIENCE: Duration = Duration::from_secs(5);
/// Logs that are read. A chain may be as long as there are processes; the first ones are near to what was asked for.
const LOGS: usize = 32;

pub(super) async fn run(session: &mut Session<'_>, names: Names) -> Result<(), Stop> {
    let mut found = session.connect().await?;
    let (processes, places) = known(session, &mut found.client, &names).await?;
    let chains: Vec<Link> = places.iter().map(|place| why::chain(&processes, *place)).collect();
    let mut wanted = Vec::new();
    chains.iter().for_each(|chain| failed(chain, &processes, &mut wanted));
    let mut reads = Vec::new();
    for (i, place) in wanted.into_iter().enumerate() {
        let name = processes[place].name.clone();
        if i < LOGS {
            reads.push((place, Ok(tokio::spawn(output(found.client.clone(), name)))));
        } else {
            reads.push((place, Err(format!("see pm-cli logs {name}"))));
        }
    }
    let mut printed = HashMap::new();
    for (place, read) in reads {
        let outcome = match read {
            Ok(read) => read.await.map_err(std::io::Error::other)?,
            Err(why) => Printed::Unknown(why),
        };
        printed.insert(place, outcome);
    }
    let clock = session.clock();
    let facts = Facts { processes: &processes, printed: &printed, now: &clock };
    if session.json() {
        let chains: Vec<_> = chains.iter().map(|chain| why::json(chain, &facts)).collect();
        return session.write_json(&json!({ "processes": chains }));
    }
    for (i, chain) in chains.iter().enumerate() {
        let gap = if i == 0 { "" } else { "\n" };
        let text = why::text(chain, &facts, session.paint());
        session.show(&format!("{gap}{text}"))?;
    }
    Ok(())
}

/// The places of those whose output may tell something, each once.
fn failed(link: &Link, processes: &[v1::Process], found: &mut Vec<usize>) {
    if let Some(place) = link.place
        && !found.contains(&place)
        && why::output_helps(&processes[place])
    {
        found.push(place);
    }
    link.causes.iter().for_each(|cause| failed(cause, processes, found));
}

async fn output(client: Client, name: String) -> Printed {
    match tokio::time::timeout(PATIENCE, last_lines(client, name)).await {
        Ok(Ok(lines)) => Printed::Lines(lines),
        Ok(Err(ClientError::Rejected(rejection))) if rejection.reason == "ROLE_TOO_LOW" => {
            Printed::Unknown("your role may not read logs".to_owned())
        }
        Ok(Err(error)) => Printed::Unknown(error.to_string()),
        Err(_) => Printed::Unknown(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// The last lines; where the two streams have a file each, those of both.
async fn last_lines(mut client: Client, name: String) -> Result<Vec<String>, ClientError> {
    let request = v1::StreamLogsRequest { name, lines: Some(LINES), ..Default::default() };
    let mut logs = client.logs(request).await?;
    let mut data = Vec::new();
    while let Some(chunk) = logs.next().await? {
        data.extend_from_slice(&chunk.data);
        if data.len() > MOST {
            break;
        }
    }
    let data = data.strip_suffix(b"\n").unwrap_or(&data);
    if data.is_empty() {
        return Ok(Vec::new());
    }
    Ok(data.split(|b| *b == b'\n').map(shortened).collect())
}

fn shortened(line: &[u8]) -> String {
    // A character has up to four bytes.
    let start = &line[..line.len().min(LONGEST * 4)];
    let text = String::from_utf8_lossy(start);
    let mut shown: String = text.chars().take(LONGEST).collect();
    if start.len() < line.len() || text.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_on_a_character() {
        assert_eq!(shortened(b"abc"), "abc");
        assert_eq!(shortened(b"a\xffb"), "a\u{fffd}b");
        let cut = shortened("☃".repeat(600).as_bytes());
        assert_eq!((cut.chars().count(), cut.ends_with("☃…")), (LONGEST + 1, true));
        let exact = "x".repeat(LONGEST);
        assert_eq!(shortened(exact.as_bytes()), exact);
        assert!(shortened(&vec![b'x'; 1 << 20]).ends_with("x…"));
    }
}
