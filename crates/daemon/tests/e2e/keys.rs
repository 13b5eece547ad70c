//! Certificates and passwords of the ports, with the real daemon: taken up, exchanged, and refused where they are half.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use rpc::{Client, ClientError, Target, TlsFiles};
use testkit::{Authority, TempDaemon, eventually, patience, run};
use tokio::runtime::Runtime;

use crate::support::address;

/// An authority with the files of a server and of a client.
struct Keys {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Keys {
    fn new() -> Self {
        let keys = Self { dir: tempfile::tempdir().expect("a directory"), authority: Authority::new("ca") };
        fs::write(keys.at("ca.pem"), keys.authority.pem()).expect("a file");
        keys.serve("127.0.0.1");
        let client = keys.authority.client("ada", &["operator"]);
        client.write(&keys.at("ada.pem"), &keys.at("ada.key"));
        keys
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    fn serve(&self, name: &str) {
        let pair = self.authority.server(&[name]);
        pair.write(&self.at("cert.pem"), &self.at("key.pem"));
    }

    /// The role of somebody who expects the server to have this name.
    fn role(&self, io: &Runtime, address: &str, name: &str) -> Result<String, ClientError> {
        let files = TlsFiles {
            ca: Some(self.at("ca.pem")),
            cert: Some(self.at("ada.pem")),
            key: Some(self.at("ada.key")),
            server_name: Some(name.to_owned()),
        };
        let target = Target::Tls(address.to_owned(), None, files);
        io.block_on(async { Ok(Client::connect(&target, patience()).await?.status().await?.caller_role) })
    }
}

#[test]
fn certificates_are_exchanged_by_sighup_and_broken_ones_are_shown() {
    let keys = Keys::new();
    let daemon = TempDaemon::builder()
        .env("PM_TLS_CERT", keys.text("cert.pem"))
        .env("PM_TLS_KEY", keys.text("key.pem"))
        .env("PM_TLS_CLIENT_CA", keys.text("ca.pem"))
        .env("PM_BIND_ADDRESS", "0.0.0.0:0")
        .start();
    let port = address(&daemon, "control tcp").replace("0.0.0.0", "127.0.0.1");
    let io = Runtime::new().expect("a runtime");
    assert_eq!(keys.role(&io, &port, "127.0.0.1").expect("let in"), "operator");

    keys.serve("new.example");
    daemon.signal(Signal::SIGHUP);
    eventually("the new certificate", || keys.role(&io, &port, "new.example").ok());

    fs::write(keys.at("cert.pem"), "garbage").expect("a file");
    daemon.signal(Signal::SIGHUP);
    eventually("the problem to be shown", || {
        daemon.pm(&["status"]).success().contains("no certificate in it").then_some(())
    });
    assert_eq!(keys.role(&io, &port, "new.example").expect("the last good one"), "operator");
    let reloaded = daemon.pm(&["reload-config"]);
    assert!(format!("{reloaded}").contains("cert.pem"), "{reloaded}");
}

#[test]
fn half_of_tls_and_strangers_without_certificates_are_refused() {
    let keys = Keys::new();
    let start = |env: &[(&str, &str)]| {
        let dir = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(testkit::binary("dd-procmgrd").expect("built"));
        for variable in ["STATE_DIRECTORY", "LOGS_DIRECTORY", "RUNTIME_DIRECTORY", "CONFIGURATION_DIRECTORY"]
        {
            command.env(variable, dir.path().join(variable));
        }
        command.env("METRICS_ENABLED", "false").env("PM_BIND_ADDRESS", "127.0.0.1:0");
        run(command.envs(env.iter().copied())).expect("it can be executed").failure(64)
    };
    let (cert, key) = (keys.text("cert.pem"), keys.text("key.pem"));
    assert!(start(&[("PM_TLS_CERT", &cert)]).contains("PM_TLS_KEY is not"));
    let open = ("PM_BIND_ADDRESS", "0.0.0.0:0");
    let refused = start(&[("PM_TLS_CERT", &cert), ("PM_TLS_KEY", &key), open]);
    assert!(refused.contains("PM_TLS_CLIENT_CA"), "{refused}");
}

fn metrics(address: &str, authorization: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).expect("the port accepts");
    write!(stream, "GET /metrics HTTP/1.0\r\n{authorization}\r\n").expect("a request can be sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer comes");
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn metrics_are_behind_what_the_web_config_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file");
    write("token", "first\n");
    write("web.yml", "bearer_token_file: token\n");
    let at = |name: &str| Path::new(dir.path()).join(name).display().to_string();
    let daemon = TempDaemon::builder().env("METRICS_WEB_CONFIG", at("web.yml")).start();
    let port = address(&daemon, "metrics");
    assert!(metrics(&port, "").contains(" 401 "));
    assert!(metrics(&port, "Authorization: Bearer first\r\n").contains(" 200 "));
    write("token", "second\n");
    daemon.signal(Signal::SIGHUP);
    eventually("the new token", || {
        metrics(&port, "Authorization: Bearer second\r\n").contains(" 200 ").then_some(())
    });
    assert!(metrics(&port, "Authorization: Bearer first\r\n").contains(" 401 "));
    write("web.yml", "bearer_tokens: [x]\n");
    daemon.pm(&["reload-config"]);
    let status = daemon.pm(&["status"]).success();
    assert!(status.contains("web.yml") && status.contains("bearer_tokens"), "{status}");
    assert!(metrics(&port, "Authorization: Bearer second\r\n").contains(" 200 "));
}
