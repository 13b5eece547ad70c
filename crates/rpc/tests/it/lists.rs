//! What a list shows and what it leaves out, and masks of what is shown and changed.

use model::State;
use prost_types::FieldMask;
use rpc::v1::{ListProcessesRequest, UpdateProcessRequest};
use rpc::{ClientError, v1};

use crate::support::Daemon;

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

async fn names(daemon: &Daemon, request: ListProcessesRequest) -> Vec<String> {
    let processes = daemon.unix().await.list_where(request).await.unwrap();
    processes.into_iter().map(|process| process.name).collect()
}

#[tokio::test]
async fn everything_that_is_asked_for_has_to_hold() {
    let daemon = Daemon::start().await;
    daemon.fake.change("twin", |view| (view.state, view.health) = (State::Failed, None), None);
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let all = ["broken", "slow", "twin", "web"];
    let of = ListProcessesRequest::default;
    for (request, wanted) in [
        (of(), &all[..]),
        (
            ListProcessesRequest { names: texts(&["web", "bbbb00000002", "bbbb00000001", "web"]), ..of() },
            &all[1..],
        ),
        (ListProcessesRequest { names: texts(&["bbbb"]), ..of() }, &["slow", "twin"]),
        (ListProcessesRequest { names: texts(&["*w*"]), ..of() }, &["slow", "twin", "web"]),
        (ListProcessesRequest { names: texts(&["nope", "", "bb"]), ..of() }, &[]),
        (ListProcessesRequest { states: vec![v1::State::Failed.into()], ..of() }, &["twin"]),
        (ListProcessesRequest { groups: texts(&["front"]), ..of() }, &all),
        (ListProcessesRequest { groups: texts(&["back"]), ..of() }, &[]),
        (ListProcessesRequest { unhealthy: true, ..of() }, &["broken", "slow", "web"]),
        (ListProcessesRequest { unhealthy: true, names: texts(&["twin", "web"]), ..of() }, &["web"]),
    ] {
        assert_eq!(names(&daemon, request.clone()).await, wanted, "{request:?}");
        // Page by page it is the same.
        assert_eq!(names(&daemon, ListProcessesRequest { page_size: 1, ..request }).await, wanted);
    }
}

#[tokio::test]
async fn a_page_that_is_the_last_says_so_and_others_come_and_go_meanwhile() {
    let daemon = Daemon::start().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut client = v1::process_manager_service_client::ProcessManagerServiceClient::new(channel);
    let request = |page_token: &str| ListProcessesRequest {
        page_size: 1,
        names: vec!["*w*".into()],
        page_token: page_token.into(),
        ..Default::default()
    };
    let first = client.list_processes(request("")).await.unwrap().into_inner();
    assert_eq!((first.processes[0].name.as_str(), first.next_page_token.as_str()), ("slow", "slow"));
    // The one that the token names is gone, and so is the next one.
    daemon.fake.remove("slow");
    daemon.fake.remove("twin");
    let last = client.list_processes(request("slow")).await.unwrap().into_inner();
    assert_eq!((last.processes[0].name.as_str(), last.next_page_token.as_str()), ("web", ""));
}

#[tokio::test]
async fn a_mask_shows_some_fields_and_may_name_the_definition() {
    let daemon = Daemon::start().await;
    let mut client = daemon.unix().await;
    let request = |paths: &[&str]| ListProcessesRequest { read_mask: mask(paths), ..Default::default() };
    let listed = client.list_where(request(&["name", "run.pid"])).await.unwrap();
    let run = Some(v1::Run { pid: Some(4242), ..Default::default() });
    assert_eq!(listed[3], v1::Process { name: "web".into(), run, ..Default::default() });
    let listed = client.list_where(request(&["definition.command"])).await.unwrap();
    let command = Some("/usr/bin/web".to_owned());
    let definition = Some(Box::new(v1::ProcessDefinition { command, ..Default::default() }));
    assert_eq!(listed[3], v1::Process { definition, ..Default::default() });
    let Err(ClientError::Rejected(error)) = client.list_where(request(&["sate"])).await else {
        panic!("listed")
    };
    assert_eq!(
        (error.violations[0].field.as_str(), error.hint.as_deref()),
        ("read_mask", Some("did you mean state?"))
    );

    let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", daemon.port())).unwrap();
    let mut bare = v1::process_manager_service_client::ProcessManagerServiceClient::new(
        channel.connect().await.unwrap(),
    );
    let get = v1::GetProcessRequest { name: "web".into(), read_mask: mask(&["definition.env", "state"]) };
    let process = bare.get_process(get).await.unwrap().into_inner().process.unwrap();
    // A viewer sees no value, by whatever way.
    let env = process.definition.unwrap().env.unwrap().values;
    assert!(
        env.contains_key("API_KEY") && !env.values().any(|value| value == "hunter2" || value == "80"),
        "{env:?}"
    );
}

#[tokio::test]
async fn a_mask_of_an_update_says_which_keys_count_and_takes_back_those_that_are_absent() {
    let daemon = Daemon::start().await;
    let definition = v1::ProcessDefinition {
        description: Some("new".into()),
        umask: Some(0),
        log: Some(v1::LogDefinition { max_files: Some(3), max_size: Some(1), ..Default::default() }),
        ..Default::default()
    };
    let update = |paths: &[&str], unset: &[&str]| UpdateProcessRequest {
        name: "web".into(),
        definition: Some(definition.clone()),
        unset: unset.iter().map(|key| (*key).to_owned()).collect(),
        update_mask: mask(paths),
        ..Default::default()
    };
    let mut client = daemon.unix().await;
    client
        .update_with(update(&["description", "restart", "log.max_files", "log.max_line"], &["user"]))
        .await
        .unwrap();
    client.update_with(update(&["restart"], &["restart"])).await.unwrap();
    let updated = daemon.fake.updated.lock().unwrap().clone();
    let mut wanted = model::Definition { description: Some("new".into()), ..Default::default() };
    wanted.log.max_files = Some(3);
    assert_eq!(
        (&updated[0].definition, &*updated[0].unset),
        (&wanted, &["user", "restart", "log.max_line"].map(str::to_owned)[..])
    );
    assert_eq!(
        (&updated[1].definition, &*updated[1].unset),
        (&Default::default(), &["restart".to_owned()][..])
    );

    let Err(ClientError::Rejected(error)) = client.update_with(update(&["restrat"], &[])).await else {
        panic!("updated")
    };
    assert_eq!(
        (error.violations[0].field.as_str(), error.hint.as_deref()),
        ("update_mask", Some("did you mean restart?"))
    );
    assert_eq!(daemon.fake.updated.lock().unwrap().len(), 2);
}
