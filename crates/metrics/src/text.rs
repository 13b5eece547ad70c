//! Writes the exposition: family by family into a buffer that is sent when it is full, nothing built in between.
//!
//! Values are whole numbers, or whole nanoseconds written as seconds: exact, and ten times as fast as floating point.
//! The text format 0.0.4, or OpenMetrics: the same but for the end and for the names of counters in what describes them.
//!
//! There are some 70 samples for each process, so a sample costs a few copies and no allocation
//! ([ADR 0025](../../../docs/adr/0025-scrape-cost.md)).

mod family;
mod sink;

use std::io::Write as _;
use std::time::Duration;

use hyper::body::Bytes;
use model::Wall;
use prometheus::proto::{LabelPair, MetricFamily, MetricType};

use crate::names::{Kind, Metric};
pub(crate) use family::Family;
use sink::{Outlet, Sink};
pub(crate) use sink::{Piece, Pieces};

/// What OpenMetrics leaves out in the name of a counter's family.
const TOTAL: &str = "_total";

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number of things, or bytes.
    Count(u64),
    /// A time in nanoseconds, written in seconds.
    Nanos(u64),
    /// What the library has measured.
    Float(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Count(flag.into())
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Nanos(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Wall> for Value {
    fn from(time: Wall) -> Self {
        Self::Nanos(time.0)
    }
}

/// How an exposition is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// The text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// What is written before it is passed on: small enough for the processor's cache, from which it is sent as well.
const CHUNK: usize = 64 * 1024;
/// Room for the sample that goes beyond it, so that the buffer does not grow: labels of processes are short.
const SAMPLE: usize = 8 * 1024;

/// An exposition in the making.
#[derive(Debug)]
pub(crate) struct Text {
    format: Format,
    /// What is not passed on yet: it begins with a line.
    out: Vec<u8>,
    sink: Sink,
    /// Bytes that were passed on.
    passed: usize,
}

impl Text {
    /// An empty one that stays in memory.
    pub(crate) fn whole(format: Format, gzip: bool) -> Self {
        Self::into_outlet(format, Outlet::Whole(Vec::new()), gzip)
    }

    /// An empty one that goes to a client while it is written.
    pub(crate) fn sent(format: Format, gzip: bool, to: Pieces) -> Self {
        Self::into_outlet(format, Outlet::pieces(to, CHUNK), gzip)
    }

    fn into_outlet(format: Format, outlet: Outlet, gzip: bool) -> Self {
        Self { format, out: Vec::with_capacity(CHUNK + SAMPLE), sink: Sink::new(outlet, gzip), passed: 0 }
    }

    /// What was written, unless it went to a client.
    pub(crate) fn finish(mut self) -> Bytes {
        if self.format == Format::OpenMetrics {
            self.push("# EOF\n");
        }
        self.sink.finish(self.out)
    }

    fn pass(&mut self) {
        self.passed += self.out.len();
        self.sink.take(&mut self.out);
    }

    /// Where the next family begins: for [`Text::rewind`].
    pub(crate) fn mark(&self) -> usize {
        self.passed + self.out.len()
    }

    /// Takes back what was written since, or what of it was not passed on. That begins with a line, so no sample is cut.
    pub(crate) fn rewind(&mut self, mark: usize) {
        self.out.truncate(mark.saturating_sub(self.passed));
    }

    /// The samples of one metric. All of them belong in one family, one after the other; one without samples leaves no
    /// trace.
    pub(crate) fn family(&mut self, metric: &'static Metric) -> Family<'_> {
        Family::new(self, metric)
    }

    /// A family of one sample without labels.
    pub(crate) fn single(&mut self, metric: &'static Metric, value: impl Into<Value>) {
        self.family(metric).add(&[], value);
    }

    /// A family of at most one sample without labels.
    pub(crate) fn optional(&mut self, metric: &'static Metric, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.single(metric, value);
        }
    }

    /// A family that the library keeps: a counter or a histogram.
    pub(crate) fn library(&mut self, metric: &'static Metric, family: &MetricFamily) {
        debug_assert_eq!(family.name(), metric.name);
        let mut out = self.family(metric);
        for sample in family.get_metric() {
            let labels: Vec<&str> = sample.get_label().iter().map(LabelPair::value).collect();
            match family.get_field_type() {
                MetricType::COUNTER => out.add(&labels, Value::Float(sample.get_counter().get_value())),
                MetricType::HISTOGRAM => {
                    let histogram = sample.get_histogram();
                    let buckets = histogram.get_bucket().iter();
                    let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
                    let sum = Value::Float(histogram.get_sample_sum());
                    out.add_histogram(&labels, buckets, sum, histogram.get_sample_count());
                }
                _ => debug_assert!(false, "{} is neither counter nor histogram", metric.name),
            }
        }
    }

    fn describe(&mut self, metric: &Metric) {
        let bare = match (metric.kind, self.format) {
            (Kind::Counter, Format::OpenMetrics) => metric.name.strip_suffix(TOTAL),
            _ => None,
        };
        for (what, text) in [("HELP", metric.help), ("TYPE", metric.kind.as_str())] {
            for piece in ["# ", what, " ", bare.unwrap_or(metric.name), " ", text, "\n"] {
                self.push(piece);
            }
        }
    }

    #[inline]
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A label's value as both formats want it.
    fn push_escaped(&mut self, mut text: &str) {
        while let Some(at) = text.find(['\\', '"', '\n']) {
            let (plain, rest) = text.split_at(at);
            self.push(plain);
            self.push(match rest.as_bytes()[0] {
                b'\n' => "\\n",
                b'"' => "\\\"",
                _ => "\\\\",
            });
            text = &rest[1..];
        }
        self.push(text);
    }

    /// The value and the end of the line.
    #[inline]
    fn value(&mut self, value: Value) {
        match value {
            // Most values are a flag or a count that is still small.
            Value::Count(count @ 0..10) => self.out.extend_from_slice(&[digit(count), b'\n']),
            Value::Count(count) => self.number(count, None),
            Value::Nanos(nanos) => self.number(nanos / BILLION, Some(nanos % BILLION)),
            Value::Float(value) => writeln!(self.out, "{value}").expect("a Vec takes everything"),
        }
        if self.out.len() >= CHUNK {
            self.pass();
        }
    }

    /// A whole number, billionths, and the end of the line: a third of the time of the library's formatting.
    fn number(&mut self, mut whole: u64, billionths: Option<u64>) {
        // The largest one has 20 digits, a point, 9 digits and the end of the line.
        let mut text = [b'\n'; 32];
        let mut from = 20;
        while from == 20 || whole > 0 {
            from -= 1;
            text[from] = digit(whole % 10);
            whole /= 10;
        }
        let mut end = 20;
        if let Some(mut rest) = billionths.filter(|rest| *rest > 0) {
            text[20] = b'.';
            for at in (21..30).rev() {
                text[at] = digit(rest % 10);
                rest /= 10;
            }
            end = 21 + text[21..30].iter().rposition(|b| *b != b'0').map_or(0, |last| last + 1);
            text[end] = b'\n';
        }
        self.out.extend_from_slice(&text[from..=end]);
    }
}

const BILLION: u64 = 1_000_000_000;

/// `number` is below 10.
fn digit(number: u64) -> u8 {
    b'0' + u8::try_from(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::names::{BUILD_INFO, LOG_LINES, PROCESS_RESTARTS, PROCESS_UP, SPAWN_DURATION, TURN_TIME};

    fn text_in(format: Format, write: impl FnOnce(&mut Text)) -> String {
        let mut out = Text::whole(format, false);
        write(&mut out);
        String::from_utf8(out.finish().into()).unwrap()
    }

    fn text(write: impl FnOnce(&mut Text)) -> String {
        text_in(Format::Text, write)
    }

    fn value(value: impl Into<Value>) -> String {
        let text = text(|out| out.single(&TURN_TIME, value));
        text.lines().last().unwrap().rsplit_once(' ').unwrap().1.to_owned()
    }

    #[test]
    fn values_are_exact() {
        assert_eq!(value(0_u64), "0");
        assert_eq!(value(10_u64), "10");
        assert_eq!(value(true), "1");
        assert_eq!(value(9_u64), "9");
        assert_eq!(value(u64::MAX), "18446744073709551615");
        assert_eq!(value(Wall(u64::MAX)), "18446744073.709551615");
        assert_eq!(value(Duration::from_nanos(1)), "0.000000001");
        assert_eq!(value(Duration::ZERO), "0");
        assert_eq!(value(Duration::from_secs(100)), "100");
        assert_eq!(value(Duration::from_millis(1500)), "1.5");
        assert_eq!(value(Duration::from_nanos(1_000_000_001)), "1.000000001");
        assert_eq!(value(Duration::from_micros(10)), "0.00001");
        assert_eq!(value(Wall(1_795_199_850_500_000_000)), "1795199850.5");
        assert_eq!(value(Value::Float(0.1)), "0.1");
    }

    #[test]
    fn open_metrics_names_the_families_of_counters_without_total() {
        let open = text_in(Format::OpenMetrics, |out| {
            out.family(&PROCESS_RESTARTS).add(&["web"], 3_u64);
            out.family(&PROCESS_UP).add(&["web"], true);
        });
        let expected = "\
            # HELP ddprocmgr_process_restarts Automatic restarts of the managed process.\n\
            # TYPE ddprocmgr_process_restarts counter\n\
            ddprocmgr_process_restarts_total{process=\"web\"} 3\n\
            # HELP ddprocmgr_process_up Whether the main process is alive (1) or not (0).\n\
            # TYPE ddprocmgr_process_up gauge\n\
            ddprocmgr_process_up{process=\"web\"} 1\n\
            # EOF\n";
        assert_eq!(open, expected);
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let text_of_both = text(|out| {
            out.family(&PROCESS_UP).add(&["web"], true);
            let mark = out.mark();
            out.family(&PROCESS_RESTARTS).add(&["web"], 3_u64);
            out.rewind(mark);
        });
        let alone = text(|out| out.family(&PROCESS_UP).add(&["web"], true));
        assert_eq!(text_of_both, alone);
        assert!(text(|out| drop(out.family(&PROCESS_UP))).is_empty(), "no sample, no family");
    }

    fn many(out: &mut Text) {
        let mut family = out.family(&PROCESS_RESTARTS);
        (0..10_000_u64).for_each(|n| family.add(&[&format!("web-{n}")], n));
    }

    #[test]
    fn what_is_compressed_in_pieces_is_the_same_text() {
        for format in [Format::Text, Format::OpenMetrics] {
            let mut packed = Text::whole(format, true);
            many(&mut packed);
            assert!(packed.passed > 0 && packed.out.capacity() < 2 * CHUNK, "it is never held as a whole");
            let mut unpacked = String::new();
            flate2::read::GzDecoder::new(&*packed.finish()).read_to_string(&mut unpacked).unwrap();
            assert_eq!(unpacked, text_in(format, many));
        }
    }

    #[test]
    fn what_was_passed_on_is_not_taken_back() {
        let mut out = Text::whole(Format::Text, false);
        let begin = out.mark();
        many(&mut out);
        let passed = out.passed;
        assert!(passed > 0);
        out.rewind(begin);
        assert_eq!(out.mark(), passed);
        let (left, all) = (out.finish(), text(many));
        assert!(left == all[..passed] && left.ends_with(b"\n"), "whole samples are left");
    }

    #[test]
    fn samples_by_their_first_label_are_the_same() {
        let by_first = text(|out| {
            let mut family = out.family(&LOG_LINES).by_first([["stdout"], ["stderr"]]);
            family.add("web", 0, 3_u64);
            family.add("web", 1, 12_u64);
        });
        let one_by_one = text(|out| {
            let mut family = out.family(&LOG_LINES);
            family.add(&["web", "stdout"], 3_u64);
            family.add(&["web", "stderr"], 12_u64);
        });
        assert_eq!(by_first, one_by_one);
        let up = text(|out| out.family(&PROCESS_UP).by_first([[]]).add("web", 0, true));
        assert_eq!(up, text(|out| out.family(&PROCESS_UP).add(&["web"], true)));
    }

    #[test]
    fn free_text_stays_in_its_quotes() {
        let text = text(|out| out.family(&BUILD_INFO).add_free_text(&["a\"b\\c\nd", "{}#"], true));
        assert!(text.ends_with("{version=\"a\\\"b\\\\c\\nd\",revision=\"{}#\"} 1\n"), "{text}");
    }

    #[test]
    fn a_histogram_of_the_library() {
        use prometheus::core::Collector as _;
        let options = prometheus::HistogramOpts::new(SPAWN_DURATION.name, SPAWN_DURATION.help);
        let histogram = prometheus::Histogram::with_opts(options.buckets(vec![0.5, 1.0])).unwrap();
        for seconds in [0.25, 0.75, 0.75, 8.0] {
            histogram.observe(seconds);
        }
        let family = histogram.collect().remove(0);
        let text = text(|out| out.library(&SPAWN_DURATION, &family));
        let samples: Vec<&str> = text.lines().skip(2).collect();
        let expected = [
            "ddprocmgr_spawn_duration_seconds_bucket{le=\"0.5\"} 1",
            "ddprocmgr_spawn_duration_seconds_bucket{le=\"1.0\"} 3",
            "ddprocmgr_spawn_duration_seconds_bucket{le=\"+Inf\"} 4",
            "ddprocmgr_spawn_duration_seconds_sum 9.75",
            "ddprocmgr_spawn_duration_seconds_count 4",
        ];
        assert_eq!(samples, expected);
    }
}
