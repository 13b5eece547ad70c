//! The samples of one metric.

use super::{Text, Value};
use crate::names::Metric;

/// What is the same in all samples of one metric: everything but the values of labels and the value.
#[derive(Debug)]
struct Frame {
    /// What comes before each label's value; without labels, the name.
    before: Vec<String>,
    after: &'static str,
}

impl Frame {
    fn new(name: &str, labels: &[&str]) -> Self {
        if labels.is_empty() {
            return Self { before: vec![format!("{name} ")], after: "" };
        }
        let open = |(n, label): (usize, &&str)| match n {
            0 => format!("{name}{{{label}=\""),
            _ => format!("\",{label}=\""),
        };
        Self { before: labels.iter().enumerate().map(open).collect(), after: "\"} " }
    }

    #[inline]
    fn write(&self, out: &mut Text, labels: &[&str], value: Value) {
        let mut labels = labels.iter();
        for before in &self.before {
            out.push(before);
            out.push(labels.next().unwrap_or(&""));
        }
        out.push(self.after);
        out.value(value);
    }

    /// What follows the first label's value when the others have these.
    fn rest(&self, labels: &[&str]) -> String {
        let pairs = self.before[1..].iter().zip(labels);
        let rest: String = pairs.flat_map(|(before, label)| [before, *label]).collect();
        rest + self.after
    }
}

/// The samples of one metric, as they are written.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    text: &'a mut Text,
    metric: &'static Metric,
    frame: Frame,
    begun: bool,
}

impl<'a> Family<'a> {
    pub(super) fn new(text: &'a mut Text, metric: &'static Metric) -> Self {
        Self { text, metric, frame: Frame::new(metric.name, metric.labels), begun: false }
    }

    /// Adds a sample. `labels` are the values of the metric's labels, in the table's order: names and words that need no
    /// escaping. Whoever calls this owes that no two samples of a family have the same values.
    #[inline]
    pub(crate) fn add(&mut self, labels: &[&str], value: impl Into<Value>) {
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "labels of {}", self.metric.name);
        self.begin();
        self.frame.write(self.text, labels, value.into());
    }

    /// The same with labels that may hold anything.
    pub(crate) fn add_free_text(&mut self, labels: &[&str], value: impl Into<Value>) {
        debug_assert_eq!(labels.len(), self.metric.labels.len(), "labels of {}", self.metric.name);
        self.begin();
        for (before, label) in self.frame.before.iter().zip(labels) {
            self.text.push(before);
            self.text.push_escaped(label);
        }
        self.text.push(self.frame.after);
        self.text.value(value.into());
    }

    /// Adds a histogram: a sample for each bucket (bound, and all that is not above it), their sum and their count.
    pub(crate) fn add_histogram(
        &mut self,
        labels: &[&str],
        buckets: impl Iterator<Item = (f64, u64)>,
        sum: Value,
        count: u64,
    ) {
        self.begin();
        let name = self.metric.name;
        let frame = Frame::new(&format!("{name}_bucket"), &[self.metric.labels, &["le"]].concat());
        let finite = buckets.map(|(bound, below)| (format!("{bound:?}"), below));
        for (bound, below) in finite.chain([("+Inf".to_owned(), count)]) {
            frame.write(self.text, &[labels, &[&bound]].concat(), below.into());
        }
        for (suffix, value) in [("sum", sum), ("count", count.into())] {
            Frame::new(&format!("{name}_{suffix}"), self.metric.labels).write(self.text, labels, value);
        }
    }

    /// The same samples by their first label alone, the others having one of these values: what follows the first is
    /// put together once and not for each sample. `others` are by place.
    pub(crate) fn by_first<const N: usize, const M: usize>(self, others: [[&str; M]; N]) -> ByFirst<'a, N> {
        debug_assert_eq!(M + 1, self.metric.labels.len(), "labels of {}", self.metric.name);
        ByFirst { rest: others.map(|labels| self.frame.rest(&labels)), family: self }
    }

    #[inline]
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.text.describe(self.metric);
        }
    }
}

/// Samples that differ in their first label, and for each value of it in which of `N` combinations the others have.
#[derive(Debug)]
pub(crate) struct ByFirst<'a, const N: usize> {
    family: Family<'a>,
    rest: [String; N],
}

impl<const N: usize> ByFirst<'_, N> {
    /// As [`Family::add`]: the sample at this place, which is below `N`.
    #[inline]
    pub(crate) fn add(&mut self, first: &str, place: usize, value: impl Into<Value>) {
        self.family.begin();
        let out = &mut *self.family.text;
        out.push(&self.family.frame.before[0]);
        out.push(first);
        out.push(&self.rest[place]);
        out.value(value.into());
    }
}
