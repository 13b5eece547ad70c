//! What holds for any bytes: the proptests of this crate and the fuzz targets of the workspace ask the same questions.
//!
//! Public only with the feature `fuzzing`, since what is asked about is not. Each function panics when it doesn't hold.

use crate::notify::{STATUS_MAX, parsed};

/// A datagram of sd_notify(3) is taken, whatever it holds, and what is shown of it is short and harmless.
///
/// # Panics
/// When it isn't.
pub fn notice(datagram: &[u8]) {
    let said = parsed(datagram);
    let status = said.notice.status.unwrap_or_default();
    assert!(status.len() <= STATUS_MAX && !status.contains(char::is_control), "{status:?}");
    assert_ne!(said.main_pid, Some(Some(0)), "no process has the pid 0");
}
