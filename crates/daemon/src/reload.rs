//! Makes a process read its own configuration again, unless the signal for that would end it.
//!
//! SIGHUP, the usual `reload_signal`, ends a program that doesn't know it. Nobody who asks for a reload wants that, so
//! what a program does with the signal is looked up first, and the reload is refused where it would be its end.

use std::path::Path;
use std::sync::Arc;

use model::{Command, ProcessName, ProcessView, Reply, Signal, State};
use rpc::{ControlError, ErrorKind};
use supervisor::Handle;

use crate::definitions::{ask, unexpected};

/// What a program without a handler survives (signal(7)): CHLD, CONT, URG and WINCH are dropped then.
const HARMLESS: [i32; 4] = [17, 18, 23, 28];

/// Reloads it, or says why that would be its end.
///
/// The answer of the look may be out of date by the time the signal arrives: a program that has just begun may install
/// its handler in between, or execute another one. The first is refused for nothing and works a moment later, the second
/// is as it was before there was a look.
pub(crate) async fn reload(supervisor: &Handle, name: ProcessName) -> Result<Arc<ProcessView>, ControlError> {
    if let Some((pid, signal)) = supervisor.view(&name).and_then(|view| to_be_signalled(&view)) {
        let look = move || ends_by(Path::new("/proc"), pid, signal);
        // Not even /proc is read by the threads that serve calls. Where the look fails, the signal is sent.
        if tokio::task::spawn_blocking(look).await.unwrap_or_default() {
            return Err(unknown_signal(&name, pid, signal));
        }
    }
    match ask(supervisor, Command::Reload(name)).await? {
        Reply::Done(view) => Ok(view),
        other => Err(unexpected(&other)),
    }
}

/// Whom a reload would signal; hooks are the user's own commands.
fn to_be_signalled(view: &ProcessView) -> Option<(u32, Signal)> {
    let asked = view.spec.hooks.reload.is_empty() && matches!(view.state, State::Running | State::Reloading);
    let signal = asked.then_some(view.spec.reload_signal)?;
    Some((view.run.as_ref()?.pid?, signal))
}

/// Whether this signal ends (or stops) the process: neither caught, nor ignored, nor blocked. What can't be read counts
/// as no. It is its first thread that counts: the kernel gives a signal to that one where it is not blocked there.
fn ends_by(proc: &Path, pid: u32, signal: Signal) -> bool {
    if HARMLESS.contains(&signal.number()) {
        return false;
    }
    let dir = proc.join(pid.to_string());
    let status = std::fs::read_to_string(dir.join("status")).unwrap_or_default();
    let masks: Option<Vec<u64>> = ["SigBlk:", "SigIgn:", "SigCgt:"]
        .iter()
        .map(|field| {
            let mask = status.lines().find_map(|line| line.strip_prefix(field))?;
            u64::from_str_radix(mask.trim(), 16).ok()
        })
        .collect();
    let bit = u32::try_from(signal.number() - 1).ok().and_then(|shift| 1_u64.checked_shl(shift));
    let (Some(masks), Some(bit)) = (masks, bit) else { return false };
    masks.iter().all(|mask| mask & bit == 0) && !waits_for_signals(&dir)
}

/// Whether it sits in sigwait(3): what it waits for is blocked and does not end it, but the kernel shows it as not
/// blocked meanwhile. Where nobody may look the answer is yes.
fn waits_for_signals(dir: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(dir.join("syscall")) else { return true };
    let number = text.split_whitespace().next().and_then(|word| word.parse().ok());
    number == Some(nix::libc::SYS_rt_sigtimedwait)
}

fn unknown_signal(name: &ProcessName, pid: u32, signal: Signal) -> ControlError {
    let text = format!(
        "{name} was not reloaded: its program doesn't handle {signal}, which would end it (pid {pid})"
    );
    ControlError::new(ErrorKind::FailedPrecondition, text).about(name.as_str()).with_hint(format!(
        "say how it reloads with `exec_reload` (a command) or `reload_signal` (one that it handles), or give it a new run: \
         pm-cli restart {name}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(status: &str) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        std::fs::create_dir(proc.path().join("7")).unwrap();
        std::fs::write(proc.path().join("7/status"), status).unwrap();
        std::fs::write(proc.path().join("7/syscall"), "running\n").unwrap();
        proc
    }

    #[test]
    fn a_signal_ends_what_neither_catches_nor_ignores_nor_blocks_it() {
        let masks = |blocked: u64, ignored: u64, caught: u64| {
            format!(
                "Name:\tSigCgt:\nSigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\nSigCgt:\t{caught:016x}\n"
            )
        };
        let (hup, others) = (1, !1);
        for (status, ends) in [
            (masks(0, 0, 0), true),
            (masks(others, others, others), true),
            (masks(hup, 0, 0), false),
            (masks(0, hup, 0), false),
            (masks(0, 0, hup), false),
        ] {
            assert_eq!(ends_by(with(&status).path(), 7, Signal::HUP), ends, "{status}");
        }
        let last = Signal::from_number(64).unwrap();
        assert!(!ends_by(with(&masks(0, 0, 1 << 63)).path(), 7, last));
        assert!(ends_by(with(&masks(0, 0, !(1 << 63))).path(), 7, last));
    }

    #[test]
    fn what_is_waited_for_ends_nothing_although_the_mask_says_so() {
        let proc = with("SigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n");
        let file = proc.path().join("7/syscall");
        assert!(ends_by(proc.path(), 7, Signal::HUP));
        for (text, ends) in [
            (format!("{} 0x7ffd 0x0 0x0\n", nix::libc::SYS_rt_sigtimedwait), false),
            (format!("{} 0x7ffd 0x0 0x0\n", nix::libc::SYS_nanosleep), true),
            ("-1 0x7ffd 0x0\n".to_owned(), true),
        ] {
            std::fs::write(&file, &text).unwrap();
            assert_eq!(ends_by(proc.path(), 7, Signal::HUP), ends, "{text}");
        }
        std::fs::remove_file(file).unwrap();
        assert!(!ends_by(proc.path(), 7, Signal::HUP), "nobody may look");
    }

    #[test]
    fn what_cant_be_read_is_no_reason_to_refuse() {
        for status in ["", "SigBlk:\t0\n", "SigBlk:\tx\nSigIgn:\t0\nSigCgt:\t0\n"] {
            assert!(!ends_by(with(status).path(), 7, Signal::HUP), "{status:?}");
        }
        assert!(!ends_by(Path::new("/nowhere"), 7, Signal::HUP));
    }

    #[test]
    fn what_nobody_has_to_handle_is_harmless() {
        let none = "SigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n";
        for (number, ends) in [(17, false), (18, false), (23, false), (28, false), (10, true), (1, true)] {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(ends_by(with(none).path(), 7, signal), ends, "{number}");
        }
    }
}
