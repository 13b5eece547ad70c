//! A short memory of memory and restarts, for the status page.
//!
//! Nothing is sampled for it: a point is what a scrape or a view of the page has read anyway. Its bounds: [`POINTS`] of 8
//! bytes for each process that is defined. The oldest ones go first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{ProcessName, Wall};

/// Points that are kept of one process: a quarter of an hour with the usual scrape every 15 s, never less than 5 minutes.
pub(crate) const POINTS: usize = 60;
/// Least time between two points.
const APART: Duration = Duration::from_secs(5);

/// One process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// Resident memory of everything that belongs to it, in KiB; 0 while it is down.
    pub(crate) kib: u32,
    /// Automatic restarts until then.
    pub(crate) restarts: u32,
}

/// The last points of every process, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Kept>);

#[derive(Debug, Default)]
pub(crate) struct Kept {
    last: Wall,
    points: HashMap<ProcessName, VecDeque<Point>>,
}

impl History {
    /// Adds a point for each process, unless the last one was just made; forgets the processes that are not among them.
    pub(crate) fn add<'a>(&self, now: Wall, points: impl Iterator<Item = (&'a ProcessName, Point)>) {
        let mut kept = self.read();
        // A clock that was set back must not stop it.
        if (kept.last..kept.last.after(APART)).contains(&now) {
            return;
        }
        kept.last = now;
        let mut before = std::mem::take(&mut kept.points);
        let with = |(name, point): (&ProcessName, Point)| {
            let (name, mut points) =
                before.remove_entry(name).unwrap_or_else(|| (name.clone(), VecDeque::new()));
            if points.len() == POINTS {
                points.pop_front();
            }
            points.push_back(point);
            (name, points)
        };
        kept.points = points.map(with).collect();
    }

    /// What is kept, for as long as it is looked at.
    pub(crate) fn read(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The points of one process.
    pub(crate) fn of(&self, name: &ProcessName) -> impl ExactSizeIterator<Item = Point> + Clone {
        static NONE: VecDeque<Point> = VecDeque::new();
        self.points.get(name).unwrap_or(&NONE).iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u32) -> (Wall, Point) {
        (Wall(0).after(Duration::from_secs(seconds.into())), Point { kib: seconds, restarts: 0 })
    }

    #[test]
    fn it_is_short_and_forgets_who_is_gone() {
        let (history, name) = (History::default(), ProcessName::new("web").unwrap());
        let kept = |history: &History| history.read().of(&name).map(|p| p.kib).collect::<Vec<_>>();
        for seconds in 1..=1000 {
            let (now, point) = at(seconds);
            history.add(now, [(&name, point)].into_iter());
        }
        let expected: Vec<u32> = (0..60).map(|n| 1000 - 5 * (59 - n)).collect();
        assert_eq!(kept(&history), expected);
        assert!(history.read().points[&name].capacity() <= 2 * POINTS);
        history.add(at(5).0, [(&name, at(5).1)].into_iter());
        assert_eq!(kept(&history).last(), Some(&5), "the clock was set back");
        history.add(at(100).0, std::iter::empty());
        assert!(history.read().points.is_empty());
    }
}
