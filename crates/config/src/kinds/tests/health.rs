//! Health checks.

use model::{HealthSpec, Probe};

use super::super::Health;
use super::*;

fn probe(yaml: &str) -> String {
    read::<Health>(yaml).unwrap_or_else(|message| panic!("{yaml}: {message}")).probe.to_string()
}

#[test]
fn every_type() {
    for (yaml, expected) in [
        (
            "{type: http, url: \"http://localhost:8080/health?full=1\"}",
            "http http://localhost:8080/health?full=1",
        ),
        ("{type: http, url: \"http://[::1]:80\"}", "http http://[::1]:80"),
        ("{type: http, port: 8080}", "http http://127.0.0.1:8080/"),
        ("{type: http, port: \"8080\", path: /ready}", "http http://127.0.0.1:8080/ready"),
        ("{type: tcp, port: 5432}", "tcp 127.0.0.1:5432"),
        ("{type: tcp, address: \"[fe80::1%eth0]:5432\"}", "tcp [fe80::1%eth0]:5432"),
        ("{type: exec, command: pg_isready -q}", "exec pg_isready -q"),
        ("{type: exec, command: a b, args: [c]}", "exec a b c"),
        ("{type: grpc, port: 50051}", "grpc 127.0.0.1:50051"),
        ("{type: grpc, address: db:1, service: a.B}", "grpc db:1 a.B"),
    ] {
        assert_eq!(probe(yaml), expected, "{yaml}");
    }
}

#[test]
fn what_is_left_out_has_its_default_and_is_not_written() {
    let health = read::<Health>("{type: tcp, port: 1}").unwrap();
    assert_eq!(health, HealthSpec::new(Probe::Tcp { address: "127.0.0.1:1".into() }));
    assert_eq!(written::<Health>("{type: tcp, port: 1, interval: 10s}"), "type: tcp\naddress: 127.0.0.1:1");
    let all = "{type: grpc, port: 1, service: s, interval: 1m, timeout: 0.5, retries: 1, start_period: 0, \
               success_threshold: 2, restart_after: 1}";
    let text = "type: grpc\naddress: 127.0.0.1:1\nservice: s\ninterval: 60\ntimeout: 0.5s\nretries: 1\n\
                start_period: 0\nsuccess_threshold: 2\nrestart_after: 1";
    assert_eq!(written::<Health>(all), text);
    assert_eq!(written::<Health>("{type: exec, command: a, args: [b c]}"), "type: exec\ncommand: a 'b c'");
    assert_eq!(
        written::<Health>("{type: exec, command: a b, args: []}"),
        "type: exec\ncommand: a b\nargs: []"
    );
    assert_eq!(written::<Health>("{type: http, port: 1, path: /x}"), "type: http\nurl: http://127.0.0.1:1/x");
}

