//! Ways to crash, each of which goes through another part of the daemon.

use anyhow::Result;
use testkit::binary;

/// One of them.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// In YAML's flow style.
    pub(super) definition: String,
}

impl Variant {
    /// # Errors
    /// Where the crashing child is not built.
    pub(super) fn all() -> Result<Vec<Self>> {
        let crasher = binary("crasher")?.display().to_string();
        // Rotated often, so that files come and go as well.
        let restart =
            "restart: always, restart_sec: 0, start_limit_burst: 0, log: {max_size: 64K, max_files: 2}";
        let variant =
            |name, what, keys: &str| Self { name, what, definition: format!("{{{keys}, {restart}}}") };
        Ok(vec![
            variant("simple", "exits with 1 and prints nothing", "command: /bin/false"),
            variant("output", "prints a line and exits with 3", &format!("command: {crasher}")),
            variant(
                "hooks",
                "exec_start_pre and exec_stop_post around each run",
                "command: /bin/false, exec_start_pre: /bin/true, exec_stop_post: /bin/true",
            ),
            variant(
                "notify",
                "type: notify, a socket each; READY=1, a line, exit 3",
                &format!("command: {crasher}, type: notify"),
            ),
            variant(
                "leftovers",
                "each run leaves a child in a session of its own behind, which has to be found and stopped",
                "command: /bin/sh, args: [-c, \"setsid -f sleep 1000; exit 1\"]",
            ),
            variant("unborn", "a program that does not exist", "command: /nonexistent/program"),
        ])
    }
}
