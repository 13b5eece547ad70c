//! Changes over the API on real files and a real supervisor, of processes that nobody starts.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use config::Layout;
use model::{Definition, Event, Impact, Probe, RestartPolicy, RunId, Snapshot, State};
use rpc::{Create, Created, SetOverride, Update, Updated};
use supervisor::{Attach, ChildStdio, Config, Containment, ProbeDone, RunInfo, StdioError};
use tempfile::TempDir;

use super::*;
use crate::identity::Host;

/// Nothing runs here.
struct Nowhere;

impl supervisor::StdioProvider for Nowhere {
    fn open(&self, run: &RunInfo) -> Result<(ChildStdio, Attach), StdioError> {
        Err(StdioError {
            subject: run.spec.name.to_string(),
            source: io::ErrorKind::Unsupported.into(),
            hint: String::new(),
        })
    }
    fn finished(&self, _: RunId) {}
    fn configure(&self, _: &Arc<ProcessSpec>) {}
    fn forget(&self, _: &ProcessName) {}
}

impl supervisor::Prober for Nowhere {
    fn probe(&self, _: &Probe, _: Duration, done: ProbeDone) {
        done(Ok(()));
    }
}

impl supervisor::Observer for Nowhere {
    fn event(&mut self, _: &Event) {}
}

struct Bed {
    root: TempDir,
    layout: Layout,
    supervisor: Handle,
    definitions: Definitions,
}

impl Bed {
    /// The processes `a`, `b` and so on, as given, loaded.
    async fn new(main: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let layout = Layout {
            main: path("processes.yaml"),
            package_dir: path("packages"),
            admin_dir: path("processes.d"),
            overrides_dir: path("overrides.d"),
            runtime_dir: path("state"),
            log_dir: path("logs"),
        };
        let config = Config {
            spawners: 1,
            containment: Containment::Subreaper,
            base_env: BTreeMap::new(),
            notify_dir: path("notify"),
            process_dirs: path("processes"),
            past: BTreeMap::new(),
        };
        let (supervisor, _) =
            supervisor::start(config, Arc::new(Nowhere), Arc::new(Nowhere), Box::new(Nowhere)).unwrap();
        let layers = Layers::new(
            layout.clone(),
            Host::read(root.path()).unwrap(),
            root.path(),
            true,
            Containment::Subreaper,
        );
        let definitions = Definitions::new(layers, supervisor.clone());
        let bed = Self { root, layout, supervisor, definitions };
        bed.write_main(main);
        bed.definitions.load(Main::Required).await.unwrap();
        bed
    }

    fn write_main(&self, processes: &str) {
        fs::write(&self.layout.main, format!("defaults: {{auto_start: false}}\nprocesses:\n{processes}"))
            .unwrap();
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.root.path().join(format!("state/{name}.yaml"))
    }

    fn kept_text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.kept(name)).ok()
    }

    fn snapshot(&self) -> Snapshot {
        self.supervisor.snapshot()
    }

    fn view(&self, text: &str) -> Arc<ProcessView> {
        self.definitions.view(&name(text)).unwrap()
    }

    async fn update(
        &self,
        of: &str,
        definition: Definition,
        unset: &[&str],
    ) -> Result<Updated, ControlError> {
        let unset = unset.iter().map(|key| (*key).to_owned()).collect();
        self.definitions.update(Update { name: name(of), definition, unset, dry_run: false }).await
    }

    async fn create(&self, of: &str, definition: Definition) -> Result<Arc<ProcessView>, ControlError> {
        self.created(of, definition).await.map(|created| created.view)
    }

    async fn created(&self, of: &str, definition: Definition) -> Result<Created, ControlError> {
        self.definitions.create(Create { name: name(of), definition, start: false, dry_run: false }).await
    }

    async fn set_override(&self, of: &str, text: &str, dry_run: bool) -> Result<Updated, ControlError> {
        self.definitions.set_override(SetOverride { name: name(of), text: text.to_owned(), dry_run }).await
    }

    /// A reload finds that everything is as it would make it.
    async fn assert_settled(&self) {
        let report = self.definitions.reload(false).await.unwrap();
        assert_eq!((report.changes, report.problems), (vec![], vec![]));
    }

    async fn shut_down(&self) {
        assert_eq!(ask(&self.supervisor, Command::Shutdown).await, Ok(Reply::ShutDown));
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // One that was shut down already refuses.
        drop(self.supervisor.submit(Command::Shutdown, Box::new(|_| ())));
    }
}

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn command(text: &str) -> Definition {
    Definition { command: Some(text.into()), ..Definition::default() }
}

