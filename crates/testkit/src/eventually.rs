//! Waiting for something that another process does. The only place in the tests where anybody sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// Seconds that [`eventually`] waits at most; set it higher on a slow machine.
pub const PATIENCE_VARIABLE: &str = "PM_TEST_PATIENCE_SEC";

/// How long [`eventually`] waits: 10 s, or what [`PATIENCE_VARIABLE`] says.
///
/// # Panics
/// When the variable holds something else than a number of seconds.
#[must_use]
pub fn patience() -> Duration {
    match std::env::var(PATIENCE_VARIABLE) {
        Ok(text) => match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => panic!("{PATIENCE_VARIABLE}={text} is not a whole number of seconds"),
        },
        Err(_) => Duration::from_secs(10),
    }
}

/// Asks again and again until there is an answer, and gives it back.
///
/// # Panics
/// When there is none within [`patience`]; the message says `what` was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    let limit = patience();
    match eventually_within(limit, probe) {
        Some(answer) => answer,
        None => panic!("waited {limit:?} in vain for: {what} (longer: {PATIENCE_VARIABLE}=60)"),
    }
}

/// As [`eventually`], with a limit of its own and without a panic.
#[must_use]
pub fn eventually_within<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    // Most things that tests wait for take a millisecond; the pause grows so that the slow ones get the processor.
    let mut pause = Duration::from_millis(1);
    loop {
        // The clock is read first: the last look happens after the deadline, so a starved test still sees success.
        let late = Instant::now() >= deadline;
        if let Some(answer) = probe() {
            return Some(answer);
        }
        if late {
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_the_first_answer() {
        let mut asked = 0;
        let answer = eventually("three", || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(answer, 3);
    }

    #[test]
    fn looks_at_least_once_and_then_gives_up() {
        let mut asked = 0;
        let answer = eventually_within(Duration::ZERO, || {
            asked += 1;
            None::<()>
        });
        assert_eq!((answer, asked), (None, 1));
    }
}
