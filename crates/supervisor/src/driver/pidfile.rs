//! Waiting for pidfiles, on a thread of its own: reading a file takes as long as its file system likes.
//!
//! No polling: the directory is watched, and the file is read whenever it changes, until somebody is content with what
//! stands in it. While the directory is not there, the nearest one above it is watched. What is read is a claim of
//! whoever may write the file; the supervisor verifies it.

mod worker;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use model::{RunId, Wall};
use nix::sys::eventfd::{EfdFlags, EventFd};
use sys::watch::Watcher;

use super::Shared;
use worker::Worker;

/// What stands in a pidfile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A pid; `fresh` when the file was written after the run was about to be spawned.
    Pid {
        /// The pid.
        pid: u32,
        /// Not a leftover.
        fresh: bool,
    },
    /// Nothing, and nobody will tell when that changes: why.
    Unwatchable(String),
}

/// The pidfiles that are waited for. The thread is started with the first one, and is never waited for.
#[derive(Debug)]
pub(crate) struct Pidfiles {
    shared: Arc<Shared>,
    awaited: HashMap<RunId, PathBuf>,
    orders: Option<Arc<Orders>>,
}

/// What the thread is told.
#[derive(Debug)]
struct Orders {
    /// At most two per run that waits or has waited since the thread last looked.
    queue: Mutex<Vec<Order>>,
    wake: EventFd,
}

#[derive(Debug)]
enum Order {
    Watch { run: RunId, path: PathBuf, since: Wall },
    Forget(RunId),
    End,
}

impl Pidfiles {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, awaited: HashMap::new(), orders: None }
    }

    /// Reads the file, now and whenever it changes, until [`Pidfiles::forget`]. A [`Reading`] comes through the inbox
    /// each time that a pid stands in it. A file that was changed last before `since` is not fresh.
    ///
    /// # Errors
    /// When there is no thread or no inotify instance to be had.
    pub(crate) fn watch(&mut self, run: RunId, path: PathBuf, since: Wall) -> io::Result<()> {
        let orders = match &self.orders {
            Some(orders) => orders,
            None => self.orders.insert(start(Arc::clone(&self.shared))?),
        };
        self.awaited.insert(run, path.clone());
        orders.put(Order::Watch { run, path, since });
        Ok(())
    }

    /// The file that is waited for.
    pub(crate) fn path(&self, run: RunId) -> Option<&Path> {
        self.awaited.get(&run).map(PathBuf::as_path)
    }

    pub(crate) fn forget(&mut self, run: RunId) {
        if self.awaited.remove(&run).is_some()
            && let Some(orders) = &self.orders
        {
            orders.put(Order::Forget(run));
        }
    }
}

impl Drop for Pidfiles {
    fn drop(&mut self) {
        if let Some(orders) = &self.orders {
            orders.put(Order::End);
        }
    }
}

impl Orders {
    fn put(&self, order: Order) {
        self.lock().push(order);
        // It fails only when the counter is near 2^64, and then the reader is awake anyway.
        let _already_awake = self.wake.write(1);
    }

    fn take(&self) -> Vec<Order> {
        let _nothing_to_reset = self.wake.read();
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Order>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(shared: Arc<Shared>) -> io::Result<Arc<Orders>> {
    let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
    let orders = Arc::new(Orders { queue: Mutex::default(), wake });
    let worker = Worker::new(Arc::clone(&orders), Watcher::new()?);
    let report = move |run, reading| shared.inbox.pidfile(run, reading);
    Builder::new().name("pidfile".into()).spawn(move || worker.work(&report))?;
    Ok(orders)
}
