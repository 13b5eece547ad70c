//! The pure state machine: `step(now, input) -> effects`.

mod io;

use model::{Mono, ProcessName, ProcessView, Stamp};
use std::sync::Arc;

pub use io::{Effect, Input, Target, Ticket};

/// The process table and its rules.
#[derive(Debug)]
pub struct Machine {}

impl Machine {
    /// An empty table. `seed` feeds invocation ids and jitter.
    #[must_use]
    pub fn new(_seed: u64) -> Self {
        Self {}
    }

    /// Applies one input; effects are appended to `out` in the order in which they must be carried out.
    pub fn step(&mut self, _now: Stamp, _input: Input, _out: &mut Vec<Effect>) {}

    /// The earliest moment at which `Input::Deadline` must be delivered; `None` = sleep until something happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        None
    }

    /// The views that changed since the last call; `None` = the process left the table.
    pub fn take_changes(&mut self) -> Vec<(ProcessName, Option<Arc<ProcessView>>)> {
        Vec::new()
    }

    /// Inputs that belonged to an earlier run and were dropped.
    #[must_use]
    pub fn stale_inputs(&self) -> u64 {
        0
    }
}
