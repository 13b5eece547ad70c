//! Clients that know less than this daemon, and daemons that know less than this client.
//!
//! The messages below are what a client has that was built before the fields that it lacks: it neither sends nor knows
//! them.

use model::Definition;
use prost::Message;
use rpc::{Client, ClientError, Target};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::support::{Daemon, PATIENCE};

#[derive(Clone, PartialEq, Message)]
struct OldReloadRequest {}

#[derive(Clone, PartialEq, Message)]
struct OldReloadResponse {
    #[prost(string, repeated, tag = "2")]
    problems: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct OldCreateRequest {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    definition: Option<OldDefinition>,
}

#[derive(Clone, PartialEq, Message)]
struct OldDefinition {
    #[prost(string, optional, tag = "2")]
    command: Option<String>,
    #[prost(int32, tag = "14")]
    restart: i32,
}

#[derive(Clone, PartialEq, Message)]
struct OldResponse {
    #[prost(message, optional, tag = "1")]
    process: Option<OldProcess>,
}

#[derive(Clone, PartialEq, Message)]
struct OldProcess {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "9")]
    last_exit: Option<OldExit>,
    #[prost(message, optional, tag = "17")]
    definition: Option<OldDefinition>,
}

#[derive(Clone, PartialEq, Message)]
struct OldExit {
    #[prost(uint64, tag = "1")]
    run: u64,
}

/// Calls with the messages of an older client. As an admin: over TCP, with a token that makes one.
async fn call<Q, A>(daemon: &Daemon, method: &str, message: Q) -> A
where
    Q: Message + Send + Sync + 'static,
    A: Message + Default + Send + Sync + 'static,
{
    let endpoint = Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    let channel: Channel = endpoint.connect().await.unwrap();
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = PathAndQuery::try_from(format!("/{}/{method}", rpc::SERVICE)).unwrap();
    let mut request = Request::new(message);
    let token = std::fs::read_to_string(daemon.token.path()).unwrap();
    let header = format!("Bearer {}", token.trim()).parse().unwrap();
    request.metadata_mut().insert("authorization", header);
    let codec = tonic_prost::ProstCodec::<Q, A>::default();
    client.unary(request, path, codec).await.unwrap().into_inner()
}

async fn daemon() -> Daemon {
    Daemon::with(|config| config.token_role = rpc::Role::Admin).await
}

#[tokio::test]
async fn a_reload_that_knows_no_dry_run_is_a_reload() {
    let daemon = daemon().await;
    let report: OldReloadResponse = call(&daemon, "ReloadConfig", OldReloadRequest {}).await;
    assert_eq!(report.problems, ["processes.yaml:3:5: no"]);
    assert_eq!(*daemon.fake.reloaded.lock().unwrap(), [false]);
}

#[tokio::test]
async fn a_definition_that_knows_no_new_key_writes_none() {
    let daemon = daemon().await;
    let definition = OldDefinition { command: Some("sleep".into()), restart: 4 };
    let request = OldCreateRequest { name: "new".into(), definition: Some(definition) };
    let answer: OldResponse = call(&daemon, "CreateProcess", request).await;
    // What it doesn't know is skipped, what it knows is where it was.
    let process = answer.process.unwrap();
    assert_eq!((process.name.as_str(), process.last_exit), ("new", Some(OldExit { run: 2 })));
    assert_eq!(process.definition.unwrap().command.as_deref(), Some("/usr/bin/web"));
    let made = daemon.fake.created.lock().unwrap()[0].clone();
    let wanted = Definition {
        command: Some("sleep".into()),
        restart: Some(model::RestartPolicy::Never),
        ..Definition::default()
    };
    assert_eq!(made.definition, wanted);
}

#[tokio::test]
async fn a_daemon_that_knows_no_such_call_is_said_to_be_older() {
    // A server with other services only answers as a daemon does that was built before the call.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::Tcp(listener.local_addr().unwrap().to_string(), None);
    let (_reporter, health) = tonic_health::server::health_reporter();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder().add_service(health).serve_with_incoming(incoming);
    let served = tokio::spawn(server);
    let mut client = Client::connect(&target, PATIENCE).await.unwrap();
    let ClientError::Rejected(error) = client.reset("web").await.unwrap_err() else { panic!("no answer") };
    assert_eq!(error.code, Code::Unimplemented);
    assert!(error.hint.unwrap().contains("older than this pm-cli"));
    served.abort();
}
