//! Which samples share a bin: a plan for a whole epoch, a function of (seed, epoch) alone.

use super::counter::{Draws, Purpose};
use super::masking::num_predicted;

/// Samples that are packed together at a time: enough to fill bins well, few enough that an epoch's
/// order stays random.
const WINDOW: usize = 4_096;

/// The bins of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochPlan {
    /// Sample indices, bin after bin.
    samples: Vec<u32>,
    /// Where each bin starts in `samples`; one more entry than bins.
    starts: Vec<u32>,
}

impl EpochPlan {
    /// The number of bins.
    pub fn num_bins(&self) -> usize {
        self.starts.len() - 1
    }

    /// The samples of bin `bin`.
    pub fn bin(&self, bin: usize) -> &[u32] {
        &self.samples[self.starts[bin] as usize..self.starts[bin + 1] as usize]
    }
}

/// What a bin holds at most.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinCapacity {
    /// Tokens, special tokens included.
    pub tokens: usize,
    /// Predicted tokens.
    pub masked: usize,
    /// The share of a sample that is predicted.
    pub mask_prob: f64,
    /// Special tokens a sample: `[CLS]` and `[SEP]`, and one more between two segments.
    pub specials: usize,
}

impl BinCapacity {
    /// The capacity of bins of `tokens` at `mask_prob`: as many predictions as one full sample has,
    /// and one more for the rounding of several.
    pub fn new(tokens: usize, specials: usize, mask_prob: f64) -> Self {
        let masked = num_predicted(tokens.saturating_sub(specials), mask_prob) + 1;
        Self { tokens, masked, mask_prob, specials }
    }
}

/// A bin that is being filled.
struct OpenBin {
    tokens: usize,
    masked: usize,
    samples: Vec<u32>,
}

/// Plans `epoch`: samples in random order, window by window, each into the open bin that it fills
/// best (best-fit decreasing within a window), bins again in random order within the window.
///
/// `lengths` are the samples' lengths without special tokens.
pub fn plan_epoch(lengths: &[u16], capacity: BinCapacity, seed: u64, epoch: u64) -> EpochPlan {
    let key = |sample: u32| Draws::new(seed, epoch, u64::from(sample)).word(Purpose::Order, 0);
    let mut order: Vec<u32> = (0..lengths.len() as u32).collect();
    order.sort_by_cached_key(|&sample| (key(sample), sample));
    let mut plan = EpochPlan { samples: Vec::with_capacity(order.len()), starts: vec![0] };
    for window in order.chunks(WINDOW) {
        let mut bins = pack_window(window, lengths, capacity);
        bins.sort_by_cached_key(|bin| key(bin.samples[0]));
        for bin in bins {
            plan.samples.extend(bin.samples);
            plan.starts.push(plan.samples.len() as u32);
        }
    }
    plan
}

fn pack_window(window: &[u32], lengths: &[u16], capacity: BinCapacity) -> Vec<OpenBin> {
    let mut longest_first = window.to_vec();
    longest_first.sort_by_key(|&sample| std::cmp::Reverse(lengths[sample as usize]));
    let mut bins: Vec<OpenBin> = Vec::new();
    // Bins by the room they have left, so that the best fit is found without a search.
    let mut by_room: Vec<Vec<usize>> = vec![Vec::new(); capacity.tokens + 1];
    for sample in longest_first {
        let length = usize::from(lengths[sample as usize]);
        let (tokens, masked) =
            (length + capacity.specials, num_predicted(length, capacity.mask_prob));
        let fits = |bin: &OpenBin| bin.masked + masked <= capacity.masked;
        let found = (tokens..=capacity.tokens).find_map(|room| {
            let place = by_room[room].iter().rposition(|&bin| fits(&bins[bin]))?;
            Some(by_room[room].remove(place))
        });
        let bin = found.unwrap_or_else(|| {
            bins.push(OpenBin { tokens: 0, masked: 0, samples: Vec::new() });
            bins.len() - 1
        });
        let open = &mut bins[bin];
        open.tokens += tokens;
        open.masked += masked;
        open.samples.push(sample);
        by_room[capacity.tokens.saturating_sub(open.tokens)].push(bin);
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAPACITY: fn() -> BinCapacity = || BinCapacity::new(128, 2, 0.15);

    fn lengths(count: usize) -> Vec<u16> {
        (0..count).map(|index| 1 + (index * 7_919 % 126) as u16).collect()
    }

    #[test]
    fn an_epoch_fills_its_bins() {
        let lengths = lengths(10_000);
        let plan = plan_epoch(&lengths, CAPACITY(), 1, 0);
        let tokens: usize = lengths.iter().map(|&length| usize::from(length) + 2).sum();
        let fill = tokens as f64 / (plan.num_bins() * 128) as f64;
        assert!(fill > 0.97, "{fill}");
    }

    #[test]
    fn epochs_differ_and_a_plan_is_a_function_of_its_arguments() {
        let lengths = lengths(500);
        let plan = |seed, epoch| plan_epoch(&lengths, CAPACITY(), seed, epoch);
        assert_eq!(plan(1, 0), plan(1, 0));
        assert_ne!(plan(1, 0), plan(1, 1));
        assert_ne!(plan(1, 0), plan(2, 0));
    }

    proptest! {
        #[test]
        fn every_sample_is_packed_once_and_no_bin_overflows(
            lengths in prop::collection::vec(1u16..=126, 1..300), seed in any::<u64>(),
        ) {
            let capacity = CAPACITY();
            let plan = plan_epoch(&lengths, capacity, seed, 3);
            let mut seen = vec![0; lengths.len()];
            for bin in 0..plan.num_bins() {
                let (mut tokens, mut masked) = (0, 0);
                for &sample in plan.bin(bin) {
                    seen[sample as usize] += 1;
                    let length = usize::from(lengths[sample as usize]);
                    tokens += length + 2;
                    masked += num_predicted(length, capacity.mask_prob);
                }
                prop_assert!(tokens <= capacity.tokens && masked <= capacity.masked);
            }
            prop_assert!(seen.into_iter().all(|count| count == 1));
        }
    }
}
