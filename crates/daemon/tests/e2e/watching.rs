//! Events, waiting and usage over the API, with real processes.

use std::future::Future;
use std::time::Duration;

use rpc::v1::{WaitCondition, WatchEventsRequest};
use rpc::{Client, ClientError, Target, v1};
use testkit::TempDaemon;

use crate::support::{probe, until_state};

/// Longer than any step takes; reached only when the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(PATIENCE, work).await.expect("it takes no minute") })
}

async fn connect(daemon: &TempDaemon) -> Client {
    Client::connect(&Target::Unix(daemon.socket()), PATIENCE).await.expect("the daemon is there")
}

fn config(more: &str) -> String {
    let probe = probe();
    format!(
        "processes:\n  web:\n    command: {probe}\n    args: [sleep]\n    restart_sec: 0\n    restart: always\n    \
         start_limit_burst: 0\n{more}"
    )
}

#[test]
fn events_are_watched_over_a_restart_of_the_daemon() {
    let mut daemon = TempDaemon::start(&config(""));
    until_state(&daemon, "web", "running");
    let all = WatchEventsRequest { names: vec!["web".into()], follow: true, ..Default::default() };
    let (position, epoch) = run(async {
        let request = WatchEventsRequest { after_sequence: Some(0), ..all.clone() };
        let mut events = connect(&daemon).await.events(request).await.expect("a stream");
        let mut kinds: Vec<String> = Vec::new();
        let mut last = (0, String::new());
        let mut client = connect(&daemon).await;
        while !kinds.iter().any(|kind| kind == "stopped") {
            let part = events.next().await.expect("a part").expect("more");
            assert!(!part.missed);
            if part.caught_up {
                client.stop("web").await.expect("it stops");
            }
            kinds.extend(part.events.into_iter().map(|event| event.kind));
            last = (part.sequence, part.epoch);
        }
        assert_eq!(kinds, ["created", "started", "stopping", "exited", "stopped"]);
        last
    });
    daemon.restart();
    until_state(&daemon, "web", "running");
    run(async {
        let request = WatchEventsRequest { after_sequence: Some(position), epoch: epoch.clone(), ..all };
        let mut events = connect(&daemon).await.events(request).await.expect("a stream");
        let part = events.next().await.expect("a part").expect("more");
        assert!(part.missed && part.epoch != epoch, "{part:?}");
        assert_eq!(part.events[0].kind, "created");
        assert!(part.events[0].message.starts_with("web is defined [process_id="), "{part:?}");
    });
}

#[test]
fn waiters_see_what_happens_to_a_real_process() {
    let job = format!(
        "  job:\n    command: {}\n    args: [exit=3]\n    restart: never\n    auto_start: false\n",
        probe()
    );
    let daemon = TempDaemon::start(&config(&job));
    run(async {
        let mut client = connect(&daemon).await;
        client.wait("web", WaitCondition::Ready).await.expect("it comes up");
        // The moment between two runs is too short for anybody who only looks now and then.
        for _ in 0..20 {
            let mut other = connect(&daemon).await;
            let waiting = tokio::spawn(async move { other.wait("web", WaitCondition::Exited).await });
            // Killed again where the first one came before the wait.
            while !waiting.is_finished() {
                // Refused between two runs.
                let _between = client.signal("web", "KILL", true).await.is_err();
                client.wait("web", WaitCondition::Ready).await.expect("it comes up again");
            }
            waiting.await.expect("no panic").expect("it ended");
        }

        let stopping = v1::StopProcessRequest { name: "web".into(), no_wait: true, ..Default::default() };
        client.stop_with(stopping).await.expect("accepted");
        let down = client.wait("web", WaitCondition::Stopped).await.expect("it goes down");
        assert_eq!((down.state(), down.run), (v1::State::Stopped, None));

        let Err(ClientError::Rejected(never)) = client.wait("job", WaitCondition::Ready).await else {
            panic!("it is not started by itself")
        };
        assert_eq!(never.reason, "FAILED_PRECONDITION");
    });
}

#[test]
fn usage_of_a_real_process_has_its_children() {
    let daemon = TempDaemon::start(&config("").replace("[sleep]", "[child=sleep, text=here, sleep]"));
    until_state(&daemon, "web", "running");
    crate::support::until_logged(&daemon, "web.log", "here");
    run(async {
        let mut client = connect(&daemon).await;
        let stats = client.stats(vec!["web".into()], true).await.expect("an answer");
        let [web] = &*stats.stats else { panic!("{stats:?}") };
        assert_eq!((web.processes, web.members.len()), (2, 2), "{web:?}");
        assert_eq!((Some(web.members[0].pid), web.members[1].parent_pid), (web.pid, web.members[0].pid));
        assert!(web.members[0].command_line.contains("child=sleep"), "{web:?}");
        assert!(web.resident_bytes > web.main_resident_bytes && web.main_resident_bytes > 100_000, "{web:?}");
        assert!(web.fds.is_some_and(|fds| fds >= 6) && web.threads >= 2, "{web:?}");
        let started = web.members[0].start_time.expect("a time").seconds;
        let run =
            client.get("web").await.expect("it is there").run.expect("a run").start_time.expect("a time");
        assert!((started - run.seconds).abs() <= 3, "{started} {run:?}");
        let status = client.status().await.expect("an answer");
        assert!(
            status.resident_bytes > 1_000_000 && !status.draining && status.epoch.len() == 16,
            "{status:?}"
        );
    });
}
