//! The calls that reload, signal, reset, update and override a process, happy and sad.

use model::{Definition, ProcessType, Readiness, Signal};
use rpc::{ClientError, Rejection, v1};
use tonic::Code;

use crate::support::{Daemon, PATIENCE, name};

fn rejected<T: std::fmt::Debug>(result: Result<T, ClientError>) -> Rejection {
    match result.unwrap_err() {
        ClientError::Rejected(rejection) => rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_verb_reaches_the_process_that_is_meant() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let last = || daemon.fake.ended.borrow().clone();
    // By id prefix, by id and by name.
    assert_eq!(client.reload_process("cccc").await.unwrap().name, "web");
    assert_eq!(last(), "reload web");
    client.reset("bbbb00000002").await.unwrap();
    assert_eq!(last(), "reset twin");
    for (text, all, label) in [
        ("HUP", false, "signal SIGHUP all=false web"),
        ("sigusr1", true, "signal SIGUSR1 all=true web"),
        ("9", false, "signal SIGKILL all=false web"),
        ("RTMIN+3", true, "signal SIGRTMIN+3 all=true web"),
    ] {
        assert_eq!(client.signal("web", text, all).await.unwrap().name, "web");
        assert_eq!(last(), label);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_by_any_of_them() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let update = || Definition { critical: Some(true), ..Default::default() };
    let results = [
        client.reload_process("wbe").await.map(drop),
        client.signal("wbe", "HUP", false).await.map(drop),
        client.reset("wbe").await.map(drop),
        client.update("wbe", update(), Vec::new(), false).await.map(drop),
        client.fragments("wbe").await.map(drop),
        client.override_text("wbe").await.map(drop),
        client.set_override("wbe", String::new(), true).await.map(drop),
    ];
    for result in results {
        let error = rejected(result);
        assert_eq!((error.code, error.hint.as_deref()), (Code::NotFound, Some("did you mean web?")));
    }
    let results = [
        client.reload_process("bbbb").await.map(drop),
        client.signal("bbbb", "HUP", false).await.map(drop),
        client.reset("bbbb").await.map(drop),
        client.update("bbbb", update(), Vec::new(), false).await.map(drop),
        client.fragments("bbbb").await.map(drop),
        client.override_text("bbbb").await.map(drop),
        client.set_override("bbbb", String::new(), true).await.map(drop),
    ];
    for result in results {
        assert!(rejected(result).message.contains("ambiguous"));
    }
    let group = rejected(client.reset("@front").await);
    assert_eq!(group.code, Code::NotFound);
    assert_eq!(group.hint.as_deref(), Some("a group can't be used here; name one process of it"));
    assert_eq!(*daemon.fake.began.borrow(), "");
    assert!(daemon.fake.updated.lock().unwrap().is_empty());
    assert!(daemon.fake.overridden.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let down = rejected(client.reload_process("twin").await);
    assert_eq!((down.code, down.reason.as_str()), (Code::FailedPrecondition, "FAILED_PRECONDITION"));
    assert_eq!(down.message, "twin is not running: it is stopped");
    assert_eq!(down.hint.as_deref(), Some("start it first: pm-cli start twin"));
}

#[tokio::test]
async fn an_unknown_signal_is_answered_with_the_list() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let error = rejected(client.signal("web", "TREM", false).await);
    assert_eq!((error.code, error.reason.as_str()), (Code::InvalidArgument, "INVALID_REQUEST"));
    assert_eq!(error.message, "\"TREM\" is not a signal");
    assert_eq!(error.violations[0].field, "signal");
    let hint = error.hint.unwrap();
    assert!(hint.starts_with("did you mean TERM? the signals are HUP, INT, QUIT,"), "{hint}");
    let megabyte = "x".repeat(1 << 20);
    for text in ["", "0", "65", "-1", "SIG", "\u{1b}[31m", megabyte.as_str()] {
        let error = rejected(client.signal("web", text, true).await);
        assert_eq!(error.code, Code::InvalidArgument, "{:?}", error.message);
        assert!(!error.message.contains('\u{1b}'), "{:?}", error.message);
    }
    assert_eq!(*daemon.fake.began.borrow(), "");
}

#[tokio::test]
async fn an_update_hands_over_keys_to_set_and_to_unset() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let definition = Definition {
        kind: Some(ProcessType::Notify),
        requires: Some(vec![model::Dependency { name: name("db"), until: Some(Readiness::Healthy) }]),
        reload_signal: Some(Signal::HUP),
        ..Default::default()
    };
    let unset = vec!["restart".to_owned(), "log.max_size".to_owned()];
    let answer = client.update("cccc", definition.clone(), unset.clone(), true).await.unwrap();
    let change = answer.change.unwrap();
    assert_eq!((change.name.as_str(), change.impact()), ("web", v1::Impact::Hot));
    assert_eq!(change.keys, ["restart"]);
    // The answer shows the process as every other answer does: without its secrets.
    let env = answer.process.unwrap().definition.unwrap().env.unwrap().values;
    assert_eq!(env["API_KEY"], "<secret>");
    let update = rpc::Update { name: name("web"), definition, unset, dry_run: true };
    assert_eq!(*daemon.fake.updated.lock().unwrap(), [update]);

    // One half of the two is enough, and an update that changes nothing says so.
    let answer = client.update("twin", Definition::default(), vec!["restart".into()], false).await.unwrap();
    assert_eq!((answer.process.unwrap().name.as_str(), answer.change), ("twin", None));
    let emptied = Definition { args: Some(Vec::new()), ..Default::default() };
    client.update("twin", emptied, Vec::new(), false).await.unwrap();
    let flags: Vec<bool> = daemon.fake.updated.lock().unwrap().iter().map(|u| u.dry_run).collect();
    assert_eq!(flags, [true, false, false]);
}

#[tokio::test]
async fn an_update_of_nothing_is_refused() {
    let daemon = Daemon::start().await;
    let error = rejected(daemon.unix().await.update("web", Definition::default(), Vec::new(), false).await);
    assert_eq!((error.code, error.violations[0].field.as_str()), (Code::InvalidArgument, "definition"));
    assert_eq!(error.hint.as_deref(), Some("set at least one key, or name one in unset"));
    assert!(daemon.fake.updated.lock().unwrap().is_empty());
}

#[tokio::test]
async fn which_keys_can_be_unset_is_for_the_daemon_to_judge() {
    let daemon = Daemon::start().await;
    let unset = vec!["rstart".to_owned()];
    let error = rejected(daemon.unix().await.update("web", Definition::default(), unset, false).await);
    assert_eq!((error.code, error.violations[0].field.as_str()), (Code::InvalidArgument, "unset"));
    assert_eq!(error.hint.as_deref(), Some("did you mean `restart`?"));
    assert_eq!(daemon.fake.updated.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn fragments_come_in_order() {
    let daemon = Daemon::start().await;
    let fragments = daemon.unix().await.fragments("cccc").await.unwrap();
    let told: Vec<_> = fragments.iter().map(|f| (f.origin.as_str(), f.text.as_str())).collect();
    assert_eq!(
        told,
        [
            ("/etc/dd-procmgrd/processes.yaml:7", "web:\n  command: web\n"),
            ("pm-cli create/update", "restart: always\n")
        ]
    );
}

#[tokio::test]
async fn an_override_is_read_as_it_stands_and_replaced() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let read = client.override_text("web").await.unwrap();
    assert_eq!(read.path, "/etc/dd-procmgrd/overrides/web.yaml");
    assert_eq!((read.text.as_str(), read.exists), ("env:\n  API_KEY: hunter2\n", true));
    let none = client.override_text("twin").await.unwrap();
    assert_eq!((none.text.as_str(), none.exists), ("", false));

    let answer = client.set_override("web", "restart: always\n".into(), true).await.unwrap();
    assert_eq!(answer.change.unwrap().keys, ["restart"]);
    let answer = client.set_override("twin", String::new(), false).await.unwrap();
    assert_eq!((answer.process.unwrap().name.as_str(), answer.change), ("twin", None));
    let set = |text: &str, to: &str, dry_run| rpc::SetOverride { name: name(to), text: text.into(), dry_run };
    assert_eq!(
        *daemon.fake.overridden.lock().unwrap(),
        [set("restart: always\n", "web", true), set("", "twin", false)]
    );

    let error = rejected(client.set_override("web", "{".into(), false).await);
    assert_eq!((error.code, error.violations[0].field.as_str()), (Code::InvalidArgument, "text"));
    assert_eq!(error.message, "line 1, column 1: not YAML");
}

#[tokio::test]
async fn an_override_has_at_most_a_mebibyte() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let longest = "#".repeat(1 << 20);
    client.set_override("web", longest.clone(), false).await.unwrap();
    let error = rejected(client.set_override("web", longest + "#", false).await);
    assert_eq!((error.code, error.violations[0].field.as_str()), (Code::InvalidArgument, "text"));
    assert_eq!(error.message, "the text has 1048577 bytes; an override has at most 1048576");
    assert!(error.hint.is_some());
    assert_eq!(daemon.fake.overridden.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn over_tcp_an_operator_may_operate_but_neither_define_nor_read_secrets() {
    let daemon = Daemon::start().await;
    let mut operator = daemon.tcp(Some(&daemon.token)).await;
    operator.reload_process("web").await.unwrap();
    operator.signal("web", "HUP", false).await.unwrap();
    operator.reset("web").await.unwrap();
    operator.fragments("web").await.unwrap();
    operator.reload(true).await.unwrap();
    let definition = || Definition { critical: Some(true), ..Default::default() };
    let results = [
        operator.update("web", definition(), Vec::new(), true).await.map(drop),
        operator.override_text("web").await.map(drop),
        operator.set_override("web", String::new(), true).await.map(drop),
        // The role is judged before the request: whether a process exists is not told.
        operator.override_text("nope").await.map(drop),
    ];
    for result in results {
        assert_eq!(rejected(result).reason, "ROLE_TOO_LOW");
    }
    let mut viewer = daemon.tcp(None).await;
    let results = [
        viewer.reload_process("web").await.map(drop),
        viewer.signal("web", "HUP", false).await.map(drop),
        viewer.reset("web").await.map(drop),
        viewer.fragments("web").await.map(drop),
        viewer.reload(true).await.map(drop),
    ];
    for result in results {
        assert_eq!(rejected(result).reason, "ROLE_TOO_LOW");
    }
    assert!(daemon.fake.updated.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_reload_that_was_accepted_completes_although_its_caller_left() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let (mut began, mut ended) = (daemon.fake.began.subscribe(), daemon.fake.ended.subscribe());
    let is = |verb: &String| verb == "reload slow";
    let call = tokio::spawn(async move { client.reload_process("slow").await });
    tokio::time::timeout(PATIENCE, began.wait_for(is)).await.unwrap().unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // Answered on another connection, so that the server is alive and not held up.
    daemon.unix().await.status().await.unwrap();
    daemon.fake.gate.send_replace(true);
    tokio::time::timeout(PATIENCE, ended.wait_for(is)).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_kept_of_something_that_nothing_defines_is_seen_and_removed() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    assert_eq!(client.fragments("gone").await.unwrap().len(), 1);
    let deleted = client.delete("gone", false).await.unwrap();
    assert_eq!((deleted.name.as_str(), deleted.process_id.len()), ("gone", 12));
    assert!(deleted.note.contains("nothing defined it any more"), "{}", deleted.note);
    assert_eq!(rejected(client.delete("never", false).await).reason, "PROCESS_NOT_FOUND");
}
