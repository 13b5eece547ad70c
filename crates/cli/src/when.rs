//! Moments as people write them, in the local time zone.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};
use model::Wall;

use crate::units::parse_duration;

const ACCEPTED: &str = "write 2026-11-21, '2026-11-21 10:00', 10:00, today, yesterday, now, 10s, -1h30m, '2h ago', \
                        @1795250000 or 2026-11-21T10:00:00Z";

/// The moment that a text means at the moment `now`.
pub(crate) fn parse(text: &str, now: Wall, zone: &TimeZone) -> Result<Wall, String> {
    let text = text.trim();
    find(text, now, zone).ok_or_else(|| format!("{text:?} is no time; {ACCEPTED}"))
}

fn find(text: &str, now: Wall, zone: &TimeZone) -> Option<Wall> {
    let ago = text.strip_suffix("ago").map(str::trim_end).or_else(|| text.strip_prefix('-'));
    // `10s` alone can't mean anything else. A number needs its unit: `10` may be an hour, a day, or seconds.
    let span = ago.unwrap_or(text);
    let has_unit = span.ends_with(|c: char| c.is_ascii_alphabetic());
    if let Some(span) = parse_duration(&short(span)).ok().filter(|_| has_unit) {
        return Some(Wall(now.0.saturating_sub(u64::try_from(span.as_nanos()).ok()?)));
    }
    if ago.is_some() {
        return None;
    }
    if let Some(epoch) = text.strip_prefix('@') {
        let digits = epoch.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let since = parse_duration(epoch).ok().filter(|_| digits)?;
        return Some(Wall::default().after(since));
    }
    let today = zoned(now, zone)?.start_of_day().ok()?;
    let moment = match text {
        "now" => return Some(now),
        "today" => today,
        "yesterday" => today.checked_sub(1.day()).ok()?,
        _ => {
            if let Ok(exact) = text.parse::<Timestamp>() {
                return wall(exact);
            }
            // A bare number is no time of day, although "1000" could be read as one.
            let date = text.as_bytes().get(4) == Some(&b'-');
            let local = match text.parse::<DateTime>() {
                Ok(local) if date => local,
                _ if text.contains(':') => today.date().to_datetime(text.parse::<Time>().ok()?),
                _ => return None,
            };
            zone.to_zoned(local).ok()?
        }
    };
    wall(moment.timestamp())
}

/// `1 minute` and `1min` as the daemon's files write it: `1m`.
fn short(span: &str) -> String {
    const WORDS: [(&str, &str); 12] = [
        ("seconds", "s"),
        ("second", "s"),
        ("secs", "s"),
        ("sec", "s"),
        ("minutes", "m"),
        ("minute", "m"),
        ("mins", "m"),
        ("min", "m"),
        ("hours", "h"),
        ("hour", "h"),
        ("days", "d"),
        ("day", "d"),
    ];
    let mut text = String::new();
    let mut rest = span.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        text.push_str(number.trim());
        text.push_str(WORDS.iter().find(|(word, _)| *word == unit).map_or(unit, |(_, letter)| letter));
        rest = tail;
    }
    text
}

/// `2026-11-21 19:03:04.120+01:00`, as a clock on the wall shows it, and where that wall is: what people read is in the
/// local time zone with its offset, what programs read (JSON, YAML) is in UTC.
pub(crate) fn local(at: Wall, zone: &TimeZone) -> String {
    written(at, zone, "%Y-%m-%d %H:%M:%S%.3f%:z")
}

/// The length of [`local`].
pub(crate) const LOCAL_WIDTH: usize = "2026-11-21 19:03:04.120+01:00".len();

fn written(at: Wall, zone: &TimeZone, format: &str) -> String {
    zoned(at, zone).map_or_else(|| at.to_string(), |at| at.strftime(format).to_string())
}

/// The time now, where the user is.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    pub(crate) now: Wall,
    pub(crate) zone: TimeZone,
}

