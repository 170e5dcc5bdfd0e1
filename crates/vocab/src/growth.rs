//! Counted words → the tokens of new rows: the alphabet, then merges, until every row is used.
//!
//! Invariant: quotas hold but where the text runs dry, and a row that the longest match of the text
//! never uses is left only when `prune_rounds` is reached.

use bimed_artifact::{Context, Unit};
use rayon::prelude::*;
use rustc_hash::FxHashSet;

use crate::alphabet::{Alphabet, seeds};
use crate::config::{OnShortfall, VocabConfig};
use crate::count::{CountSummary, segments};
use crate::deny::denied;
use crate::longest::LongestMatch;
use crate::merge::{Limits, Merger};
use crate::options::TokenizerOptions;
use crate::pieces::{RowsByScript, surface, token_script};
use crate::room::{Room, pool};
use crate::summary::VocabSummary;
use crate::word_counts::WordCounts;
use crate::{Error, Result};

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
        alphabet.rare.retain(|(token, _)| !base.contains(token));
        self.check_alphabet(&alphabet.tokens)?;
        let limits = Limits {
            min_frequency: config.min_frequency,
            max_chars: config.max_token_chars,
            max_digits: config.max_token_digits,
            denied,
        };
        context.progress.begin("merge pairs", Some(self.room.total as u64), Unit::Merges);
        let mut merger = Merger::new(self.base, &alphabet, &segments, limits);
        let pruning = self.merge(&mut merger, &segments, config, context)?;
        context.progress.end();
        let tokens = merger.new_tokens();
        let summary = self.summary(&merger, &pruning, &alphabet, config);
        let missing_rows = self.room.total - tokens.len();
        Ok((tokens, VocabSummary { counts, denied: num_denied, missing_rows, ..summary }))
    }

    /// What became of the rows.
    fn summary(
        &self,
        merger: &Merger,
        pruning: &Pruning,
        alphabet: &Alphabet,
        config: &VocabConfig,
    ) -> VocabSummary {
        let unused = Unused::of(&pruning.usage.used, self.base.len(), &alphabet.tokens, config);
        let rare = merger.rare_chars();
        let mut rows_by_script = RowsByScript::default();
        let tokens = merger.new_tokens();
        tokens.iter().for_each(|token| *rows_by_script.of(token_script(token)) += 1);
        VocabSummary {
            rows: self.base.len() + tokens.len(),
            base_rows: self.base.len(),
            rows_by_script,
            alphabet_rows: alphabet.tokens.len(),
            rare_char_rows: rare.rows,
            unused_seeded_rows: unused.seeded,
            unused_alphabet_rows: unused.own,
            dropped_chars: rare.dropped,
            dropped_char_occurrences: rare.dropped_occurrences,
            unknown_segments: pruning.usage.unknown_segments,
            unknown_segment_occurrences: pruning.usage.unknown_occurrences,
            merges: merger.merges,
            lowest_merge_count: merger.lowest_count,
            prune_rounds: pruning.rounds,
            pruned_rows: pruning.pruned,
            dead_rows: pruning.dead,
            refilled: self.room.exceeded_by(merger.rows()),
            ..VocabSummary::default()
        }
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
        let mut room = self.room;
        let mut pruning = Pruning::default();
        loop {
            merger.run(room, context)?;
            pruning.usage = Usage::of(merger, segments);
            let ids = merger.fixed_rows..merger.symbols.len();
            let is_dead = |id: &usize| merger.symbols[*id].row && !pruning.usage.used[*id];
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
                return Ok(pruning);
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
        if config.quota.is_none() {
            let missing = self.room.total - hangul - latin - other;
            return match missing {
                0 => Ok(()),
                _ => fail("vocabulary", self.size - missing, self.size),
            };
        }
        if hangul < self.room.hangul {
            return fail("hangul", hangul, self.room.hangul);
        }
        if latin < self.room.latin {
            return fail("latin", latin, self.room.latin);
        }
        // What is left of the size is a ceiling; the rows below it are reserved.
        Ok(())
    }
}

/// What came of pruning.
#[derive(Debug, Default)]
struct Pruning {
    rounds: usize,
    pruned: usize,
    dead: usize,
    usage: Usage,
}

/// Rows of the alphabet that the text does not use.
struct Unused {
    seeded: usize,
    own: usize,
}

impl Unused {
    fn of(used: &[bool], base_rows: usize, alphabet: &[String], config: &VocabConfig) -> Self {
        let seeds: FxHashSet<(bool, char)> = seeds(config).into_iter().collect();
        let (mut seeded, mut own) = (0, 0);
        let unused = alphabet.iter().zip(&used[base_rows..]).filter(|(_, used)| !**used);
        for (token, _) in unused {
            let (is_inside, text) = surface(token);
            let is_seed = text.chars().all(|c| seeds.contains(&(is_inside, c)));
            *(if is_seed { &mut seeded } else { &mut own }) += 1;
        }
        Self { seeded, own }
    }
}

/// What the longest match of the segments makes of the rows.
#[derive(Debug, Default)]
struct Usage {
    /// By symbol, whether it is used.
    used: Vec<bool>,
    /// Segments that are `[UNK]`.
    unknown_segments: u64,
    unknown_occurrences: u64,
}

impl Usage {
    fn of(merger: &Merger, segments: &WordCounts) -> Self {
        const CHUNK: usize = 4096;
        let is_base = |id: u32| (id as usize) < merger.base_rows;
        let rows = merger.symbols.iter().zip(0u32..);
        let rows = rows.filter(|(symbol, id)| symbol.row || is_base(*id));
        let longest = LongestMatch::new(rows.map(|(symbol, id)| (symbol.token.as_str(), id)));
        let none = || Self { used: vec![false; merger.symbols.len()], ..Self::default() };
        let mark = |mut usage: Self, chunk: usize| {
            let mut ids = Vec::new();
            for index in (chunk * CHUNK)..segments.len().min((chunk + 1) * CHUNK) {
                let count = segments.count(index);
                ids.clear();
                if count == 0 {
                    continue;
                } else if longest.split(segments.word(index), |id| ids.push(id)) {
                    ids.iter().for_each(|&id| usage.used[id as usize] = true);
                } else {
                    usage.unknown_segments += 1;
                    usage.unknown_occurrences += count;
                }
            }
            usage
        };
        let chunks = 0..segments.len().div_ceil(CHUNK);
        chunks.into_par_iter().fold(none, mark).reduce(none, Self::unite)
    }

    fn unite(self, other: Self) -> Self {
        Self {
            used: self.used.into_iter().zip(other.used).map(|(a, b)| a || b).collect(),
            unknown_segments: self.unknown_segments + other.unknown_segments,
            unknown_occurrences: self.unknown_occurrences + other.unknown_occurrences,
        }
    }
}
