//! The pipeline's thread: who is captured, where it goes, and the order of the end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use model::{LogSpec, OutputSpec, ProcessName, ProcessRef, RunId, Stream};
use tokio::io::Interest;
use tokio::task::{JoinHandle, JoinSet, LocalSet};
use tokio::time::Instant;

use crate::console::ConsoleSink;
use crate::crlf::Crlf;
use crate::ends::log_path;
use crate::entry;
use crate::frame::Framer;
use crate::journal::Journal;
use crate::lines::{Compiler, Pending, Process, Route, Sinks};
use crate::mailbox::Message;
use crate::ready;
use crate::stats::Account;
use crate::store::{self, Limits, Store};
use crate::stream::{Buffer, Ending, Reader, StreamTask};
use crate::turns::Before;
use crate::{Config, Shared, Source};

/// Everything that lives on the thread.
struct Hub {
    dir: PathBuf,
    drain: Duration,
    shared: Arc<Shared>,
    sinks: Rc<Sinks>,
    buffer: Buffer,
    processes: HashMap<ProcessName, Rc<Process>>,
    compiler: Compiler,
    /// By path; a process has at most one per stream.
    stores: HashMap<PathBuf, (ProcessName, Rc<Store>)>,
    shared_by_stores: store::Shared,
    /// Each run until its streams have ended.
    runs: HashMap<RunId, Run>,
    /// Every running stream; each returns its run.
    streams: JoinSet<RunId>,
}

/// A run whose output is read.
struct Run {
    process: Rc<Process>,
    before: Before,
    /// Each belongs to its task and goes with it.
    streams: Vec<Weak<Ending>>,
}

/// The thread's main function. Returns after a shutdown.
pub(crate) fn run(config: &Config, shared: &Arc<Shared>, console: Option<ConsoleSink>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let local = LocalSet::new();
    let hub = Hub::new(config, shared, console);
    local.block_on(&runtime, hub.serve());
    Ok(())
}

impl Hub {
    fn new(config: &Config, shared: &Arc<Shared>, console: Option<ConsoleSink>) -> Self {
        let journal =
            config.journald.clone().map(|path| Rc::new(Journal::new(path, Arc::clone(&shared.ledger))));
        Self {
            dir: config.dir.clone(),
            drain: config.drain_deadline,
            shared: Arc::clone(shared),
            sinks: Rc::new(Sinks { journal, console: console.map(RefCell::new) }),
            buffer: Buffer::default(),
            processes: HashMap::new(),
            compiler: Compiler::default(),
            stores: HashMap::new(),
            shared_by_stores: store::Shared::default(),
            runs: HashMap::new(),
            streams: JoinSet::new(),
        }
    }

