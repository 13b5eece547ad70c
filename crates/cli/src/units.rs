//! Text to values and back: durations, bytes, times.

use std::time::Duration;

use model::{Output, Wall};

/// Seconds as a number, or with a unit: `5`, `0.5`, `500ms`, `5s`, `2m`, `1h`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is not a unit; use ms, s, m or h")),
    };
    let value: f64 = number.parse().map_err(|_| "write seconds, or for example 500ms, 5s, 2m".to_owned())?;
    Duration::try_from_secs_f64(value * scale).map_err(|e| e.to_string())
}

/// `capture`, `null`, `inherit`, `direct:/path` or a path.
pub(crate) fn parse_output(text: &str) -> Result<Output, String> {
    Ok(match text {
        "" => return Err("write capture, null, inherit, direct:/path or a path".to_owned()),
        "capture" => Output::Capture,
        "null" => Output::Null,
        "inherit" => Output::Inherit,
        path => match path.strip_prefix("direct:") {
            Some(path) => Output::Direct(path.into()),
            None => Output::File(path.into()),
        },
    })
}

/// A span of time in its two largest units: `3d 4h`, `2h 5m`, `5m 3s`, `12s`, `250ms`.
pub(crate) fn span(d: Duration) -> String {
    let s = d.as_secs();
    let (days, hours, minutes) = (s / 86_400, s / 3_600 % 24, s / 60 % 60);
    match (days, hours, minutes, s % 60) {
        (0, 0, 0, 0) if d.is_zero() => "0s".to_owned(),
        (0, 0, 0, 0) => format!("{}ms", d.as_millis().max(1)),
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, s) => format!("{m}m {s}s"),
        (0, h, m, _) => format!("{h}h {m}m"),
        (d, h, _, _) => format!("{d}d {h}h"),
    }
}

/// A setting exactly: `1.5s`, `60s`, `0s`.
pub(crate) fn setting(d: Duration) -> String {
    format!("{}s", d.as_secs_f64())
}

/// `4.0 KiB`, `12.3 MiB`, `17 B`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn bytes(n: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, size)| n >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", n as f64 / size as f64),
        None => format!("{n} B"),
    }
}

/// From the wire; a time before 1970 is shown as 1970.
pub(crate) fn wall(t: &prost_types::Timestamp) -> Wall {
    let seconds = u64::try_from(t.seconds).unwrap_or(0);
    Wall(seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(t.nanos).unwrap_or(0)))
}

/// From the wire; a negative span is shown as none.
pub(crate) fn duration(d: prost_types::Duration) -> Duration {
    Duration::try_from(d).unwrap_or_default()
}

/// `2026-11-20 18:37:30 UTC`
pub(crate) fn moment(at: Wall) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    format!("{day} {time} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, ms) in
            [("5", 5_000), ("0.5", 500), ("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("0", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "x", "-1", "5x", "nan", "inf", "1e30", "s", "1 s"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_are_shown() {
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (12_900, "12s"),
            (303_000, "5m 3s"),
            (7_500_000, "2h 5m"),
            (273_600_000, "3d 4h"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text);
        }
        assert_eq!(span(Duration::from_nanos(1)), "1ms");
    }

    #[test]
    fn sizes_and_moments() {
        assert_eq!(
            (bytes(17), bytes(4096), bytes(3 << 30)),
            ("17 B".into(), "4.0 KiB".into(), "3.0 GiB".into())
        );
        assert_eq!(moment(Wall(1_795_199_850_123_456_789)), "2026-11-20 18:37:30 UTC");
    }
}
