//! Each RPC, happy and sad.

use rpc::{Client, ClientError, Create, Rejection, v1};
use tonic::Code;

use crate::support::{AT, Daemon, name};

fn rejected<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Rejection {
    match result.unwrap_err() {
        ClientError::Rejected(rejection) => rejection,
        other => panic!("{other:?}"),
    }
}

fn names(list: &[v1::Process]) -> Vec<&str> {
    list.iter().map(|p| p.name.as_str()).collect()
}

#[tokio::test]
async fn list_is_sorted_and_leaves_definitions_out_unless_asked() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let basic = client.list(v1::ProcessView::Basic).await.unwrap();
    assert_eq!(names(&basic), ["broken", "slow", "twin", "web"]);
    assert!(basic.iter().all(|p| p.definition.is_none()));
    let full = client.list(v1::ProcessView::Full).await.unwrap();
    assert!(full.iter().all(|p| p.definition.is_some()));
}

#[tokio::test]
async fn list_goes_page_by_page() {
    let daemon = Daemon::start().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut raw = v1::process_manager_service_client::ProcessManagerServiceClient::new(channel);
    let mut pages = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListProcessesRequest { page_size: 3, page_token, ..Default::default() };
        let page = raw.list_processes(request).await.unwrap().into_inner();
        pages.push(names(&page.processes).join(" "));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, ["broken slow twin", "web"]);
    let request = v1::ListProcessesRequest { page_size: -1, ..Default::default() };
    assert_eq!(raw.list_processes(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn get_tells_everything() {
    let daemon = Daemon::start().await;
    let web = daemon.unix().await.get("web").await.unwrap();
    assert_eq!(web.process_id, "cccc00000001");
    assert_eq!((web.state(), web.reason.as_str()), (v1::State::Running, "wanted up"));
    assert_eq!(web.command_line, "/usr/bin/web --greeting 'hello you'");
    assert_eq!(web.stdout_path.as_deref(), Some("/var/log/dd-procmgrd/web.log"));
    assert_eq!(web.stderr_path.as_deref(), Some("/var/log/web.err"));
    let run = web.run.unwrap();
    assert_eq!((run.number, run.pid), (2, Some(4242)));
    assert_eq!(run.invocation_id, "0000000000000000000000000000feed");
    assert_eq!(run.start_time.unwrap().seconds, 1_795_199_850);
    // By the monotonic clock: what the one on the wall says plays no part.
    assert_eq!(run.uptime.map(|up| (up.seconds, up.nanos)), Some((5, 250_000_000)));
    assert_eq!(web.next_action.unwrap().kind(), v1::NextActionKind::Kill);
    let last = web.last_exit.unwrap();
    assert_eq!(last.reason(), v1::ExitReason::Signal);
    assert_eq!(last.status.as_ref().unwrap().how, Some(v1::exit_status::How::Signal("SIGKILL".into())));
    assert_eq!(web.exits.first(), Some(&last));
    let exits: Vec<_> = web.exits.iter().map(|e| (e.run, e.reason(), e.cause.as_deref())).collect();
    let cause = "sent no WATCHDOG=1 within watchdog_sec (3 s)";
    assert_eq!(exits, [(2, v1::ExitReason::Signal, None), (1, v1::ExitReason::Watchdog, Some(cause))]);
    assert_eq!(
        (web.status_text.as_str(), web.groups.as_slice()),
        ("serving 7 clients", &["front".into()][..])
    );
    let health = web.health.unwrap();
    assert_eq!((health.state(), health.failures), (v1::HealthState::Unhealthy, 4));
    assert_eq!((health.message.as_str(), health.since.unwrap().seconds), ("status 503", 1_795_199_850));
    let counters = web.counters.unwrap();
    assert_eq!((counters.restarts, counters.starts, counters.exits.len()), (1, 2, 1));
    let Some(v1::origin::Place::File(file)) = web.origin.unwrap().place else { panic!("no file") };
    assert_eq!((file.path.as_str(), file.line), ("/etc/dd-procmgrd/processes.yaml", 7));
    let definition = web.definition.unwrap();
    assert_eq!(definition.user.as_deref(), Some("www-data"));
    assert_eq!(definition.restart(), v1::RestartPolicy::OnFailure);
}

#[tokio::test]
async fn secrets_are_masked_for_everybody_and_all_values_for_viewers() {
    let daemon = Daemon::start().await;
    let values = |p: v1::Process| p.definition.unwrap().env.unwrap().values;
    let admin = values(daemon.unix().await.get("web").await.unwrap());
    assert_eq!((admin["PORT"].as_str(), admin["API_KEY"].as_str()), ("80", "<secret>"));
    let viewer = values(daemon.tcp(None).await.get("web").await.unwrap());
    assert_eq!((viewer["PORT"].as_str(), viewer["API_KEY"].as_str()), ("***", "***"));
}

#[tokio::test]
async fn a_process_is_found_by_name_id_and_unique_prefix() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    for text in ["web", "cccc00000001", "cccc"] {
        assert_eq!(client.get(text).await.unwrap().name, "web", "{text}");
    }
    let ambiguous = rejected(client.get("bbbb").await);
    assert_eq!(ambiguous.code, Code::InvalidArgument);
    assert!(ambiguous.message.contains("slow (bbbb00000001), twin (bbbb00000002)"), "{}", ambiguous.message);
    let unknown = rejected(client.get("wbe").await);
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::NotFound, "PROCESS_NOT_FOUND"));
    assert_eq!(unknown.message, "no process is called \"wbe\"");
    assert_eq!(unknown.hint.as_deref(), Some("did you mean web?"));
    for text in ["ccc", "zzzzzz", "a\nb"] {
        assert_eq!(rejected(client.get(text).await).code, Code::NotFound, "{text:?}");
    }
    assert_eq!(rejected(client.get("").await).code, Code::InvalidArgument);
}

