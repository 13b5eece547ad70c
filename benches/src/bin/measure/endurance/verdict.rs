//! Whether anything grows.

use super::sample::Sample;

/// What memory may gain from the first fifth to the end, in KiB: a page here and there is not a leak, a byte for each of
/// 100,000 restarts would be 98 KiB, and one small block each some 4 MB.
const SLACK: u64 = 512;
/// What the numbers of things may differ by while processes come and go.
const ON_ITS_WAY: u64 = 24;
/// The first sample that counts: every cache is warm.
const WARM: usize = 1;

/// One number of a sample, and what it may gain.
type Column = (&'static str, fn(&Sample) -> u64, u64);

const MOVING: [Column; 8] = [
    ("RSS (KiB)", |s| s.rss, SLACK),
    ("anonymous memory (KiB)", |s| s.anonymous, SLACK),
    ("descriptors", |s| s.descriptors, ON_ITS_WAY),
    ("threads", |s| s.threads, 1),
    ("children", |s| s.children, ON_ITS_WAY),
    ("cgroup leaves", |s| s.leaves, ON_ITS_WAY),
    ("notify files", |s| s.sockets, ON_ITS_WAY),
    ("log files", |s| s.logs, ON_ITS_WAY),
];

const AT_REST: [Column; 6] = [
    ("descriptors", |s| s.descriptors, 0),
    ("threads", |s| s.threads, 1),
    ("children", |s| s.children, 0),
    ("cgroup leaves", |s| s.leaves, 0),
    ("notify files", |s| s.sockets, 0),
    ("log files", |s| s.logs, ON_ITS_WAY),
];

/// One sentence for each number that grew too much.
pub(super) fn growth(moving: &[Sample], rest: &[Sample]) -> Vec<String> {
    let warm = moving.get(WARM..).unwrap_or_default();
    let under_way = MOVING.iter().filter_map(|column| grew(column, warm, "after the first fifth"));
    let resting = AT_REST.iter().filter_map(|column| grew(column, rest, "at rest"));
    under_way.chain(resting).collect()
}

/// The last against the first: a peak in between that is gone is none.
fn grew((name, of, may): &Column, samples: &[Sample], when: &str) -> Option<String> {
    let (first, last) = (of(samples.first()?), of(samples.last()?));
    (last > first + may).then(|| format!("{name} {when}: from {first} to {last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(descriptors: &[u64]) -> Vec<Sample> {
        descriptors.iter().map(|n| Sample { descriptors: *n, ..Sample::default() }).collect()
    }

    #[test]
    fn warming_up_is_no_growth() {
        assert!(growth(&series(&[10, 500, 500, 510]), &series(&[10, 10])).is_empty());
    }

    #[test]
    fn a_descriptor_more_at_rest_is_growth() {
        let said = growth(&series(&[10, 10, 10]), &series(&[10, 11]));
        assert_eq!(said, ["descriptors at rest: from 10 to 11"]);
    }

    #[test]
    fn many_more_under_way_are_growth() {
        let said = growth(&series(&[10, 20, 300, 500]), &[]);
        assert_eq!(said, ["descriptors after the first fifth: from 20 to 500"]);
    }
}
