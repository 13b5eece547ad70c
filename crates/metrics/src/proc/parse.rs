//! Parsers of the files of /proc: bytes in, numbers out, no I/O.

use std::str::FromStr;
use std::time::Duration;

/// What `/proc/<pid>/stat` tells, as far as it is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// R, S, D, Z, …
    pub(crate) state: u8,
    /// Pid of its parent.
    pub(crate) parent: u32,
    /// Pid of whoever began its session.
    pub(crate) session: u32,
    /// CPU time in ticks: user, system, and both of the children it waited for.
    pub(crate) cpu_ticks: [u64; 4],
    /// Number of threads.
    pub(crate) threads: u64,
    /// Start, in ticks since the machine's.
    pub(crate) start_ticks: u64,
    /// Size of its address space.
    pub(crate) virtual_bytes: u64,
    /// Resident set in pages.
    pub(crate) resident_pages: u64,
}

impl Stat {
    /// Whether it has ended and waits for its parent to notice.
    pub(crate) fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }

    /// CPU time of the process alone.
    pub(crate) fn own_cpu_ticks(&self) -> u64 {
        self.cpu_ticks[..2].iter().sum()
    }

    /// CPU time of the process and the children it waited for: the same sum that wait4(2) returns at its end,
    /// so that the counter makes no jump there.
    pub(crate) fn tree_cpu_ticks(&self) -> u64 {
        self.cpu_ticks.iter().sum()
    }
}

/// `/proc/<pid>/stat`. The name of the program (field 2) may hold spaces, parentheses and bytes that are no
/// text, so the fields are counted from the last closing parenthesis.
pub(crate) fn stat(raw: &[u8]) -> Option<Stat> {
    let end_of_name = raw.iter().rposition(|&b| b == b')')?;
    // The first of these is field 3 of proc(5).
    let mut fields = raw.get(end_of_name + 2..)?.split(|&b| b == b' ');
    Some(Stat {
        state: *fields.next()?.first()?,
        parent: digits(fields.next())?.try_into().ok()?,
        session: digits(fields.nth(1))?.try_into().ok()?,
        // Fields 14 to 17; nth counts from what is left.
        cpu_ticks: [
            digits(fields.nth(7))?,
            digits(fields.next())?,
            digits(fields.next())?,
            digits(fields.next())?,
        ],
        threads: digits(fields.nth(2))?,
        start_ticks: digits(fields.nth(1))?,
        virtual_bytes: digits(fields.next())?,
        // The kernel may show a small negative number here for a moment.
        resident_pages: match fields.next()? {
            [b'-', rest @ ..] => digits(Some(rest)).map(|_| 0)?,
            positive => digits(Some(positive))?,
        },
    })
}

/// The first two numbers of `/proc/<pid>/statm`: size and resident set in pages.
pub(crate) fn statm(raw: &[u8]) -> Option<[u64; 2]> {
    let mut fields = raw.split(|&b| b == b' ');
    Some([digits(fields.next())?, digits(fields.next())?])
}

/// A number of `stat`, of which there are a dozen for each process: without the detour over text.
fn digits(field: Option<&[u8]>) -> Option<u64> {
    let field = field?;
    let add = |number: u64, byte: &u8| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    };
    if field.is_empty() { None } else { field.iter().try_fold(0, add) }
}

/// The name of a process's directory.
pub(crate) fn pid(name: &[u8]) -> Option<u32> {
    digits(Some(name))?.try_into().ok()
}

fn number<T: FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

/// Bytes that a process made the kernel read from storage and write to it: `/proc/<pid>/io`.
pub(crate) fn io(raw: &[u8]) -> Option<[u64; 2]> {
    let mut lines = raw.split(|b| *b == b'\n');
    let mut value = |key: &[u8]| digits(lines.find_map(|line| line.strip_prefix(key)));
    // In this order: kernels add lines at the end.
    Some([value(b"read_bytes: ")?, value(b"write_bytes: ")?])
}

/// A file of one pid.
pub(crate) fn last_pid(raw: &[u8]) -> Option<u32> {
    pid(raw.trim_ascii_end())
}

