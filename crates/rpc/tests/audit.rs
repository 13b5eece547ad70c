//! Each mutating call leaves a record, denied ones too; reading leaves none.
//!
//! A program of its own: tracing caches for the whole process which records anybody wants, so that a subscriber of one
//! test among others, which have none, may miss some.

#![expect(unreachable_pub, dead_code, clippy::unwrap_used, reason = "a test, with a part of the support")]

#[path = "it/keys.rs"]
mod keys;
#[path = "it/support.rs"]
mod support;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use rpc::v1;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use keys::Keys;
use support::Daemon;
use tls::ClientAuth;

/// Collects the records of target `audit` as `field=value` lines.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<Vec<String>>>);

impl Records {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Records {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "audit"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

// One thread, so that the subscriber of this thread sees the server's tasks too.
#[tokio::test(flavor = "current_thread")]
async fn mutating_calls_are_recorded_with_who_what_and_result() {
    let records = Records::default();
    let _guard = tracing::subscriber::set_default(records.clone());
    let daemon = Daemon::start().await;
    let mut admin = daemon.unix().await;
    admin.list(v1::ProcessView::Basic).await.unwrap();
    admin.status().await.unwrap();
    admin.stop("cccc").await.unwrap();
    admin.start("broken").await.unwrap_err();
    daemon.tcp(None).await.delete("web", false).await.unwrap_err();
    admin.reload_process("twin").await.unwrap_err();
    admin.signal("cccc", "hup", false).await.unwrap();
    admin.signal("web", "KILL", true).await.unwrap();
    admin.reset("web").await.unwrap();
    for dry_run in [false, true] {
        let definition = model::Definition {
            env: Some([("API_KEY".to_owned(), "hunter2".to_owned())].into()),
            ..Default::default()
        };
        admin.update("web", definition, vec![], dry_run).await.unwrap();
        admin.set_override("web", "env:\n  API_KEY: hunter2\n".into(), dry_run).await.unwrap();
        admin.reload(dry_run).await.unwrap();
    }
    admin.set_override("web", "{".into(), false).await.unwrap_err();
    // These only read.
    admin.fragments("web").await.unwrap();
    admin.override_text("web").await.unwrap();
    daemon.tcp(None).await.override_text("web").await.unwrap_err();

    let lines = records.take();
    let uid = nix::unistd::geteuid();
    let pid = std::process::id();
    let has = |line: &str, parts: &[&str]| parts.iter().all(|part| line.contains(part));
    assert_eq!(lines.len(), 15, "{lines:#?}");
    let who = format!("uid={uid} pid={pid} role=\"admin\"");
    assert!(
        has(&lines[0], &[&who, "StopProcess", "target_process=\"web\"", "result=\"OK\""]),
        "{}",
        lines[0]
    );
    assert!(has(&lines[1], &[&who, "StartProcess", "\"broken\"", "START_FAILED"]), "{}", lines[1]);
    let refused = ["over TCP", "DeleteProcess", "ROLE_TOO_LOW", "role=\"viewer\"", "target_process=\"web\""];
    assert!(has(&lines[2], &refused), "{}", lines[2]);

    let web = "target_process=\"web\"";
    for (line, parts) in lines[3..].iter().zip([
        &["message=ReloadProcess twin: FAILED_PRECONDITION", "target_process=\"twin\""][..],
        &["message=SignalProcess web SIGHUP: OK", "detail=\"SIGHUP\"", web],
        &["message=SignalProcess web SIGKILL to all: OK", "detail=\"SIGKILL to all\"", web],
        &["message=ResetProcess web: OK", web],
        &["message=UpdateProcess web: OK", web],
        &["message=SetOverride web: OK", web],
        &["message=ReloadConfig: OK", "target_process=\"\""],
        &["message=UpdateProcess web dry run: OK", "dry_run=true", web],
        &["message=SetOverride web dry run: OK", "dry_run=true", web],
        &["message=ReloadConfig dry run: OK", "dry_run=true"],
        &["message=SetOverride web: INVALID_REQUEST", web],
        &["over TCP", "GetOverride", "ROLE_TOO_LOW", web],
    ]) {
        assert!(has(line, parts), "{line}\nshould have {parts:?}");
        assert!(line.contains(&who) || line.contains("over TCP"), "{line}");
        assert_eq!(line.contains("dry_run"), line.contains("dry run"), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }

    what_can_not_be_carried_out_is_recorded_with_its_reason(&records).await;
    a_call_that_does_not_wait_is_recorded_when_accepted_and_when_done(&records, &daemon).await;
    a_repeated_call_is_recorded_as_one(&records, &daemon).await;
    a_fault_of_the_daemon_is_recorded(&records, &daemon).await;
    a_rotation_is_recorded(&records, &daemon, &who).await;
    a_certificate_is_recorded_by_its_name(&records).await;
    a_flood_of_denied_calls_is_a_few_records(&records, &daemon).await;
}

/// Admitted, and then wrong: each leaves one record, with the reason that the caller hears.
async fn what_can_not_be_carried_out_is_recorded_with_its_reason(records: &Records) {
    let daemon = Daemon::with(|config| config.token_role = rpc::Role::Admin).await;
    let mut bare = support::bare(&daemon).await;
    let hostile = "web\n\u{1b}[31m\0 role=\"admin\"";
    let named = |name: &str| v1::StopProcessRequest { name: name.into(), ..Default::default() };
    let of = |part: &'static [&'static str]| {
        let lines = records.take();
        assert_eq!(lines.len(), 1, "{part:?}: {lines:#?}");
        assert!(part.iter().all(|part| lines[0].contains(part)), "{part:?}: {}", lines[0]);
        assert!(lines[0].contains("role=\"admin\"") && !lines[0].contains(char::is_control), "{}", lines[0]);
    };
    bare.stop_process(support::with_token(&daemon, named("nobody"))).await.unwrap_err();
    of(&["StopProcess nobody: PROCESS_NOT_FOUND", "target_process=\"nobody\""]);
    bare.stop_process(support::with_token(&daemon, named(hostile))).await.unwrap_err();
    of(&["StopProcess web\\n\\u{1b}[31m\\0 role=\\\"admin\\\": PROCESS_NOT_FOUND"]);
    bare.stop_process(support::with_token(&daemon, named(&"x".repeat(60_000)))).await.unwrap_err();
    let lines = records.take();
    assert!(lines.len() == 1 && lines[0].len() < 1_000, "{lines:?}");
    // By its id it is called by its name, and what is ambiguous is what the caller said.
    bare.reset_process(support::with_token(
        &daemon,
        v1::ResetProcessRequest { name: "cccc".into(), ..Default::default() },
    ))
    .await
    .unwrap();
    of(&["ResetProcess web: OK"]);
    bare.stop_process(support::with_token(&daemon, named("bbbb"))).await.unwrap_err();
    of(&["StopProcess bbbb: INVALID_REQUEST"]);

    let definition =
        v1::ProcessDefinition { command: Some("true".into()), restart: 99, ..Default::default() };
    let create = v1::CreateProcessRequest {
        name: "new".into(),
        definition: Some(definition),
        request_id: "id-1".into(),
        ..Default::default()
    };
    bare.create_process(support::with_token(&daemon, create)).await.unwrap_err();
    of(&["CreateProcess new: INVALID_REQUEST", "request_id=\"id-1\""]);
    let create = v1::CreateProcessRequest { name: "a b".into(), ..Default::default() };
    bare.create_process(support::with_token(&daemon, create)).await.unwrap_err();
    of(&["CreateProcess a b: INVALID_REQUEST"]);
    let signal =
        v1::SignalProcessRequest { name: "web".into(), signal: "\u{7}TREM".into(), ..Default::default() };
    bare.signal_process(support::with_token(&daemon, signal)).await.unwrap_err();
    of(&["SignalProcess web \\u{7}TREM: INVALID_REQUEST"]);
    let stop = v1::StopProcessRequest { request_id: "\u{1b}".into(), ..named("web") };
    bare.stop_process(support::with_token(&daemon, stop)).await.unwrap_err();
    of(&["StopProcess web: INVALID_REQUEST", "request_id=\"\\\\u{1b}\""]);
    bare.reopen_logs(support::with_token(&daemon, v1::ReopenLogsRequest {})).await.unwrap();
    of(&["ReopenLogs: OK"]);
    assert!(daemon.fake.created.lock().unwrap().is_empty());

    // Nobody knows who it is: its role is not told, and what it wanted is.
    let mut request =
        tonic::Request::new(v1::StopProcessRequest { request_id: "id-2".into(), ..named("web") });
    request.metadata_mut().insert("authorization", "Bearer wrong".parse().unwrap());
    bare.stop_process(request).await.unwrap_err();
    let lines = records.take();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let parts = ["BAD_TOKEN", "target_process=\"web\"", "request_id=\"id-2\"", "method=\"StopProcess\""];
    assert!(parts.iter().all(|part| lines[0].contains(part)) && !lines[0].contains("role="), "{}", lines[0]);
}

async fn a_call_that_does_not_wait_is_recorded_when_accepted_and_when_done(
    records: &Records,
    daemon: &Daemon,
) {
    let now = |name: &str| v1::StartProcessRequest { name: name.into(), no_wait: true, ..Default::default() };
    daemon.unix().await.start_with(now("slow")).await.unwrap();
    let lines = records.take();
    assert!(lines.len() == 1 && lines[0].contains("message=StartProcess slow: ACCEPTED"), "{lines:#?}");
    let mut ended = daemon.fake.ended.subscribe();
    daemon.fake.gate.send_replace(true);
    ended.wait_for(|verb| verb == "start slow").await.unwrap();
    let lines = soon(|| Some(records.take()).filter(|lines| !lines.is_empty())).await;
    assert!(
        lines.len() == 1
            && lines[0].contains("message=StartProcess slow accepted before: OK")
            && lines[0].contains("outcome=true"),
        "{lines:#?}"
    );
    // What is refused at once is not accepted.
    daemon.unix().await.start_with(now("broken")).await.unwrap_err();
    let lines = records.take();
    assert!(lines.len() == 1 && lines[0].contains("StartProcess broken: START_FAILED"), "{lines:#?}");
}

/// On one thread: others run while this one gives way.
async fn soon<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let until = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(support::PATIENCE, until).await.unwrap()
}

async fn a_repeated_call_is_recorded_as_one(records: &Records, daemon: &Daemon) {
    let reset = |name: &str| v1::StopProcessRequest {
        name: name.into(),
        request_id: "r".into(),
        ..Default::default()
    };
    daemon.unix().await.stop_with(reset("web")).await.unwrap();
    daemon.unix().await.stop_with(reset("web")).await.unwrap();
    daemon.unix().await.stop_with(reset("twin")).await.unwrap_err();
    let lines = records.take();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, part) in lines.iter().zip(["web: OK", "web: REPEATED", "twin: INVALID_REQUEST"]) {
        assert!(line.contains(&format!("StopProcess {part}")) && line.contains("request_id=\"r\""), "{line}");
    }
}

