//! Documents → how often each segment of a word occurs.
//!
//! A segment is a run of one script in a word of BERT's pre-tokenization, so that no token ever
//! crosses scripts; one that continues a word is marked. Words of private documents count from
//! `min_groups` distinct groups on.
//!
//! Invariant: sums and unions only, so the order of documents and the number of threads do not
//! matter; the result is sorted.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use bimed_artifact::{Context, Unit};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::characters::{MARK, class};
use crate::config::VocabConfig;
use crate::document::{InputDocument, Split};
use crate::options::MAX_WORD_CHARS;
use crate::words::{Splitter, split_added};
use crate::{Error, Result};

/// Bytes of text that are counted together.
const BATCH_BYTES: usize = 16 << 20;

/// What was read and what did not count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountSummary {
    /// Documents counted.
    pub documents: u64,
    /// Held-out documents, left aside.
    pub valid_documents: u64,
    /// Bytes of text counted.
    pub bytes: u64,
    /// Words counted.
    pub words: u64,
    /// Words above 100 characters, left aside: they are always `[UNK]`.
    pub long_words: u64,
    /// Distinct words.
    pub word_types: u64,
    /// Distinct words of private documents below the floor of groups.
    pub private_types_below_floor: u64,
    /// Their occurrences.
    pub private_words_below_floor: u64,
}

impl CountSummary {
    fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.valid_documents += other.valid_documents;
        self.bytes += other.bytes;
        self.words += other.words;
        self.long_words += other.long_words;
    }
}

/// A run of one script in a word, and how often it occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) text: String,
    /// It does not begin its word.
    pub(crate) continues: bool,
    pub(crate) count: u64,
}

/// The occurrences of a word.
#[derive(Debug, Default)]
struct Occurrences {
    public: u64,
    private: u64,
    /// Distinct groups among private documents, up to the floor.
    groups: Vec<u64>,
}

impl Occurrences {
    fn add_group(&mut self, group: u64, floor: usize) {
        if self.groups.len() < floor && !self.groups.contains(&group) {
            self.groups.push(group);
        }
    }

    fn counted(&self, floor: usize) -> u64 {
        self.public + if self.groups.len() >= floor { self.private } else { 0 }
    }
}

#[derive(Default)]
struct Shard {
    words: HashMap<Box<str>, Occurrences>,
    summary: CountSummary,
}

impl Shard {
    fn add(&mut self, document: &InputDocument, added: &[(String, u32)], config: &VocabConfig) {
        if document.split == Split::Valid {
            self.summary.valid_documents += 1;
            return;
        }
        self.summary.documents += 1;
        self.summary.bytes += document.text.len() as u64;
        let group = document.private.then(|| group_of(document));
        let options = config.tokenizer_options();
        let mut splitter = Splitter::default();
        let mut count = |word: &str| {
            if word.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS {
                self.summary.long_words += 1;
                return;
            }
            self.summary.words += 1;
            if !self.words.contains_key(word) {
                self.words.insert(word.into(), Occurrences::default());
            }
            if let Some(entry) = self.words.get_mut(word) {
                match group {
                    None => entry.public += 1,
                    Some(group) => {
                        entry.private += 1;
                        entry.add_group(group, config.min_groups);
                    }
                }
            }
        };
        split_added(&document.text, added, |part, offset, token| {
            if token.is_none() {
                splitter.run::<false>(part, offset, &options, &mut |word, _| count(word));
            }
        });
    }

    fn merge(mut self, other: Self, floor: usize) -> Self {
        self.summary.add(&other.summary);
        if self.words.len() < other.words.len() {
            return Self { summary: self.summary, words: other.words }
                .take_words(self.words, floor);
        }
        self.take_words(other.words, floor)
    }

