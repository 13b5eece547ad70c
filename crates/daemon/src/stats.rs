//! Between the control API, which asks what processes use, and the metrics crate, which can read it.

use metrics::{LiveRun, Members, RunUsage};
use rpc::{ControlError, ErrorKind, Member, Stats, StatsRequest, Usage};
use supervisor::Containment;

use crate::clock;

/// Reads /proc for these processes. May take milliseconds: not for an I/O thread.
pub(crate) fn read(
    members: &Members,
    containment: &Containment,
    request: &StatsRequest,
) -> Result<Stats, ControlError> {
    let now = clock::now();
    let live = request.processes.iter().map(|view| {
        let run = view.run.as_ref()?;
        Some(LiveRun {
            main: run.pid,
            age: now.mono.since(run.started.mono),
            cgroup: containment.cgroup_of(&view.spec.name, run.invocation),
        })
    });
    let live: Vec<_> = live.collect();
    let usages = members.read(&live, request.members).map_err(|error| {
        ControlError::new(ErrorKind::Internal, format!("can't tell what processes use: {error}"))
            .with_hint("name fewer processes; the daemon's user has to see /proc")
    })?;
    Ok(Stats { at: now.wall, usages: usages.into_iter().map(usage).collect() })
}

fn usage(usage: RunUsage) -> Usage {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Usage {
        processes: small(usage.processes),
        resident_bytes: usage.resident_bytes,
        cpu: usage.cpu,
        main_resident_bytes: usage.main_resident_bytes,
        main_cpu: usage.main_cpu,
        threads: small(usage.threads),
        fds: usage.fds.map(small),
        io: usage.io,
        members: usage.members.into_iter().map(member).collect(),
    }
}

fn member(member: metrics::Member) -> Member {
    let metrics::Member { pid, parent, name, command_line, resident_bytes, cpu, started, state } = member;
    Member { pid, parent, name, command_line, resident_bytes, cpu, started, state }
}
