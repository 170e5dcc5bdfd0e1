//! Counts → a vocabulary of exactly the size and split that was asked for.
//!
//! Source: byte-pair frequencies, as in the WordPiece trainer of Hugging Face `tokenizers`. Differs
//! from it: ties fall on the text, no token crosses scripts, quotas by script, rows that the longest
//! match never uses are pruned and refilled, a character has a row only in the places it occurs in.

use bimed_artifact::{Context, Unit};
use rayon::prelude::*;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use crate::alphabet::{Alphabet, seeds};
use crate::config::{OnShortfall, Policy, VocabConfig};
use crate::count::{CountSummary, count, segments};
use crate::deny::denied;
use crate::document::InputDocument;
use crate::longest::LongestMatch;
use crate::merge::{Limits, Merger};
use crate::options::TokenizerOptions;
use crate::pieces::{RowsByScript, surface, token_script};
use crate::room::{Refilled, Room, pool};
use crate::vocabulary::{SPECIAL_TOKENS, Vocab};
use crate::word_counts::WordCounts;
use crate::{Error, Result};

/// What was done to make a vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocabSummary {
    /// What was read.
    pub counts: CountSummary,
    /// Rows, all kinds.
    pub rows: usize,
    /// Rows that are the base's, which is extended.
    pub base_rows: usize,
    /// New rows of specials and mask tokens.
    pub special_rows: usize,
    /// All other new rows by script.
    pub rows_by_script: RowsByScript,
    /// Rows of one character: the alphabet.
    pub alphabet_rows: usize,
    /// Rows of the alphabet that the longest match of the text never uses: seeded ones.
    pub unused_seeded_rows: usize,
    /// And those of the text's own characters, which longer rows cover wherever they occur.
    pub unused_alphabet_rows: usize,
    /// Characters that the coverage leaves out, and their occurrences.
    pub dropped_chars: u64,
    /// Occurrences of these.
    pub dropped_char_occurrences: u64,
    /// Distinct runs of one script with such a character, left out of the merges.
    pub dropped_segments: u64,
    /// Occurrences of these.
    pub dropped_segment_occurrences: u64,
    /// Texts that were kept from becoming tokens.
    pub denied: usize,
    /// Merges done.
    pub merges: u64,
    /// Occurrences of the rarest merged pair.
    pub lowest_merge_count: u64,
    /// How often rows were pruned and refilled.
    pub prune_rounds: usize,
    /// Merged rows that the longest match never used, replaced by others.
    pub pruned_rows: usize,
    /// Such rows that are left, because `prune_rounds` was reached.
    pub dead_rows: usize,
    /// Rows given beyond the quotas because other scripts ran dry.
    pub refilled: Refilled,
    /// Rows that the text could not fill.
    pub missing_rows: usize,
}

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
    let vocab = Vocab::new(first.iter().cloned().chain(tokens).collect())?;
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

/// New rows, beside those of a base or from nothing.
pub(crate) struct Growth<'a> {
    /// The base's tokens.
    pub(crate) base: &'a [String],
    /// Rows to be taken.
    pub(crate) room: Room,
    /// What a user calls it: with the rows that are given beforehand.
    pub(crate) size: usize,
    /// How the words were normalised.
    pub(crate) options: TokenizerOptions,
}

