//! The indices of a packed batch, on the device.
//!
//! The processor takes the host's arrays; CubeCL's kernels take bounds and orders, which are uploaded
//! with the rest where there are such kernels; the reference takes a visibility matrix, which is made
//! when it is first asked for.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::device::is_cubecl;

/// What each token is, on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HostIds {
    pub(crate) ids: Vec<i32>,
    pub(crate) positions: Vec<i32>,
    pub(crate) types: Vec<i32>,
}

fn upload(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// The indices of `values` sorted by (value, index): what a gradient is summed over, in order.
///
/// # Panics
/// On a negative value.
fn order_of(values: &[i32]) -> Vec<i32> {
    #[expect(clippy::expect_used, reason = "rows of a table are not negative")]
    let row = |value: i32| usize::try_from(value).expect("a row of a table");
    let rows = values.iter().map(|&value| row(value) + 1).max().unwrap_or(0);
    let mut next = vec![0usize; rows + 1];
    for &value in values {
        next[row(value) + 1] += 1;
    }
    for row in 1..next.len() {
        next[row] += next[row - 1];
    }
    let mut order = vec![0; values.len()];
    for (index, &value) in values.iter().enumerate() {
        let place = &mut next[row(value)];
        order[*place] = index as i32;
        *place += 1;
    }
    order
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
    /// The same, on the host.
    pub(crate) host: Arc<HostIds>,
    orders: Arc<OnceLock<[Tensor<1, Int>; 3]>>,
}

impl TokenIds {
    /// Uploads host arrays of one length.
    pub fn upload(ids: &[i32], positions: &[i32], types: &[i32], device: &Device) -> Self {
        let host = HostIds { ids: ids.into(), positions: positions.into(), types: types.into() };
        let uploaded = Self {
            ids: upload(host.ids.clone(), device),
            positions: upload(host.positions.clone(), device),
            types: upload(host.types.clone(), device),
            host: Arc::new(host),
            orders: Arc::default(),
        };
        if is_cubecl(device) {
            uploaded.orders();
        }
        uploaded
    }

    /// The tokens sorted by id, by position and by type, `[tokens]` each.
    pub(crate) fn orders(&self) -> [Tensor<1, Int>; 3] {
        let HostIds { ids, positions, types } = &*self.host;
        let device = self.ids.device();
        let make = || [ids, positions, types].map(|values| upload(order_of(values), &device));
        self.orders.get_or_init(make).clone()
    }
}

/// Rows to gather.
#[derive(Debug, Clone)]
pub struct RowIndex {
    /// The rows, `[n]`; one may come several times.
    pub rows: Tensor<1, Int>,
    host: Arc<Vec<i32>>,
    order: Arc<OnceLock<Tensor<1, Int>>>,
}

impl RowIndex {
    /// Uploads a host array.
    pub fn upload(rows: &[i32], device: &Device) -> Self {
        let host = Arc::new(rows.to_vec());
        let uploaded = Self { rows: upload(rows.to_vec(), device), host, order: Arc::default() };
        if is_cubecl(device) {
            uploaded.order();
        }
        uploaded
    }

    /// The places sorted by row, `[n]`.
    pub(crate) fn order(&self) -> Tensor<1, Int> {
        let make = || upload(order_of(&self.host), &self.rows.device());
        self.order.get_or_init(make).clone()
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
    bounds: Arc<OnceLock<[Tensor<1, Int>; 2]>>,
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
        let uploaded = Self {
            bins,
            bin_length,
            samples,
            device: device.clone(),
            visibility: Arc::default(),
            bounds: Arc::default(),
        };
        if is_cubecl(device) {
            uploaded.bounds();
        }
        uploaded
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

    /// For each token, the places within its bin between which its sample lies, `[tokens]` each; a
    /// token of padding has none.
    pub(crate) fn bounds(&self) -> [Tensor<1, Int>; 2] {
        let make = || {
            let [mut starts, mut ends] = [vec![0; self.tokens()], vec![0; self.tokens()]];
            for &(start, length) in &self.samples {
                let place = start % self.bin_length;
                starts[start..start + length].fill(place as i32);
                ends[start..start + length].fill((place + length) as i32);
            }
            [starts, ends].map(|values| upload(values, &self.device))
        };
        self.bounds.get_or_init(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_go_by_value_and_then_by_place() {
        assert_eq!(order_of(&[5, 2, 5, 9, 2]), [1, 4, 0, 2, 3]);
        assert_eq!(order_of(&[]), [0i32; 0]);
    }
}
