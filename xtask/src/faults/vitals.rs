//! What the daemon takes: memory, descriptors, threads.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use testkit::eventually_within;

/// How long a daemon may take to give back what it no longer needs: tokio keeps an idle thread for 10 s.
const GIVEN_BACK: Duration = Duration::from_secs(15);
/// Descriptors that are opened once and kept.
const ONCE: usize = 4;

/// One look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vitals {
    /// Resident memory in KiB.
    pub(crate) rss: u64,
    /// The part of it that is its own: what grows with a leak. The rest are pages of the program, which are there once a
    /// call is made that nobody had made before.
    pub(crate) anonymous: u64,
    pub(crate) descriptors: usize,
}

impl Vitals {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the daemon is gone")?;
        let field = |name: &str| -> Result<u64> {
            let field = status.lines().find_map(|line| line.strip_prefix(name));
            let field = field.with_context(|| format!("no {name}"))?;
            Ok(field.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
        };
        let descriptors =
            fs::read_dir(format!("/proc/{pid}/fd")).context("the daemon's descriptors")?.count();
        Ok(Self { rss: field("VmRSS")?, anonymous: field("RssAnon")?, descriptors })
    }

    /// Waits until there are no more descriptors than there were here.
    ///
    /// # Errors
    /// When there still are.
    pub(crate) fn until_back(self, pid: u32) -> Result<Self> {
        let mut now = Self::of(pid)?;
        let back = eventually_within(GIVEN_BACK, || {
            now = Self::of(pid).ok()?;
            (now.descriptors <= self.descriptors + ONCE).then_some(())
        });
        ensure!(
            back.is_some(),
            "descriptors are left: {} before, {} after",
            self.descriptors,
            now.descriptors
        );
        Ok(now)
    }
}