#[tokio::test]
async fn an_exact_name_wins_over_an_id_prefix() {
    let daemon = Daemon::start().await;
    daemon.fake.table.lock().unwrap().push(crate::support::view("cccc", "eeee00000001").into());
    assert_eq!(daemon.unix().await.get("cccc").await.unwrap().process_id, "eeee00000001");
}

async fn create(client: &mut Client, text: &str) -> Result<v1::Process, ClientError> {
    let definition = model::Definition { command: Some("sleep".into()), ..Default::default() };
    let create = Create { name: name(text), definition, start: true, dry_run: false };
    let created = client.create(create).await?;
    assert_eq!(created.warnings, ["`user`: nobody knows it"]);
    Ok(created.process.unwrap())
}

#[tokio::test]
async fn create_hands_over_what_was_given() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    assert_eq!(create(&mut client, "new").await.unwrap().name, "new");
    let made = daemon.fake.created.lock().unwrap()[0].clone();
    assert_eq!((made.name.as_str(), made.start), ("new", true));
    assert_eq!(made.definition.command.as_deref(), Some("sleep"));
    let again = rejected(create(&mut client, "new").await);
    assert_eq!((again.code, again.reason.as_str()), (Code::AlreadyExists, "PROCESS_ALREADY_EXISTS"));
    assert!(again.hint.unwrap().contains("pm-cli delete new"));
}

#[tokio::test]
async fn create_checks_names_and_fields() {
    let daemon = Daemon::start().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    let mut raw = v1::process_manager_service_client::ProcessManagerServiceClient::with_interceptor(
        channel.connect().await.unwrap(),
        Ok,
    );
    // Over TCP without a token nobody may create at all: the role is judged before the request.
    let request = v1::CreateProcessRequest { name: "a/b".into(), ..Default::default() };
    assert_eq!(raw.create_process(request).await.unwrap_err().code(), Code::PermissionDenied);

    let daemon = Daemon::with(|config| config.token_role = rpc::Role::Admin).await;
    let secret = std::fs::read_to_string(daemon.token.path()).unwrap();
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    let mut raw = v1::process_manager_service_client::ProcessManagerServiceClient::with_interceptor(
        channel.connect().await.unwrap(),
        move |mut request: tonic::Request<()>| {
            let value = format!("Bearer {}", secret.trim()).parse().unwrap();
            request.metadata_mut().insert("authorization", value);
            Ok(request)
        },
    );
    for bad in ["a/b", "a\nb", "", &"x".repeat(200)] {
        let request = v1::CreateProcessRequest { name: bad.into(), ..Default::default() };
        let status = raw.create_process(request).await.unwrap_err();
        let error = rejected::<()>(Err(status.into()));
        assert_eq!(
            (error.code, error.violations[0].field.as_str()),
            (Code::InvalidArgument, "name"),
            "{bad:?}"
        );
    }
    let definition =
        v1::ProcessDefinition { restart: 99, kill_signal: Some("TREM".into()), ..Default::default() };
    let request =
        v1::CreateProcessRequest { name: "ok".into(), definition: Some(definition), ..Default::default() };
    let error = rejected::<()>(Err(raw.create_process(request).await.unwrap_err().into()));
    let fields: Vec<&str> = error.violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["definition.restart", "definition.kill_signal"]);
    assert!(daemon.fake.created.lock().unwrap().is_empty());
}

