//! Counts → a vocabulary of exactly the size and split that was asked for.
//!
//! Source: byte-pair frequencies, as in the WordPiece trainer of Hugging Face `tokenizers`. Differs
//! from it: ties fall on the text, no token crosses scripts, quotas by script, rows that the longest
//! match never uses are pruned and refilled, a character has a row only in the places it occurs in.

use bimed_artifact::Context;

use crate::config::{OnShortfall, Policy, VocabConfig};
use crate::count::{CountSummary, count};
use crate::document::InputDocument;
use crate::growth::Growth;
use crate::room::Room;
use crate::summary::VocabSummary;
use crate::vocabulary::{SPECIAL_TOKENS, Vocab};
use crate::word_counts::WordCounts;
use crate::{Error, Result};

/// Trains a vocabulary on the documents of the training side.
///
/// # Errors
/// When the config or the documents fail, there is no word to train on, the alphabet needs more rows
/// than there are, the text gives fewer tokens than asked for under `on_shortfall = "error"`, or the
/// step is cancelled.
pub fn train<E>(
    documents: impl IntoIterator<Item = Result<InputDocument, E>>,
    config: &VocabConfig,
    context: &Context<'_>,
) -> Result<(Vocab, VocabSummary)>
where
    E: std::error::Error + Send + Sync + 'static,
{
    check(config, Policy::Replace)?;
    let (words, counts) = count(documents, config.tokenizer_options(), config, context)?;
    train_counted(words, counts, config, context)
}

/// Trains a vocabulary on words that were normalised, split and counted elsewhere.
///
/// # Errors
/// As [`train`].
pub fn train_words(
    words: WordCounts,
    config: &VocabConfig,
    context: &Context<'_>,
) -> Result<(Vocab, VocabSummary)> {
    check(config, Policy::Replace)?;
    let counts = CountSummary::of_words(&words);
    train_counted(words, counts, config, context)
}

fn train_counted(
    words: WordCounts,
    counts: CountSummary,
    config: &VocabConfig,
    context: &Context<'_>,
) -> Result<(Vocab, VocabSummary)> {
    let specials = SPECIAL_TOKENS.iter().map(ToString::to_string);
    let first: Vec<String> = specials.chain(config.mask_tokens.iter().cloned()).collect();
    let room = Room::new(config.size - first.len(), config.quota);
    let (size, options) = (config.size, config.tokenizer_options());
    let growth = Growth { base: &[], room, size, options };
    let (tokens, mut summary) = growth.run(words, counts, config, context)?;
    if config.on_shortfall == OnShortfall::Error {
        summary.reserved_rows = std::mem::take(&mut summary.missing_rows);
    }
    let reserved = (0..summary.reserved_rows).map(|number| format!("[unused{number}]"));
    let vocab = Vocab::new(first.iter().cloned().chain(tokens).chain(reserved).collect())?;
    (summary.rows, summary.special_rows) = (vocab.len(), first.len());
    Ok((vocab, summary))
}

/// Every fault of `config` for a training under `policy`.
pub(crate) fn check(config: &VocabConfig, policy: Policy) -> Result<()> {
    let mut faults = config.faults();
    if config.policy != policy {
        let message = format!("is `{}`, expected `{}` here", config.policy.name(), policy.name());
        faults.push(("policy".into(), message));
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Config(faults)) }
}