async fn a_fault_of_the_daemon_is_recorded(records: &Records, daemon: &Daemon) {
    daemon.fake.faulty.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = daemon.unix().await.restart("web").await.unwrap_err();
    daemon.fake.faulty.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(error.to_string().contains("broke off"), "{error}");
    let lines = records.take();
    assert!(lines.len() == 1 && lines[0].contains("RestartProcess web: INTERNAL"), "{lines:#?}");
}

async fn a_rotation_is_recorded(records: &Records, daemon: &Daemon, who: &str) {
    daemon.unix().await.rotate_token().await.unwrap();
    let lines = records.take();
    assert!(lines.len() == 1 && lines[0].contains("message=RotateToken: OK"), "{lines:#?}");
    assert!(lines[0].contains(who), "{lines:#?}");
}

/// And a name that tries to be a record of its own stays a name.
async fn a_certificate_is_recorded_by_its_name(records: &Records) {
    let keys = Keys::new();
    let daemon = Daemon::with(|config| config.tls = Some(keys.live(ClientAuth::Optional))).await;
    let hostile = "ada\" role=\"admin\nx";
    for (name, unit) in [("ada", "operator"), (hostile, "viewer")] {
        let files = keys.client("ada", &keys.authority.client(name, &[unit]));
        let target = rpc::Target::Tls(daemon.port().to_string(), None, files);
        let mut client = rpc::Client::connect(&target, support::PATIENCE).await.unwrap();
        // Refused in the second round.
        let _allowed = client.stop("web").await.is_ok();
    }
    let lines = records.take();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(
        lines[0].contains("peer=\"ada\" at 127.0.0.1:")
            && lines[0].contains("client=\"ada\" role=\"operator\""),
        "{lines:#?}"
    );
    assert!(
        lines[1].contains("ROLE_TOO_LOW") && lines[1].contains(r#"peer="ada\" role=\"admin\nx" at "#),
        "{lines:#?}"
    );
    assert!(!lines[1].contains('\n'), "{lines:#?}");
}

async fn a_flood_of_denied_calls_is_a_few_records(records: &Records, daemon: &Daemon) {
    let mut viewer = daemon.tcp(None).await;
    for _ in 0..100 {
        viewer.delete("web", false).await.unwrap_err();
    }
    // Ten each, and two of this peer stood above.
    let lines = records.take();
    assert!((1..=10).contains(&lines.len()), "{} records", lines.len());
}
