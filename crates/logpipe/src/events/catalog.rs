//! The message catalog: what `journalctl -x` says below an event, and what can be done about it.
//!
//! systemd/dd-procmgrd.catalog is generated from here and installed to /usr/lib/systemd/catalog; `journalctl` puts in
//! the fields of the entry for `@FIELD@`.

use super::{MESSAGE_IDS, message_id};

/// What is known of one kind of entry.
struct Explanation {
    /// The kind of event.
    kind: &'static str,
    subject: &'static str,
    /// As the catalog has it.
    body: &'static str,
}

macro_rules! explain {
    ($($kind:literal: $subject:literal, $body:literal)+) => {
        [$(Explanation { kind: $kind, subject: $subject, body: $body }),+]
    };
}

const EXPLANATIONS: [Explanation; MESSAGE_IDS.len()] = explain! {
    "created": "Process @PROCESS_NAME@ is defined",
    "A definition came into force. Whether the process is started with the daemon
depends on its auto_start: `pm-cli describe @PROCESS_NAME@`."

    "updated": "The definition of process @PROCESS_NAME@ changed",
    "The message names the keys that changed. `pm-cli cat @PROCESS_NAME@` shows every
file that the definition comes from."

    "removed": "Process @PROCESS_NAME@ is no longer defined",
    "It was stopped and taken out of the table. Its log files stay; remove them by
hand when nobody needs them."

    "invalid": "The definition of process @PROCESS_NAME@ is broken",
    "The message says what is wrong, with file, line and column. Until that is put
right, the last good definition stays in force, or the process is shown as
invalid when there never was one. Other processes are not touched.

Correct the file, look at `pm-cli plan`, then call `pm-cli reload-config`."

    "started": "Process @PROCESS_NAME@ started",
    "Run @PROCESS_RUN@ executes its program, with pid @PROCESS_PID@. Its output:

    journalctl PROCESS_INVOCATION_ID=@PROCESS_INVOCATION_ID@"

    "spawn_failed": "Process @PROCESS_NAME@ could not be started",
    "The message says which step failed, on what, and why. The restart policy
decides whether it is tried again.

Most often the program does not exist, may not be executed, or the user, the
working directory or a log file of the definition can't be used. Correct that,
then try at once: `pm-cli reset @PROCESS_NAME@`."

    "exited": "The main process of @PROCESS_NAME@ ended",
    "It ended in run @PROCESS_RUN@ (pid @PROCESS_PID@): @EXIT_CODE@,
status @EXIT_STATUS@. What it printed before:

    journalctl PROCESS_INVOCATION_ID=@PROCESS_INVOCATION_ID@

`pm-cli why @PROCESS_NAME@` shows its last exits and what comes next."

    "oom_killed": "The kernel killed processes of @PROCESS_NAME@: out of memory",
    "Run @PROCESS_RUN@ reached its memory_max, or the unit of the daemon or the whole
machine was out of memory. When its main process is among them, its end is told
next; else it goes on without them.

The kernel's own account of it: `journalctl -k -g 'Killed process'`. To let it
have more: `pm-cli update @PROCESS_NAME@ --memory-max SIZE`."

    "degraded": "A limit of process @PROCESS_NAME@ is not in force",
    "It runs, but something of its definition can't be done on this machine. The
message says what and why; docs/LIMITS.md says what each limit needs.

`pm-cli describe @PROCESS_NAME@` shows it for as long as that is so."

    "restart_scheduled": "Process @PROCESS_NAME@ will be restarted",
    "Automatic restart number @RESTART_COUNT@, in @RESTART_DELAY_USEC@ microseconds.
The delay doubles with each failure, from restart_sec up to
restart_max_delay_sec, and falls back after a run of runtime_success_sec.

To restart it without waiting: `pm-cli reset @PROCESS_NAME@`."

    "start_limit_reached": "Process @PROCESS_NAME@ is started too often",
    "It ended again and again: start_limit_burst starts within
start_limit_interval_sec. It now cools down (crash_loop) and is tried again
later, or stays down if its on_start_limit is fail.

Find the cause with `pm-cli why @PROCESS_NAME@` and `pm-cli logs @PROCESS_NAME@`,
then try at once: `pm-cli reset @PROCESS_NAME@`."

    "stopping": "Process @PROCESS_NAME@ is being stopped",
    "It got its kill_signal and has stop_timeout to end by itself."

    "stop_timed_out": "Process @PROCESS_NAME@ did not stop in time",
    "It did not end within its stop_timeout, and everything left of it is killed.
Work that it had in hand may be lost.

If it needs longer, raise stop_timeout. If it ignores the signal, set
kill_signal to the one that it expects."

    "leftovers_killed": "Process @PROCESS_NAME@ left processes behind",
    "Its main process is gone, and processes that it started were still there. They
are being killed, as its kill_mode asks; the message has their pids.

A program that daemonizes itself needs type: forking or, better, its option to
stay in the foreground."

    "survivors": "Processes of @PROCESS_NAME@ can't be killed",
    "They got SIGKILL and are still there, as a rule in uninterruptible sleep (state
D) on a disk or a network file system that does not answer. They stay tracked,
and the process counts as stopping until they are gone.

`cat /proc/PID/stack` and `cat /proc/PID/wchan`, with a pid from the message,
show what they wait for."

    "stopped": "Process @PROCESS_NAME@ is stopped",
    "Nothing that it ever started is alive. It stays down until somebody starts it:
