//! The daemon's own facts: build, configuration, main loop, journal, listeners.

use std::sync::Arc;

use super::{Collect, CollectError};
use crate::exporter::BuildInfo;
use crate::family::{Families, count, flag};
use crate::names::{
    BUILD_INFO, EVENTS_DROPPED, Group, JOURNALD_CONNECTED, JOURNALD_ERRORS, LISTENER_UP, RELOAD_SUCCESSFUL,
    RELOAD_TIME, TURN_LONGEST, TURN_TIME, TURNS,
};
use crate::source::Source;

/// Collector over [`Source::daemon`].
pub(crate) struct Daemon {
    /// Whom to ask.
    pub(crate) source: Arc<dyn Source>,
    /// What was built.
    pub(crate) build: BuildInfo,
}

impl Collect for Daemon {
    const GROUP: Group = Group::Daemon;

    fn collect(&self, out: &mut Families) -> Result<(), CollectError> {
        let facts = self.source.daemon();
        out.fill(&BUILD_INFO, 1, |f| f.add(&[self.build.version, self.build.revision], 1.0));
        out.single(&RELOAD_SUCCESSFUL, flag(facts.reload.successful));
        out.optional(&RELOAD_TIME, facts.reload.last_success.map(model::Wall::as_secs_f64));
        out.single(&TURNS, count(facts.turns.count));
        out.single(&TURN_TIME, facts.turns.total.as_secs_f64());
        out.single(&TURN_LONGEST, facts.turns.longest.as_secs_f64());
        if let Some(journal) = facts.journal {
            out.single(&JOURNALD_CONNECTED, flag(journal.connected));
            out.single(&JOURNALD_ERRORS, count(journal.errors));
            out.single(&EVENTS_DROPPED, count(journal.events_dropped));
        }
        out.fill(&LISTENER_UP, facts.listeners.len(), |f| {
            facts.listeners.iter().for_each(|l| f.add(&[l.name], flag(l.up)));
        });
        Ok(())
    }
}
