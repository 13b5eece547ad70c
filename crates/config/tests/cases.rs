//! Inputs and what is said about them: each directory below `tests/cases` is a layout (`input.yaml` is the main file;
//! `package.d`, `processes.d`, `overrides.d`, `runtime` may stand beside it) with the `expected.txt` of loading it.
//!
//! `UPDATE_EXPECT=1 cargo test -p config --test cases` rewrites the expectations; read the diff.

#[path = "support/layout.rs"]
mod layout;

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{LoadError, Loaded, Main, load};
use layout::layout;
use model::{
    Compression, Definition, LineParser, Origin, Output, ProcessId, ProcessName, RateLimit, RestartPolicy,
};

fn id_of(_: &ProcessName) -> ProcessId {
    ProcessId::from_digest([0; 6])
}

/// What a user gets to see, with paths as they are below the case's directory.
fn shown(dir: &Path, result: Result<Loaded, LoadError>) -> String {
    let mut text = String::new();
    match result {
        Err(error) => text.push_str(&format!("NOT LOADED\n\n{error}\n")),
        Ok(loaded) => {
            for spec in &loaded.desired.specs {
                let words: Vec<&str> =
                    std::iter::once(&spec.exec.program).chain(&spec.exec.args).map(String::as_str).collect();
                text.push_str(&format!(
                    "ok {} ({}): {words:?} > {}\n",
                    spec.name, spec.origin, spec.output.stdout
                ));
            }
            for invalid in &loaded.desired.invalid {
                text.push_str(&format!("invalid {} ({})\n", invalid.spec.name, invalid.spec.origin));
                assert!(!invalid.problem.is_empty());
            }
            for problem in &loaded.problems {
                text.push_str(&format!("\n{problem}\n"));
                if let (true, Some(name)) = (problem.is_error(), &problem.process) {
                    assert!(loaded.desired.invalid.iter().any(|i| i.spec.name == *name), "{problem}");
                }
            }
        }
    }
    text.replace(&format!("{}/", dir.display()), "")
}

#[test]
fn every_case_says_what_is_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    assert!(dirs.len() > 30, "the cases are gone: {dirs:?}");
    let mut wrong = String::new();
    for dir in dirs {
        let found = shown(&dir, load(&layout(&dir), &id_of, Main::Required));
        // The secret that some inputs hold.
        assert!(!found.contains("hunter2"), "{found}");
        let file = dir.join("expected.txt");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&file, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if found != expected {
            let case = dir.display();
            wrong.push_str(&format!("== {case}\n-- expected\n{expected}\n-- found\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn good(case: &str) -> Loaded {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(case);
    load(&layout(&dir), &id_of, Main::Required).expect("a case that loads")
}

#[test]
fn every_key_of_the_guide_arrives() {
    let loaded = good("good_guide_long");
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let web = &loaded.desired.specs[0];
    assert_eq!((web.exec.user.as_deref(), web.exec.group.as_deref()), (Some("www-data"), Some("www-data")));
    assert_eq!(web.exec.working_dir.as_deref(), Some(Path::new("/var/www/app")));
    assert!(web.auto_start);
    assert_eq!((web.restart.policy, web.restart.delay.as_secs()), (RestartPolicy::Always, 5));
    assert_eq!(web.output.stderr, Output::File("/var/log/dd-procmgrd/webapp-error.log".into()));
    let env: Vec<String> = web.exec.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        env,
        ["DATABASE_URL=postgresql://localhost/myapp", "DJANGO_SETTINGS_MODULE=app.settings.production"]
    );
    let short = good("good_guide_short");
    assert!(short.problems.is_empty(), "{:?}", short.problems);
    assert_eq!(short.desired.specs[0].exec.args, ["app:app"]);
}

#[test]
fn layers_are_merged_key_by_key() {
    let loaded = good("layers");
    let web = loaded.desired.specs.iter().find(|s| s.name.as_str() == "web").expect("web");
    // The main file's command drops the package's arguments; every other key comes from the last layer that has it.
    assert_eq!(
        (web.exec.program.as_str(), web.exec.args.as_slice()),
        ("/opt/web", ["--main".to_owned()].as_slice())
    );
    let env: Vec<String> = web.exec.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(env, ["A=package", "B=admin"]);
    assert_eq!((web.exec.user.as_deref(), web.restart.policy), (Some("web"), RestartPolicy::Always));
    assert_eq!((web.restart.delay.as_secs(), web.auto_start, web.output.log.max_files), (5, false, 3));
    // What the API changed is still the file's.
    assert!(matches!(&web.origin, Origin::File { path, .. } if path.ends_with("processes.d/10.yaml")));
    assert_eq!(loaded.defaults.restart, Some(RestartPolicy::Always));
    assert_eq!(loaded.files.len(), 8);
}

#[test]
fn keys_below_log_are_merged_one_by_one_and_lists_are_replaced() {
    let loaded = good("logs_layers");
    let log = |name: &str| {
        let spec = loaded.desired.specs.iter().find(|spec| spec.name.as_str() == name).expect("a process");
        spec.output.log.clone()
    };
    let web = log("web");
    assert_eq!((web.parse, web.compress), (LineParser::Json, Compression::Gzip));
    assert_eq!((web.json_fields, web.redact), (vec!["user.id".to_owned()], vec![r"token=\S+".to_owned()]));
    // `none` takes back what stands below.
    assert_eq!(web.rate_limit, None);
    let limit = RateLimit { lines: 5, interval: Duration::from_secs(1) };
    let emptied = log("emptied");
    assert_eq!((emptied.rate_limit, emptied.redact), (Some(limit), vec![r"password=\S+".to_owned()]));
}

#[test]
fn a_missing_main_file_may_be_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    let name = ProcessName::new("kept").unwrap();
    let definition = Definition { command: Some("sleep".to_owned()), ..Definition::default() };
    config::write_runtime(&dir.path().join("runtime"), &name, &definition).unwrap();
    let missing = load(&layout(dir.path()), &id_of, Main::Required);
    assert!(matches!(missing, Err(LoadError::Missing { .. })), "{missing:?}");
    let loaded = load(&layout(dir.path()), &id_of, Main::Optional).unwrap();
    assert_eq!(loaded.desired.specs.len(), 1);
    let [problem] = loaded.problems.as_slice() else { panic!("{:?}", loaded.problems) };
    assert!(!problem.is_error() && problem.to_string().contains("input.yaml"), "{problem}");
}
