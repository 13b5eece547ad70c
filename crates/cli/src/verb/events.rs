//! `events`: what happened to processes, and what happens.
//!
//! A follower whose daemon went away waits for the next one and goes on behind the last event that it saw.

use std::io;
use std::time::Duration;

use model::Wall;
use rpc::v1::{self, ProcessView};
use rpc::{Client, ClientError};
use serde_json::json;

use crate::args::look::EventsArgs;
use crate::find;
use crate::render::event::{self, Lines};
use crate::report::{Failure, Session, Stop};
use crate::select::{Pick, pick};
use crate::units::wall;
use crate::verb::reader;
use crate::{USAGE, when};

/// Events that come first when nobody says how many.
const DEFAULT: u32 = 20;
/// Before each look whether there is a daemon again: from the first to the second, doubling.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

pub(super) async fn run(session: &mut Session<'_>, args: EventsArgs) -> Result<(), Stop> {
    let since = since(session, args.since.as_deref())?;
    let mut found = session.connect().await?;
    let names = names(session, &mut found.client, args.names.names).await?;
    let Some(names) = names else { return Ok(()) };
    let (epoch, after, last) = match (args.since_seq, args.lines) {
        (Some(place), _) => (place.epoch, Some(place.sequence), 0),
        // With a time all that the daemon knows is looked at, and those are shown that fit.
        (None, Some(u32::MAX)) | (None, None) if since.is_some() || args.lines.is_some() => {
            (String::new(), Some(0), 0)
        }
        (None, lines) => (String::new(), None, lines.unwrap_or(DEFAULT)),
    };
    let mut watch = Watch {
        request: v1::WatchEventsRequest {
            names,
            after_sequence: after,
            epoch,
            follow: args.follow,
            kinds: args.kinds,
            last,
        },
        lines: Lines::new((session.context.zone)(), session.paint()),
        since,
        began: false,
        shown: false,
    };
    if args.follow {
        // Nothing may happen for hours, and a write that tells of a closed pipe comes only then.
        tokio::select! {
            done = watch.all(session, found.client) => done?,
            () = reader::gone() => return Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
        }
    } else {
        watch.all(session, found.client).await?;
    }
    if !watch.shown && !session.json() {
        session.flush()?;
        session.say(
            "(no events that fit are known; older ones are in the journal: journalctl -u dd-procmgrd)",
        )?;
    }
    Ok(())
}

/// The moment that `--since` means.
fn since(session: &Session<'_>, text: Option<&str>) -> Result<Option<Wall>, Stop> {
    let Some(text) = text else { return Ok(None) };
    match when::parse(text, session.context.now, &(session.context.zone)()) {
        Ok(at) => Ok(Some(at)),
        Err(error) => Err(Failure::new(USAGE, format!("--since: {error}")).into()),
    }
}

/// The names of processes that the words mean. `None` = none of them means any, which was said.
async fn names(
    session: &mut Session<'_>,
    client: &mut Client,
    words: Vec<String>,
) -> Result<Option<Vec<String>>, Stop> {
    if !words.iter().any(|word| word.starts_with('@')) {
        return Ok(Some(words));
    }
    let processes = client.list(ProcessView::Basic).await?;
    let mut names = Vec::new();
    for picked in pick(&processes, &words) {
        match picked {
            Ok(Pick::Process(place)) => names.push(processes[place].name.clone()),
            Ok(Pick::Unclear(word)) => names.push(word),
            Err(failure) => {
                session.fail(&failure);
            }
        }
    }
    Ok((!names.is_empty()).then_some(names))
}

struct Watch {
    /// What to ask for next: it remembers where it stands.
    request: v1::WatchEventsRequest,
    lines: Lines,
    /// Earlier ones are left out.
    since: Option<Wall>,
    /// An answer came.
    began: bool,
    shown: bool,
}

impl Watch {
    /// Shows what comes, of one daemon after the other.
    async fn all(&mut self, session: &mut Session<'_>, mut client: Client) -> Result<(), Stop> {
        loop {
            let why = match self.stream(session, &mut client).await? {
                Ok(()) if !self.request.follow => return Ok(()),
                Ok(()) => "the daemon ends".to_owned(),
                Err(error) if self.began && self.request.follow && is_outage(&error) => error.to_string(),
                Err(error) => return Err(error.into()),
            };
            session.flush()?;
            session.say(&format!("({why}; waiting for the daemon)"))?;
            client = again(session).await;
            session.say("(connected again)")?;
        }
    }

    /// Shows what comes over one connection.
    async fn stream(
        &mut self,
        session: &mut Session<'_>,
        client: &mut Client,
    ) -> Result<Result<(), ClientError>, Stop> {
        let mut events = match client.events(self.request.clone()).await {
            Ok(events) => events,
            Err(error) => return Ok(Err(error)),
        };
        loop {
            let batch = match events.next().await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(Ok(())),
                Err(error) => return Ok(Err(error)),
            };
            self.show(session, &batch)?;
            self.began = true;
            self.request.after_sequence = Some(batch.sequence);
            self.request.epoch = batch.epoch;
            // A follower must see an event when it comes, not when a buffer is full.
            session.flush()?;
        }
    }

    fn show(&mut self, session: &mut Session<'_>, batch: &v1::WatchEventsResponse) -> Result<(), Stop> {
        let late = |event: &&v1::Event| match (self.since, &event.time) {
            (Some(since), Some(at)) => wall(at) >= since,
            _ => true,
        };
        let fit: Vec<v1::Event> = batch.events.iter().filter(late).cloned().collect();
        if batch.missed {
            if session.json() {
                session.write_json_line(&json!({ "missed": true, "epoch": batch.epoch }))?;
            } else {
                let what = if self.request.epoch.is_empty() || self.request.epoch == batch.epoch {
                    "events before these are no longer known"
                } else {
                    "the daemon was restarted, and its events begin anew"
                };
                session.flush()?;
                session
                    .say(&format!("({what}; the journal has the earlier ones: journalctl -u dd-procmgrd)"))?;
            }
        }
        self.shown |= !fit.is_empty();
        if session.json() {
            for event in &fit {
                session.write_json_line(&event::json(event, &batch.epoch))?;
            }
            return Ok(());
        }
        let text = self.lines.text(&fit);
        session.show(&text)
    }
}

/// Waits for a daemon that knows its processes and does not end.
async fn again(session: &Session<'_>) -> Client {
    let mut delay = RETRY.0;
    loop {
        // Before the first look, too: a daemon that ends still answers for a moment.
        tokio::time::sleep(delay).await;
        if let Ok(found) = find::connect(session.context, &session.global).await {
            let mut client = found.client;
            if client.status().await.is_ok_and(|status| status.ready) {
                return client;
            }
        }
        delay = (delay * 2).min(RETRY.1);
    }
}

/// Whether a daemon that comes later may do better.
fn is_outage(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Lost(_) => true,
        ClientError::Rejected(rejection) => rejection.reason == "SHUTTING_DOWN",
        ClientError::TimedOut(_) => false,
    }
}
