//! Results as tables.
//!
//! Owns the order of rows and what stands out; computes no figure.

use super::{ConfidenceInterval, ResultRow, Results, Status};
use crate::config::Protocol;
use crate::data::Split;
use crate::table::{Align, Cell, Table, TableColumn};

/// Stands behind a figure that differs clearly from the reference's.
const CLEAR_MARK: &str = "†";
const CLEAR_NOTE: &str = "†: the interval of the difference from the reference leaves out 0.";
/// The beginning of the name of a part that is a language.
const LANGUAGE_PART: &str = "language:";

impl Results {
    /// The summary and what is behind it.
    ///
    /// The best model of a question is strong where two or more answered it; † marks a clear
    /// difference from the reference.
    pub fn tables(&self) -> Vec<Table> {
        self.summary().into_iter().chain(self.details()).collect()
    }

    /// One table for each protocol, and one of the comparisons where there are any.
    pub fn details(&self) -> Vec<Table> {
        let mut protocols: Vec<Protocol> = Vec::new();
        for row in &self.rows {
            if !protocols.contains(&row.protocol) {
                protocols.push(row.protocol);
            }
        }
        let mut tables: Vec<Table> =
            protocols.into_iter().map(|protocol| self.protocol_table(protocol)).collect();
        if !self.comparisons.is_empty() {
            tables.push(self.comparison_table());
        }
        tables
    }

    /// One row a question, one column a model: what a task is judged by, of each split, and of each
    /// language where it asks several. `None` where nothing was measured.
    pub fn summary(&self) -> Option<Table> {
        let is_shown = |row: &&ResultRow| {
            row.metric == row.protocol.judged_by()
                && (row.part.is_empty() || row.part.starts_with(LANGUAGE_PART))
        };
        let rows = grouped(self.rows.iter().filter(is_shown));
        let mut models: Vec<&str> = Vec::new();
        for row in &rows {
            if !models.contains(&&*row.model) {
                models.push(&row.model);
            }
        }
        let mut table = Table {
            title: "Summary".to_owned(),
            note: String::new(),
            columns: columns(&["task", "protocol", "split", "part", "metric"], &models),
            rows: Vec::new(),
        };
        for group in rows.chunk_by(|a, b| a.question() == b.question()) {
            let row = group.first()?;
            let split = row.split.map_or("", Split::name);
            let question = [&row.task, row.protocol.id(), split, &row.part, &row.metric];
            let answer = |model: &&str| {
                let found = group.iter().find(|row| row.model == *model);
                found.map_or_else(|| Cell::plain("–"), |row| self.figure(row, group))
            };
            let cells = question.map(Cell::plain).into_iter().chain(models.iter().map(answer));
            table.rows.push(cells.collect());
        }
        if table.rows.iter().flatten().any(|cell| cell.text.ends_with(CLEAR_MARK)) {
            table.note = CLEAR_NOTE.to_owned();
        }
        (!table.rows.is_empty()).then(|| table.without_empty_columns(&["split", "part"]))
    }

    /// `results.md`.
    pub fn to_markdown(&self) -> String {
        let tables: Vec<String> = self.tables().iter().map(Table::to_markdown).collect();
        tables.join("\n")
    }

    fn protocol_table(&self, protocol: Protocol) -> Table {
        let rows = grouped(self.rows.iter().filter(|row| row.protocol == protocol));
        let mut table = Table {
            title: format!("Results: {}", protocol.id()),
            note: String::new(),
            columns: columns(&["task", "split", "part", "metric", "model"], &["value", "±"]),
            rows: Vec::new(),
        };
        let mut notes = Vec::new();
        if rows.iter().any(|row| row.deviation.is_some()) {
            notes.push("±: the standard deviation over seeds.");
        }
        if rows.iter().any(|row| row.interval.is_some()) {
            notes.push("CI: over items.");
        }
        if self.comparisons.iter().any(|c| c.protocol == protocol && c.is_clear()) {
            notes.push(CLEAR_NOTE);
        }
        table.note = notes.join(" ");
        table.columns.push(TableColumn::right(&interval_title(&rows)));
        table.columns.push(TableColumn::right("n"));
        table.columns.push(TableColumn { name: "note".to_owned(), align: Align::Left });
        for row in &rows {
            table.rows.push(vec![
                Cell::plain(&row.task),
                Cell::plain(row.split.map_or("", Split::name)),
                Cell::plain(&row.part),
                Cell::plain(&row.metric),
                Cell::plain(&row.model),
                self.figure(row, &rows),
                Cell::plain(row.deviation.map(|d| format!("{d:.4}")).unwrap_or_default()),
                Cell::plain(row.interval.as_ref().map(interval_text).unwrap_or_default()),
                Cell::plain(row.num_items.to_string()),
                Cell::plain(&row.note),
            ]);
        }
        table.without_empty_columns(&["part", "±", "note"])
    }

