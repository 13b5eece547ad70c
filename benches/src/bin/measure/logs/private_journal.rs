//! A real journald of our own: an instance of a namespace, which has its own socket and files beside the system's.
//! Needs to be root, and that systemd is installed; it does not have to run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, ensure};
use testkit::{eventually_within, patience, run};

const PROGRAM: &str = "/lib/systemd/systemd-journald";

/// No limit, and room for more than any measurement sends.
const CONFIG: &str =
    "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRuntimeMaxUse=4G\nRuntimeKeepFree=1M\n";

/// One that runs. Dropping it ends it and removes its files.
#[derive(Debug)]
pub(super) struct PrivateJournal {
    namespace: String,
    daemon: Child,
}

impl PrivateJournal {
    /// # Errors
    /// Where there is none to be had: that is said, and a measurement goes on without.
    pub(super) fn start() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);

        ensure!(nix::unistd::geteuid().is_root(), "a journald of our own needs root");
        ensure!(Path::new(PROGRAM).exists(), "{PROGRAM} is not installed");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("pm-measure-{}-{number}", std::process::id());
        let config = config_dir(&namespace);
        fs::create_dir_all(&config)?;
        fs::write(config.join("measure.conf"), CONFIG)?;
        let mut command = Command::new(PROGRAM);
        command.arg(&namespace).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = command.spawn().context(PROGRAM)?;
        let journal = Self { namespace, daemon };
        let socket = journal.socket();
        eventually_within(patience(), || socket.exists().then_some(()))
            .with_context(|| format!("{PROGRAM} made no {}", socket.display()))?;
        Ok(journal)
    }

    pub(super) fn socket(&self) -> PathBuf {
        PathBuf::from(format!("/run/systemd/journal.{}/socket", self.namespace))
    }

    /// Entries of this process, once everything that was sent is stored.
    pub(super) fn count(&self, process: &str) -> Result<usize> {
        let journalctl = |words: &[&str]| -> Result<String> {
            let namespace = format!("--namespace={}", self.namespace);
            let done = run(Command::new("journalctl").arg(namespace).args(words)).context("journalctl")?;
            ensure!(done.code == 0, "{done}");
            Ok(done.stdout)
        };
        journalctl(&["--sync"])?;
        let matches = [format!("PROCESS_NAME={process}"), "PROCESS_STREAM=stdout".to_owned()];
        Ok(journalctl(&["--quiet", "--output=cat", &matches[0], &matches[1]])?.lines().count())
    }
}

fn config_dir(namespace: &str) -> PathBuf {
    PathBuf::from(format!("/run/systemd/journald@{namespace}.conf.d"))
}

impl Drop for PrivateJournal {
    fn drop(&mut self) {
        // What is left of it in /run is in nobody's way.
        self.daemon.kill().ok();
        self.daemon.wait().ok();
        fs::remove_dir_all(config_dir(&self.namespace)).ok();
        fs::remove_dir_all(format!("/run/systemd/journal.{}", self.namespace)).ok();
        for entry in fs::read_dir("/run/log/journal").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(&format!(".{}", self.namespace)) {
                fs::remove_dir_all(entry.path()).ok();
            }
        }
    }
}
