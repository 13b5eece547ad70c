//! The pure machine with a table of processes that run.

use std::sync::Arc;

use model::{Command, Desired, Mono, RunId, Stamp, Wall};
use supervisor::machine::{Effect, Input, Machine, Ticket};

/// A table of running processes, and the runs in it.
#[must_use]
pub fn running(count: u32) -> (Machine, Vec<RunId>) {
    let mut machine = Machine::new(1);
    let mut out = Vec::new();
    let specs = (0..count).map(|n| Arc::new(crate::spec(n))).collect();
    let command = Command::Apply(Desired { specs, invalid: Vec::new() });
    machine.step(now(0), Input::Command { ticket: Ticket(0), command }, &mut out);
    let runs: Vec<RunId> = out.iter().filter_map(spawned).collect();
    for run in &runs {
        machine.step(now(0), Input::Spawned { run: *run, pid: 1 }, &mut out);
    }
    machine.take_changes();
    (machine, runs)
}

/// The run that an effect asks to spawn.
#[must_use]
pub fn spawned(effect: &Effect) -> Option<RunId> {
    match effect {
        Effect::Spawn { run, .. } => Some(*run),
        _ => None,
    }
}

/// So many nanoseconds after the beginning, on all clocks.
#[must_use]
pub fn now(nanos: u64) -> Stamp {
    Stamp { mono: Mono(nanos), wall: Wall(nanos) }
}
