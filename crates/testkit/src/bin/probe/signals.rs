//! Receiving and not receiving signals, without handlers: what must not end the program is blocked, and taken out of
//! the queue with sigwait(3).

use std::io;

use nix::sys::signal::{SigSet, Signal, raise};

use crate::files;
use crate::output::Output;
use crate::step::Step;

/// Every signal that `echo` prints.
const ECHOED: [Signal; 9] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGTERM,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// Blocks everything that one of the steps wants to ignore, wait for or print.
pub(crate) fn prepare(steps: &[Step]) {
    let mut blocked = SigSet::empty();
    for step in steps {
        match step {
            Step::Ignore(signal) | Step::Wait(signal) => blocked.add(*signal),
            Step::Echo => blocked.extend(ECHOED),
            Step::OnHup(_) => blocked.add(Signal::SIGHUP),
            _ => {}
        }
    }
    blocked.thread_block().expect("every set of signals can be blocked");
}

pub(crate) fn wait(signal: Signal) -> io::Result<()> {
    let mut set = SigSet::empty();
    set.add(signal);
    set.wait()?;
    Ok(())
}

pub(crate) fn echo(output: &Output) -> io::Result<()> {
    let set: SigSet = ECHOED.into_iter().collect();
    loop {
        let signal = set.wait()?;
        output.raw(format!("got {signal}\n").as_bytes())?;
        if signal == Signal::SIGTERM {
            return Ok(());
        }
    }
}

/// From now on each SIGHUP adds a line to the file.
pub(crate) fn on_hup(path: &str) {
    let path = path.to_owned();
    // The thread ends with the process, or when the file can't be written.
    std::thread::spawn(move || -> io::Result<()> {
        loop {
            wait(Signal::SIGHUP)?;
            files::append(&path, &format!("SIGHUP {}", std::process::id()))?;
        }
    });
}

/// Ends the program by this signal, or goes on when that signal does not end programs.
pub(crate) fn crash(signal: Signal) -> io::Result<()> {
    Ok(raise(signal)?)
}
