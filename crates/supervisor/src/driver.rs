//! The loop: wait, collect, step, apply, publish. This page is the whole supervisor; what decides is
//! [`machine`](crate::machine), what does is [`spawner`](crate::spawner) and [`containment`](crate::containment).
//!
//! One turn:
//!
//! 1. [`Poller::wait`] sleeps until something is ready or the machine's one deadline has come. Here and nowhere else
//!    does the thread block, and right after it is the clock read: one time for the whole turn.
//! 2. Everything that is ready becomes an [`Input`], and each input one [`Machine::step`], whose effects are carried
//!    out at once. Nothing in here waits: a start goes to a spawner, a signal is a system call. The order is that of what
//!    happened, as far as anybody can tell: what processes say, then their ends (before each, what it has still said),
//!    then results of what was begun, then what somebody asks for.
//! 3. The views that changed are published: once, however many inputs there were.
//! 4. Only now are observers told and callers answered, so that who hears of something finds it on the board.
//!
//! Exits are level-triggered: a pidfd stays readable until its process is reaped, so no exit can be lost or overtake
//! its own start ([`Runs::arm`] comes after `Spawned` was fed). What other threads have done comes through the inbox.

mod hear;
mod main_process;
mod pidfile;
mod probing;
mod turns;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use model::{Command, Event, Mono, Refusal, Reply, RunId, Stamp, Wall};
use nix::sys::signalfd::SignalFd;

use crate::board::Board;
use crate::containment::{Runs, Trace};
use crate::inbox::{AliveFn, Inbox, ReplyFn};
use crate::machine::{Effect, Input, Machine, Ticket};
use crate::notify::{self, Closer, Counts};
use crate::poller::{Poller, Token};
use crate::prober::Prober;
use crate::spawner::{Born, Change, Limited, Outcome, Spawned, Spawners};
use crate::stdio::{Observer, RunInfo, StdioProvider};
pub(crate) use pidfile::{Pidfiles, Reading};
pub(crate) use turns::Turns;

/// Callers who wait for an outcome at a time; the next one is refused with [`Refusal::Busy`]. Waiting costs some 100
/// bytes, so this guards against a client in a loop, not against a busy day.
const WAITING: usize = 4096;

/// Room that a queue between two turns keeps; what a burst needed beyond that is given back.
const KEPT: usize = 64;

/// What the supervisor's thread shares with the handles.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) inbox: Inbox,
    pub(crate) board: Board,
    pub(crate) turns: Turns,
    pub(crate) notices: Counts,
}

/// The supervisor's thread, as a value.
pub(crate) struct Driver {
    pub(crate) machine: Machine,
    pub(crate) runs: Runs,
    pub(crate) poller: Poller,
    pub(crate) children: SignalFd,
    pub(crate) spawners: Spawners,
    pub(crate) stdio: Arc<dyn StdioProvider>,
    pub(crate) prober: Arc<dyn Prober>,
    pub(crate) observer: Box<dyn Observer>,
    pub(crate) pidfiles: Pidfiles,
    pub(crate) closer: Closer,
    pub(crate) shared: Arc<Shared>,
    pub(crate) turn: Turn,
}

