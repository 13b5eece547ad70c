//! Events, waiting and usage: whoever looks on.

use std::time::Duration;

use model::{EventKind, HealthSpec, HealthState, Probe, State};
use rpc::v1::{WaitCondition, WatchEventsRequest};
use rpc::{Client, ClientError, Events, Rejection, v1};
use tonic::Code;

use crate::support::{Daemon, PATIENCE};

fn rejected<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Rejection {
    match result {
        Err(ClientError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

async fn next(events: &mut Events) -> v1::WatchEventsResponse {
    tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap()
}

/// All that comes before the end, or before everything was told.
async fn past(client: &mut Client, request: WatchEventsRequest) -> (Vec<u64>, v1::WatchEventsResponse) {
    let mut events = client.events(request).await.unwrap();
    let mut numbers = Vec::new();
    loop {
        let part = next(&mut events).await;
        numbers.extend(part.events.iter().map(|event| event.sequence));
        if part.caught_up {
            return (numbers, part);
        }
    }
}

fn from_start() -> WatchEventsRequest {
    WatchEventsRequest { after_sequence: Some(0), ..Default::default() }
}

#[tokio::test]
async fn the_past_is_told_with_all_that_is_known_and_then_the_call_ends() {
    let daemon = Daemon::start().await;
    let mut events = daemon.tcp(None).await.events(from_start()).await.unwrap();
    let part = next(&mut events).await;
    assert_eq!((part.events.len(), part.sequence, part.epoch.as_str()), (6, 6, "5eed"));
    assert!(part.caught_up && !part.missed);
    let exited = &part.events[3];
    assert_eq!((exited.kind.as_str(), exited.process.as_str(), exited.run), ("exited", "web", 3));
    assert_eq!(
        (exited.severity(), exited.exit_reason()),
        (v1::EventSeverity::Warning, v1::ExitReason::Signal)
    );
    assert_eq!(
        exited.exit_status.as_ref().unwrap().how,
        Some(v1::exit_status::How::Signal("SIGKILL".into()))
    );
    assert_eq!((exited.duration.unwrap().seconds, exited.pid), (90, Some(4242)));
    assert_eq!(exited.message, "web exited");
    let again = &part.events[4];
    assert_eq!((again.restarts, again.duration.unwrap().seconds), (4, 1));
    assert!(events.next().await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_asked_for_is_told_and_the_position_goes_on_over_the_rest() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let web = || vec!["cccc".to_owned()];
    for (request, wanted, sequence) in [
        (WatchEventsRequest { names: web(), ..from_start() }, vec![1, 2, 4, 5], 6),
        (WatchEventsRequest { kinds: vec!["started".into()], ..from_start() }, vec![2, 3], 6),
        (WatchEventsRequest { names: web(), kinds: vec!["started".into()], ..from_start() }, vec![2], 6),
        (WatchEventsRequest { after_sequence: Some(4), ..Default::default() }, vec![5, 6], 6),
        (WatchEventsRequest { after_sequence: Some(6), ..Default::default() }, vec![], 6),
        (WatchEventsRequest { last: 2, ..Default::default() }, vec![5, 6], 6),
        (WatchEventsRequest { last: 2, names: web(), ..Default::default() }, vec![4, 5], 6),
        (WatchEventsRequest::default(), vec![], 6),
    ] {
        let (numbers, last) = past(&mut client, request.clone()).await;
        assert_eq!((numbers, last.sequence, last.missed), (wanted, sequence, false), "{request:?}");
    }
    // Another life of the daemon: from the beginning, and said.
    let other = WatchEventsRequest { epoch: "01d".into(), after_sequence: Some(4000), ..Default::default() };
    let (numbers, last) = past(&mut client, other).await;
    assert_eq!((numbers.len(), last.missed), (6, true));
}

#[tokio::test]
async fn what_can_not_be_asked_for_is_refused_with_the_way_out() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    for (request, code, hint) in [
        (WatchEventsRequest { names: vec!["wbe".into()], ..from_start() }, Code::NotFound, "mean web?"),
        (
            WatchEventsRequest { names: vec!["a b".into()], follow: true, ..from_start() },
            Code::NotFound,
            "list",
        ),
        (
            WatchEventsRequest { kinds: vec!["exitd".into()], ..from_start() },
            Code::InvalidArgument,
            "mean exited?",
        ),
        (
            WatchEventsRequest { kinds: vec!["\u{1b}".into()], ..from_start() },
            Code::InvalidArgument,
            "created, ",
        ),
        (
            WatchEventsRequest { after_sequence: Some(7), ..Default::default() },
            Code::InvalidArgument,
            "epoch",
        ),
    ] {
        let refused = match client.events(request.clone()).await {
            Ok(mut events) => rejected(events.next().await),
            refused => rejected(refused),
        };
        assert!(refused.code == code && refused.hint.as_ref().unwrap().contains(hint), "{refused:?}");
    }
}

#[tokio::test]
async fn a_follower_hears_of_each_new_event_also_of_a_process_that_is_not_there_yet() {
    let daemon = Daemon::start().await;
    let names = vec!["new".to_owned()];
    let request = WatchEventsRequest { names, follow: true, ..Default::default() };
    let mut events = daemon.unix().await.events(request).await.unwrap();
    let first = next(&mut events).await;
    assert!(first.caught_up && first.events.is_empty() && first.sequence == 6);
    daemon.fake.happen("web", EventKind::Stopped);
    daemon.fake.happen("new", EventKind::Created);
    let part = next(&mut events).await;
    assert_eq!((part.events[0].sequence, part.events[0].process.as_str(), part.sequence), (8, "new", 8));
    assert!(!part.caught_up, "said once");
}

#[tokio::test]
async fn who_is_too_slow_is_told_so_and_holds_up_nobody() {
    let daemon = Daemon::start().await;
    let follow = || WatchEventsRequest { follow: true, ..Default::default() };
    let mut slow = daemon.unix().await.events(follow()).await.unwrap();
    let first = next(&mut slow).await;
    // More than the ring and all buffers on the way hold, and nobody reads it. Pushing never waits.
    let text = "x".repeat(4_000);
    (0..40_000).for_each(|_| {
        daemon.fake.happen("web", EventKind::Skipped { condition: text.clone() });
    });
    let (mut missed, mut position) = (false, first.sequence);
    while position < 40_006 {
        let part = next(&mut slow).await;
        if let Some(event) = part.events.first() {
            assert!(part.missed || event.sequence == position + 1, "a gap that nobody was told of");
        }
        missed |= part.missed;
        position = part.sequence;
    }
    assert!(missed);
}

#[tokio::test]
async fn events_end_with_unavailable_when_the_daemon_drains_and_nothing_is_left_out() {
    let mut daemon = Daemon::start().await;
    let request = WatchEventsRequest { follow: true, ..Default::default() };
    let mut events = daemon.unix().await.events(request).await.unwrap();
    next(&mut events).await;
    daemon.fake.happen("web", EventKind::Stopped);
    daemon.begin_stop();
    assert_eq!(next(&mut events).await.events.len(), 1);
    let end = rejected(tokio::time::timeout(PATIENCE, events.next()).await.unwrap());
    assert_eq!((end.code, end.reason.as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    daemon.stopped().await;
}

#[tokio::test]
async fn watchers_are_bounded_and_one_that_leaves_makes_room() {
    let daemon = Daemon::start().await;
    let request = || WatchEventsRequest { follow: true, ..Default::default() };
    let mut open = Vec::new();
    let refused = loop {
        // Fewer on a connection than it may have streams.
        let mut client = daemon.unix().await;
        let mut refused = None;
        for _ in 0..30 {
            match client.events(request()).await {
                Ok(events) => open.push(events),
                other => {
                    refused = Some(rejected(other));
                    break;
                }
            }
        }
        if let Some(refused) = refused {
            break refused;
        }
    };
    assert_eq!((open.len(), refused.reason.as_str()), (256, "BUSY"));
    drop(open.pop());
    let mut client = daemon.unix().await;
    let begun = tokio::time::Instant::now();
    while client.events(request()).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "its place is still taken");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn waiting_ends_when_the_condition_holds() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let run = daemon.fake.table.lock().unwrap()[3].run.clone();
    // It holds already.
    assert_eq!(client.wait("cccc", WaitCondition::Ready).await.unwrap().name, "web");
    for (condition, state) in [
        (WaitCondition::Exited, State::Backoff),
        (WaitCondition::Ready, State::Running),
        (WaitCondition::Stopped, State::Stopped),
    ] {
        let mut other = daemon.unix().await;
        let waiting = tokio::spawn(async move { other.wait("web", condition).await });
        // Asked after the wait: the one before is on its way or there already, and either is right.
        client.get("web").await.unwrap();
        let run = run.clone();
        daemon.fake.change(
            "web",
            |view| {
                view.state = state;
                view.run = run.filter(|_| state == State::Running);
                view.next = None;
            },
            // No event says so: the change alone has to do.
            None,
        );
        let process = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
        assert_eq!(process.name, "web", "{condition:?}");
    }
}

#[tokio::test]
async fn exited_means_the_run_that_was_alive_when_the_call_began() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let mut other = daemon.unix().await;
    let news = daemon.fake.ring.clone();
    let waiting = tokio::spawn(async move { other.wait("web", WaitCondition::Exited).await });
    while news.listeners() == 0 {
        client.status().await.unwrap();
    }
    // A new run at once: nobody ever sees it down.
    daemon.fake.change(
        "web",
        |view| {
            let run = view.run.as_mut().unwrap();
            run.number = model::RunNumber(run.number.0 + 1);
        },
        None,
    );
    let process = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(process.run.unwrap().number, 3);
}

#[tokio::test]
async fn what_can_not_come_by_itself_is_refused_and_what_is_tried_again_is_not() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    for state in [State::Stopped, State::Failed, State::Invalid, State::Skipped, State::Exited] {
        daemon.fake.change("web", |view| (view.state, view.wanted_up) = (state, false), None);
        let refused = rejected(client.wait("web", WaitCondition::Unspecified).await);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::FailedPrecondition, "FAILED_PRECONDITION")
        );
        assert!(refused.message.starts_with("web won't be ready by itself") && refused.hint.is_some());
    }
    // A oneshot that has done its work, and what remains after its exit.
    let oneshot = |view: &mut model::ProcessView| {
        let mut spec = (*view.spec).clone();
        spec.start.kind = model::ProcessType::Oneshot;
        view.spec = spec.into();
    };
    daemon.fake.change("web", oneshot, None);
    client.wait("web", WaitCondition::Ready).await.unwrap();

    for state in [State::Backoff, State::CrashLoop, State::Waiting, State::Starting, State::Stopping] {
        daemon.fake.change("twin", |view| view.state = state, None);
        let mut hurried = daemon.unix().await.with_timeout(Some(Duration::from_millis(50)));
        let result = hurried.wait("twin", WaitCondition::Ready).await;
        assert!(matches!(result, Err(ClientError::TimedOut(_))), "{state}: {result:?}");
    }
}

