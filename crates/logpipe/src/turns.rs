//! Whose turn it is: what a run has printed before its end is read before anything of the runs that came after that.
//!
//! Each run has pipes of its own, and which of two pipes is read first is chance. So a new run's streams wait for the
//! runs of their process that were over before it began: until each of their pipes was found empty once, or has
//! ended. Not longer: what somebody else who holds a pipe of a former run prints there later comes when it comes. Only
//! the reading waits, never the start, and runs that are beside each other (a process, its health check) do not wait
//! for each other.
//!
//! Bounds: a gate for each run that is over and not read out yet. A run's gate stands for those that it waits for
//! itself, so a chain of them is as long as its runs are many, and each link knows the one before.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

/// Opens once everything that a run has printed was read.
#[derive(Default)]
struct Gate {
    open: Cell<bool>,
    opened: Notify,
}

/// Shared by the streams of a run that is over; each lets go of it when it is read out, or ends in any other way.
pub(crate) struct Unread(Rc<Gate>);

impl Drop for Unread {
    fn drop(&mut self) {
        self.0.open.set(true);
        self.0.opened.notify_waiters();
    }
}

/// The runs that come before one.
#[derive(Clone, Default)]
pub(crate) struct Before(Vec<Rc<Gate>>);

impl Before {
    /// Waits until all of them are read out. May be dropped at any time and called again.
    pub(crate) async fn passed(&mut self) {
        while let Some(gate) = self.0.last() {
            // On one thread, so that nothing comes between the question and the wait.
            while !gate.open.get() {
                gate.opened.notified().await;
            }
            self.0.pop();
        }
    }
}

/// The runs of one process that are over and not read out.
#[derive(Default)]
pub(crate) struct Over(RefCell<Vec<Rc<Gate>>>);

impl Over {
    /// What a run that begins now comes after.
    pub(crate) fn before(&self) -> Before {
        let mut over = self.0.borrow_mut();
        over.retain(|gate| !gate.open.get());
        Before(over.clone())
    }

    /// A run is over that has begun after these.
    pub(crate) fn add(&self, before: &Before) -> Rc<Unread> {
        let gate = Rc::new(Gate::default());
        let mut over = self.0.borrow_mut();
        over.retain(|old| !old.open.get() && !before.0.iter().any(|known| Rc::ptr_eq(known, old)));
        over.push(Rc::clone(&gate));
        Rc::new(Unread(gate))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn is_passed(before: &Before) -> bool {
        let mut before = before.clone();
        pin!(before.passed()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_run_comes_after_those_that_were_over_and_beside_the_others() {
        let over = Over::default();
        let first = over.before();
        assert!(is_passed(&first));
        let streams = [over.add(&first), over.add(&Before::default())];
        let next = over.before();
        let beside = first;
        assert!(is_passed(&beside) && !is_passed(&next));
        for stream in streams {
            assert!(!is_passed(&next));
            drop(stream);
        }
        assert!(is_passed(&next) && over.before().0.is_empty());
    }

    #[test]
    fn all_streams_of_a_run_have_to_be_read_out() {
        let over = Over::default();
        let stdout = over.add(&Before::default());
        let stderr = Rc::clone(&stdout);
        let next = over.before();
        drop(stderr);
        assert!(!is_passed(&next));
        drop(stdout);
        assert!(is_passed(&next));
    }

    #[test]
    fn of_ten_thousand_runs_that_wait_each_knows_the_one_before() {
        let over = Over::default();
        let mut chain = Vec::new();
        for _ in 0..10_000 {
            let before = over.before();
            assert!(before.0.len() <= 1);
            chain.push(over.add(&before));
        }
        // A run that has begun beside all of them waits for the last when it is followed itself.
        let _helper = over.add(&Before::default());
        assert_eq!(over.before().0.len(), 2);
    }
}
