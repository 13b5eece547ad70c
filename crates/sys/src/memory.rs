//! Memory given back: the allocator's settings for a program that mostly sleeps.

/// Keeps the heap small. Each thread would get an arena of its own and keep what it once used; a scrape of many
/// processes needs megabytes for some milliseconds. Two arenas, and large blocks by mmap(2), which free(3) returns.
///
/// Only glibc has such settings; elsewhere this does nothing.
pub fn keep_small() {
    #[cfg(target_env = "gnu")]
    for (setting, value) in [
        (libc::M_ARENA_MAX, 2),
        (libc::M_MMAP_THRESHOLD, 64 << 10),
        (libc::M_TRIM_THRESHOLD, 128 << 10),
        (libc::M_TOP_PAD, 64 << 10),
    ] {
        // JUSTIFICATION: there is no safe interface to the allocator's settings.
        // SAFETY: mallopt(3) takes two numbers and may be called at any time; called before there are other threads.
        let _unchanged_when_refused = unsafe { libc::mallopt(setting, value) };
    }
}
