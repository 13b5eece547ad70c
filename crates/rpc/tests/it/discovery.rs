//! Health and reflection, and the numbers of the proto that never change.

use std::fmt::Write as _;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::{Daemon, PATIENCE};

async fn channel(daemon: &Daemon) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    endpoint.connect().await.unwrap()
}

#[tokio::test]
async fn health_follows_readiness() {
    let daemon = Daemon::start().await;
    daemon.ready.send_replace(false);
    let mut health = HealthClient::new(channel(&daemon).await);
    for service in ["", rpc::SERVICE] {
        let request = HealthCheckRequest { service: service.into() };
        let mut watch = health.watch(request).await.unwrap().into_inner();
        let wanted = [ServingStatus::NotServing, ServingStatus::Serving, ServingStatus::NotServing];
        for (step, wanted) in wanted.into_iter().enumerate() {
            if step > 0 {
                daemon.ready.send_replace(wanted == ServingStatus::Serving);
            }
            loop {
                // Watch tells the status at the beginning and each change, so the wanted one comes.
                let next = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
                if next.status() == wanted {
                    break;
                }
            }
        }
    }
    let unknown = health.check(HealthCheckRequest { service: "nope".into() }).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn who_asks_before_the_processes_are_known_waits_for_them() {
    let mut daemon = Daemon::start().await;
    daemon.ready.send_replace(false);
    let mut early = daemon.unix().await;
    let start = tokio::spawn(async move { early.start("web").await });
    // Its call is on the way before this one, which needs no processes.
    let mut client = daemon.unix().await;
    assert!(!client.status().await.unwrap().ready);
    assert!(!start.is_finished());
    daemon.ready.send_replace(true);
    assert_eq!(start.await.unwrap().unwrap().name, "web");

    // A daemon that ends without ever having been ready lets nobody wait.
    daemon.ready.send_replace(false);
    let list = tokio::spawn(async move { client.list(rpc::v1::ProcessView::Basic).await });
    let mut other = daemon.unix().await;
    assert!(!other.status().await.unwrap().ready);
    daemon.begin_stop();
    assert!(list.await.unwrap().is_err());
}

#[tokio::test]
async fn health_says_not_serving_while_draining() {
    let mut daemon = Daemon::start().await;
    let mut health = HealthClient::new(channel(&daemon).await);
    let mut watch =
        health.watch(HealthCheckRequest { service: rpc::SERVICE.into() }).await.unwrap().into_inner();
    let mut last = HealthCheckResponse::default();
    while last.status() != ServingStatus::Serving {
        last = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
    }
    daemon.begin_stop();
    while last.status() != ServingStatus::NotServing {
        last = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
    }
}

macro_rules! services {
    ($version:ident, $daemon:expr) => {{
        use tonic_reflection::pb::$version::ServerReflectionRequest;
        use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;
        let mut client = ServerReflectionClient::new(channel($daemon).await);
        let ask = |request| ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        let requests = [
            ask(MessageRequest::ListServices(String::new())),
            ask(MessageRequest::FileContainingSymbol(rpc::SERVICE.into())),
        ];
        let stream = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap();
        let mut stream = stream.into_inner();
        let Some(MessageResponse::ListServicesResponse(list)) =
            stream.message().await.unwrap().unwrap().message_response
        else {
            panic!("no list")
        };
        let Some(MessageResponse::FileDescriptorResponse(file)) =
            stream.message().await.unwrap().unwrap().message_response
        else {
            panic!("no file")
        };
        assert!(!file.file_descriptor_proto.is_empty());
        list.service.into_iter().map(|s| s.name).collect::<Vec<_>>()
    }};
}

#[tokio::test]
async fn reflection_in_both_versions_knows_the_api_and_health() {
    let daemon = Daemon::start().await;
    for services in [services!(v1, &daemon), services!(v1alpha, &daemon)] {
        for wanted in [rpc::SERVICE, "grpc.health.v1.Health"] {
            assert!(services.iter().any(|s| s == wanted), "{wanted} in {services:?}");
        }
    }
}

/// The promise to other programs: every name, number and type. A line may be added; one that changes or goes away
/// breaks somebody. `UPDATE_EXPECT=1` writes the file anew.
#[test]
fn no_number_ever_changes() {
    let set = FileDescriptorSet::decode(rpc::DESCRIPTOR).unwrap();
    let file = set.file.iter().find(|f| f.package() == "ddprocmgr.v1").unwrap();
    let mut text = String::new();
    for service in &file.service {
        for method in &service.method {
            let stream = if method.server_streaming() { "stream " } else { "" };
            let (name, i, o) = (method.name(), method.input_type(), method.output_type());
            writeln!(text, "rpc {}/{name}({i}) returns {stream}{o}", service.name()).unwrap();
        }
    }
    file.message_type.iter().for_each(|m| message(&mut text, "", m));
    file.enum_type.iter().for_each(|e| enumeration(&mut text, "", e));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/process_manager.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    assert!(
        text == expected,
        "the API changed; if only lines were added: UPDATE_EXPECT=1 cargo test -p rpc\n{text}"
    );
}

fn message(text: &mut String, outer: &str, m: &DescriptorProto) {
    let full = format!("{outer}{}", m.name());
    for field in &m.field {
        let kind = match field.r#type() {
            Type::Message | Type::Enum => field.type_name().to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        let label = match field.label() {
            Label::Repeated => "repeated ",
            _ if field.proto3_optional() => "optional ",
            _ if field.oneof_index.is_some() => "oneof ",
            _ => "",
        };
        writeln!(text, "message {full} {} = {label}{kind} {}", field.number(), field.name()).unwrap();
    }
    for range in &m.reserved_range {
        writeln!(text, "message {full} reserved {}..{}", range.start(), range.end()).unwrap();
    }
    m.nested_type.iter().for_each(|n| message(text, &format!("{full}."), n));
    m.enum_type.iter().for_each(|e| enumeration(text, &format!("{full}."), e));
}

fn enumeration(text: &mut String, outer: &str, e: &EnumDescriptorProto) {
    for value in &e.value {
        writeln!(text, "enum {outer}{} {} = {}", e.name(), value.number(), value.name()).unwrap();
    }
}
