//! The server as clients meet it: real sockets, raw requests, short limits.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use model::Snapshot;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::page::Format;
use super::*;
use crate::tests::{Fixture, exporter, process};
use crate::{DaemonFacts, LogStream, Source};

/// Patience: passes at once when all is well, fails after this.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Counts how often it is asked, and is ready when told so.
#[derive(Default)]
struct Counting {
    fixture: Fixture,
    snapshots: Arc<AtomicU64>,
    ready: Arc<AtomicBool>,
}

impl Source for Counting {
    fn snapshot(&self) -> Snapshot {
        self.snapshots.fetch_add(1, Ordering::SeqCst);
        self.fixture.snapshot()
    }
    fn log_streams(&self, each: &mut dyn FnMut(LogStream)) {
        self.fixture.log_streams(each);
    }
    fn daemon(&self) -> DaemonFacts {
        self.fixture.daemon()
    }
    fn ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }
}

pub(super) struct Server {
    pub(super) addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start(limits: Limits, source: impl Source) -> Self {
        Self::start_with(limits, Config::new("127.0.0.1:0".parse().unwrap()), source).await
    }

    pub(super) async fn start_with(limits: Limits, config: Config, source: impl Source) -> Self {
        let (server, mut state) = Self::launch(limits, config, source);
        let listening = state.wait_for(|s| matches!(s, ListenState::Listening { .. }));
        let ListenState::Listening { addr } = timeout(PATIENCE, listening).await.unwrap().unwrap().clone()
        else {
            unreachable!("it was waited for")
        };
        Self { addr, ..server }
    }

