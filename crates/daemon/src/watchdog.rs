//! systemd's watchdog, fed by the supervisor's loop itself.
//!
//! A timer that feeds a watchdog proves that a timer works. Here, each half of the interval, the supervisor is asked
//! through its inbox, and only the answer, given at the end of a turn, leads to WATCHDOG=1. A loop that hangs gives
//! none: systemd ends the daemon with SIGABRT, which leaves a core dump of where it hangs, and starts a new one.
//!
//! This is the one clock that ticks while nothing happens, and it is there only where the service manager asks for it.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use libsystemd::daemon::NotifyState;
use supervisor::AliveFn;

use crate::systemd;

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The loop turns.
    Alive,
    /// It was asked this long ago and has not answered. Said once each time.
    Silent(Duration),
    /// It answered after all.
    Back(Duration),
    /// It has ended: there is nobody to ask any more.
    Ended,
}

/// Keeps asking in a thread of its own: whatever keeps the threads that serve clients busy must not end the daemon.
pub(crate) fn start(limit: Duration, ask: impl Fn(AliveFn) + Send + 'static) {
    let thread = std::thread::Builder::new().name("watchdog".into());
    if let Err(error) = thread.spawn(move || keep(limit, ask, report)) {
        tracing::error!(
            "can't start the thread that feeds the watchdog, which will end this daemon: {error}"
        );
    }
}

/// Asks each half of `limit` until the supervisor has ended.
fn keep(limit: Duration, ask: impl Fn(AliveFn), tell: impl Fn(News)) {
    let half = limit / 2;
    loop {
        let asked = Instant::now();
        let (answer, answered) = sync_channel(1);
        ask(Box::new(move || {
            // Nobody waits for it any more when the daemon ends.
            let _ended = answer.send(());
        }));
        let first = answered.recv_timeout(half);
        let late = first == Err(RecvTimeoutError::Timeout);
        if late {
            tell(News::Silent(asked.elapsed()));
        }
        if first == Err(RecvTimeoutError::Disconnected) || late && answered.recv().is_err() {
            tell(News::Ended);
            return;
        }
        tell(News::Alive);
        if late {
            tell(News::Back(asked.elapsed()));
        }
        // A machine that was busy or asleep is asked once, not once for each time that it missed.
        std::thread::sleep(half.saturating_sub(asked.elapsed()));
    }
}

/// Tells systemd, and people where it matters to them.
pub(crate) fn report(news: News) {
    match news {
        News::Alive => systemd::tell(&[NotifyState::Watchdog]),
        News::Silent(time) => {
            tracing::error!("the supervisor has not turned for {time:.1?}: the watchdog is not fed");
        }
        News::Back(time) => tracing::warn!("the supervisor turns again, after {time:.1?}"),
        News::Ended => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(20);

    /// A watchdog over a loop that is played by the test: what it is asked, and what is told.
    fn watched() -> (Receiver<AliveFn>, Receiver<News>) {
        let (questions, asked) = channel();
        let (news, told) = channel();
        let ask = move |question| {
            let _until_the_test_is_over = questions.send(question);
        };
        let tell = move |what| {
            let _until_the_test_is_over = news.send(what);
        };
        std::thread::spawn(move || keep(LIMIT, ask, tell));
        (asked, told)
    }

    #[test]
    fn it_is_fed_by_answers_alone() {
        let (asked, told) = watched();
        for _ in 0..3 {
            let answer = asked.recv().unwrap();
            assert!(!matches!(told.try_recv(), Ok(News::Alive)), "fed before the loop answered");
            answer();
            // A test machine may be slower than the limit, and then it says so, too.
            while told.recv().unwrap() != News::Alive {}
        }
    }

    #[test]
    fn a_loop_that_hangs_is_not_asked_twice_and_is_told_once() {
        let (asked, told) = watched();
        let answer = asked.recv().unwrap();
        assert!(matches!(told.recv().unwrap(), News::Silent(time) if time >= LIMIT / 2));
        assert!(asked.try_recv().is_err(), "asked again while it hangs");
        assert!(told.try_recv().is_err(), "told twice, or fed");
        answer();
        assert_eq!(told.recv().unwrap(), News::Alive);
        assert!(matches!(told.recv().unwrap(), News::Back(time) if time >= LIMIT / 2));
        assert!(asked.recv().is_ok(), "and it goes on");
    }

    #[test]
    fn it_ends_with_the_supervisor() {
        let (asked, told) = watched();
        drop(asked.recv().unwrap());
        let last = told.into_iter().last().expect("something was told");
        assert_eq!(last, News::Ended);
        assert!(asked.recv().is_err());
    }
}
