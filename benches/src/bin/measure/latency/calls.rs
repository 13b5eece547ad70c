//! Calls to a daemon over its Unix socket, and how long each took.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rpc::v1::{Process, ProcessView};
use rpc::{Client, ClientError, Target};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::home::Home;
use crate::table::percentile;

/// Calls of each kind.
const ROUNDS: usize = 500;
const CONNECT: Duration = Duration::from_secs(10);
const SENT: Duration = Duration::from_millis(200);
/// What is started and stopped.
const QUICK: &str = "quick";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    List,
    Get,
    Start,
    Stop,
}

/// In the order in which they are asked, in turns.
pub(super) const KINDS: [Kind; 4] = [Kind::List, Kind::Get, Kind::Start, Kind::Stop];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Get => "get",
            Self::Start => "start",
            Self::Stop => "stop",
        })
    }
}

/// How long each call took.
#[derive(Debug, Default)]
pub(super) struct Calls(BTreeMap<Kind, Vec<Duration>>);

/// Calls of one kind.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) count: usize,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) max: Duration,
}

impl Calls {
    pub(super) fn summary(&mut self, kind: Kind) -> Result<Summary> {
        let times = self.0.get_mut(&kind).context("no such calls were made")?;
        let mut at = |share| percentile(times, share);
        Ok(Summary { p50: at(0.5), p99: at(0.99), max: at(1.0), count: times.len() })
    }
}

/// A connection that stays.
pub(super) struct Caller {
    runtime: Runtime,
    client: Client,
}

impl Caller {
    pub(super) fn connect(home: &Home) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(Client::connect(&Target::Unix(home.socket()), CONNECT))?;
        Ok(Self { runtime, client })
    }

    /// Two thousand calls.
    pub(super) fn calls(&mut self) -> Result<Calls> {
        let mut calls = Calls::default();
        for _ in 0..ROUNDS {
            for kind in KINDS {
                let begin = Instant::now();
                self.runtime.block_on(ask(&mut self.client, kind)).with_context(|| kind.to_string())?;
                calls.0.entry(kind).or_default().push(begin.elapsed());
            }
        }
        Ok(calls)
    }

    /// Over the same connection. Returns when the request is on its way.
    pub(super) fn stop_in_the_background(
        &self,
        name: &'static str,
    ) -> JoinHandle<Result<Process, ClientError>> {
        let mut client = self.client.clone();
        let call = self.runtime.spawn(async move { client.stop(name).await });
        // The runtime has no thread of its own: nothing is sent when nobody waits for something.
        self.runtime.block_on(async { tokio::time::sleep(SENT).await });
        call
    }

    pub(super) fn join(&self, call: JoinHandle<Result<Process, ClientError>>) -> Result<()> {
        self.runtime.block_on(call)??;
        Ok(())
    }
}

async fn ask(client: &mut Client, kind: Kind) -> Result<(), ClientError> {
    match kind {
        Kind::List => client.list(ProcessView::Basic).await.map(drop),
        Kind::Get => client.get(QUICK).await.map(drop),
        Kind::Start => client.start(QUICK).await.map(drop),
        Kind::Stop => client.stop(QUICK).await.map(drop),
    }
}
