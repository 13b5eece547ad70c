//! Somebody who asks all the time: `pm-cli status`, again and again, with the longest that an answer took.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use testkit::{TempDaemon, binary};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// The thread that asks.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Calls>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    /// The whole command, its start included.
    pub(crate) worst: Duration,
    last_refusal: String,
}

impl Watch {
    pub(crate) fn start(daemon: &TempDaemon) -> Result<Self> {
        let (program, socket) = (binary("pm-cli")?, daemon.socket());
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let thread =
            thread::Builder::new().name("watch".into()).spawn(move || ask(&program, &socket, &flag))?;
        Ok(Self { over, thread })
    }

    /// However it went.
    pub(crate) fn end(self) -> Result<Calls> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the thread that asks has panicked"))
    }

    /// # Errors
    /// When one call was refused, or took longer than this.
    pub(crate) fn end_within(self, limit: Duration) -> Result<Calls> {
        let calls = self.end()?;
        ensure!(calls.answered > 0, "no call was answered");
        ensure!(calls.refused == 0, "{} control calls were refused: {}", calls.refused, calls.last_refusal);
        ensure!(calls.worst <= limit, "a control call took {:?}", calls.worst);
        Ok(calls)
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} control calls answered, the slowest in {} ms", self.answered, self.worst.as_millis())?;
        if self.refused > 0 {
            write!(f, ", {} refused", self.refused)?;
        }
        Ok(())
    }
}

fn ask(program: &PathBuf, socket: &PathBuf, over: &AtomicBool) -> Calls {
    let mut calls = Calls::default();
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let mut command = Command::new(program);
        command.arg("status").env_clear().env("PM_SOCKET", socket).stdin(Stdio::null());
        match command.output() {
            Ok(output) if output.status.success() => calls.answered += 1,
            Ok(output) => {
                calls.refused += 1;
                calls.last_refusal = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            }
            Err(error) => {
                calls.refused += 1;
                calls.last_refusal = error.to_string();
            }
        }
        calls.worst = calls.worst.max(begin.elapsed());
        thread::sleep(PAUSE);
    }
    calls
}
