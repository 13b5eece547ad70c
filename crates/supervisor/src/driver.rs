//! The loop: wait, collect, step, apply, publish. This page is the whole supervisor; what decides is
//! [`machine`](crate::machine), what does is [`spawner`](crate::spawner) and [`containment`](crate::containment).
//!
//! One turn:
//!
//! 1. [`Poller::wait`] sleeps until something is ready or the machine's one deadline has come. Here and nowhere else
//!    does the thread block, and right after it is the clock read: one time for the whole turn.
//! 2. Everything that is ready becomes an [`Input`], and each input one [`Machine::step`], whose effects are carried
//!    out at once. Nothing in here waits: a start goes to a spawner, a signal is a system call.
//! 3. The views that changed are published: once, however many inputs there were.
//! 4. Only now are observers told and callers answered, so that who hears of something finds it on the board.
//!
//! Exits are level-triggered: a pidfd stays readable until its process is reaped, so no exit can be lost or overtake
//! its own start ([`Runs::arm`] comes after `Spawned` was fed). Results of spawns and commands come through the inbox.

mod turns;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use model::{Command, Event, Mono, Refusal, Reply, RunId, Stamp, Wall};
use nix::sys::signalfd::SignalFd;

use crate::board::Board;
use crate::containment::Runs;
use crate::inbox::{Inbox, ReplyFn};
use crate::machine::{Effect, Input, Machine, Ticket};
use crate::poller::{Poller, Token};
use crate::spawner::{Born, Outcome, Spawners};
use crate::stdio::{Observer, RunInfo, StdioProvider};
pub(crate) use turns::Turns;

/// Callers who wait for an outcome at a time; the next one is refused with [`Refusal::Busy`]. Waiting costs some 100
/// bytes, so this guards against a client in a loop, not against a busy day.
const WAITING: usize = 4096;

/// What the supervisor's thread shares with the handles.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) inbox: Inbox,
    pub(crate) board: Board,
    pub(crate) turns: Turns,
}

/// The supervisor's thread, as a value.
pub(crate) struct Driver {
    pub(crate) machine: Machine,
    pub(crate) runs: Runs,
    pub(crate) poller: Poller,
    pub(crate) children: SignalFd,
    pub(crate) spawners: Spawners,
    pub(crate) stdio: Arc<dyn StdioProvider>,
    pub(crate) observer: Box<dyn Observer>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) turn: Turn,
}

/// What lives from one turn to the next, beside the machine.
#[derive(Default)]
pub(crate) struct Turn {
    now: Stamp,
    replies: HashMap<Ticket, ReplyFn>,
    tickets: u64,
    /// Runs whose leftovers changed: looked at once a turn, however many of them died.
    survey: BTreeSet<RunId>,
    outbox: Vec<News>,
    /// Kept for its allocation.
    effects: Vec<Effect>,
    shut_down: bool,
}

/// Events and answers, held back until the board shows what they speak of.
enum News {
    Event(Event),
    Answer(Ticket, Result<Reply, Refusal>),
}

impl Driver {
    /// Until a [`Command::Shutdown`] has been answered.
    pub(crate) fn run(mut self) {
        let mut ready = Vec::new();
        while !self.turn.shut_down {
            self.poller.wait(clock().mono, self.machine.next_deadline(), &mut ready);
            self.turn.now = clock();
            self.runs.new_turn();
            for token in &ready {
                self.collect(*token);
            }
            self.survey_leftovers();
            if self.machine.next_deadline().is_some_and(|at| at <= self.turn.now.mono) {
                self.feed(Input::Deadline);
            }
            self.publish();
            self.shared.turns.record(clock().mono.since(self.turn.now.mono));
        }
        self.close();
    }

