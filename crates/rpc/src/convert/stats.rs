//! Usage as the API shows it.

use model::ProcessView;

use super::{duration, timestamp};
use crate::{Member, Role, Stats, Usage, v1};

/// Longest command line of a member, in bytes.
const MAX_COMMAND_LINE: usize = 256;

/// `processes` are those that the statistics are of, in the same order.
pub(crate) fn stats<'a>(
    stats: Stats,
    processes: impl IntoIterator<Item = &'a ProcessView>,
    role: Role,
) -> v1::ListStatsResponse {
    let usages = processes.into_iter().zip(stats.usages);
    v1::ListStatsResponse {
        time: Some(timestamp(stats.at)),
        stats: usages.map(|(view, used)| usage(view, used, role)).collect(),
    }
}

fn usage(view: &ProcessView, usage: Usage, role: Role) -> v1::ProcessStats {
    let run = view.run.as_ref();
    v1::ProcessStats {
        name: view.spec.name.to_string(),
        process_id: view.spec.id.to_string(),
        run: run.map_or(0, |run| run.number.0),
        pid: run.and_then(|run| run.pid),
        processes: usage.processes,
        resident_bytes: usage.resident_bytes,
        cpu: Some(duration(usage.cpu)),
        main_resident_bytes: usage.main_resident_bytes,
        main_cpu: Some(duration(usage.main_cpu)),
        threads: usage.threads,
        fds: usage.fds,
        read_bytes: usage.io.map(|[read, _]| read),
        written_bytes: usage.io.map(|[_, written]| written),
        members: usage.members.into_iter().map(|one| member(one, role)).collect(),
    }
}

/// Arguments may hold what is not for everybody: whoever may only look gets the program's name.
fn member(member: Member, role: Role) -> v1::Member {
    let Member { pid, parent, name, command_line, resident_bytes, cpu, started, state } = member;
    let mut shown = if role == Role::Viewer || command_line.is_empty() { name } else { command_line };
    shown.truncate(shown.floor_char_boundary(MAX_COMMAND_LINE));
    v1::Member {
        pid,
        parent_pid: parent,
        command_line: shown,
        resident_bytes,
        cpu: Some(duration(cpu)),
        start_time: Some(timestamp(started)),
        state: state.to_string(),
    }
}
