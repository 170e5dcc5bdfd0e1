//! Near duplicates: MinHash over shingles of eojeol, banded, verified by exact Jaccard.
//!
//! Source: Broder 1997, "On the resemblance and containment of documents"; the banding of
//! Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4. Numbers are kept:
//! two patients whose notes differ in their values are not duplicates.

use std::collections::BTreeMap;

use rayon::prelude::*;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::DeduplicateConfig;

/// In a bucket, a document is compared with at most this many preferred ones.
const MAX_COMPARED: usize = 16;

/// For every text, the index of the text that is kept in its place, or `None` if it is kept.
///
/// The survivor is the longest, then the first. Independent of the number of threads.
pub(crate) fn near_duplicates(texts: &[&str], config: &DeduplicateConfig) -> Vec<Option<usize>> {
    let coefficients = coefficients(config.bands * config.rows);
    let keys: Vec<Vec<u64>> = texts
        .par_iter()
        .map(|text| band_keys(&shingles(text, config.shingle_words), &coefficients, config))
        .collect();
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(texts[*index].len()), *index));
    let pairs = candidates(&keys, &order, config.bands);
    drop(keys);

    let mut sets: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    for (later, earlier) in &pairs {
        sets.entry(*later).or_default();
        sets.entry(*earlier).or_default();
    }
    sets.par_iter_mut()
        .for_each(|(rank, set)| *set = shingles(texts[order[*rank]], config.shingle_words));
    let similar: Vec<bool> = pairs
        .par_iter()
        .map(|(later, earlier)| jaccard(&sets[later], &sets[earlier]) >= config.near_threshold)
        .collect();

    let mut kept_instead = vec![None; texts.len()];
    // Pairs ascend by the later rank: whether the earlier is kept is settled when it is asked.
    for ((later, earlier), similar) in pairs.iter().zip(similar) {
        let (later, earlier) = (order[*later], order[*earlier]);
        if similar && kept_instead[later].is_none() && kept_instead[earlier].is_none() {
            kept_instead[later] = Some(earlier);
        }
    }
    kept_instead
}

/// Pairs of ranks (later, earlier) that share a band, ascending, each once.
fn candidates(keys: &[Vec<u64>], order: &[usize], bands: usize) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = (0..bands)
        .into_par_iter()
        .flat_map_iter(|band| {
            let mut bucketed: Vec<(u64, usize)> =
                order.iter().enumerate().map(|(rank, index)| (keys[*index][band], rank)).collect();
            bucketed.sort_unstable();
            let mut pairs = Vec::new();
            for bucket in bucketed.chunk_by(|a, b| a.0 == b.0) {
                for (place, (_, later)) in bucket.iter().enumerate() {
                    let earlier = bucket[..place].iter().take(MAX_COMPARED);
                    pairs.extend(earlier.map(|(_, earlier)| (*later, *earlier)));
                }
            }
            pairs
        })
        .collect();
    pairs.par_sort_unstable();
    pairs.dedup();
    pairs
}

/// The distinct hashes of every `width` eojeol in a row, ascending; of all of them in a shorter
/// text.
fn shingles(text: &str, width: usize) -> Vec<u64> {
    let words: Vec<u64> = text.split_whitespace().map(|word| xxh3_64(word.as_bytes())).collect();
    let combine = |window: &[u64]| {
        window.iter().fold(0u64, |hash, word| {
            (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        })
    };
    let mut hashes: Vec<u64> = if words.len() < width {
        vec![combine(&words)]
    } else {
        words.windows(width).map(combine).collect()
    };
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Multiplier (odd) and addend of each hash function.
fn coefficients(count: usize) -> Vec<(u64, u64)> {
    (0..count as u64)
        .map(|number| {
            let bytes = number.to_le_bytes();
            (xxh3_64_with_seed(&bytes, 1) | 1, xxh3_64_with_seed(&bytes, 2))
        })
        .collect()
}

fn band_keys(set: &[u64], coefficients: &[(u64, u64)], config: &DeduplicateConfig) -> Vec<u64> {
    let mut signature = vec![u32::MAX; coefficients.len()];
    for hash in set {
        for (least, (multiplier, addend)) in signature.iter_mut().zip(coefficients) {
            let value = (hash.wrapping_mul(*multiplier).wrapping_add(*addend) >> 32) as u32;
            *least = value.min(*least);
        }
    }
    signature
        .chunks(config.rows)
        .map(|band| {
            let bytes: Vec<u8> = band.iter().flat_map(|value| value.to_le_bytes()).collect();
            xxh3_64(&bytes)
        })
        .collect()
}

/// The Jaccard similarity of two ascending sets.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut left, mut right, mut both) = (0, 0, 0usize);
    while left < a.len() && right < b.len() {
        match a[left].cmp(&b[right]) {
            std::cmp::Ordering::Less => left += 1,
            std::cmp::Ordering::Greater => right += 1,
            std::cmp::Ordering::Equal => {
                left += 1;
                right += 1;
                both += 1;
            }
        }
    }
    let union = a.len() + b.len() - both;
    if union == 0 { 1.0 } else { both as f64 / union as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(words: usize, offset: usize) -> String {
        (0..words)
            .map(|word| format!("소견{} finding{}", word + offset, word))
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn check(texts: &[&str], expected: &[Option<usize>]) {
        assert_eq!(near_duplicates(texts, &DeduplicateConfig::default()), expected);
    }

    #[test]
    fn the_longest_survives() {
        let long = note(200, 0);
        let short = long.replace(" finding199", "");
        check(&[&short, &long, &note(200, 1000)], &[Some(1), None, None]);
    }

    #[test]
    fn different_values_are_different_notes() {
        check(&["Na 138 K 4.2 troponin 0.01", "Na 118 K 6.9 troponin 12.3"], &[None, None]);
        check(&["폐렴  의심\nCT", "폐렴 의심 CT"], &[None, Some(0)]);
    }

    #[test]
    fn similarity_is_the_share_of_common_shingles() {
        assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
        assert_eq!(jaccard(&[1], &[2]), 0.0);
    }
}
