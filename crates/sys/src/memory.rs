//! Memory given back: the allocator's settings for a program that mostly sleeps, and what only the start needed.

use std::ops::Range;
use std::sync::OnceLock;
use std::{fs, io};

/// Keeps the heap small. Each thread would get an arena of its own and keep what it once used; a scrape of many
/// processes needs megabytes for some milliseconds. Two arenas, and large blocks by mmap(2), which free(3) returns.
///
/// Only glibc has such settings; elsewhere they are left as they are. Also notes what [`let_go`] may give back, so it has to be called
/// before there is another thread.
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
    if let Ok(smaps) = fs::read_to_string("/proc/self/smaps") {
        // Whoever calls this twice has the same program.
        let _known_already = PROGRAM.set(as_in_their_files(&smaps));
    }
}

/// The program and the libraries that it was linked with: what is mapped before anything else can be. Of all mappings these
/// alone stay where they are for good; another one may be gone, and its place be somebody's memory, before it is dropped.
static PROGRAM: OnceLock<Vec<Range<usize>>> = OnceLock::new();

/// Gives back what a burst of work has left: free memory inside the heap, and the pages of programs and libraries that
/// are not written to. Those stay in the page cache and are mapped again when they are next used, without reading a disk.
/// Only of what was mapped when [`keep_small`] was called.
///
/// # Errors
/// /proc/self/smaps can't be read; the heap is trimmed all the same.
pub fn let_go() -> io::Result<()> {
    #[cfg(target_env = "gnu")]
    {
        // JUSTIFICATION: there is no safe interface to the allocator.
        // SAFETY: malloc_trim(3) takes a number, may be called at any time from any thread, and touches no live block.
        let _whether_anything_was_free = unsafe { libc::malloc_trim(0) };
    }
    let program = PROGRAM.get().map_or(&[][..], Vec::as_slice);
    let unwritten = as_in_their_files(&fs::read_to_string("/proc/self/smaps")?);
    for pages in unwritten.into_iter().filter(|pages| program.contains(pages)) {
        let begin = std::ptr::without_provenance_mut(pages.start);
        // JUSTIFICATION: neither std nor nix has a safe madvise(2), as it can drop what was written.
        // SAFETY: a private mapping of a file that can't be written to and of which no page was ever written to is equal
        // to its file, so that a page is the same before it is dropped and after it is mapped again. It is still that
        // mapping: nobody unmaps the program or what it was linked with.
        let _as_it_was_when_refused = unsafe { libc::madvise(begin, pages.len(), libc::MADV_DONTNEED) };
    }
    Ok(())
}

/// Private mappings of files, not writable, without a page of their own. Relocated data has such pages, and so has code
/// into which a debugger or a tracer has put its breakpoints.
fn as_in_their_files(smaps: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        if let Some(own) = line.strip_prefix("Anonymous:") {
            found.extend(candidate.take().filter(|_| own.trim() == "0 kB"));
        } else if let Some(mapping) = header(line) {
            candidate = mapping;
        }
    }
    found
}

/// The first line of a mapping; `Some(None)` = it is none that may be dropped.
fn header(line: &str) -> Option<Option<Range<usize>>> {
    let mut words = line.split_ascii_whitespace();
    let (begin, end) = words.next()?.split_once('-')?;
    let pages = usize::from_str_radix(begin, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    let permissions = words.next()?;
    let is_file = words.nth(3).is_some_and(|path| path.starts_with('/'));
    Some((is_file && matches!(permissions, "r-xp" | "r--p") && !pages.is_empty()).then_some(pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(head: &str, anonymous: u32) -> String {
        format!("{head}\nSize:  8 kB\nAnonymous:  {anonymous} kB\nVmFlags: rd ex mr\n")
    }

    #[test]
    fn only_what_equals_its_file_is_dropped() {
        let rows = [
            ("1000-2000 r--p 00000000 fe:00 12 /usr/bin/dd-procmgrd", 0, true),
            ("2000-4000 r-xp 00001000 fe:00 12 /usr/bin/a b (deleted)", 0, true),
            // Breakpoints in it; relocated data.
            ("4000-5000 r-xp 00003000 fe:00 12 /usr/bin/dd-procmgrd", 4, false),
            ("5000-6000 r--p 00004000 fe:00 12 /usr/bin/dd-procmgrd", 600, false),
            ("6000-7000 rw-p 00005000 fe:00 12 /usr/bin/dd-procmgrd", 0, false),
            ("7000-8000 r--s 00000000 fe:00 12 /var/log/index", 0, false),
            ("8000-9000 ---p 00000000 fe:00 12 /usr/lib/libc.so.6", 0, false),
            ("9000-a000 r--p 00000000 00:00 0 ", 0, false),
            ("a000-b000 r-xp 00000000 00:00 0 [vdso]", 0, false),
            ("b000-b000 r-xp 00000000 fe:00 12 /usr/bin/nothing", 0, false),
        ];
        for (head, anonymous, dropped) in rows {
            assert_eq!(as_in_their_files(&mapping(head, anonymous)).len(), usize::from(dropped), "{head}");
        }
        let all: String = rows.iter().map(|(head, anonymous, _)| mapping(head, *anonymous)).collect();
        assert_eq!(as_in_their_files(&all), [0x1000..0x2000, 0x2000..0x4000]);
    }

    #[test]
    fn what_cannot_be_understood_is_left_alone() {
        for text in [
            "",
            "\n\n",
            "Anonymous: 0 kB\n",
            "1000-2000 r-xp 0 fe:00 1 /x\n",
            "x-y r-xp 0 fe:00 1 /x\nAnonymous: 0 kB",
        ] {
            assert_eq!(as_in_their_files(text), [], "{text:?}");
        }
    }
}