    pub(super) fn launch(
        limits: Limits,
        config: Config,
        source: impl Source,
    ) -> (Self, watch::Receiver<ListenState>) {
        let (state, states) = watch::channel(ListenState::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let exporter = Arc::new(exporter(source));
        let addr = config.addr;
        let task = tokio::spawn(async move {
            let shutdown = pin!(async { stopped.await.unwrap_or_default() });
            serve_within(limits, config, exporter, state, shutdown).await;
        });
        (Self { addr, stop, task }, states)
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// One request on its own connection; the whole response.
    pub(super) async fn ask(&self, request: &str) -> Response {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        Response::read(&mut stream).await
    }

    pub(super) async fn get(&self, path: &str) -> Response {
        self.get_with(path, "").await
    }

    /// The same with these lines in the head.
    async fn get_with(&self, path: &str, lines: &str) -> Response {
        self.ask(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n{lines}connection: close\r\n\r\n")).await
    }

    pub(super) async fn shut_down(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    head: String,
    body: Vec<u8>,
}

impl Response {
    /// Reads until the server closes.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Self {
        let mut raw = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut raw)).await.unwrap().unwrap();
        let end =
            raw.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {raw:?}"));
        let head = String::from_utf8(raw[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let is_chunked = head.contains("\r\ntransfer-encoding: chunked");
        let body = if is_chunked { unchunked(&raw[end + 4..]) } else { raw[end + 4..].to_vec() };
        Self { status, head, body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What was sent in chunks, up to its end.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line =
            rest.windows(2).position(|end| end == b"\r\n").unwrap_or_else(|| panic!("no end: {rest:?}"));
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let chunk = &rest[line + 2..];
        assert_eq!(&chunk[length..length + 2], b"\r\n");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..length]);
        rest = &chunk[length + 2..];
    }
}

#[tokio::test]
async fn an_exposition_is_served_as_prometheus_wants_it() {
    let server = Server::start(LIMITS, Fixture::default()).await;
    let response = server.get("/metrics?collect=all").await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
    assert_eq!(response.header("content-encoding"), None);
    assert!(response.text().contains("\nddprocmgr_process_restarts_total{process=\"api@1.blue\"} 3\n"));
    server.shut_down().await;
}

#[tokio::test]
async fn a_large_exposition_comes_in_pieces() {
    let fixture = || {
        let processes = (0..500).map(|n| process(&format!("p-{n:03}"))).collect();
        Fixture { processes, ..Fixture::default() }
    };
    let server = Server::start(LIMITS, fixture()).await;
    let expected = series(std::str::from_utf8(&exporter(fixture()).render()).unwrap());
    assert!(expected.len() > 10_000, "{}", expected.len());
    for encoding in ["", "accept-encoding: gzip\r\n"] {
        let response = server.get_with("/metrics", encoding).await;
        assert_eq!(response.header("transfer-encoding"), Some("chunked"), "{encoding:?}");
        let text = match response.header("content-encoding") {
            Some("gzip") => {
                let mut text = String::new();
                flate2::read::GzDecoder::new(&*response.body).read_to_string(&mut text).unwrap();
                text
            }
            _ => response.text().to_owned(),
        };
        assert!(series(&text) == expected, "{encoding:?}");
    }
    server.shut_down().await;
}

/// What is exported, without the values.
fn series(text: &str) -> Vec<String> {
    let of = |line: &str| line.rsplit_once(' ').unwrap().0.to_owned();
    text.lines().map(|line| if line.starts_with('#') { line.to_owned() } else { of(line) }).collect()
}

#[tokio::test]
async fn each_path_and_method_has_its_answer() {
    let source = Counting::default();
    let ready = Arc::clone(&source.ready);
    let server = Server::start(LIMITS, source).await;
    let page = server.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text().contains("<a href=\"/metrics\">"), "{}", page.text());
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    for (path, content_type) in
        [("/page.css", "text/css; charset=utf-8"), ("/page.js", "text/javascript; charset=utf-8")]
    {
        let part = server.get(path).await;
        assert_eq!((part.status, part.header("content-type")), (200, Some(content_type)), "{path}");
        assert!(page.text().contains(&format!("\"{path}\"")), "{path} is not on the page");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    let starting = server.get("/readyz").await;
    assert_eq!((starting.status, starting.text()), (503, "starting\n"));
    ready.store(true, Ordering::SeqCst);
    let late = server.get("/readyz").await;
    assert_eq!((late.status, late.text()), (503, "not ready: api@1.blue, crasher, no-program\n"));
    for path in ["/metric", "/metrics/", "//metrics", "/favicon.ico", "/%6detrics"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let request = format!(
            "{method} /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let refused = server.ask(&request).await;
        assert_eq!((refused.status, refused.header("allow")), (405, Some("get, head")), "{method}");
    }
    server.shut_down().await;
}

#[tokio::test]
async fn head_has_the_head_of_get_and_no_body() {
    let server = Server::start(LIMITS, Fixture::default()).await;
    for (path, status) in
        [("/metrics", 200), ("/", 200), ("/healthz", 200), ("/readyz", 503), ("/nothing", 404)]
    {
        let get = server.get(path).await;
        let head = server.ask(&format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await;
        assert_eq!((head.status, head.body.len()), (status, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        // How long its own scrape took stands in an exposition, with more digits or fewer.
        let length = |of: &Response| {
            of.header("content-length").map(|l| if path == "/metrics" { "any" } else { l }.to_owned())
        };
        assert!(length(&head).is_some() && length(&head) == length(&get), "{path}");
    }
    server.shut_down().await;
}

#[tokio::test]
async fn ready_is_what_is_started_by_itself_and_up() {
    let mut stopped = process("stopped");
    Arc::make_mut(&mut stopped.spec).auto_start = true;
    let mut by_hand = process("by-hand");
    by_hand.state = model::State::Failed;
    Arc::make_mut(&mut by_hand.spec).auto_start = false;
    let fixture = Fixture { processes: vec![stopped, by_hand], ..Fixture::default() };
    let server = Server::start(LIMITS, fixture).await;
    assert_eq!(server.get("/readyz").await.status, 200);
    server.shut_down().await;

    let waiting = |n: u32| {
        let mut view = process(&format!("w{n}"));
        view.state = model::State::Waiting;
        view
    };
    let fixture = Fixture { processes: (10..40).map(waiting).collect(), ..Fixture::default() };
    let server = Server::start(LIMITS, fixture).await;
    let late = server.get("/readyz").await;
    assert!(
        late.text().starts_with("not ready: w10, w11, ") && late.text().ends_with(", w29, and 10 more\n")
    );
    server.shut_down().await;
}

#[tokio::test]
async fn open_metrics_is_served_to_whoever_asks() {
    let server = Server::start(LIMITS, Fixture::default()).await;
    let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n";
    let response = server.ask(request).await;
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((response.status, response.header("content-type")), (200, Some(content_type)));
    assert_eq!(response.header("vary"), Some("accept, accept-encoding"));
    let text = response.text();
    assert!(text.ends_with("\n# EOF\n"), "no end");
    assert!(text.contains("\n# TYPE ddprocmgr_process_restarts counter\n"), "the family");
    assert!(text.contains("\nddprocmgr_process_restarts_total{process=\"crasher\"} 41\n"), "its samples");
    server.shut_down().await;
}

#[tokio::test]
async fn gzip_is_the_same_text() {
    let server = Server::start(LIMITS, Fixture::default()).await;
    let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: gzip\r\n\r\n";
    // Both within a second, as a rule: then they are of one sample. Otherwise the next try is.
    let steady = |text: &str| {
        let own = |line: &&str| !line.starts_with("ddprocmgr_scrape_") || !line.contains("duration");
        text.lines().filter(own).map(str::to_owned).collect::<Vec<_>>()
    };
    let same = async {
        loop {
            let (packed, plain) = (server.ask(request).await, server.get("/metrics").await);
            assert_eq!(packed.header("content-encoding"), Some("gzip"));
            assert_eq!(packed.header("vary"), Some("accept, accept-encoding"));
            assert!(packed.body.len() * 4 < plain.body.len());
            let mut text = String::new();
            flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).unwrap();
            if steady(&text) == steady(plain.text()) {
                break;
            }
        }
    };
    timeout(PATIENCE, same).await.unwrap();
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_parallel_scrapes_share_the_work() {
    let source = Counting::default();
    let snapshots = Arc::clone(&source.snapshots);
    let server = Arc::new(Server::start(LIMITS, source).await);
    let begun = Instant::now();
    let scrapes: Vec<_> = (0..200)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.get("/metrics").await })
        })
        .collect();
    for scrape in scrapes {
        let response = scrape.await.unwrap();
        assert_eq!(response.status, 200);
        assert!(response.text().ends_with('\n') && response.text().contains("process_open_fds 12\n"));
    }
    let seconds = begun.elapsed().as_secs();
    let rendered = snapshots.load(Ordering::SeqCst);
    assert!((1..=seconds + 2).contains(&rendered), "rendered {rendered} times in {seconds} s");
    Arc::into_inner(server).unwrap().shut_down().await;
}

/// A source whose snapshot is made when the test says so.
struct Gated {
    fixture: Fixture,
    entered: std::sync::mpsc::Sender<()>,
    gate: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Source for Gated {
    fn snapshot(&self) -> Snapshot {
        self.entered.send(()).unwrap();
        self.gate.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        self.fixture.snapshot()
    }
    fn log_streams(&self, _each: &mut dyn FnMut(LogStream)) {}
    fn daemon(&self) -> DaemonFacts {
        DaemonFacts::default()
    }
    fn ready(&self) -> bool {
        true
    }
}

fn gated() -> (Gated, std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<()>) {
    let (entered, has_entered) = std::sync::mpsc::channel();
    let (open, gate) = std::sync::mpsc::channel();
    (Gated { fixture: Fixture::default(), entered, gate: gate.into() }, has_entered, open)
}

/// On one I/O thread: if rendering were done there, /healthz could not answer meanwhile.
#[tokio::test]
async fn rendering_is_off_the_reactor_and_leaving_clients_do_not_repeat_it() {
    let (source, has_entered, open) = gated();
    let server = Server::start(LIMITS, source).await;
    for _ in 0..3 {
        let mut impatient = server.connect().await;
        impatient.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    }
    let (entered, has_entered) =
        tokio::task::spawn_blocking(move || (has_entered.recv_timeout(PATIENCE), has_entered)).await.unwrap();
    entered.unwrap();
    // Answered after the impatient ones were noticed: their ends were in the queue before.
    assert_eq!(server.get("/healthz").await.status, 200);
    assert!(has_entered.try_recv().is_err(), "a second rendering runs beside the first");
    // Two: should this request come more than a second after the first rendering began, it needs its own.
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert_eq!(server.get("/metrics").await.status, 200);
    server.shut_down().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_tried_again() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let config = Config { retry: Duration::from_millis(10), ..Config::new(addr) };
    let (server, mut state) = Server::launch(LIMITS, config, Fixture::default());
    let failed = state.wait_for(|s| matches!(s, ListenState::Failed { .. }));
    let failed = timeout(PATIENCE, failed).await.unwrap().unwrap().clone();
    assert_eq!(
        failed.to_string(),
        format!("can't listen on {addr}: Address already in use (os error 98); trying again")
    );
    drop(taken);
    timeout(PATIENCE, state.wait_for(|s| *s == ListenState::Listening { addr })).await.unwrap().unwrap();
    assert_eq!(server.get("/metrics").await.status, 200);
    server.shut_down().await;
}

#[tokio::test]
async fn shutdown_ends_the_retries_too() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config::new(taken.local_addr().unwrap());
    let (server, mut state) = Server::launch(LIMITS, config, Fixture::default());
    timeout(PATIENCE, state.wait_for(|s| matches!(s, ListenState::Failed { .. }))).await.unwrap().unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let server = Server::start(LIMITS, Fixture::default()).await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\nok\n") {
            assert_ne!(timeout(PATIENCE, stream.read_buf(&mut seen)).await.unwrap().unwrap(), 0);
        }
    }
    server.shut_down().await;
}