#[tokio::test]
async fn start_stop_restart_reach_the_right_process() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let last = || daemon.fake.ended.borrow().clone();
    assert_eq!(client.start("cccc").await.unwrap().name, "web");
    assert_eq!(last(), "start web");
    client.stop("web").await.unwrap();
    assert_eq!(last(), "stop web");
    client.restart("twin").await.unwrap();
    assert_eq!(last(), "restart twin");
    for unknown in [client.start("nope").await, client.stop("nope").await, client.restart("nope").await] {
        assert_eq!(rejected(unknown).code, Code::NotFound);
    }
}

#[tokio::test]
async fn a_start_that_fails_says_where_and_what_to_do() {
    let daemon = Daemon::start().await;
    let error = rejected(daemon.unix().await.start("broken").await);
    assert_eq!((error.code, error.reason.as_str()), (Code::FailedPrecondition, "START_FAILED"));
    assert_eq!(
        error.message,
        "broken could not start: executing the program \"/usr/bin/wbe\": No such file or directory"
    );
    assert_eq!(error.hint.as_deref(), Some("check `command`"));
}

#[tokio::test]
async fn delete_names_what_is_gone() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let gone = client.delete("cccc", false).await.unwrap();
    assert_eq!((gone.name.as_str(), gone.process_id.as_str()), ("web", "cccc00000001"));
    assert_eq!(rejected(client.delete("web", false).await).code, Code::NotFound);
    assert_eq!(rejected(client.delete("broken", false).await).code, Code::ResourceExhausted);
}

#[tokio::test]
async fn what_others_require_is_deleted_by_force_only() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let error = rejected(client.delete("twin", false).await);
    assert_eq!((error.code, error.reason.as_str()), (Code::FailedPrecondition, "PROCESS_REQUIRED"));
    assert_eq!(error.message, "web requires it");
    assert_eq!(client.delete("twin", true).await.unwrap().name, "twin");
}

#[tokio::test]
async fn reload_reports_changes_and_problems() {
    let daemon = Daemon::start().await;
    for dry_run in [false, true] {
        let report = daemon.unix().await.reload(dry_run).await.unwrap();
        assert_eq!(report.problems, ["processes.yaml:3:5: no"]);
        let change = &report.changes[0];
        assert_eq!((change.name.as_str(), change.impact()), ("web", v1::Impact::Restart));
        assert_eq!(change.keys, ["args", "env"]);
    }
    assert_eq!(*daemon.fake.reloaded.lock().unwrap(), [false, true]);
}

#[tokio::test]
async fn status_shows_listeners_counts_and_the_callers_role() {
    let daemon = Daemon::start().await;
    let status = daemon.unix().await.status().await.unwrap();
    assert!(status.ready);
    assert_eq!((status.pid, status.event_seq, status.caller_role.as_str()), (77, 17, "admin"));
    assert_eq!(status.uptime.map(|up| up.seconds), Some(90));
    assert!(!status.last_reload.unwrap().ok);
    let states: Vec<_> = status.listeners.iter().map(|l| (l.state(), l.error.as_deref())).collect();
    assert_eq!(
        states,
        [
            (v1::ListenerState::Listening, None),
            (v1::ListenerState::Failed, Some("in use")),
            (v1::ListenerState::Disabled, None)
        ]
    );
    let count = &status.processes[0];
    assert_eq!((count.state(), count.count), (v1::State::Running, 4));
    let viewer = daemon.tcp(None).await.status().await.unwrap();
    assert_eq!(viewer.caller_role, "viewer");
}

