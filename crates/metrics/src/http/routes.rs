//! From a request to a response.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    REFERRER_POLICY, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::body::Content;
use super::page::{Format, Pages};
use super::status::{SCRIPT, STYLE, View};
use super::web::{Rules, Verdict};
use super::{Site, accept};
use crate::exporter::NotReady;

/// Prometheus 3 refuses an exposition without this.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

/// For all answers: nothing is loaded but our own style and script, and the script may ask only us.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// Names of processes that `/readyz` lists.
const LISTED: usize = 20;

/// Answers one request; its body, if any, is ignored. hyper leaves out the body of a response to HEAD and keeps
/// its length.
pub(super) async fn respond<B>(request: Request<B>, site: &Site) -> Result<Response<Content>, Infallible> {
    let pages = &site.pages;
    let path = request.uri().path();
    if !["/", "/metrics", "/healthz", "/readyz", "/page.css", "/page.js"].contains(&path) {
        return Ok(text(StatusCode::NOT_FOUND, "not found; see /, /metrics, /healthz, /readyz\n"));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    // Asked for each request, so that a reload counts for connections that stand as well.
    let Some(rules) = site.web.as_ref().map_or_else(|| Some(Arc::default()), |web| web.rules()) else {
        return Ok(text(StatusCode::SERVICE_UNAVAILABLE, "it is not known yet who may see this\n"));
    };
    let verdict = rules.judge(request.headers()).await;
    Ok(match path {
        // Those that look after the machine have no passwords. Without one there are no names to see either.
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => readiness(pages, verdict == Verdict::Yes).await,
        _ if verdict != Verdict::Yes => refused(&rules, verdict),
        "/metrics" => metrics(request.headers(), site).await,
        "/page.css" => body(StatusCode::OK, CSS, fixed(STYLE)),
        "/page.js" => body(StatusCode::OK, JAVASCRIPT, fixed(SCRIPT)),
        _ => {
            let view = View::from_query(request.uri().query().unwrap_or_default());
            pages.status(view).await.map_or_else(|_| failed(), |page| body(StatusCode::OK, HTML, page.into()))
        }
    })
}

async fn metrics(headers: &HeaderMap, site: &Site) -> Response<Content> {
    let (format, gzip) = (accept::format(headers), accept::gzip(headers));
    let content_type = match format {
        Format::Text => EXPOSITION,
        Format::OpenMetrics => OPEN_METRICS,
    };
    let Some(content) = site.pages.exposition(format, gzip, site.response).await else { return failed() };
    let mut response = body(StatusCode::OK, content_type, content);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn refused(rules: &Rules, verdict: Verdict) -> Response<Content> {
    if verdict == Verdict::Busy {
        return text(StatusCode::TOO_MANY_REQUESTS, "too many passwords are being tried; come again\n");
    }
    let mut response = text(StatusCode::UNAUTHORIZED, "who are you? See METRICS_WEB_CONFIG in the manual\n");
    for scheme in rules.schemes() {
        response.headers_mut().append(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    response
}

async fn readiness(pages: &Pages, named: bool) -> Response<Content> {
    let late = match pages.readiness().await {
        Ok(Ok(())) => return text(StatusCode::OK, "ready\n"),
        Ok(Err(NotReady::Daemon)) => return text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Ok(Err(NotReady::Processes(late))) => late,
        Err(_) => return failed(),
    };
    if !named {
        let message = format!("not ready: {} processes\n", late.len());
        return body(StatusCode::SERVICE_UNAVAILABLE, TEXT, Bytes::from(message).into());
    }
    let mut list: Vec<&str> = late.iter().take(LISTED).map(model::ProcessName::as_str).collect();
    let more = format!("and {} more", late.len() - list.len());
    if late.len() > list.len() {
        list.push(&more);
    }
    let message = format!("not ready: {}\n", list.join(", "));
    body(StatusCode::SERVICE_UNAVAILABLE, TEXT, Bytes::from(message).into())
}

fn failed() -> Response<Content> {
    text(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be made; see the daemon's log\n")
}

fn text(status: StatusCode, message: &'static str) -> Response<Content> {
    body(status, TEXT, fixed(message))
}

fn fixed(text: &'static str) -> Content {
    Bytes::from_static(text.as_bytes()).into()
}

fn body(status: StatusCode, content_type: HeaderValue, content: Content) -> Response<Content> {
    let mut response = Response::new(content);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
