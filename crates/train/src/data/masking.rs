//! Which tokens are predicted, and what stands in their place.

use serde::{Deserialize, Serialize};

use super::counter::{Draws, Purpose, below};

/// What masking needs to know of a vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskVocabulary {
    /// Rows of the vocabulary.
    pub size: u32,
    /// `[CLS]`
    pub cls: u32,
    /// `[SEP]`
    pub sep: u32,
    /// `[MASK]`
    pub mask: u32,
    /// `[PAD]`
    pub pad: u32,
    /// Rows that are never predicted and never put in: specials and the corpus's mask tokens.
    pub never: Vec<u32>,
}

/// One sample's predictions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masked {
    /// Positions in the sample, ascending.
    pub positions: Vec<usize>,
    /// The token that was there, for each.
    pub labels: Vec<u32>,
}

/// How many of `tokens` are predicted.
///
/// Source: `create_masked_lm_predictions` of google-research/bert:
/// `max(1, round(tokens · probability))`. Differs from it: special tokens are not counted.
pub fn num_predicted(tokens: usize, mask_prob: f64) -> usize {
    ((tokens as f64 * mask_prob).round() as usize).max(1).min(tokens)
}

/// Masks `ids` in place: 80 % become `[MASK]`, 10 % a random token, 10 % stay.
///
/// `is_word_start` marks the first piece of each word; with `whole_words` the pieces of a word are
/// predicted together. Special tokens are never predicted.
pub(crate) fn mask_sample(
    ids: &mut [u32],
    is_word_start: &[bool],
    vocabulary: &MaskVocabulary,
    mask_prob: f64,
    whole_words: bool,
    draws: Draws,
) -> Masked {
    let is_candidate = |position: &usize| !vocabulary.never.contains(&ids[*position]);
    let candidates: Vec<usize> = (0..ids.len()).filter(is_candidate).collect();
    if candidates.is_empty() {
        return Masked::default();
    }
    let count = num_predicted(candidates.len(), mask_prob);
    let mut units: Vec<Vec<usize>> = Vec::new();
    for position in candidates {
        let joins = whole_words
            && !is_word_start[position]
            && units.last().and_then(|unit| unit.last()) == Some(&position.wrapping_sub(1));
        match units.last_mut() {
            Some(unit) if joins => unit.push(position),
            _ => units.push(vec![position]),
        }
    }
    units.sort_by_cached_key(|unit| (draws.word(Purpose::Mask, unit[0]), unit[0]));
    let mut positions = take_units(&units, count);
    positions.sort_unstable();
    let labels = positions.iter().map(|&position| ids[position]).collect();
    for &position in &positions {
        ids[position] = replacement(ids[position], vocabulary, draws, position);
    }
    Masked { positions, labels }
}

/// Units in their random order, each whole, as long as they fit into `count`; where none fits, the
/// first pieces of the first.
fn take_units(units: &[Vec<usize>], count: usize) -> Vec<usize> {
    let mut positions = Vec::with_capacity(count);
    for unit in units {
        if positions.len() + unit.len() <= count {
            positions.extend(unit);
        }
        if positions.len() == count {
            break;
        }
    }
    if positions.is_empty() {
        positions.extend(&units[0][..count]);
    }
    positions
}

fn replacement(id: u32, vocabulary: &MaskVocabulary, draws: Draws, position: usize) -> u32 {
    let [kind, first, second, third] = draws.words(Purpose::Replace, position);
    match below(kind, 10) {
        0..8 => vocabulary.mask,
        8 => {
            let tries = [first, second, third].map(|bits| below(bits, vocabulary.size));
            tries.into_iter().find(|id| !vocabulary.never.contains(id)).unwrap_or(vocabulary.mask)
        }
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> MaskVocabulary {
        MaskVocabulary {
            size: 1_000,
            pad: 0,
            cls: 2,
            sep: 3,
            mask: 4,
            never: vec![0, 1, 2, 3, 4, 5],
        }
    }

    /// A sample of `[CLS]`, `tokens` ids from 100 up, and `[SEP]`.
    fn sample(tokens: usize) -> Vec<u32> {
        let mut ids = vec![2];
        ids.extend((0..tokens as u32).map(|index| 100 + index));
        ids.push(3);
        ids
    }

    fn mask(tokens: usize, whole_words: bool, draws: Draws) -> (Vec<u32>, Masked) {
        let mut ids = sample(tokens);
        let starts = vec![true; ids.len()];
        let masked = mask_sample(&mut ids, &starts, &vocabulary(), 0.15, whole_words, draws);
        (ids, masked)
    }

    #[test]
    fn the_count_is_the_share_and_the_labels_are_the_tokens() {
        let (ids, masked) = mask(100, false, Draws::new(1, 0, 0));
        assert_eq!(masked.positions.len(), 15);
        let original = sample(100);
        for (&position, &label) in masked.positions.iter().zip(&masked.labels) {
            assert_eq!(original[position], label);
        }
        let changed = (0..ids.len()).filter(|&at| ids[at] != original[at]);
        assert!(changed.into_iter().all(|at| masked.positions.contains(&at)));
    }

    #[test]
    fn specials_are_never_predicted_and_never_put_in() {
        for index in 0..500 {
            let (ids, masked) = mask(30, false, Draws::new(9, 1, index));
            assert_eq!((ids[0], ids[31]), (2, 3));
            for position in masked.positions {
                assert!(ids[position] == 4 || ids[position] > 5, "{}", ids[position]);
            }
        }
    }

    #[test]
    fn eight_in_ten_are_masked_one_random_one_kept() {
        let mut kinds = [0.0f64; 3];
        for index in 0..2_000 {
            let (ids, masked) = mask(60, false, Draws::new(3, 0, index));
            for (&position, &label) in masked.positions.iter().zip(&masked.labels) {
                kinds[match ids[position] {
                    4 => 0,
                    id if id == label => 2,
                    _ => 1,
                }] += 1.0;
            }
        }
        let total: f64 = kinds.iter().sum();
        for (found, expected) in kinds.iter().zip([0.8, 0.1, 0.1]) {
            assert!((found / total - expected).abs() < 0.01, "{kinds:?}");
        }
    }

    #[test]
    fn whole_words_are_masked_together() {
        let mut ids = sample(40);
        // Pairs: 1-2, 3-4, …
        let starts: Vec<bool> = (0..ids.len()).map(|at| at % 2 == 1).collect();
        let masked = mask_sample(&mut ids, &starts, &vocabulary(), 0.15, true, Draws::new(5, 0, 3));
        assert_eq!(masked.positions.len(), 6);
        for pair in masked.positions.chunks(2) {
            assert_eq!((pair[0] % 2, pair[1]), (1, pair[0] + 1));
        }
    }

    #[test]
    fn a_mask_depends_on_seed_epoch_and_sample_alone() {
        let draw = |seed, epoch, sample| mask(80, false, Draws::new(seed, epoch, sample));
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert_ne!(draw(1, 2, 3).1, draw(2, 2, 3).1);
        assert_ne!(draw(1, 2, 3).1, draw(1, 3, 3).1);
        assert_ne!(draw(1, 2, 3).1, draw(1, 2, 4).1);
    }
}
