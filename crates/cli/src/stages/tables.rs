//! What the stages' summaries say, as tables for the report and the model's card.

use std::collections::BTreeMap;

use bimed_artifact::SourceLineage;
use bimed_corpus::CorpusSummary;
use bimed_eval::{Cell, Table, TableColumn};
use bimed_train::ValidationRecord;
use bimed_vocab::{EncodeSummary, RowsByScript, TextMeasures, VocabReport};
use serde_json::Value;

use super::card::tier_name;
use crate::output::grouped;

/// A table without rows: columns of `words`, then of `numbers`.
pub(crate) fn table(title: &str, note: &str, words: &[&str], numbers: &[&str]) -> Table {
    let left = words.iter().map(|name| TableColumn::left(name));
    let right = numbers.iter().map(|name| TableColumn::right(name));
    Table {
        title: title.to_owned(),
        note: note.to_owned(),
        columns: left.chain(right).collect(),
        rows: Vec::new(),
    }
}

/// A row in which nothing stands out.
pub(crate) fn row(cells: impl IntoIterator<Item = String>) -> Vec<Cell> {
    cells.into_iter().map(Cell::plain).collect()
}

/// Documents, words and tokens by source and language.
pub(crate) fn corpus(corpus: &CorpusSummary, tokens: Option<&EncodeSummary>) -> Table {
    let note = "Words are stretches between white space; tokens are of this arm's vocabulary.";
    let mut table =
        table("Corpus", note, &["source", "language"], &["documents", "words", "tokens"]);
    let mut counts: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for one in &corpus.languages {
        let entry = counts.entry((&one.source, &one.language)).or_default();
        entry.0 += one.documents;
        entry.1 += one.words;
    }
    let mut all = (0, 0, 0);
    for ((source, language), (documents, words)) in counts {
        let count = tokens.and_then(|tokens| tokens.by_source.get(source)?.get(language));
        let count = count.map_or(0, |count| count.tokens);
        all = (all.0 + documents, all.1 + words, all.2 + count);
        let numbers = [documents, words, count].map(grouped);
        table.rows.push(row([source.to_owned(), language.to_owned()].into_iter().chain(numbers)));
    }
    let numbers = [all.0, all.1, all.2].map(grouped);
    table.rows.push(row(["all".to_owned(), String::new()].into_iter().chain(numbers)));
    table
}

/// Rows of each vocabulary by script.
pub(crate) fn vocabulary_rows(report: &VocabReport) -> Table {
    let scripts = ["rows", "Hangul", "Latin", "digits", "Han", "other"];
    let mut table =
        table("Vocabulary", "Rows by script, specials aside.", &["vocabulary"], &scripts);
    for entry in &report.vocabularies {
        let (a, b): (RowsByScript, RowsByScript) = (entry.initial, entry.continuation);
        let rows = [
            entry.rows,
            a.hangul + b.hangul,
            a.latin + b.latin,
            a.digit + b.digit,
            a.han + b.han,
            a.other + b.other,
        ];
        let rows = rows.map(|rows| grouped(rows as u64));
        table.rows.push(row([entry.name.clone()].into_iter().chain(rows)));
    }
    table
}

/// How each vocabulary splits the held-out text of each language.
pub(crate) fn fertility(report: &VocabReport) -> Table {
    let note = "On held-out documents. Fertility is tokens a word.";
    let numbers = ["words", "fertility", "tokens an eojeol", "split words", "unknown words"];
    let mut table = table("Fertility", note, &["vocabulary", "language"], &numbers);
    for entry in &report.vocabularies {
        let mut by_language: BTreeMap<&str, TextMeasures> = BTreeMap::new();
        for (language, measures) in entry.by_source.values().flatten() {
            let sum = by_language.entry(language).or_default();
            sum.words += measures.words;
            sum.eojeols += measures.eojeols;
            sum.pieces += measures.pieces;
            sum.continued_words += measures.continued_words;
            sum.unk_words += measures.unk_words;
        }
        for (language, sum) in by_language {
            let ratio = |a: u64, b: u64| a as f64 / b.max(1) as f64;
            table.rows.push(row([
                entry.name.clone(),
                language.to_owned(),
                grouped(sum.words),
                format!("{:.3}", ratio(sum.pieces, sum.words)),
                format!("{:.3}", ratio(sum.pieces, sum.eojeols)),
                format!("{:.1}%", 100.0 * ratio(sum.continued_words, sum.words)),
                format!("{:.2}%", 100.0 * ratio(sum.unk_words, sum.words)),
            ]));
        }
    }
    table
}

/// The rows of the embedding by how they were filled.
pub(crate) fn transplanted_rows(summary: &Value) -> Option<Table> {
    let counts: BTreeMap<String, BTreeMap<String, u64>> =
        serde_json::from_value(summary["provenance"]["counts"].clone()).ok()?;
    let mut scripts: Vec<&str> =
        counts.values().flat_map(BTreeMap::keys).map(String::as_str).collect();
    scripts.sort_unstable();
    scripts.dedup();
    let numbers: Vec<&str> = scripts.iter().copied().chain(["all"]).collect();
    let note = "How each row of the new embedding was filled, by the script of its token.";
    let mut table = table("Transplanted rows", note, &["method"], &numbers);
    for (method, by_script) in &counts {
        let each = scripts.iter().map(|script| by_script.get(*script).copied().unwrap_or(0));
        let all = by_script.values().sum();
        let numbers = each.chain([all]).map(grouped);
        table.rows.push(row([method.clone()].into_iter().chain(numbers)));
    }
    Some(table)
}

/// The first and the last validation of a run.
pub(crate) fn validation(validations: &[ValidationRecord]) -> Table {
    let note = "Masked words of the run's held-out documents. Bits per character compare across \
                vocabularies, loss and accuracy do not.";
    let numbers = ["loss", "accuracy", "bits per character", "tokens", "characters"];
    let mut table = table("Held-out text", note, &["step", "language"], &numbers);
    let last = validations.last().filter(|last| validations.len() > 1 && last.step > 0);
    for record in validations.first().into_iter().chain(last) {
        for (language, figures) in &record.languages {
            table.rows.push(row([
                grouped(record.step),
                language.clone(),
                format!("{:.4}", figures.loss),
                format!("{:.1}%", 100.0 * figures.accuracy),
                format!("{:.4}", figures.bits_per_character),
                grouped(figures.predictions),
                grouped(figures.chars),
            ]));
        }
    }
    table
}

/// Every source with its licence.
pub(crate) fn lineage(sources: &[SourceLineage]) -> Table {
    let words = ["source", "access", "licence", "approval"];
    let mut table = table("Sources", "", &words, &[]);
    for source in sources {
        table.rows.push(row([
            source.name.clone(),
            tier_name(source.access_tier).to_owned(),
            source.licence.clone(),
            source.approval.clone().unwrap_or_default(),
        ]));
    }
    table
}

/// A config as dotted keys.
pub(crate) fn settings(title: &str, config: &Value) -> Table {
    let mut table = table(title, "", &["setting"], &["value"]);
    settings_rows("", config, &mut table.rows);
    table
}

fn settings_rows(prefix: &str, value: &Value, rows: &mut Vec<Vec<Cell>>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                settings_rows(&key, value, rows);
            }
        }
        Value::Null => {}
        Value::String(text) => rows.push(row([prefix.to_owned(), text.clone()])),
        other => rows.push(row([prefix.to_owned(), other.to_string()])),
    }
}