    async fn serve(mut self) {
        let sender = self.sinks.journal.clone().map(|journal| tokio::task::spawn_local(journal.run()));
        let shared = Arc::clone(&self.shared);
        let deadline = 'open: loop {
            let messages = tokio::select! {
                messages = shared.mailbox.take() => messages,
                // Ended streams are let go of at once, not at the next message.
                Some(ended) = self.streams.join_next() => {
                    if let Ok(run) = ended {
                        self.ended(run);
                    }
                    continue;
                }
            };
            for message in messages {
                match message {
                    Message::Attach(source) => self.attach(*source),
                    Message::Configure { process, output } => self.configure(&process, &output),
                    Message::Finished(run) => self.finished(run),
                    Message::Forget(name) => self.forget(&name),
                    Message::Event(event) => {
                        if let Some(journal) = &self.sinks.journal {
                            journal.event(&event);
                        }
                    }
                    Message::Reopen => self.stores.values().for_each(|(_, store)| store.reopen()),
                    Message::Shutdown(after) => break 'open Instant::now() + after,
                }
            }
        };
        self.shut_down(deadline, sender).await;
    }

    fn attach(&mut self, source: Source) {
        // A definition that came into force after this run was opened has set `log:` already.
        let process = self.process(&source.process, &source.output.log);
        let limits = Limits::from(&process.settings().spec);
        let before = process.over.before();
        let terminal = source.captured.terminal;
        let streams = [(Stream::Stdout, source.captured.stdout), (Stream::Stderr, source.captured.stderr)];
        for (stream, pipe) in streams {
            let path = log_path(&self.dir, &source.process.name, source.output.of(stream));
            let (Some(pipe), Some(path)) = (pipe, path) else { continue };
            let store = self.store(&source.process.name, &path, limits);
            let who = &source.process;
            let prefix = match &self.sinks.journal {
                Some(_) => entry::line_prefix(who, source.pid, source.number, source.invocation, stream),
                None => Box::default(),
            };
            let is_terminal = terminal && stream == Stream::Stdout;
            let account = Account { counts: self.shared.ledger.open(who), stream };
            let route = Route {
                process: Rc::clone(&process),
                account,
                run: source.number,
                store,
                sinks: Rc::clone(&self.sinks),
                prefix,
                pending: Pending::default(),
            };
            let reader = Reader {
                route,
                buffer: Rc::clone(&self.buffer),
                framer: Framer::default(),
                terminal: is_terminal.then(Crlf::default),
                // A terminal's size is the kernel's.
                raised: is_terminal,
                bytes: 0,
                ends: false,
            };
            if let Err(e) = self.spawn(source.run, pipe, &before, reader) {
                tracing::error!(process = %source.process.name, stream = stream.as_str(), error = %e,
                    "a stream can't be captured; its process will find its pipe closed");
            }
        }
    }

    fn spawn(&mut self, run: RunId, pipe: OwnedFd, before: &Before, reader: Reader) -> io::Result<()> {
        let pipe = ready::register(pipe, Interest::READABLE)?;
        let ending = Rc::new(Ending::default());
        let process = &reader.route.process;
        let known = self.runs.entry(run).or_insert_with(|| Run {
            process: Rc::clone(process),
            before: before.clone(),
            streams: Vec::new(),
        });
        known.streams.push(Rc::downgrade(&ending));
        let before = before.clone();
        self.streams.spawn_local(StreamTask { pipe, run, ending, before, reader }.run());
        Ok(())
    }

    fn configure(&mut self, process: &ProcessRef, output: &OutputSpec) {
        self.shared.ledger.open(process);
        let known = self.process(process, &output.log);
        self.apply(&known, &output.log);
    }

    /// `log:` applies to the running streams at once. The paths of `stdout:` and `stderr:` are those of the next run.
    fn apply(&mut self, process: &Process, log: &LogSpec) {
        // Settings that stay the same stay in place: lines that wait to be joined go on waiting.
        if !process.has(log) {
            process.set(self.compiler.compile(log));
            if let (Some(journal), Some(lane)) = (&self.sinks.journal, &process.lane) {
                journal.ask_again(lane);
            }
        }
        for (_, store) in self.stores.values().filter(|(name, _)| *name == process.who.name) {
            store.set_limits(Limits::from(log));
        }
    }

    fn process(&mut self, who: &ProcessRef, log: &LogSpec) -> Rc<Process> {
        if let Some(known) = self.processes.get(&who.name) {
            return Rc::clone(known);
        }
        let counts = self.shared.ledger.open(who);
        let lane = self.sinks.journal.as_ref().map(|j| j.lane(counts));
        if let Some(console) = &self.sinks.console {
            console.borrow_mut().introduce(&who.name);
        }
        let process = Rc::new(Process::new(who.clone(), self.compiler.compile(log), lane));
        self.processes.insert(who.name.clone(), Rc::clone(&process));
        process
    }

    fn store(&mut self, name: &ProcessName, path: &Path, limits: Limits) -> Rc<Store> {
        if let Some((_, store)) = self.stores.get(path) {
            return Rc::clone(store);
        }
        let tail = self.shared.tails.of(name, path);
        let store = Rc::new(Store::new(path, &self.dir, limits, tail, &self.shared_by_stores));
        self.stores.insert(path.to_owned(), (name.clone(), Rc::clone(&store)));
        store
    }

    fn finished(&mut self, run: RunId) {
        let Some(run) = self.runs.get(&run) else { return };
        let unread = run.process.over.add(&run.before);
        for ending in run.streams.iter().filter_map(Weak::upgrade) {
            ending.over(Rc::clone(&unread), self.drain);
        }
    }

    /// A stream of this run has ended, and its task is gone.
    fn ended(&mut self, run: RunId) {
        if let Some(known) = self.runs.get_mut(&run) {
            known.streams.retain(|ending| ending.strong_count() > 0);
            if known.streams.is_empty() {
                self.runs.remove(&run);
            }
        }
    }

    fn forget(&mut self, name: &ProcessName) {
        self.processes.remove(name);
        self.stores.retain(|_, (owner, _)| owner != name);
        self.shared.ledger.close(name);
        self.shared.tails.forget(name);
    }

    /// First the pipes to their end, then what waits for the sinks, each until the deadline.
    async fn shut_down(mut self, deadline: Instant, sender: Option<JoinHandle<()>>) {
        let left = deadline.saturating_duration_since(Instant::now());
        for ending in self.runs.values().flat_map(|run| &run.streams).filter_map(Weak::upgrade) {
            ending.set(left);
        }
        while self.streams.join_next().await.is_some() {}
        for (_, store) in self.stores.values() {
            if !store.retry() {
                tracing::error!(path = %store.path().display(), "lines could not be written to the log file and are lost");
                store.give_up();
            }
        }
        if let Some(journal) = &self.sinks.journal {
            // The journal gets a moment even when the pipes took all the time: the last events are the interesting ones.
            let until = deadline.max(Instant::now() + Duration::from_millis(200));
            if tokio::time::timeout_at(until, journal.flushed()).await.is_err() {
                journal.give_up();
            }
        }
        if let Some(sender) = sender {
            sender.abort();
        }
        // Enough for a block. A disk that syncs for longer keeps its draft, which the next daemon deletes.
        self.shared_by_stores.compressor.stop((Instant::now() + Duration::from_millis(200)).into_std());
        if let Some(console) = &self.sinks.console {
            console.borrow().close(deadline.max(Instant::now() + Duration::from_millis(200)).into_std());
        }
        self.shared.mailbox.close();
        self.shared.tails.clear();
    }
}

#[cfg(test)]
mod tests;