#[tokio::test]
async fn garbage_and_giant_headers_cost_their_sender_the_connection() {
    let server = Server::start(LIMITS, Fixture::default()).await;
    let giant_value = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(64 * 1024));
    let giant_path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(64 * 1024));
    let many = format!("GET /metrics HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(1000));
    let cases: [(&[u8], &[u16]); 7] = [
        (giant_value.as_bytes(), &[431]),
        (giant_path.as_bytes(), &[414, 431]),
        (many.as_bytes(), &[431]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client\r\n\r\n", &[400]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400, 505]),
        (b"\0\0\0\0\0\0\0\0\r\n\r\n", &[400]),
        (b"GET /metrics HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked, x\r\n\r\n", &[400]),
    ];
    for (bytes, expected) in cases {
        let mut stream = server.connect().await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        // The server may have answered and closed before all of it is written.
        let written = stream.write_all(bytes).await;
        let mut raw = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut raw)).await.unwrap();
        let answer = String::from_utf8_lossy(&raw).into_owned();
        if answer.is_empty() {
            // Closing with unread bytes makes the kernel send a reset, which may overtake the answer.
            assert!(read.is_err() || written.is_err() || bytes.starts_with(b"PRI"), "{shown}: no answer");
            continue;
        }
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(expected.contains(&status), "{shown}: {answer}");
    }
    assert_eq!(server.get("/metrics").await.status, 200);
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_that_sends_its_header_slowly_is_closed() {
    let limits = Limits { header: Duration::from_millis(50), ..LIMITS };
    let server = Server::start(limits, Fixture::default()).await;
    for sent in ["", "GET /metrics HTTP/1.1\r\nhost: x\r\n", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        // Ends only when the server closes: half a header, nothing at all, or an idle kept-alive connection.
        timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    }
    server.shut_down().await;
}

