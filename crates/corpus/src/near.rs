//! What near duplicates are told by: MinHash signatures over shingles of eojeol, and their Jaccard
//! similarity.
//!
//! Source: Broder 1997, "On the resemblance and containment of documents"; the banding of
//! Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4. Numbers are kept:
//! two patients whose notes differ in their values are not duplicates.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::DeduplicateConfig;

/// An odd number near 2^32 over the golden ratio. Source: Knuth, "The Art of Computer Programming",
/// volume 3, section 6.4.
const MIX: u32 = 0x9E37_79B1;
/// Minima that are kept in registers at once.
const LANES: usize = 16;

/// Signs texts: the same text has the same signature on every machine.
pub(crate) struct Signer {
    /// Of each permutation: what is combined with a shingle by exclusive or, and the odd factor.
    masks: Vec<u32>,
    factors: Vec<u32>,
    shingle_words: usize,
    size: usize,
}

impl Signer {
    pub(crate) fn new(config: &DeduplicateConfig) -> Self {
        let size = config.bands * config.rows;
        let draw = |number: usize, seed| xxh3_64_with_seed(&(number as u64).to_le_bytes(), seed);
        let padded = 0..size.next_multiple_of(LANES);
        Self {
            masks: padded.clone().map(|number| (draw(number, 1) >> 32) as u32).collect(),
            factors: padded.map(|number| (draw(number, 2) >> 32) as u32 | 1).collect(),
            shingle_words: config.shingle_words,
            size,
        }
    }

    /// Half of the bits of the least value of each permutation: two texts agree in one with the
    /// probability of their similarity (and 1 in 65,536).
    pub(crate) fn sign(&self, text: &str) -> Vec<u16> {
        let folded: Vec<u32> = windows(text, self.shingle_words)
            .into_iter()
            .map(|hash| (hash ^ (hash >> 32)) as u32)
            .collect();
        let mut least = vec![u32::MAX; self.masks.len()];
        pulp::Arch::new().dispatch(Minima { folded: &folded, signer: self, least: &mut least });
        // The lower bits of a product know nothing of the upper ones of its factors, so texts of one
        // shingle would agree in all minima where they agree in one: the halves are mixed.
        least[..self.size].iter().map(|value| (value.wrapping_mul(MIX) >> 16) as u16).collect()
    }
}

/// The loop over all shingles and permutations, compiled for the processor's vectors.
struct Minima<'a> {
    folded: &'a [u32],
    signer: &'a Signer,
    least: &'a mut [u32],
}

impl pulp::NullaryFnOnce for Minima<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { folded, signer, least } = self;
        let permutations =
            signer.masks.as_chunks::<LANES>().0.iter().zip(signer.factors.as_chunks::<LANES>().0);
        for (least, (masks, factors)) in
            least.as_chunks_mut::<LANES>().0.iter_mut().zip(permutations)
        {
            let mut minima = [u32::MAX; LANES];
            for shingle in folded {
                for lane in 0..LANES {
                    let value = (shingle ^ masks[lane]).wrapping_mul(factors[lane]);
                    minima[lane] = minima[lane].min(value);
                }
            }
            *least = minima;
        }
    }
}

/// The share of two signatures that agrees: an estimate of the similarity.
pub(crate) fn agreement(left: &[u8], right: &[u8]) -> f64 {
    let (left, right) = (left.as_chunks::<2>().0, right.as_chunks::<2>().0);
    let equal = left.iter().zip(right).filter(|(left, right)| left == right).count();
    equal as f64 / left.len().max(1) as f64
}

/// The hash of every `width` eojeol in a row; of all of them in a shorter text.
fn windows(text: &str, width: usize) -> Vec<u64> {
    let words: Vec<u64> = text.split_whitespace().map(|word| xxh3_64(word.as_bytes())).collect();
    let combine = |window: &[u64]| {
        window.iter().fold(0u64, |hash, word| {
            (hash.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        })
    };
    if words.len() < width {
        vec![combine(&words)]
    } else {
        words.windows(width).map(combine).collect()
    }
}

/// The distinct shingles of `text`, ascending.
pub(crate) fn shingles(text: &str, width: usize) -> Vec<u64> {
    let mut hashes = windows(text, width);
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The Jaccard similarity of two ascending sets.
pub(crate) fn jaccard(a: &[u64], b: &[u64]) -> f64 {
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

    /// Two texts whose sets of shingles have the similarity `same / (same + 2 * other)`.
    fn pair(number: usize, same: usize, other: usize) -> [String; 2] {
        let text = |side: &str| {
            let own = (0..other).map(|word| format!("{side}{number}번{word}"));
            let shared = (0..same).map(|word| format!("소견{number}x{word}"));
            shared.chain(own).collect::<Vec<_>>().join(" ")
        };
        [text("가"), text("b")]
    }

    fn bytes(signature: &[u16]) -> Vec<u8> {
        signature.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn bands_find_pairs_with_the_stated_probability() {
        let config = DeduplicateConfig { shingle_words: 1, ..DeduplicateConfig::default() };
        let signer = Signer::new(&config);
        // 1 - (1 - s^8)^14; 600 pairs have a standard error of 0.02 at most.
        for (same, other, expected) in [(80, 10, 0.924), (70, 15, 0.565), (50, 25, 0.053)] {
            let found = (0..600).filter(|number| {
                let [left, right] = pair(*number, same, other).map(|text| signer.sign(&text));
                left.chunks(config.rows).zip(right.chunks(config.rows)).any(|(a, b)| a == b)
            });
            let share = found.count() as f64 / 600.0;
            assert!((share - expected).abs() < 0.06, "{same} of {other}: {share}, {expected}");
        }
    }

    #[test]
    fn agreement_estimates_similarity() {
        let config = DeduplicateConfig { shingle_words: 1, ..DeduplicateConfig::default() };
        let signer = Signer::new(&config);
        let mean = (0..200)
            .map(|number| {
                let [left, right] = pair(number, 80, 10).map(|text| bytes(&signer.sign(&text)));
                agreement(&left, &right)
            })
            .sum::<f64>()
            / 200.0;
        // 22,400 draws at 0.8 have a standard error of 0.003.
        assert!((mean - 0.8).abs() < 0.015, "{mean}");
    }

    #[test]
    fn numbers_are_part_of_a_shingle() {
        let width = DeduplicateConfig::default().shingle_words;
        let set = |text: &str| shingles(text, width);
        let (a, b) = ("Na 138 K 4.2 troponin 0.01", "Na 118 K 6.9 troponin 12.3");
        assert_eq!(jaccard(&set(a), &set(b)), 0.0);
        assert_eq!(set("폐렴  의심\nCT"), set("폐렴 의심 CT"));
        assert_eq!(jaccard(&[1, 2, 3], &[2, 3, 4]), 0.5);
    }
}
