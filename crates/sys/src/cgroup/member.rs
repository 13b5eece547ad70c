//! Whether a process is in a leaf: one look, however many others are in it.

use std::fs;
use std::io;

use super::{Leaf, PROCESSES};

impl Leaf {
    /// Whether this process, a zombie even, is in the group or in a sub-group of it. A pid is only a number: hold a
    /// pidfd that is alive after the call to be sure whose it was.
    ///
    /// # Errors
    /// NotFound when there is no such process.
    pub fn holds(&self, pid: u32) -> io::Result<bool> {
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let its = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let name = self.path.file_name().and_then(|name| name.to_str());
        Ok(name.is_some_and(|name| is_in(&own, &its, name)))
    }
}

/// Both paths are as seen from our cgroup namespace. The daemon itself is in the sub-group beside that of the runs.
fn is_in(own: &str, its: &str, leaf: &str) -> bool {
    let path = |text: &str| text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned);
    let (Some(own), Some(its)) = (path(own), path(its)) else { return false };
    let Some((base, _supervisor)) = own.rsplit_once('/') else { return false };
    let below = its.strip_prefix(&format!("{base}/{PROCESSES}/{leaf}"));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_and_what_is_below_it() {
        let own = "1:name=systemd:/x\n0::/system.slice/d.service/supervisor\n";
        let is = |its: &str| is_in(own, &format!("2:cpu:/\n0::{its}\n"), "web.1");
        assert!(is("/system.slice/d.service/processes/web.1"));
        assert!(is("/system.slice/d.service/processes/web.1/sub/below"));
        // Removed while the zombie is still there.
        assert!(is("/system.slice/d.service/processes/web.1 (deleted)"));
        assert!(!is("/system.slice/d.service/processes/web.12"));
        assert!(!is("/system.slice/d.service/processes"));
        assert!(!is("/system.slice/d.service/supervisor"));
        assert!(!is("/system.slice/other.service/processes/web.1"));
        assert!(!is("/"));
    }

    #[test]
    fn at_the_top_of_a_namespace() {
        assert!(is_in("0::/supervisor\n", "0::/processes/web.1\n", "web.1"));
        assert!(!is_in("0::/supervisor\n", "1:cpu:/processes/web.1\n", "web.1"));
        assert!(!is_in("1:cpu:/\n", "0::/processes/web.1\n", "web.1"));
    }
}
