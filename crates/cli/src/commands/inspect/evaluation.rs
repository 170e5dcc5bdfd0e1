//! Figures on tasks.

use bimed_eval::{Cell, Results, Status, Table, TableColumn};

use super::page::{Page, counted};
use crate::output::grouped;

/// Puts results on a page.
pub(super) fn show(results: &Results, page: &mut Page) -> anyhow::Result<()> {
    show_in_short(results, page);
    page.table(models(results));
    for table in results.tables() {
        page.table(table);
    }
    page.put("results", results)
}

/// Says how much there is.
pub(super) fn show_in_short(results: &Results, page: &mut Page) {
    let skipped = results.rows.iter().filter(|row| row.status == Status::Skipped).count();
    let tasks: Vec<&str> = results.data.iter().map(|data| data.task.as_str()).collect();
    let mut distinct = tasks.clone();
    distinct.sort_unstable();
    distinct.dedup();
    page.fact(
        "evaluation",
        format!(
            "{} of {}, tasks: {}; {} skipped; bimed {}",
            counted(results.rows.len() - skipped, "figure"),
            counted(results.models.len(), "model"),
            if distinct.is_empty() { "–".to_owned() } else { distinct.join(", ") },
            skipped,
            results.bimed_version,
        ),
    );
}

fn models(results: &Results) -> Table {
    let rows = results.models.iter().map(|model| {
        let cells = [
            model.name.clone(),
            model.weights.short().to_owned(),
            grouped(model.num_parameters),
            grouped(model.vocab_size),
        ];
        cells.into_iter().map(Cell::plain).collect()
    });
    let mut columns = ["model", "weights"].map(TableColumn::left).to_vec();
    columns.extend(["parameters", "vocabulary rows"].map(TableColumn::right));
    let title = "Models".to_owned();
    Table { title, note: String::new(), columns, rows: rows.collect() }
}
