//! Random numbers as a function of a seed and of what they are for.
//!
//! Owns the mapping from (seed, stream, index) to 64 bits. There is no state, so the order of
//! evaluation and the number of threads cannot matter.

/// 64 well mixed bits for the item `index` of the stream `stream`.
///
/// Source: three rounds of the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(crate) fn counter_hash(seed: u64, stream: u64, index: u64) -> u64 {
    mix(mix(mix(seed) ^ stream) ^ index)
}

/// A number in `0..bound` from the item `index` of the stream `stream`.
///
/// The bias of the multiplication is below `bound / 2^64`.
pub(crate) fn counter_below(seed: u64, stream: u64, index: u64, bound: usize) -> usize {
    ((u128::from(counter_hash(seed, stream, index)) * bound as u128) >> 64) as usize
}

fn mix(value: u64) -> u64 {
    let mut bits = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_output_of_splitmix64_is_reproduced() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn draws_below_a_bound_are_even() {
        let mut counts = [0_u32; 7];
        for index in 0..70_000 {
            counts[counter_below(3, 1, index, 7)] += 1;
        }
        // A standard deviation of a cell is 92.6; six of them.
        assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 556), "{counts:?}");
    }

    #[test]
    fn streams_and_seeds_differ() {
        assert_ne!(counter_hash(1, 2, 3), counter_hash(2, 1, 3));
        assert_ne!(counter_hash(1, 2, 3), counter_hash(1, 3, 2));
    }
}