fn described(text: &str) -> Definition {
    Definition { description: Some(text.into()), ..Definition::default() }
}

fn after(text: &str) -> Definition {
    Definition { after: Some(vec![name(text)]), ..Definition::default() }
}

#[tokio::test]
async fn an_update_concerns_one_process_even_when_files_changed_meanwhile() {
    let bed = Bed::new("  a: {command: a}\n  b: {command: b}\n  c: {command: c}\n  x: {comand: x}\n").await;
    bed.write_main(
        "  a: {command: a, kill_signal: INT}\n  b: {comand: b}\n  c: {command: other}\n  n: {command: n}\n",
    );
    bed.definitions.reload(true).await.unwrap();
    let updated = bed.update("a", described("new"), &[]).await.unwrap();
    let change = updated.change.unwrap();
    assert_eq!((change.impact, change.keys), (Impact::Hot, vec!["description", "kill_signal"]));
    assert_eq!(updated.view.spec.description, "new");
    let names: Vec<String> = bed.snapshot().processes.iter().map(|p| p.spec.name.to_string()).collect();
    assert_eq!(names, ["a", "b", "c", "x"], "nothing came or went");
    assert_eq!((bed.view("b").problem.clone(), bed.view("c").spec.exec.program.as_str()), (None, "c"));
    assert_eq!(bed.view("x").state, State::Invalid);
}

