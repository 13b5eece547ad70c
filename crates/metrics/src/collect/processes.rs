//! The managed processes as the supervisor's snapshot shows them.

use model::{ExitReason, HealthState, NextActionKind, State};

use crate::fleet::{Fleet, Row};
use crate::names::{
    PROCESS_BROKEN, PROCESS_EXITS, PROCESS_HEALTH, PROCESS_HEALTH_CHECKS, PROCESS_HEALTH_DURATION,
    PROCESS_HEALTH_FAILURES, PROCESS_INFO, PROCESS_LAST_EXIT_CODE, PROCESS_LAST_EXIT_TIME,
    PROCESS_NEXT_START, PROCESS_OOM_KILLS, PROCESS_RESTART_DELAY, PROCESS_RESTARTS, PROCESS_START_TIME,
    PROCESS_STARTS, PROCESS_STATE, PROCESS_STATE_TIME, PROCESS_UP, PROCESS_UPTIME, PROCESS_WANTED, PROCESSES,
};
use crate::text::Text;

/// Longest value of the labels `command` and `user` in bytes: both are free text of a definition.
const MAX_TEXT: usize = 128;

/// All of the snapshot.
pub(crate) fn write(fleet: &Fleet, out: &mut Text) {
    counts(fleet, out);
    definitions(fleet, out);
    states(fleet, out);
    runs(fleet, out);
}

fn counts(fleet: &Fleet, out: &mut Text) {
    let mut counts = [0_u64; State::ALL.len()];
    fleet.rows.iter().for_each(|row| counts[row.state as usize] += 1);
    let mut family = out.family(&PROCESSES);
    State::ALL.iter().for_each(|state| family.add(&[state.as_str()], counts[*state as usize]));
}

fn definitions(fleet: &Fleet, out: &mut Text) {
    let mut info = out.family(&PROCESS_INFO);
    for (_, row) in fleet.with(&PROCESS_INFO) {
        let spec = &row.view.spec;
        let user = bounded(spec.exec.user.as_deref().unwrap_or_default());
        let (id, policy) = (spec.id.to_string(), spec.restart.policy.as_str());
        info.add_free_text(&[fleet.name(row), &id, bounded(&spec.exec.program), user, policy], true);
    }
    fleet.each(out, &PROCESS_BROKEN, |_, r| Some(r.is_broken));
    fleet.each(out, &PROCESS_WANTED, |_, r| Some(r.wanted_up));
}

fn states(fleet: &Fleet, out: &mut Text) {
    let mut family = out.family(&PROCESS_STATE).by_first(State::ALL.map(|state| [state.as_str()]));
    for (_, row) in fleet.with(&PROCESS_STATE) {
        for (place, state) in State::ALL.into_iter().enumerate() {
            family.add(fleet.name(row), place, row.state == state);
        }
    }
    fleet.each(out, &PROCESS_STATE_TIME, |_, r| Some(r.since));
    let mut family = out.family(&PROCESS_HEALTH);
    for (_, row) in fleet.with(&PROCESS_HEALTH) {
        let Some(health) = row.health() else { continue };
        for state in HealthState::ALL {
            family.add(&[fleet.name(row), state.as_str()], health.state == state);
        }
    }
    fleet.each(out, &PROCESS_HEALTH_FAILURES, |_, r| r.health().map(|health| u64::from(health.failures)));
    let mut family = out.family(&PROCESS_HEALTH_CHECKS);
    for (_, row) in fleet.with(&PROCESS_HEALTH_CHECKS) {
        let Some(health) = row.health() else { continue };
        family.add(&[fleet.name(row), "passed"], health.passed);
        family.add(&[fleet.name(row), "failed"], health.failed);
    }
    fleet.each(out, &PROCESS_HEALTH_DURATION, |_, r| r.health()?.took);
    let next_start = |r: &Row| r.next.filter(|n| n.kind == NextActionKind::Start).map(|n| n.at);
    fleet.each(out, &PROCESS_RESTART_DELAY, |_, r| {
        Some(next_start(r).unwrap_or(fleet.now.wall).since(fleet.now.wall))
    });
    fleet.each(out, &PROCESS_NEXT_START, |_, r| next_start(r));
}

fn runs(fleet: &Fleet, out: &mut Text) {
    fleet.each(out, &PROCESS_UP, |_, r| Some(r.run().is_some()));
    fleet.each(out, &PROCESS_RESTARTS, |_, r| Some(r.counters.restarts));
    fleet.each(out, &PROCESS_STARTS, |_, r| Some(r.counters.starts));
    let mut family = out.family(&PROCESS_EXITS).by_first(ExitReason::ALL.map(|reason| [reason.as_str()]));
    for (_, row) in fleet.with(&PROCESS_EXITS) {
        for (place, n) in row.counters.exits.into_iter().enumerate() {
            family.add(fleet.name(row), place, n);
        }
    }
    fleet.each(out, &PROCESS_OOM_KILLS, |_, r| Some(r.counters.oom_kills));
    fleet.each(out, &PROCESS_START_TIME, |_, r| r.run().map(|(run, _)| run.started.wall));
    fleet.each(out, &PROCESS_UPTIME, |_, r| {
        Some(r.run().map_or_else(Default::default, |(run, _)| fleet.now.mono.since(run.started.mono)))
    });
    fleet.each(out, &PROCESS_LAST_EXIT_CODE, |_, r| {
        r.last_exit?.0.map(|status| u64::from(status.shell_code()))
    });
    fleet.each(out, &PROCESS_LAST_EXIT_TIME, |_, r| r.last_exit.map(|(_, at)| at));
}

/// The beginning of a text, at most [`MAX_TEXT`] bytes, cut between characters.
fn bounded(text: &str) -> &str {
    if text.len() <= MAX_TEXT {
        return text;
    }
    let end = (0..=MAX_TEXT).rev().find(|&i| text.is_char_boundary(i)).unwrap_or_default();
    &text[..end]
}
