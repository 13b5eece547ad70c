//! systemd's time spans and sizes (systemd.time(7)).

use std::time::Duration;

/// Longest time that a definition has: ten years.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// `5min 20s`, `90`, `1.5h`; `infinity` is [`Duration::MAX`].
pub(super) fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "infinity" {
        return Some(Duration::MAX);
    }
    let (mut rest, mut total, mut any) = (text, 0.0_f64, false);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        let tail = rest[digits..].trim_start();
        let end = tail.find(|c: char| !c.is_alphabetic()).unwrap_or(tail.len());
        total += number * unit(&tail[..end])?;
        rest = tail[end..].trim_start();
        any = true;
    }
    // Spans are written with at most a few digits: no more than a microsecond is meant.
    let rounded = (total * 1e6).round() / 1e6;
    (any && rounded.is_finite()).then(|| Duration::try_from_secs_f64(rounded).unwrap_or(LONGEST).min(LONGEST))
}

fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "ms" | "msec" => 1e-3,
        "us" | "usec" | "µs" => 1e-6,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        "M" | "month" | "months" => 2_629_800.0,
        "y" | "year" | "years" => 31_557_600.0,
        _ => return None,
    })
}

/// `infinity` as a definition has it where 0 means none.
pub(super) fn or_none(span: Duration) -> Duration {
    if span == Duration::MAX { Duration::ZERO } else { span }
}

/// Where there is no such thing as none.
pub(super) fn or_longest(span: Duration) -> Duration {
    span.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, millis) in [
            ("90", Some(90_000)),
            ("5min 20s", Some(320_000)),
            ("1.5h", Some(5_400_000)),
            ("500ms", Some(500)),
            ("100ms10us", Some(100)),
            ("", None),
            ("soon", None),
            ("5x", None),
            ("-1", None),
        ] {
            assert_eq!(span(text).map(|span| span.as_millis()), millis, "{text}");
        }
        assert_eq!(or_none(span("infinity").unwrap()), Duration::ZERO);
        assert_eq!(or_longest(span("infinity").unwrap()), LONGEST);
        assert_eq!(span("99999 years"), Some(LONGEST));
    }
}
