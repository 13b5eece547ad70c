//! `import`, `validate`, `schema`, `export`: exit code, stdout and stderr.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, context};

fn examples() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/migration");
    fs::canonicalize(path).unwrap()
}

/// Runs pm-cli in a directory; its path becomes `[CWD]`.
fn run_in(cwd: &Path, line: &str) -> (u8, String, String) {
    let (code, out, err) = run_plain(cwd, line);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let text = |text: String| {
        let text = text.replace(cwd.to_str().unwrap(), "[CWD]");
        text.replace(&format!("worker@{}'", host.trim()), "worker@[HOST]'")
    };
    (code, text(out), text(err))
}

/// Runs pm-cli in a directory.
fn run_plain(cwd: &Path, line: &str) -> (u8, String, String) {
    let mut context = context(line, &[("SENTRY_DSN", "https://key@sentry/1")], None, false);
    context.cwd = cwd.to_path_buf();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = cli::run(&context, &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

fn transcript(name: &str, cwd: &Path, lines: &[&str]) {
    let daemon = Daemon::start(vec![], &[]);
    let mut transcript = Transcript::new(&daemon);
    for line in lines {
        let (code, out, err) = run_in(cwd, line);
        transcript.add(line, code, &out, &err);
    }
    transcript.check(name);
}

#[test]
fn import_supervisord() {
    transcript("import_supervisord", &examples(), &["pm-cli import supervisord/supervisord.conf"]);
}

/// Imports one file and hands out what it printed: the definitions, and the notes.
fn imported(dir: &Path, name: &str, text: &str) -> (String, String) {
    fs::write(dir.join(name), text).unwrap();
    let (_, out, err) = run_plain(dir, &format!("pm-cli import {name}"));
    (out, err)
}

#[test]
fn processes_of_one_program_that_share_a_log_file_are_all_carried_over() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[program:web]\ncommand=/bin/web\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\n\
                stdout_logfile=/var/log/web.log\nredirect_stderr=true\npriority=5\n\
                [program:two]\ncommand=/bin/two\nnumprocs=2\nprocess_name=two_%(process_num)d\n\
                stdout_logfile=/var/log/two_%(process_num)d.log\n";
    let (out, err) = imported(dir.path(), "s.conf", text);
    for part in ["web_00:", "web_01:", "two_0:", "stdout: /var/log/two_1.log"] {
        assert!(out.contains(part), "{part}:\n{out}\n{err}");
    }
    assert!(!out.contains("/var/log/web.log"), "{out}");
    assert!(err.contains("all to /var/log/web.log") && err.contains("pm-cli logs @web"), "{err}");
    assert!(!err.contains("not carried over"), "{err}");
}

#[test]
fn a_variable_that_is_not_known_costs_no_program() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[program:web]\ncommand=/bin/web --port=%(ENV_PM_TEST_PORT)s 'a b' $HOME\nexitcodes=0,2\n\
                directory=%(ENV_PM_TEST_DIR)s\nenvironment=X=\"%(ENV_X)s\"\n";
    let (out, err) = imported(dir.path(), "s.conf", text);
    for part in [
        r#"exec /bin/web '--port='\"${PM_TEST_PORT}\" 'a b' '$HOME'"#,
        "- PM_TEST_PORT",
        "- X",
        "success_exit_status",
    ] {
        assert!(out.contains(part), "{part}:\n{out}\n{err}");
    }
    assert!(
        err.contains("differs: s.conf:2: command") && err.contains("not carried over: s.conf:4: directory"),
        "{err}"
    );
    assert_eq!(err.matches("not carried over:").count(), 1, "{err}");
}

#[test]
fn what_an_environment_file_sets_is_not_overruled_by_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.env");
    fs::write(&file, "# X=no\nX=file\n Y = file\n").unwrap();
    let unit = |file: &Path| {
        format!(
            "[Service]\nExecStart=/bin/web\nEnvironment=X=unit Z=unit\nEnvironmentFile={}\n[Install]\n\
             WantedBy=multi-user.target\n",
            file.display()
        )
    };
    let (out, err) = imported(dir.path(), "web.service", &unit(&file));
    assert!(out.contains("Z: unit") && !out.contains("X: unit"), "{out}");
    assert!(err.contains("differs: web.service:4") && err.contains("it sets X, and wins"), "{err}");
    // What can't be read can't be taken into account, and is said.
    let (out, err) = imported(dir.path(), "web.service", &unit(&dir.path().join("none.env")));
    assert!(out.contains("X: unit"), "{out}");
    assert!(
        err.contains("none.env can't be read here") && err.contains("its value wins in systemd"),
        "{err}"
    );
}

