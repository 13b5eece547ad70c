//! Calls that are made again, that don't wait, and that only ask what would be.

use rpc::{ClientError, v1};
use tonic::Code;

use crate::support::{Daemon, PATIENCE, bare, with_token};

fn start(name: &str, id: &str) -> v1::StartProcessRequest {
    v1::StartProcessRequest { name: name.into(), request_id: id.into(), ..Default::default() }
}

fn verbs(daemon: &Daemon) -> Vec<String> {
    daemon.fake.verbs.lock().unwrap().clone()
}

#[tokio::test]
async fn a_repeated_call_answers_what_the_first_one_did_and_does_nothing() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let first = client.start_with(start("web", "a-1")).await.unwrap();
    // What happened since then makes no difference.
    daemon.fake.change("web", |view| view.state = model::State::Failed, None);
    let second = daemon.unix().await.start_with(start("web", "a-1")).await.unwrap();
    assert_eq!((first, verbs(&daemon).len()), (second, 1));
    // Another id, or none, is another call.
    client.start_with(start("web", "a-2")).await.unwrap();
    client.start_with(start("web", "")).await.unwrap();
    client.start_with(start("web", "")).await.unwrap();
    assert_eq!(verbs(&daemon).len(), 4);
    // An error is an answer, too, with all that it says.
    let refused = async |id: &str| match daemon.unix().await.start_with(start("broken", id)).await {
        Err(ClientError::Rejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("b").await, refused("b").await);
    assert_eq!(verbs(&daemon).len(), 5);
}

#[tokio::test]
async fn an_id_stands_for_one_request() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    client.start_with(start("web", "a")).await.unwrap();
    for (request, part) in [
        (start("twin", "a"), "another request"),
        (v1::StartProcessRequest { no_wait: true, ..start("web", "a") }, "another request"),
        (start("web", "a b"), "visible ASCII"),
        (start("web", &"x".repeat(65)), "visible ASCII"),
    ] {
        let Err(ClientError::Rejected(refused)) = client.start_with(request).await else {
            panic!("accepted")
        };
        assert_eq!(
            (refused.code, refused.violations[0].field.as_str()),
            (Code::InvalidArgument, "request_id")
        );
        assert!(refused.message.contains(part) && refused.hint.is_some(), "{refused:?}");
    }
    // Of another method it is another one; and so it is of a caller over TCP.
    let stop = v1::StopProcessRequest { name: "web".into(), request_id: "a".into(), ..Default::default() };
    client.stop_with(stop).await.unwrap();
    bare(&daemon).await.start_process(with_token(&daemon, start("web", "a"))).await.unwrap();
    assert_eq!(verbs(&daemon), ["start web", "stop web", "start web"]);
}

