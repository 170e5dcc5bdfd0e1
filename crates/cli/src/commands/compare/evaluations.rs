//! Evaluations side by side: one table for each task and metric, one row for each model.
//!
//! Computes nothing that the files do not support: a difference stands alone where the answers behind
//! it (`predictions.jsonl`) are absent, and has a paired interval where both sides answered the same
//! items.

use std::path::{Path, PathBuf};

use bimed_eval::metrics::Bootstrap;
use bimed_eval::{
    Comparison, ConfidenceInterval, ModelInfo, Prediction, Protocol, ResultRow, Results, Split,
    Status, compare_predictions, read_predictions,
};
use serde_json::{Value, json};

use super::sheet::{Cell, Sheet};
use crate::commands::recognise::{Found, Kind, RESULTS_FILE};
use crate::output::grouped;
use crate::stages::eval::{self, PREDICTIONS_FILE};

/// The evaluation of one path.
#[derive(Debug)]
struct Evaluation {
    results: Results,
    predictions: Vec<Prediction>,
    /// The name of each of its models in the tables.
    rows: Vec<(String, String)>,
}

/// What figures must share to stand in one table: task, protocol, metric.
type Measure<'r> = (&'r str, Protocol, &'r str);

/// What they must share to stand in one row: task, protocol, split, part, metric.
type Question<'r> = (&'r str, Protocol, Option<Split>, &'r str, &'r str);

fn question(row: &ResultRow) -> Question<'_> {
    (&row.task, row.protocol, row.split, &row.part, &row.metric)
}

fn measure(row: &ResultRow) -> Measure<'_> {
    (&row.task, row.protocol, &row.metric)
}

/// The evaluations at the paths that were found.
pub(super) fn sheets(names: &[String], found: &[Found]) -> anyhow::Result<Vec<Sheet>> {
    let mut evaluations = found.iter().map(Evaluation::read).collect::<anyhow::Result<Vec<_>>>()?;
    name_rows(&mut evaluations);
    let paired = paired(names, &evaluations);
    let mut measures: Vec<Measure<'_>> = Vec::new();
    for row in evaluations.iter().flat_map(|one| &one.results.rows) {
        if !measures.contains(&measure(row)) {
            measures.push(measure(row));
        }
    }
    let mut sheets = vec![models(names, &evaluations)];
    let tables = measures.into_iter().map(|one| figures(names, &evaluations, one, &paired));
    sheets.extend(tables);
    Ok(sheets)
}

impl Evaluation {
    fn read(found: &Found) -> anyhow::Result<Self> {
        let dir: PathBuf = match found.kind {
            Kind::Arm => found.path.join(eval::STAGE),
            _ => found.path.clone(),
        };
        let file = if dir.is_dir() { dir.join(RESULTS_FILE) } else { dir };
        let results = Results::read(&file)?;
        let answers = file.parent().unwrap_or(Path::new("")).join(PREDICTIONS_FILE);
        let predictions = if answers.is_file() { read_predictions(&answers)? } else { Vec::new() };
        Ok(Self { results, predictions, rows: Vec::new() })
    }

    fn models(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.results.models.iter().map(|model| model.name.clone()).collect();
        for row in &self.results.rows {
            if !names.contains(&row.model) {
                names.push(row.model.clone());
            }
        }
        names
    }

    /// The model that stands in the row `row`.
    fn model(&self, row: &str) -> Option<&str> {
        self.rows.iter().find(|(name, _)| name == row).map(|(_, model)| model.as_str())
    }

    fn figure(&self, question: Question<'_>, row: &str) -> Option<&ResultRow> {
        let model = self.model(row)?;
        let is_it = |found: &&ResultRow| found.model == model && self::question(found) == question;
        self.results.rows.iter().find(is_it)
    }

    /// Whether the evaluation itself found a clear difference of this figure from its reference.
    fn is_clear(&self, found: &ResultRow) -> bool {
        found.part.is_empty()
            && self.results.comparisons.iter().any(|one| {
                one.is_clear()
                    && one.model == found.model
                    && (one.task.as_str(), one.protocol, Some(one.split), one.metric.as_str())
                        == (found.task.as_str(), found.protocol, found.split, found.metric.as_str())
            })
    }
}

