//! A process's own clock, which stands still while it sleeps.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long the threads of a process have run, those that ended included; `None` when there is no such process.
///
/// One system call without a file, a fifth of what reading `schedstat` takes, and that knows of the main thread alone. Of a thread
/// that is running now the last tick counts: it may be some milliseconds behind. Any process may ask of any other (clock_getcpuclockid(3)).
pub(super) fn ran(pid: u32) -> Option<Duration> {
    let time = clock_gettime(id(pid)?).ok()?;
    let (seconds, nanos) = (u64::try_from(time.tv_sec()).ok()?, u32::try_from(time.tv_nsec()).ok()?);
    Some(Duration::new(seconds, nanos))
}

/// As the kernel makes it (include/linux/posix-timers_types.h, `MAKE_PROCESS_CPUCLOCK` with `CPUCLOCK_SCHED`): the C library's
/// function would ask the kernel once more whether it is one.
fn id(pid: u32) -> Option<ClockId> {
    const SCHED: i32 = 2;
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0)?;
    Some(ClockId::from_raw((!pid << 3) | SCHED))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn it_goes_on_with_any_thread_and_stands_still_in_sleep() {
        let own = std::process::id();
        let before = ran(own).unwrap();
        // Not the thread that asks.
        let work = move || while ran(own).unwrap() < before + Duration::from_millis(20) {};
        std::thread::spawn(work).join().unwrap();

        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let asleep = testkit::eventually("it waits for input", || {
            let first = ran(child.id()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            (ran(child.id()) == Some(first)).then_some(first)
        });
        assert!(asleep > Duration::ZERO);
        drop(child.stdin.take());
        // A zombie has a clock, which tells that it ran to its end.
        testkit::eventually("it ran", || ran(child.id()).filter(|now| *now > asleep));
        child.wait().unwrap();
        assert_eq!((ran(child.id()), ran(0), ran(u32::MAX)), (None, None, None));
    }
}