    /// Turns what became ready into inputs.
    fn collect(&mut self, token: Token) {
        match token {
            Token::Inbox => {
                let (commands, outcomes) = self.shared.inbox.take();
                // What already happened comes first.
                outcomes.into_iter().for_each(|outcome| self.spawn_ended(outcome));
                commands.into_iter().for_each(|(command, reply)| self.command(command, reply));
            }
            Token::Main(run) => {
                if let Some(end) = self.runs.main_ended(run, &self.poller) {
                    let (status, usage, leftovers) = (end.status, end.usage, end.leftovers);
                    self.feed(Input::Exited { run, status, usage, leftovers });
                }
            }
            Token::Leftover(run) => {
                self.turn.survey.insert(run);
            }
            Token::Children => {
                while let Ok(Some(_)) = self.children.read_signal() {}
                self.runs.child_died().into_iter().for_each(|token| self.collect(token));
            }
            Token::Cgroup(run) => self.runs.cgroup_changed(run, &self.poller),
        }
    }

    fn survey_leftovers(&mut self) {
        for run in std::mem::take(&mut self.turn.survey) {
            if let Some(pids) = self.runs.leftovers_changed(run, &self.poller) {
                self.feed(Input::Leftovers { run, pids });
            }
        }
    }

    fn spawn_ended(&mut self, Outcome { run, result }: Outcome) {
        match result {
            Ok(born) => self.spawned(run, born),
            Err(failure) => {
                self.runs.unborn(run);
                self.feed(Input::SpawnFailed { run, failure });
            }
        }
    }

    fn spawned(&mut self, run: RunId, born: Born) {
        let pid = born.child.pid;
        self.runs.born(run, born);
        self.feed(Input::Spawned { run, pid });
        // After `Spawned`: the other way round, an exit in the same batch could come before the start.
        self.runs.arm(run, &self.poller);
    }

    fn command(&mut self, command: Command, reply: ReplyFn) {
        if self.turn.replies.len() >= WAITING {
            reply(Err(Refusal::Busy));
            return;
        }
        self.turn.tickets += 1;
        let ticket = Ticket(self.turn.tickets);
        self.turn.replies.insert(ticket, reply);
        self.feed(Input::Command { ticket, command });
    }

    /// One step of the machine and all that follows from it.
    fn feed(&mut self, input: Input) {
        let mut effects = std::mem::take(&mut self.turn.effects);
        self.machine.step(self.turn.now, input, &mut effects);
        effects.drain(..).for_each(|effect| self.apply(effect));
        self.turn.effects = effects;
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { run, number, invocation, spec, helper, first } => {
                self.runs.expect(run, invocation);
                self.spawners.spawn(RunInfo { run, number, invocation, spec, helper, first });
            }
            Effect::FindMain { .. } | Effect::Probe { .. } => {}
            Effect::Signal { run, signal, target } => self.runs.signal(run, signal, target),
            Effect::Kill { run } => self.runs.kill(run),
            Effect::Release { run } => {
                if self.runs.release(run, &self.poller) {
                    self.stdio.finished(run);
                }
            }
            Effect::Configure { spec } => self.stdio.configure(&spec),
            Effect::Forget { name } => self.stdio.forget(&name),
            Effect::Emit(event) => self.turn.outbox.push(News::Event(event)),
            Effect::Reply { ticket, result } => self.turn.outbox.push(News::Answer(ticket, result)),
        }
    }

    /// Shows what changed, then tells those who want to know.
    fn publish(&mut self) {
        let changes = self.machine.take_changes();
        if !changes.is_empty() || !self.turn.outbox.is_empty() {
            self.shared.board.publish(self.machine.seq(), changes);
        }
        for news in self.turn.outbox.drain(..) {
            match news {
                News::Event(event) => self.observer.event(&event),
                News::Answer(ticket, result) => {
                    self.turn.shut_down |= matches!(result, Ok(Reply::ShutDown));
                    if let Some(reply) = self.turn.replies.remove(&ticket) {
                        reply(result);
                    }
                }
            }
        }
    }

    /// Everything is down. Whoever still waits came too late.
    fn close(self) {
        for (_, reply) in self.shared.inbox.close() {
            reply(Err(Refusal::ShuttingDown));
        }
        for (_, reply) in self.turn.replies {
            reply(Err(Refusal::ShuttingDown));
        }
        self.spawners.join();
    }
}

/// The only place where the supervisor learns the time.
fn clock() -> Stamp {
    let (mono, wall) = sys::clock::now();
    Stamp { mono: Mono(mono), wall: Wall(wall) }
}
