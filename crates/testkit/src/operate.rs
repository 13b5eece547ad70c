//! What an operator does with a [`TempDaemon`], and what a test reads off it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::{Finished, TempDaemon, eventually_within, patience, run};

impl TempDaemon {
    /// Runs pm-cli against this daemon, with more variables in its environment.
    ///
    /// # Panics
    /// When pm-cli is not built.
    #[track_caller]
    pub fn pm_with(&self, env: &[(&str, &str)], args: &[&str]) -> Finished {
        finish(self.pm_command().args(args).envs(env.iter().copied()))
    }

    /// Runs pm-cli with an editor that is a shell script: it finds the path of what it shall edit in `$1`.
    ///
    /// # Panics
    /// When pm-cli is not built, or the script can't be written.
    #[track_caller]
    pub fn pm_editing(&self, args: &[&str], script: &str) -> Finished {
        let path = self.dir().join("editor.sh");
        fs::write(&path, script).expect("the test's own file can be written");
        // By its interpreter: a script that a thread has just written may be "busy" when it is executed itself.
        finish(self.pm_command().args(args).env("EDITOR", format!("sh {}", path.display())))
    }

    /// One process as `pm-cli list --output json` shows it; `None` when there is none of that name.
    ///
    /// # Panics
    /// When the daemon does not answer.
    #[track_caller]
    pub fn process(&self, name: &str) -> Option<Value> {
        let list = self.pm(&["list", "--output", "json"]).json();
        list["processes"].as_array().expect("a list").iter().find(|p| p["name"] == name).cloned()
    }

    /// Waits until the process is in this state, and returns it.
    ///
    /// # Panics
    /// When it is not within [`patience`]; the message says in which state it is, and why.
    #[track_caller]
    pub fn wait_for_state(&self, name: &str, state: &str) -> Value {
        self.wait_for(name, &format!("be {state}"), |process| process["state"] == state)
    }

    /// Waits until the process is as asked, and returns it.
    ///
    /// # Panics
    /// When it is not within [`patience`]; the message says what it should do (`shall`), and all that is known of it.
    #[track_caller]
    pub fn wait_for(&self, name: &str, shall: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = None;
        let found = eventually_within(patience(), || {
            last = self.process(name);
            last.clone().filter(|process| is(process))
        });
        match (found, last) {
            (Some(process), _) => process,
            (None, Some(process)) => panic!(
                "waited {:?} in vain for {name} to {shall}; it is {}: {}\n{process:#}",
                patience(),
                process["state"],
                process["reason"]
            ),
            (None, None) => {
                panic!("waited {:?} in vain for {name} to {shall}; it is not defined", patience())
            }
        }
    }

    /// Where overrides of this process are.
    #[must_use]
    pub fn override_path(&self, name: &str) -> PathBuf {
        self.dir().join(format!("config/overrides.d/{name}.yaml"))
    }

    /// Writes a process's override (keys at the top level), without telling the daemon.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn write_override(&self, name: &str, text: &str) {
        let path = self.override_path(name);
        let dir = path.parent().expect("it has a directory");
        fs::create_dir_all(dir).expect("the test's own directory can be made");
        fs::write(path, text).expect("the test's own file can be written");
    }

    /// Where the sockets are that processes report to.
    #[must_use]
    pub fn notify_dir(&self) -> PathBuf {
        self.dir().join("runtime/notify")
    }

    /// Names of what is in [`notify_dir`](Self::notify_dir) now, sorted; empty while there is no such directory.
    #[must_use]
    pub fn notify_sockets(&self) -> Vec<String> {
        let entries = fs::read_dir(self.notify_dir()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[track_caller]
fn finish(command: &mut Command) -> Finished {
    run(command).expect("pm-cli can be executed")
}
