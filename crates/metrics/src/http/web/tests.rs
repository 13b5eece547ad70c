//! The file as administrators write it, and clients with and without what it asks for.

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::Authority;
use tls::{ClientFiles, ConnectError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::http::tests::{PATIENCE, Response, Server};
use crate::http::{Config, LIMITS, Limits, ListenState};
use crate::tests::Fixture;

/// `secret`, at the least cost there is.
const SECRET: &str = "$2y$04$YB9eA97GBXyJhxJaN1ESPeXCKhQeGqvOj8CL2JtGu/PtODdC9lWPi";

/// A directory with `web.yml` and what it names.
struct Place {
    dir: tempfile::TempDir,
    authority: Authority,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap(), authority: Authority::new("ca") };
        let pair = place.authority.server(&["localhost", "127.0.0.1"]);
        pair.write(&place.at("cert.pem"), &place.at("key.pem"));
        fs::write(place.at("ca.pem"), place.authority.pem()).unwrap();
        fs::write(place.at("token"), "s3cret-token\n").unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, text: &str) {
        fs::write(self.at("web.yml"), text).unwrap();
    }

    fn web(&self, text: &str) -> Arc<Web> {
        self.write(text);
        let web = Web::new(&self.at("web.yml"));
        web.reload().unwrap();
        Arc::new(web)
    }

    fn problem(&self, text: &str) -> String {
        self.write(text);
        Rules::read(&self.at("web.yml")).unwrap_err().to_string()
    }

    fn client(&self, name: &str) -> ClientFiles {
        let (cert, key) = (self.at(&format!("{name}.cert")), self.at(&format!("{name}.key")));
        self.authority.client(name, &[]).write(&cert, &key);
        ClientFiles { ca: Some(self.at("ca.pem")), cert: Some(cert), key: Some(key), server_name: None }
    }

    fn stranger(&self) -> ClientFiles {
        ClientFiles { ca: Some(self.at("ca.pem")), ..ClientFiles::default() }
    }
}

const TLS: &str = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";

async fn serve_within(limits: Limits, web: &Arc<Web>) -> Server {
    let config = Config { web: Some(Arc::clone(web)), ..Config::new("127.0.0.1:0".parse().unwrap()) };
    Server::start_with(limits, config, Fixture::default()).await
}

