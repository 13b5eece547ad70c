//! What is said while something takes long.

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::context;

fn stop_db(daemon: &Daemon, interactive: bool) -> (u8, String) {
    let socket = daemon.socket();
    // The fake's db never stops.
    let mut context = context("pm-cli stop db --timeout 2500ms", &[("PM_SOCKET", &socket)], None, false);
    context.interactive = interactive;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = cli::run(&context, &mut out, &mut err);
    assert!(out.is_empty());
    (code, String::from_utf8(err).unwrap())
}

#[test]
fn a_terminal_sees_a_line_that_is_renewed_and_erased() {
    let daemon = Daemon::start(tables::table(), &[]);
    let (code, err) = stop_db(&daemon, true);
    assert_eq!(code, 1);
    assert!(err.contains("\r\x1b[Kwaiting for db to stop … 1s (failed"), "{err:?}");
    assert!(err.contains("\r\x1b[Kwaiting for db to stop … 2s (failed"), "{err:?}");
    assert!(
        err.contains("\r\x1b[Kerror: no answer within 2.5 s"),
        "the line is gone before the error: {err:?}"
    );
}

#[test]
fn a_script_sees_nothing_of_it() {
    let daemon = Daemon::start(tables::table(), &[]);
    let (code, err) = stop_db(&daemon, false);
    assert_eq!(code, 1);
    assert!(err.starts_with("error: no answer within 2.5 s"), "{err:?}");
}
