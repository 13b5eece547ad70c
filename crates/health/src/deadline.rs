//! The time that a check has, and how it is said.

use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// Longest time of a check: longer ones are cut to this, so that no arithmetic overflows.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// When a check, or a part of it, has to be over. Shown as the time it had in all: `5 s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Instant,
    had: Duration,
}

impl Deadline {
    /// This long from now, at most a day.
    pub(crate) fn after(timeout: Duration) -> Self {
        let had = timeout.min(LONGEST);
        Self { at: Instant::now() + had, had }
    }

    /// What `work` comes to; `None` when the time is up first.
    pub(crate) async fn bound<T>(self, work: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.at, work).await.ok()
    }

    /// An equal part of what is left, for the first of `parts`. The last one has all that is left.
    pub(crate) fn share(self, parts: usize) -> Self {
        if parts <= 1 {
            return self;
        }
        let left = self.at.saturating_duration_since(Instant::now());
        Self::after(left / u32::try_from(parts).unwrap_or(u32::MAX))
    }
}

/// `5 s`, `1.5 s`, `200 ms`
impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.had < Duration::from_secs(1) {
            write!(f, "{} ms", self.had.as_millis())
        } else {
            write!(f, "{} s", (self.had.as_secs_f64() * 1000.0).round() / 1000.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_is_said_as_people_say_it() {
        let said = |timeout| Deadline::after(timeout).to_string();
        assert_eq!(said(Duration::from_secs(5)), "5 s");
        assert_eq!(said(Duration::from_millis(1500)), "1.5 s");
        assert_eq!(said(Duration::from_millis(200)), "200 ms");
        assert_eq!(said(Duration::from_secs_f64(7.0 / 3.0)), "2.333 s");
        assert_eq!(said(Duration::ZERO), "0 ms");
        assert_eq!(said(Duration::MAX), "86400 s");
    }

    #[tokio::test(start_paused = true)]
    async fn shares_add_up_to_what_is_left() {
        let all = Deadline::after(Duration::from_secs(6));
        assert_eq!(all.share(3).to_string(), "2 s");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(all.share(2).to_string(), "2 s");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(all.share(1).at, all.at, "the last one may use what the others left over");
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(all.share(2).to_string(), "0 ms");
        assert_eq!(all.bound(std::future::pending::<()>()).await, None);
    }
}