#[tokio::test]
async fn what_is_asked_over_the_api_raises_the_doubts_of_a_file() {
    let bed = Bed::new("  a: {command: sh, requires: [gone]}\n").await;
    let doubtful = Definition {
        requires: Some(vec![model::Dependency { name: name("nosuch"), until: None }]),
        ..command("sleep 10 | cat")
    };
    let created = bed.created("b", doubtful).await.unwrap();
    assert_eq!(
        created.warnings,
        [
            "`command`: no shell runs: `|` is handed to the program as an argument; for a shell write `sh -c '...'`",
            "`requires`: no process is called nosuch, and b can't start without it; define it, or remove the name",
        ]
    );
    // What this machine doesn't have, and of an update only what it changes: not the `requires` of the file.
    assert!(
        bed.created("c", command("no-such-program")).await.unwrap().warnings[0].contains("no-such-program")
    );
    let strange = Definition { user: Some("no-such-user".into()), ..described("new") };
    let updated = bed.update("a", strange, &[]).await.unwrap();
    assert!(
        updated.warnings.len() == 1 && updated.warnings[0].starts_with("`user`: there is no user"),
        "{:?}",
        updated.warnings
    );
    assert_eq!(bed.update("a", described("newer"), &[]).await.unwrap().warnings, Vec::<String>::new());
    assert_eq!(bed.created("d", command("sh")).await.unwrap().warnings, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_broken_stays_as_broken_as_it_is() {
    let bed = Bed::new("  a: {command: a}\n  b: {command: b}\n  x: {comand: x}\n").await;
    bed.write_main("  a: {command: a}\n  b: {comand: b}\n  x: {comand: x}\n");
    bed.definitions.reload(false).await.unwrap();
    let before = (bed.view("b"), bed.view("x"));
    assert!(before.0.problem.is_some() && before.0.state == State::Stopped);
    bed.update("a", described("new"), &[]).await.unwrap();
    assert_eq!((bed.view("b"), bed.view("x")), before);
}

#[tokio::test]
async fn an_update_is_what_the_next_reload_and_the_next_start_make_of_it() {
    let bed = Bed::new("  a: {command: a, restart: always}\n").await;
    bed.update("a", Definition { auto_start: Some(true), ..described("new") }, &[]).await.unwrap();
    assert_eq!(
        bed.kept_text("a").unwrap(),
        "description: new\nauto_start: true\n",
        "what was changed, no more"
    );
    bed.assert_settled().await;
    assert!(bed.view("a").spec.auto_start && bed.view("a").spec.restart.policy == RestartPolicy::Always);

    let updated = bed.update("a", described("newer"), &["auto_start"]).await.unwrap();
    assert_eq!(updated.change.unwrap().keys, ["description", "auto_start"]);
    assert_eq!(bed.kept_text("a").unwrap(), "description: newer\n");
    let again = bed.update("a", described("newer"), &[]).await.unwrap();
    assert_eq!(again.change, None, "nothing differs");
    bed.update("a", Definition::default(), &["description"]).await.unwrap();
    assert_eq!(bed.kept_text("a"), None, "nothing is left to keep");
    bed.assert_settled().await;
}

#[tokio::test]
async fn a_dry_run_tells_and_does_nothing() {
    let bed = Bed::new("  a: {command: a}\n").await;
    let before = (bed.view("a"), bed.definitions.outcomes().last);
    let update = Update { name: name("a"), definition: command("b"), unset: vec![], dry_run: true };
    let updated = bed.definitions.update(update).await.unwrap();
    assert_eq!(updated.change.map(|c| (c.impact, c.keys)), Some((Impact::Restart, vec!["command"])));
    let edited = bed.set_override("a", "command: b\n", true).await.unwrap();
    assert_eq!(edited.change.map(|c| (c.impact, c.keys)), Some((Impact::Restart, vec!["command"])));

    bed.write_main("  a: {comand: a}\n  b: {command: b}\n");
    let report = bed.definitions.reload(true).await.unwrap();
    assert_eq!(
        report.changes.iter().map(|c| (c.name.as_str(), c.impact)).collect::<Vec<_>>(),
        [("b", Impact::Add)]
    );
    assert!(report.problems[0].contains("comand"), "{report:?}");
    fs::remove_file(&bed.layout.main).unwrap();
    assert!(bed.definitions.reload(true).await.unwrap_err().message.contains("processes.yaml"));

    assert_eq!((bed.view("a"), bed.definitions.outcomes().last), before);
    assert!(bed.kept_text("a").is_none() && !bed.layout.overrides_dir.exists());
    assert_eq!(bed.snapshot().processes.len(), 1);
}

#[tokio::test]
async fn processes_that_would_wait_for_each_other_are_refused_with_the_circle() {
    let bed = Bed::new("  a: {command: a}\n  b: {command: b, requires: [a]}\n").await;
    let circle = |error: ControlError, names: &[&str]| {
        let ErrorKind::Invalid { violations } = &error.kind else { panic!("{error:?}") };
        assert!(violations[0].field.starts_with("definition.") && error.hint.is_some(), "{error:?}");
        let (_, printed) = error.message.split_once("wait for each other: ").unwrap();
        let printed: Vec<&str> = printed.split(" -> ").map(|step| step.split(' ').next().unwrap()).collect();
        assert_eq!(printed, names, "{error:?}");
    };
    circle(bed.update("a", after("b"), &[]).await.unwrap_err(), &["a", "b", "a"]);
    assert_eq!(bed.kept_text("a"), None);
    let error = bed.set_override("a", "wants: [b]\n", false).await.unwrap_err();
    assert!(
        error.message.contains("wait for each other") && error.message.contains("a.yaml:1:"),
        "{error:?}"
    );
    assert!(!bed.layout.overrides_dir.join("a.yaml").exists());

    bed.create("c", Definition { before: Some(vec![name("a")]), ..command("c") }).await.unwrap();
    circle(bed.update("c", after("b"), &[]).await.unwrap_err(), &["c", "b", "a", "c"]);
    let closing = Definition { before: Some(vec![name("c")]), ..after("b") };
    let error = bed.create("d", closing.with_command("d")).await.unwrap_err();
    circle(error, &["d", "b", "a", "c", "d"]);
    assert_eq!(bed.kept_text("d"), None);
    // A circle with what is in force, though the files already say otherwise.
    bed.write_main("  a: {command: a}\n  b: {command: b}\n");
    circle(bed.update("a", after("b"), &[]).await.unwrap_err(), &["a", "b", "a"]);
}

#[tokio::test]
async fn a_refusal_of_the_supervisor_leaves_no_trace() {
    let bed = Bed::new("  a: {command: a}\n  b: {command: b}\n").await;
    bed.create("own", described("mine").with_command("own")).await.unwrap();
    bed.update("a", described("one"), &[]).await.unwrap();
    bed.set_override("a", "kill_signal: INT\n", false).await.unwrap();
    let kept = (bed.kept_text("a"), bed.kept_text("own"));
    bed.shut_down().await;

    let refused = |error: ControlError| assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
    refused(bed.update("a", described("two"), &[]).await.unwrap_err());
    refused(bed.update("b", described("two"), &[]).await.unwrap_err());
    refused(bed.definitions.delete(name("own"), false).await.unwrap_err());
    refused(bed.create("c", command("c")).await.unwrap_err());
    refused(bed.set_override("a", "kill_signal: QUIT\n", false).await.unwrap_err());
    refused(bed.set_override("b", "kill_signal: QUIT\n", false).await.unwrap_err());
    assert_eq!((bed.kept_text("a"), bed.kept_text("own")), kept);
    assert_eq!((bed.kept_text("b"), bed.kept_text("c")), (None, None));
    let text = fs::read_to_string(bed.layout.overrides_dir.join("a.yaml")).unwrap();
    assert_eq!(text, "kill_signal: INT\n");
    assert!(!bed.layout.overrides_dir.join("b.yaml").exists());
}

#[tokio::test]
async fn what_was_created_is_deleted_and_what_a_file_defines_is_the_files() {
    let bed = Bed::new("  a: {command: a}\n").await;
    bed.create("own", command("own")).await.unwrap();
    bed.definitions.delete(name("own"), false).await.unwrap();
    assert!(bed.definitions.view(&name("own")).is_err() && bed.kept_text("own").is_none());

    let error = bed.definitions.delete(name("a"), false).await.unwrap_err();
    assert!(error.message.contains("processes.yaml:3"), "{error:?}");
    bed.update("a", described("new"), &[]).await.unwrap();
    let error = bed.definitions.delete(name("a"), false).await.unwrap_err();
    assert!(error.message.contains("processes.yaml:3"), "still the file's: {error:?}");
    assert!(error.hint.unwrap().contains("pm-cli update a --unset"));
    assert_eq!((bed.view("a").spec.description.as_str(), bed.kept_text("a").is_some()), ("new", true));
    bed.assert_settled().await;

    let error = bed.definitions.delete(name("nobody"), false).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn what_others_require_is_not_deleted() {
    let bed = Bed::new("  web: {command: a, requires: [own]}\n  api: {command: a, binds_to: [own]}\n  job: {command: a, wants: [own]}\n").await;
    bed.create("own", command("own")).await.unwrap();
    let error = bed.definitions.delete(name("own"), false).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Required { by: vec!["api".to_owned(), "web".to_owned()] });
    assert_eq!(error.message, "own was not deleted: api, web require it");
    assert!(error.hint.unwrap().contains("pm-cli delete --force own"));
    // Nothing has happened: it is still there, also after a reload.
    bed.definitions.load(Main::Required).await.unwrap();
    assert!(bed.definitions.view(&name("own")).is_ok());
    bed.definitions.delete(name("own"), true).await.unwrap();
    assert!(bed.definitions.view(&name("own")).is_err());
}

#[tokio::test]
async fn a_wish_and_an_order_are_no_reason_to_keep_it() {
    let bed = Bed::new("  job: {command: a, wants: [own], after: [own]}\n").await;
    bed.create("own", command("own")).await.unwrap();
    bed.definitions.delete(name("own"), false).await.unwrap();
}

#[tokio::test]
async fn a_file_that_was_covered_comes_into_force_when_the_cover_is_deleted() {
    let bed = Bed::new("  z: {command: z}\n").await;
    bed.create("a", command("own")).await.unwrap();
    bed.write_main("  z: {command: changed}\n  a: {command: files}\n");
    let note = bed.definitions.delete(name("a"), false).await.unwrap().expect("nothing is said");
    assert!(note.contains("is removed") && note.contains("processes.yaml:4"), "{note}");
    assert_eq!((bed.view("a").spec.exec.program.as_str(), bed.kept_text("a")), ("files", None));
    assert_eq!(bed.view("z").spec.exec.program, "z", "others keep what is in force");
    assert!(matches!(bed.view("a").spec.origin, model::Origin::File { .. }));
    let error = bed.definitions.delete(name("a"), false).await.unwrap_err();
    assert!(error.message.contains("is defined in"), "{error:?}");
}

#[tokio::test]
async fn a_change_without_its_file_can_be_deleted() {
    let bed = Bed::new("  z: {command: z}\n  a: {command: a}\n").await;
    bed.update("a", described("new"), &[]).await.unwrap();
    bed.write_main("  z: {command: z}\n");
    bed.definitions.delete(name("a"), false).await.unwrap();
    assert!(bed.definitions.view(&name("a")).is_err() && bed.kept_text("a").is_none());
    bed.assert_settled().await;
}

#[tokio::test]
async fn nothing_is_taken_from_a_process_that_only_the_api_defines() {
    let bed = Bed::new("  z: {command: z}\n").await;
    bed.create("own", described("mine").with_command("own")).await.unwrap();
    let all = ["command", "description", "auto_start"];
    for unset in [&all[..1], &all] {
        let error = bed.update("own", Definition::default(), unset).await.unwrap_err();
        assert!(error.message.contains("`command`"), "{error:?}");
        assert!(error.hint.unwrap().contains("pm-cli delete own"));
    }
    let error = bed.update("own", Definition::default(), &["comand"]).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Invalid { .. }) && error.hint.is_some(), "{error:?}");
    assert!(bed.kept_text("own").unwrap().contains("command: own"));
    bed.assert_settled().await;
}

