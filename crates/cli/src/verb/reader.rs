//! Whoever follows something in a pipe ends when nobody reads the pipe any more.
//!
//! A write would tell, but nothing may happen for hours: `pm-cli logs -f web | head -1`.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Between two looks whether somebody still reads.
const LOOK: Duration = Duration::from_secs(1);

/// Ends once nobody reads standard output any more.
pub(super) async fn gone() {
    loop {
        tokio::time::sleep(LOOK).await;
        let out = io::stdout();
        let mut gone = [PollFd::new(&out, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut gone, Some(&now)).is_ok() && gone[0].revents().contains(PollFlags::ERR) {
            return;
        }
    }
}
