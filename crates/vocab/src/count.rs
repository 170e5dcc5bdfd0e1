//! Documents → how often each segment of a word occurs.
//!
//! A segment is a run of one script in a word of BERT's pre-tokenization, so that no token ever
//! crosses scripts; one that continues its word begins with `##`. Words of private documents count
//! from `min_groups` distinct groups on.
//!
//! Invariant: sums and unions only, so the order of documents and the number of threads do not
//! matter, except for the order of the segments.

use bimed_artifact::{Context, Unit};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::characters::{MARK, class};
use crate::config::VocabConfig;
use crate::document::{InputDocument, Split};
use crate::options::{MAX_WORD_CHARS, TokenizerOptions};
use crate::private_words::{PrivateWords, group_of};
use crate::vocabulary::CONTINUATION;
use crate::word_counts::WordCounts;
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

    /// Of words that were counted elsewhere.
    pub(crate) fn of_words(words: &WordCounts) -> Self {
        let occurrences = words.iter().map(|(_, count)| count).sum();
        Self { words: occurrences, word_types: words.len() as u64, ..Self::default() }
    }

    /// Whether `word` is short enough to have tokens; counts it.
    fn takes(&mut self, word: &str) -> bool {
        let is_long = word.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS;
        self.long_words += u64::from(is_long);
        self.words += u64::from(!is_long);
        !is_long
    }
}

/// How documents become words.
struct Rules {
    options: TokenizerOptions,
    /// Tokens that are matched literally, longest first.
    added: Vec<(String, u32)>,
    min_groups: usize,
}

/// What one thread counts.
#[derive(Default)]
struct Shard {
    public: WordCounts,
    private: PrivateWords,
    summary: CountSummary,
    splitter: Splitter,
}

impl Shard {
    fn add(&mut self, document: &InputDocument, rules: &Rules) {
        if document.split == Split::Valid {
            self.summary.valid_documents += 1;
            return;
        }
        self.summary.documents += 1;
        self.summary.bytes += document.text.len() as u64;
        let group = document.private.then(|| group_of(document));
        let mut count = |word: &str| {
            if self.summary.takes(word) {
                match group {
                    None => drop(self.public.add(word, 1)),
                    Some(group) => self.private.add(word, group, rules.min_groups),
                }
            }
        };
        split_added(&document.text, &rules.added, |part, offset, token| {
            if token.is_none() {
                let splitter = &mut self.splitter;
                splitter.run::<false>(part, offset, &rules.options, &mut |word, _| count(word));
            }
        });
    }

    fn merge(self, other: Self, min_groups: usize) -> Self {
        let mut summary = self.summary;
        summary.add(&other.summary);
        Self {
            public: self.public.merge(other.public),
            private: self.private.merge(other.private, min_groups),
            summary,
            splitter: self.splitter,
        }
    }

    /// The words that count: public ones, and private ones from the floor on.
    fn finish(self, min_groups: usize) -> (WordCounts, CountSummary) {
        let (mut words, mut summary) = (self.public, self.summary);
        let (types, occurrences) = self.private.release(min_groups, &mut words);
        summary.private_types_below_floor = types;
        summary.private_words_below_floor = occurrences;
        summary.word_types = words.len() as u64;
        (words, summary)
    }
}

/// Counts the words of the training documents.
pub(crate) fn count<E>(
    documents: impl IntoIterator<Item = Result<InputDocument, E>>,
    options: TokenizerOptions,
    config: &VocabConfig,
    context: &Context<'_>,
) -> Result<(WordCounts, CountSummary)>
where
    E: std::error::Error + Send + Sync + 'static,
{
    context.progress.begin("count words", None, Unit::Bytes);
    let mut added: Vec<(String, u32)> =
        config.mask_tokens.iter().map(|token| (token.clone(), 0)).collect();
    added.sort_by_key(|(token, _)| std::cmp::Reverse(token.len()));
    let rules = Rules { options, added, min_groups: config.min_groups };
    let mut shards: Vec<Shard> = Vec::new();
    shards.resize_with(rayon::current_num_threads(), Shard::default);
    let mut documents = documents.into_iter();
    let mut batch = next_batch(&mut documents)?;
    while !batch.is_empty() {
        context.cancel.check()?;
        let bytes: usize = batch.iter().map(|document| document.text.len()).sum();
        // The next batch is read while this one is counted.
        batch = rayon::in_place_scope(|scope| {
            scope.spawn(|_| count_batch(&mut shards, &batch, &rules));
            next_batch(&mut documents)
        })?;
        context.progress.advance(bytes as u64);
    }
    let whole = shards.into_iter().reduce(|a, b| a.merge(b, config.min_groups)).unwrap_or_default();
    context.progress.end();
    Ok(whole.finish(config.min_groups))
}

fn next_batch<E>(
    documents: &mut impl Iterator<Item = Result<InputDocument, E>>,
) -> Result<Vec<InputDocument>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut batch = Vec::new();
    let mut bytes = 0;
    while bytes < BATCH_BYTES
        && let Some(document) = documents.next()
    {
        let document = document.map_err(|error| Error::Documents(Box::new(error)))?;
        bytes += document.text.len();
        batch.push(document);
    }
    Ok(batch)
}

fn count_batch(shards: &mut [Shard], batch: &[InputDocument], rules: &Rules) {
    let size = batch.len().div_ceil(shards.len()).max(1);
    shards.par_iter_mut().zip(batch.par_chunks(size)).for_each(|(shard, documents)| {
        for document in documents {
            shard.add(document, rules);
        }
    });
}

/// Cuts words into segments, in place: a word of several scripts ends with no occurrence.
pub(crate) fn segments(mut words: WordCounts) -> WordCounts {
    let mut segment = String::new();
    for index in 0..words.len() {
        let Some(first) = first_run(words.word(index)) else { continue };
        let (word, count) = (words.word(index).to_owned(), words.count(index));
        words.clear(index);
        words.add(&word[..first], count);
        let mut rest = &word[first..];
        while !rest.is_empty() {
            let run = first_run(rest).unwrap_or(rest.len());
            segment.clear();
            segment.push_str(CONTINUATION);
            segment.push_str(&rest[..run]);
            words.add(&segment, count);
            rest = &rest[run..];
        }
    }
    words
}

/// The length of the first run of one script, where it is not the whole word; a mark belongs to
/// what it stands on.
fn first_run(word: &str) -> Option<usize> {
    let mut previous = None;
    for (at, c) in word.char_indices() {
        let class = class(c);
        if class.is(MARK) && previous.is_some() {
            continue;
        }
        if previous.is_some_and(|script| script != class.script) {
            return Some(at);
        }
        previous = Some(class.script);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_several_scripts_become_their_runs() {
        let mut words = WordCounts::default();
        for (word, count) in [("CT상", 3), ("상", 5), ("T2강조", 2), ("e\u{301}x", 1), ("##", 7)]
        {
            words.add(word, count);
        }
        let segments = segments(words);
        let of = |segment: &str| {
            let found = (0..segments.len()).find(|&index| segments.word(index) == segment);
            found.map(|index| segments.count(index))
        };
        assert_eq!([of("CT상"), of("T2강조")], [Some(0); 2]);
        assert_eq!([of("CT"), of("##상"), of("상")], [Some(3), Some(3), Some(5)]);
        assert_eq!([of("T"), of("##2"), of("##강조")], [Some(2); 3]);
        assert_eq!([of("e\u{301}x"), of("##")], [Some(1), Some(7)]);
    }
}
