//! Corpora and token stores side by side.

use std::collections::BTreeSet;

use anyhow::Context as _;
use bimed_corpus::CorpusSummary;
use bimed_vocab::TokenStore;
use serde_json::{Map, Value};

use super::settings::{differing, flat};
use super::sheet::{Cell, Sheet};
use crate::commands::inspect::{TokenCounts, corpus_summary, token_counts};
use crate::commands::recognise::Found;

/// The corpora at the paths that were found.
pub(super) fn sheets(names: &[String], found: &[Found]) -> anyhow::Result<Vec<Sheet>> {
    let summaries = found
        .iter()
        .map(|found| {
            let manifest = found.manifest.as_ref().context("a corpus without a manifest")?;
            corpus_summary(manifest, &found.path)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut sheets = vec![
        by_language(names, &summaries, "Documents", |documents, _| documents),
        by_language(names, &summaries, "Words", |_, words| words),
    ];
    let rejected = rejected(names, &summaries);
    if !rejected.rows.is_empty() {
        sheets.push(rejected);
    }
    sheets.push(settings(names, found));
    Ok(sheets)
}

/// The token stores at the paths that were found.
pub(super) fn token_sheets(names: &[String], found: &[Found]) -> anyhow::Result<Vec<Sheet>> {
    let stores =
        found.iter().map(|found| TokenStore::open(&found.path)).collect::<Result<Vec<_>, _>>()?;
    let counts: Vec<TokenCounts> = stores.iter().map(token_counts).collect();
    let mut store = Sheet::new("Vocabulary", &["of the store"], names);
    store.push(["rows"], stores.iter().map(|store| Cell::count(store.vocab_size() as u64)));
    store
        .push(["BLAKE3 of `vocab.txt`"], stores.iter().map(|store| Cell::text(store.vocab_hash())));
    let sheet = |title: &str, pick: fn((u64, u64)) -> u64| {
        let mut sheet = Sheet::new(title, &["source", "language", "split"], names);
        let all = counts.iter().map(|counts| counts.values().copied().map(pick).sum());
        sheet.push(["all", "", ""], all.map(Cell::count));
        let keys: BTreeSet<_> = counts.iter().flat_map(TokenCounts::keys).collect();
        for key in keys {
            let cells = counts
                .iter()
                .map(|counts| Cell::or_none(counts.get(key).copied().map(pick).map(Cell::count)));
            sheet.push([key.0.as_str(), key.1.as_str(), key.2], cells);
        }
        sheet
    };
    Ok(vec![
        store,
        sheet("Documents", |(documents, _)| documents),
        sheet("Tokens", |(_, tokens)| tokens),
    ])
}

fn by_language(
    names: &[String],
    summaries: &[CorpusSummary],
    title: &str,
    pick: fn(u64, u64) -> u64,
) -> Sheet {
    let mut sheet = Sheet::new(title, &["source", "language", "split"], names);
    let all = summaries.iter().map(|summary| pick(summary.documents, summary.words));
    sheet.push(["all", "", ""], all.map(Cell::count));
    let mut keys: Vec<(&str, &str, &str)> = Vec::new();
    for one in summaries.iter().flat_map(|summary| &summary.languages) {
        let key = (one.source.as_str(), one.language.as_str(), one.split.name());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    for (source, language, split) in keys {
        let cells = summaries.iter().map(|summary| {
            let found = summary.languages.iter().find(|one| {
                (one.source.as_str(), one.language.as_str(), one.split.name())
                    == (source, language, split)
            });
            Cell::or_none(found.map(|one| Cell::count(pick(one.documents, one.words))))
        });
        sheet.push([source, language, split], cells);
    }
    sheet
}

fn rejected(names: &[String], summaries: &[CorpusSummary]) -> Sheet {
    let count = |summary: &CorpusSummary, source: &str, reason: &str| {
        let found = summary.sources.iter().find(|one| one.name == source)?;
        found.rejected.iter().find(|(one, _)| one.name() == reason).map(|(_, count)| *count)
    };
    let keys: BTreeSet<(&str, &str)> = summaries
        .iter()
        .flat_map(|summary| &summary.sources)
        .flat_map(|source| {
            source.rejected.keys().map(|reason| (source.name.as_str(), reason.name()))
        })
        .collect();
    let mut sheet = Sheet::new("Records left out", &["source", "reason"], names);
    for (source, reason) in keys {
        let cells = summaries
            .iter()
            .map(|summary| Cell::or_none(count(summary, source, reason).map(Cell::count)));
        sheet.push([source, reason], cells);
    }
    sheet
}

fn settings(names: &[String], found: &[Found]) -> Sheet {
    let configs: Vec<Map<String, Value>> = found
        .iter()
        .map(|found| found.manifest.as_ref().map(|one| flat(&one.config)).unwrap_or_default())
        .collect();
    differing("Settings that differ", names, &configs)
}
