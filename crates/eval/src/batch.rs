//! A task's items as packed batches.
//!
//! Owns how items share bins; knows nothing of what is computed from them. Order in, order out: each
//! batch says which item its samples are.

use bimed_train::{BatchCapacity, PackedBatch, Sample};

/// Bins are multiples of it, so that there are few shapes.
const BIN_GRAIN: usize = 8;

/// Some items on the host, ready for a device.
#[derive(Debug)]
pub(crate) struct ItemBatch {
    /// Their tokens.
    pub(crate) batch: PackedBatch,
    /// The item of each sample of `batch`.
    pub(crate) items: Vec<usize>,
}

/// Packs `items`, indices into `samples`, longest first, into batches of at most `max_tokens` (one
/// sample at least), each with bins as long as its longest sample: the least work where nothing
/// depends on a sample's place.
pub(crate) fn pack(
    items: &[usize],
    samples: &[Sample],
    max_tokens: usize,
    pad: u32,
) -> Vec<ItemBatch> {
    let order = longest_first(items, samples);
    let mut batches = Vec::new();
    let mut rest = &order[..];
    while let Some(&longest) = rest.first() {
        let bin_length = bin_length(longest, samples);
        let bins = fill_bins(rest, samples, bin_length, (max_tokens / bin_length).max(1));
        rest = &rest[bins.iter().map(Vec::len).sum()..];
        batches.push(batch_of(&bins, samples, bin_length, pad));
    }
    batches
}

/// Packs the items of one optimizer step into bins of one length and cuts the row of bins into
/// batches of at most `max_tokens` (one bin at least): a token's place in the step, of which its
/// dropout is a function, does not depend on `max_tokens`.
pub(crate) fn pack_step(
    items: &[usize],
    samples: &[Sample],
    max_tokens: usize,
    pad: u32,
) -> Vec<ItemBatch> {
    let order = longest_first(items, samples);
    let Some(&longest) = order.first() else { return Vec::new() };
    let bin_length = bin_length(longest, samples);
    let bins = fill_bins(&order, samples, bin_length, usize::MAX);
    bins.chunks((max_tokens / bin_length).max(1))
        .map(|bins| batch_of(bins, samples, bin_length, pad))
        .collect()
}

fn longest_first(items: &[usize], samples: &[Sample]) -> Vec<usize> {
    let mut order = items.to_vec();
    order.sort_by_key(|&item| std::cmp::Reverse(samples[item].ids.len()));
    order
}

fn bin_length(longest: usize, samples: &[Sample]) -> usize {
    samples[longest].ids.len().next_multiple_of(BIN_GRAIN)
}

/// Bins of the leading items of `order`, each in the first bin with room, until one fits none of
/// `max_bins`.
fn fill_bins(
    order: &[usize],
    samples: &[Sample],
    bin_length: usize,
    max_bins: usize,
) -> Vec<Vec<usize>> {
    let mut bins: Vec<Vec<usize>> = Vec::new();
    let mut room: Vec<usize> = Vec::new();
    for &item in order {
        let length = samples[item].ids.len();
        match room.iter().position(|&room| room >= length) {
            Some(bin) => {
                bins[bin].push(item);
                room[bin] -= length;
            }
            None if bins.len() < max_bins => {
                bins.push(vec![item]);
                room.push(bin_length - length);
            }
            None => break,
        }
    }
    bins
}

fn batch_of(bins: &[Vec<usize>], samples: &[Sample], bin_length: usize, pad: u32) -> ItemBatch {
    let items: Vec<usize> = bins.concat();
    // Nothing is masked; one row keeps the arrays from being empty.
    let capacity = BatchCapacity { bins: bins.len(), bin_length, masked: 1, samples: items.len() };
    let of_bin = |bin: &Vec<usize>| bin.iter().map(|&item| samples[item].clone()).collect();
    let packed: Vec<Vec<Sample>> = bins.iter().map(of_bin).collect();
    ItemBatch { batch: PackedBatch::new(&packed, capacity, pad), items }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples(lengths: &[usize]) -> Vec<Sample> {
        let sample = |(index, &length): (usize, &usize)| Sample {
            ids: vec![index as u32 + 5; length],
            types: vec![0; length],
            ..Sample::default()
        };
        lengths.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn items_of_mixed_length_leave_little_padding() {
        let lengths: Vec<usize> = (0..32).map(|item| 12 + item * 37 % 60).collect();
        let batches = pack(&(0..32).collect::<Vec<_>>(), &samples(&lengths), 4_096, 0);
        let [ItemBatch { batch, .. }] = &batches[..] else { panic!("{} batches", batches.len()) };
        let fill = batch.num_tokens as f64 / batch.ids.len() as f64;
        assert!(fill > 0.9, "{fill}");
    }

    #[test]
    fn a_step_has_the_same_rows_whatever_fits_the_device() {
        let lengths: Vec<usize> = (0..32).map(|item| 12 + item * 37 % 60).collect();
        let items: Vec<usize> = (0..32).collect();
        let rows = |max_tokens| -> (Vec<i32>, Vec<usize>) {
            let batches = pack_step(&items, &samples(&lengths), max_tokens, 0);
            let ids = batches.iter().flat_map(|batch| batch.batch.ids.clone()).collect();
            (ids, batches.into_iter().flat_map(|batch| batch.items).collect())
        };
        assert_eq!(rows(72), rows(4_096));
        assert_eq!(pack_step(&items, &samples(&lengths), 4_096, 0).len(), 1);
    }

    proptest! {
        #[test]
        fn every_item_is_in_one_batch_with_its_own_tokens(
            lengths in prop::collection::vec(3usize..100, 1..80), max_tokens in 64usize..600,
        ) {
            let samples = samples(&lengths);
            let items: Vec<usize> = (0..lengths.len()).collect();
            let mut seen = vec![0; lengths.len()];
            for ItemBatch { batch, items } in pack(&items, &samples, max_tokens, 0) {
                prop_assert!(batch.ids.len() <= max_tokens.max(104));
                prop_assert_eq!(items.len(), batch.samples.len());
                for (item, &(start, length)) in items.into_iter().zip(&batch.samples) {
                    seen[item] += 1;
                    prop_assert_eq!(length, lengths[item]);
                    let id = item as i32 + 5;
                    prop_assert!(batch.ids[start..start + length].iter().all(|&x| x == id));
                }
            }
            prop_assert!(seen.into_iter().all(|count| count == 1));
        }
    }
}