/// `btime` of `/proc/stat`: seconds since 1970.
pub(crate) fn boot_time(raw: &[u8]) -> Option<u64> {
    number(lines(raw)?.find_map(|l| l.strip_prefix("btime ")).map(str::trim))
}

/// The first number of `/proc/uptime`: seconds and hundredths.
pub(crate) fn uptime(raw: &[u8]) -> Option<Duration> {
    let (seconds, hundredths) =
        std::str::from_utf8(raw).ok()?.split_ascii_whitespace().next()?.split_once('.')?;
    Some(
        Duration::from_secs(number(Some(seconds))?)
            + Duration::from_millis(10 * number::<u64>(Some(hundredths))?),
    )
}

/// A file of one number: `memory.current`. The inner `None` = `max`: no limit.
#[expect(clippy::option_option, reason = "the outer one means malformed, as in all parsers here")]
pub(crate) fn number_or_max(raw: &[u8]) -> Option<Option<u64>> {
    match std::str::from_utf8(raw).ok()?.trim() {
        "max" => Some(None),
        text => text.parse().ok().map(Some),
    }
}

/// `total=` of the line `some` in a pressure file (Documentation/accounting/psi.rst).
pub(crate) fn pressure(raw: &[u8]) -> Option<Duration> {
    let some = lines(raw)?.find_map(|l| l.strip_prefix("some "))?;
    number(some.split(' ').find_map(|word| word.strip_prefix("total="))).map(Duration::from_micros)
}

/// `oom_kill` of `memory.events`.
pub(crate) fn oom_kills(raw: &[u8]) -> Option<u64> {
    number(lines(raw)?.find_map(|l| l.strip_prefix("oom_kill ")))
}

/// The path of a process in the unified hierarchy: `/proc/<pid>/cgroup`.
pub(crate) fn cgroup(raw: &[u8]) -> Option<String> {
    lines(raw)?.find_map(|l| l.strip_prefix("0::")).map(str::to_owned)
}

/// The soft limit of `Max open files` in `/proc/<pid>/limits`; the inner `None` = unlimited.
#[expect(clippy::option_option, reason = "the outer one means malformed, as in all parsers here")]
pub(crate) fn max_fds(raw: &[u8]) -> Option<Option<u64>> {
    let limit =
        lines(raw)?.find_map(|l| l.strip_prefix("Max open files"))?.split_ascii_whitespace().next()?;
    if limit == "unlimited" { Some(None) } else { limit.parse().ok().map(Some) }
}

fn lines(raw: &[u8]) -> Option<std::str::Lines<'_>> {
    Some(std::str::from_utf8(raw).ok()?.lines())
}

/// What the kernel told the program at its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Auxv {
    /// AT_PAGESZ.
    pub(crate) page_size: Option<u64>,
    /// AT_CLKTCK.
    pub(crate) ticks: Option<u64>,
}