/// Gives models their rows: by name where the paths share names; else by their part in the arm, so
/// that arms of one experiment stand beside each other.
fn name_rows(evaluations: &mut [Evaluation]) {
    let names: Vec<Vec<String>> = evaluations.iter().map(Evaluation::models).collect();
    let trained: Vec<Option<String>> = names.iter().map(|names| trained_arm(names)).collect();
    let share_names = trained.windows(2).all(|pair| pair[0] == pair[1]);
    for ((evaluation, names), arm) in evaluations.iter_mut().zip(names).zip(trained) {
        evaluation.rows = names
            .into_iter()
            .map(|name| match (&arm, share_names) {
                (Some(arm), false) => (part_in_arm(&name, arm), name),
                _ => (name.clone(), name),
            })
            .collect();
        let mut rows: Vec<&String> = evaluation.rows.iter().map(|(row, _)| row).collect();
        rows.sort();
        if rows.windows(2).any(|pair| pair[0] == pair[1]) {
            evaluation.rows.iter_mut().for_each(|(row, name)| row.clone_from(name));
        }
    }
}

/// The arm, where the models are those of one: its base, its step 0, and itself.
fn trained_arm(names: &[String]) -> Option<String> {
    let arms: Vec<&String> =
        names.iter().filter(|name| !name.contains(" (base") && !name.ends_with(STEP_0)).collect();
    match arms[..] {
        [arm] => Some(arm.clone()),
        _ => None,
    }
}

const STEP_0: &str = " step 0";

fn part_in_arm(name: &str, arm: &str) -> String {
    match name.strip_prefix(arm) {
        Some("") => "trained".to_owned(),
        Some(STEP_0) => "step 0".to_owned(),
        _ if name.ends_with(" (base, head trained)") => "base, head trained".to_owned(),
        _ if name.ends_with(" (base)") => "base".to_owned(),
        _ => name.to_owned(),
    }
}

/// All rows, in the order in which they first come.
fn rows(evaluations: &[Evaluation]) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for (row, _) in evaluations.iter().flat_map(|one| &one.rows) {
        if !rows.contains(row) {
            rows.push(row.clone());
        }
    }
    rows
}

