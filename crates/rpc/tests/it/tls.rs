//! TLS on the port: who gets in with which role, who doesn't, and how certificates are exchanged.

use std::sync::Arc;
use std::time::Duration;

use rpc::{Client, ClientError, ListenState, Server, Target, Tls, TlsFiles, Token, Unreachable, v1};
use testkit::Authority;
use tls::{ClientAuth, Live, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::keys::Keys;
use crate::support::{self, Daemon, PATIENCE};

async fn served(keys: &Keys, auth: ClientAuth) -> (Daemon, Arc<Live>) {
    let tls = keys.live(auth);
    let live = Arc::clone(&tls.live);
    (Daemon::with(|config| config.tls = Some(tls)).await, live)
}

async fn connect(daemon: &Daemon, files: &TlsFiles, token: Option<Token>) -> Result<Client, ClientError> {
    let target = Target::Tls(daemon.port().to_string(), token, files.clone());
    Client::connect(&target, PATIENCE).await
}

async fn role(daemon: &Daemon, files: &TlsFiles, token: Option<Token>) -> Result<String, ClientError> {
    Ok(connect(daemon, files, token).await?.status().await?.caller_role)
}

#[tokio::test]
async fn the_role_is_the_one_in_the_certificate() {
    let keys = Keys::new();
    let (daemon, _) = served(&keys, ClientAuth::Optional).await;
    for (units, expected) in [
        (&[][..], "viewer"),
        (&["viewer"], "viewer"),
        (&["operator"], "operator"),
        (&["x", "admin"], "admin"),
    ] {
        let files = keys.client("ada", &keys.authority.client("ada", units));
        assert_eq!(role(&daemon, &files, None).await.unwrap(), expected, "{units:?}");
    }
    let stranger = keys.stranger();
    assert_eq!(role(&daemon, &stranger, None).await.unwrap(), "viewer");
    assert_eq!(role(&daemon, &stranger, Some(daemon.token.clone())).await.unwrap(), "operator");
    let ClientError::Rejected(r) =
        connect(&daemon, &stranger, None).await.unwrap().stop("web").await.unwrap_err()
    else {
        panic!("let in")
    };
    assert!(r.reason == "ROLE_TOO_LOW" && r.message.contains("over TLS"), "{r:?}");
}

#[tokio::test]
async fn who_is_not_let_in_is_told_and_costs_nothing() {
    let keys = Keys::new();
    let (daemon, _) = served(&keys, ClientAuth::Required).await;
    let foreign = Authority::new("elsewhere");
    let good = keys.client("good", &keys.authority.client("good", &["admin"]));
    let refused: [(TlsFiles, &str); 5] = [
        (keys.stranger(), "wants a certificate"),
        (keys.client("foreign", &foreign.client("x", &["admin"])), "refused this side's certificate"),
        (
            keys.client("old", &keys.authority.expired_client("x", &["admin"])),
            "refused this side's certificate",
        ),
        (keys.client("server", &keys.authority.server(&["x"])), "refused this side's certificate"),
        // Half of what it needs.
        (TlsFiles { cert: good.cert.clone(), ..keys.stranger() }, "needs both"),
    ];
    for (files, expected) in refused {
        let error = role(&daemon, &files, Some(daemon.token.clone())).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error} should say {expected}");
    }
    assert_eq!(role(&daemon, &good, None).await.unwrap(), "admin");
}