`pm-cli start @PROCESS_NAME@`."

    "ready": "Process @PROCESS_NAME@ is up",
    "It is ready as its type says. What waited for it is started now."

    "skipped": "Process @PROCESS_NAME@ was not started because of a condition",
    "A condition_path_exists of its definition did not hold; the message names it.
This is no failure.

When the condition holds: `pm-cli start @PROCESS_NAME@`."

    "held": "Process @PROCESS_NAME@ can't be started yet",
    "What it requires is not there. It is started as soon as that changes.

`pm-cli why @PROCESS_NAME@` follows the chain down to the cause."

    "hook_failed": "A hook of process @PROCESS_NAME@ failed",
    "A command that runs before or after the process failed or took too long; the
message says which and how. Without `-` in front of it, the start fails with it.

What it printed is in the log of the process: `pm-cli logs @PROCESS_NAME@`."

    "start_timed_out": "Process @PROCESS_NAME@ was not up in time",
    "It was started but was not ready, as its type says, within start_timeout. It is
being stopped, and its restart policy decides what follows.

A type: notify program has to send READY=1, a type: forking one has to end its
first process and write its pidfile. If it only needs longer, raise
start_timeout."

    "watchdog_expired": "Process @PROCESS_NAME@ hangs",
    "It sent no WATCHDOG=1 within watchdog_sec and is being stopped; its restart
policy decides what follows.

If it was only slow, raise watchdog_sec. If it never sends any, take the key out."

    "health": "The health of process @PROCESS_NAME@ changed",
    "The message says what it is now and what the last failure said. With
restart_after, an unhealthy process is restarted."

    "reloading": "Process @PROCESS_NAME@ reads its configuration again",
    "It was asked to by its exec_reload or reload_signal. The run stays the same."

    "reloaded": "Process @PROCESS_NAME@ has read its configuration again",
    "Whether it was happy with it is in its output: `pm-cli logs @PROCESS_NAME@`."

    "main_process": "Process @PROCESS_NAME@ has a new main process",
    "The program said so itself (MAINPID=, or its pidfile): it forked or replaced
itself. The run, its number and its log go on."

    "critical_ended": "Critical process @PROCESS_NAME@ ended: the daemon ends",
    "Its definition says critical: true. All other processes are stopped in order,
and the daemon ends with the exit code in the message.

What it printed before:

    journalctl PROCESS_INVOCATION_ID=@PROCESS_INVOCATION_ID@"
};

/// The record of who called what, which the daemon writes: no event of a process, and known by its MESSAGE_ID alone.
const AUDIT: Explanation = Explanation {
    kind: "e077da4a49524fef80af97c1ba062a1c",
    subject: "@AUDIT_METHOD@ was called: @AUDIT_RESULT@",
    body: "Who: @AUDIT_PEER@. On the process that PROCESS_NAME= names, if it names one.

OK: it was carried out. ACCEPTED: the caller did not wait; a second record with
AUDIT_OUTCOME=true tells how it went. REPEATED: a call with the same
AUDIT_REQUEST_ID= was carried out before, and nothing was done. Anything else is
the reason why it was refused or failed.

All calls of one user, and all about one process:

    journalctl MESSAGE_ID=e077da4a49524fef80af97c1ba062a1c AUDIT_UID=1000
    journalctl EVENT=audit PROCESS_NAME=web

The fields and results are explained in docs/SECURITY_MODEL.md and docs/API.md.",
};

/// The file for `journalctl --update-catalog`.
#[must_use]
pub fn catalog() -> String {
    let mut text = String::from(
        "# Message catalog of dd-procmgrd: `journalctl -x`.\n# Generated by `UPDATE_DOCS=1 cargo test -p logpipe`; do not edit.\n",
    );
    for Explanation { kind, subject, body } in &EXPLANATIONS {
        let id = message_id(kind);
        text += &entry(id, subject, body);
    }
    let Explanation { kind: id, subject, body } = AUDIT;
    text + &entry(id, subject, body)
}

fn entry(id: &str, subject: &str, body: &str) -> String {
    format!("\n-- {id}\nSubject: {subject}\nDefined-By: dd-procmgrd\n\n{body}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tests::{encoded, kinds};

    #[test]
    fn the_catalog_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../systemd/dd-procmgrd.catalog");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, catalog()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == catalog(), "{path} is out of date: UPDATE_DOCS=1 cargo test -p logpipe");
    }

    #[test]
    fn every_kind_is_explained_with_fields_that_it_has() {
        for (kind, (name, _)) in kinds().into_iter().zip(MESSAGE_IDS) {
            let entry = EXPLANATIONS.iter().find(|e| e.kind == name).unwrap();
            let fields = encoded(kind);
            let text = format!("{}\n{}", entry.subject, entry.body);
            for field in text.split('@').skip(1).step_by(2) {
                assert!(fields.iter().any(|(key, _)| key == field), "{name} has no {field}");
            }
            assert!(text.lines().all(|l| l.len() <= 81 && !l.starts_with("-- ")), "{name}");
        }
    }

    #[test]
    fn journalctl_understands_it() {
        // What systemd's parser asks for: `-- id`, header lines with a colon, an empty line, text.
        for block in catalog().split("\n-- ").skip(1) {
            let (head, body) = block.split_once("\n\n").unwrap();
            let mut head = head.lines();
            assert!(head.next().is_some_and(|id| id.len() == 32));
            assert!(head.all(|line| line.contains(": ")));
            assert!(body.trim().ends_with(['.', '@']), "{body}");
        }
    }
}
