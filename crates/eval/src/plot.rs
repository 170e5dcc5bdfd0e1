//! Line plots as SVG.
//!
//! Owns scales, ticks, legends and colours; knows nothing of what is plotted. Widths of text are
//! not known without a font, so nothing depends on them but the legend's spacing, which is
//! generous.

use std::fmt::Write;

use crate::escape::escape;

const WIDTH: f64 = 560.0;
const PLOT_HEIGHT: f64 = 210.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 44.0;
const LEGEND_ROW: f64 = 18.0;
const NUM_COLOURS: usize = 6;
/// More points of a series than this are thinned to the extremes of each bucket.
const MAX_POINTS: usize = 600;
/// Up to this many points of a series are marked, each with its value.
const MAX_MARKS: usize = 50;

/// The scale of an axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally long.
    #[default]
    Linear,
    /// Equal ratios are equally long; values that are not above 0 are left out.
    Logarithmic,
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// (x, y) by ascending x; a y that is not finite breaks the line.
    pub points: Vec<(f64, f64)>,
}

/// Lines over a common x axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LinePlot {
    /// The heading.
    pub title: String,
    /// What x is, with its unit.
    pub x_label: String,
    /// The ends of the x axis; those of the data without it, which it never cuts.
    pub x_range: Option<(f64, f64)>,
    /// What y is, with its unit.
    pub y_label: String,
    /// The scale of y.
    pub y_scale: Scale,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
}

/// The colours and strokes of plots, for a page or for an SVG of its own.
///
/// Colours: Okabe and Ito 2008, told apart by the colour-blind, lighter on a dark ground. Lines
/// also differ in their dashes.
pub(crate) const STYLE: &str = "\
.plot{--c0:#0072b2;--c1:#d55e00;--c2:#00805c;--c3:#b0528a;--c4:#9a6a00;--c5:#3b8fc2;\
--ink:#1d2430;--soft:#5a6472;--line:#d9dee5;--ground:#fff}\
@media(prefers-color-scheme:dark){.plot{--c0:#56b4e9;--c1:#f08a3c;--c2:#2fc79a;--c3:#e39fc6;\
--c4:#f0e442;--c5:#9aa5ff;--ink:#e7ebf1;--soft:#a5afbd;--line:#39424f;--ground:#161b22}}\
.plot text{font:12px system-ui,'Noto Sans KR','Noto Sans CJK KR','Malgun Gothic',sans-serif;\
fill:var(--soft)}.plot .title{font-size:14px;font-weight:600;fill:var(--ink)}\
.plot .legend{fill:var(--ink)}.plot .ground{fill:var(--ground)}\
.plot .grid{stroke:var(--line);stroke-width:1}\
.plot .s{fill:none;stroke-width:1.8;stroke-linejoin:round}\
.plot .s0{stroke:var(--c0)}.plot .s1{stroke:var(--c1)}.plot .s2{stroke:var(--c2)}\
.plot .s3{stroke:var(--c3)}.plot .s4{stroke:var(--c4)}.plot .s5{stroke:var(--c5)}\
.plot circle{fill:var(--ground);stroke-width:1.8}";

impl LinePlot {
    /// An SVG document that stands alone.
    pub fn to_svg(&self) -> String {
        self.draw(&format!("<style>{STYLE}</style>\n"))
    }

    /// An SVG element for a page that has [`STYLE`].
    pub(crate) fn to_inline_svg(&self) -> String {
        self.draw("")
    }

