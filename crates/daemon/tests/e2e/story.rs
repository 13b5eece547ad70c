//! Processes that write down when they come up and go down, so that a test can tell an order from a coincidence.

use std::fs;

use tempfile::TempDir;

/// Writes `up`, and `term` and `end` around a stop that takes `$2` seconds.
const ACTOR: &str = r#"
say() { echo "$(date +%s%N) $PROCESS_NAME $1" >> "$STORY/lines"; }
trap 'say term; sleep "$1"; say end; exit 0' TERM
say up
: > "$STORY/$PROCESS_INVOCATION_ID"
while :; do sleep 1000 & wait; done
"#;

/// Ends when the process of this run has written `up`.
const IS_UP: &str = r#"
until [ -e "$STORY/$PROCESS_INVOCATION_ID" ]; do sleep 0.01; done
"#;

/// What the actors wrote. A line is in it before anybody who waits for its writer goes on.
pub(crate) struct Story(TempDir);

impl Story {
    pub(crate) fn begin() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("actor.sh"), ACTOR).expect("a file in a new directory");
        fs::write(dir.path().join("is_up.sh"), IS_UP).expect("a file in a new directory");
        Self(dir)
    }

    /// The definition of an actor, to stand below `processes:`, with more keys, a line each. It counts as up once it
    /// has written `up`, and needs this time (as sleep(1) takes it) to stop.
    pub(crate) fn actor(&self, name: &str, stop_takes: &str, keys: &[&str]) -> String {
        let dir = self.0.path().display();
        let keys: String = keys.iter().map(|key| format!("    {key}\n")).collect();
        format!(
            "  {name}:\n    command: sh {dir}/actor.sh {stop_takes}\n    env: {{STORY: {dir}}}\n    exec_start_post: sh {dir}/is_up.sh\n{keys}"
        )
    }

    /// What was written so far: nanoseconds since 1970, and `NAME up`, `NAME term` or `NAME end`.
    pub(crate) fn lines(&self) -> Vec<(u64, String)> {
        let text = fs::read_to_string(self.0.path().join("lines")).unwrap_or_default();
        let line = |line: &str| {
            let (at, what) = line.split_once(' ').expect("two parts");
            (at.parse().expect("a number"), what.to_owned())
        };
        text.lines().map(line).collect()
    }

    /// The same without the times, in the order of the times.
    pub(crate) fn told(&self) -> Vec<String> {
        let mut lines = self.lines();
        lines.sort();
        lines.into_iter().map(|(_, what)| what).collect()
    }

    /// When this was written for the first time.
    #[track_caller]
    pub(crate) fn at(&self, what: &str) -> u64 {
        let lines = self.lines();
        let found = lines.iter().find(|(_, line)| line == what);
        found.unwrap_or_else(|| panic!("{what} in {lines:?}")).0
    }

    /// Forgets what was written.
    pub(crate) fn clear(&self) {
        fs::write(self.0.path().join("lines"), "").expect("the test's own file can be written");
    }
}