#[tokio::test]
async fn logs_come_in_order_and_end() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 7 });
    let request = v1::StreamLogsRequest {
        name: "web".into(),
        stream: v1::Stream::Stderr.into(),
        since: time(1),
        until: time(2),
        run: 3,
        grep: "x+".into(),
        after_cursor: "there".into(),
        split_lines: true,
        ..Default::default()
    };
    let mut logs = client.logs(request).await.unwrap();
    let lines = logs.next().await.unwrap().unwrap();
    assert_eq!((lines.data.as_slice(), lines.stream()), (&b"one\ntwo\n"[..], v1::Stream::Unspecified));
    let parts: Vec<_> = lines.parts.iter().map(|part| (part.size, part.stream(), part.run)).collect();
    assert_eq!(parts, [(4, v1::Stream::Stdout, 2), (4, v1::Stream::Stderr, 2)]);
    assert_eq!(lines.parts[0].time.map(|time| time.seconds), i64::try_from(AT.0 / 1_000_000_000).ok());
    assert_eq!((lines.cursor.as_str(), lines.dropped_lines), ("here", 1));
    assert!(lines.missed && lines.left_out && lines.caught_up);
    assert!(logs.next().await.unwrap().is_none());
    let opened = daemon.fake.opened.lock().unwrap()[0].clone();
    let expected = rpc::LogRequest {
        name: name("web"),
        lines: Some(20),
        follow: false,
        stream: Some(model::Stream::Stderr),
        since: Some(model::Wall(1_000_000_007)),
        until: Some(model::Wall(2_000_000_007)),
        run: Some(model::RunNumber(3)),
        grep: Some("x+".into()),
        after: Some("there".into()),
        split: true,
    };
    assert_eq!(opened, expected);

    let wrong = v1::StreamLogsRequest { name: "web".into(), since: time(-1), ..Default::default() };
    let error = rejected(client.logs(wrong).await);
    assert_eq!((error.code, error.violations[0].field.as_str()), (Code::InvalidArgument, "since"));
    assert!(error.hint.is_some());
    let sad = v1::StreamLogsRequest { name: "broken".into(), ..Default::default() };
    let error = rejected(client.logs(sad).await);
    assert_eq!(error.hint.as_deref(), Some("its output goes to null"));
    let unknown = v1::StreamLogsRequest { name: "nope".into(), ..Default::default() };
    assert_eq!(rejected(client.logs(unknown).await).code, Code::NotFound);
}

#[tokio::test]
async fn log_files_are_opened_anew() {
    let daemon = Daemon::start().await;
    let mut began = daemon.fake.began.subscribe();
    daemon.unix().await.reopen_logs().await.unwrap();
    assert_eq!(*began.borrow_and_update(), "reopen");
    let error = rejected(daemon.tcp(None).await.reopen_logs().await);
    assert_eq!(error.reason, "ROLE_TOO_LOW");
}

#[tokio::test]
async fn over_tcp_the_token_decides() {
    let daemon = Daemon::start().await;
    let mut viewer = daemon.tcp(None).await;
    viewer.list(v1::ProcessView::Basic).await.unwrap();
    let error = rejected(viewer.stop("web").await);
    assert_eq!((error.code, error.reason.as_str()), (Code::PermissionDenied, "ROLE_TOO_LOW"));
    assert!(error.hint.unwrap().contains(daemon.token.path().to_str().unwrap()));

    let mut operator = daemon.tcp(Some(&daemon.token)).await;
    operator.stop("web").await.unwrap();
    assert_eq!(rejected(create(&mut operator, "new").await).code, Code::PermissionDenied);

    let other = rpc::Token::create(&daemon.dir.path().join("other"), None).unwrap();
    let error = rejected(daemon.tcp(Some(&other)).await.list(v1::ProcessView::Basic).await);
    assert_eq!((error.code, error.reason.as_str()), (Code::Unauthenticated, "BAD_TOKEN"));
}
