//! `logs` and `reopen-logs`.

use model::Stream;
use rpc::LogBatch;

use crate::fake::{Daemon, batch, part};
use crate::tables;
use crate::transcript::{Transcript, run};

fn daemon() -> Daemon {
    Daemon::start(tables::table(), &[])
}

#[test]
fn a_process_that_has_printed_nothing() {
    let daemon = daemon();
    daemon.log_batches("api", vec![]);
    let socket = daemon.socket();
    for (line, told) in [
        ("pm-cli logs api", "nothing was printed so far\n"),
        ("pm-cli logs api --grep error", "no line fits\n"),
        ("pm-cli logs api -n 0", "no line fits\n"),
    ] {
        let (code, out, err) = run(line, &[("PM_SOCKET", &socket)], None, false);
        assert_eq!((code, out.as_str(), err.as_str()), (0, "", told), "{line}");
    }
}

#[test]
fn one_process() {
    let daemon = daemon();
    Transcript::new(&daemon)
        .run("pm-cli logs web")
        .run("pm-cli logs web -n 5 --stream stderr")
        .run("pm-cli logs web -n all --grep 'a|b' --run 3")
        .run("pm-cli logs web --since -1h30m --until '2026-11-20 19:00'")
        .run("pm-cli logs web --since today -n 7 --time")
        .run("pm-cli logs web -n 0 -o json")
        .run("pm-cli logs web -o json --after 1:c1")
        .run("pm-cli logs web -o cat")
        .run("pm-cli logs job")
        .run("pm-cli logs web --run last")
        .run("pm-cli logs web --run -1")
        .run("pm-cli logs web --run 99")
        .run("pm-cli logs web --run first")
        .run("pm-cli logs")
        .run("pm-cli logs --all")
        .run("pm-cli logs nope")
        .run("pm-cli logs web --grep (")
        .run("pm-cli logs web --since tomorrow")
        .run("pm-cli logs web -n some")
        .run("pm-cli list -o cat")
        .run("pm-cli logs web -f -n 5")
        .check("logs");
}

#[test]
fn a_terminal_is_not_handed_what_it_would_act_on() {
    let daemon = daemon();
    // A title, a cleared screen, NUL and another byte that is no text; and a color, which does no harm.
    let printed = "a\x1b]0;owned\x07b\x1b[2J\0\tc \x1b[31mred\x1b[0m\n";
    daemon.log_batches("web", vec![batch(vec![part(1, Stream::Stdout, printed)])]);
    let socket = daemon.socket();
    let run = |line: &str, width, color| run(line, &[("PM_SOCKET", &socket)], width, color).1;
    let written = "a\\u{1b}]0;owned\\u{7}b\\u{1b}[2J\\u{0}\tc ";
    assert_eq!(run("pm-cli logs web", Some(80), true), format!("{written}\x1b[31mred\x1b[0m\x1b[0m\n"));
    assert_eq!(run("pm-cli logs web", Some(80), false), format!("{written}red\n"));
    // Programs, and whoever asks for the bytes, get them.
    assert_eq!(run("pm-cli logs web", None, false), printed);
    assert_eq!(run("pm-cli logs web -o cat", Some(80), true), printed);
}

#[test]
fn several_processes() {
    let daemon = daemon();
    let one = |second, stream, text| batch(vec![part(second, stream, text)]);
    let last = |batch: LogBatch| LogBatch { caught_up: true, ..batch };
    let web = vec![
        one(1, Stream::Stdout, "web starts\n"),
        one(3, Stream::Stderr, "web \x1b[31mwarns\x1b[0m\x1b[2J\n"),
        last(one(6, Stream::Stdout, "web\nends\n")),
    ];
    daemon.log_batches("web", web);
    let api = vec![
        LogBatch { missed: true, ..one(2, Stream::Stdout, "api starts\n") },
        last(LogBatch { left_out: true, ..one(5, Stream::Stdout, "api ends\n") }),
    ];
    daemon.log_batches("api", api);
    Transcript::new(&daemon)
        .run("pm-cli logs web api")
        .run_on("pm-cli logs web api", Some(80), true)
        .run_on("pm-cli logs api web --no-color", Some(80), true)
        .run("pm-cli logs @all --time")
        .run("pm-cli logs web api --no-prefix")
        .run("pm-cli logs web api -o json")
        .run("pm-cli logs web nope api -n 1 -o cat")
        .run("pm-cli logs web api --after 1:c1")
        .run("pm-cli logs @nope")
        .check("logs_of_several");
    // Who hears of its end first is not certain.
    let (code, out, err) = run("pm-cli logs web api -f", &[("PM_SOCKET", &daemon.socket())], None, false);
    assert_eq!((code, out.lines().count()), (0, 6));
    assert!(err.contains("(web was deleted)\n") && err.contains("(api was deleted)\n"), "{err}");
}

#[test]
fn a_follower_goes_on_where_its_connection_broke() {
    let daemon = daemon();
    daemon.break_off("web");
    let socket = daemon.socket();
    let (code, out, err) = run("pm-cli logs -f web", &[("PM_SOCKET", &socket)], None, false);
    assert_eq!((code, out.as_str()), (0, "before\nafter 1:end\n"));
    let expected = "(the daemon is shutting down; waiting for the daemon)\n\
                    (connected again; going on behind the last line)\n\
                    (web was deleted)\n";
    assert_eq!(err, expected);

    // Without -f there is nothing to wait for.
    let daemon = self::daemon();
    daemon.break_off("web");
    let socket = daemon.socket();
    let (code, out, err) = run("pm-cli logs web", &[("PM_SOCKET", &socket)], None, false);
    assert_eq!((code, out.as_str()), (5, "before\n"));
    assert!(err.starts_with("error: the daemon is shutting down\n"), "{err}");
}

#[test]
fn reopen() {
    let daemon = daemon();
    Transcript::new(&daemon).run("pm-cli reopen-logs").run("pm-cli reopen-logs -o json").check("reopen_logs");
    assert_eq!(daemon.reopened(), 2);
}
