//! From a request to a response.

use std::convert::Infallible;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::page::Pages;

/// Prometheus 3 refuses an exposition without this.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

const LANDING: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>dd-procmgrd</title></head>\n\
    <body><h1>dd-procmgrd</h1>\n<ul>\n\
    <li><a href=\"/metrics\">/metrics</a>: Prometheus exposition</li>\n\
    <li><a href=\"/healthz\">/healthz</a>: the daemon is alive</li>\n\
    <li><a href=\"/readyz\">/readyz</a>: the daemon has finished its start</li>\n\
    </ul></body></html>\n";

/// Answers one request; its body, if any, is ignored. hyper leaves out the body of a response to HEAD and keeps
/// its length.
pub(super) async fn respond<B>(
    request: Request<B>,
    pages: &Pages,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let known = matches!(request.uri().path(), "/" | "/metrics" | "/healthz" | "/readyz");
    if !known {
        return Ok(text(StatusCode::NOT_FOUND, "not found; see /metrics, /healthz, /readyz\n"));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    Ok(match request.uri().path() {
        "/metrics" => metrics(request.headers(), pages).await,
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" if pages.ready() => text(StatusCode::OK, "ready\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        _ => body(StatusCode::OK, HTML, LANDING.into()),
    })
}

async fn metrics(headers: &HeaderMap, pages: &Pages) -> Response<Full<Bytes>> {
    let gzip = accepts_gzip(headers);
    let Ok(exposition) = pages.get(gzip).await else {
        return text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the exposition could not be made; see the daemon's log\n",
        );
    };
    let mut response = body(StatusCode::OK, EXPOSITION, exposition);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn text(status: StatusCode, message: &'static str) -> Response<Full<Bytes>> {
    body(status, TEXT, message.into())
}

fn body(status: StatusCode, content_type: HeaderValue, content: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    response
}

/// Whether `Accept-Encoding` names gzip (or `*`) with a weight above 0. What names gzip itself wins over `*`.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut wildcard = false;
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    for item in values.flat_map(|v| v.split(',')) {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.split(';').find_map(|p| p.trim().strip_prefix("q="));
        let wanted = weight.is_none_or(|q| q.trim().parse().is_ok_and(|q: f32| q > 0.0));
        match coding.trim() {
            c if c.eq_ignore_ascii_case("gzip") || c.eq_ignore_ascii_case("x-gzip") => return wanted,
            "*" => wildcard = wanted,
            _ => {}
        }
    }
    wildcard
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_clients_take_gzip() {
        for (value, expected) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("deflate, gzip ; q=0.1", true),
            ("*", true),
            ("", false),
            ("identity", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("*, gzip;q=0", false),
            ("*;q=0, gzip", true),
            ("gzip;q=nonsense", false),
            ("notgzip", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), expected, "{value:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
