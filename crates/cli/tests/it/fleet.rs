//! One command about several daemons.

use crate::fake::Daemon;
use crate::tables;
use crate::transcript::{Transcript, run};

/// Three contexts: two daemons, and one that is gone.
struct Fleet {
    one: Daemon,
    two: Daemon,
    config: tempfile::TempDir,
}

impl Fleet {
    fn new() -> Self {
        let one = Daemon::start(tables::table(), &[]);
        let two = Daemon::start(tables::table().split_off(2), &["error: x\n"]);
        let config = tempfile::tempdir().unwrap();
        std::fs::create_dir(config.path().join("dd-procmgrd")).unwrap();
        let gone = one.dir.path().join("gone.sock");
        let text = format!(
            "contexts:\n  one: {{socket: {}}}\n  two: {{socket: {}}}\n  gone: {{socket: {}}}\n",
            one.socket(),
            two.socket(),
            gone.display()
        );
        std::fs::write(config.path().join("dd-procmgrd/cli.yaml"), text).unwrap();
        Self { one, two, config }
    }

    fn run(&self, line: &str) -> (u8, String, String) {
        run(line, &[("XDG_CONFIG_HOME", self.config.path().to_str().unwrap())], None, false)
    }
}

#[test]
fn several_daemons() {
    let fleet = Fleet::new();
    let mut transcript = Transcript::new(&fleet.one);
    for line in [
        "pm-cli --context one,two list",
        "pm-cli --context one,gone,two list -q",
        "pm-cli --context two,one list --sort state web nope",
        "pm-cli --context one,two is-active web",
        "pm-cli --context one,two is-active job",
        "pm-cli --context one,two is-active web -o yaml",
        "pm-cli --context gone,two describe job",
        "pm-cli --context one,two plan",
        "pm-cli --context one,two plan -o json",
        "pm-cli --context one,two plan -o name",
        "pm-cli --context one,two stop web",
        "pm-cli --context one,two stop @all",
        "pm-cli --context one,two stop w*",
        "pm-cli --context one,two reload-config",
        "pm-cli --context one,one list -q",
        "pm-cli --context one,tow list",
    ] {
        let (code, out, err) = fleet.run(line);
        transcript.add(line, code, &out, &err);
    }
    transcript.check("several_daemons");
}

#[test]
fn hosts_are_given_one_by_one_or_with_commas() {
    let fleet = Fleet::new();
    let line = format!("pm-cli list -o json --host {} --host {},127.0.0.1:1", fleet.one.tcp, fleet.two.tcp);
    let (code, out, err) = fleet.run(&line);
    assert_eq!(code, 5, "one could not be asked: {err}");
    assert!(err.contains("127.0.0.1:1: connection refused"), "{err}");
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let hosts: Vec<&str> =
        document["processes"].as_array().unwrap().iter().map(|p| p["host"].as_str().unwrap()).collect();
    let (one, two) = (fleet.one.tcp.as_str(), fleet.two.tcp.as_str());
    assert_eq!(hosts, [one, one, one, one, two, two]);
}

#[test]
fn logs_of_several_daemons_mix_by_whole_lines() {
    let fleet = Fleet::new();
    let lines = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let (code, out, err) = fleet.run("pm-cli --context one,two logs web");
    assert_eq!(code, 0, "{err}");
    let asked = "lines=20 follow=false stream=None";
    let expected = ["one", "two"].map(|host| {
        [format!("{host} | {asked}"), format!("{host} | three"), format!("{host} | tw\u{fffd}o")]
    });
    assert_eq!(lines(&out), expected.concat());
    let notes =
        ["one", "two"].map(|host| format!("{host} | (older lines were deleted before they were read)"));
    assert_eq!(lines(&err), notes);

    let (code, out, err) = fleet.run("pm-cli --context one,gone,two logs web -o json");
    assert_eq!(code, 5, "{err}");
    for line in out.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(["one", "two"].contains(&line["host"].as_str().unwrap()), "{line}");
    }
    assert!(err.contains("gone | error: no daemon answers"), "{err}");
}
