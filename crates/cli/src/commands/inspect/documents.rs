//! A corpus and a token store: documents, words and tokens by source and language.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use bimed_artifact::Manifest;
use bimed_corpus::CorpusSummary;
use bimed_eval::Table;
use bimed_vocab::{EncodeSummary, Split, TokenStore};
use serde_json::json;

use super::page::{Page, counted};
use crate::output::grouped;
use crate::stages::tables::{row, table};

/// What the stage recorded of a corpus.
///
/// # Errors
/// When it is not of this version.
pub(in crate::commands) fn summary(
    manifest: &Manifest,
    path: &Path,
) -> anyhow::Result<CorpusSummary> {
    serde_json::from_value(manifest.summary.clone())
        .ok()
        .with_context(|| format!("`{}` was written by another version of bimed", path.display()))
}

/// Puts a corpus on a page.
pub(super) fn show(summary: &CorpusSummary, page: &mut Page) -> anyhow::Result<()> {
    page.fact(
        "documents",
        format!(
            "{} with {} words, in {}",
            grouped(summary.documents),
            grouped(summary.words),
            counted(summary.shards as usize, "shard")
        ),
    );
    if summary.partial {
        page.fact("partial", "YES: some input ended early or could not be read");
    }
    match &summary.decontamination {
        None => page.fact("decontaminated", "no"),
        Some(found) => page.fact(
            "decontaminated",
            format!(
                "{} documents dropped of {}, against {} sentences of {} files",
                grouped(found.dropped),
                grouped(found.compared),
                grouped(found.sentences),
                grouped(found.files)
            ),
        ),
    }
    for warning in &summary.warnings {
        page.fact("warning", warning);
    }
    page.table(documents(summary));
    let rejected = rejected(summary);
    if !rejected.rows.is_empty() {
        page.table(rejected);
    }
    page.put("corpus", summary)
}

fn documents(summary: &CorpusSummary) -> Table {
    let note = "Words are stretches between white space.";
    let words = ["source", "language", "split"];
    let mut table = table("Documents", note, &words, &["documents", "words", "share of words"]);
    let share = |words: u64| format!("{:.1}%", 100.0 * words as f64 / summary.words.max(1) as f64);
    for one in &summary.languages {
        let split = one.split.name().to_owned();
        let numbers = [grouped(one.documents), grouped(one.words), share(one.words)];
        let names = [one.source.clone(), one.language.clone(), split];
        table.rows.push(row(names.into_iter().chain(numbers)));
    }
    let numbers = [grouped(summary.documents), grouped(summary.words), share(summary.words)];
    table
        .rows
        .push(row(["all".to_owned(), String::new(), String::new()].into_iter().chain(numbers)));
    table
}

fn rejected(summary: &CorpusSummary) -> Table {
    let note = "Records that are in no shard; `rejected/` has them.";
    let mut table = table("Left out", note, &["source", "reason"], &["records", "words"]);
    for source in &summary.sources {
        for (reason, records) in &source.rejected {
            let words = source.rejected_words.get(reason).copied().unwrap_or(0);
            table.rows.push(row([
                source.name.clone(),
                reason.name().to_owned(),
                grouped(*records),
                grouped(words),
            ]));
        }
    }
    table
}

/// Tokens of a store: source, language, split → documents, tokens.
pub(in crate::commands) type TokenCounts = BTreeMap<(String, String, &'static str), (u64, u64)>;

/// Counts a store's tokens.
pub(in crate::commands) fn token_counts(store: &TokenStore) -> TokenCounts {
    let mut counts = TokenCounts::new();
    for document in store.documents() {
        let source = store.sources()[usize::from(document.source)].clone();
        let language = store.languages()[usize::from(document.language)].clone();
        let split = match document.split {
            Split::Train => "train",
            Split::Valid => "valid",
        };
        let entry = counts.entry((source, language, split)).or_default();
        entry.0 += 1;
        entry.1 += document.end - document.start;
    }
    counts
}

/// Puts a token store on a page.
pub(super) fn show_tokens(
    path: &Path,
    manifest: Option<&Manifest>,
    page: &mut Page,
) -> anyhow::Result<()> {
    let store = TokenStore::open(path)?;
    let counts = token_counts(&store);
    let num_documents = store.documents().len() as u64;
    page.fact(
        "tokens",
        format!("{} in {} documents", grouped(store.num_tokens()), grouped(num_documents)),
    );
    let hash = store.vocab_hash();
    let short = hash.get(..16).unwrap_or(hash);
    page.fact("vocabulary", format!("{} rows, BLAKE3 {short}", grouped(store.vocab_size() as u64)));
    let summary: Option<EncodeSummary> =
        manifest.and_then(|manifest| serde_json::from_value(manifest.summary.clone()).ok());
    if let Some(EncodeSummary { total, .. }) = &summary {
        let rate = 100.0 * total.unk_tokens as f64 / total.tokens.max(1) as f64;
        let fertility = total.tokens as f64 / total.words.max(1) as f64;
        page.fact("[UNK]", format!("{} tokens, {rate:.3}%", grouped(total.unk_tokens)));
        page.fact("fertility", format!("{fertility:.3} tokens a word"));
    }
    let words = ["source", "language", "split"];
    let mut table = table("Tokens", "", &words, &["documents", "tokens", "share of tokens"]);
    let all = store.num_tokens().max(1) as f64;
    for ((source, language, split), (documents, tokens)) in &counts {
        let share = format!("{:.1}%", 100.0 * *tokens as f64 / all);
        let names = [source.clone(), language.clone(), (*split).to_owned()];
        let numbers = [grouped(*documents), grouped(*tokens), share];
        table.rows.push(row(names.into_iter().chain(numbers)));
    }
    page.table(table);
    let rows: Vec<_> = counts
        .iter()
        .map(|((source, language, split), (documents, tokens))| {
            json!({ "source": source, "language": language, "split": split,
                    "documents": documents, "tokens": tokens })
        })
        .collect();
    page.put(
        "token_store",
        json!({ "tokens": store.num_tokens(), "documents": num_documents,
                "vocab_size": store.vocab_size(), "vocab_hash": hash, "by_source": rows }),
    )
}
