//! Frames of HTTP/2 against the real server over the tests' fake daemon: whatever a client sends, the server takes it or
//! closes the connection, and then still answers others.
#![no_main]

#[path = "../../crates/rpc/tests/it/support.rs"]
#[allow(dead_code)]
mod support;

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// After a client has said its last word, its connection is gone within this time.
const CLOSED: Duration = Duration::from_secs(10);
/// Inputs between two honest calls.
const HONEST: u32 = 256;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const END_HEADERS: u8 = 4;

#[derive(Debug, Arbitrary)]
enum Part {
    /// A frame with a true length.
    Frame { kind: u8, flags: u8, stream: u8, payload: Vec<u8> },
    /// A request for one of the methods, with any body, whole or not.
    Call { method: u8, stream: u8, body: Vec<u8>, framed: bool, end: bool },
    /// Bytes as they are.
    Raw(Vec<u8>),
}

impl Part {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Frame { kind, flags, stream, payload } => frame(out, *kind % 12, *flags, *stream, payload),
            Self::Call { method, stream, body, framed, end } => {
                let stream = stream | 1;
                frame(out, HEADERS, END_HEADERS, stream, &request(*method));
                let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
                let head: Vec<u8> = if *framed { [&[0][..], &length].concat() } else { Vec::new() };
                frame(out, 0, u8::from(*end), stream, &[head.as_slice(), body].concat());
            }
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags, 0, 0, 0, stream]);
    out.extend_from_slice(payload);
}

/// The head of a call in HPACK: literals that are not to be remembered.
fn request(method: u8) -> Vec<u8> {
    let all = rpc::Method::TABLE;
    let path = format!("/{}/{}", rpc::SERVICE, all[usize::from(method) % all.len()].0.as_str());
    let mut head = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path.as_str()),
        (":authority", "x"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ] {
        head.push(0);
        for text in [name, value] {
            head.push(u8::try_from(text.len()).expect("short"));
            head.extend_from_slice(text.as_bytes());
        }
    }
    head
}

struct World {
    runtime: Runtime,
    daemon: support::Daemon,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let daemon = runtime.block_on(support::Daemon::start());
        // Nobody is held back.
        daemon.fake.gate.send_replace(true);
        World { runtime, daemon }
    })
}

impl World {
    async fn send(&self, bytes: &[u8]) {
        let stream = UnixStream::connect(&self.daemon.socket).await.expect("the server listens");
        let (mut from, mut to) = stream.into_split();
        let answer = async {
            let mut sink = Vec::new();
            drop(from.read_to_end(&mut sink).await);
        };
        let said = async {
            // The server may have closed long before the last byte.
            drop(to.write_all(bytes).await);
            drop(to.shutdown().await);
        };
        let both = tokio::time::timeout(CLOSED, async { tokio::join!(answer, said) }).await;
        both.expect("the server keeps the connection of a client that is gone");
    }

    /// What earlier inputs did to the fake is undone, and somebody asks.
    async fn honest(&self) {
        let fake = &self.daemon.fake;
        *fake.table.lock().unwrap() = vec![support::view("web", "cccc00000001").into()];
        fake.verbs.lock().unwrap().clear();
        fake.created.lock().unwrap().clear();
        fake.opened.lock().unwrap().clear();
        fake.updated.lock().unwrap().clear();
        fake.overridden.lock().unwrap().clear();
        fake.reloaded.lock().unwrap().clear();
        let list = self.daemon.unix().await.list(rpc::v1::ProcessView::default()).await.expect("others are answered");
        assert_eq!(list.len(), 1);
    }
}

libfuzzer_sys::fuzz_target!(|parts: Vec<Part>| {
    static DONE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let world = world();
    let mut bytes = PREFACE.to_vec();
    frame(&mut bytes, 4, 0, 0, &[]);
    for part in &parts {
        part.write(&mut bytes);
    }
    let number = DONE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    world.runtime.block_on(async {
        world.send(&bytes).await;
        if number % HONEST == 0 {
            world.honest().await;
        }
    });
});
