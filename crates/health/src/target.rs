//! Where a check goes: `host:port`, and the parts of a URL.

use std::fmt;

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

use crate::failure::Failure;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// A name or an address, IPv6 without its brackets.
    pub(crate) host: String,
    /// 1 to 65535.
    pub(crate) port: u16,
}

impl Target {
    /// Reads `host:port`; IPv6 addresses stand in brackets.
    pub(crate) fn parse(address: &str) -> Result<Self, Failure> {
        let wrong = || Failure::said(format!("{address} is no address: it has to be host:port"));
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bare = unbracketed(host);
        // `::1:80` could be read in two ways.
        if bare.is_empty() || bare.contains(['[', ']', '/', '@']) || bare.contains(':') && bare == host {
            return Err(wrong());
        }
        Ok(Self { host: bare.to_owned(), port })
    }
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// `127.0.0.1:80`, `[::1]:80`, `localhost:80`
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What an http check asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Who is asked.
    pub(crate) target: Target,
    /// The `Host` header: as the URL has it.
    pub(crate) authority: String,
    /// What is asked for.
    pub(crate) path: PathAndQuery,
}

impl Page {
    /// Reads `http://host[:port][/path][?query]`.
    pub(crate) fn parse(url: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| Failure::said(format!("{url} can't be asked: {why}"));
        let uri: Uri = url.parse().map_err(|_| wrong("it is not a URL such as http://host:port/path"))?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong("only http:// is supported"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            // Not repeated: what stands before the `@` is as a rule a password.
            return Err(Failure::said(format!(
                "the URL of {} has a user name in it, which is not supported",
                authority.host()
            )));
        }
        let host = unbracketed(authority.host()).to_owned();
        // `http://host:/` and ports beyond 65535 parse as a URL.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => 80,
            _ => {
                authority.port_u16().filter(|port| *port != 0).ok_or_else(|| wrong("its port is no port"))?
            }
        };
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { target: Target { host, port }, authority: authority.to_string(), path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for (address, host, port) in [
            ("127.0.0.1:80", "127.0.0.1", 80),
            ("[::1]:65535", "::1", 65535),
            ("[fe80::1%2]:80", "fe80::1%2", 80),
            ("db.internal:5432", "db.internal", 5432),
        ] {
            let target = Target::parse(address).unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port));
            assert_eq!(target.to_string(), address);
        }
        for bad in [
            "",
            ":",
            "80",
            ":80",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:http",
            "::1:80",
            "[]:80",
            "[::1:80",
        ] {
            let failure = Target::parse(bad).unwrap_err();
            assert_eq!(failure.message, format!("{bad} is no address: it has to be host:port"));
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, target, authority, path) in [
            ("http://127.0.0.1:8080/health?full=1", "127.0.0.1:8080", "127.0.0.1:8080", "/health?full=1"),
            ("http://localhost", "localhost:80", "localhost", "/"),
            ("HTTP://Host.example/a#fragment", "Host.example:80", "Host.example", "/a"),
            ("http://[::1]:9/", "[::1]:9", "[::1]:9", "/"),
            ("http://[::1]?q", "[::1]:80", "[::1]", "/?q"),
        ] {
            let page = Page::parse(url).unwrap_or_else(|failure| panic!("{url}: {}", failure.message));
            let shown = (page.target.to_string(), page.authority, page.path.to_string());
            assert_eq!(shown, (target.to_owned(), authority.to_owned(), path.to_owned()), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_in_words() {
        for (url, why) in [
            ("https://host/", "only http://"),
            ("ftp://host/", "only http://"),
            ("/health", "only http://"),
            ("", "not a URL"),
            ("http://", "not a URL"),
            ("http://a b/", "not a URL"),
            ("http://host:0/", "its port is no port"),
            ("http://host:99999/", "port"),
            ("http://host:/", "its port is no port"),
            ("http://:80/", "host"),
        ] {
            let message = Page::parse(url).unwrap_err().message;
            assert!(message.contains(why), "{url}: {message}");
        }
        let message = Page::parse("http://root:secret@host/").unwrap_err().message;
        assert_eq!(message, "the URL of host has a user name in it, which is not supported");
    }
}
