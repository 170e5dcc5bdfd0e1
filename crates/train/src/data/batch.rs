//! A packed batch: arrays of fixed capacity, ready for a device.

use bimed_ops::{Packing, RowIndex, TokenIds};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::masking::Masked;

/// One sample, special tokens and masks included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Vocabulary rows, `[CLS]` first.
    pub ids: Vec<u32>,
    /// 0 for the first segment, 1 for the second.
    pub types: Vec<u8>,
    /// What is predicted.
    pub masked: Masked,
    /// Next-sentence label: 0 where the second segment follows the first, 1 where not.
    pub next_sentence: Option<u8>,
}

/// What a batch holds, padding included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchCapacity {
    /// Bins.
    pub bins: usize,
    /// Tokens a bin.
    pub bin_length: usize,
    /// Masked rows.
    pub masked: usize,
    /// Samples.
    pub samples: usize,
}

/// Samples packed into bins. A sample lies within one bin; positions restart with it.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedBatch {
    /// What it could hold.
    pub capacity: BatchCapacity,
    /// Vocabulary rows, `[tokens]`; padding holds the padding row.
    pub ids: Vec<i32>,
    /// Position within the sample, `[tokens]`.
    pub positions: Vec<i32>,
    /// Segment, `[tokens]`.
    pub types: Vec<i32>,
    /// The first token and the length of each sample.
    pub samples: Vec<(usize, usize)>,
    /// Rows of predicted tokens, `[masked]`, ascending, then row 0 as padding.
    pub masked_rows: Vec<i32>,
    /// The token to predict, `[masked]`.
    pub labels: Vec<i32>,
    /// 1 for a prediction, 0 for padding, `[masked]`.
    pub label_weights: Vec<f32>,
    /// The first token of each sample, `[samples]`, then 0 as padding.
    pub first_tokens: Vec<i32>,
    /// Next-sentence labels, `[samples]`.
    pub sample_labels: Vec<i32>,
    /// 1 for a sample with a next-sentence label, else 0, `[samples]`.
    pub sample_weights: Vec<f32>,
    /// Tokens of samples, special tokens included.
    pub num_tokens: usize,
    /// Predictions.
    pub num_masked: usize,
}

impl PackedBatch {
    /// Packs `bins`, each a list of samples.
    ///
    /// # Panics
    /// When the samples exceed the capacity: a plan never does.
    pub fn new(bins: &[Vec<Sample>], capacity: BatchCapacity, pad: u32) -> Self {
        let tokens = capacity.bins * capacity.bin_length;
        assert!(bins.len() <= capacity.bins, "{} bins in {}", bins.len(), capacity.bins);
        let mut batch = Self {
            capacity,
            ids: vec![pad as i32; tokens],
            positions: vec![0; tokens],
            types: vec![0; tokens],
            samples: Vec::new(),
            masked_rows: Vec::with_capacity(capacity.masked),
            labels: Vec::with_capacity(capacity.masked),
            label_weights: Vec::new(),
            first_tokens: Vec::with_capacity(capacity.samples),
            sample_labels: Vec::with_capacity(capacity.samples),
            sample_weights: Vec::with_capacity(capacity.samples),
            num_tokens: 0,
            num_masked: 0,
        };
        for (bin, samples) in bins.iter().enumerate() {
            let mut start = bin * capacity.bin_length;
            for sample in samples {
                batch.push(start, sample);
                start += sample.ids.len();
            }
            assert!(start <= (bin + 1) * capacity.bin_length, "bin {bin} overflows");
        }
        batch.finish()
    }