#[test]
fn what_is_no_health_check() {
    for (yaml, part) in [
        ("curl -f http://localhost", "expected a mapping of keys, found the text"),
        ("[CMD, curl]", "expected a mapping of keys, found a list"),
        ("true", "expected a mapping of keys, found `true`"),
        ("", "expected a mapping of keys, found nothing"),
        ("{}", "a health check needs a `type`"),
        ("{port: 80}", "a health check needs a `type`"),
        ("{type: https, port: 1}", "expected `http`, `tcp`, `exec` or `grpc`, found `https`"),
        ("{type: [tcp], port: 1}", "found a list"),
        ("{type: http}", "needs `url` or `port`"),
        ("{type: tcp}", "needs `address` or `port`"),
        ("{type: grpc, service: s}", "needs `address` or `port`"),
        ("{type: exec}", "needs a `command`"),
        ("{type: exec, command: \"\"}", "the command is empty"),
        ("{type: exec, command: sh -c 'a}", "can't be split into words"),
        ("{type: exec, command: -a}", "`-a` can't be a program"),
        ("{type: exec, command: a, args: {}}", "expected a list"),
        ("{type: exec, port: 1, command: a}", "`port` is not a key of a check of type `exec`"),
        ("{type: tcp, port: 1, path: /}", "`path` is not a key of a check of type `tcp`"),
        ("{type: tcp, url: \"http://a\", port: 1}", "`url` is not a key of a check of type `tcp`"),
        ("{type: http, url: \"http://a\", port: 1}", "`url` says it already"),
        ("{type: tcp, address: a:1, port: 1}", "`address` says it already"),
        ("{type: tcp, port: 0}", "`0` is not a port"),
        ("{type: tcp, port: 65536}", "`65536` is not a port"),
        ("{type: tcp, port: -1}", "`-1` is not a port"),
        ("{type: tcp, port: 1.5}", "`1.5` is not a port"),
        ("{type: tcp, port: http}", "`http` is not a port"),
        ("{type: tcp, port: [1]}", "expected a port, found a list"),
        ("{type: http, port: 1, path: health}", "does not begin with `/`"),
        ("{type: http, port: 1, path: /a b}", "a URL can't hold ' '"),
        ("{type: http, port: 1, path: \"/a\\r\\nHost: b\"}", "a URL can't hold '\\r'"),
        ("{type: http, port: 1, path: /ä}", "a URL can't hold 'ä'"),
        ("{type: http, port: 1, path: \"/a#b\"}", "after `#`"),
        ("{type: tcp, port: 1, interval: 0}", "less than 10 ms"),
        ("{type: tcp, port: 1, timeout: 1ms}", "less than 10 ms"),
        ("{type: tcp, port: 1, timeout: never}", "expected a time"),
        ("{type: tcp, port: 1, retries: 0}", "0 is not a whole number from 1 to 10000"),
        ("{type: tcp, port: 1, success_threshold: 0}", "0 is not a whole number from 1"),
        ("{type: tcp, port: 1, retries: 10001}", "not a whole number from 1 to 10000"),
        ("{type: tcp, port: 1, restart_after: 2}", "2 is less than `retries` (3)"),
        ("{type: tcp, port: 1, restart_after: -1}", "not a whole number"),
        ("{type: tcp, port: 1, nonsense: 1}", "`nonsense` is not a key of `health_check:`"),
        ("{type: grpc, port: 1, service: \"a\\nb\"}", "can't be a service"),
    ] {
        is_refused::<Health>(yaml, part);
    }
    assert!(read::<Health>("{type: tcp, port: 1, retries: 2, restart_after: 2}").is_ok());
}

#[test]
fn addresses_and_urls() {
    for (address, part) in [
        ("localhost", "`localhost` has no port"),
        ("localhost:", "`` is not a port"),
        (":80", "there is no host"),
        ("::1:80", "ambiguous"),
        ("[::1]", "`[::1]` has no port"),
        ("[::g]:1", "`[::g]` is not a host"),
        ("[::1%]:1", "is not a host"),
        ("256.0.0.1:1", "`256.0.0.1` is not a host"),
        ("a b:1", "`a b` is not a host"),
        ("a/b:1", "`a/b` is not a host"),
        ("http://a:1", "is a URL"),
        ("u@h:1", "`u@h` is not a host"),
    ] {
        is_refused::<Health>(&format!("{{type: tcp, address: \"{address}\"}}"), part);
    }
    for (url, part) in [
        ("localhost:80", "is not a URL"),
        ("https://localhost", "https is not supported"),
        ("ftp://localhost", "`ftp` is not supported, only `http`"),
        ("http://", "there is no host"),
        ("http:///x", "there is no host"),
        ("http://u:p@h/", "a user and password can't stand in it"),
        ("http://h:0/", "`0` is not a port"),
        ("http://h:/", "`` is not a port"),
        ("http://h:1x/", "`1x` is not a port"),
        ("http://::1/", "is not a host"),
        ("http://[::1/", "is not a host"),
        ("http://h?x", "does not begin with `/`"),
        ("http://h/#x", "after `#`"),
        ("http://h/<x>", "a URL can't hold '<'"),
        ("http://h\\r\\nX: y/", "is not a host"),
    ] {
        is_refused::<Health>(&format!("{{type: http, url: \"{url}\"}}"), part);
    }
    for url in
        ["http://h", "http://h:1", "http://h_1.example/a%20b?c=d&e", "http://127.0.0.1:1/", "http://[::]/"]
    {
        assert!(read::<Health>(&format!("{{type: http, url: \"{url}\"}}")).is_ok(), "{url}");
    }
}
