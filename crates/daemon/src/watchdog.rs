//! systemd's watchdog, fed by the supervisor's loop itself.
//!
//! A timer that feeds a watchdog proves that a timer works. Here, each half of the interval, the supervisor is asked
//! through its inbox, and only the answer, given at the end of a turn, leads to WATCHDOG=1. A loop that hangs gives
//! none: systemd ends the daemon with SIGABRT, which leaves a core dump of where it hangs, and starts a new one.
//!
//! This is the one clock that ticks while nothing happens, and it is there only where the service manager asks for it.

use std::time::{Duration, Instant};

use libsystemd::daemon::NotifyState;
use supervisor::AliveFn;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

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

/// Asks each half of `limit` until the supervisor has ended.
pub(crate) async fn keep(limit: Duration, ask: impl Fn(AliveFn), tell: impl Fn(News)) {
    let mut ticks = tokio::time::interval(limit / 2);
    // A machine that was busy or asleep is asked once, not once for each tick that it missed.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let (answer, mut answered) = oneshot::channel();
        ask(Box::new(move || {
            // Nobody waits for it any more when the daemon ends.
            let _ended = answer.send(());
        }));
        let first = tokio::time::timeout(limit / 2, &mut answered).await;
        let late = first.is_err();
        let answer = match first {
            Ok(answer) => answer,
            Err(_) => {
                tell(News::Silent(asked.elapsed()));
                answered.await
            }
        };
        if answer.is_err() {
            tell(News::Ended);
            return;
        }
        tell(News::Alive);
        if late {
            tell(News::Back(asked.elapsed()));
        }
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
    fn watched() -> (tokio::runtime::Runtime, Receiver<AliveFn>, Receiver<News>) {
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (questions, asked) = channel();
        let (news, told) = channel();
        let ask = move |question| {
            let _until_the_test_is_over = questions.send(question);
        };
        let tell = move |what| {
            let _until_the_test_is_over = news.send(what);
        };
        io.spawn(keep(LIMIT, ask, tell));
        (io, asked, told)
    }

    #[test]
    fn it_is_fed_by_answers_alone() {
        let (_io, asked, told) = watched();
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
        let (_io, asked, told) = watched();
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
        let (_io, asked, told) = watched();
        drop(asked.recv().unwrap());
        let last = told.into_iter().last().expect("something was told");
        assert_eq!(last, News::Ended);
        assert!(asked.recv().is_err());
    }
}