/// `/proc/self/auxv`: pairs of native words, key and value.
pub(crate) fn auxv(raw: &[u8]) -> Auxv {
    const AT_PAGESZ: usize = 6;
    const AT_CLKTCK: usize = 17;
    const WORD: usize = size_of::<usize>();
    let (words, _) = raw.as_chunks::<WORD>();
    let (pairs, _) = words.as_chunks::<2>();
    let mut found = Auxv::default();
    for [key, value] in pairs {
        let value = u64::try_from(usize::from_ne_bytes(*value)).ok().filter(|v| *v > 0);
        match usize::from_ne_bytes(*key) {
            AT_PAGESZ => found.page_size = value,
            AT_CLKTCK => found.ticks = value,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "S 7 7 7 0 -1 4194560 812 5120 0 3 150 25 4 2 20 0 9 0 8000 123450000 3014 \
        18446744073709551615 1 1 0 0 0 0 0 4096 16898 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0";

    #[test]
    fn the_fields_of_stat() {
        let expected = Stat {
            state: b'S',
            parent: 7,
            session: 7,
            cpu_ticks: [150, 25, 4, 2],
            threads: 9,
            start_ticks: 8000,
            virtual_bytes: 123_450_000,
            resident_pages: 3014,
        };
        for name in ["web", "a b", "a) S 1 2 (b", "))", "", "x\u{fffd}\ny"] {
            assert_eq!(stat(format!("4242 ({name}) {TAIL}\n").as_bytes()), Some(expected), "{name:?}");
        }
        assert_eq!(stat([b"4242 (\xff\xfe) ", TAIL.as_bytes()].concat().as_slice()), Some(expected));
        assert_eq!((expected.own_cpu_ticks(), expected.tree_cpu_ticks()), (175, 181));
    }

    #[test]
    fn a_negative_resident_set_is_none() {
        assert_eq!(
            stat(format!("1 (x) {}", TAIL.replace(" 3014", " -3")).as_bytes()).unwrap().resident_pages,
            0
        );
    }

    #[test]
    fn what_is_not_stat() {
        for bad in ["", ")", "1 (x)", "1 (x) S", "1 (x) S 7 7 7", "1 x S 7 7 7"] {
            assert_eq!(stat(bad.as_bytes()), None, "{bad:?}");
        }
        for cut in 0..TAIL.find(" 18446744073709551615").unwrap() - 4 {
            assert_eq!(stat(format!("1 (x) {}", &TAIL[..cut]).as_bytes()), None, "cut at {cut}");
        }
        assert_eq!(stat(format!("1 (x) {}", TAIL.replace(" 8000", " many")).as_bytes()), None);
    }

    #[test]
    fn memory() {
        assert_eq!(statm(b"31337 3020 700 10 0 200 0\n"), Some([31_337, 3020]));
        assert_eq!(statm(b"31337"), None);
    }

    #[test]
    fn the_small_files() {
        assert_eq!(boot_time(b"cpu  1 2 3\nbtime 1763650000\nprocesses 9\n"), Some(1_763_650_000));
        assert_eq!(boot_time(b"cpu  1 2 3\n"), None);
        assert_eq!(uptime(b"13663.12 26000.50\n"), Some(Duration::from_millis(13_663_120)));
        assert_eq!(uptime(b""), None);
        let text = b"rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 6\ncancelled_write_bytes: 7\n";
        assert_eq!(io(text), Some([5, 6]));
        assert_eq!(io(&text[..50]), None);
        let limits =
            "Limit          Soft Limit  Hard Limit  Units\nMax open files 1024        4096        files\n";
        assert_eq!(max_fds(limits.as_bytes()), Some(Some(1024)));
        assert_eq!(max_fds(limits.replace("1024", "unlimited").as_bytes()), Some(None));
        assert_eq!(max_fds(b"Max processes 1 1 processes\n"), None);
    }

    #[test]
    fn the_files_of_a_cgroup() {
        assert_eq!(number_or_max(b"4096\n"), Some(Some(4096)));
        assert_eq!(number_or_max(b"max\n"), Some(None));
        assert_eq!(number_or_max(b"\n"), None);
        let text = b"some avg10=0.00 avg60=1.50 avg300=0.20 total=1500\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(pressure(text), Some(Duration::from_micros(1500)));
        assert_eq!(pressure(&text[60..]), None);
        assert_eq!(oom_kills(b"low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(oom_kills(b"oom 3\n"), None);
        assert_eq!(
            cgroup(b"2:cpu:/x\n0::/system.slice/a.service\n").as_deref(),
            Some("/system.slice/a.service")
        );
        assert_eq!(cgroup(b"2:cpu:/x\n"), None);
    }

    #[test]
    fn the_auxiliary_vector() {
        let raw: Vec<u8> = [33, 0xdead, 6, 16_384, 17, 100, 0, 0_usize].map(usize::to_ne_bytes).concat();
        assert_eq!(auxv(&raw), Auxv { page_size: Some(16_384), ticks: Some(100) });
        assert_eq!(auxv(&raw[..5 * size_of::<usize>()]), Auxv { page_size: Some(16_384), ticks: None });
        assert_eq!(auxv(b""), Auxv::default());
    }
}