#[tokio::test]
async fn a_process_with_a_health_check_is_ready_when_that_says_so() {
    let daemon = Daemon::start().await;
    let probe = Probe::Tcp { address: "localhost:1".into() };
    daemon.fake.change(
        "web",
        |view| {
            let mut spec = (*view.spec).clone();
            spec.health = Some(HealthSpec::new(probe));
            view.spec = spec.into();
        },
        None,
    );
    let mut client = daemon.unix().await;
    let waiting = tokio::spawn(async move { client.wait("web", WaitCondition::Ready).await });
    let healthy = EventKind::Health { state: HealthState::Healthy, message: String::new() };
    let health = |view: &mut model::ProcessView| view.health.as_mut().unwrap().state = HealthState::Healthy;
    daemon.fake.change("web", health, Some(healthy));
    tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_waiter_hears_of_the_end_of_the_process_and_of_the_daemon() {
    let mut daemon = Daemon::start().await;
    let wait = |mut client: Client, name: &'static str| {
        tokio::spawn(async move { client.wait(name, WaitCondition::Exited).await })
    };
    let deleted = wait(daemon.unix().await, "twin");
    let drained = wait(daemon.unix().await, "web");
    let mut client = daemon.unix().await;
    while daemon.fake.ring.listeners() < 2 {
        client.status().await.unwrap();
    }
    daemon.fake.remove("twin");
    assert_eq!(rejected(deleted.await.unwrap()).code, Code::NotFound);
    daemon.begin_stop();
    assert_eq!(rejected(drained.await.unwrap()).code, Code::Unavailable);
}