#[tokio::test]
async fn an_override_is_checked_before_it_is_saved() {
    let bed = Bed::new("  a: {command: a}\n").await;
    let empty = bed.definitions.override_text(name("a")).await.unwrap();
    assert_eq!((empty.text.as_str(), empty.exists), ("", false));
    assert_eq!(empty.path, bed.layout.overrides_dir.join("a.yaml"));

    let error = bed.set_override("a", "kill_signal: INT\nrestrat: always\n", false).await.unwrap_err();
    let ErrorKind::Invalid { violations } = &error.kind else { panic!("{error:?}") };
    assert!(
        violations[0].text.contains("a.yaml:2:1: ") && violations[0].text.contains("restrat"),
        "{violations:?}"
    );
    assert!(!bed.layout.overrides_dir.join("a.yaml").exists());

    let edited = bed.set_override("a", "kill_signal: INT\n", false).await.unwrap();
    assert_eq!(edited.change.unwrap().keys, ["kill_signal"]);
    let now = bed.definitions.override_text(name("a")).await.unwrap();
    assert_eq!((now.text.as_str(), now.exists), ("kill_signal: INT\n", true));
    bed.assert_settled().await;
    let fragments = bed.definitions.fragments(name("a")).await.unwrap();
    let last = fragments.last().unwrap();
    assert!(last.origin.contains("overrides.d/a.yaml") && last.text.contains("kill_signal"), "{fragments:?}");

    bed.set_override("a", "", false).await.unwrap();
    assert!(!bed.layout.overrides_dir.join("a.yaml").exists());
    assert_eq!(bed.view("a").spec.stop.signal, model::Signal::TERM);
    bed.assert_settled().await;
}

