//! The characters of a vocabulary, and in which places.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::config::VocabConfig;
use crate::pieces::surface;
use crate::seeds::{common_hanja, ks_x_1001_syllables};
use crate::vocabulary::CONTINUATION;
use crate::word_counts::WordCounts;

/// The characters of a text.
pub(crate) struct Alphabet {
    /// Tokens of one character that have a row whatever comes, sorted: word-initial ones, then those
    /// inside.
    pub(crate) tokens: Vec<String>,
    /// Those that the coverage leaves out, with their occurrences: the most frequent first.
    pub(crate) rare: Vec<(String, u64)>,
}

impl Alphabet {
    /// The characters of `segments`, each in the places it occurs in, and the seeds in all places
    /// that a word may have them in.
    pub(crate) fn new(segments: &WordCounts, config: &VocabConfig) -> Self {
        let places = places(segments);
        let mut ranked: Vec<(u64, char)> =
            places.iter().map(|(&c, found)| (found.initial + found.inside, c)).collect();
        ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        let total: u64 = ranked.iter().map(|(count, _)| count).sum();
        let enough = (total as f64 * config.coverage).ceil() as u64;
        let mut covered = 0;
        let mut tokens: BTreeSet<(bool, char)> = seeds(config).into_iter().collect();
        let mut rare: Vec<(String, u64)> = Vec::new();
        for (count, c) in ranked {
            let is_covered = covered < enough;
            covered += count;
            let Places { initial, inside } = places[&c];
            for (is_inside, count) in [(false, initial), (true, inside)] {
                if count == 0 || tokens.contains(&(is_inside, c)) {
                    continue;
                } else if is_covered {
                    tokens.insert((is_inside, c));
                } else {
                    rare.push((token(is_inside, c), count));
                }
            }
        }
        let is_free = |token: &String| !config.mask_tokens.contains(token);
        let tokens = tokens.into_iter().map(|(is_inside, c)| token(is_inside, c));
        let tokens = tokens.filter(is_free).collect();
        rare.retain(|(token, _)| is_free(token));
        rare.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Self { tokens, rare }
    }
}

fn token(is_inside: bool, c: char) -> String {
    if is_inside { format!("{CONTINUATION}{c}") } else { c.to_string() }
}

/// The characters that are there whether the text has them or not, and whether inside a word: a
/// Hanja is a word by itself.
pub(crate) fn seeds(config: &VocabConfig) -> Vec<(bool, char)> {
    let syllables = if config.seed_hangul { ks_x_1001_syllables() } else { Vec::new() };
    let hanja = if config.seed_hanja { common_hanja() } else { Vec::new() };
    let syllables = syllables.into_iter().flat_map(|c| [(false, c), (true, c)]);
    syllables.chain(hanja.into_iter().map(|c| (false, c))).collect()
}

/// Occurrences of a character at a word's start and inside.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    initial: u64,
    inside: u64,
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
