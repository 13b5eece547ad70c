//! An http check: a GET, of which only the status counts.

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connect::connect;
use crate::deadline::Deadline;
use crate::failure::Failure;
use crate::resolve::Resolver;
use crate::target::Page;
use crate::wire::Wire;

/// Largest status line and header of an answer together, in bytes. Of its body nothing is read on purpose, at most what
/// came with the head.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// Most header fields of an answer.
const MAX_FIELDS: usize = 100;
/// The `User-Agent` of each check.
pub(crate) const AGENT: &str = concat!("dd-procmgrd/", env!("CARGO_PKG_VERSION"));

/// Healthy = a status from 200 to 399. Redirects are not followed: where they lead to is another process as a rule.
pub(crate) async fn check(url: &str, resolver: &Resolver, deadline: Deadline) -> Result<(), Failure> {
    let page = Page::parse(url)?;
    let stream = connect(&page.target, resolver, deadline).await?;
    let answer = deadline.bound(get(stream, url, &page)).await;
    let status =
        answer.ok_or_else(|| Failure::silent(format!("no answer from {url} within {deadline}")))??;
    if (200..400).contains(&status.as_u16()) {
        Ok(())
    } else {
        Err(Failure::said(format!("HTTP {} from {url}", status.as_u16())))
    }
}

/// The status. The connection lives no longer than this future: no task is left behind.
async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    url: &str,
    page: &Page,
) -> Result<StatusCode, Failure> {
    let (wire, record) = Wire::new(stream);
    let in_words = |error: hyper::Error| {
        Failure::said(if error.is_parse_too_large() {
            format!("{url} answers with more than {} KiB or {MAX_FIELDS} fields of header", MAX_HEAD / 1024)
        } else if let Some(fault) = record.fault(url).filter(|_| !error.is_parse()) {
            fault
        } else if record.seen().bytes > 0 {
            format!("{url} does not answer in HTTP/1")
        } else {
            format!("{url} can't be asked: {error}")
        })
    };
    let request = Request::get(page.path.as_str())
        .header(HOST, &page.authority)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| Failure::said(format!("{url} can't be asked: {error}")))?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(wire))
        .await
        .map_err(in_words)?;
    // Queued by this call, so that the connection never takes a hasty answer for one that nobody asked for.
    let mut response = std::pin::pin!(sender.send_request(request));
    let answered = tokio::select! {
        answered = &mut response => answered,
        // What went wrong is told to whoever asked, as is an answer that came with the end.
        _ended = connection => response.await,
    };
    answered.map(|response| response.status()).map_err(in_words)
}