/// What lives from one turn to the next, beside the machine.
#[derive(Default)]
pub(crate) struct Turn {
    now: Stamp,
    replies: HashMap<Ticket, ReplyFn>,
    tickets: u64,
    /// What waits to be fed; empty between turns, and never more than what one socket says in one go
    /// ([`notify::LAST_WORDS`]) or the ends of one turn. An effect that is answered at once puts its answer here, so
    /// that it is fed after the effects beside it were carried out.
    inputs: VecDeque<Input>,
    /// Runs whose main process ended: looked at together, once a turn.
    ended: BTreeSet<RunId>,
    /// Runs whose leftovers changed: looked at once a turn, however many of them died.
    survey: BTreeSet<RunId>,
    /// Runs whose main process is only taken for it, and since when.
    guessed: HashMap<RunId, Mono>,
    /// Runs whose socket epoll had no memory for: tried again each turn.
    unheard: BTreeSet<RunId>,
    outbox: Vec<News>,
    /// Runs of which nothing is alive. Their output is drained from the end of the turn on: the thread that does so would be
    /// on the processor that the next run's spawner is about to take.
    finished: Vec<RunId>,
    /// Who asked whether the loop turns.
    alive: Option<AliveFn>,
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
            self.turn(&ready);
        }
        self.close();
    }

    /// Everything that is ready now.
    fn turn(&mut self, ready: &[Token]) {
        self.turn.now = clock();
        self.runs.new_turn();
        for run in std::mem::take(&mut self.turn.unheard) {
            self.listen(run);
        }
        ready.iter().for_each(|token| self.collect(*token));
        self.ends();
        self.settle();
        self.survey_leftovers();
        self.settle();
        if ready.contains(&Token::Inbox) {
            self.mail();
        }
        if self.machine.next_deadline().is_some_and(|at| at <= self.turn.now.mono) {
            self.feed(Input::Deadline);
        }
        self.publish();
        // Last: only a turn that came to its end proves that the loop turns.
        if let Some(answer) = self.turn.alive.take() {
            answer();
        }
        self.shared.turns.record(clock().mono.since(self.turn.now.mono), self.runs.looks());
    }

    /// Hears what was said, and notes where something ended.
    fn collect(&mut self, token: Token) {
        match token {
            Token::Inbox => {}
            Token::Notify(run) => {
                self.hear(run, notify::PER_TURN);
                self.settle();
            }
            Token::Main(run) => {
                self.turn.ended.insert(run);
            }
            Token::Former(run) => {
                if self.runs.former_ended(run, &self.poller) {
                    self.turn.survey.insert(run);
                }
            }
            Token::Leftover(run) => {
                self.turn.survey.insert(run);
            }
            Token::Children => {
                // One read is enough: however many died, the signal is there once, and another one is for the next turn.
                let _nothing_to_read = self.children.read_signal();
                self.runs.child_died().into_iter().for_each(|token| self.collect(token));
            }
            Token::Cgroup(run) => self.runs.cgroup_changed(run, &self.poller),
            Token::Memory(run) => self.count_oom_kills(run),
        }
    }

    /// What the kernel killed of a run. Fed before its end: that is explained by it.
    fn count_oom_kills(&mut self, run: RunId) {
        let kills = self.runs.oom_kills(run);
        if kills > 0 {
            self.turn.inputs.push_back(Input::OomKilled { run, kills });
        }
    }

    /// Main processes that ended. All of them before any step: what they left behind is looked up in one go.
    fn ends(&mut self) {
        let runs = std::mem::take(&mut self.turn.ended);
        for run in &runs {
            self.hear(*run, notify::LAST_WORDS);
            self.settle();
        }
        for end in self.runs.mains_ended(&runs, &self.poller) {
            self.count_oom_kills(end.run);
            if !self.forked_again(&end) {
                let (run, status, usage, leftovers) = (end.run, end.status, end.usage, end.leftovers);
                self.turn.inputs.push_back(Input::Exited { run, status, usage, leftovers });
            }
        }
    }

    fn survey_leftovers(&mut self) {
        let runs = std::mem::take(&mut self.turn.survey);
        for (run, pids) in self.runs.leftovers_changed(runs, &self.poller) {
            self.turn.inputs.push_back(Input::Leftovers { run, pids });
        }
    }

    /// What other threads have done, and what is asked. What already happened comes first.
    fn mail(&mut self) {
        let mail = self.shared.inbox.take();
        mail.outcomes.into_iter().for_each(|outcome| self.spawn_ended(outcome));
        for (run, reading) in &mail.pidfiles {
            self.pidfile_read(*run, reading);
            self.settle();
        }
        mail.probed.into_iter().for_each(|(run, result)| self.feed(Input::Probed { run, result }));
        mail.commands.into_iter().for_each(|(command, reply)| self.command(command, reply));
        self.turn.alive = mail.alive;
    }

    fn spawn_ended(&mut self, Outcome { run, result }: Outcome) {
        match result {
            Spawned::Born(born) => self.spawned(run, born),
            Spawned::Failed(failure) => {
                self.runs.unborn(run);
                self.feed(Input::SpawnFailed { run, failure });
            }
            Spawned::Skipped(condition) => {
                self.runs.unborn(run);
                self.feed(Input::Skipped { run, condition });
            }
            Spawned::Limited(limited) => self.limited(run, limited),
        }
    }

    fn limited(&mut self, run: RunId, Limited { limits, degraded }: Limited) {
        self.feed(Input::Limited { run, limits, degraded });
    }

    fn spawned(&mut self, run: RunId, born: Born) {
        let pid = born.child.pid;
        let limited = self.runs.born(run, born);
        self.feed(Input::Spawned { run, pid });
        if let Some(limited) = limited.filter(|limited| limited.degraded.is_some()) {
            self.limited(run, limited);
        }
        // After `Spawned`: the other way round, an exit in the same batch could come before the start.
        self.runs.arm(run, &self.poller);
        self.listen(run);
    }

    fn listen(&mut self, run: RunId) {
        if !self.runs.listen(run, &self.poller) {
            self.turn.unheard.insert(run);
        }
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

    fn feed(&mut self, input: Input) {
        self.turn.inputs.push_back(input);
        self.settle();
    }

    /// One step of the machine for each input that waits, and all that follows from it.
    fn settle(&mut self) {
        while let Some(input) = self.turn.inputs.pop_front() {
            let mut effects = std::mem::take(&mut self.turn.effects);
            self.machine.step(self.turn.now, input, &mut effects);
            effects.drain(..).for_each(|effect| self.apply(effect));
            effects.shrink_to(KEPT);
            self.turn.effects = effects;
        }
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn { run, number, invocation, spec, helper, first } => {
                let trace = helper.as_ref().map_or(Trace::Run(invocation), |helper| Trace::Helper(helper.id));
                self.runs.expect(run, trace, self.turn.now.wall);
                self.spawners.spawn(RunInfo { run, number, invocation, spec, helper, first });
            }
            Effect::FindMain { run, pidfile } => self.find_main(run, pidfile),
            Effect::Probe { run, probe, timeout } => self.probe(run, &probe, timeout),
            Effect::Signal { run, signal, target } => {
                // Whoever ends now was asked to.
                self.turn.guessed.remove(&run);
                self.runs.signal(run, signal, target);
            }
            Effect::Kill { run } => self.runs.kill(run),
            Effect::Release { run } => {
                self.pidfiles.forget(run);
                self.turn.guessed.remove(&run);
                if self.runs.release(run, &self.poller, &mut self.closer) {
                    self.turn.finished.push(run);
                }
            }
            Effect::Limit { run, process, invocation, old, new } => {
                self.spawners.limit(Change { run, process, invocation, old, new });
            }
            Effect::CleanUp { process, run } => self.spawners.clean_up(process, run),
            Effect::Configure { spec } => self.stdio.configure(&spec),
            Effect::Forget { name } => {
                self.end_outputs();
                self.stdio.forget(&name);
            }
            Effect::Emit(event) => self.turn.outbox.push(News::Event(event)),
            Effect::Reply { ticket, result } => self.turn.outbox.push(News::Answer(ticket, result)),
        }
    }

    /// Shows what changed, then tells those who want to know.
    fn publish(&mut self) {
        // Before anybody hears of an end, and may look for what was printed.
        self.end_outputs();
        let changes = self.machine.take_changes();
        let changed = !changes.is_empty();
        if changed || !self.turn.outbox.is_empty() {
            self.shared.board.publish(self.machine.seq(), changes);
        }
        if changed {
            self.observer.changed();
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
        self.turn.outbox.shrink_to(KEPT);
        self.turn.inputs.shrink_to(KEPT);
    }

    fn end_outputs(&mut self) {
        for run in self.turn.finished.drain(..) {
            self.stdio.finished(run);
        }
        self.turn.finished.shrink_to(KEPT);
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

#[cfg(test)]
mod tests;
