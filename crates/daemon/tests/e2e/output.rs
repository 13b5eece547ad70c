//! What children print, in files and over the API.

use nix::sys::signal::Signal;
use testkit::{TempDaemon, eventually};

use crate::support::{address, get, probe, process, series, until_logged, until_state};

#[test]
fn the_last_words_before_a_crash_are_kept() {
    let daemon = TempDaemon::start(&format!(
        "processes:\n  web:\n    command: {}\n    args: [print=3, to=stderr, 'text=panic: out of luck', partial=unfinished, crash=ABRT]\n    restart: never\n",
        probe()
    ));
    let web = until_state(&daemon, "web", "failed");
    assert_eq!(web["last_exit"]["signal"], "SIGABRT");
    let log = until_logged(&daemon, "web.log", "unfinished\n");
    assert_eq!(log.lines().count(), 5, "{log}");
    assert!(log.contains("panic: out of luck\n"));
}

#[test]
fn streams_go_where_the_definition_says() {
    let daemon = TempDaemon::start("processes: {}\n");
    let (out, err) = (daemon.dir().join("out.log"), daemon.dir().join("err.log"));
    let (out, err) = (out.display().to_string(), err.display().to_string());
    daemon
        .pm(&[
            "create",
            "two",
            &probe(),
            "text=fine",
            "to=stderr",
            "text=bad",
            "--auto-start",
            "--stdout",
            &out,
            "--stderr",
            &err,
        ])
        .success();
    until_state(&daemon, "two", "exited");
    let content =
        |path: &str| eventually(path, || std::fs::read_to_string(path).ok().filter(|t| t.ends_with('\n')));
    assert_eq!((content(&out).as_str(), content(&err).as_str()), ("fine\n", "bad\n"));
    assert_eq!(daemon.pm(&["logs", "two", "--stream", "stderr"]).success(), "bad\n");
}

#[test]
fn numbered_lines_come_through_rotation_complete_and_in_order() {
    let daemon = TempDaemon::start(&format!(
        "processes:\n  flood:\n    command: {}\n    args: [width=100, print=20000]\n    restart: never\n    log: {{max_size: 200KiB, max_files: 100}}\n",
        probe()
    ));
    until_state(&daemon, "flood", "exited");
    let metrics = address(&daemon, "metrics");
    eventually("all lines to be accounted for", || {
        let text = get(&metrics, "/metrics");
        let of = |name: &str, more: &str| {
            let name = format!("ddprocmgr_process_log_{name}{{process=\"flood\",stream=\"stdout\"{more}}}");
            series(&text, &name)?.parse::<u64>().ok()
        };
        let read = of("lines_total", "")?;
        let file = ",sink=\"file\"";
        let [written, dropped, truncated, queued] =
            ["written_lines_total", "dropped_lines_total", "truncated_lines_total", "queued_lines"]
                .map(|n| of(n, file));
        // In the middle of a batch the two sides are booked one after the other.
        let accounted = written? + dropped? + truncated? + queued?;
        (read == 20_000 && accounted == read && written? == read).then_some(())
    });
    let mut files: Vec<_> =
        std::fs::read_dir(daemon.logs()).expect("a directory").map(|e| e.expect("an entry").path()).collect();
    // Beside each stands its index.
    files.retain(|p| p.extension().is_none_or(|e| e != "idx"));
    assert!(files.len() > 5, "rotated: {files:?}");
    // The current file has the shortest name and the newest lines.
    files.sort_by_key(|p| (p.file_name().is_some_and(|n| n == "flood.log"), p.clone()));
    let text: String = files.iter().map(|p| std::fs::read_to_string(p).expect("text")).collect();
    let numbers: Vec<u32> =
        text.lines().map(|l| l.split_whitespace().find_map(|w| w.parse().ok()).expect("a number")).collect();
    let expected: Vec<u32> = (1..=20000).collect();
    assert!(
        numbers == expected,
        "{} lines, first {:?}, last {:?}",
        numbers.len(),
        numbers.first(),
        numbers.last()
    );
}

#[test]
fn logs_follows_over_a_restart() {
    let daemon = TempDaemon::start(&format!(
        "processes:\n  web:\n    command: {}\n    args: [text=one, sleep=200ms, text=two, exit=1]\n    restart_sec: 0.1\n    start_limit_burst: 0\n",
        probe()
    ));
    until_logged(&daemon, "web.log", "two");
    let program = testkit::binary("pm-cli").expect("built");
    let mut follow = std::process::Command::new(program)
        .args(["logs", "-f", "-n", "1", "web"])
        .env("PM_SOCKET", daemon.socket())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("pm-cli can be executed");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(follow.stdout.take().expect("a pipe")));
    let seen: Vec<String> = lines.take(7).map(|l| l.expect("text")).collect();
    follow.kill().expect("it runs");
    follow.wait().expect("a child");
    assert!(seen.windows(2).all(|w| w[0] != w[1]), "no gap and no repeat: {seen:?}");
}

#[test]
fn files_that_were_moved_away_are_opened_anew() {
    let daemon = TempDaemon::start(&format!(
        "processes:\n  web:\n    command: {}\n    args: [every=20ms, print=100000]\n",
        probe()
    ));
    until_logged(&daemon, "web.log", "\n");
    std::fs::rename(daemon.logs().join("web.log"), daemon.logs().join("moved")).expect("renamed");
    daemon.signal(Signal::SIGUSR1);
    until_logged(&daemon, "web.log", "\n");
    assert_eq!(process(&daemon, "web").expect("defined")["restarts"], 0);
}
