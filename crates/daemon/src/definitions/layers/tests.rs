//! What all layers make of one process, on real files.

use std::fs;

use model::RestartPolicy;
use tempfile::TempDir;

use super::*;

struct Files {
    root: TempDir,
    layers: Layers,
}

impl Files {
    fn new(main: &str) -> Self {
        Self::with_log_files(main, true)
    }

    fn with_log_files(main: &str, log_files: bool) -> Self {
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
        fs::write(&layout.main, main).unwrap();
        let host = Host::read(root.path()).unwrap();
        Self {
            layers: Layers::new(layout, host, root.path(), log_files, supervisor::Containment::Subreaper),
            root,
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn make(&self, text: &str, runtime: Option<&Definition>) -> Made {
        let made = self.layers.make(&name(text), runtime, Main::Required).unwrap();
        assert!(!self.layers.scratch.exists(), "nothing is left behind");
        made
    }

    fn good(&self, text: &str, runtime: Option<&Definition>) -> Arc<ProcessSpec> {
        match self.make(text, runtime) {
            Made::Good(spec, _) => spec,
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&self, text: &str, runtime: Option<&Definition>) -> ControlError {
        match self.make(text, runtime) {
            Made::Broken(problems) => self.layers.refusal(&name(text), &problems),
            other => panic!("{other:?}"),
        }
    }
}

fn name(text: &str) -> ProcessName {
    ProcessName::new(text).unwrap()
}

fn command(text: &str) -> Definition {
    Definition { command: Some(text.into()), ..Definition::default() }
}

#[test]
fn the_asked_runtime_layer_stands_in_the_place_of_the_real_one() {
    let files = Files::new("processes:\n  web:\n    command: /bin/file\n    restart: always\n");
    files.write("overrides.d/web.yaml", "description: overridden\n");
    files.write("state/web.yaml", "command: /bin/kept\n");
    let kept = files.layers.load(Main::Required).unwrap().desired.specs;
    assert_eq!(kept[0].exec.program, "/bin/kept");

    let spec = files.good("web", Some(&command("/bin/asked --fast")));
    assert_eq!((spec.exec.program.as_str(), spec.exec.args.len()), ("/bin/asked", 1));
    assert_eq!((spec.restart.policy, spec.description.as_str()), (RestartPolicy::Always, "overridden"));
    let asked = Definition { restart: Some(RestartPolicy::Never), ..Definition::default() };
    let spec = files.good("web", Some(&asked));
    assert_eq!((spec.exec.program.as_str(), spec.restart.policy), ("/bin/file", RestartPolicy::Never));
    assert_eq!(files.good("web", None).exec.program, "/bin/file");
    assert_eq!(files.good("web", Some(&Definition::default())).exec.program, "/bin/file");
    assert_eq!(fs::read_to_string(files.root.path().join("state/web.yaml")).unwrap(), "command: /bin/kept\n");
}

#[test]
fn what_a_crash_left_in_the_scratch_directory_is_nobodys_definition() {
    let files = Files::new("processes: {}\n");
    files.write("preview/web.yaml", "command: /bin/left\n");
    files.write("preview/other.yaml", "command: /bin/left\n");
    assert!(matches!(files.make("web", None), Made::Nothing));
}

#[test]
fn faults_of_the_request_are_told_by_its_fields_and_never_by_the_scratch_file() {
    let files = Files::new("processes:\n  web:\n    command: /bin/file\n    restart_sec: 5\n");
    let asked = Definition {
        restart_max_delay_sec: Some(std::time::Duration::from_secs(1)),
        ..Definition::default()
    };
    let error = files.refusal("web", Some(&asked));
    let ErrorKind::Invalid { violations } = &error.kind else { panic!("{error:?}") };
    assert_eq!(violations[0].field, "definition.restart_max_delay_sec");
    assert!(error.message.starts_with("`restart_max_delay_sec`: ") && error.hint.is_some(), "{error:?}");
    assert!(!format!("{error:?}").contains("preview"), "{error:?}");
}

#[test]
fn faults_of_files_are_told_with_their_place() {
    let files = Files::new("processes:\n  web:\n    command: /bin/file\n    restart: sometimes\n");
    let error = files.refusal("web", Some(&command("/bin/asked")));
    assert_eq!(error.kind, ErrorKind::FailedPrecondition);
    assert!(error.message.contains("processes.yaml:4:"), "{error:?}");
}

#[test]
fn files_that_cant_be_used_are_no_answer() {
    let files = Files::new("processes: [\n");
    let Made::Unknown(error) = files.make("web", Some(&command("x"))) else { panic!("no answer") };
    assert!(error.to_string().contains("processes.yaml"), "{error}");
}

#[test]
fn what_could_not_be_read_back_is_refused_as_the_callers_fault() {
    let files = Files::new("processes:\n  web:\n    command: /bin/file\n");
    let huge = Definition { args: Some(vec!["x".repeat(5 << 20)]), ..command("x") };
    let error = files.layers.make(&name("web"), Some(&huge), Main::Required).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Invalid { .. }) && error.message.contains("4 MiB"), "{error:?}");
}

#[test]
fn an_empty_layer_is_no_file() {
    let files = Files::new("processes: {}\n");
    let kept = files.root.path().join("state/web.yaml");
    files.layers.keep(&name("web"), Some(&command("x"))).unwrap();
    assert!(kept.exists());
    files.layers.keep(&name("web"), Some(&Definition::default())).unwrap();
    assert!(!kept.exists());
    files.layers.keep(&name("web"), None).unwrap();
    assert_eq!(files.layers.runtime(&name("web")).unwrap(), None);
}

#[test]
fn without_a_directory_for_log_files_lines_are_only_shown() {
    let main = "processes:\n  a:\n    command: x\n  b:\n    command: x\n    stdout: /srv/b.log\n";
    let files = Files::with_log_files(main, false);
    assert!(!files.good("a", None).output.log.file);
    assert!(files.good("b", None).output.log.file, "it names a place of its own");
    assert!(Files::new(main).good("a", None).output.log.file);
}
