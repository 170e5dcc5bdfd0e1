//! Named host arrays.

use std::collections::BTreeMap;

/// Rows and columns that are copied at a time.
const TILE: usize = 32;

/// A tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// The length of each axis, outermost first.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub data: Vec<f32>,
}

impl HostTensor {
    /// A tensor of `shape` over `data`.
    ///
    /// # Panics
    /// When `data` does not fill `shape`.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), data.len(), "data does not fill {shape:?}");
        Self { shape, data }
    }

    /// A tensor of two axes with them exchanged.
    ///
    /// # Panics
    /// For another number of axes.
    pub(crate) fn transposed(&self) -> Self {
        let [rows, columns] = self.shape[..] else { panic!("{:?} is not of two axes", self.shape) };
        let mut data = vec![0.0; self.data.len()];
        copy_plane(&self.data, [1, columns], [columns, rows], &mut data);
        Self { shape: vec![columns, rows], data }
    }

    /// Row `index` of a tensor of two axes.
    pub fn row(&self, index: usize) -> &[f32] {
        let width: usize = self.shape.iter().skip(1).product();
        &self.data[index * width..(index + 1) * width]
    }
}

/// Fills `to`, which is `[rows, columns]` row-major, from the elements of `from` that lie `strides`
/// apart along each axis.
pub(crate) fn copy_plane(
    from: &[f32],
    strides: [usize; 2],
    [rows, columns]: [usize; 2],
    to: &mut [f32],
) {
    // Tiles stay in the cache on both sides.
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for row in top..rows.min(top + TILE) {
                for column in left..columns.min(left + TILE) {
                    to[row * columns + column] = from[row * strides[0] + column * strides[1]];
                }
            }
        }
    }
}

/// Tensors by Hugging Face name, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    /// The tensors.
    pub tensors: BTreeMap<String, HostTensor>,
}

impl Weights {
    /// The tensor `name`.
    pub fn get(&self, name: &str) -> Option<&HostTensor> {
        self.tensors.get(name)
    }

    /// Puts `tensor` under `name`.
    pub fn insert(&mut self, name: impl Into<String>, tensor: HostTensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// The number of elements of all tensors.
    pub fn num_parameters(&self) -> usize {
        self.tensors.values().map(|tensor| tensor.data.len()).sum()
    }
}
