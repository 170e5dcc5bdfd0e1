//! The indices of a packed batch, on the device.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Int, Tensor, TensorData};

/// What each token is, on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostIds {
    pub(crate) ids: Vec<i32>,
    pub(crate) positions: Vec<i32>,
    pub(crate) types: Vec<i32>,
}

/// What each token is.
#[derive(Debug, Clone)]
pub struct TokenIds {
    /// Vocabulary rows, `[tokens]`.
    pub ids: Tensor<1, Int>,
    /// Position within the sample, `[tokens]`.
    pub positions: Tensor<1, Int>,
    /// 0 for the first segment of a pair, 1 for the second, `[tokens]`.
    pub types: Tensor<1, Int>,
    /// The same, for operations on the processor.
    #[cfg_attr(not(feature = "flex"), expect(dead_code, reason = "read on the processor"))]
    pub(crate) host: Arc<HostIds>,
}

impl TokenIds {
    /// Uploads host arrays of one length.
    pub fn upload(ids: &[i32], positions: &[i32], types: &[i32], device: &Device) -> Self {
        let upload = |values: &[i32]| {
            Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        let host = HostIds { ids: ids.into(), positions: positions.into(), types: types.into() };
        Self {
            ids: upload(ids),
            positions: upload(positions),
            types: upload(types),
            host: Arc::new(host),
        }
    }
}

/// Which tokens belong together.
///
/// The tokens are `bins` rows of `bin_length`; a sample lies within one bin.
#[derive(Debug, Clone)]
pub struct Packing {
    /// The number of bins.
    pub bins: usize,
    /// Tokens a bin, padding included.
    pub bin_length: usize,
    /// The first token and the length of each sample, in order.
    pub samples: Vec<(usize, usize)>,
    device: Device,
    visibility: Arc<OnceLock<Tensor<4>>>,
}

/// What a score gets that must not count: far below any real score, and finite, so that a padding
/// row, which sees only padding, stays finite too.
const HIDDEN: f32 = -1.0e9;

impl Packing {
    /// Places `samples` on `device`.
    ///
    /// # Panics
    /// When a sample is empty, overlaps another, or crosses a bin.
    pub fn upload(
        bins: usize,
        bin_length: usize,
        samples: Vec<(usize, usize)>,
        device: &Device,
    ) -> Self {
        let mut is_taken = vec![false; bins * bin_length];
        for (index, &(start, length)) in samples.iter().enumerate() {
            assert!(length > 0, "sample {index} is empty");
            let last = start + length - 1;
            assert_eq!(start / bin_length, last / bin_length, "sample {index} crosses a bin");
            for is_taken in &mut is_taken[start..=last] {
                assert!(!*is_taken, "sample {index} overlaps another");
                *is_taken = true;
            }
        }
        Self { bins, bin_length, samples, device: device.clone(), visibility: Arc::default() }
    }

    /// The number of tokens, padding included.
    pub fn tokens(&self) -> usize {
        self.bins * self.bin_length
    }

    /// The device of the tensors below.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// 0 where a query may see a key, a large negative number elsewhere,
    /// `[bins, 1, bin_length, bin_length]`.
    pub(crate) fn visibility(&self) -> Tensor<4> {
        self.visibility.get_or_init(|| self.make_visibility()).clone()
    }

    fn make_visibility(&self) -> Tensor<4> {
        let length = self.bin_length;
        let mut owner = vec![usize::MAX; self.tokens()];
        for (index, &(start, length)) in self.samples.iter().enumerate() {
            owner[start..start + length].fill(index);
        }
        let mut bias = vec![0.0f32; self.tokens() * length];
        for (query, row) in bias.chunks_exact_mut(length).enumerate() {
            let bin_start = query / length * length;
            for (key, cell) in row.iter_mut().enumerate() {
                if owner[query] != owner[bin_start + key] {
                    *cell = HIDDEN;
                }
            }
        }
        let bias = TensorData::new(bias, [self.bins, 1, length, length]);
        Tensor::from_data(bias, &self.device)
    }
}
