//! The daemon's own facts: build, configuration, main loop, journal, listeners.

use crate::exporter::BuildInfo;
use crate::names::{
    BUILD_INFO, EVENTS_DROPPED, JOURNALD_CONNECTED, JOURNALD_ERRORS, LISTENER_UP, RELOAD_SUCCESSFUL,
    RELOAD_TIME, TURN_DURATION, TURN_LONGEST, TURN_TIME, TURNS,
};
use crate::source::DaemonFacts;
use crate::text::Text;

/// All facts.
pub(crate) fn write(facts: &DaemonFacts, build: BuildInfo, out: &mut Text) {
    out.family(&BUILD_INFO).add_free_text(&[build.version, build.revision], true);
    out.single(&RELOAD_SUCCESSFUL, facts.reload.successful);
    out.optional(&RELOAD_TIME, facts.reload.last_success);
    out.single(&TURNS, facts.turns.count);
    out.single(&TURN_TIME, facts.turns.total);
    out.single(&TURN_LONGEST, facts.turns.longest);
    let mut below = 0;
    let buckets = facts.turns.took.iter().map(|(bound, count)| {
        below += count;
        (bound.as_secs_f64(), below)
    });
    let (total, count) = (facts.turns.total.into(), facts.turns.count);
    out.family(&TURN_DURATION).add_histogram(&[], buckets, total, count);
    if let Some(journal) = facts.journal {
        out.single(&JOURNALD_CONNECTED, journal.connected);
        out.single(&JOURNALD_ERRORS, journal.errors);
        out.single(&EVENTS_DROPPED, journal.events_dropped);
    }
    let mut family = out.family(&LISTENER_UP);
    facts.listeners.iter().for_each(|l| family.add(&[l.name], l.up));
}
