//! Why no daemon answers: where it was looked for, whether one runs, and what to do about it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::UNREACHABLE;
use crate::context::Context;
use crate::report::Failure;

/// The daemon's name in /proc/PID/comm.
const DAEMON: &str = "dd-procmgrd";
/// Daemons that are named.
const NAMED: usize = 3;

/// A place where nobody answered.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    pub(crate) at: String,
    pub(crate) why: String,
    /// Whether it belongs to this machine.
    pub(crate) local: bool,
    /// Whether it was not for this user.
    pub(crate) denied: bool,
    /// Whether somebody was there, and only the encryption did not come about.
    pub(crate) tls: bool,
}

/// The whole story.
pub(crate) fn unreachable(context: &Context, looked: &[Looked]) -> Failure {
    let places: String = looked.iter().map(|l| format!("\n  {}: {}", l.at, l.why)).collect();
    let story = format!("no daemon answers; looked at{places}");
    if looked.iter().any(|l| l.tls) {
        return Failure::new(UNREACHABLE, story).with_hint(
            "somebody is there: look at the files of the context (pm-cli context show NAME), at the name and the date in the \
             daemon's certificate, and whether it speaks TLS at all",
        );
    }
    if looked.iter().all(|l| !l.local) {
        return Failure::new(UNREACHABLE, story).with_hint(
            "look on that host whether it runs (systemctl status dd-procmgrd) and where it listens (pm-cli status): without \
             PM_BIND_ADDRESS that is only its loopback",
        );
    }
    let running = daemons(&context.proc, context.uid);
    let denied = looked.iter().any(|l| l.denied);
    let (found, hint) = match (running.is_empty(), denied) {
        (_, true) => {
            let runs = if running.is_empty() { String::new() } else { format!("{}\n", runs(&running)) };
            (
                format!("{runs}you may not go where its socket is: that says nothing about whether it runs"),
                "be somebody else (sudo pm-cli …), or get permission on that directory and on the socket in it".to_owned(),
            )
        }
        (false, false) => (
            format!("{}, but nobody answers at these places: starting or stopping just now, or listening elsewhere", runs(&running)),
            "where it listens: sudo ss -lxtp | grep dd-procmgrd; then name that with --socket PATH or --host ADDR"
                .to_owned(),
        ),
        (true, false) => ("no dd-procmgrd is seen running on this machine".to_owned(), start(context)),
    };
    Failure::new(UNREACHABLE, format!("{story}\n{found}")).with_hint(hint)
}

/// How a daemon is started here.
fn start(context: &Context) -> String {
    // As sd_booted(3) finds it out.
    let booted = context.system_dir.with_file_name("systemd").join("system").is_dir();
    match (booted, context.uid) {
        (true, 0) => "start it: systemctl start dd-procmgrd, or in the foreground: dd-procmgrd",
        (true, _) => {
            "start it: sudo systemctl start dd-procmgrd, or your own: systemctl --user start dd-procmgrd, or in the \
             foreground: dd-procmgrd"
        }
        (false, _) => "start it in the foreground (there is no systemd here): dd-procmgrd",
    }
    .to_owned()
}

/// `a daemon runs here (pid 12 of root)`
fn runs(running: &[String]) -> String {
    let shown = running[..running.len().min(NAMED)].join(", ");
    let more = if running.len() > NAMED { ", …" } else { "" };
    let (a, verb) = if running.len() == 1 { ("a daemon", "runs") } else { ("daemons", "run") };
    format!("{a} {verb} here ({shown}{more})")
}

/// The daemons of this machine: `pid 12 of root`.
fn daemons(proc: &Path, me: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(proc) else { return Vec::new() };
    let mut found: Vec<(u32, u32)> = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if comm.trim_end() == DAEMON
            && let Ok(meta) = entry.metadata()
        {
            found.push((pid, meta.uid()));
        }
    }
    found.sort_unstable();
    let of = |uid| match uid {
        0 => "of root".to_owned(),
        uid if uid == me => "of yours".to_owned(),
        uid => format!("of user {uid}"),
    };
    found.into_iter().map(|(pid, uid)| format!("pid {pid} {}", of(uid))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::surroundings;

    fn looked(at: &str, denied: bool, local: bool) -> Looked {
        let why = if denied { "permission denied" } else { "there is no socket" };
        Looked { at: at.to_owned(), why: why.to_owned(), local, denied, tls: false }
    }

    /// A machine on which these programs run, with systemd or without.
    fn machine(programs: &[&str], booted: bool) -> (tempfile::TempDir, Context) {
        let dir = tempfile::tempdir().unwrap();
        for (i, program) in programs.iter().enumerate() {
            let process = dir.path().join(format!("proc/{}", 100 + i));
            fs::create_dir_all(&process).unwrap();
            fs::write(process.join("comm"), format!("{program}\n")).unwrap();
        }
        if booted {
            fs::create_dir_all(dir.path().join("run/systemd/system")).unwrap();
        }
        let mut context = surroundings(0);
        context.proc = dir.path().join("proc");
        context.system_dir = dir.path().join("run/dd-procmgrd");
        (dir, context)
    }

    #[test]
    fn not_running_is_told_with_the_command_that_starts_it() {
        let (_dir, mut context) = machine(&["sshd", "dd-procmgrd-x"], true);
        let failure = unreachable(&context, &[looked("/a", false, true), looked("/b", false, true)]);
        assert!(failure.message.ends_with(
            "looked at\n  /a: there is no socket\n  /b: there is no socket\nno dd-procmgrd is seen running on this machine"
        ));
        assert_eq!(
            failure.hint(),
            "start it: systemctl start dd-procmgrd, or in the foreground: dd-procmgrd"
        );
        context.uid = 7;
        let failure = unreachable(&context, &[looked("/a", false, true)]);
        assert!(failure.hint().contains("systemctl --user start dd-procmgrd"), "{}", failure.hint());
        let (_dir, context) = machine(&[], false);
        assert!(!unreachable(&context, &[looked("/a", false, true)]).hint().contains("systemctl"));
    }

    #[test]
    fn running_elsewhere_and_not_allowed_are_no_reason_to_start_one() {
        let (_dir, context) = machine(&["bash", "dd-procmgrd"], true);
        let failure = unreachable(&context, &[looked("/a", false, true)]);
        assert!(failure.message.contains("a daemon runs here (pid 101 of"), "{}", failure.message);
        assert!(!failure.hint().contains("start it"));
        let failure = unreachable(&context, &[looked("/a", true, true)]);
        assert!(failure.message.contains("you may not go where its socket is"), "{}", failure.message);
        assert!(!failure.hint().contains("start it"));
    }

    #[test]
    fn who_answers_without_encryption_is_not_called_absent() {
        let (_dir, context) = machine(&["dd-procmgrd"], true);
        let failure = unreachable(&context, &[Looked { tls: true, ..looked("localhost:1", false, true) }]);
        assert!(!failure.message.contains("runs here"), "{}", failure.message);
        assert!(failure.hint().starts_with("somebody is there"), "{}", failure.hint());
    }

    #[test]
    fn another_machine_is_not_judged_by_this_one() {
        let (_dir, context) = machine(&["dd-procmgrd"], true);
        let failure = unreachable(&context, &[looked("prod:1", false, false)]);
        assert!(!failure.message.contains("runs here"));
        assert!(failure.hint().contains("on that host"));
    }
}