    fn push(&mut self, start: usize, sample: &Sample) {
        let length = sample.ids.len();
        for (at, (&id, &kind)) in sample.ids.iter().zip(&sample.types).enumerate() {
            self.ids[start + at] = id as i32;
            self.positions[start + at] = at as i32;
            self.types[start + at] = i32::from(kind);
        }
        for (&position, &label) in sample.masked.positions.iter().zip(&sample.masked.labels) {
            self.masked_rows.push((start + position) as i32);
            self.labels.push(label as i32);
        }
        self.samples.push((start, length));
        self.first_tokens.push(start as i32);
        self.sample_labels.push(sample.next_sentence.map_or(0, i32::from));
        self.sample_weights.push(if sample.next_sentence.is_some() { 1.0 } else { 0.0 });
        self.num_tokens += length;
        self.num_masked += sample.masked.positions.len();
    }

    fn finish(mut self) -> Self {
        let BatchCapacity { masked, samples, .. } = self.capacity;
        assert!(self.num_masked <= masked, "{} masked rows in {masked}", self.num_masked);
        assert!(self.samples.len() <= samples, "{} samples in {samples}", self.samples.len());
        self.label_weights = vec![1.0; self.num_masked];
        self.label_weights.resize(masked, 0.0);
        self.masked_rows.resize(masked, 0);
        self.labels.resize(masked, 0);
        self.first_tokens.resize(samples, 0);
        self.sample_labels.resize(samples, 0);
        self.sample_weights.resize(samples, 0.0);
        self
    }

    /// Puts the batch on `device`.
    pub fn upload(&self, device: &Device) -> DeviceBatch {
        let ints = |values: &[i32]| -> Tensor<1, Int> {
            Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        let floats = |values: &[f32]| -> Tensor<1> {
            Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        let BatchCapacity { bins, bin_length, .. } = self.capacity;
        DeviceBatch {
            ids: TokenIds::upload(&self.ids, &self.positions, &self.types, device),
            packing: Packing::upload(bins, bin_length, self.samples.clone(), device),
            masked_rows: RowIndex::upload(&self.masked_rows, device),
            labels: ints(&self.labels),
            label_weights: floats(&self.label_weights),
            first_tokens: RowIndex::upload(&self.first_tokens, device),
            sample_labels: ints(&self.sample_labels),
            sample_weights: floats(&self.sample_weights),
        }
    }
}

/// A packed batch on a device.
#[derive(Debug, Clone)]
pub struct DeviceBatch {
    /// What each token is.
    pub ids: TokenIds,
    /// Which tokens belong together.
    pub packing: Packing,
    /// `[masked]`
    pub masked_rows: RowIndex,
    /// `[masked]`
    pub labels: Tensor<1, Int>,
    /// `[masked]`
    pub label_weights: Tensor<1>,
    /// `[samples]`
    pub first_tokens: RowIndex,
    /// `[samples]`
    pub sample_labels: Tensor<1, Int>,
    /// `[samples]`
    pub sample_weights: Tensor<1>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(ids: &[u32], positions: &[usize]) -> Sample {
        Sample {
            ids: ids.to_vec(),
            types: vec![0; ids.len()],
            masked: Masked {
                positions: positions.to_vec(),
                labels: positions.iter().map(|&at| 100 + at as u32).collect(),
            },
            next_sentence: None,
        }
    }

    #[test]
    fn positions_restart_and_capacities_are_filled_with_weight_zero() {
        let bins = [
            vec![sample(&[2, 7, 3], &[1]), sample(&[2, 9, 3], &[])],
            vec![sample(&[2, 7, 3], &[1])],
        ];
        let capacity = BatchCapacity { bins: 3, bin_length: 7, masked: 4, samples: 5 };
        let batch = PackedBatch::new(&bins, capacity, 0);
        assert_eq!(batch.ids[..10], [2, 7, 3, 2, 9, 3, 0, 2, 7, 3]);
        assert_eq!(batch.positions[..10], [0, 1, 2, 0, 1, 2, 0, 0, 1, 2]);
        assert_eq!(batch.samples, [(0, 3), (3, 3), (7, 3)]);
        assert_eq!(batch.masked_rows, [1, 8, 0, 0]);
        assert_eq!(batch.label_weights, [1.0, 1.0, 0.0, 0.0]);
        assert_eq!((batch.num_tokens, batch.num_masked), (9, 2));
    }
}