impl Clock {
    /// `2026-11-21 19:03:04+01:00`
    pub(crate) fn moment(&self, at: Wall) -> String {
        written(at, &self.zone, "%Y-%m-%d %H:%M:%S%:z")
    }

    /// How long ago that is.
    pub(crate) fn since(&self, at: Wall) -> Duration {
        self.now.since(at)
    }
}

fn zoned(at: Wall, zone: &TimeZone) -> Option<Zoned> {
    Timestamp::from_nanosecond(at.0.into()).ok().map(|at| at.to_zoned(zone.clone()))
}

fn wall(at: Timestamp) -> Option<Wall> {
    u64::try_from(at.as_nanosecond()).ok().map(|nanos| Wall::default().after(Duration::from_nanos(nanos)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T18:03:04.500Z
    const NOW: Wall = Wall(1_795_284_184_500_000_000);

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn what_people_write_is_understood() {
        for (text, expected) in [
            ("now", "2026-11-21T18:03:04.500Z"),
            ("today", "2026-11-20T23:00:00.000Z"),
            ("yesterday", "2026-11-19T23:00:00.000Z"),
            ("-1h30m", "2026-11-21T16:33:04.500Z"),
            ("10s", "2026-11-21T18:02:54.500Z"),
            ("5m", "2026-11-21T17:58:04.500Z"),
            ("2h", "2026-11-21T16:03:04.500Z"),
            ("-10s", "2026-11-21T18:02:54.500Z"),
            ("2h ago", "2026-11-21T16:03:04.500Z"),
            ("90s ago", "2026-11-21T18:01:34.500Z"),
            ("1 minute ago", "2026-11-21T18:02:04.500Z"),
            ("1min", "2026-11-21T18:02:04.500Z"),
            ("1 hour 30 mins ago", "2026-11-21T16:33:04.500Z"),
            ("-2days", "2026-11-19T18:03:04.500Z"),
            ("10:00", "2026-11-21T09:00:00.000Z"),
            ("10:00:30", "2026-11-21T09:00:30.000Z"),
            ("2026-11-21", "2026-11-20T23:00:00.000Z"),
            ("2026-07-01 10:00", "2026-07-01T08:00:00.000Z"),
            ("2026-11-21 10:00:00", "2026-11-21T09:00:00.000Z"),
            ("2026-11-21T10:00:00.25", "2026-11-21T09:00:00.250Z"),
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000Z"),
            ("2026-11-21T10:00:00+02:00", "2026-11-21T08:00:00.000Z"),
            ("@1795284184", "2026-11-21T18:03:04.000Z"),
            ("@1795284184.5", "2026-11-21T18:03:04.500Z"),
            // Summer time has no such hour, and has this one twice: the first one counts.
            ("2026-03-29 02:30", "2026-03-29T01:30:00.000Z"),
            ("2026-10-25 02:30", "2026-10-25T00:30:00.000Z"),
        ] {
            assert_eq!(
                parse(text, NOW, &berlin()).map(|at| at.to_string()).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_time_says_what_is() {
        for text in
            ["", "tomorrow", "10", "1000", "25:00", "2026-13-01", "-5", "5 ago", "@", "@x", "@1h", "-", "ago"]
        {
            let error = parse(text, NOW, &berlin()).unwrap_err();
            assert!(error.contains("is no time; write 2026-11-21"), "{text}: {error}");
        }
    }

    #[test]
    fn times_are_shown_as_on_the_wall() {
        assert_eq!(local(NOW, &berlin()), "2026-11-21 19:03:04.500+01:00");
        assert_eq!(local(NOW, &berlin()).len(), LOCAL_WIDTH);
        let clock = Clock { now: NOW, zone: berlin() };
        assert_eq!(clock.moment(NOW), "2026-11-21 19:03:04+01:00");
        // What is shown can be given back.
        for shown in [local(NOW, &berlin()), clock.moment(NOW)] {
            let read = parse(&shown, NOW, &TimeZone::UTC).unwrap();
            assert!(NOW.since(read) < Duration::from_secs(1), "{shown}");
        }
    }
}
