//! Text to values and back: durations, bytes, times.

use std::time::Duration;

use model::{Output, Wall};

/// Units of time in seconds, the largest first.
const TIME_UNITS: [(&str, f64); 7] =
    [("d", 86_400.0), ("h", 3_600.0), ("m", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)];

/// A time as in processes.yaml: seconds as a number, or numbers with units, the largest first: `5`, `0.5`, `500ms`,
/// `2m`, `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds = decimal(text).or_else(|| with_units(text));
    let seconds = seconds.ok_or("write seconds (5, 0.5) or a time such as 500ms, 2m or 1h30m")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "that is too long".to_owned())
}

fn with_units(text: &str) -> Option<f64> {
    let (mut rest, mut total, mut units) = (text, 0.0, &TIME_UNITS[..]);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_alphabetic())?);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let at = units.iter().position(|(name, _)| *name == unit)?;
        total += decimal(number)? * units[at].1;
        (rest, units) = (tail, &units[at + 1..]);
    }
    (!text.is_empty()).then_some(total)
}

/// Digits with at most one point between them; no sign, no exponent, no infinity.
fn decimal(text: &str) -> Option<f64> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if digits(whole) && digits(fraction) { text.parse().ok() } else { None }
}

/// A size as in processes.yaml: bytes, or a number with `K M G T`, `KiB` and so on (1024 each), or `kB MB GB` (1000 each).
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let unit = unit.to_ascii_lowercase();
    let power = |letter: &str| ["", "k", "m", "g", "t"].iter().position(|known| *known == letter);
    let power = |letter: &str| power(letter).and_then(|power| u32::try_from(power).ok());
    let factor = match unit.strip_suffix('b') {
        Some(rest) if !rest.ends_with('i') => power(rest).map(|power| 1000_u128.pow(power)),
        rest => {
            let binary = rest.unwrap_or(&unit);
            power(binary.strip_suffix('i').unwrap_or(binary)).map(|power| 1024_u128.pow(power))
        }
    };
    let bytes = factor.and_then(|factor| exact(digits, factor)).and_then(|bytes| i64::try_from(bytes).ok());
    let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
    bytes.ok_or_else(|| "write bytes, or a size such as 512M or 1GiB".to_owned())
}

/// Processors, or percent of one, in thousandths.
pub(crate) fn parse_processors(text: &str) -> Result<u64, String> {
    let millis = match text.strip_suffix('%') {
        Some(percent) => exact(percent, 10),
        None => exact(text, 1000),
    };
    let millis = millis.and_then(|millis| u32::try_from(millis).ok());
    millis.map(u64::from).ok_or_else(|| "write processors (1.5) or percent of one (150%)".to_owned())
}

/// A decimal number times `unit`, cut off below one.
fn exact(text: &str, unit: u128) -> Option<u128> {
    decimal(text)?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction = fraction.get(..fraction.len().min(15)).unwrap_or(fraction);
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = fraction.parse::<u128>().ok()? * unit / scale;
    whole.parse::<u128>().ok()?.checked_mul(unit)?.checked_add(part)
}

/// `capture`, `null`, `inherit`, `direct:/path` or a path. A bare word is no path: it would rather be a misspelt target.
pub(crate) fn parse_output(text: &str) -> Result<Output, String> {
    let (direct, path) = text.strip_prefix("direct:").map_or((false, text), |path| (true, path));
    Ok(match path {
        "capture" if !direct => Output::Capture,
        "null" if !direct => Output::Null,
        "inherit" if !direct => Output::Inherit,
        path if !path.contains(['/', '.']) => {
            let file = if path.is_empty() { "FILE" } else { path };
            return Err(format!(
                "write capture, null, inherit, direct:FILE or a file (./{file} for one in this directory)"
            ));
        }
        path if direct => Output::Direct(path.into()),
        path => Output::File(path.into()),
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

/// A span in which a tenth of a second may tell something: `3.2s`, else as [`span`].
pub(crate) fn shortly(d: Duration) -> String {
    // Below ten seconds only: whether a crash came after 1.1 or 1.9 s tells something, after hours it doesn't.
    let short = Duration::from_secs(1)..Duration::from_millis(9_950);
    if short.contains(&d) { format!("{:.1}s", d.as_secs_f64()) } else { span(d) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, ms) in [
            ("5", 5_000),
            ("0.5", 500),
            ("500ms", 500),
            ("5s", 5_000),
            ("2m", 120_000),
            ("0", 0),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1.5m", 90_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        let huge = "9".repeat(30);
        for text in
            ["", "x", "-1", "5x", "nan", "inf", "1e30", "s", "1 s", "30m1h", "1s1s", "1s5", ".5", &huge]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_processors_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1K", 1024),
            ("64MiB", 64 << 20),
            ("1.5G", 3 << 29),
            ("2MB", 2_000_000),
            ("7b", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "x", "-1", "1X", "iB", "1 M", "1e3", "99999999T"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for (text, millis) in [("1.5", 1500), ("150%", 1500), ("0.001", 1), ("33.3%", 333)] {
            assert_eq!(parse_processors(text), Ok(millis), "{text}");
        }
        for text in ["", "%", "fast", "-1", "1e9", "99999999999"] {
            assert!(parse_processors(text).is_err(), "{text}");
        }
    }

    #[test]
    fn targets_of_output_are_read() {
        for (text, output) in [
            ("capture", Output::Capture),
            ("null", Output::Null),
            ("inherit", Output::Inherit),
            ("/x/null", Output::File("/x/null".into())),
            ("out.log", Output::File("out.log".into())),
            ("./null", Output::File("./null".into())),
            ("direct:/x", Output::Direct("/x".into())),
        ] {
            assert_eq!(parse_output(text), Ok(output), "{text}");
        }
        for text in ["", "capure", "direct:", "direct:null"] {
            assert!(parse_output(text).is_err(), "{text}");
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
        for (ms, text) in [(250, "250ms"), (3_240, "3.2s"), (9_949, "9.9s"), (9_950, "9s"), (12_900, "12s")] {
            assert_eq!(shortly(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn sizes_and_moments() {
        assert_eq!(
            (bytes(17), bytes(4096), bytes(3 << 30)),
            ("17 B".into(), "4.0 KiB".into(), "3.0 GiB".into())
        );
    }
}
