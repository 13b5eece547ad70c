//! http: a status from 200 to 399 is healthy; whatever else a server does has a sentence of its own.

use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{FIVE, Hold, PATIENCE, ask, fault, head, http, nobody, server, server_at};

/// Answers each request with these bytes and closes.
async fn answering(bytes: impl Into<Vec<u8>>) -> String {
    let bytes = bytes.into();
    let address = server(move |mut stream| {
        let bytes = bytes.clone();
        async move {
            head(&mut stream).await;
            stream.write_all(&bytes).await.expect("the check reads");
        }
    })
    .await;
    format!("http://{address}/")
}

/// The same bytes again and again, for as long as anybody reads them.
async fn flooding(once: &'static str, again: &'static str) -> String {
    let address = server(move |mut stream| async move {
        head(&mut stream).await;
        let mut sent = stream.write_all(once.as_bytes()).await;
        while sent.is_ok() {
            sent = stream.write_all(again.as_bytes()).await;
        }
    })
    .await;
    format!("http://{address}/")
}

#[tokio::test]
async fn the_status_decides() {
    for (status, healthy) in [
        ("200 OK", true),
        ("204 No Content", true),
        ("301 Moved Permanently\r\nlocation: http://127.0.0.1:1/", true),
        ("399 ", true),
        ("101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade", false),
        ("400 Bad Request", false),
        ("404 Not Found", false),
        ("500 Internal Server Error", false),
        ("503 Service Unavailable", false),
    ] {
        let url = answering(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        let answer = ask(http(&url), PATIENCE).await;
        let code = &status[..3];
        assert_eq!(answer, if healthy { Ok(()) } else { Err(format!("HTTP {code} from {url}")) }, "{status}");
    }
}

#[tokio::test]
async fn the_request_says_who_asks_and_asks_once() {
    let (sender, mut requests) = unbounded_channel();
    let address = server(move |mut stream| {
        let sender = sender.clone();
        async move {
            let request = head(&mut stream).await;
            // HTTP/1.0, as python's http.server answers.
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").await.unwrap();
            let mut rest = Vec::new();
            drop(stream.read_to_end(&mut rest).await);
            sender.send((request, rest)).unwrap();
        }
    })
    .await;
    let url = format!("http://{address}/health?full=1");
    assert_eq!(ask(http(url), PATIENCE).await, Ok(()));
    let (request, rest) = requests.recv().await.unwrap();
    let request = request.to_lowercase();
    assert!(request.starts_with("get /health?full=1 http/1.1\r\n"), "{request}");
    let agent = concat!("user-agent: dd-procmgrd/", env!("CARGO_PKG_VERSION"));
    for field in [&format!("host: {address}"), agent, "connection: close"] {
        assert!(request.contains(&format!("\r\n{field}\r\n")), "{field} in {request}");
    }
    assert_eq!(rest, b"", "one request is all");
}

/// The answer is there with its head: a body that never ends is not waited for, and not read.
#[tokio::test]
async fn the_body_is_not_waited_for() {
    let url = flooding("HTTP/1.1 200 OK\r\n\r\n", "and so on ").await;
    assert_eq!(ask(http(url), PATIENCE).await, Ok(()));
    let address = server(async |mut stream: TcpStream| {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(ask(http(format!("http://{address}/")), PATIENCE).await, Ok(()));
}

#[tokio::test]
async fn ipv6_literals_work() {
    let address = server_at("[::1]:0", async |mut stream: TcpStream| {
        let request = head(&mut stream).await;
        let port = stream.local_addr().unwrap().port();
        assert!(request.to_lowercase().contains(&format!("\r\nhost: [::1]:{port}\r\n")), "{request}");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    })
    .await;
    assert_eq!(ask(http(format!("http://{address}")), PATIENCE).await, Ok(()));
}

#[tokio::test]
async fn nobody_there_refuses() {
    let address = nobody().await;
    let message = fault(http(format!("http://{address}/"))).await;
    assert_eq!(message, format!("connection refused by {address}"));
}

#[tokio::test]
async fn what_is_no_http_is_said_to_be_none() {
    for garbage in
        ["hello\n", "<html>HTTP/0.9 had no head</html>", "SSH-2.0-OpenSSH_10\r\n", "\0\0\0\0\0\0\0\0\0\0"]
    {
        let url = answering(garbage).await;
        assert_eq!(fault(http(&url)).await, format!("{url} does not answer in HTTP/1"), "{garbage:?}");
    }
}

/// Servers of one line of shell answer before they are asked, and those of other protocols greet.
#[tokio::test]
async fn who_speaks_first_is_understood_too() {
    let speaking = async |greeting: &'static str| {
        let address = server(async move |mut stream: TcpStream| {
            stream.write_all(greeting.as_bytes()).await.unwrap();
            drop(stream.read_to_end(&mut Vec::new()).await);
        })
        .await;
        format!("http://{address}/")
    };
    for _ in 0..20 {
        let url = speaking("HTTP/1.1 200 OK\r\n\r\n").await;
        assert_eq!(ask(http(&url), PATIENCE).await, Ok(()));
        let url = speaking("220 mail.example ESMTP\r\n").await;
        assert_eq!(fault(http(&url)).await, format!("{url} does not answer in HTTP/1"));
    }
}

#[tokio::test]
async fn a_connection_that_closes_early_is_told() {
    let url = answering("").await;
    assert_eq!(fault(http(&url)).await, format!("{url} closed the connection without an answer"));
    let url = answering("HTTP/1.1 200 OK\r\ncontent-").await;
    assert_eq!(fault(http(&url)).await, format!("{url} closed the connection in the middle of its answer"));
    // Closing with the request unread sends a reset.
    let address = server(async |stream: TcpStream| {
        stream.readable().await.unwrap();
        drop(stream);
    })
    .await;
    let url = format!("http://{address}/");
    assert_eq!(fault(http(&url)).await, format!("connection reset by {url}"));
}

#[tokio::test]
async fn endless_headers_end() {
    let too_much = "answers with more than 16 KiB or 100 fields of header";
    for again in ["x: y\r\n", "x", "long-field-names-too: and their long values, all of them of one size\r\n"]
    {
        let url = flooding("HTTP/1.1 200 OK\r\n", again).await;
        assert_eq!(fault(http(&url)).await, format!("{url} {too_much}"), "{again:?}");
    }
    let url = flooding("", "HTTP/1.1 100 Continue\r\n\r\n").await;
    assert_eq!(fault(http(&url)).await, format!("{url} sent more than 64 KiB, a check reads no more"));
}

#[tokio::test(start_paused = true)]
async fn silence_runs_into_the_timeout() {
    let hold = Mutex::new(Some(Hold::the_clock()));
    let address = server(move |mut stream| {
        let hold = hold.lock().unwrap().take();
        async move {
            head(&mut stream).await;
            drop(hold);
            std::future::pending::<()>().await;
        }
    })
    .await;
    let url = format!("http://{address}/");
    assert_eq!(ask(http(&url), FIVE).await.unwrap_err(), format!("no answer from {url} within 5 s"));
}

/// Bytes that keep coming do not extend the time.
#[tokio::test(start_paused = true)]
async fn a_byte_a_second_runs_into_the_timeout() {
    let hold = Mutex::new(Some(Hold::the_clock()));
    let (sender, mut sent) = unbounded_channel();
    let address = server(move |mut stream| {
        let (hold, sender) = (hold.lock().unwrap().take(), sender.clone());
        async move {
            head(&mut stream).await;
            drop(hold);
            for byte in b"HTTP/1.1 200 OK\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sender.send(()).unwrap();
            }
        }
    })
    .await;
    let url = format!("http://{address}/");
    let timeout = Duration::from_millis(5500);
    assert_eq!(ask(http(&url), timeout).await.unwrap_err(), format!("no answer from {url} within 5.5 s"));
    let mut bytes = 0;
    while sent.try_recv().is_ok() {
        bytes += 1;
    }
    assert_eq!(bytes, 5, "it was asked, and did answer slowly");
}

#[tokio::test]
async fn what_is_no_url_is_not_asked() {
    let message = fault(http("https://127.0.0.1/")).await;
    assert_eq!(message, "https://127.0.0.1/ can't be asked: only http:// is supported");
}
