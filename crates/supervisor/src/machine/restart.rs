//! When to restart, after which delay, and when it has been too often.

use std::collections::VecDeque;
use std::time::Duration;

use model::{ExitReason, ExitStatus, HookKind, Mono, Reason, RestartPolicy, RestartSpec, SpawnFailure};

use super::rng::Rng;

/// Least delay after a start that did not get as far as executing its program. What it lacked (a descriptor, memory, a
/// disk that can be written to) is not there again within microseconds, and nobody's service comes back sooner by
/// thousands of tries a second, each with its line in the log.
const UNBORN_DELAY: Duration = Duration::from_secs(1);

/// How a run ended, as far as the restart policy cares.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ended {
    /// It ran and ended.
    Exit {
        /// How.
        status: ExitStatus,
        /// How long it had run.
        ran: Duration,
    },
    /// It never began.
    SpawnFailed(SpawnFailure),
    /// It was stopped because of this, or could not come up: a failure whatever its exit status.
    Failed {
        /// What went wrong.
        reason: Reason,
        /// How that is counted.
        counts: ExitReason,
        /// How its main process ended, where that is what went wrong.
        status: Option<ExitStatus>,
        /// How long it had run.
        ran: Duration,
    },
}

impl Ended {
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Exit { status, .. } => Reason::Exited(*status),
            Self::SpawnFailed(failure) => Reason::SpawnFailed(failure.clone()),
            Self::Failed { reason, .. } => reason.clone(),
        }
    }

    /// Whether its program was never executed.
    pub(super) fn is_unborn(&self) -> bool {
        match self {
            Self::SpawnFailed(_) => true,
            Self::Failed { reason, .. } => matches!(reason, Reason::HookFailed(HookKind::StartPre, _)),
            Self::Exit { .. } => false,
        }
    }

    pub(super) fn is_success(&self, spec: &RestartSpec) -> bool {
        match self {
            Self::Exit { status, .. } => spec.is_success(*status),
            Self::SpawnFailed(_) | Self::Failed { .. } => false,
        }
    }
}

/// Whether the policy asks for another run. A spawn that failed is a failure like any other.
pub(super) fn wanted(spec: &RestartSpec, ended: &Ended) -> bool {
    if let Ended::Exit { status, .. } | Ended::Failed { status: Some(status), .. } = ended
        && spec.prevent.iter().any(|m| m.matches(*status))
    {
        return false;
    }
    match spec.policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => !ended.is_success(spec),
        RestartPolicy::OnSuccess => ended.is_success(spec),
        RestartPolicy::Never => false,
    }
}

/// What a process remembers of its past starts.
#[derive(Debug, Default)]
pub(super) struct StartRecord {
    /// Unstable runs in a row.
    in_a_row: u32,
    /// Starts in a row that did not get as far as the program, up to now.
    unborn_in_a_row: u32,
    /// Times of the last starts, oldest first; at most `limit_burst` of them are kept.
    starts: VecDeque<Mono>,
}

impl StartRecord {
    /// An operator's start wipes the slate.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Notes a start.
    pub(super) fn started(&mut self, now: Mono, spec: &RestartSpec) {
        let keep = spec.limit_burst as usize;
        self.starts.push_back(now);
        while self.starts.len() > keep {
            self.starts.pop_front();
        }
    }

    /// Notes an end: a run that lasted makes the delay fall back to its base.
    pub(super) fn ended(&mut self, ended: &Ended, spec: &RestartSpec) {
        if let Ended::Exit { ran, .. } | Ended::Failed { ran, .. } = ended
            && *ran >= spec.stable_after
        {
            self.in_a_row = 0;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.unborn_in_a_row = if ended.is_unborn() { self.unborn_in_a_row.saturating_add(1) } else { 0 };
    }

    /// Whether one more start at `at` would be more than `limit_burst` within the window.
    pub(super) fn limit_reached(&self, at: Mono, spec: &RestartSpec) -> bool {
        let burst = spec.limit_burst as usize;
        let within = self.starts.iter().filter(|start| at.since(**start) < spec.limit_interval).count();
        burst > 0 && within >= burst
    }

    /// Delay before the next start: base, doubled for each unstable run in a row, capped, spread by the jitter. After a
    /// start that did not get as far as the program at least [`UNBORN_DELAY`], doubled for each of those in a row: what
    /// crashed before it, at once and often, does not count there.
    pub(super) fn delay(&self, spec: &RestartSpec, rng: &mut Rng) -> Duration {
        let most = spec.max_delay.max(spec.delay);
        let usual = doubled(spec.delay, self.in_a_row).min(most);
        if self.unborn_in_a_row == 0 {
            return spread(usual, spec.jitter, rng);
        }
        let least = doubled(UNBORN_DELAY, self.unborn_in_a_row).min(most.max(UNBORN_DELAY));
        spread(usual.max(least), spec.jitter, rng).max(UNBORN_DELAY)
    }
}

/// Once for the first, twice for the second, and so on.
fn doubled(base: Duration, in_a_row: u32) -> Duration {
    let doublings = in_a_row.saturating_sub(1).min(31);
    base.saturating_mul(u32::try_from(1_u64 << doublings).unwrap_or(u32::MAX))
}

/// Time in `crash_loop` before the next try: long enough that the window is empty again.
pub(super) fn cooldown(spec: &RestartSpec, ended: &Ended, rng: &mut Rng) -> Duration {
    let floor = if ended.is_unborn() { UNBORN_DELAY } else { Duration::ZERO };
    let least = spec.max_delay.max(spec.limit_interval).max(floor);
    // Spread upwards only: a shorter cool-down would meet a window that still counts the old starts.
    spread(least, spec.jitter, rng).max(least)
}

fn spread(delay: Duration, jitter: f64, rng: &mut Rng) -> Duration {
    if delay.is_zero() || jitter <= 0.0 {
        return delay;
    }
    let factor = 1.0 + jitter.min(1.0) * rng.signed_unit();
    Duration::try_from_secs_f64(delay.as_secs_f64() * factor).unwrap_or(delay)
}
