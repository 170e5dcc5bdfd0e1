//! Attention by tiles: what the kernels are compiled for, and their launches.
//!
//! A cube has a block of rows of one head, and visits the tiles of the bin in which the samples of its
//! rows lie. Queries, keys and values are read where the product of the weights left them, gradients
//! are written where its backward pass reads them. No two cubes write to one place, so that shapes
//! alone decide the order of every sum.

mod backward;
mod forward;
mod product;
mod tiles;

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{AttentionShape, LOWEST};
use crate::cube::launch::{elem, empty, empty_f32};
use product::{FRAGMENT, PLANE, Products};
use tiles::BatchLaunch;

/// The largest head; sums of larger ones do not fit in registers.
const LARGEST_HEAD: usize = 128;
/// Blocks along the second axis of cubes, below every device's limit.
const MOST_BLOCKS: usize = 1 << 14;

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Form {
    products: Products,
    /// Rows of a block.
    tile: usize,
    head_size: usize,
    /// Elements that are read and written at a time.
    vector: usize,
    drops: bool,
}

impl Form {
    /// The largest form whose `tiles` fit into `memory` bytes.
    fn fitting(
        products: Products,
        tiles: usize,
        memory: usize,
        dtype: DType,
        shape: &AttentionShape,
    ) -> Option<Self> {
        let sizes: &[usize] = match products {
            Products::TensorCores => &[64, 32],
            Products::MultiplyAdds => &[32, 16, 8],
        };
        let form = |tile: usize| {
            let form = Self {
                products,
                tile,
                head_size: shape.head_size,
                vector: 1,
                drops: shape.drops(),
            };
            // Sixteen bytes where they divide what one unit has.
            let widest = 16 / dtype.size();
            let of_unit = match products {
                Products::TensorCores => shape.head_size,
                Products::MultiplyAdds => shape.head_size / form.side(),
            };
            Self { vector: 1 << of_unit.trailing_zeros().min(widest.ilog2()), ..form }
        };
        sizes.iter().map(|&tile| form(tile)).find(|form| form.bytes(tiles, dtype) <= memory)
    }

    /// Units of a cube.
    fn units(&self) -> usize {
        match self.products {
            Products::TensorCores => self.tile / FRAGMENT * PLANE,
            Products::MultiplyAdds => self.side() * self.side(),
        }
    }

    /// Units along each side of a tile, without tensor cores.
    fn side(&self) -> usize {
        if self.tile >= 16 { 8 } else { 4 }
    }

    /// Rows that one unit has, and columns of a tile of scores, without tensor cores.
    fn edge(&self) -> usize {
        self.tile / self.side()
    }

    /// Sums of a tile of `columns` that one unit keeps in registers of its own.
    fn sums_each(&self, columns: usize) -> usize {
        match self.products {
            Products::TensorCores => 1,
            Products::MultiplyAdds => self.edge() * columns / self.side(),
        }
    }

    /// Units that share a row of scores.
    fn parts(&self) -> usize {
        self.units() / self.tile
    }

    /// Groups of four keys of a row that one unit has.
    fn quads_each(&self) -> usize {
        self.tile / 4 / self.parts()
    }

    /// Queries from one that a unit has to its next, where it has four keys.
    fn queries_step(&self) -> usize {
        self.units() / (self.tile / 4)
    }

    /// Queries of a unit that has four keys.
    fn queries_each(&self) -> usize {
        self.tile / self.queries_step()
    }

    /// Vectors from row to row of a tile: one more than a row has, so that rows lie in other banks.
    fn row_stride(&self) -> usize {
        self.head_size / self.vector + 1
    }

    /// Vectors of a tile.
    fn tile_vectors(&self) -> usize {
        self.tile * self.row_stride()
    }

    /// Elements from row to row of a tile of weights.
    fn weight_stride(&self) -> usize {
        self.tile + 8
    }

    /// Elements of a tile of weights.
    fn weights(&self) -> usize {
        self.tile * self.weight_stride()
    }

    /// Elements from row to row of a tile of sums: of scores, or of a head's columns.
    fn sum_stride(&self) -> usize {
        self.tile.max(self.head_size) + 4
    }

    /// Elements of a tile of sums.
    fn sums(&self) -> usize {
        self.tile * self.sum_stride()
    }

    /// Where the samples of a block's rows begin and end.
    fn bounds(&self) -> usize {
        2 * self.tile
    }

    /// Shared memory of a cube with so many tiles of rows.
    fn bytes(&self, tiles: usize, dtype: DType) -> usize {
        let rows = tiles * self.tile_vectors() * self.vector * dtype.size();
        let words = self.sums() + self.units() + self.bounds();
        // Each piece may begin at a multiple of 32.
        rows + self.weights() * dtype.size() + 4 * words + 32 * (tiles + 4)
    }
}

/// The kernels of one shape on one device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flash {
    forward: Form,
    backward: Form,
}

