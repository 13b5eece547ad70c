//! Streams and waiting calls: a viewer can't fill what operators need, and every refusal is told and counted.

use rpc::{Client, ClientError, Rejection, v1};
use tonic::Code;

use crate::support::{Daemon, PATIENCE, bare, with_token};

/// Refused as what is full is: with a reason, a hint, and when to come again.
fn refused(status: tonic::Status) -> Rejection {
    match ClientError::from(status) {
        ClientError::Rejected(refused) => {
            assert_eq!((refused.code, refused.reason.as_str()), (Code::ResourceExhausted, "BUSY"));
            assert!(refused.hint.is_some(), "{refused:?}");
            refused
        }
        other => panic!("{other:?}"),
    }
}

fn follow() -> v1::WatchEventsRequest {
    v1::WatchEventsRequest { follow: true, ..Default::default() }
}

fn exhausted(daemon: &Daemon, method: &str) -> u64 {
    daemon.meter.read().find(|stats| stats.method == method).unwrap().handled[8]
}

#[tokio::test]
async fn a_viewer_has_its_share_of_event_streams_and_others_have_theirs() {
    let daemon = Daemon::start().await;
    let mut streams = Vec::new();
    // 64 streams fit into one connection; its 65th call would wait in the client.
    for _ in 0..4 {
        let mut client = bare(&daemon).await;
        for _ in 0..16 {
            let mut stream = client.watch_events(follow()).await.unwrap().into_inner();
            stream.message().await.unwrap().unwrap();
            streams.push(stream);
        }
    }
    let error = bare(&daemon).await.watch_events(follow()).await.unwrap_err();
    assert!(refused(error).message.contains("you have 64 event streams"));
    assert_eq!(exhausted(&daemon, "WatchEvents"), 1);
    // Who presents the token is another caller, and so is a user of the socket.
    let mut operator =
        bare(&daemon).await.watch_events(with_token(&daemon, follow())).await.unwrap().into_inner();
    operator.message().await.unwrap().unwrap();
    let mut admin = daemon.unix().await.events(follow()).await.unwrap();
    tokio::time::timeout(PATIENCE, admin.next()).await.unwrap().unwrap().unwrap();
    // What is given back can be taken again, once the daemon has seen the end.
    drop(streams.pop());
    let again = async {
        loop {
            if let Ok(stream) = bare(&daemon).await.watch_events(follow()).await {
                return stream;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

#[tokio::test]
async fn a_viewer_has_its_share_of_waiting_calls() {
    let daemon = Daemon::start().await;
    let wait = || v1::WaitProcessRequest { name: "web".into(), condition: v1::WaitCondition::Stopped.into() };
    let mut waiting = tokio::task::JoinSet::new();
    // As many calls as run on one connection.
    for _ in 0..9 {
        let client = bare(&daemon).await;
        for _ in 0..32 {
            let mut client = client.clone();
            waiting.spawn(async move { client.wait_process(wait()).await });
        }
    }
    // 288 asked, of which 256 wait.
    for _ in 0..32 {
        let refused_one =
            tokio::time::timeout(PATIENCE, waiting.join_next()).await.unwrap().unwrap().unwrap();
        assert!(refused(refused_one.unwrap_err()).message.contains("you have 256 calls that wait"));
    }
    assert_eq!((waiting.len(), exhausted(&daemon, "WaitProcess")), (256, 32));
    // An operator's call waits: it is not refused, and ends well.
    let mut client = bare(&daemon).await;
    let request = with_token(&daemon, wait());
    let operator = tokio::spawn(async move { client.wait_process(request).await });
    daemon.fake.change(
        "web",
        |view| (view.state, view.run, view.next) = (model::State::Stopped, None, None),
        None,
    );
    tokio::time::timeout(PATIENCE, operator).await.unwrap().unwrap().unwrap();
    while let Some(done) = tokio::time::timeout(PATIENCE, waiting.join_next()).await.unwrap() {
        done.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_operator_has_its_share_of_log_streams_and_an_admin_what_is_left() {
    let daemon = Daemon::start().await;
    let follow = || v1::StreamLogsRequest { name: "web".into(), follow: true, ..Default::default() };
    let mut streams = Vec::new();
    for _ in 0..8 {
        let mut client = bare(&daemon).await;
        for _ in 0..16 {
            let mut stream = client.stream_logs(with_token(&daemon, follow())).await.unwrap().into_inner();
            stream.message().await.unwrap().unwrap();
            streams.push(stream);
        }
    }
    let error = bare(&daemon).await.stream_logs(with_token(&daemon, follow())).await.unwrap_err();
    assert!(refused(error).message.contains("you have 128 log streams"));
    let mut admin: Client = daemon.unix().await;
    assert!(admin.logs(follow()).await.unwrap().next().await.unwrap().is_some());
}
