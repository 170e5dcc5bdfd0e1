//! Dropout as a function: the same mask on every device, for any split of a batch.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

/// What a dropout mask is a function of, beside the row and the column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// The probability of dropping, 0 to 1 (exclusive).
    pub probability: f32,
    /// The run's seed.
    pub seed: u64,
    /// The optimizer step.
    pub step: u64,
    /// The place in the model.
    pub site: u32,
    /// The row that this batch's first row is within the optimizer step.
    pub first_row: u64,
}

/// Philox's multipliers and its key schedule.
const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32-10: four 32-bit draws from a 128-bit counter and a 64-bit key.
///
/// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", with their constants.
#[inline]
pub fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let product_0 = u64::from(MULTIPLIER[0]) * u64::from(counter[0]);
        let product_1 = u64::from(MULTIPLIER[1]) * u64::from(counter[2]);
        counter = [
            (product_1 >> 32) as u32 ^ counter[1] ^ key[0],
            product_1 as u32,
            (product_0 >> 32) as u32 ^ counter[3] ^ key[1],
            product_0 as u32,
        ];
    }
    counter
}

/// Counters that are advanced side by side.
const LANES: usize = 16;

/// [`philox4x32`] of sixteen counters under one key.
#[inline(always)]
fn philox4x32_lanes(counters: &mut [[u32; LANES]; 4], mut key: [u32; 2]) {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let [first, second, third, fourth] = counters;
        for lane in 0..LANES {
            let product_0 = u64::from(MULTIPLIER[0]) * u64::from(first[lane]);
            let product_1 = u64::from(MULTIPLIER[1]) * u64::from(third[lane]);
            first[lane] = (product_1 >> 32) as u32 ^ second[lane] ^ key[0];
            second[lane] = product_1 as u32;
            third[lane] = (product_0 >> 32) as u32 ^ fourth[lane] ^ key[1];
            fourth[lane] = product_0 as u32;
        }
    }
}

impl Dropout {
    /// Writes one row of the mask: 0, or `1 / (1 − probability)`.
    ///
    /// Element `column` comes from word `column % 4` of the counter
    /// (`column / 4`, `row`, `site`, `step`), each taken modulo 2³², under the key `seed`.
    #[inline(always)]
    pub fn fill_row(&self, row: u64, mask: &mut [f32]) {
        let threshold = self.threshold();
        let scale = self.scale();
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let row = self.first_row.wrapping_add(row) as u32;
        // Sixteen counters at a time: independent lanes, which compilers vectorise.
        for (group, cells) in mask.chunks_mut(4 * LANES).enumerate() {
            let first = (group * LANES) as u32;
            let blocks = std::array::from_fn(|lane| first + lane as u32);
            let mut counters =
                [blocks, [row; LANES], [self.site; LANES], [self.step as u32; LANES]];
            philox4x32_lanes(&mut counters, key);
            for (lane, cells) in cells.chunks_mut(4).enumerate() {
                for (cell, draws) in cells.iter_mut().zip(&counters) {
                    *cell = if draws[lane] >= threshold { scale } else { 0.0 };
                }
            }
        }
    }

    /// The mask of `rows` rows of `columns`.
    pub fn mask(&self, rows: usize, columns: usize) -> Vec<f32> {
        let mut mask = vec![0.0; rows * columns];
        if columns > 0 {
            mask.par_chunks_mut(columns)
                .enumerate()
                .for_each(|(row, cells)| self.fill_row(row as u64, cells));
        }
        mask
    }

    /// `input` with elements dropped and the rest scaled up.
    ///
    /// # Shapes
    /// `[rows, columns]` → `[rows, columns]`
    pub fn apply(&self, input: Tensor<2>) -> Tensor<2> {
        if self.probability == 0.0 {
            return input;
        }
        let [rows, columns] = input.dims();
        let mask = TensorData::new(self.mask(rows, columns), [rows, columns]);
        let device = input.device();
        input * Tensor::from_data(mask, &device)
    }

    /// A draw below this drops: `probability · 2³²`.
    pub fn threshold(&self) -> u32 {
        (f64::from(self.probability) * 4_294_967_296.0) as u32
    }

    /// What a kept element is multiplied by.
    pub fn scale(&self) -> f32 {
        1.0 / (1.0 - self.probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROPOUT: Dropout =
        Dropout { probability: 0.1, seed: 0x1234_5678_9abc_def0, step: 7, site: 3, first_row: 0 };

    #[test]
    fn philox_gives_the_published_vectors() {
        // Random123's kat_vectors, philox4x32 with 10 rounds.
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn lanes_draw_what_single_counters_draw() {
        let mut counters = [[0u32; LANES]; 4];
        for lane in 0..LANES {
            for (word, counter) in counters.iter_mut().enumerate() {
                counter[lane] = (word * 1_000 + lane * 77) as u32;
            }
        }
        let before = counters;
        philox4x32_lanes(&mut counters, [5, 6]);
        for lane in 0..LANES {
            let single = philox4x32(before.map(|counter| counter[lane]), [5, 6]);
            assert_eq!(counters.map(|counter| counter[lane]), single);
        }
    }

    #[test]
    fn the_share_dropped_is_the_probability() {
        let mask = DROPOUT.mask(500, 384);
        let dropped = mask.iter().filter(|&&cell| cell == 0.0).count() as f64;
        let share = dropped / mask.len() as f64;
        assert!((share - 0.1).abs() < 0.003, "{share}");
    }

    #[test]
    fn splitting_a_batch_changes_no_mask() {
        let whole = DROPOUT.mask(8, 10);
        let mut parts = DROPOUT.mask(3, 10);
        parts.extend(Dropout { first_row: 3, ..DROPOUT }.mask(5, 10));
        assert_eq!(whole, parts);
    }

    #[test]
    fn every_argument_changes_the_mask() {
        let mask = DROPOUT.mask(4, 64);
        for other in [
            Dropout { seed: 1, ..DROPOUT },
            Dropout { step: 8, ..DROPOUT },
            Dropout { site: 4, ..DROPOUT },
            Dropout { first_row: 1, ..DROPOUT },
        ] {
            assert_ne!(mask, other.mask(4, 64));
        }
    }
}
