//! Texts that a process or a file brings in never act on the terminal of whoever looks at them.

use crate::fake::Daemon;
use crate::tables::{self, EVIL};
use crate::transcript::run;

fn daemon() -> Daemon {
    let daemon = Daemon::start(tables::hostile(), &[EVIL]);
    daemon.log("web", format!("{EVIL}\n").as_bytes());
    daemon.override_with("web", EVIL);
    daemon
}

const LINES: [&str; 23] = [
    "list",
    "list -w",
    "list -o yaml",
    "list -o name",
    "list --sort memory --reverse",
    "daemon status",
    "describe web",
    "why web",
    "status",
    "start web",
    "stop web",
    "reset web",
    "reload web",
    "plan",
    "cat web",
    "is-active web",
    "update web --unset evil",
    "start @x",
    "status web",
    "graph web",
    "graph --format dot",
    "stats web --once",
    "events",
];

#[test]
fn nothing_acts_on_a_terminal() {
    let daemon = daemon();
    let socket = daemon.socket();
    let env = [("PM_SOCKET", socket.as_str())];
    let mut seen = 0;
    for line in LINES {
        for (color, width) in [(false, None), (true, Some(80))] {
            let (_, out, err) = run(&format!("pm-cli {line}"), &env, width, color);
            let text = out + &err;
            seen += text.matches("EVIL").count();
            // What is left when the program's own colors are taken away.
            let own = ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];
            let bare = own.iter().fold(text.clone(), |text, code| text.replace(code, ""));
            let acts = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!bare.contains(acts), "{line}: {bare:?}");
            // Nor does a color get in as one of the program's own.
            assert!(color || text == bare, "{line}: {text:?}");
            assert!(!text.contains("J\x1b[31m"), "{line}: {text:?}");
        }
    }
    assert!(seen > 60, "the texts are shown at all: {seen}");
}

#[test]
fn no_text_pretends_to_be_another_line() {
    let daemon = daemon();
    let socket = daemon.socket();
    for line in
        ["list", "describe web", "why web", "stop web", "reset web", "start web", "status web", "graph"]
    {
        let (_, out, _) = run(&format!("pm-cli {line}"), &[("PM_SOCKET", &socket)], None, false);
        let forged = |l: &str| l.starts_with("EVIL");
        assert!(!out.lines().any(forged), "{line}: {out}");
    }
}

#[test]
fn json_carries_the_texts_as_they_are() {
    let daemon = daemon();
    let socket = daemon.socket();
    for line in
        ["list", "describe web", "why web", "cat web", "plan", "logs web", "status web", "stats --once"]
    {
        let (_, out, _) = run(&format!("pm-cli {line} -o json"), &[("PM_SOCKET", &socket)], None, true);
        assert!(!out.contains(|c: char| c.is_control() && c != '\n'), "{line}: {out:?}");
    }
    let (_, out, _) = run("pm-cli why web -o json", &[("PM_SOCKET", &socket)], None, true);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let web = &document["processes"][0];
    assert_eq!(web["status_text"], EVIL);
    assert_eq!(web["health"]["message"], EVIL);
    assert_eq!(web["output"].as_array().unwrap().len(), 2, "two lines, as it printed them");
}