    fn take_words(mut self, words: HashMap<Box<str>, Occurrences>, floor: usize) -> Self {
        for (word, from) in words {
            let entry = self.words.entry(word).or_default();
            entry.public += from.public;
            entry.private += from.private;
            for group in from.groups {
                entry.add_group(group, floor);
            }
        }
        self
    }
}

/// Whom a private document is about. Without a group, equal texts are one: a copied document is not
/// another patient.
fn group_of(document: &InputDocument) -> u64 {
    let mut hasher = DefaultHasher::new();
    match &document.group {
        Some(group) => (0u8, group).hash(&mut hasher),
        None => (1u8, &document.text).hash(&mut hasher),
    }
    hasher.finish()
}

/// Counts the training documents.
pub(crate) fn count<E>(
    documents: impl IntoIterator<Item = Result<InputDocument, E>>,
    config: &VocabConfig,
    context: &Context<'_>,
) -> Result<(Vec<Segment>, CountSummary)>
where
    E: std::error::Error + Send + Sync + 'static,
{
    context.progress.begin("count words", None, Unit::Bytes);
    let mut added: Vec<(String, u32)> =
        config.mask_tokens.iter().map(|token| (token.clone(), 0)).collect();
    added.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
    let mut shards: Vec<Shard> = Vec::new();
    shards.resize_with(rayon::current_num_threads(), Shard::default);
    let mut batch: Vec<InputDocument> = Vec::new();
    let mut bytes = 0;
    for document in documents {
        let document = document.map_err(|error| Error::Documents(Box::new(error)))?;
        bytes += document.text.len();
        batch.push(document);
        if bytes >= BATCH_BYTES {
            context.cancel.check()?;
            count_batch(&mut shards, &batch, &added, config);
            context.progress.advance(bytes as u64);
            batch.clear();
            bytes = 0;
        }
    }
    count_batch(&mut shards, &batch, &added, config);
    context.progress.advance(bytes as u64);
    let whole = shards.into_iter().reduce(|a, b| a.merge(b, config.min_groups)).unwrap_or_default();
    context.progress.end();
    Ok(segments(whole, config))
}

fn count_batch(
    shards: &mut [Shard],
    batch: &[InputDocument],
    added: &[(String, u32)],
    config: &VocabConfig,
) {
    let size = batch.len().div_ceil(shards.len()).max(1);
    shards.par_iter_mut().zip(batch.par_chunks(size)).for_each(|(shard, documents)| {
        for document in documents {
            shard.add(document, added, config);
        }
    });
}

fn segments(shard: Shard, config: &VocabConfig) -> (Vec<Segment>, CountSummary) {
    let mut summary = shard.summary;
    let mut counts: HashMap<(Box<str>, bool), u64> = HashMap::new();
    for (word, entry) in shard.words {
        if entry.private > 0 && entry.groups.len() < config.min_groups {
            summary.private_types_below_floor += 1;
            summary.private_words_below_floor += entry.private;
        }
        let count = entry.counted(config.min_groups);
        if count == 0 {
            continue;
        }
        summary.word_types += 1;
        for (index, run) in script_runs(&word).into_iter().enumerate() {
            *counts.entry((run.into(), index > 0)).or_default() += count;
        }
    }
    let mut segments: Vec<Segment> = counts
        .into_iter()
        .map(|((text, continues), count)| Segment { text: text.into(), continues, count })
        .collect();
    segments.par_sort_unstable_by(|a, b| (&a.text, a.continues).cmp(&(&b.text, b.continues)));
    (segments, summary)
}

/// The runs of one script of a word; a mark belongs to what it stands on.
fn script_runs(word: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    let (mut from, mut previous) = (0, None);
    for (at, c) in word.char_indices() {
        let class = class(c);
        if class.is(MARK) && previous.is_some() {
            continue;
        }
        if previous.is_some_and(|script| script != class.script) {
            runs.push(&word[from..at]);
            from = at;
        }
        previous = Some(class.script);
    }
    runs.push(&word[from..]);
    runs
}
