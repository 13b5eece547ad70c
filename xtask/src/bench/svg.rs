//! A picture of growth curves, both axes logarithmic, so that what is linear is a line of slope 1: a grey one is drawn behind.
//! Colors follow the reader's: dark or light.

use std::fmt::Write as _;

use super::raw::digits;
use super::tables::thousands;

/// One curve.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// Processes and value, both above zero.
    pub(crate) points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Around the curves: for labels.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 46.0;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#24292f}.t{font-size:16px;font-weight:600}.g{stroke:#d0d7de;stroke-width:1}\
.l{stroke:#8c959f;stroke-dasharray:2 5;fill:none}.s{fill:none;stroke-width:2.5}.b{fill:#fff}\
.c0{stroke:#6e7781}.c1{stroke:#0969da}.c2{stroke:#bc4c00}.c3{stroke:#8250df}\
.f0{fill:#6e7781}.f1{fill:#0969da}.f2{fill:#bc4c00}.f3{fill:#8250df}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.g{stroke:#30363d}.b{fill:#0d1117}.l{stroke:#6e7681}\
.c0{stroke:#9198a1}.c1{stroke:#4493f8}.c2{stroke:#f0883e}.c3{stroke:#ab7df8}\
.f0{fill:#9198a1}.f1{fill:#4493f8}.f2{fill:#f0883e}.f3{fill:#ab7df8}}";

/// One axis: from a power of ten to another one.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
        // Nothing above zero leaves both at infinity.
        let low = if low.is_finite() { low } else { 0.0 };
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut at = self.low;
        while at <= self.high {
            ticks.push(10_f64.powf(at));
            at += 1.0;
        }
        ticks
    }
}

/// The whole file.
pub(crate) fn picture(title: &str, all: &[Series]) -> String {
    let points =
        || all.iter().flat_map(|series| series.points.iter().copied()).filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let across = Axis::new(points().map(|(x, _)| x), LEFT, WIDTH - RIGHT);
    let up = Axis::new(points().map(|(_, y)| y), HEIGHT - BOTTOM, TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<rect class=\"b\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n\
         <text class=\"t\" x=\"{LEFT}\" y=\"26\">{title}</text>\n",
        title = escaped(title)
    );
    let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in up.ticks() {
        let y = up.place(tick);
        writeln!(svg, "<path class=\"g\" d=\"M{left} {y:.1}H{right}\"/>").ok();
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            y + 4.0,
            label(tick)
        )
        .ok();
    }
    for tick in across.ticks() {
        let x = across.place(tick);
        writeln!(svg, "<path class=\"g\" d=\"M{x:.1} {TOP}V{bottom}\"/>").ok();
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 20.0,
            label(tick)
        )
        .ok();
    }
    writeln!(svg, "<text x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">processes</text>", HEIGHT - 8.0).ok();
    if let Some(series) = all.last().filter(|series| !series.points.is_empty()) {
        linear(&mut svg, series, &across, &up);
    }
    let mut x = LEFT;
    for (index, series) in all.iter().enumerate() {
        let color = index % 4;
        let place = |(x, y): &(f64, f64)| (across.place(*x), up.place(*y));
        let places: Vec<(f64, f64)> =
            series.points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0).map(place).collect();
        let line: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        writeln!(svg, "<polyline class=\"s c{color}\" points=\"{}\"/>", line.join(" ")).ok();
        for ((x, y), (count, value)) in places.iter().zip(&series.points) {
            // The number itself for whoever points at it.
            writeln!(
                svg,
                "<circle class=\"f{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}: {} at {count}</title></circle>",
                escaped(&series.name),
                digits(*value)
            )
            .ok();
        }
        writeln!(svg, "<circle class=\"f{color}\" cx=\"{:.1}\" cy=\"48\" r=\"5\"/>", x + 5.0).ok();
        writeln!(svg, "<text x=\"{:.1}\" y=\"52\">{}</text>", x + 16.0, escaped(&series.name)).ok();
        x += 36.0 + 7.5 * series.name.chars().count() as f64;
    }
    svg + "</svg>\n"
}

/// What it would be if each process cost as much as each of the last point does.
fn linear(svg: &mut String, series: &Series, across: &Axis, up: &Axis) {
    let (Some(first), Some(last)) = (series.points.first(), series.points.last()) else { return };
    let low = 10_f64.powf(up.low);
    let begin = (last.1 * first.0 / last.0).max(low);
    let at = last.0 * begin / last.1;
    writeln!(
        svg,
        "<path class=\"l\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"><title>linear</title></path>",
        across.place(at),
        up.place(begin),
        across.place(last.0),
        up.place(last.1)
    )
    .ok();
}

fn label(value: f64) -> String {
    match value {
        small if small < 1.0 => format!("{small}"),
        // A power of ten that fits: at most some hundred thousand.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small power of ten")]
        many => thousands(many.round() as u64),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_as_much_is_one_step_up() {
        let axis = Axis::new([3.0, 200.0].into_iter(), 0.0, 300.0);
        assert_eq!(axis.ticks(), [1.0, 10.0, 100.0, 1000.0]);
        assert!((axis.place(100.0) - axis.place(10.0) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_picture_names_its_curves_and_stays_well_formed() {
        let all = [
            Series { name: "a & <b>".to_owned(), points: vec![(100.0, 10.0), (1000.0, 100.0)] },
            Series { name: "none".to_owned(), points: Vec::new() },
        ];
        let svg = picture("x < y", &all);
        assert!(svg.contains("a &amp; &lt;b&gt;") && svg.contains("x &lt; y"), "{svg}");
        assert!(svg.contains("prefers-color-scheme:dark"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 2);
    }

    #[test]
    fn values_that_are_all_zero_draw_nothing_wrong() {
        let svg = picture("zero", &[Series { name: "z".to_owned(), points: vec![(100.0, 0.0)] }]);
        assert!(svg.ends_with("</svg>\n"));
    }
}
