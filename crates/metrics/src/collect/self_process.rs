//! The standard `process_*` set for the daemon itself, from /proc/self.
//!
//! Not the library's process collector: that one cuts CPU time to whole seconds.

use super::Collected;
use crate::names::{
    SELF_CPU, SELF_FDS, SELF_MAX_FDS, SELF_RESIDENT, SELF_START_TIME, SELF_THREADS, SELF_VIRTUAL,
};
use crate::proc::{ProcFs, Reader};
use crate::text::Text;

/// All of /proc/self.
pub(crate) fn write(proc: &ProcFs, out: &mut Text) -> Collected {
    let mut reader = Reader::new(proc);
    let stat = reader.stat("self")?;
    let stat = reader.exact("self", stat);
    out.single(&SELF_CPU, proc.time(stat.own_cpu_ticks()));
    out.optional(&SELF_RESIDENT, proc.pages(stat.resident_pages));
    out.single(&SELF_VIRTUAL, stat.virtual_bytes);
    out.single(&SELF_THREADS, stat.threads);
    out.single(&SELF_START_TIME, reader.own_start_time(&stat)?);
    out.single(&SELF_FDS, reader.open_fds("self")?);
    out.optional(&SELF_MAX_FDS, reader.max_fds("self")?);
    Ok(())
}
