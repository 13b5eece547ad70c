//! What `top` hears of the daemon. The screen never waits for it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::Wall;
use rpc::v1::{self, ProcessView};
use rpc::{Client, ClientError};
use tokio::sync::{Notify, mpsc};

use super::state::{Action, Page};
use crate::args::Global;
use crate::context::Context;
use crate::find;
use crate::render::{Paint, describe, standing};
use crate::report::Failure;
use crate::select::{Pick, pick};
use crate::verb::tail::{self, tail};
use crate::when;

/// A daemon that takes longer is told to be slow.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between the first two looks: CPU % needs two.
const FIRST: Duration = Duration::from_millis(500);
/// Lines of a log.
const LINES: u32 = 500;

/// What is heard.
#[derive(Debug)]
pub(super) enum News {
    Sample(Vec<v1::Process>, v1::ListStatsResponse, Wall),
    /// Why there is no sample.
    Trouble(String),
    Text(Page, String, Vec<String>),
    /// What came of an action.
    Note(String),
}

/// How the daemon is found, again and again.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) context: Context,
    pub(super) global: Global,
    pub(super) news: mpsc::Sender<News>,
    pub(super) look: Arc<Notify>,
}

impl Place {
    async fn connect(&self) -> Result<find::Found, Failure> {
        find::connect(&self.context, &self.global).await
    }

    /// Looks every now and then, and when somebody asks for it.
    pub(super) async fn watch(self, first: Client, words: Vec<String>, period: Duration) {
        let mut client = Some(first);
        let mut wait = FIRST.min(period);
        loop {
            let news = match tokio::time::timeout(PATIENCE, self.sample(&mut client, &words)).await {
                Ok(Ok(sample)) => sample,
                Ok(Err(failure)) => {
                    client = None;
                    let words: Vec<&str> = failure.message.split_whitespace().collect();
                    News::Trouble(format!("trying again: {}", words.join(" ")))
                }
                Err(_) => {
                    client = None;
                    News::Trouble(format!("trying again: no answer within {} s", PATIENCE.as_secs()))
                }
            };
            if self.news.send(news).await.is_err() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.look.notified() => {}
            }
            wait = period;
        }
    }

    async fn sample(&self, client: &mut Option<Client>, words: &[String]) -> Result<News, Failure> {
        let mut now = match client.take() {
            Some(client) => client,
            None => self.connect().await?.client,
        };
        let mut processes = now.list(ProcessView::Basic).await?;
        if !words.is_empty() {
            // A word that fits nothing any more shows nothing.
            let places: Vec<usize> = pick(&processes, words)
                .into_iter()
                .filter_map(|picked| match picked {
                    Ok(Pick::Process(place)) => Some(place),
                    Ok(Pick::Unclear(_)) | Err(_) => None,
                })
                .collect();
            processes = places.into_iter().map(|place| processes[place].clone()).collect();
        }
        // All of them: one that was deleted since the list was made must not spoil the rest.
        let usage = match now.stats(Vec::new(), false).await {
            Ok(usage) => usage,
            // An older daemon. States are worth something, too.
            Err(ClientError::Rejected(_)) => v1::ListStatsResponse::default(),
            Err(error) => return Err(error.into()),
        };
        *client = Some(now);
        Ok(News::Sample(processes, usage, clock()))
    }

    /// Does something to a process and tells what came of it.
    pub(super) async fn act(self, action: Action, name: String) {
        let note = match self.acted(action, &name).await {
            Ok(process) => format!("{name}: {}", standing(&process, Paint::new(false))),
            Err(failure) => line(&failure),
        };
        let _gone = self.news.send(News::Note(note)).await.is_err();
        self.look.notify_one();
    }

    async fn acted(&self, action: Action, name: &str) -> Result<v1::Process, Failure> {
        let mut client = self.connect().await?.client;
        Ok(match action {
            Action::Start => client.start(name).await?,
            Action::Stop => client.stop(name).await?,
            Action::Restart => client.restart(name).await?,
        })
    }

    /// Reads something about a process.
    pub(super) async fn read(self, page: Page, name: String) {
        let lines = match tokio::time::timeout(PATIENCE, self.page(page, &name)).await {
            Ok(Ok(lines)) => lines,
            Ok(Err(failure)) => vec![line(&failure)],
            Err(_) => vec![format!("no answer within {} s", PATIENCE.as_secs())],
        };
        let _gone = self.news.send(News::Text(page, name, lines)).await.is_err();
    }

    async fn page(&self, page: Page, name: &str) -> Result<Vec<String>, Failure> {
        let mut found = self.connect().await?;
        match page {
            Page::Details => {
                let process = found.client.get(name).await?;
                let journal = found.journal(self.context.uid).await;
                let at = when::Clock { now: clock(), zone: (self.context.zone)() };
                let text = describe::process(&process, &at, &journal, Paint::new(false));
                Ok(text.lines().map(str::to_owned).collect())
            }
            Page::Logs => {
                let lines = tail(&mut found.client, name, LINES).await?;
                if lines.is_empty() {
                    return Ok(vec!["it has printed nothing".to_owned()]);
                }
                let zone = (self.context.zone)();
                let shown = |line: &tail::Line| {
                    let at = line.at.map_or_else(|| "-".to_owned(), |at| when::local(at, &zone));
                    format!("{at:<0$} {1}", when::LOCAL_WIDTH, String::from_utf8_lossy(&line.text))
                };
                Ok(lines.iter().map(shown).collect())
            }
        }
    }
}

/// What does not work, on one line.
fn line(failure: &Failure) -> String {
    let what = failure.message.lines().next().unwrap_or_default();
    match failure.hint().lines().next() {
        Some(hint) => format!("{what} ({hint})"),
        None => what.to_owned(),
    }
}

/// The time now, as the daemon's clock would say it.
pub(super) fn clock() -> Wall {
    Wall::default().after(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// `12:03:04`, of the local zone where it is known.
pub(super) fn face(at: Wall, zone: &jiff::tz::TimeZone) -> String {
    let local = when::local(at, zone);
    let time = local.split_once(' ').and_then(|(_, time)| time.split_once('.'));
    time.map_or_else(|| at.to_string(), |(time, _)| time.to_owned())
}
