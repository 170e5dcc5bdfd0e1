//! New rows behind those of a base, whose rows and rules stay as they are.
//!
//! Invariant: the base's tokens keep their ids; a new one is no token of the base's.

use std::path::Path;

use bimed_artifact::Context;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use crate::config::{Policy, VocabConfig};
use crate::count::count;
use crate::deny::denied;
use crate::document::InputDocument;
use crate::growth::Growth;
use crate::room::Room;
use crate::script::{Script, script_of};
use crate::summary::VocabSummary;
use crate::tokenizer::Tokenizer;
use crate::train::check;
use crate::vocabulary::Vocab;
use crate::word_list::read_lines;
use crate::words::Splitter;
use crate::{Error, Result};

/// What was taken from a list of words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordListSummary {
    /// Rows, all kinds.
    pub rows: usize,
    /// Rows that are the base's.
    pub base_rows: usize,
    /// New rows of mask tokens.
    pub special_rows: usize,
    /// New rows of words.
    pub added: usize,
    /// Entries of the list.
    pub entries: usize,
    /// Words of the entries: a token holds no white space and no punctuation, so that an entry of
    /// several words gives several.
    pub words: usize,
    /// Words that are tokens of the base's already.
    pub known: usize,
    /// Words that stand in the list again.
    pub repeated: usize,
    /// Words above `max_token_chars`, or `max_token_digits` where they hold digits alone.
    pub too_long: usize,
    /// Words of the deny-list.
    pub denied: usize,
    /// Words for which `add_rows` left no row.
    pub beyond: usize,
}

/// Appends the rows that the documents of the training side give, by the base's rules: the
/// characters that the base lacks, then merges of its tokens, `add_rows` together.
///
/// # Errors
/// As [`crate::train`].
pub fn extend<E>(
    documents: impl IntoIterator<Item = Result<InputDocument, E>>,
    base: &Tokenizer,
    config: &VocabConfig,
    context: &Context<'_>,
) -> Result<(Tokenizer, VocabSummary)>
where
    E: std::error::Error + Send + Sync + 'static,
{
    check(config, Policy::Extend)?;
    let Some(add_rows) = config.add_rows else {
        let message = "is absent, expected how many rows the text gives";
        return Err(Error::Config(vec![("add_rows".into(), message.into())]));
    };
    let added = Added::new(base, config);
    let Some(rows) = add_rows.checked_sub(added.new.len()) else {
        let (required, size) = (added.new.len(), add_rows);
        return Err(Error::TooSmall { what: "vocabulary", required, size });
    };
    let config = VocabConfig {
        mask_tokens: added.all.clone(),
        seed_hangul: false,
        seed_hanja: false,
        ..config.clone()
    };
    let (words, counts) = count(documents, base.options(), &config, context)?;
    let growth = Growth {
        base: base.vocab().tokens(),
        room: Room::new(rows, None),
        size: add_rows,
        options: base.options(),
    };
    let (tokens, mut summary) = growth.run(words, counts, &config, context)?;
    let tokenizer = added.append(base, tokens)?;
    (summary.rows, summary.special_rows) = (tokenizer.vocab().len(), added.new.len());
    Ok((tokenizer, summary))
}

/// Appends the words of the file at `path`, one entry a line, in its order; at most `add_rows`.
///
/// # Errors
/// When the config or the file fails, or no word is new.
pub fn extend_by_words(
    path: &Path,
    base: &Tokenizer,
    config: &VocabConfig,
) -> Result<(Tokenizer, WordListSummary)> {
    check(config, Policy::Extend)?;
    let denied = denied(config, base.options())?;
    let added = Added::new(base, config);
    let limit = config.add_rows.unwrap_or(usize::MAX).saturating_sub(added.new.len());
    let mut list = Vec::new();
    let mut seen: FxHashSet<String> = FxHashSet::default();
    let mut summary = WordListSummary::default();
    let mut splitter = Splitter::default();
    for (_, entry) in read_lines(path)? {
        summary.entries += 1;
        splitter.run::<false>(&entry, 0, &base.options(), &mut |word, _| {
            summary.words += 1;
            if base.vocab().id(word).is_some() {
                summary.known += 1;
            } else if !seen.insert(word.to_owned()) {
                summary.repeated += 1;
            } else if is_too_long(word, config) {
                summary.too_long += 1;
            } else if denied.contains(word) {
                summary.denied += 1;
            } else if list.len() == limit {
                summary.beyond += 1;
            } else {
                list.push(word.to_owned());
            }
        });
    }
    if list.is_empty() {
        let found = format!("no new word in {} entries", summary.entries);
        let expected = "words that the base has no token for".into();
        return Err(Error::Format { path: path.to_path_buf(), found, expected });
    }
    summary.added = list.len();
    let tokenizer = added.append(base, list)?;
    summary.base_rows = base.vocab().len();
    (summary.rows, summary.special_rows) = (tokenizer.vocab().len(), added.new.len());
    Ok((tokenizer, summary))
}

fn is_too_long(word: &str, config: &VocabConfig) -> bool {
    let is_number = word.chars().all(|c| script_of(c) == Script::Digit);
    let longest = if is_number { config.max_token_digits } else { config.max_token_chars };
    word.chars().count() > longest
}

/// The tokens that are matched literally.
struct Added {
    /// The base's and the config's.
    all: Vec<String>,
    /// Those that the base has no row for.
    new: Vec<String>,
}

impl Added {
    fn new(base: &Tokenizer, config: &VocabConfig) -> Self {
        let of_base = base.added_tokens().map(str::to_owned);
        let mut all: Vec<String> = of_base.collect();
        for token in &config.mask_tokens {
            if !all.contains(token) {
                all.push(token.clone());
            }
        }
        let is_new = |token: &&String| base.vocab().id(token).is_none();
        let new = all.iter().filter(is_new).cloned().collect();
        Self { all, new }
    }

    /// The base, then its new literal tokens, then `tokens`.
    fn append(&self, base: &Tokenizer, tokens: Vec<String>) -> Result<Tokenizer> {
        let rows = base.vocab().tokens().iter().chain(&self.new).cloned().chain(tokens);
        let vocab = Vocab::new(rows.collect())?;
        // Each has a row: the base's or a new one.
        Ok(Tokenizer::new(vocab, base.options()).with_added_tokens(&self.all).0)
    }
}