#[tokio::test]
async fn a_directory_that_vanished_takes_nothing_with_it() {
    let bed = Bed::new("  a: {command: a}\n").await;
    let part = |dir: &PathBuf, text: &str| {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("b.yaml"), text).unwrap();
    };
    let define = "processes: {b: {command: b, auto_start: false}}\n";
    part(&bed.layout.package_dir, define);
    part(&bed.layout.admin_dir, "processes: {b: {description: admin}}\n");
    part(&bed.layout.overrides_dir, "restart: never\n");
    bed.create("c", Definition { auto_start: Some(false), ..command("c") }).await.unwrap();
    bed.definitions.reload(false).await.unwrap();
    let before = bed.view("b").spec.clone();
    let Layout { package_dir, admin_dir, overrides_dir, runtime_dir, .. } = bed.layout.clone();
    for dir in [package_dir, admin_dir.clone(), overrides_dir, runtime_dir] {
        let away = bed.root.path().join("away");
        fs::rename(&dir, &away).unwrap();
        let told = format!("{} is gone", dir.display());
        for error in [
            bed.definitions.reload(true).await.unwrap_err(),
            bed.definitions.reload(false).await.unwrap_err(),
            bed.update("a", described("new"), &[]).await.unwrap_err(),
            bed.set_override("a", "restart: never", false).await.unwrap_err(),
        ] {
            assert!(error.message.contains(&told), "{error}");
        }
        assert!(!bed.definitions.outcomes().good);
        assert_eq!((&bed.view("b").spec, bed.view("c").state), (&before, State::Stopped));
        fs::rename(&away, &dir).unwrap();
        bed.assert_settled().await;
    }
    // An empty one is an answer.
    fs::remove_file(admin_dir.join("b.yaml")).unwrap();
    bed.definitions.reload(false).await.unwrap();
    assert_eq!(bed.view("b").spec.description, "");
    fs::remove_dir(&admin_dir).unwrap();
    bed.assert_settled().await;
    bed.shut_down().await;
}

