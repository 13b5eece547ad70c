//! What a number was measured on: it belongs beside every table.

use std::fs;

/// One sentence: kernel, processor, memory, where temporary files are, and what else is going on.
#[must_use]
pub fn describe() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = read("/proc/meminfo");
    let kib: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or_default();
    let dir = std::env::temp_dir();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "Linux {}, {cores} × {model}, {} MiB of memory, files in {} ({}), load average {load} at the start: what others \
         do meanwhile is in every number.",
        kernel.trim(),
        kib / 1024,
        dir.display(),
        filesystem(&read("/proc/self/mounts"), &dir.display().to_string()),
    )
}

/// The type of the file system that a directory is on: that of the longest mount point above it.
fn filesystem(mounts: &str, dir: &str) -> String {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = mounts.filter(|(point, _)| {
        dir.strip_prefix(*point)
            .is_some_and(|rest| point.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
    });
    above.max_by_key(|(point, _)| point.len()).map_or("unknown", |(_, kind)| kind).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_counts() {
        let mounts = "dev / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\nx /tm xfs rw 0 0\n";
        assert_eq!(filesystem(mounts, "/tmp"), "tmpfs");
        assert_eq!(filesystem(mounts, "/tmp/a"), "tmpfs");
        assert_eq!(filesystem(mounts, "/tmpfile"), "ext4");
    }
}