    fn draw(&self, style: &str) -> String {
        let legend = self.legend();
        let plot = Frame::of(self, legend.rows);
        let height = plot.bottom + BOTTOM;
        let title = escape(&self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" \
             viewBox=\"0 0 {WIDTH} {height}\">\n<title>{title}</title>\n{style}\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"20\">{title}</text>\n"
        );
        svg.push_str(&legend.svg);
        plot.draw_axes(self, &mut svg);
        for (index, series) in self.series.iter().enumerate() {
            plot.draw_series(index, series, &mut svg);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn legend(&self) -> Legend {
        let mut legend = Legend { svg: String::new(), rows: 0 };
        // One line needs no legend: the title names it.
        if self.series.len() < 2 {
            return legend;
        }
        let (mut x, mut row) = (LEFT, 0_u32);
        for (index, series) in self.series.iter().enumerate() {
            let width = 40.0 + series.name.chars().map(character_width).sum::<f64>();
            if x > LEFT && x + width > WIDTH - RIGHT {
                (x, row) = (LEFT, row + 1);
            }
            let y = TOP + f64::from(row) * LEGEND_ROW + 4.0;
            let _ = writeln!(
                legend.svg,
                "<path class=\"s s{}\"{} d=\"M{x:.1} {y:.1}h20\"/>\
                 <text class=\"legend\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                index % NUM_COLOURS,
                dashes(index),
                x + 26.0,
                y + 4.0,
                escape(&series.name),
            );
            x += width;
        }
        legend.rows = row + 1;
        legend
    }
}

struct Legend {
    svg: String,
    rows: u32,
}

/// The ranges of the data and where they lie on the page.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
    y_scale: Scale,
    top: f64,
    bottom: f64,
}

impl Frame {
    fn of(plot: &LinePlot, legend_rows: u32) -> Self {
        let usable = |y: f64| y.is_finite() && (plot.y_scale == Scale::Linear || y > 0.0);
        let points = || {
            let all = plot.series.iter().flat_map(|series| series.points.iter().copied());
            all.filter(|(x, y)| x.is_finite() && usable(*y))
        };
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold(None, |range: Option<(f64, f64)>, value| {
                Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
            })
        };
        let asked = plot.x_range.into_iter().flat_map(|(low, high)| [low, high]);
        let mut all_x = points().map(|point| point.0).chain(asked.filter(|end| end.is_finite()));
        let x = range(&mut all_x).unwrap_or((0.0, 1.0));
        let y = range(&mut points().map(|point| point.1)).unwrap_or((0.1, 1.0));
        let y = match plot.y_scale {
            Scale::Linear => widened(y, 0.05),
            Scale::Logarithmic => {
                let (low, high) = widened((y.0.log10(), y.1.log10()), 0.05);
                (10_f64.powf(low), 10_f64.powf(high))
            }
        };
        let top = TOP + f64::from(legend_rows) * LEGEND_ROW + 4.0;
        let x = if x.0 < x.1 { x } else { widened(x, 0.5) };
        Self { x, y, y_scale: plot.y_scale, top, bottom: top + PLOT_HEIGHT }
    }

    fn place_x(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn place_y(&self, y: f64) -> f64 {
        let share = match self.y_scale {
            Scale::Linear => (y - self.y.0) / (self.y.1 - self.y.0),
            Scale::Logarithmic => (y / self.y.0).log10() / (self.y.1 / self.y.0).log10(),
        };
        self.bottom - share * PLOT_HEIGHT
    }

    fn draw_axes(&self, plot: &LinePlot, svg: &mut String) {
        let (left, right, bottom) = (LEFT, WIDTH - RIGHT, self.bottom);
        let y_ticks = match self.y_scale {
            Scale::Linear => ticks(self.y, 5),
            Scale::Logarithmic => logarithmic_ticks(self.y),
        };
        for tick in y_ticks {
            let y = self.place_y(tick);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{left} {y:.1}H{right}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                y + 4.0,
                short(tick)
            );
        }
        for tick in ticks(self.x, 7) {
            let x = self.place_x(tick);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{x:.1} {bottom}v5\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                short(tick)
            );
        }
        let (middle, centre) = ((left + right) / 2.0, (self.top + bottom) / 2.0);
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(14 {centre:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            bottom + 36.0,
            escape(&plot.x_label),
            escape(&plot.y_label)
        );
        if plot.series.iter().all(|series| series.points.is_empty()) {
            let _ = writeln!(
                svg,
                "<text x=\"{middle}\" y=\"{centre:.1}\" text-anchor=\"middle\">no data</text>"
            );
        }
    }

    fn draw_series(&self, index: usize, series: &Series, svg: &mut String) {
        let points = thinned(&series.points);
        let (mut path, mut pen_down) = (String::new(), false);
        let mut marks = String::new();
        let class = index % NUM_COLOURS;
        for &(x, y) in &points {
            let shown = x.is_finite() && y.is_finite();
            if !shown || (self.y_scale == Scale::Logarithmic && y <= 0.0) {
                pen_down = false;
                continue;
            }
            let (at_x, at_y) = (self.place_x(x), self.place_y(y));
            let _ = write!(path, "{}{at_x:.1} {at_y:.1}", if pen_down { "L" } else { "M" });
            pen_down = true;
            if points.len() <= MAX_MARKS {
                let name = escape(&series.name);
                let _ = writeln!(
                    marks,
                    "<circle class=\"s{class}\" cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"2.6\">\
                     <title>{name}: {x} → {y:.5}</title></circle>"
                );
            }
        }
        if !path.is_empty() {
            let dashes = dashes(index);
            let _ = writeln!(svg, "<path class=\"s s{class}\"{dashes} d=\"{path}\"/>");
        }
        svg.push_str(&marks);
    }
}