impl Flash {
    /// The kernels for `qkv`, or nothing where there are none.
    pub(super) fn on(qkv: &CubeTensor, shape: &AttentionShape) -> Option<Self> {
        if !shape.head_size.is_multiple_of(FRAGMENT) || shape.head_size > LARGEST_HEAD {
            return None;
        }
        let properties = qkv.client.properties();
        let memory = properties.hardware.max_shared_memory_size;
        let has_plane = properties.hardware.plane_size_min == PLANE as u32
            && properties.hardware.plane_size_max == PLANE as u32;
        let fragment = FRAGMENT as u32;
        let has_tensor_cores = properties.features.matmul.cmma.iter().any(|known| {
            let factors = elem(qkv.dtype);
            known.a_type == factors
                && known.b_type == factors
                && known.cd_type == elem(DType::F32)
                && [known.m, known.n, known.k] == [fragment; 3]
        });
        let products = match qkv.dtype {
            DType::BF16 if has_tensor_cores && has_plane => Products::TensorCores,
            _ => Products::MultiplyAdds,
        };
        let fitting = |tiles| Form::fitting(products, tiles, memory, qkv.dtype, shape);
        // Queries, keys and values; and the output's gradient.
        Some(Self { forward: fitting(3)?, backward: fitting(4)? })
    }

    /// The attended values, and the logarithm of each row's sum, `[heads, tokens]`.
    pub(super) fn forward(
        &self,
        qkv: CubeTensor,
        bounds: [CubeTensor; 2],
        shape: &AttentionShape,
    ) -> (CubeTensor, CubeTensor) {
        let form = self.forward;
        let output = empty(&qkv, [shape.tokens(), shape.heads * shape.head_size], qkv.dtype);
        let log_sums = empty_f32(&qkv, [shape.heads, shape.tokens()]);
        let [starts, ends] = bounds;
        forward::forward_kernel::launch(
            &qkv.client.clone(),
            cubes(shape, form),
            CubeDim::new_1d(form.units() as u32),
            form.vector,
            qkv.clone().into_buffer_arg(),
            starts.into_buffer_arg(),
            ends.into_buffer_arg(),
            output.clone().into_buffer_arg(),
            log_sums.clone().into_buffer_arg(),
            shape.draws(),
            batch(shape, form),
            form,
            elem(qkv.dtype),
        );
        (output, log_sums)
    }

    /// The gradient of `qkv`, from `qkv`, the output and the output's gradient.
    pub(super) fn backward(
        &self,
        [qkv, output, gradient]: [CubeTensor; 3],
        log_sums: CubeTensor,
        bounds: [CubeTensor; 2],
        shape: &AttentionShape,
    ) -> CubeTensor {
        let form = self.backward;
        let of_qkv = empty(&qkv, qkv.meta.shape().to_vec(), qkv.dtype);
        let deltas = empty_f32(&qkv, [shape.heads, shape.tokens()]);
        let [starts, ends] = bounds;
        let client = qkv.client.clone();
        let dim = CubeDim::new_1d(form.units() as u32);
        backward::queries_kernel::launch(
            &client,
            cubes(shape, form),
            dim,
            form.vector,
            qkv.clone().into_buffer_arg(),
            output.into_buffer_arg(),
            gradient.clone().into_buffer_arg(),
            starts.clone().into_buffer_arg(),
            ends.clone().into_buffer_arg(),
            log_sums.clone().into_buffer_arg(),
            of_qkv.clone().into_buffer_arg(),
            deltas.clone().into_buffer_arg(),
            shape.draws(),
            batch(shape, form),
            form,
            elem(qkv.dtype),
        );
        backward::keys_kernel::launch(
            &client,
            cubes(shape, form),
            dim,
            form.vector,
            qkv.clone().into_buffer_arg(),
            gradient.into_buffer_arg(),
            starts.into_buffer_arg(),
            ends.into_buffer_arg(),
            log_sums.into_buffer_arg(),
            deltas.into_buffer_arg(),
            of_qkv.clone().into_buffer_arg(),
            shape.draws(),
            batch(shape, form),
            form,
            elem(qkv.dtype),
        );
        of_qkv
    }
}

fn blocks(shape: &AttentionShape, form: Form) -> usize {
    shape.bins * shape.bin_length.div_ceil(form.tile)
}

/// One cube a block and head; those of one block side by side, as they read the same rows.
fn cubes(shape: &AttentionShape, form: Form) -> CubeCount {
    let blocks = blocks(shape, form);
    let across = blocks.clamp(1, MOST_BLOCKS);
    CubeCount::Static(shape.heads as u32, across as u32, blocks.div_ceil(across) as u32)
}

fn batch(shape: &AttentionShape, form: Form) -> BatchLaunch {
    BatchLaunch::new(
        blocks(shape, form),
        shape.tokens(),
        shape.bin_length,
        shape.heads,
        shape.scale(),
    )
}
