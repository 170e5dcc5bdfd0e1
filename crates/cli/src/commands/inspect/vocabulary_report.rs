//! Vocabularies side by side on held-out text, as the vocabulary's stage reported them.

use std::path::Path;

use bimed_vocab::VocabReport;

use super::page::Page;
use crate::commands::recognise::{REPORT_FILE, read_json};
use crate::output::grouped;
use crate::stages::tables;

/// Reads `report.json`, or that of a directory.
///
/// # Errors
/// When it is not a report on vocabularies.
pub(in crate::commands) fn read(path: &Path) -> anyhow::Result<VocabReport> {
    let file = if path.is_dir() { path.join(REPORT_FILE) } else { path.to_path_buf() };
    read_json(&file, "a report on vocabularies")
}

/// Puts a report on a page.
pub(super) fn show(path: &Path, page: &mut Page) -> anyhow::Result<()> {
    let report = read(path)?;
    let names: Vec<&str> = report.vocabularies.iter().map(|one| one.name.as_str()).collect();
    page.fact("vocabularies", format!("{}: {}", grouped(names.len() as u64), names.join(", ")));
    page.table(tables::vocabulary_rows(&report));
    page.table(tables::fertility(&report));
    page.put("report", report)
}
