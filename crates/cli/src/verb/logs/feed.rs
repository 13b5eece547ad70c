//! The lines of one process, over as many connections as it takes.
//!
//! A follower whose daemon went away waits for the next one and goes on exactly where it stopped. However many processes
//! are followed, one of them waits and tells; the others take the connection that it found.

use std::sync::Arc;
use std::time::Duration;

use rpc::{Client, ClientError, v1};
use tokio::sync::{Mutex, mpsc};

use crate::args::Global;
use crate::context::Context;
use crate::find;
use crate::report::Failure;

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
pub(super) fn start(link: Arc<Link>, request: v1::StreamLogsRequest) -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        // An error means that nobody listens any more.
        let _gone = feed(&link, request, &sender).await.is_none();
    });
    receiver
}

async fn feed(link: &Link, mut request: v1::StreamLogsRequest, events: &mpsc::Sender<Event>) -> Option<()> {
    let (mut client, mut number) = link.now.lock().await.clone();
    let mut began = false;
    loop {
        let ended = stream(&mut client, &mut request, &mut began, events).await?;
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
                if !lines.cursor.is_empty() {
                    request.after_cursor.clone_from(&lines.cursor);
                }
                events.send(Event::Lines(lines)).await.ok()?;
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
