//! The daemon and its reloads as the API shows them.

use std::path::Path;

use model::{Change, Impact, Snapshot, State};

use super::{duration, process, timestamp};
use crate::{DaemonStatus, ListenerState, Role, v1};

pub(crate) fn status(
    status: DaemonStatus,
    snapshot: &Snapshot,
    ready: bool,
    log_dir: &Path,
    role: Role,
    epoch: &str,
) -> v1::DaemonStatus {
    let counts = State::ALL.into_iter().zip(snapshot.count_by_state());
    v1::DaemonStatus {
        version: status.version,
        pid: status.pid,
        uid: status.uid,
        start_time: Some(timestamp(status.started)),
        uptime: Some(duration(status.up)),
        ready,
        config_path: status.config_path.display().to_string(),
        last_reload: status.last_reload.map(|reload| v1::ReloadResult {
            time: Some(timestamp(reload.at)),
            ok: reload.ok(),
            problems: reload.problems,
        }),
        listeners: status
            .listeners
            .into_iter()
            .map(|listener| {
                let (state, error) = match listener.state {
                    ListenerState::Listening => (v1::ListenerState::Listening, None),
                    ListenerState::Failed(error) => (v1::ListenerState::Failed, Some(error)),
                    ListenerState::Disabled => (v1::ListenerState::Disabled, None),
                };
                v1::Listener { role: listener.role, address: listener.address, state: state.into(), error }
            })
            .collect(),
        processes: counts
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| v1::StateCount {
                state: process::state(state).into(),
                count: u32::try_from(count).unwrap_or(u32::MAX),
            })
            .collect(),
        event_seq: snapshot.seq.0,
        log_dir: log_dir.display().to_string(),
        caller_role: role.as_str().to_owned(),
        containment: status.containment,
        epoch: epoch.to_owned(),
        draining: status.draining,
        resident_bytes: status.resident_bytes.unwrap_or(0),
        state_dir: status.state_dir.display().to_string(),
    }
}

pub(crate) fn change(change: Change) -> v1::ConfigChange {
    let impact = match change.impact {
        Impact::None => v1::Impact::None,
        Impact::Hot => v1::Impact::Hot,
        Impact::Restart => v1::Impact::Restart,
        Impact::Start => v1::Impact::Start,
        Impact::Add => v1::Impact::Add,
        Impact::Stop => v1::Impact::Stop,
    };
    v1::ConfigChange {
        name: change.name.to_string(),
        impact: impact.into(),
        keys: change.keys.into_iter().map(str::to_owned).collect(),
    }
}