impl Growth<'_> {
    /// The tokens of the new rows: alphabet, then merges in their order.
    pub(crate) fn run(
        &self,
        words: WordCounts,
        counts: CountSummary,
        config: &VocabConfig,
        context: &Context<'_>,
    ) -> Result<(Vec<String>, VocabSummary)> {
        if words.iter().all(|(_, count)| count == 0) {
            let CountSummary { documents, valid_documents, private_types_below_floor, .. } = counts;
            return Err(Error::NoWords { documents, valid_documents, private_types_below_floor });
        }
        let denied = denied(config, self.options)?;
        let num_denied = denied.len();
        let segments = segments(words);
        let mut alphabet = Alphabet::new(&segments, config);
        let base: FxHashSet<&String> = self.base.iter().collect();
        alphabet.tokens.retain(|token| !base.contains(token));
        self.check_alphabet(&alphabet.tokens)?;
        let limits = Limits {
            min_frequency: config.min_frequency,
            max_chars: config.max_token_chars,
            max_digits: config.max_token_digits,
            denied,
        };
        context.progress.begin("merge pairs", Some(self.room.total as u64), Unit::Merges);
        let (mut merger, left_out) = Merger::new(self.base, &alphabet.tokens, &segments, limits);
        let pruning = self.merge(&mut merger, &segments, config, context)?;
        context.progress.end();
        let unused = Unused::of(&pruning.used, self.base.len(), &alphabet.tokens, config);
        let rows = merger.symbols.iter().filter(|symbol| symbol.row);
        let tokens: Vec<String> = rows.map(|symbol| symbol.token.clone()).collect();
        let mut rows_by_script = RowsByScript::default();
        for token in &tokens {
            *rows_by_script.of(token_script(token)) += 1;
        }
        let summary = VocabSummary {
            counts,
            rows: self.base.len() + tokens.len(),
            base_rows: self.base.len(),
            special_rows: 0,
            rows_by_script,
            alphabet_rows: alphabet.tokens.len(),
            unused_seeded_rows: unused.seeded,
            unused_alphabet_rows: unused.own,
            dropped_chars: alphabet.dropped_chars,
            dropped_char_occurrences: alphabet.dropped_occurrences,
            dropped_segments: left_out.segments,
            dropped_segment_occurrences: left_out.occurrences,
            denied: num_denied,
            merges: merger.merges,
            lowest_merge_count: merger.lowest_count,
            prune_rounds: pruning.rounds,
            pruned_rows: pruning.pruned,
            dead_rows: pruning.dead,
            refilled: self.room.exceeded_by(merger.rows()),
            missing_rows: self.room.total - tokens.len(),
        };
        Ok((tokens, summary))
    }

    fn check_alphabet(&self, tokens: &[String]) -> Result<()> {
        let mut rows = [0; 3];
        for token in tokens {
            rows[pool(token_script(token))] += 1;
        }
        let required = rows.iter().sum();
        if required > self.room.total {
            return Err(Error::TooSmall { what: "vocabulary", required, size: self.size });
        }
        for ((what, size), required) in self.room.pools().into_iter().zip(rows) {
            if required > size {
                return Err(Error::TooSmall { what, required, size });
            }
        }
        Ok(())
    }

    /// Merges, and gives the rows that are never used to others, until none is.
    fn merge(
        &self,
        merger: &mut Merger,
        segments: &WordCounts,
        config: &VocabConfig,
        context: &Context<'_>,
    ) -> Result<Pruning> {
        let first_merge = merger.symbols.len();
        let mut room = self.room;
        let mut pruning = Pruning::default();
        loop {
            merger.run(room, context)?;
            pruning.used = used(merger, segments);
            let ids = first_merge..merger.symbols.len();
            let is_dead = |id: &usize| merger.symbols[*id].row && !pruning.used[*id];
            let dead: Vec<u32> = ids.filter(is_dead).map(|id| id as u32).collect();
            pruning.dead = dead.len();
            if !dead.is_empty() && pruning.rounds < config.prune_rounds {
                pruning.rounds += 1;
                pruning.pruned += dead.len();
                merger.prune(&dead);
                continue;
            }
            if config.on_shortfall == OnShortfall::Error {
                self.check_shortfall(merger.rows(), config)?;
            }
            let taken: usize = merger.rows().iter().sum();
            if taken == room.total || room == Room::new(room.total, None) {
                return Ok(pruning);
            }
            room = Room::new(room.total, None);
        }
    }

    fn check_shortfall(
        &self,
        [hangul, latin, other]: [usize; 3],
        config: &VocabConfig,
    ) -> Result<()> {
        let fail = |what, found, expected| Err(Error::Shortfall { what, found, expected });
        if config.quota.is_some() && hangul < self.room.hangul {
            return fail("hangul", hangul, self.room.hangul);
        }
        if config.quota.is_some() && latin < self.room.latin {
            return fail("latin", latin, self.room.latin);
        }
        let rows_left = self.room.total - hangul - latin - other;
        if rows_left > 0 {
            return fail("vocabulary", self.size - rows_left, self.size);
        }
        Ok(())
    }
}

/// What came of pruning.
#[derive(Debug, Default)]
struct Pruning {
    rounds: usize,
    pruned: usize,
    dead: usize,
    /// By symbol, whether the longest match of the text uses it.
    used: Vec<bool>,
}

/// Rows of the alphabet that the text does not use.
struct Unused {
    seeded: usize,
    own: usize,
}

impl Unused {
    fn of(used: &[bool], base_rows: usize, alphabet: &[String], config: &VocabConfig) -> Self {
        let seeds = seeds(config);
        let (mut seeded, mut own) = (0, 0);
        let unused = alphabet.iter().zip(&used[base_rows..]).filter(|(_, used)| !**used);
        for (token, _) in unused {
            let is_seed = surface(token).1.chars().all(|c| seeds.contains(&c));
            *(if is_seed { &mut seeded } else { &mut own }) += 1;
        }
        Self { seeded, own }
    }
}

/// By symbol, whether the longest match of the segments uses it.
fn used(merger: &Merger, segments: &WordCounts) -> Vec<bool> {
    const CHUNK: usize = 4096;
    let count = merger.symbols.len();
    let is_base = |id: u32| (id as usize) < merger.base_rows;
    let rows = merger.symbols.iter().zip(0u32..);
    let rows = rows.filter(|(symbol, id)| symbol.row || is_base(*id));
    let longest = LongestMatch::new(rows.map(|(symbol, id)| (symbol.token.as_str(), id)));
    let mark = |mut used: Vec<bool>, chunk: usize| {
        let mut ids = Vec::new();
        for index in (chunk * CHUNK)..segments.len().min((chunk + 1) * CHUNK) {
            ids.clear();
            if segments.count(index) > 0 && longest.split(segments.word(index), |id| ids.push(id)) {
                ids.iter().for_each(|&id| used[id as usize] = true);
            }
        }
        used
    };
    let unite = |a: Vec<bool>, b: Vec<bool>| a.into_iter().zip(b).map(|(a, b)| a || b).collect();
    let chunks = 0..segments.len().div_ceil(CHUNK);
    chunks.into_par_iter().fold(|| vec![false; count], mark).reduce(|| vec![false; count], unite)
}