#[tokio::test]
async fn maps_of_a_request_have_no_order() {
    let daemon = Daemon::start().await;
    let request = || {
        let values = (0..50).map(|n| (format!("K{n}"), n.to_string())).collect();
        let definition =
            v1::ProcessDefinition { env: Some(v1::Environment { values }), ..Default::default() };
        let (name, request_id) = ("web".into(), "a".into());
        v1::UpdateProcessRequest { name, definition: Some(definition), request_id, ..Default::default() }
    };
    for _ in 0..5 {
        daemon.unix().await.update_with(request()).await.unwrap();
    }
    assert_eq!(daemon.fake.updated.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn who_left_and_comes_again_gets_the_answer_of_the_call_that_went_on() {
    let daemon = Daemon::start().await;
    let mut began = daemon.fake.began.subscribe();
    let mut first = daemon.unix().await;
    let call = tokio::spawn(async move { first.start_with(start("slow", "a")).await });
    began.wait_for(|verb| verb == "start slow").await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    let mut second = daemon.unix().await;
    let again = tokio::spawn(async move { second.start_with(start("slow", "a")).await });
    daemon.unix().await.status().await.unwrap();
    daemon.fake.gate.send_replace(true);
    let answer = tokio::time::timeout(PATIENCE, again).await.unwrap().unwrap().unwrap();
    assert_eq!((answer.name.as_str(), verbs(&daemon).len()), ("slow", 1));
}

#[tokio::test]
async fn who_does_not_wait_is_answered_once_the_command_is_accepted() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let now = |name: &str| v1::StartProcessRequest { no_wait: true, ..start(name, "") };
    // As soon as it shows.
    let (fake, mut began) = (daemon.fake.clone(), daemon.fake.began.subscribe());
    let shows = tokio::spawn(async move {
        began.wait_for(|verb| verb == "start slow").await.unwrap();
        fake.change("slow", |view| view.state = model::State::Starting, None);
    });
    let process = tokio::time::timeout(PATIENCE, client.start_with(now("slow"))).await.unwrap().unwrap();
    shows.await.unwrap();
    assert_eq!(process.state(), v1::State::Starting);
    // It goes on without anybody.
    let mut ended = daemon.fake.ended.subscribe();
    assert_ne!(*ended.borrow(), "start slow");
    daemon.fake.gate.send_replace(true);
    tokio::time::timeout(PATIENCE, ended.wait_for(|verb| verb == "start slow")).await.unwrap().unwrap();
    // What is refused at once is an error all the same.
    let Err(ClientError::Rejected(refused)) = client.start_with(now("broken")).await else {
        panic!("accepted")
    };
    assert_eq!(refused.reason, "START_FAILED");
}

#[tokio::test]
async fn a_command_that_does_not_show_is_answered_all_the_same() {
    let daemon = Daemon::start().await;
    let stop = v1::StopProcessRequest { name: "slow".into(), no_wait: true, ..Default::default() };
    let process = tokio::time::timeout(PATIENCE, daemon.unix().await.stop_with(stop)).await.unwrap().unwrap();
    assert_eq!(process.name, "slow");
}

#[tokio::test]
async fn a_caller_whose_deadline_is_over_is_answered_and_what_it_asked_for_goes_on() {
    let daemon = Daemon::start().await;
    let mut request = with_token(&daemon, start("slow", ""));
    request.set_timeout(std::time::Duration::from_millis(100));
    let error = bare(&daemon).await.start_process(request).await.unwrap_err();
    // The client looks at its clock, too, and says so in its own words.
    assert!(matches!(error.code(), Code::DeadlineExceeded | Code::Cancelled), "{error:?}");
    let mut ended = daemon.fake.ended.subscribe();
    daemon.fake.gate.send_replace(true);
    tokio::time::timeout(PATIENCE, ended.wait_for(|verb| verb == "start slow")).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dry_run_of_create_is_one() {
    let daemon = Daemon::start().await;
    let definition = model::Definition { command: Some("sleep".into()), ..Default::default() };
    let name = crate::support::name("new");
    let create = rpc::Create { name, definition, start: true, dry_run: true };
    daemon.unix().await.create(create).await.unwrap();
    assert!(daemon.fake.created.lock().unwrap()[0].dry_run);
}

#[tokio::test]
async fn a_call_that_runs_is_carried_out_once_however_many_come_after_it() {
    let daemon = Daemon::start().await;
    let mut began = daemon.fake.began.subscribe();
    let mut first = daemon.unix().await;
    let call = tokio::spawn(async move { first.start_with(start("slow", "runs")).await });
    began.wait_for(|verb| verb == "start slow").await.unwrap();
    let mut second = daemon.unix().await;
    for n in 0..1_100 {
        second.start_with(start("web", &format!("n{n}"))).await.unwrap();
    }
    let again = tokio::spawn(async move { second.start_with(start("slow", "runs")).await });
    daemon.unix().await.status().await.unwrap();
    daemon.fake.gate.send_replace(true);
    call.await.unwrap().unwrap();
    tokio::time::timeout(PATIENCE, again).await.unwrap().unwrap().unwrap();
    assert_eq!(verbs(&daemon).iter().filter(|verb| *verb == "start slow").count(), 1);
}
