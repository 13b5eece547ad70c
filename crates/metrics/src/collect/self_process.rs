//! The standard `process_*` set for the daemon itself, from /proc/self.
//!
//! Not the library's process collector: that one cuts CPU time to whole seconds.

use std::sync::Arc;

use super::{Collect, CollectError};
use crate::family::{Families, count};
use crate::names::{
    Group, SELF_CPU, SELF_FDS, SELF_MAX_FDS, SELF_RESIDENT, SELF_START_TIME, SELF_THREADS, SELF_VIRTUAL,
};
use crate::proc::{ProcFs, Reader};

/// Collector over /proc/self.
pub(crate) struct SelfProcess {
    /// Where to read.
    pub(crate) proc: Arc<ProcFs>,
}

impl Collect for SelfProcess {
    const GROUP: Group = Group::SelfProcess;

    fn collect(&self, out: &mut Families) -> Result<(), CollectError> {
        let mut reader = Reader::new(&self.proc);
        let stat = reader.stat(&"self")?;
        out.single(&SELF_CPU, self.proc.seconds(stat.own_cpu_ticks()));
        out.optional(&SELF_RESIDENT, self.proc.pages(stat.resident_pages).map(count));
        out.single(&SELF_VIRTUAL, count(stat.virtual_bytes));
        out.single(&SELF_THREADS, count(stat.threads));
        out.single(&SELF_START_TIME, reader.own_start_time(&stat)?);
        out.single(&SELF_FDS, count(reader.open_fds(&"self")?));
        out.optional(&SELF_MAX_FDS, reader.max_fds()?.map(count));
        Ok(())
    }
}