#[tokio::test]
async fn a_client_does_not_talk_to_somebody_else() {
    let keys = Keys::new();
    let (daemon, live) = served(&keys, ClientAuth::Optional).await;
    let why = async |files: TlsFiles| match connect(&daemon, &files, None).await.unwrap_err() {
        ClientError::Unreachable { why: Unreachable::Tls(why), .. } => why,
        other => panic!("{other:?}"),
    };
    let elsewhere = keys.at("elsewhere");
    std::fs::write(&elsewhere, Authority::new("elsewhere").pem()).unwrap();
    let untrusting = TlsFiles { ca: Some(elsewhere), ..TlsFiles::default() };
    assert!(why(untrusting).await.contains("authority that is not trusted"));
    let other_name = TlsFiles { server_name: Some("db.example".into()), ..keys.stranger() };
    assert!(why(other_name).await.contains("is not for \"db.example\""));
    let by_name = TlsFiles { server_name: Some("localhost".into()), ..keys.stranger() };
    assert_eq!(role(&daemon, &by_name, None).await.unwrap(), "viewer");
    let missing = TlsFiles { ca: Some("/nowhere/ca.pem".into()), ..TlsFiles::default() };
    assert!(why(missing).await.contains("/nowhere/ca.pem: it can't be read"));
    // An expired certificate is never taken up, so a running server is one that got old.
    keys.serve(&keys.authority.expired(&["127.0.0.1"]));
    assert!(live.reload().unwrap_err().reason.contains("expired"));
    assert_eq!(role(&daemon, &keys.stranger(), None).await.unwrap(), "viewer");
}

#[tokio::test]
async fn the_port_speaks_nothing_but_tls() {
    let keys = Keys::new();
    let (daemon, _) = served(&keys, ClientAuth::Optional).await;
    let plain = Target::Tcp(daemon.port().to_string(), Some(daemon.token.clone()));
    let called = async { Client::connect(&plain, PATIENCE).await?.status().await };
    let error = timeout(PATIENCE, called).await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Lost(_) | ClientError::Unreachable { .. }), "{error:?}");
    for junk in [&b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..], b"\0\xff\xfe", &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3]]
    {
        let mut io = TcpStream::connect(daemon.port()).await.unwrap();
        io.write_all(junk).await.unwrap();
        io.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // An alert, or the end; never an answer to what was asked.
        let _reset = timeout(PATIENCE, io.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:?}");
    }
    assert_eq!(role(&daemon, &keys.stranger(), None).await.unwrap(), "viewer");
    let plain = Daemon::start().await;
    let error = connect(&plain, &keys.stranger(), None).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { why: Unreachable::Tls(_), .. }), "{error:?}");
}

#[tokio::test]
async fn certificates_are_exchanged_under_open_connections() {
    let keys = Keys::new();
    let (daemon, live) = served(&keys, ClientAuth::Required).await;
    let old = keys.client("old", &keys.authority.client("old", &["operator"]));
    let mut standing = connect(&daemon, &old, None).await.unwrap();
    standing.status().await.unwrap();

    let fresh = Authority::new("fresh");
    keys.trust(&fresh);
    keys.serve(&keys.authority.server(&["127.0.0.1", "new.example"]));
    live.reload().unwrap();
    assert_eq!(standing.status().await.unwrap().caller_role, "operator", "what stands goes on");
    let new_name = |files: TlsFiles| TlsFiles { server_name: Some("new.example".into()), ..files };
    let error = role(&daemon, &new_name(old.clone()), None).await.unwrap_err();
    assert!(error.to_string().contains("refused this side's certificate"), "{error}");
    let new = new_name(keys.client("new", &fresh.client("new", &["admin"])));
    assert_eq!(role(&daemon, &new, None).await.unwrap(), "admin");

    std::fs::write(&keys.files.cert, "garbage").unwrap();
    assert_eq!(live.reload().unwrap_err().path, keys.files.cert);
    assert!(live.problem().unwrap().to_string().contains("no certificate in it"));
    assert_eq!(role(&daemon, &new, None).await.unwrap(), "admin", "the last good ones are in use");
    keys.serve(&keys.authority.server(&["new.example"]));
    live.reload().unwrap();
    assert_eq!(live.problem(), None);
    assert_eq!(role(&daemon, &new, None).await.unwrap(), "admin");
}