    fn comparison_table(&self) -> Table {
        let mut table = Table {
            title: "Differences on the same items".to_owned(),
            note: "Paired bootstrap; strong where the interval leaves out 0.".to_owned(),
            columns: columns(
                &["task", "protocol", "split", "metric", "model", "reference"],
                &["difference", "interval", "n"],
            ),
            rows: Vec::new(),
        };
        for comparison in &self.comparisons {
            let difference = match comparison.difference {
                Some(value) => format!("{value:+.4}"),
                None => comparison.note.clone(),
            };
            table.rows.push(vec![
                Cell::plain(&comparison.task),
                Cell::plain(comparison.protocol.id()),
                Cell::plain(comparison.split.name()),
                Cell::plain(&comparison.metric),
                Cell::plain(&comparison.model),
                Cell::plain(&comparison.reference),
                Cell { text: difference, strong: comparison.is_clear() },
                Cell::plain(comparison.interval.as_ref().map(interval_text).unwrap_or_default()),
                Cell::plain(comparison.num_items.to_string()),
            ]);
        }
        table
    }

    /// The value of `row`, strong where it is the best of `rows`.
    fn figure(&self, row: &ResultRow, rows: &[&ResultRow]) -> Cell {
        match (row.status, row.value) {
            (Status::Skipped, _) => Cell::plain("SKIPPED"),
            (Status::Measured, None) => Cell::plain("undefined"),
            (Status::Measured, Some(value)) => {
                let mark = if self.is_clear(row) { CLEAR_MARK } else { "" };
                Cell { text: format!("{value:.4}{mark}"), strong: is_best(row, rows) }
            }
        }
    }

    fn is_clear(&self, row: &ResultRow) -> bool {
        row.part.is_empty()
            && self.comparisons.iter().any(|c| {
                c.is_clear()
                    && c.model == row.model
                    && (&*c.task, c.protocol, Some(c.split), "", &*c.metric) == row.question()
            })
    }
}

/// Rows that answer one question beside each other, questions by their first row.
fn grouped<'r>(rows: impl Iterator<Item = &'r ResultRow>) -> Vec<&'r ResultRow> {
    let mut groups: Vec<Vec<&ResultRow>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| group[0].question() == row.question()) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.concat()
}

/// Whether a higher figure of `metric` is better.
fn higher_is_better(metric: &str) -> bool {
    !["loss", "rmse", "bits_per_character", "perplexity"].iter().any(|low| metric.contains(low))
}

fn is_best(row: &ResultRow, rows: &[&ResultRow]) -> bool {
    let rivals = || rows.iter().filter(|other| other.question() == row.question());
    let sign = if higher_is_better(&row.metric) { 1.0 } else { -1.0 };
    let Some(value) = row.value else { return false };
    rivals().count() > 1
        && rivals().filter_map(|other| other.value).all(|other| sign * value >= sign * other)
}

fn interval_title(rows: &[&ResultRow]) -> String {
    let confidence = rows.iter().find_map(|row| row.interval.as_ref()).map(|i| i.confidence);
    confidence
        .map_or("CI".to_owned(), |confidence| format!("{}% CI", (confidence * 1e4).round() / 1e2))
}

fn interval_text(interval: &ConfidenceInterval) -> String {
    format!("[{:.4}, {:.4}]", interval.low, interval.high)
}

fn columns(left: &[&str], right: &[&str]) -> Vec<TableColumn> {
    let left = left.iter().map(|name| TableColumn::left(name));
    left.chain(right.iter().map(|name| TableColumn::right(name))).collect()
}