#[test]
fn import_systemd() {
    let lines = [
        "pm-cli import systemd",
        "pm-cli import systemd/shop-worker@thumb\\x2dnails.service systemd/shop-db.service",
        "pm-cli import systemd/shop-worker@.service",
    ];
    transcript("import_systemd", &examples(), &lines);
}

#[test]
fn import_procfile() {
    transcript("import_procfile", &examples(), &["pm-cli import procfile/Procfile"]);
}

#[test]
fn import_pm2() {
    transcript("import_pm2", &examples(), &["pm-cli import pm2/ecosystem.json"]);
}

#[test]
fn import_process_compose() {
    transcript(
        "import_process_compose",
        &examples(),
        &["pm-cli import process-compose/process-compose.yaml"],
    );
}

#[test]
fn import_of_what_is_no_use() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("ecosystem.config.js", "module.exports = {apps: []}");
    write("broken.json", "{\"apps\": [");
    write("empty.conf", "");
    write("supervisord.conf", "command=x\n");
    write("twice.conf", "[program:a]\ncommand=x\n[program:a]\ncommand=y\n");
    write(
        "bad\u{1b}[1m.service",
        "[Unit]\nDescription=\u{1b}[31mred\n[Service]\nExecStart=/x\nEvil\u{1b}[1m=1\n",
    );
    write("x.timer", "[Timer]\n");
    write(
        "good.service",
        "[Service]\nExecStart=/bin/good --name 'it''s'\n[Install]\nWantedBy=default.target\n",
    );
    fs::create_dir(dir.path().join("nothing")).unwrap();
    let lines = [
        "pm-cli import ecosystem.config.js",
        "pm-cli import broken.json",
        "pm-cli import empty.conf",
        "pm-cli import empty.conf --format procfile",
        "pm-cli import supervisord.conf",
        "pm-cli import missing.service",
        "pm-cli import nothing",
        "pm-cli import x.timer --format systemd",
        "pm-cli import twice.conf",
        "pm-cli import 'bad\u{1b}[1m.service'",
        "pm-cli import good.service missing.service",
        "pm-cli import good.service",
        "pm-cli import good.service -o json",
        "pm-cli import good.service --output-file good.yaml",
        "pm-cli import good.service --output-file good.yaml",
        "pm-cli validate good.yaml",
    ];
    transcript("import_refused", dir.path(), &lines);
    let mode = fs::metadata(dir.path().join("good.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn whatever_is_imported_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    for (index, file) in [
        "supervisord/supervisord.conf",
        "systemd",
        "procfile/Procfile",
        "pm2/ecosystem.json",
        "process-compose/process-compose.yaml",
    ]
    .iter()
    .enumerate()
    {
        let (_, yaml, _) = run_plain(&examples(), &format!("pm-cli import {file}"));
        let path = dir.path().join(format!("{index}.yaml"));
        fs::write(&path, &yaml).unwrap();
        let (code, out, err) = run_in(dir.path(), &format!("pm-cli validate {index}.yaml"));
        assert_eq!(code, 0, "{file}\n{out}{err}");
        assert!(out.contains(" 0 errors"), "{out}");
    }
}

#[test]
fn ten_thousand_programs_are_imported() {
    let dir = tempfile::tempdir().unwrap();
    let text: String = (0..10_000)
        .map(|n| format!("[program:p{n}]\ncommand=/bin/sleep {n}\npriority={}\n", n % 2))
        .collect();
    fs::write(dir.path().join("supervisord.conf"), text).unwrap();
    let (code, out, err) = run_in(dir.path(), "pm-cli import supervisord.conf");
    // Five thousand that wait for five thousand are no lists that anybody wants.
    assert_eq!(code, 1);
    assert!(err.contains("5000 programs would each have to wait for 5000"), "{err}");
    assert!(out.contains("\n  p9999:\n    command: \"/bin/sleep 9999\"\n"));
}

