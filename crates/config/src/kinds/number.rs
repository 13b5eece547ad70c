//! Values that are numbers with a unit: times, sizes, counts, shares.

use std::time::Duration;

use serde_yaml::Value;

use super::{Kind, replaced_as_a_whole, scalar};
use crate::fault::Faults;
use crate::tree::{Node, Yaml, quoted, short};

/// A time in seconds, or with units.
pub(crate) struct Seconds;

/// Longest time: ten years. Beyond it a number is a mistake (1e30), not a wish.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

const NANOS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

const TIMES: &str = "write seconds (5, 0.5) or a time such as 500ms, 2m or 1h30m; at most 10 years";

impl Kind for Seconds {
    type Value = Duration;
    const WORDS: &'static str = "seconds (`5`, `0.5`) or a time (`500ms`, `2m`, `1h30m`)";

    fn read(node: &Node, faults: &mut Faults) -> Option<Duration> {
        let text = match &node.value {
            Yaml::Bool(..) => None,
            value => value.text(),
        };
        let Some(text) = text.map(str::trim) else {
            faults.value(format!("expected a time, found {}", node.value), TIMES);
            return None;
        };
        let bare = text.strip_prefix('-').unwrap_or(text);
        let parsed = if matches!(node.value, Yaml::Number(_)) { number(bare) } else { time(bare) };
        let message = match parsed {
            Some(nanos) if bare.len() != text.len() && nanos > 0 => format!("{} is negative", short(text)),
            Some(nanos) if nanos > LONGEST.as_nanos() => format!("{} is more than 10 years", short(text)),
            Some(nanos) => return u64::try_from(nanos).ok().map(Duration::from_nanos),
            None => format!("expected a time, found {}", quoted(text)),
        };
        faults.value(message, TIMES);
        None
    }

    fn check(value: &Duration, faults: &mut Faults) {
        if *value > LONGEST {
            faults.value("more than 10 years", TIMES);
        }
    }

    fn write(value: &Duration) -> Value {
        if value.subsec_nanos() == 0 {
            return value.as_secs().into();
        }
        // A text, because a YAML float doesn't hold ten years in nanoseconds.
        let text = format!("{}.{:09}", value.as_secs(), value.subsec_nanos());
        format!("{}s", text.trim_end_matches('0')).into()
    }

    replaced_as_a_whole!();
}

/// Nanoseconds of a plain YAML number: decimal as it stands, anything else (`1e1`, `.5`, `.inf`) by way of a float.
fn number(text: &str) -> Option<u128> {
    if let Some(exact) = decimal(text, 1_000_000_000) {
        return Some(exact);
    }
    let seconds: f64 = text.parse().ok().filter(|s: &f64| !s.is_nan())?;
    Some(Duration::try_from_secs_f64(seconds).map_or(u128::MAX, |d| d.as_nanos()))
}

/// `1h30m`, `500ms`, `5`: numbers with units, the largest unit first; a number alone is seconds.
pub(super) fn time(text: &str) -> Option<u128> {
    if let Some(seconds) = decimal(text, 1_000_000_000) {
        return Some(seconds);
    }
    let (mut rest, mut total, mut last) = (text, 0_u128, u128::MAX);
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (digits, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, nanos) = NANOS.iter().find(|(name, _)| *name == unit)?;
        if *nanos >= last {
            return None;
        }
        total = total.checked_add(decimal(digits.trim(), *nanos)?)?;
        (rest, last) = (tail.trim_start(), *nanos);
    }
    (last != u128::MAX).then_some(total)
}

/// A decimal number times `unit`, exact, cut off below one. `None` when it is something else. Saturates.
pub(super) fn decimal(text: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // Digits that stand for less than 1/10^18 of a unit don't change the result.
    let fraction = fraction.get(..fraction.len().min(18)).unwrap_or(fraction);
    let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(18));
    let part = fraction.parse::<u128>().ok()?.saturating_mul(unit) / scale;
    Some(whole.parse::<u128>().unwrap_or(u128::MAX).saturating_mul(unit).saturating_add(part))
}

/// A size in bytes.
pub(crate) struct Bytes;

const UNITS: [(&str, u128); 17] = [
    ("", 1),
    ("B", 1),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

const SIZES: &str = "write bytes, or a size such as 64K, 10M or 1GiB";
/// Largest size: what a file offset can hold.
const LARGEST: u64 = i64::MAX.unsigned_abs();

pub(super) fn size(node: &Node, faults: &mut Faults) -> Option<u64> {
    let text = match &node.value {
        Yaml::Bool(..) => None,
        value => value.text(),
    };
    let Some(text) = text.map(str::trim) else {
        faults.value(format!("expected a size, found {}", node.value), SIZES);
        return None;
    };
    let found = exact_bytes(text);
    let message = match found {
        Some(bytes) if bytes > u128::from(LARGEST) => format!("{} is more than a file can hold", short(text)),
        Some(bytes) => return u64::try_from(bytes).ok(),
        None if text.starts_with('-') => format!("{} is negative", quoted(text)),
        None => format!("expected a size, found {}", quoted(text)),
    };
    faults.value(message, SIZES);
    None
}

/// `64K`, `10 M`, `4096`.
fn exact_bytes(text: &str) -> Option<u128> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let (_, bytes) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    decimal(digits.trim(), *bytes)
}

