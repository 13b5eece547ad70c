//! Which processes `list` shows, and in which order.

use std::cmp::Reverse;

use model::Wall;
use rpc::v1::{Process, State};

use crate::args::{ListArgs, Sort, StateArg};
use crate::render::table::{Row, unhealthy};
use crate::render::uptime;

/// The states that are asked for; none = any.
pub(super) fn states(args: &ListArgs) -> Vec<State> {
    let mut wanted: Vec<State> = args.state.iter().map(|state| state_of(*state)).collect();
    if args.failed {
        // A process that crashes slowly never leaves backoff: the start limit counts starts in ten seconds.
        let failed = [State::Backoff, State::CrashLoop, State::Failed, State::Invalid];
        if wanted.is_empty() {
            return failed.into();
        }
        wanted.retain(|state| failed.contains(state));
        // Both at once fit nothing, which is not the same as anything.
        if wanted.is_empty() {
            wanted.push(State::Unspecified);
        }
    }
    wanted
}

/// Whether it is asked for. This side decides, whatever the daemon has left out already: one that is older than a filter
/// does not know it.
pub(super) fn fits(process: &Process, args: &ListArgs) -> bool {
    let states = states(args);
    (states.is_empty() || states.contains(&process.state()))
        && (args.group.is_empty() || args.group.iter().any(|group| process.groups.contains(group)))
        && (!args.unhealthy || unhealthy(process))
}

fn state_of(state: StateArg) -> State {
    match state {
        StateArg::Stopped => State::Stopped,
        StateArg::Starting => State::Starting,
        StateArg::Running => State::Running,
        StateArg::Reloading => State::Reloading,
        StateArg::Stopping => State::Stopping,
        StateArg::Backoff => State::Backoff,
        StateArg::CrashLoop => State::CrashLoop,
        StateArg::Exited => State::Exited,
        StateArg::Failed => State::Failed,
        StateArg::Waiting => State::Waiting,
        StateArg::Invalid => State::Invalid,
        StateArg::Skipped => State::Skipped,
    }
}

/// Puts them into the order that is asked for; those that are equal stay by host and name.
pub(super) fn sort(rows: &mut [Row], by: Sort, reverse: bool, now: Wall) {
    match by {
        // As they came.
        Sort::Name => {}
        Sort::State => rows.sort_by_key(|row| urgency(&row.process)),
        // What does not run has no uptime and comes last.
        Sort::Uptime => rows.sort_by_key(|row| {
            let up = uptime(&row.process, now);
            (up.is_none(), up)
        }),
        Sort::Restarts => {
            rows.sort_by_key(|row| Reverse(row.process.counters.as_ref().map_or(0, |c| c.restarts)));
        }
        Sort::Memory => rows.sort_by_key(|row| Reverse(row.usage.map(|usage| usage.memory))),
        Sort::Cpu => rows.sort_by_key(|row| Reverse(row.usage.map(|usage| usage.cpu))),
    }
    if reverse {
        rows.reverse();
    }
}

/// What needs somebody first has the lowest number.
fn urgency(process: &Process) -> u8 {
    match process.state() {
        State::Invalid => 0,
        State::Failed => 1,
        State::CrashLoop => 2,
        State::Backoff => 3,
        State::Running if unhealthy(process) => 4,
        State::Waiting => 5,
        State::Stopping => 6,
        State::Starting => 7,
        State::Reloading => 8,
        State::Running => 9,
        State::Skipped => 10,
        State::Exited => 11,
        State::Stopped => 12,
        State::Unspecified => 13,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::ValueEnum as _;
    use rpc::v1::{Counters, Health, HealthState, Run};

    use super::*;
    use crate::render::state_word;
    use crate::render::table::Usage;

    fn process(name: &str, state: State) -> Process {
        Process { name: name.into(), state: state.into(), ..Process::default() }
    }

    #[test]
    fn every_state_of_the_api_can_be_asked_for() {
        for state in (1..64).filter_map(|n| State::try_from(n).ok()) {
            let word = state_word(state);
            let read = StateArg::from_str(&word, false).unwrap();
            assert_eq!(state_of(read), state, "{word}");
        }
    }

    #[test]
    fn filters_narrow_each_other() {
        let mut sick = process("a", State::Running);
        sick.groups = vec!["web".into(), "edge".into()];
        sick.health = Some(Health { state: HealthState::Unhealthy.into(), ..Health::default() });
        let failed = process("b", State::Failed);
        let all = ListArgs::default;
        for (args, expected) in [
            (all(), [true, true]),
            (ListArgs { unhealthy: true, ..all() }, [true, false]),
            (ListArgs { failed: true, ..all() }, [false, true]),
            (ListArgs { failed: true, unhealthy: true, ..all() }, [false, false]),
            (ListArgs { failed: true, state: vec![StateArg::Running], ..all() }, [false, false]),
            (
                ListArgs { failed: true, state: vec![StateArg::Failed, StateArg::Running], ..all() },
                [false, true],
            ),
            (ListArgs { state: vec![StateArg::Running, StateArg::CrashLoop], ..all() }, [true, false]),
            (ListArgs { group: vec!["edge".into(), "x".into()], ..all() }, [true, false]),
            (ListArgs { group: vec!["web".into()], state: vec![StateArg::Failed], ..all() }, [false, false]),
        ] {
            assert_eq!([fits(&sick, &args), fits(&failed, &args)], expected, "{args:?}");
        }
    }

    #[test]
    fn orders() {
        let run = |second| {
            Some(Run {
                pid: Some(1),
                start_time: Some(prost_types::Timestamp { seconds: second, nanos: 0 }),
                ..Run::default()
            })
        };
        let counters = |restarts| Some(Counters { restarts, ..Counters::default() });
        let mut rows = [
            Row {
                process: Process { run: run(10), counters: counters(1), ..process("a", State::Running) },
                ..Row::default()
            },
            Row { process: process("b", State::Failed), ..Row::default() },
            Row {
                process: Process { run: run(50), counters: counters(7), ..process("c", State::Backoff) },
                ..Row::default()
            },
        ];
        rows[0].usage = Some(Usage { memory: 5, cpu: Duration::from_secs(1) });
        rows[2].usage = Some(Usage { memory: 4, cpu: Duration::from_secs(2) });
        for (by, reverse, expected) in [
            (Sort::Name, false, "abc"),
            (Sort::Name, true, "cba"),
            (Sort::State, false, "bca"),
            (Sort::Uptime, false, "cab"),
            (Sort::Restarts, false, "cab"),
            (Sort::Memory, false, "acb"),
            (Sort::Cpu, false, "cab"),
            (Sort::Cpu, true, "bac"),
        ] {
            let mut sorted = rows.to_vec();
            sort(&mut sorted, by, reverse, Wall(100_000_000_000));
            let names: String = sorted.iter().map(|row| row.process.name.as_str()).collect();
            assert_eq!(names, expected, "{by:?} {reverse}");
        }
    }
}
