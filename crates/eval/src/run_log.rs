//! A training run's `log.jsonl`, as series over steps and as plots.
//!
//! Owns which figures of the log are plotted together. It must not know how a run works: a record
//! is any JSON object with a number `step`, and every other number in it, at any depth, is a
//! series under its dotted key.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde_json::Value;

use crate::plot::{LinePlot, Scale, Series};
use crate::{Error, Result};

/// A run's figures over steps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunLog {
    /// By dotted key: (step, value) by ascending step.
    pub series: BTreeMap<String, Vec<(u64, f64)>>,
    /// Records read.
    pub num_records: u64,
    /// Objects without a step, such as the header.
    pub num_without_step: u64,
    /// Whether the last line was torn by a kill; it is left out.
    pub has_torn_end: bool,
}

/// A plot: its title, its y label, its scale, and what a key's last part must contain.
const PANELS: [(&str, &str, Scale, &[&str]); 6] = [
    ("Loss", "nats", Scale::Linear, &["loss"]),
    ("Bits per character", "bits", Scale::Linear, &["bits_per_character", "bpc"]),
    ("Accuracy on masked positions", "share", Scale::Linear, &["accuracy"]),
    ("Learning rate", "per step", Scale::Linear, &["learning_rate"]),
    ("Gradient norm", "before clipping", Scale::Logarithmic, &["grad_norm", "gradient_norm"]),
    ("Speed", "tokens/s", Scale::Linear, &["tokens_per_second"]),
];

/// What the keys of a validation's figures begin with, before the language.
const HELD_OUT: &str = "languages.";

/// Reads a `log.jsonl`.
///
/// A resumed run may log a step twice: the later record counts. A torn last line is left out.
///
/// # Errors
/// A file that cannot be read, or a line before the last that is not a JSON object.
pub fn read_run_log(path: &Path) -> Result<RunLog> {
    let bytes = fs::read(path)?;
    let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let mut log = RunLog::default();
    let mut found: BTreeMap<String, BTreeMap<u64, f64>> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        // A whole record ends in a line feed, so what follows the last one is torn.
        let is_torn = index + 1 == lines.len();
        let record: Value = match serde_json::from_slice(line) {
            Ok(record) => record,
            Err(_) if is_torn => {
                log.has_torn_end = true;
                break;
            }
            Err(error) => return Err(Error::json(path, index + 1, "a log record", &error)),
        };
        log.num_records += 1;
        match record.get("step").and_then(Value::as_u64) {
            Some(step) => collect(&record, "", step, &mut found),
            None => log.num_without_step += 1,
        }
    }
    log.series =
        found.into_iter().map(|(key, points)| (key, points.into_iter().collect())).collect();
    Ok(log)
}

impl RunLog {
    /// The plots for which the run has figures.
    pub fn plots(&self) -> Vec<LinePlot> {
        let last_step = |points: &Vec<(u64, f64)>| points.last().map_or(0, |point| point.0);
        let end = self.series.values().map(last_step).max().unwrap_or(0) as f64;
        let mut plots = Vec::new();
        for (title, y_label, y_scale, names) in PANELS {
            let belongs = |key: &str| {
                let last = key.rsplit('.').next().unwrap_or(key);
                names.iter().any(|name| last.contains(name))
            };
            let series: Vec<Series> = self
                .series
                .iter()
                .filter(|(key, _)| belongs(key))
                .map(|(key, points)| Series {
                    name: series_name(key, names),
                    points: points.iter().map(|&(step, value)| (step as f64, value)).collect(),
                })
                .collect();
            if !series.is_empty() {
                plots.push(LinePlot {
                    title: title.to_owned(),
                    x_label: "optimizer steps".to_owned(),
                    x_range: Some((0.0, end)),
                    y_label: y_label.to_owned(),
                    y_scale,
                    series,
                });
            }
        }
        plots
    }
}

/// The key, less a last part that only repeats the plot's title.
fn series_name(key: &str, names: &[&str]) -> String {
    match key.rsplit_once('.') {
        Some((first, last)) if names.contains(&last) => match first.strip_prefix(HELD_OUT) {
            Some(language) => format!("held-out {language}"),
            None => first.to_owned(),
        },
        None if names.contains(&key) => "training".to_owned(),
        _ => key.to_owned(),
    }
}

fn collect(value: &Value, key: &str, step: u64, found: &mut BTreeMap<String, BTreeMap<u64, f64>>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(name, _)| *name != "step") {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                collect(field, &key, step, found);
            }
        }
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                found.entry(key.to_owned()).or_default().insert(step, number);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RunLog> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        fs::write(&path, text).unwrap();
        read_run_log(&path)
    }

    #[test]
    fn numbers_at_any_depth_become_series() {
        let log = read(
            "{\"started\": true}\n{\"step\": 1, \"loss\": 9.5}\n\
             {\"step\": 2, \"loss\": 8.5, \"valid\": {\"ko\": {\"bits_per_character\": 3.25}}}\n",
        )
        .unwrap();
        assert_eq!(log.series["loss"], [(1, 9.5), (2, 8.5)]);
        assert_eq!(log.series["valid.ko.bits_per_character"], [(2, 3.25)]);
        assert_eq!((log.num_records, log.num_without_step), (3, 1));
        let titles: Vec<String> = log.plots().into_iter().map(|plot| plot.title).collect();
        assert_eq!(titles, ["Loss", "Bits per character"]);
    }

    #[test]
    fn a_series_is_named_by_what_it_was_measured_on() {
        let log = read(
            "{\"step\": 0, \"languages\": {\"ko\": {\"loss\": 9.5}}}\n{\"step\": 1, \"loss\": 8.5}\n",
        )
        .unwrap();
        let plots = log.plots();
        let names: Vec<&str> = plots[0].series.iter().map(|series| &*series.name).collect();
        assert_eq!(names, ["held-out ko", "training"]);
    }

    #[test]
    fn the_later_record_of_a_step_counts_and_a_torn_end_is_left_out() {
        let log = read(
            "{\"step\": 1, \"loss\": 9}\n{\"step\": 2, \"loss\": 7}\n{\"step\": 2, \"loss\": 8}\n\
             {\"step\": 3, \"lo",
        )
        .unwrap();
        assert_eq!(log.series["loss"], [(1, 9.0), (2, 8.0)]);
        assert!(log.has_torn_end);
    }

    #[test]
    fn a_fault_inside_the_log_names_the_line() {
        let message = read("{\"step\": 1}\n{broken\n{\"step\": 2}\n").unwrap_err().to_string();
        assert!(message.contains("log.jsonl:2:2: found a fault of syntax"), "{message}");
    }
}
