//! The characters that a vocabulary must have, and in which places.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::config::VocabConfig;
use crate::pieces::{ks_x_1001_syllables, surface};
use crate::vocabulary::CONTINUATION;
use crate::word_counts::WordCounts;

/// The characters that cover the text.
pub(crate) struct Alphabet {
    /// Tokens of one character, sorted: word-initial ones, then those inside.
    pub(crate) tokens: Vec<String>,
    /// Characters that the coverage leaves out.
    pub(crate) dropped_chars: u64,
    /// Their occurrences.
    pub(crate) dropped_occurrences: u64,
}

/// Occurrences of a character at a word's start and inside.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    initial: u64,
    inside: u64,
}

impl Alphabet {
    /// The characters of `segments`, each in the places it occurs in, and the seeds in both.
    pub(crate) fn new(segments: &WordCounts, config: &VocabConfig) -> Self {
        let places = places(segments);
        let mut ranked: Vec<(u64, char)> =
            places.iter().map(|(&c, found)| (found.initial + found.inside, c)).collect();
        ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let total: u64 = ranked.iter().map(|(count, _)| count).sum();
        let enough = (total as f64 * config.coverage).ceil() as u64;
        let seeds: BTreeSet<char> = seeds(config).into_iter().collect();
        let (mut covered, mut dropped_chars, mut dropped_occurrences) = (0, 0, 0);
        let mut tokens = BTreeSet::new();
        for (count, c) in ranked {
            let keep = covered < enough;
            covered += count;
            if keep {
                let Places { initial, inside } = places[&c];
                tokens.extend((initial > 0).then_some((false, c)));
                tokens.extend((inside > 0).then_some((true, c)));
            } else if !seeds.contains(&c) {
                dropped_chars += 1;
                dropped_occurrences += count;
            }
        }
        tokens.extend(seeds.into_iter().flat_map(|c| [(false, c), (true, c)]));
        let token = |(inside, c): (bool, char)| {
            if inside { format!("{CONTINUATION}{c}") } else { c.to_string() }
        };
        let taken = |token: &String| config.mask_tokens.contains(token);
        let tokens = tokens.into_iter().map(token).filter(|token| !taken(token)).collect();
        Self { tokens, dropped_chars, dropped_occurrences }
    }
}

/// The characters that are there whether the text has them or not.
pub(crate) fn seeds(config: &VocabConfig) -> Vec<char> {
    if config.seed_hangul { ks_x_1001_syllables() } else { Vec::new() }
}

fn places(segments: &WordCounts) -> FxHashMap<char, Places> {
    let mut places: FxHashMap<char, Places> = FxHashMap::default();
    for (segment, count) in segments.iter().filter(|(_, count)| *count > 0) {
        let (continues, text) = surface(segment);
        for (index, c) in text.chars().enumerate() {
            let found = places.entry(c).or_default();
            if continues || index > 0 {
                found.inside += count;
            } else {
                found.initial += count;
            }
        }
    }
    places
}