#[tokio::test]
async fn a_waiter_whose_caller_left_is_forgotten() {
    let daemon = Daemon::start().await;
    let mut other = daemon.unix().await;
    let waiting = tokio::spawn(async move { other.wait("web", WaitCondition::Exited).await });
    let mut client = daemon.unix().await;
    while daemon.fake.ring.listeners() == 0 {
        client.status().await.unwrap();
    }
    waiting.abort();
    let begun = tokio::time::Instant::now();
    while daemon.fake.ring.listeners() > 0 {
        assert!(begun.elapsed() < PATIENCE, "it still waits");
        client.status().await.unwrap();
    }
}

#[tokio::test]
async fn usage_is_told_by_role() {
    let daemon = Daemon::start().await;
    daemon.fake.change("twin", |view| (view.state, view.run) = (State::Stopped, None), None);
    let stats = daemon.unix().await.stats(vec![], true).await.unwrap();
    let names: Vec<_> = stats.stats.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["broken", "slow", "twin", "web"]);
    let web = &stats.stats[3];
    assert_eq!((web.run, web.pid, web.processes, web.threads), (2, Some(4242), 2, 9));
    assert_eq!((web.fds, web.read_bytes, web.written_bytes), (Some(12), Some(4096), Some(1 << 20)));
    let shown =
        |stats: &v1::ProcessStats| stats.members.iter().map(|m| m.command_line.clone()).collect::<Vec<_>>();
    assert_eq!(shown(web), ["/usr/bin/web --secret hunter2", "worker: \u{1b}[31mred", "web"]);
    assert_eq!(web.members[2].state, "Z");
    let twin = &stats.stats[2];
    assert_eq!((twin.run, twin.pid, twin.processes, twin.members.len()), (0, None, 0, 0));

    // Whoever may only look sees no arguments; names are taken once, in any order.
    let mut viewer = daemon.tcp(None).await;
    let stats = viewer.stats(vec!["web".into(), "cccc".into(), "slow".into()], true).await.unwrap();
    assert_eq!(stats.stats.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["slow", "web"]);
    assert_eq!(shown(&stats.stats[1]), ["web", "web", "web"]);
    assert_eq!(rejected(viewer.stats(vec!["wbe".into()], false).await).code, Code::NotFound);
    assert!(viewer.stats(vec!["web".into()], false).await.unwrap().stats[0].members.is_empty());
}
