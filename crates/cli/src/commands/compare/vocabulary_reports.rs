//! Vocabulary reports side by side. Each report measures on its own held-out text: the number of
//! words is shown first, since rates on other text do not compare.

use std::collections::BTreeSet;

use bimed_vocab::{RowsByScript, TextMeasures, VocabularyReport};

use super::sheet::{Cell, Sheet};
use crate::commands::inspect::read_vocabulary_report;
use crate::commands::recognise::Found;

type Measure = (&'static str, fn(&TextMeasures) -> Cell);

const MEASURES: [Measure; 7] = [
    ("documents", |found| Cell::count(found.documents)),
    ("words", |found| Cell::count(found.words)),
    ("tokens a word", |found| Cell::number(found.fertility, 3)),
    ("tokens an eojeol", |found| Cell::number(found.pieces_per_eojeol, 3)),
    ("split words", |found| Cell::share(found.continued_word_rate, 1)),
    ("words with [UNK]", |found| Cell::share(found.unk_word_rate, 3)),
    ("bytes a token", |found| Cell::number(found.bytes_per_token, 2)),
];

/// The reports at the paths that were found, one column for each of their vocabularies.
pub(super) fn sheets(names: &[String], found: &[Found]) -> anyhow::Result<Vec<Sheet>> {
    let mut columns: Vec<(String, VocabularyReport)> = Vec::new();
    for (name, found) in names.iter().zip(found) {
        let report = read_vocabulary_report(&found.path)?;
        let entries = report.vocabularies.into_iter();
        columns.extend(entries.map(|entry| (format!("{name}: {}", entry.name), entry)));
    }
    Ok(vec![rows(&columns), text(&columns)])
}

fn column_names(columns: &[(String, VocabularyReport)]) -> Vec<String> {
    columns.iter().map(|(name, _)| name.clone()).collect()
}

fn rows(columns: &[(String, VocabularyReport)]) -> Sheet {
    let mut sheet = Sheet::new("Rows", &["rows"], &column_names(columns))
        .with_note("Special tokens and reserved rows aside, but in `all`.");
    let mut push = |name: &str, count: &dyn Fn(&VocabularyReport) -> usize| {
        sheet.push([name], columns.iter().map(|(_, entry)| Cell::count(count(entry) as u64)));
    };
    push("all", &|entry| entry.rows);
    type Count = (&'static str, fn(&RowsByScript) -> usize);
    let scripts: [Count; 5] = [
        ("Hangul", |rows| rows.hangul),
        ("Latin", |rows| rows.latin),
        ("digits", |rows| rows.digit),
        ("Han", |rows| rows.han),
        ("other", |rows| rows.other),
    ];
    for (name, script) in scripts {
        push(name, &|entry| script(&entry.initial) + script(&entry.continuation));
    }
    push("not used by the text", &|entry| entry.unused_rows);
    sheet
}

fn text(columns: &[(String, VocabularyReport)]) -> Sheet {
    let note = "Rates compare where the words are the same.";
    let keys = ["source", "language", "measure"];
    let mut sheet = Sheet::new("Held-out text", &keys, &column_names(columns)).with_note(note);
    for (name, measure) in MEASURES {
        let cells = columns.iter().map(|(_, entry)| measure(&entry.total));
        sheet.push(["all", "all", name], cells);
    }
    type OfEntry = (&'static str, fn(&VocabularyReport) -> Cell);
    let of_entry: [OfEntry; 4] = [
        ("Rényi efficiency", |entry| Cell::number(entry.renyi_efficiency, 4)),
        ("code-mixed words", |entry| Cell::count(entry.code_mix.words)),
        ("tokens a code-mixed word", |entry| Cell::number(entry.code_mix.pieces_per_word, 3)),
        ("aligned code-mixed words", |entry| Cell::share(entry.code_mix.alignment_rate, 1)),
    ];
    for (name, measure) in of_entry {
        sheet.push(["all", "all", name], columns.iter().map(|(_, entry)| measure(entry)));
    }
    let parts: BTreeSet<(&String, &String)> = columns
        .iter()
        .flat_map(|(_, entry)| &entry.by_source)
        .flat_map(|(source, languages)| languages.keys().map(move |language| (source, language)))
        .collect();
    for (source, language) in parts {
        for (name, measure) in MEASURES {
            let cells = columns.iter().map(|(_, entry)| {
                let found = entry.by_source.get(source).and_then(|found| found.get(language));
                Cell::or_none(found.map(measure))
            });
            sheet.push([source.as_str(), language.as_str(), name], cells);
        }
    }
    sheet
}
