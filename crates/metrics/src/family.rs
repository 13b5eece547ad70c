//! Builds metric families at scrape time from rows of the table of names.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric as Sample, MetricFamily, MetricType};

use crate::names::{Kind, Metric};

/// The samples of one metric.
///
/// Families are built by hand instead of with the library's `*Vec` types, which identify a child by a hash of
/// its label values without a separator: `{web, 11}` and `{web1, 1}` become one series there.
#[derive(Debug)]
pub(crate) struct Family {
    metric: &'static Metric,
    samples: Vec<Sample>,
}

impl Family {
    /// An empty family with room for `capacity` samples.
    pub(crate) fn new(metric: &'static Metric, capacity: usize) -> Self {
        Self { metric, samples: Vec::with_capacity(capacity) }
    }

    /// Adds a sample. `values` are those of the metric's labels, in the table's order. Whoever calls this owes
    /// that no two samples of a family have the same values.
    pub(crate) fn add(&mut self, values: &[&str], value: f64) {
        debug_assert_eq!(values.len(), self.metric.labels.len(), "labels of {}", self.metric.name);
        let labels = self.metric.labels.iter().zip(values).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut sample = Sample::from_label(labels.collect());
        match self.metric.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
        }
        self.samples.push(sample);
    }
}

impl From<Family> for MetricFamily {
    fn from(family: Family) -> Self {
        let mut out = Self::default();
        out.set_name(family.metric.name.to_owned());
        out.set_help(family.metric.help.to_owned());
        out.set_field_type(match family.metric.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
        });
        out.set_metric(family.samples);
        out
    }
}

/// The families of one collector, as far as it got.
#[derive(Debug, Default)]
pub(crate) struct Families(Vec<MetricFamily>);

impl Families {
    /// Adds a family with the samples that `fill` gives it.
    pub(crate) fn fill(&mut self, metric: &'static Metric, capacity: usize, fill: impl FnOnce(&mut Family)) {
        let mut family = Family::new(metric, capacity);
        fill(&mut family);
        self.0.push(family.into());
    }

    /// Adds a family of one sample without labels.
    pub(crate) fn single(&mut self, metric: &'static Metric, value: f64) {
        self.fill(metric, 1, |f| f.add(&[], value));
    }

    /// Adds a family of at most one sample without labels.
    pub(crate) fn optional(&mut self, metric: &'static Metric, value: Option<f64>) {
        if let Some(value) = value {
            self.single(metric, value);
        }
    }

    /// What was added.
    pub(crate) fn into_inner(self) -> Vec<MetricFamily> {
        self.0
    }
}

/// 1 or 0.
pub(crate) fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// A count as a sample's value: exact up to 2^53, to 16 digits beyond, as everywhere in Prometheus.
#[expect(clippy::cast_precision_loss, reason = "the exposition has no other type of number")]
pub(crate) fn count(value: u64) -> f64 {
    value as f64
}