#[tokio::test]
async fn stalled_handshakes_keep_nobody_out() {
    let keys = Keys::new();
    let (daemon, _) = served(&keys, ClientAuth::Optional).await;
    let mut stalled = Vec::new();
    for n in 0..300_u32 {
        let mut io = TcpStream::connect(daemon.port()).await.unwrap();
        if n % 2 == 0 {
            io.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        }
        stalled.push(io);
    }
    assert_eq!(role(&daemon, &keys.stranger(), None).await.unwrap(), "viewer");
    daemon.unix().await.status().await.unwrap();
    // The oldest ones had to give way.
    let mut buf = [0];
    let ended = timeout(PATIENCE, stalled[0].read(&mut buf)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let waits = timeout(Duration::from_millis(20), stalled[299].read(&mut buf)).await;
    assert!(waits.is_err(), "the newest one still has its time");
}

#[tokio::test]
async fn those_with_a_certificate_are_not_shut_out_by_those_without() {
    let keys = Keys::new();
    let (daemon, _) = served(&keys, ClientAuth::Optional).await;
    let stranger = keys.stranger();
    let mut crowd = Vec::new();
    for _ in 0..256 {
        crowd.push(connect(&daemon, &stranger, None).await.unwrap());
    }
    crowd.last_mut().unwrap().status().await.unwrap();
    role(&daemon, &stranger, None).await.unwrap_err();
    let files = keys.client("ada", &keys.authority.client("ada", &[]));
    assert_eq!(role(&daemon, &files, None).await.unwrap(), "viewer");
}

#[tokio::test]
async fn a_port_without_a_certificate_opens_once_there_is_one() {
    let keys = Keys::new();
    let pair = (std::fs::read(&keys.files.cert).unwrap(), std::fs::read(&keys.files.key).unwrap());
    std::fs::remove_file(&keys.files.cert).unwrap();
    let live = Arc::new(Live::new(Protocol::Http2));
    live.load(&keys.files, ClientAuth::Optional).unwrap_err();
    let tls = Tls { live: Arc::clone(&live), auth: ClientAuth::Optional };
    let dir = tempfile::tempdir().unwrap();
    let token = Token::create(&dir.path().join("token"), None).unwrap();
    let mut config = support::config(dir.path(), &token);
    config.tls = Some(tls);
    let server = Server::bind(config).await.unwrap();
    let mut state = server.tcp_state();
    let ListenState::Failed { error, .. } = state.borrow().clone() else { panic!("open") };
    assert!(error.contains("no certificate to serve with: ") && error.contains("can't be read"), "{error}");
    let fake = support::Fake::new();
    let ready = tokio::sync::watch::Sender::new(true);
    let (control, logs, readiness) = (fake.clone(), fake, ready.subscribe());
    let served = tokio::spawn(async move {
        server.serve(control, logs, readiness, std::future::pending()).await.unwrap();
    });
    std::fs::write(&keys.files.cert, pair.0).unwrap();
    live.reload().unwrap();
    let open = timeout(PATIENCE, state.wait_for(|s| matches!(s, ListenState::Listening(_)))).await.unwrap();
    let ListenState::Listening(address) = *open.unwrap() else { unreachable!("it was waited for") };
    let target = Target::Tls(address.to_string(), None, keys.stranger());
    let mut client = Client::connect(&target, PATIENCE).await.unwrap();
    assert_eq!(client.list(v1::ProcessView::Basic).await.unwrap().len(), 4);
    served.abort();
}

#[tokio::test]
async fn other_hosts_need_certificates() {
    let keys = Keys::new();
    for (auth, allowed) in
        [(ClientAuth::Required, true), (ClientAuth::Optional, false), (ClientAuth::None, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let token = Token::create(&dir.path().join("token"), None).unwrap();
        let mut config = support::config(dir.path(), &token);
        config.tcp = Some("0.0.0.0:0".parse().unwrap());
        config.tls = Some(keys.live(auth));
        match Server::bind(config).await {
            Ok(server) => {
                assert!(allowed, "{auth:?} was let through");
                assert!(matches!(*server.tcp_state().borrow(), ListenState::Listening(_)));
            }
            Err(error) => assert!(!allowed && error.to_string().contains("PM_TLS_CLIENT_CA"), "{error}"),
        }
    }
}
