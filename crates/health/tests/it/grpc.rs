//! grpc: SERVING is healthy; other statuses are told by name, and what is no gRPC is said to be none.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::Probe;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use crate::support::{FIVE, Hold, PATIENCE, ask, fault, grpc, nobody, server};

async fn serve(routes: Routes) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_routes(routes).serve_with_incoming(incoming));
    address
}

/// Serves health: the server as a whole, `a.Well`, `a.Ill` and `a.Odd`.
async fn health() -> SocketAddr {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("a.Well", ServingStatus::Serving).await;
    reporter.set_service_status("a.Ill", ServingStatus::NotServing).await;
    reporter.set_service_status("a.Odd", ServingStatus::Unknown).await;
    let address = serve(Routes::new(service)).await;
    // The reporter tells the service, for as long as somebody has it.
    std::mem::forget(reporter);
    address
}

#[tokio::test]
async fn serving_is_healthy() {
    let address = health().await;
    assert_eq!(ask(grpc(address, ""), PATIENCE).await, Ok(()));
    assert_eq!(ask(grpc(address, "a.Well"), PATIENCE).await, Ok(()));
    let by_name = Probe::Grpc { address: format!("localhost:{}", address.port()), service: String::new() };
    assert_eq!(ask(by_name, PATIENCE).await, Ok(()));
}

#[tokio::test]
async fn other_statuses_are_named() {
    let address = health().await;
    let message = fault(grpc(address, "a.Ill")).await;
    assert_eq!(message, format!("NOT_SERVING from {address} for the service a.Ill"));
    let message = fault(grpc(address, "a.Odd")).await;
    assert_eq!(message, format!("UNKNOWN from {address} for the service a.Odd"));
    let message = fault(grpc(address, "a.Stranger")).await;
    assert_eq!(message, format!("{address} does not know the service a.Stranger (NOT_FOUND)"));
}

#[tokio::test]
async fn a_server_without_health_is_explained() {
    let address = serve(Routes::default()).await;
    let message = fault(grpc(address, "")).await;
    assert_eq!(
        message,
        format!("{address} answers no health checks: it has no grpc.health.v1.Health (UNIMPLEMENTED)")
    );
}

#[tokio::test]
async fn what_is_no_grpc_is_said_to_be_none() {
    let address = server(async |mut stream: TcpStream| {
        let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        // Not to be outrun by a reset: what the client sent is read before this closes.
        drop(stream.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let message = fault(grpc(address, "")).await;
    assert_eq!(message, format!("{address} does not speak gRPC: it answers in HTTP/1"));

    let address = server(async |mut stream: TcpStream| {
        stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        drop(stream.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let message = fault(grpc(address, "")).await;
    assert_eq!(message, format!("{address} does not speak gRPC: it does not answer in HTTP/2"));
}

/// The answer of a web server that has never heard of gRPC.
async fn not_found(_: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

async fn serve_web(stream: TcpStream) {
    let server = http2::Builder::new(TokioExecutor::new());
    drop(server.serve_connection(TokioIo::new(stream), service_fn(not_found)).await);
}

#[tokio::test]
async fn a_web_server_is_no_grpc() {
    let address = server(serve_web).await;
    let message = fault(grpc(address, "")).await;
    assert_eq!(message, format!("{address} does not speak gRPC: it answers with HTTP 404"));
}

#[tokio::test]
async fn nobody_there_refuses() {
    let address = nobody().await;
    assert_eq!(fault(grpc(address, "")).await, format!("connection refused by {address}"));
}

#[tokio::test]
async fn a_connection_that_closes_early_is_told() {
    let address = server(async |mut stream: TcpStream| {
        // Its first bytes are read, so that closing is no reset.
        drop(stream.read_buf(&mut Vec::with_capacity(4096)).await);
        stream.shutdown().await.unwrap();
        drop(stream.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let message = fault(grpc(address, "")).await;
    assert_eq!(message, format!("{address} closed the connection without an answer"));

    let address = server(async |mut stream: TcpStream| {
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream.read_to_end(&mut Vec::new()).await);
    })
    .await;
    let message = fault(grpc(address, "")).await;
    assert_eq!(message, format!("{address} closed the connection in the middle of its answer"));
}

/// SETTINGS, then PINGs that all want an answer, for as long as they are read.
#[tokio::test]
async fn a_flood_of_frames_ends() {
    let address = server(async |stream: TcpStream| {
        let (mut reading, mut writing) = stream.into_split();
        tokio::spawn(async move { drop(tokio::io::copy(&mut reading, &mut tokio::io::sink()).await) });
        let mut sent = writing.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        while sent.is_ok() {
            sent = writing.write_all(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await;
        }
    })
    .await;
    let message = fault(grpc(address, "")).await;
    assert_eq!(message, format!("{address} sent more than 64 KiB, a check reads no more"));
}

#[tokio::test(start_paused = true)]
async fn silence_runs_into_the_timeout_and_leaves_no_connection() {
    let hold = Mutex::new(Some(Hold::the_clock()));
    let (closed, mut ends) = tokio::sync::mpsc::unbounded_channel();
    let address = server(move |mut stream| {
        let (hold, closed) = (hold.lock().unwrap().take(), closed.clone());
        async move {
            drop(stream.read_u8().await);
            drop(hold);
            // Ends when the other side closes.
            drop(stream.read_to_end(&mut Vec::new()).await);
            closed.send(()).unwrap();
        }
    })
    .await;
    let message = ask(grpc(address, "a.B"), FIVE).await.unwrap_err();
    assert_eq!(message, format!("no answer from {address} within 5 s"));
    ends.recv().await.expect("the connection is closed with the check");
}
