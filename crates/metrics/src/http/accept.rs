//! What a client takes: the format of the exposition, and compression.

use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use super::page::Format;

/// The format that the client likes best; the text format when it likes several as much, or says nothing that is known
/// here. Of OpenMetrics only version 1.0.0 is spoken, to which 0.0.1 is close enough for all who ask for that.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let (mut text, mut open): (f32, f32) = (0.0, 0.0);
    for item in items(headers, &ACCEPT) {
        let (media, weight) = weighted(&item);
        let version = item.split(';').find_map(|p| p.trim().strip_prefix("version="));
        match media {
            "application/openmetrics-text" if matches!(version, None | Some("1.0.0" | "0.0.1")) => {
                open = open.max(weight);
            }
            "text/plain" if matches!(version, None | Some("0.0.4")) => text = text.max(weight),
            _ => {}
        }
    }
    if open > text { Format::OpenMetrics } else { Format::Text }
}

/// Whether `Accept-Encoding` names gzip (or `*`) with a weight above 0. What names gzip itself wins over `*`.
pub(super) fn gzip(headers: &HeaderMap) -> bool {
    let mut wildcard = false;
    for item in items(headers, &ACCEPT_ENCODING) {
        let (coding, weight) = weighted(&item);
        match coding {
            "gzip" | "x-gzip" => return weight > 0.0,
            "*" => wildcard = weight > 0.0,
            _ => {}
        }
    }
    wildcard
}

/// The items of a header's list, in lower case.
fn items(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::to_ascii_lowercase)
}

/// An item without its parameters, and its weight; one that can't be read is 0.
fn weighted(item: &str) -> (&str, f32) {
    let (what, parameters) = item.split_once(';').unwrap_or((item, ""));
    let weight = parameters.split(';').find_map(|p| p.trim().strip_prefix("q="));
    (what.trim(), weight.map_or(1.0, |q| q.trim().parse().unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

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
            assert_eq!(gzip(&headers), expected, "{value:?}");
        }
        assert!(!gzip(&HeaderMap::new()));
    }

    #[test]
    fn which_format_clients_get() {
        use Format::{OpenMetrics, Text};
        // What Prometheus 2.42 and 3.x send.
        let two = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
            text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let three = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
            text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (value, expected) in [
            (two, OpenMetrics),
            (three, OpenMetrics),
            ("application/openmetrics-text", OpenMetrics),
            ("Application/OpenMetrics-Text; Version=1.0.0", OpenMetrics),
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Text),
            ("application/openmetrics-text;q=0", Text),
            ("application/openmetrics-text;q=0.5,text/plain", Text),
            ("text/plain,application/openmetrics-text", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Text),
            ("nonsense;;;q=,,", Text),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(value).unwrap())]);
            assert_eq!(format(&headers), expected, "{value:?}");
        }
        assert_eq!(format(&HeaderMap::new()), Text);
    }
}