/// Which model stands where.
fn models(names: &[String], evaluations: &[Evaluation]) -> Sheet {
    let mut sheet = Sheet::new("Models", &["model", "figure"], names);
    type Figure = (&'static str, fn(&ModelInfo) -> Cell);
    let figures: [Figure; 3] = [
        ("weights", |info| Cell::text(info.weights.short())),
        ("parameters", |info| Cell::count(info.num_parameters)),
        ("vocabulary rows", |info| Cell::count(info.vocab_size)),
    ];
    for row in rows(evaluations) {
        let found: Vec<Option<&str>> = evaluations.iter().map(|one| one.model(&row)).collect();
        if found.iter().flatten().any(|name| **name != row) {
            let cells = found.iter().map(|name| Cell::or_none(name.map(Cell::text)));
            sheet.push([row.as_str(), "name"], cells);
        }
        for (figure, pick) in figures {
            let cells = evaluations.iter().zip(&found).map(|(one, name)| {
                let info = one.results.models.iter().find(|info| Some(&*info.name) == *name);
                Cell::or_none(info.map(pick))
            });
            sheet.push([row.as_str(), figure], cells);
        }
    }
    sheet
}

/// A difference of two paths on the same items.
#[derive(Debug)]
struct Paired {
    row: String,
    /// The path's number; it is compared with the first.
    column: usize,
    comparison: Comparison,
}

/// Every path but the first against the first, row by row, where both kept their answers.
fn paired(names: &[String], evaluations: &[Evaluation]) -> Vec<Paired> {
    let mut found = Vec::new();
    let Some((first, others)) = evaluations.split_first() else { return found };
    for row in rows(evaluations) {
        for (column, other) in (1..).zip(others) {
            let (Some(a), Some(b)) = (first.model(&row), other.model(&row)) else { continue };
            let mut predictions = answers(first, a, &names[0]);
            predictions.extend(answers(other, b, &names[column]));
            let comparisons = compare_predictions(&predictions, &names[0], &Bootstrap::default());
            found.extend(comparisons.into_iter().map(|comparison| Paired {
                row: row.clone(),
                column,
                comparison,
            }));
        }
    }
    found
}

/// The answers of `model` under the name of its path.
fn answers(evaluation: &Evaluation, model: &str, name: &str) -> Vec<Prediction> {
    let of_model = evaluation.predictions.iter().filter(|one| one.model == model);
    of_model.map(|one| Prediction { model: name.to_owned(), ..one.clone() }).collect()
}

/// One table: a task's figures of one metric, by split, part and model.
fn figures(
    names: &[String],
    evaluations: &[Evaluation],
    measure: Measure<'_>,
    paired: &[Paired],
) -> Sheet {
    let (task, protocol, metric) = measure;
    let title = [task, protocol.id(), metric].into_iter().filter(|word| !word.is_empty());
    let title = title.collect::<Vec<_>>().join(", ");
    let mut sheet = Sheet::new(title, &["split", "part", "model"], names);
    sheet.columns.extend(names.iter().skip(1).map(|name| format!("Δ {name}")));
    sheet.columns.push("n".to_owned());
    let other_data = is_on_other_data(evaluations, task, protocol);
    // Items of other files are not the same items, though their numbers and scores may agree.
    let paired = if other_data { &[] } else { paired };
    let mut notes = Notes { other_data, ..Notes::default() };
    let mut places: Vec<(Option<Split>, &str)> = Vec::new();
    for row in evaluations.iter().flat_map(|one| &one.results.rows) {
        let place = (row.split, row.part.as_str());
        if self::measure(row) == measure && !places.contains(&place) {
            places.push(place);
        }
    }
    for (split, part) in places {
        for row in rows(evaluations) {
            let asked = (task, protocol, split, part, metric);
            if let Some(cells) = figure_cells(evaluations, asked, &row, paired, &mut notes) {
                let split = split.map_or("", Split::name);
                sheet.push([split, part, row.as_str()], cells);
            }
        }
    }
    for key in ["part", "split"] {
        sheet.drop_empty_key(key);
    }
    sheet.note = notes.text(names.first().map_or("", String::as_str));
    sheet
}

/// The figures of one row, the differences from the first, the items; nothing where none is there.
fn figure_cells(
    evaluations: &[Evaluation],
    asked: Question<'_>,
    row: &str,
    paired: &[Paired],
    notes: &mut Notes,
) -> Option<Vec<Cell>> {
    let found: Vec<Option<&ResultRow>> =
        evaluations.iter().map(|one| one.figure(asked, row)).collect();
    if found.iter().all(Option::is_none) {
        return None;
    }
    let mut cells: Vec<Cell> = found
        .iter()
        .zip(evaluations)
        .map(|(found, one)| Cell::or_none(found.map(|found| figure(found, one, notes))))
        .collect();
    for (column, other) in found.iter().enumerate().skip(1) {
        let values = (found[0].and_then(|one| one.value), other.and_then(|one| one.value));
        let comparison = paired
            .iter()
            .find(|one| one.row == row && one.column == column && is_on(&one.comparison, asked))
            .map(|one| &one.comparison);
        cells.push(difference(values, comparison, notes));
    }
    cells.push(items(&found));
    Some(cells)
}

/// Whether the task's files are others on some path, by their hashes. What is measured on a token
/// store names no file: its tokens differ with the vocabulary, though the text is the same.
fn is_on_other_data(evaluations: &[Evaluation], task: &str, protocol: Protocol) -> bool {
    let hashes = |one: &Evaluation| -> Option<Vec<Value>> {
        let found = &one.results.data;
        let data = found.iter().find(|data| data.task == task && data.protocol == protocol)?;
        let files = data.summary["files"].as_array()?;
        Some(files.iter().map(|file| file["blake3"].clone()).collect())
    };
    let known: Vec<Vec<Value>> = evaluations.iter().filter_map(hashes).collect();
    known.windows(2).any(|pair| pair[0] != pair[1])
}

fn is_on(comparison: &Comparison, asked: Question<'_>) -> bool {
    let Comparison { task, protocol, split, metric, .. } = comparison;
    (task.as_str(), *protocol, Some(*split), "", metric.as_str()) == asked
}

/// What to know to read a table, as far as it holds there.
#[derive(Debug, Default)]
struct Notes {
    confidence: Option<f64>,
    deviation: bool,
    dagger: bool,
    paired: bool,
    unpaired: bool,
    other_data: bool,
    skipped: Vec<String>,
}

impl Notes {
    fn text(&self, first: &str) -> String {
        let mut parts = Vec::new();
        if self.paired || self.unpaired {
            parts.push(format!("Δ: less {first}."));
        }
        if let Some(confidence) = self.confidence {
            let percent = (confidence * 1e4).round() / 1e2;
            parts.push(format!("[low, high]: {percent}% interval over items."));
        }
        if self.deviation {
            parts.push("±: the standard deviation over seeds.".to_owned());
        }
        if self.dagger {
            let text = "†: clearly different from the reference of its own evaluation (paired \
                        bootstrap).";
            parts.push(text.to_owned());
        }
        if self.paired {
            let text = "An interval of Δ: paired bootstrap over the items that both answered; ‡ \
                        where it leaves out 0.";
            parts.push(text.to_owned());
        }
        if self.unpaired {
            parts.push("A Δ without an interval says nothing of chance.".to_owned());
        }
        if self.other_data {
            parts.push("NOT THE SAME DATA: the task's files differ between the paths.".to_owned());
        }
        parts.extend(self.skipped.iter().cloned());
        parts.join(" ")
    }

    fn skipped(&mut self, reason: &str) {
        let text = format!("SKIPPED: {reason}.");
        if !self.skipped.contains(&text) {
            self.skipped.push(text);
        }
    }
}

fn interval_text(interval: &ConfidenceInterval) -> String {
    format!(" [{:.4}, {:.4}]", interval.low, interval.high)
}

fn figure(row: &ResultRow, evaluation: &Evaluation, notes: &mut Notes) -> Cell {
    let value = json!({
        "value": row.value,
        "deviation": row.deviation,
        "low": row.interval.as_ref().map(|one| one.low),
        "high": row.interval.as_ref().map(|one| one.high),
        "confidence": row.interval.as_ref().map(|one| one.confidence),
        "num_items": row.num_items,
        "clear": evaluation.is_clear(row),
        "note": row.note,
    });
    let Some(number) = row.value.filter(|_| row.status == Status::Measured) else {
        let text = if row.status == Status::Skipped { "SKIPPED" } else { "undefined" };
        if row.status == Status::Skipped {
            notes.skipped(&row.note);
        }
        return Cell { text: text.to_owned(), value };
    };
    let mut text = format!("{number:.4}");
    if let Some(deviation) = row.deviation {
        notes.deviation = true;
        text += &format!(" ±{deviation:.4}");
    }
    if let Some(interval) = &row.interval {
        notes.confidence = Some(interval.confidence);
        text += &interval_text(interval);
    }
    if evaluation.is_clear(row) {
        notes.dagger = true;
        text += "†";
    }
    Cell { text, value }
}

fn difference(
    values: (Option<f64>, Option<f64>),
    paired: Option<&Comparison>,
    notes: &mut Notes,
) -> Cell {
    let (Some(first), Some(other)) = values else { return Cell::none() };
    let difference = other - first;
    let interval = paired.and_then(|one| one.interval.as_ref());
    let mut text = format!("{difference:+.4}");
    match (interval, paired) {
        (Some(interval), Some(comparison)) => {
            notes.paired = true;
            text += &interval_text(interval);
            if comparison.is_clear() {
                text += "‡";
            }
        }
        _ => notes.unpaired = true,
    }
    let value = json!({
        "value": difference,
        "low": interval.map(|one| one.low),
        "high": interval.map(|one| one.high),
        "method": interval.map(|one| &one.method),
        "clear": interval.and(paired).map(Comparison::is_clear),
    });
    Cell { text, value }
}

/// The items behind the figures: one number where they agree.
fn items(found: &[Option<&ResultRow>]) -> Cell {
    let mut counts: Vec<u64> = found.iter().flatten().map(|row| row.num_items).collect();
    counts.dedup();
    match counts[..] {
        [count] => Cell::count(count),
        _ => Cell::text(counts.iter().map(|count| grouped(*count)).collect::<Vec<_>>().join(" / ")),
    }
}

#[cfg(test)]
mod tests;
