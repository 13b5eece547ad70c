//! `stats`: what processes use.

use std::time::Duration;

use rpc::Client;
use rpc::v1::{ListStatsResponse, ProcessView};

use crate::args::look::StatsArgs;
use crate::render::stats::{self, Before};
use crate::report::{Session, Stop};
use crate::select::{Pick, pick};

/// Between two looks, to tell what is used in a second.
const BETWEEN: Duration = Duration::from_millis(500);

pub(super) async fn run(session: &mut Session<'_>, args: StatsArgs) -> Result<(), Stop> {
    let mut client = session.connect().await?.client;
    let Some(names) = names(session, &mut client, &args.names.names).await? else { return Ok(()) };
    let named = !names.is_empty();
    let first = client.stats(names.clone(), false).await?;
    if args.once {
        return show(session, &first, None, named);
    }
    let mut before = Before::new(&first);
    tokio::time::sleep(BETWEEN).await;
    let Some(period) = args.watch else {
        let second = client.stats(names, false).await?;
        return show(session, &second, Some(&before), named);
    };
    let mut painted = Painter::new(session);
    loop {
        let sample = client.stats(names.clone(), false).await?;
        painted.show(session, &sample, &before, named)?;
        before = Before::new(&sample);
        tokio::time::sleep(period).await;
    }
}

/// The names that the words mean, all of them where there are none. `None` = none of them means any, which was said.
async fn names(
    session: &mut Session<'_>,
    client: &mut Client,
    words: &[String],
) -> Result<Option<Vec<String>>, Stop> {
    if words.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let processes = client.list(ProcessView::Basic).await?;
    let mut names = Vec::new();
    for picked in pick(&processes, words) {
        match picked {
            Ok(Pick::Process(place)) => names.push(processes[place].name.clone()),
            // The daemon says best what is wrong with it.
            Ok(Pick::Unclear(word)) => match client.get(&word).await {
                Ok(process) => names.push(process.name),
                Err(error) => {
                    session.fail(&error.into());
                }
            },
            Err(failure) => {
                session.fail(&failure);
            }
        }
    }
    Ok((!names.is_empty()).then_some(names))
}

fn show(
    session: &mut Session<'_>,
    sample: &ListStatsResponse,
    before: Option<&Before>,
    named: bool,
) -> Result<(), Stop> {
    if session.json() {
        return session.write_json(&stats::json(sample, before));
    }
    if !named && sample.stats.iter().all(|stats| stats.run == 0) {
        return session.say("nothing runs\n\nhint: pm-cli list shows what is defined");
    }
    let text = stats::table(sample, before, named, session.context.width, session.paint());
    session.show(&text)
}

/// Shows one table after the other: in the place of the one before on a terminal, below it elsewhere.
struct Painter {
    terminal: bool,
    first: bool,
}

impl Painter {
    fn new(session: &Session<'_>) -> Self {
        Self { terminal: session.context.width.is_some(), first: true }
    }

    fn show(
        &mut self,
        session: &mut Session<'_>,
        sample: &ListStatsResponse,
        before: &Before,
        named: bool,
    ) -> Result<(), Stop> {
        let first = std::mem::replace(&mut self.first, false);
        if session.json() {
            session.write_json_line(&stats::json(sample, Some(before)))?;
            return session.flush();
        }
        if !self.terminal {
            let gap = if first { "" } else { "\n" };
            let text = stats::table(sample, Some(before), named, None, session.paint());
            session.show(&format!("{gap}{text}"))?;
            return session.flush();
        }
        // Its size may have changed.
        let (width, height) = super::top::size();
        let text = stats::table(sample, Some(before), named, Some(width), session.paint());
        let mut lines: Vec<&str> = text.lines().collect();
        let room = height.saturating_sub(1).max(1);
        let more =
            format!("… and {} more: pm-cli top scrolls", lines.len().saturating_sub(room.saturating_sub(1)));
        if lines.len() > room {
            lines.truncate(room.saturating_sub(1));
            lines.push(&more);
        }
        let text = session.paint().finish(&lines.join("\n"));
        let clear = if first { "\x1b[2J" } else { "" };
        // Each line is written over the old one and the rest of it erased: nothing is blank in between.
        session.raw(format!("{clear}\x1b[H{}\x1b[K\n\x1b[J", text.replace('\n', "\x1b[K\n")).as_bytes())?;
        session.flush()
    }
}