#[tokio::test]
async fn a_file_that_was_emptied_takes_nothing_with_it() {
    let bed = Bed::new("  a: {command: a}\n  b: {command: b}\n").await;
    fs::create_dir_all(&bed.layout.admin_dir).unwrap();
    let part = bed.layout.admin_dir.join("c.yaml");
    fs::write(&part, "processes: {c: {command: c, auto_start: false}}\n").unwrap();
    bed.definitions.reload(false).await.unwrap();
    let good =
        [(&bed.layout.main, 2), (&part, 1)].map(|(file, count)| (file, count, fs::read(file).unwrap()));
    for (file, count, text) in good {
        for blank in ["", "\n \n", "# soon\n", "processes:\n", "processes: ~\n"] {
            fs::write(file, blank).unwrap();
            for dry_run in [true, false] {
                let error = bed.definitions.reload(dry_run).await.unwrap_err();
                let told = format!(
                    "{} says nothing any more below `processes:`, and defined {count}",
                    file.display()
                );
                assert!(error.message.contains(&told), "{blank:?}: {error:?}");
            }
            assert_eq!(bed.snapshot().processes.len(), 3, "{blank:?}");
        }
        fs::write(file, text).unwrap();
        bed.definitions.reload(false).await.unwrap();
    }
    // Said in so many words, it is meant.
    fs::write(&bed.layout.main, "processes: {}\n").unwrap();
    bed.definitions.reload(false).await.unwrap();
    assert_eq!(bed.snapshot().processes.len(), 1);
    // What defined nothing may be blank.
    fs::write(&bed.layout.main, "").unwrap();
    bed.definitions.reload(false).await.unwrap();
    bed.shut_down().await;
}

#[tokio::test]
async fn broken_files_keep_nobody_from_creating_and_deleting() {
    let bed = Bed::new("  a: {command: a}\n").await;
    fs::write(&bed.layout.main, "processes: [").unwrap();
    bed.create("own", command("own")).await.unwrap();
    let error = bed.update("own", described("x"), &[]).await.unwrap_err();
    assert!(error.message.contains("processes.yaml:1:"), "{error:?}");
    bed.definitions.delete(name("own"), false).await.unwrap();
    assert_eq!(bed.snapshot().processes.len(), 1);
}

trait WithCommand {
    fn with_command(self, text: &str) -> Self;
}

impl WithCommand for Definition {
    fn with_command(self, text: &str) -> Self {
        Self { command: Some(text.into()), ..self }
    }
}
