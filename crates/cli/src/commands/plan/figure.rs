//! Numbers that know how sure they are.

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::output::grouped;

/// Digits of an estimate that are shown.
const ESTIMATE_DIGITS: i32 = 3;

/// How sure a figure is; a figure made of others is as sure as the least of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Certainty {
    /// Counted, or fixed by the config.
    Exact,
    /// By a rule that is stated beside it.
    Estimate,
    /// Without the parts of which nothing is known.
    AtLeast,
}

/// A number of 0 or more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    /// The number.
    pub(crate) value: f64,
    /// How sure it is.
    pub(crate) certainty: Certainty,
}

impl Figure {
    /// A number that is certain.
    pub(crate) fn exact(value: u64) -> Self {
        Self { value: value as f64, certainty: Certainty::Exact }
    }

    /// A number that the config fixes.
    pub(crate) fn fixed(value: f64) -> Self {
        Self { value, certainty: Certainty::Exact }
    }

    /// A number by a rule.
    pub(crate) fn estimate(value: f64) -> Self {
        Self { value, certainty: Certainty::Estimate }
    }

    /// The same, by a rule.
    pub(crate) fn estimated(self) -> Self {
        Self { certainty: self.certainty.max(Certainty::Estimate), ..self }
    }

    /// `f` of the number.
    pub(crate) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self { value: f(self.value), ..self }
    }

    /// `f` of both numbers.
    pub(crate) fn with(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let certainty = self.certainty.max(other.certainty);
        Self { value: f(self.value, other.value), certainty }
    }

    /// The sum of what is known, at least that where something is not; nothing where nothing is.
    pub(crate) fn total(parts: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        let (mut sum, mut lacks) = (None::<Self>, false);
        for part in parts {
            match part {
                Some(part) => sum = Some(sum.map_or(part, |sum| sum.with(part, |a, b| a + b))),
                None => lacks = true,
            }
        }
        match sum {
            Some(sum) if lacks && sum.value == 0.0 => None,
            Some(sum) if lacks => Some(Self { certainty: Certainty::AtLeast, ..sum }),
            sum => sum,
        }
    }

    /// `~` or `≥~` before what is not certain.
    fn mark(self) -> &'static str {
        match self.certainty {
            Certainty::Exact => "",
            Certainty::Estimate => "~",
            Certainty::AtLeast => "≥~",
        }
    }

    /// The number, or the digits of it that an estimate has.
    fn rounded(self) -> f64 {
        if self.certainty == Certainty::Exact || self.value <= 0.0 {
            return self.value;
        }
        let unit = 10f64.powi(self.value.log10().floor() as i32 - ESTIMATE_DIGITS + 1);
        (self.value / unit).round() * unit
    }

    /// A whole number: `1,234`, `~1,230`.
    pub(crate) fn count(self) -> String {
        self.shown(|value| grouped(value.round() as u64))
    }

    /// With `decimals` behind the point.
    pub(crate) fn decimal(self, decimals: usize) -> String {
        self.shown(|value| format!("{value:.decimals$}"))
    }

    /// By `form`, marked where it is not certain.
    pub(crate) fn shown(self, form: impl Fn(f64) -> String) -> String {
        format!("{}{}", self.mark(), form(self.rounded()))
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut figure = serializer.serialize_struct("Figure", 2)?;
        if self.value.fract() == 0.0 && self.value < 9e15 {
            figure.serialize_field("value", &(self.value as u64))?;
        } else {
            figure.serialize_field("value", &self.value)?;
        }
        figure.serialize_field("certainty", &self.certainty)?;
        figure.end()
    }
}

/// `–` where nothing is known.
pub(crate) fn or_dash(figure: Option<Figure>, form: impl Fn(Figure) -> String) -> String {
    figure.map_or("–".to_owned(), form)
}

/// A number with the prefix of its thousands: `12.3 TFLOP`.
pub(crate) fn scaled(mut value: f64, unit: &str) -> String {
    let mut prefixes = ["", "k", "M", "G", "T", "P", "E"].into_iter();
    let mut prefix = prefixes.next().unwrap_or("");
    for next in prefixes {
        if value < 1000.0 {
            break;
        }
        (value, prefix) = (value / 1000.0, next);
    }
    let decimals = if value < 100.0 { 1 } else { 0 };
    format!("{value:.decimals$} {prefix}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_as_sure_as_its_parts() {
        let total = |parts: [Option<Figure>; 3]| or_dash(Figure::total(parts), Figure::count);
        let (exact, rule) = (Some(Figure::exact(123_456)), Some(Figure::estimate(1_234.0)));
        assert_eq!(total([exact, exact, exact]), "370,368");
        assert_eq!(total([exact, rule, exact]), "~248,000");
        assert_eq!(total([exact, None, exact]), "≥~247,000");
        assert_eq!(total([None, None, None]), "–");
        assert_eq!(total([Some(Figure::exact(0)), None, None]), "–");
    }

    #[test]
    fn an_estimate_shows_few_digits_and_json_says_what_it_is() {
        let shown = |value| Figure::estimate(value).count();
        assert_eq!([shown(486_729_187.0), shown(0.4), shown(0.0)], ["~487,000,000", "~0", "~0"]);
        assert_eq!(Figure::estimate(5.126).decimal(1), "~5.1");
        let json = |figure: Figure| serde_json::to_string(&figure).unwrap();
        assert_eq!(json(Figure::exact(7)), r#"{"value":7,"certainty":"exact"}"#);
        assert_eq!(json(Figure::estimate(0.5)), r#"{"value":0.5,"certainty":"estimate"}"#);
    }

    #[test]
    fn large_numbers_have_a_prefix() {
        let cases = [(950.0, "950 FLOP"), (7.79e7, "77.9 MFLOP"), (3.1e18, "3.1 EFLOP")];
        for (value, expected) in cases {
            assert_eq!(scaled(value, "FLOP"), expected);
        }
    }
}