#[test]
fn validate() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("good.yaml", "processes:\n  web:\n    command: /bin/web\n");
    write("warn.yaml", "processes:\n  web:\n    command: a && b\n    after: [db]\n");
    write("bad.yaml", "processes:\n  web:\n    command: /bin/web\n    restrat: always\n  db: {}\n");
    write("broken.yaml", "processes: [\n");
    let lines = [
        "pm-cli validate good.yaml",
        "pm-cli validate good.yaml warn.yaml bad.yaml",
        "pm-cli validate broken.yaml",
        "pm-cli validate missing.yaml",
        "pm-cli validate .",
        "pm-cli validate warn.yaml -o json",
        "pm-cli validate bad.yaml -o json",
    ];
    transcript("validate", dir.path(), &lines);
}

#[test]
fn validate_looks_at_every_layer() {
    let dir = tempfile::tempdir().unwrap();
    let (etc, state) = (dir.path().join("etc"), dir.path().join("state/processes.d"));
    fs::create_dir_all(etc.join("overrides.d")).unwrap();
    fs::create_dir_all(&state).unwrap();
    fs::write(etc.join("processes.yaml"), "processes:\n  web:\n    command: /bin/web\n").unwrap();
    fs::write(etc.join("overrides.d/web.yaml"), "restart: sometimes\n").unwrap();
    let (etc, state) = (etc.to_str().unwrap(), dir.path().join("state"));
    let env = [("CONFIGURATION_DIRECTORY", etc), ("STATE_DIRECTORY", state.to_str().unwrap())];
    let run = |env: &[(&str, &str)]| crate::transcript::run("pm-cli validate", env, None, false);
    let (code, out, err) = run(&env);
    assert_eq!(code, 1);
    assert!(out.ends_with("etc/processes.yaml: 0 good definitions, 1 error, 0 warnings\n"), "{out}");
    assert!(err.contains("overrides.d/web.yaml:1:"), "{err}");
    let missing = format!("{etc}/nowhere.yaml");
    let (code, _, err) = run(&[env[1], ("PM_CONFIG_PATH", &missing)]);
    assert_eq!((code, err.contains("nowhere.yaml"), err.contains("hint: ")), (1, true, true), "{err}");
}

#[test]
fn schema_is_the_one_of_the_documentation() {
    let (code, out, err) = run_plain(Path::new("/"), "pm-cli schema");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/processes.schema.json");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out == fs::read_to_string(path).unwrap(), "UPDATE_DOCS=1 cargo test -p config --test schema");
}

#[test]
fn export() {
    let daemon = Daemon::start(tables::table(), &[]);
    Transcript::new(&daemon)
        .run("pm-cli export")
        .run("pm-cli export @shop nope")
        .run("pm-cli export db -o json")
        .run("pm-cli export nope")
        .check("export");
    let daemon = Daemon::start(vec![], &[]);
    Transcript::new(&daemon).run("pm-cli export").check("export_empty");
}

/// What is exported means what was in force, but for the secrets.
#[test]
fn export_and_back() {
    let table = tables::table();
    let daemon = Daemon::start(table.clone(), &[]);
    let socket = daemon.socket();
    for view in table {
        // One by one: in this table they all write the same file.
        let line = format!("pm-cli export {}", view.spec.name);
        let (code, yaml, _) = crate::transcript::run(&line, &[("PM_SOCKET", &socket)], None, false);
        assert_eq!(code, 0);
        let loaded = config::check_text(Path::new("export"), yaml.into_bytes(), Path::new("/l")).unwrap();
        let [spec] = loaded.desired.specs.as_slice() else { panic!("{:?}", loaded.problems) };
        let mut expected =
            model::ProcessSpec { id: spec.id, origin: spec.origin.clone(), ..(*view.spec).clone() };
        assert!(expected.exec.env.remove("TOKEN").is_some());
        assert_eq!(**spec, expected);
    }
}