#[tokio::test]
async fn where_many_stall_they_have_less_time() {
    let limits =
        Limits { connections: 4, header: PATIENCE * 2, crowded: Duration::from_millis(50), ..LIMITS };
    let server = Server::start(limits, Fixture::default()).await;
    let mut crowd = Vec::new();
    for _ in 0..4 {
        crowd.push(server.connect().await);
    }
    // All places are taken, and the first two have a minute; the last two don't.
    assert_eq!(timeout(PATIENCE, server.get("/healthz")).await.unwrap().status, 200);
    for stalled in crowd.iter_mut().skip(2) {
        timeout(PATIENCE, stalled.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    }
    assert!(crowd[0].try_read(&mut [0]).is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
    drop(crowd);
    server.shut_down().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed() {
    let limits = Limits { response: Duration::from_millis(50), ..LIMITS };
    // 64 bytes of buffer where a socket has megabytes.
    let (mut client, stream) = tokio::io::duplex(64);
    let (_stop, stopped) = watch::channel(());
    let pages = Pages::new(Arc::new(exporter(Fixture::default())));
    let site = Site { pages, web: None, response: PATIENCE };
    let served = tokio::spawn(connection::serve(stream, site, limits, stopped));
    client.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    timeout(PATIENCE, served).await.expect("the connection ends although the client stays").unwrap();
    let mut got = Vec::new();
    client.read_to_end(&mut got).await.unwrap();
    assert!(got.len() <= 64, "{} bytes", got.len());
}

#[tokio::test]
async fn clients_beyond_the_limit_wait_for_their_turn() {
    let limits = Limits { connections: 2, ..LIMITS };
    let server = Server::start(limits, Fixture::default()).await;
    let (mut first, mut second, mut third) =
        (server.connect().await, server.connect().await, server.connect().await);
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut byte = [0];
    for slow in [&mut first, &mut second] {
        slow.write_all(&request[..10]).await.unwrap();
    }
    third.write_all(request).await.unwrap();
    assert!(timeout(Duration::from_millis(50), third.read_exact(&mut byte)).await.is_err(), "served at once");
    drop(first);
    timeout(PATIENCE, third.read_exact(&mut byte)).await.unwrap().unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn nobody_keeps_a_connection_while_others_may_have_to_wait() {
    let limits = Limits { connections: 2, ..LIMITS };
    let server = Server::start(limits, Fixture::default()).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    first.write_all(request).await.unwrap();
    timeout(PATIENCE, first.read_exact(&mut [0])).await.unwrap().unwrap();
    second.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, second.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "and then it is closed");
    server.shut_down().await;
}

#[tokio::test]
async fn shutdown_finishes_what_is_being_answered_and_closes_the_rest() {
    let (source, has_entered, open) = gated();
    let server = Server::start(LIMITS, source).await;
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::task::spawn_blocking(move || has_entered.recv_timeout(PATIENCE).unwrap()).await.unwrap();
    server.stop.send(()).unwrap();
    // The idle one is closed while the busy one still waits for its answer.
    assert_eq!(timeout(PATIENCE, idle.read(&mut [0])).await.unwrap().unwrap(), 0);
    open.send(()).unwrap();
    let response = Response::read(&mut busy).await;
    assert!(response.status == 200 && response.text().contains("process_open_fds 12\n"));
    timeout(PATIENCE, server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn a_connection_that_never_ends_does_not_hold_up_shutdown() {
    let (source, has_entered, open) = gated();
    let limits = Limits { grace: Duration::from_millis(20), ..LIMITS };
    let server = Server::start(limits, source).await;
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    tokio::task::spawn_blocking(move || has_entered.recv_timeout(PATIENCE).unwrap()).await.unwrap();
    server.shut_down().await;
    open.send(()).unwrap();
}

#[tokio::test]
async fn a_page_is_forgotten_once_it_is_too_old() {
    let fixture = Fixture { processes: vec![process("only")], ..Fixture::default() };
    let source = Counting { fixture, ..Counting::default() };
    let snapshots = Arc::clone(&source.snapshots);
    let pages = Pages::new(Arc::new(exporter(source)));
    pages.exposition(Format::Text, false, PATIENCE).await.unwrap();
    assert!(!pages.is_empty().await);
    let forgotten = async {
        while !pages.is_empty().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, forgotten).await.unwrap();
    pages.exposition(Format::Text, false, PATIENCE).await.unwrap();
    assert_eq!(snapshots.load(Ordering::SeqCst), 2);
}
