//! Whether those who look on delay what they look at: restarts with a hundred watchers of events and a hundred followers
//! of a log, beside restarts without, in turns.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use rpc::{Client, Target, v1};
use testkit::TempDaemon;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::Options;
use crate::daemon;
use crate::restart::kill_one;
use crate::table::{Table, percentile};

/// Of each of the two.
const LOOKERS: usize = 100;
/// Kills in each turn.
const KILLS: usize = 100;
/// Between two kills: twenty restarts a second.
const PAUSE: Duration = Duration::from_millis(50);
const CONNECT: Duration = Duration::from_secs(10);

/// Everybody who looks on; they stop when it is dropped.
#[derive(Debug)]
struct Audience {
    _end: oneshot::Sender<()>,
    seen: JoinHandle<Result<usize>>,
}

pub(crate) fn measure(table: &mut Table, options: &Options) -> Result<()> {
    table.title(&format!("restarts beside {LOOKERS} watchers and {LOOKERS} followers"));
    let daemon = daemon::idle();
    let definition = "{command: sh -c 'echo began; exec sleep 100000', restart: always, restart_sec: 0, start_limit_burst: 0}";
    daemon.write_config(&daemon::config(1, definition));
    daemon.signal(Signal::SIGHUP);
    daemon::await_children(&daemon, 1);
    let (mut alone, mut watched, mut seen) = (Vec::new(), Vec::new(), 0);
    for _ in 0..options.rounds {
        alone.extend((0..KILLS).map(|_| kill_after_a_pause(&daemon)));
        let audience = Audience::open(&daemon)?;
        watched.extend((0..KILLS).map(|_| kill_after_a_pause(&daemon)));
        seen += audience.close()?;
    }
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)] {
        let what = format!("kill -9 to the next run, watched, beside alone, {name}");
        table.times(&what, percentile(&mut watched, share), percentile(&mut alone, share));
    }
    table.line(&format!("{} kills each; the audience was told {seen} events and lines", alone.len()));
    ensure!(seen > 0, "the audience saw nothing");
    Ok(())
}

/// Without the pause each kill would find the audience at work on the one before, and two processors busy with that.
fn kill_after_a_pause(daemon: &TempDaemon) -> Duration {
    thread::sleep(PAUSE);
    kill_one(daemon.pid())
}

impl Audience {
    /// Returns when all of them are connected and have had their first answer.
    fn open(daemon: &TempDaemon) -> Result<Self> {
        let socket = daemon.socket();
        let (end, ended) = oneshot::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let seen = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let (mut all, told) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
                for _ in 0..LOOKERS {
                    // A connection each, as so many programs would have.
                    let mut client = Client::connect(&Target::Unix(socket.clone()), CONNECT).await?;
                    let request = v1::WatchEventsRequest { follow: true, ..Default::default() };
                    let mut events = client.events(request).await?;
                    events.next().await?;
                    let count = Arc::clone(&told);
                    all.spawn(async move {
                        while let Ok(Some(news)) = events.next().await {
                            count.fetch_add(news.events.len(), Ordering::Relaxed);
                        }
                    });
                    let mut client = Client::connect(&Target::Unix(socket.clone()), CONNECT).await?;
                    let request = v1::StreamLogsRequest {
                        name: "p0".into(),
                        lines: Some(1),
                        follow: true,
                        ..Default::default()
                    };
                    let mut lines = client.logs(request).await?;
                    lines.next().await?;
                    let count = Arc::clone(&told);
                    all.spawn(async move {
                        while let Ok(Some(batch)) = lines.next().await {
                            count.fetch_add(batch.parts.len(), Ordering::Relaxed);
                        }
                    });
                }
                ready.send(())?;
                // An error means that whoever measures is gone, which is the end as well.
                drop(ended.await);
                all.shutdown().await;
                Ok(told.load(Ordering::Relaxed))
            })
        });
        is_ready.recv().context("the audience could not connect")?;
        Ok(Self { _end: end, seen })
    }

    fn close(self) -> Result<usize> {
        let Self { _end: end, seen } = self;
        drop(end);
        seen.join().ok().context("the audience panicked")?
    }
}