/// The same as far as it fits.
pub(super) fn bytes(text: &str) -> Option<u64> {
    exact_bytes(text).and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes <= LARGEST)
}

/// The largest unit that leaves no rest.
pub(super) fn size_text(bytes: u64) -> Value {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes > 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift).into();
        }
    }
    bytes.into()
}

impl Kind for Bytes {
    type Value = u64;
    const WORDS: &'static str = "bytes, or a size: `64K`, `10M`, `1GiB` (1024 each), `10MB` (1000 each)";

    fn read(node: &Node, faults: &mut Faults) -> Option<u64> {
        size(node, faults)
    }

    fn check(value: &u64, faults: &mut Faults) {
        if *value > LARGEST {
            faults.value(format!("{value} is more than a file can hold"), SIZES);
        }
    }

    fn write(value: &u64) -> Value {
        size_text(*value)
    }

    replaced_as_a_whole!();
}

/// The length of a line in bytes: each stream keeps a buffer of that size.
pub(crate) struct LineBytes;

const LINE: std::ops::RangeInclusive<u32> = 64..=16 << 20;

impl Kind for LineBytes {
    type Value = u32;
    const WORDS: &'static str = "a size from 64 bytes to `16M`";

    fn read(node: &Node, faults: &mut Faults) -> Option<u32> {
        // Too large for u32 is too large for `check`, which says so.
        size(node, faults).map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    fn check(value: &u32, faults: &mut Faults) {
        if !LINE.contains(value) {
            faults.value("a line's limit is out of range", "write a size from 64 bytes to 16M");
        }
    }

    fn write(value: &u32) -> Value {
        size_text(u64::from(*value))
    }

    replaced_as_a_whole!();
}

/// How often or how many.
pub(crate) struct Count;

/// Each start of the window and each rotated file costs memory or a rename, so neither is without an end.
const MOST: u32 = 10_000;

fn count(node: &Node, least: u32, faults: &mut Faults) -> Option<u32> {
    let hint = format!("write a whole number from {least} to {MOST}");
    let Yaml::Number(text) = &node.value else {
        faults.value(format!("expected a number, found {}", node.value), hint);
        return None;
    };
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u32>() {
        Ok(value) if digits && (least..=MOST).contains(&value) => Some(value),
        _ => {
            faults.value(format!("{} is not a whole number from {least} to {MOST}", short(text)), hint);
            None
        }
    }
}

impl Kind for Count {
    type Value = u32;
    const WORDS: &'static str = "a whole number from 0 to 10000";

    fn read(node: &Node, faults: &mut Faults) -> Option<u32> {
        count(node, 0, faults)
    }

    fn check(value: &u32, faults: &mut Faults) {
        if *value > MOST {
            faults.value(format!("{value} is more than {MOST}"), "write a smaller number");
        }
    }

    fn write(value: &u32) -> Value {
        (*value).into()
    }

    replaced_as_a_whole!();
}

/// How often at least once.
pub(crate) struct Times;

impl Kind for Times {
    type Value = u32;
    const WORDS: &'static str = "a whole number from 1 to 10000";

    fn read(node: &Node, faults: &mut Faults) -> Option<u32> {
        count(node, 1, faults)
    }

    fn check(value: &u32, faults: &mut Faults) {
        Count::check(value, faults);
        if *value == 0 {
            faults.value("0 times is never", "write 1 or more");
        }
    }

    fn write(value: &u32) -> Value {
        (*value).into()
    }

    replaced_as_a_whole!();
}

/// A share from 0 to 1.
pub(crate) struct Ratio;

impl Kind for Ratio {
    type Value = f64;
    const WORDS: &'static str = "a number from 0 to 1";

    fn read(node: &Node, faults: &mut Faults) -> Option<f64> {
        let text = scalar(node, "a number from 0 to 1", faults)?;
        let value: Option<f64> = text.parse().ok().filter(|v| (0.0..=1.0).contains(v));
        if value.is_none() {
            let hint = if text.ends_with('%') { "write 10% as 0.1" } else { "write a share such as 0.1" };
            faults.value(format!("expected a number from 0 to 1, found {}", quoted(text)), hint);
        }
        value
    }

    fn check(value: &f64, faults: &mut Faults) {
        if !(0.0..=1.0).contains(value) {
            faults.value(format!("{value} is not from 0 to 1"), "write a share such as 0.1");
        }
    }

    fn write(value: &f64) -> Value {
        (*value).into()
    }

    replaced_as_a_whole!();
}
