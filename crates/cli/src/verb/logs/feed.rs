//! The lines of one process, over as many connections as it takes.
//!
//! A follower whose daemon went away waits for the next one and goes on exactly where it stopped. However many processes
//! are followed, one of them waits and tells; the others take the connection that it found.

use std::sync::Arc;
use std::time::Duration;

use model::Wall;
use rpc::{Client, ClientError, v1};
use tokio::sync::{Mutex, mpsc};

use crate::args::Global;
use crate::context::Context;
use crate::find;
use crate::report::Failure;
use crate::units::wall;

/// Messages between the connection and the screen. When the screen is slow, the daemon holds back this reader, and the
/// lines stay in their file.
const AHEAD: usize = 1;
/// Before each look whether there is a daemon again: from the first to the second, doubling.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What comes of one process. The end of the channel is its end.
#[derive(Debug)]
pub(super) enum Event {
    Lines(v1::StreamLogsResponse),
    /// To be told to the human.
    Note(String),
    /// It did not work, and nothing more comes.
    Failed(Failure),
}

/// The connection that all feeds share.
pub(super) struct Link {
    context: Context,
    global: Global,
    now: Mutex<(Client, u64)>,
}

impl Link {
    pub(super) fn new(context: Context, global: Global, client: Client) -> Self {
        Self { context, global, now: Mutex::new((client, 0)) }
    }

    /// A connection after the one with this number broke; `None` = nobody waits for it any more.
    async fn after(&self, broken: u64, why: &str, events: &mpsc::Sender<Event>) -> Option<(Client, u64)> {
        let mut now = self.now.lock().await;
        if now.1 == broken {
            events.send(Event::Note(format!("{why}; waiting for the daemon"))).await.ok()?;
            let mut delay = RETRY.0;
            let client = loop {
                // Before the first look, too: a daemon that ends still answers for a moment.
                if tokio::time::timeout(delay, events.closed()).await.is_ok() {
                    return None;
                }
                if let Some(client) = self.look().await {
                    break client;
                }
                delay = (delay * 2).min(RETRY.1);
            };
            *now = (client, broken + 1);
            events
                .send(Event::Note("connected again; going on behind the last line".to_owned()))
                .await
                .ok()?;
        }
        Some(now.clone())
    }

    /// A daemon that knows its processes and does not end.
    async fn look(&self) -> Option<Client> {
        let mut client = find::connect(&self.context, &self.global).await.ok()?.client;
        let ready = client.status().await.is_ok_and(|status| status.ready);
        ready.then_some(client)
    }
}

/// Starts to read.
pub(super) fn start(link: Arc<Link>, request: v1::StreamLogsRequest, now: Wall) -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut request = request;
        if request.follow {
            let end = request_end(&request, now);
            let followed = tokio::select! {
                followed = feed(&link, &mut request, &sender) => Some(followed),
                () = nothing_more(&link, end) => None,
            };
            if followed.is_some() {
                return;
            }
            // Nothing more can fit; what is written already may not have come yet.
            request.follow = false;
        }
        // An error means that nobody listens any more.
        let _gone = feed(&link, &mut request, &sender).await.is_none();
    });
    receiver
}

/// When no further line can fit, although somebody follows.
struct End {
    name: String,
    /// Number of the run that is asked for; 0 = all.
    run: u64,
    /// Until the moment that is asked for.
    until: Option<Duration>,
}

fn request_end(request: &v1::StreamLogsRequest, now: Wall) -> End {
    let until = request.until.as_ref().map(|until| wall(until).since(now));
    End { name: request.name.clone(), run: request.run, until }
}

/// Waits for the first of the two; for ever where nothing is asked for.
async fn nothing_more(link: &Link, end: End) {
    let late = async {
        match end.until {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let over = async {
        if end.run == 0 {
            std::future::pending::<()>().await;
        }
        while !run_is_over(link, &end).await {
            tokio::time::sleep(RETRY.1).await;
        }
    };
    tokio::select! {
        () = late => {}
        () = over => {}
    }
}

/// Waits for the end of the run where it is the live one. `false` = ask again: it has not begun, or nobody knows.
async fn run_is_over(link: &Link, end: &End) -> bool {
    let mut client = link.now.lock().await.0.clone();
    let Ok(process) = client.get(&end.name).await else { return false };
    let last = process.last_exit.as_ref().map_or(0, |exit| exit.run);
    match process.run.map(|run| run.number) {
        Some(live) if live == end.run => client.wait(&end.name, v1::WaitCondition::Exited).await.is_ok(),
        Some(live) => live > end.run,
        None => last >= end.run,
    }
}

async fn feed(link: &Link, request: &mut v1::StreamLogsRequest, events: &mpsc::Sender<Event>) -> Option<()> {
    let (mut client, mut number) = link.now.lock().await.clone();
    let mut began = false;
    loop {
        let ended = stream(&mut client, request, &mut began, events).await?;
        let why = match ended {
            Ok(()) if !request.follow => return Some(()),
            Ok(()) => match client.get(&request.name).await {
                Ok(_) => "the daemon ends".to_owned(),
                Err(error) if is_unknown(&error) => return deleted(&request.name, events).await,
                Err(error) => error.to_string(),
            },
            Err(error) if began && is_unknown(&error) => return deleted(&request.name, events).await,
            Err(error) if began && request.follow && is_outage(&error) => error.to_string(),
            Err(error) => {
                events.send(Event::Failed(error.into())).await.ok()?;
                return Some(());
            }
        };
        (client, number) = link.after(number, &why, events).await?;
    }
}

/// Hands on what comes over one connection, and remembers where it stopped.
async fn stream(
    client: &mut Client,
    request: &mut v1::StreamLogsRequest,
    began: &mut bool,
    events: &mpsc::Sender<Event>,
) -> Option<Result<(), ClientError>> {
    let mut logs = match client.logs(request.clone()).await {
        Ok(logs) => logs,
        Err(error) => return Some(Err(error)),
    };
    *began = true;
    loop {
        let lines = tokio::select! {
            lines = logs.next() => lines,
            () = events.closed() => return None,
        };
        match lines {
            Ok(Some(lines)) => {
                let cursor = lines.cursor.clone();
                events.send(Event::Lines(lines)).await.ok()?;
                // Afterwards: what was not handed on is read again.
                if !cursor.is_empty() {
                    request.after_cursor = cursor;
                }
            }
            Ok(None) => return Some(Ok(())),
            Err(error) => return Some(Err(error)),
        }
    }
}

async fn deleted(name: &str, events: &mpsc::Sender<Event>) -> Option<()> {
    events.send(Event::Note(format!("{name} was deleted"))).await.ok()
}

fn is_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::Rejected(rejection) if rejection.reason == "PROCESS_NOT_FOUND")
}

/// Whether a daemon that comes later may do better.
fn is_outage(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Lost(_) => true,
        ClientError::Rejected(rejection) => rejection.reason == "SHUTTING_DOWN",
        ClientError::TimedOut(_) => false,
    }
}