/// The lowest and highest point of each bucket, in order, where there are too many points.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let bucket = points.len().div_ceil(MAX_POINTS / 2);
    let mut kept = Vec::with_capacity(MAX_POINTS);
    for chunk in points.chunks(bucket) {
        let by_y = |a: &usize, b: &usize| chunk[*a].1.total_cmp(&chunk[*b].1);
        let low = (0..chunk.len()).min_by(by_y).unwrap_or(0);
        let high = (0..chunk.len()).max_by(by_y).unwrap_or(0);
        kept.push(chunk[low.min(high)]);
        if low != high {
            kept.push(chunk[low.max(high)]);
        }
    }
    kept
}

/// `range` with `share` of its length at each end; around a single value, with some of its size.
fn widened((low, high): (f64, f64), share: f64) -> (f64, f64) {
    let length = if high > low { high - low } else { low.abs().max(1e-9) };
    (low - share * length, high + share * length)
}

/// About `count` round values within `range`.
fn ticks((low, high): (f64, f64), count: u32) -> Vec<f64> {
    let rough = (high - low) / f64::from(count);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

fn logarithmic_ticks((low, high): (f64, f64)) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let factors: &[f64] = if last - first > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    (first..=last)
        .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
        .filter(|tick| (low..=high).contains(tick))
        .collect()
}

/// A tick's number: `12k`, `1.5M`, `0.25`, `5e-5`.
fn short(value: f64) -> String {
    let size = value.abs();
    // Twelve digits take out what the multiplication of a step left behind.
    let trimmed =
        |value: f64| format!("{:.9}", value).trim_end_matches('0').trim_end_matches('.').to_owned();
    match size {
        _ if size < 1e-15 => "0".to_owned(),
        _ if size >= 1e6 => trimmed(value / 1e6) + "M",
        _ if size >= 1e4 => trimmed(value / 1e3) + "k",
        _ if size < 1e-3 => {
            let text = format!("{value:.3e}");
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => trimmed(value),
    }
}

/// A width at 12 px that most fonts stay below.
fn character_width(character: char) -> f64 {
    if u32::from(character) >= 0x1100 { 12.5 } else { 7.2 }
}

fn dashes(index: usize) -> &'static str {
    ["", " stroke-dasharray=\"7 3\"", " stroke-dasharray=\"2 3\"", " stroke-dasharray=\"9 3 2 3\""]
        [index % 4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(range: (f64, f64), expected: &[&str]) {
        let found: Vec<String> = ticks(range, 5).into_iter().map(short).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn ticks_are_round() {
        check((0.0, 10.0), &["0", "2", "4", "6", "8", "10"]);
        check((0.31, 0.87), &["0.4", "0.6", "0.8"]);
        check((-1.0, 1.0), &["-1", "-0.5", "0", "0.5", "1"]);
        check((0.0, 5e-5), &["0", "1e-5", "2e-5", "3e-5", "4e-5", "5e-5"]);
        check((0.0, 60_000.0), &["0", "20k", "40k", "60k"]);
        let logarithmic: Vec<String> =
            logarithmic_ticks((0.8, 30.0)).into_iter().map(short).collect();
        assert_eq!(logarithmic, ["1", "2", "5", "10", "20"]);
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let mut points: Vec<(f64, f64)> =
            (0..10_000).map(|x| (f64::from(x), f64::from(x % 10))).collect();
        points[7_777].1 = 99.0;
        points[3_333].1 = -99.0;
        let kept = thinned(&points);
        assert!(kept.len() <= MAX_POINTS && kept.is_sorted_by_key(|point| point.0));
        assert!(kept.contains(&(7_777.0, 99.0)) && kept.contains(&(3_333.0, -99.0)));
    }

    #[test]
    fn a_value_that_is_not_finite_breaks_the_line_and_never_reaches_the_file() {
        let points = vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, f64::INFINITY)];
        let series = vec![Series { name: "손실 <loss>".to_owned(), points }; 2];
        let svg = LinePlot { series, ..LinePlot::default() }.to_svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.contains("손실 &lt;loss&gt;"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 4);
    }

    #[test]
    fn plots_without_points_or_with_one_are_still_drawn() {
        assert!(LinePlot::default().to_svg().contains("no data"));
        let series = vec![Series { name: "a".to_owned(), points: vec![(0.0, 0.0)] }];
        for y_scale in [Scale::Linear, Scale::Logarithmic] {
            let svg = LinePlot { series: series.clone(), y_scale, ..LinePlot::default() }.to_svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