async fn serve(web: &Arc<Web>) -> Server {
    serve_within(LIMITS, web).await
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn request(path: &str, authorization: Option<&str>) -> String {
    let header = authorization.map(|value| format!("authorization: {value}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n")
}

/// One request over TLS.
async fn over_tls(server: &Server, files: &ClientFiles, path: &str) -> Result<Response, ConnectError> {
    let address = server.addr.to_string();
    let stream = TcpStream::connect(&address).await.unwrap();
    let mut stream = tls::connect(files, Protocol::Http1, &address, stream).await?;
    let refused = |e: std::io::Error| ConnectError::Handshake(e.to_string());
    stream.write_all(request(path, None).as_bytes()).await.map_err(refused)?;
    // Without a certificate where one is needed, the answer is an alert.
    let mut first = [0];
    timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().map_err(refused)?;
    Ok(Response::read(&mut std::io::Cursor::new(first.to_vec()).chain(stream)).await)
}

#[test]
fn what_is_wrong_is_named_with_file_and_key() {
    let place = Place::new();
    for (text, expected) in [
        (
            "basic_auth_user:\n  a: b\n",
            &["web.yml: ", "unknown field `basic_auth_user`", "basic_auth_users"][..],
        ),
        ("tls_server_config:\n  cert_file: cert.pem\n", &["web.yml: ", "missing field `key_file`"]),
        ("tls_server_config:\n  cert_file: cert.pem\n  key: x\n", &["unknown field `key`"]),
        ("http_server_config:\n  http2: true\n", &["http_server_config", "take it out"]),
        (&format!("{TLS}  min_version: TLS13\n"), &["min_version", "take it out"]),
        (&format!("{TLS}  client_auth_type: Always\n"), &["client_auth_type: \"Always\" is none of"]),
        (&format!("{TLS}  client_auth_type: RequireAnyClientCert\n"), &["proves nothing"]),
        (&format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n"), &["needs client_ca_file"]),
        (&format!("{TLS}  client_ca_file: ca.pem\n"), &["nobody has to present"]),
        (
            &format!("{TLS}  client_ca_file: no.pem\n  client_auth_type: VerifyClientCertIfGiven\n"),
            &["no.pem: it can't be read"],
        ),
        (&TLS.replace("key.pem", "ca.pem"), &["/ca.pem: there is no private key in it"]),
        ("basic_auth_users:\n  ada: secret\n", &["basic_auth_users.ada: it is no bcrypt hash"]),
        (
            &format!("basic_auth_users:\n  ada: {}\n", SECRET.replace("$04$", "$31$")),
            &["ada: the cost of the hash is 31"],
        ),
        (&format!("basic_auth_users:\n  ada: {SECRET}\n  ada: {SECRET}\n"), &["\"ada\" stands there twice"]),
        ("basic_auth_users: [ada]\n", &["users with bcrypt hashes"]),
        ("bearer_token_file: no-token\n", &["/no-token: it can't be read"]),
        ("bearer_token_file: /dev/zero\n", &["/dev/zero: it is no file"]),
        ("bearer_token_file: web.yml\nbearer_token_file: web.yml\n", &["duplicate field"]),
        ("a: [\n", &["web.yml: "]),
    ] {
        let problem = place.problem(text);
        for part in expected {
            assert!(problem.contains(part), "{problem:?} should say {part:?}");
        }
        assert!(!problem.contains("$2y$"), "no hash in {problem}");
    }
    fs::write(place.at("token"), "two\nlines\n").unwrap();
    assert!(place.problem("bearer_token_file: token\n").contains("/token: it has to hold one line"));
    assert!(
        Rules::read(&place.at("none.yml")).unwrap_err().to_string().contains("/none.yml: it can't be read")
    );
}

#[test]
fn an_empty_file_asks_for_nothing() {
    let place = Place::new();
    for text in ["", "# nothing\n", "{}\n", "basic_auth_users:\n", "basic_auth_users: {}\n"] {
        assert!(!place.web(text).rules().unwrap().asks(), "{text:?}");
    }
}

#[tokio::test]
async fn a_password_opens_everything_and_two_paths_are_open() {
    let place = Place::new();
    let web = place.web(&format!("basic_auth_users:\n  ada: {SECRET}\n"));
    let server = serve(&web).await;
    for path in ["/", "/metrics", "/page.css", "/page.js"] {
        let refused = server.ask(&request(path, None)).await;
        assert_eq!(refused.status, 401, "{path}");
        assert_eq!(
            refused.header("www-authenticate"),
            Some("basic realm=\"dd-procmgrd\", charset=\"utf-8\"")
        );
        let good = server.ask(&request(path, Some(&basic("ada", "secret")))).await;
        assert_eq!(good.status, 200, "{path}");
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    let late = server.get("/readyz").await;
    assert_eq!((late.status, late.text()), (503, "not ready: 3 processes\n"), "and no name");
    let named = server.ask(&request("/readyz", Some(&basic("ada", "secret")))).await;
    assert!(named.text().contains("crasher"), "{}", named.text());
    for wrong in [
        &basic("ada", "Secret"),
        &basic("ada", ""),
        &basic("ada", "secret\0x"),
        &basic("eve", "secret"),
        &basic("", ""),
        "Basic !!!!",
        "Basic",
        "Basic c2VjcmV0",
        "Bearer secret",
        "Digest x",
        &format!("Basic {}", "QUFB".repeat(2000)),
    ] {
        assert_eq!(server.ask(&request("/metrics", Some(wrong))).await.status, 401, "{wrong}");
    }
    assert_eq!(server.get("/nothing").await.status, 404);
    server.shut_down().await;
}

#[tokio::test]
async fn a_token_is_another_way_in() {
    let place = Place::new();
    let web = place.web("bearer_token_file: token\n");
    let server = serve(&web).await;
    for (value, status) in [
        ("Bearer s3cret-token", 200),
        ("bearer s3cret-token", 200),
        ("Bearer s3cret-toke", 401),
        ("Bearer s3cret-tokenx", 401),
        ("Bearer ", 401),
        (basic("ada", "secret").as_str(), 401),
    ] {
        assert_eq!(server.ask(&request("/metrics", Some(value))).await.status, status, "{value}");
    }
    fs::write(place.at("token"), "another\n").unwrap();
    web.reload().unwrap();
    assert_eq!(server.ask(&request("/metrics", Some("Bearer s3cret-token"))).await.status, 401);
    assert_eq!(server.ask(&request("/metrics", Some("Bearer another"))).await.status, 200);
    server.shut_down().await;
}

#[tokio::test]
async fn a_right_password_is_looked_at_once_and_forgotten_by_a_reload() {
    let users = Users::new(vec![("ada".to_owned(), SECRET.to_owned())]);
    let given = STANDARD.encode("ada:secret");
    assert_eq!(users.judge(&given).await, Verdict::Yes);
    // From here on nobody gets a turn: what is answered is remembered.
    let turn = users.take_turn().await;
    assert_eq!(users.judge(&given).await, Verdict::Yes);
    let waits = timeout(Duration::from_millis(20), users.judge(&STANDARD.encode("ada:wrong"))).await;
    assert!(waits.is_err(), "a wrong one needs its turn");
    drop(turn);
    assert_eq!(users.judge(&STANDARD.encode("ada:wrong")).await, Verdict::No);
}

#[tokio::test]
async fn who_tries_passwords_waits_and_then_is_sent_away() {
    let users = Arc::new(Users::new(vec![("ada".to_owned(), SECRET.to_owned())]));
    let turn = users.take_turn().await;
    let waiting: Vec<_> = (0..users::MAX_WAITING + 1)
        .map(|n| {
            let users = Arc::clone(&users);
            tokio::spawn(async move { users.judge(&STANDARD.encode(format!("ada:{n}"))).await })
        })
        .collect();
    let full = async {
        while !users.is_full() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, full).await.unwrap();
    assert_eq!(users.judge(&STANDARD.encode("eve:x")).await, Verdict::Busy);
    drop(turn);
    for one in waiting {
        assert_eq!(timeout(PATIENCE, one).await.unwrap().unwrap(), Verdict::No);
    }
    assert_eq!(users.judge(&STANDARD.encode("ada:secret")).await, Verdict::Yes);
}

#[tokio::test]
async fn tls_is_spoken_and_nothing_else() {
    let place = Place::new();
    let web = place.web(TLS);
    let server = serve(&web).await;
    assert_eq!(over_tls(&server, &place.stranger(), "/metrics").await.unwrap().status, 200);
    let mut plain = server.connect().await;
    plain.write_all(request("/metrics", None).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _reset = timeout(PATIENCE, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer[0] == 0x15, "an alert: {answer:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn a_certificate_is_asked_for_as_the_file_says() {
    let place = Place::new();
    for (auth, stranger_status) in
        [("VerifyClientCertIfGiven", Some(200)), ("RequireAndVerifyClientCert", None)]
    {
        let web = place.web(&format!("{TLS}  client_ca_file: ca.pem\n  client_auth_type: {auth}\n"));
        let server = serve(&web).await;
        assert_eq!(over_tls(&server, &place.client("ada"), "/metrics").await.unwrap().status, 200);
        let stranger =
            over_tls(&server, &place.stranger(), "/healthz").await.ok().map(|answer| answer.status);
        assert_eq!(stranger, stranger_status, "{auth}");
        let foreign = Authority::new("elsewhere").client("eve", &[]);
        foreign.write(&place.at("eve.cert"), &place.at("eve.key"));
        let eve = ClientFiles {
            cert: Some(place.at("eve.cert")),
            key: Some(place.at("eve.key")),
            ..place.stranger()
        };
        assert!(over_tls(&server, &eve, "/metrics").await.is_err(), "{auth}");
        server.shut_down().await;
    }
}

#[tokio::test]
async fn a_reload_takes_up_what_is_good_and_keeps_what_was() {
    let place = Place::new();
    let web = place.web(TLS);
    let server = serve(&web).await;
    let by_name = ClientFiles { server_name: Some("new.example".into()), ..place.stranger() };
    assert!(over_tls(&server, &by_name, "/").await.is_err());
    place.authority.server(&["new.example"]).write(&place.at("cert.pem"), &place.at("key.pem"));
    web.reload().unwrap();
    assert_eq!(over_tls(&server, &by_name, "/").await.unwrap().status, 200);
    place.write("nonsense: true\n");
    let error = web.reload().unwrap_err();
    assert_eq!(web.problem(), Some(error));
    assert_eq!(over_tls(&server, &by_name, "/").await.unwrap().status, 200);
    // And from TLS to passwords, under a listener that stays.
    place.write(&format!("basic_auth_users:\n  ada: {SECRET}\n"));
    web.reload().unwrap();
    assert_eq!(web.problem(), None);
    assert_eq!(server.ask(&request("/metrics", Some(&basic("ada", "secret")))).await.status, 200);
    server.shut_down().await;
}

#[tokio::test]
async fn nothing_is_served_before_it_is_known_to_whom() {
    let place = Place::new();
    place.write("nonsense: true\n");
    let web = Arc::new(Web::new(&place.at("web.yml")));
    web.reload().unwrap_err();
    let config = Config {
        retry: Duration::from_millis(10),
        web: Some(Arc::clone(&web)),
        ..Config::new("127.0.0.1:0".parse().unwrap())
    };
    let (server, mut state) = Server::launch(LIMITS, config, Fixture::default());
    let failed = state.wait_for(|s| matches!(s, ListenState::Failed { .. }));
    let failed = timeout(PATIENCE, failed).await.unwrap().unwrap().to_string();
    assert!(failed.contains("web.yml: ") && failed.contains("nonsense"), "{failed}");
    place.write("");
    web.reload().unwrap();
    timeout(PATIENCE, state.wait_for(|s| matches!(s, ListenState::Listening { .. }))).await.unwrap().unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn stalled_handshakes_give_their_places_back() {
    let place = Place::new();
    let web = place.web(TLS);
    let limits = Limits { connections: 4, header: Duration::from_millis(50), ..LIMITS };
    let server = serve_within(limits, &web).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        let mut stream = server.connect().await;
        stream.write_all(&[0x16, 3, 1, 2]).await.unwrap();
        stalled.push(stream);
    }
    let answer = timeout(PATIENCE, over_tls(&server, &place.stranger(), "/metrics")).await.unwrap();
    assert_eq!(answer.unwrap().status, 200);
    server.shut_down().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_parallel_scrapes_over_tls() {
    let place = Arc::new(Place::new());
    let server = Arc::new(serve(&place.web(TLS)).await);
    let scrapes: Vec<_> = (0..200)
        .map(|_| {
            let (server, files) = (Arc::clone(&server), place.stranger());
            tokio::spawn(async move { over_tls(&server, &files, "/metrics").await.unwrap().status })
        })
        .collect();
    for scrape in scrapes {
        assert_eq!(timeout(PATIENCE, scrape).await.unwrap().unwrap(), 200);
    }
    Arc::into_inner(server).unwrap().shut_down().await;
}
