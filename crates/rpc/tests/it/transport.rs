//! What happens to the connections: garbage, crowds, callers who leave, ports that are taken, the end.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rpc::{BindError, Client, ClientError, ListenState, Server, SocketError, Target, Token, Unreachable, v1};
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use crate::support::{self, Daemon, PATIENCE};

#[tokio::test]
async fn garbage_on_either_port_costs_nothing() {
    let daemon = Daemon::start().await;
    let junk: [&[u8]; 5] = [
        b"\0\xff\xfe garbage \r\n\r\n garbage garbage garbage",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"PRI * HT",
    ];
    for bytes in junk {
        UnixStream::connect(&daemon.socket).unwrap().write_all(bytes).unwrap();
        TcpStream::connect(daemon.port()).unwrap().write_all(bytes).unwrap();
    }
    assert_eq!(daemon.unix().await.list(v1::ProcessView::Basic).await.unwrap().len(), 4);
    assert_eq!(daemon.tcp(None).await.list(v1::ProcessView::Basic).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_crowd_of_idle_connections_shuts_out_only_its_own_kind() {
    let daemon = Daemon::start().await;
    let address = daemon.port();
    let mut crowd = Vec::new();
    for _ in 0..256 {
        crowd.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    let mut late = tokio::net::TcpStream::connect(address).await.unwrap();
    let read = timeout(PATIENCE, late.read_u8()).await.unwrap();
    // Refused with an end of file or a reset, not left hanging.
    let refused = read.unwrap_err().kind();
    assert!(matches!(refused, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{refused:?}");
    assert_eq!(daemon.unix().await.list(v1::ProcessView::Basic).await.unwrap().len(), 4);
    drop(crowd);
    // The slots come back once the server has seen the ends.
    let listed = timeout(PATIENCE, async {
        loop {
            let target = Target::Tcp(address.to_string(), None);
            if let Ok(mut client) = Client::connect(&target, PATIENCE).await
                && let Ok(list) = client.list(v1::ProcessView::Basic).await
            {
                return list.len();
            }
        }
    });
    assert_eq!(listed.await.unwrap(), 4);
}

#[tokio::test]
async fn an_operation_completes_although_its_caller_left() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let mut began = daemon.fake.began.subscribe();
    let mut ended = daemon.fake.ended.subscribe();
    let call = tokio::spawn(async move { client.stop("slow").await });
    timeout(PATIENCE, began.wait_for(|verb| verb == "stop slow")).await.unwrap().unwrap();
    // The caller goes away with its connection, and the server has noticed that before the operation can go on.
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    daemon.unix().await.status().await.unwrap();
    daemon.fake.gate.send_replace(true);
    timeout(PATIENCE, ended.wait_for(|verb| verb == "stop slow")).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_caller_with_a_limit_gets_its_answer_in_time() {
    let daemon = Daemon::start().await;
    let mut ended = daemon.fake.ended.subscribe();
    let mut client = daemon.unix().await.with_timeout(Some(Duration::from_millis(20)));
    assert!(matches!(client.stop("slow").await.unwrap_err(), ClientError::TimedOut(_)));
    daemon.fake.gate.send_replace(true);
    timeout(PATIENCE, ended.wait_for(|verb| verb == "stop slow")).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_alone() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let definition = model::Definition { description: Some("x".repeat(5 << 20)), ..Default::default() };
    let create = rpc::Create { name: support::name("big"), definition, start: false, dry_run: false };
    let error = client.create(create).await.unwrap_err();
    let ClientError::Rejected(rejection) = error else { panic!("{error:?}") };
    assert_eq!(rejection.code, tonic::Code::OutOfRange);
    assert!(daemon.fake.created.lock().unwrap().is_empty());
    client.status().await.unwrap();
}

#[tokio::test]
async fn a_second_server_on_the_same_socket_is_refused() {
    let daemon = Daemon::start().await;
    let token = Token::create(daemon.token.path(), None).unwrap();
    let error = Server::bind(support::config(daemon.dir.path(), &token)).await.unwrap_err();
    assert!(matches!(error, BindError::Socket(SocketError::Owned { .. })), "{error}");
    // The first one's token is still the one in the file.
    let read = Token::read(daemon.token.path()).unwrap();
    assert_eq!(daemon.tcp(Some(&read)).await.status().await.unwrap().caller_role, "operator");
    daemon.unix().await.status().await.unwrap();
}

#[tokio::test]
async fn after_a_rotation_the_old_token_is_void() {
    let daemon = Daemon::start().await;
    let old = daemon.token.clone();
    let mut standing = daemon.tcp(Some(&old)).await;
    assert_eq!(standing.status().await.unwrap().caller_role, "operator");
    let path = daemon.unix().await.rotate_token().await.unwrap();
    assert_eq!(std::path::Path::new(&path), old.path());
    let ClientError::Rejected(refused) = standing.status().await.unwrap_err() else { panic!("still valid") };
    assert_eq!(refused.code, tonic::Code::Unauthenticated);
    let new = Token::read(old.path()).unwrap();
    assert_eq!(daemon.tcp(Some(&new)).await.status().await.unwrap().caller_role, "operator");
    // What can't be written leaves the one that is valid.
    std::fs::remove_file(old.path()).unwrap();
    std::fs::create_dir(old.path()).unwrap();
    let ClientError::Rejected(failed) = daemon.unix().await.rotate_token().await.unwrap_err() else {
        panic!("rotated")
    };
    assert!(failed.message.contains(&path) && failed.hint.is_some(), "{failed:?}");
    assert_eq!(daemon.tcp(Some(&new)).await.status().await.unwrap().caller_role, "operator");
}

#[tokio::test]
async fn a_rotation_while_the_server_drains_leaves_no_token_behind() {
    let mut daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let path = daemon.token.path().to_owned();
    // A call that is open keeps the connection, and the drain, from ending.
    let mut other = daemon.unix().await;
    let mut began = daemon.fake.began.subscribe();
    let open = tokio::spawn(async move { other.stop("slow").await });
    timeout(PATIENCE, began.wait_for(|verb| verb == "stop slow")).await.unwrap().unwrap();
    let mut standing = tokio::task::JoinSet::new();
    daemon.begin_stop();
    standing.spawn(async move { client.rotate_token().await });
    // Either before the end, or refused; in no case the file is there afterwards.
    let _rotated_or_refused = timeout(PATIENCE, standing.join_next()).await.unwrap();
    daemon.fake.gate.send_replace(true);
    timeout(PATIENCE, open).await.unwrap().unwrap().unwrap();
    let _dir = daemon.stopped().await;
    assert!(!path.exists(), "the next daemon would find it");
}

#[tokio::test]
async fn a_taken_port_is_reported_and_tried_again() {
    let blocker = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = blocker.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let token = Token::create(&dir.path().join("token"), None).unwrap();
    let mut config = support::config(dir.path(), &token);
    config.tcp = Some(wanted);
    let server = Server::bind(config).await.unwrap();
    let mut state = server.tcp_state();
    let ListenState::Failed { address, error } = state.borrow().clone() else { panic!("bound twice") };
    assert_eq!(address, wanted);
    assert!(error.contains("in use"), "{error}");

    let fake = support::Fake::new();
    let ready = tokio::sync::watch::Sender::new(true);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (control, logs, readiness) = (fake.clone(), fake, ready.subscribe());
    let served = tokio::spawn(async move {
        server.serve(control, logs, readiness, async move { stopped.await.unwrap() }).await.unwrap();
    });
    let socket = Target::Unix(dir.path().join("control.sock"));
    Client::connect(&socket, PATIENCE).await.unwrap().status().await.unwrap();
    drop(blocker);
    let open = |state: &ListenState| *state == ListenState::Listening(wanted);
    timeout(PATIENCE, state.wait_for(open)).await.unwrap().unwrap();
    let tcp = Target::Tcp(wanted.to_string(), None);
    Client::connect(&tcp, PATIENCE).await.unwrap().status().await.unwrap();
    stop.send(()).unwrap();
    timeout(PATIENCE, served).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let token = Token::create(&dir.path().join("token"), None).unwrap();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:50051"] {
        let mut config = support::config(dir.path(), &token);
        config.tcp = Some(address.parse().unwrap());
        let error = Server::bind(config).await.unwrap_err();
        assert!(matches!(error, BindError::NotLoopback(_)));
        assert!(error.to_string().contains("TLS"), "{error}");
    }
    assert!(!dir.path().join("control.sock").exists(), "nothing was bound");
}

#[tokio::test]
async fn at_the_end_followers_are_told_and_the_socket_is_gone() {
    let mut daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let request = v1::StreamLogsRequest { name: "web".into(), follow: true, ..Default::default() };
    let mut logs = client.logs(request).await.unwrap();
    assert_eq!(logs.next().await.unwrap().unwrap().data, b"one\ntwo\n");
    daemon.begin_stop();
    let ClientError::Rejected(end) = logs.next().await.unwrap_err() else { panic!("not told") };
    assert_eq!((end.code, end.reason.as_str()), (tonic::Code::Unavailable, "SHUTTING_DOWN"));
    let socket = Target::Unix(daemon.socket.clone());
    let _dir = daemon.stopped().await;
    let error = Client::connect(&socket, PATIENCE).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { why: Unreachable::Missing, .. }), "{error}");
}

#[tokio::test]
async fn an_open_call_is_finished_before_the_end() {
    let mut daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let mut began = daemon.fake.began.subscribe();
    let call = tokio::spawn(async move { client.stop("slow").await });
    timeout(PATIENCE, began.wait_for(|verb| verb == "stop slow")).await.unwrap().unwrap();
    daemon.begin_stop();
    daemon.fake.gate.send_replace(true);
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap().unwrap().name, "slow");
    daemon.stopped().await;
}

#[tokio::test]
async fn unreachable_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let why = async |target: Target| match Client::connect(&target, PATIENCE).await.unwrap_err() {
        ClientError::Unreachable { why, .. } => why,
        other => panic!("{other}"),
    };
    assert!(matches!(why(Target::Unix(path.clone())).await, Unreachable::Missing));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(why(Target::Unix(path)).await, Unreachable::Refused));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(why(Target::Tcp(gone.to_string(), None)).await, Unreachable::Refused));
}

#[tokio::test]
async fn another_program_on_the_port_is_a_broken_connection() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::Tcp(other.local_addr().unwrap().to_string(), None);
    let answer = std::thread::spawn(move || {
        let (mut io, _) = other.accept().unwrap();
        io.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let called = async { Client::connect(&target, PATIENCE).await?.status().await };
    let error = timeout(PATIENCE, called).await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Lost(_) | ClientError::Unreachable { .. }), "{error:?}");
    answer.join().unwrap();
}
