//! Whatever goes wrong on the way to an RPC or in it, the caller hears a reason.

use std::time::Duration;

use rpc::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Daemon, bare, with_token};

/// A call with any bytes to any path.
async fn raw(daemon: &Daemon, path: &'static str, body: Vec<u8>) -> Status {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    let mut client = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<Bytes, Bytes>::default();
    client.unary(tonic::Request::new(Bytes(body)), path.parse().unwrap(), codec).await.unwrap_err()
}

/// A message that is what it is.
#[derive(Clone, Debug, Default)]
struct Bytes(Vec<u8>);

impl prost::Message for Bytes {
    fn encode_raw(&self, buf: &mut impl prost::bytes::BufMut) {
        buf.put_slice(&self.0);
    }
    fn merge_field(
        &mut self,
        tag: u32,
        wire: prost::encoding::WireType,
        buf: &mut impl prost::bytes::Buf,
        context: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        prost::encoding::skip_field(wire, tag, buf, context)
    }
    fn encoded_len(&self) -> usize {
        self.0.len()
    }
    fn clear(&mut self) {
        self.0.clear();
    }
}

fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no reason: {status:?}"));
    assert_eq!(info.domain, "ddprocmgr");
    info.reason
}

#[tokio::test]
async fn what_never_reaches_a_method_says_its_reason_too() {
    let daemon = Daemon::start().await;
    const LIST: &str = "/ddprocmgr.v1.ProcessManagerService/ListProcesses";
    const STOP: &str = "/ddprocmgr.v1.ProcessManagerService/StopProcess";
    for (path, body, code, wanted) in [
        ("/ddprocmgr.v1.ProcessManagerService/Nothing", vec![], Code::Unimplemented, "NOT_IMPLEMENTED"),
        ("/ddprocmgr.v2.ProcessManagerService/ListProcesses", vec![], Code::Unimplemented, "NOT_IMPLEMENTED"),
        ("/", vec![], Code::Unimplemented, "NOT_IMPLEMENTED"),
        // A viewer's request is short.
        (LIST, vec![0; 65 << 10], Code::OutOfRange, "TOO_LARGE"),
        // What is no message of protobuf.
        (LIST, vec![0xff; 100], Code::Internal, "INTERNAL"),
        (STOP, b"\x0a\x02\xff\xff".to_vec(), Code::Internal, "INTERNAL"),
        ("/grpc.health.v1.Health/Check", b"\x0a\x01x".to_vec(), Code::NotFound, "NOT_FOUND"),
    ] {
        let status = raw(&daemon, path, body).await;
        assert_eq!((status.code(), reason(&status).as_str()), (code, wanted), "{path}: {status:?}");
    }
    assert!(daemon.fake.verbs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_request_of_an_operator_that_is_too_large_says_its_reason() {
    let daemon = Daemon::start().await;
    let text = "x".repeat(5 << 20);
    let request = v1::SetOverrideRequest { name: "web".into(), text, ..Default::default() };
    let status = bare(&daemon).await.set_override(with_token(&daemon, request)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "TOO_LARGE"));
}

#[tokio::test]
async fn a_stream_whose_deadline_is_over_says_its_reason() {
    let daemon = Daemon::start().await;
    let mut request = tonic::Request::new(v1::WatchEventsRequest { follow: true, ..Default::default() });
    // The client looks at its clock, too, but only until the stream begins.
    request.set_timeout(Duration::from_secs(2));
    let mut stream = bare(&daemon).await.watch_events(request).await.unwrap().into_inner();
    let ended = async {
        loop {
            if let Err(status) = stream.message().await {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn values_of_a_later_version_are_refused_by_the_name_of_their_field() {
    let daemon = Daemon::start().await;
    let mut client = bare(&daemon).await;
    let list = |view, states| v1::ListProcessesRequest { view, states, ..Default::default() };
    let refusals = [
        ("view", client.list_processes(list(99, vec![])).await.unwrap_err()),
        ("view", client.list_processes(list(-1, vec![])).await.unwrap_err()),
        ("states", client.list_processes(list(0, vec![1, 99])).await.unwrap_err()),
        (
            "condition",
            client
                .wait_process(v1::WaitProcessRequest { name: "web".into(), condition: 99 })
                .await
                .unwrap_err(),
        ),
        (
            "stream",
            client
                .stream_logs(with_token(
                    &daemon,
                    v1::StreamLogsRequest { name: "web".into(), stream: 99, ..Default::default() },
                ))
                .await
                .unwrap_err(),
        ),
        (
            "page_token",
            client
                .list_processes(v1::ListProcessesRequest { page_token: "a\0b".into(), ..Default::default() })
                .await
                .unwrap_err(),
        ),
    ];
    for (field, status) in refusals {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::InvalidArgument, "INVALID_REQUEST"),
            "{field}"
        );
        let bad = status.get_details_bad_request().unwrap();
        assert_eq!(bad.field_violations[0].field, field, "{status:?}");
    }
}

#[tokio::test]
async fn the_scheme_of_a_token_may_be_written_in_any_case() {
    let daemon = Daemon::start().await;
    let token = std::fs::read_to_string(daemon.token.path()).unwrap();
    for scheme in ["Bearer", "bearer", "BEARER "] {
        let mut request = tonic::Request::new(v1::GetStatusRequest {});
        let header = format!("{scheme} {}", token.trim()).parse().unwrap();
        request.metadata_mut().insert("authorization", header);
        let status = bare(&daemon).await.get_status(request).await.unwrap().into_inner().status.unwrap();
        assert_eq!(status.caller_role, "operator", "{scheme}");
    }
}
