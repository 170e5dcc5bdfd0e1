//! Products of tiles in shared memory, their sums in f32: by tensor cores, or by each unit's own
//! multiply-adds.

use cubecl::cmma::{self, Matrix, MatrixIdent, MatrixLayout};
use cubecl::prelude::*;

use super::Form;

/// Rows, columns and depth of one product of the tensor cores.
pub(super) const FRAGMENT: usize = 16;
/// Units of a plane, which computes 16 rows by the tensor cores.
pub(super) const PLANE: usize = 32;

/// What computes products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Products {
    /// Each plane's tensor cores: 16 rows of the tile a plane.
    TensorCores,
    /// Each unit's multiply-adds: a square of rows and columns a unit.
    MultiplyAdds,
}

/// The sums of a product that this unit, or its plane, has.
#[derive(CubeType)]
pub(super) struct Sums {
    /// 16 rows by 16 columns each, left to right; none without tensor cores.
    fragments: Sequence<Matrix<f32>>,
    /// Row by row; not used with tensor cores.
    values: Array<f32>,
}

/// Sums of nothing for a tile of `columns`.
#[cube]
pub(super) fn no_sums(#[comptime] columns: usize, #[comptime] form: Form) -> Sums {
    let mut fragments = Sequence::<Matrix<f32>>::new();
    let mut values = Array::<f32>::new(comptime!(form.sums_each(columns)));
    if comptime!(form.products == Products::TensorCores) {
        #[unroll]
        for _ in 0..comptime!(columns / FRAGMENT) {
            fragments.push(Matrix::<f32>::from_value(
                MatrixIdent::Accumulator,
                FRAGMENT,
                FRAGMENT,
                FRAGMENT,
                MatrixLayout::Undefined,
                0.0f32,
            ));
        }
    } else {
        #[unroll]
        for at in 0..comptime!(form.sums_each(columns)) {
            values[at] = 0.0f32;
        }
    }
    Sums { fragments, values }
}

/// `left · rightᵀ`, `[tile, tile]`: both `[tile, head_size]`.
#[cube]
pub(super) fn rows_by_rows<E: Float, N: Size>(
    left: &[Vector<E, N>],
    right: &[Vector<E, N>],
    #[comptime] form: Form,
) -> Sums {
    let mut sums = no_sums(comptime!(form.tile), form);
    let stride = comptime!(form.row_stride());
    if comptime!(form.products == Products::TensorCores) {
        let first = UNIT_POS as usize / PLANE * comptime!(FRAGMENT * stride);
        for depth in 0..comptime!(form.head_size / FRAGMENT) {
            let at = depth * comptime!(FRAGMENT / form.vector);
            let factor = Matrix::<Vector<E, N>>::from_slice(
                MatrixIdent::A,
                FRAGMENT,
                FRAGMENT,
                FRAGMENT,
                MatrixLayout::RowMajor,
                &left[first + at..left.len()],
                comptime!((stride * form.vector) as u32),
            );
            #[unroll]
            for column in 0..comptime!(form.tile / FRAGMENT) {
                let at = at + column * comptime!(FRAGMENT * stride);
                let other = Matrix::<Vector<E, N>>::from_slice(
                    MatrixIdent::B,
                    FRAGMENT,
                    FRAGMENT,
                    FRAGMENT,
                    MatrixLayout::ColMajor,
                    &right[at..right.len()],
                    comptime!((stride * form.vector) as u32),
                );
                let sum = sums.fragments.index(column);
                cmma::execute(&factor, &other, sum, sum);
            }
        }
    } else {
        let side = comptime!(form.side());
        let edge = comptime!(form.edge());
        let row = UNIT_POS as usize / side * edge;
        let column = UNIT_POS as usize % side;
        let mut others = Array::<Vector<f32, N>>::new(edge);
        for depth in 0..comptime!(form.head_size / form.vector) {
            #[unroll]
            for c in 0..edge {
                others[c] = Vector::cast_from(right[(column + c * side) * stride + depth]);
            }
            #[unroll]
            for r in 0..edge {
                let factor = Vector::<f32, N>::cast_from(left[(row + r) * stride + depth]);
                #[unroll]
                for c in 0..edge {
                    #[unroll]
                    for lane in 0..comptime!(form.vector) {
                        sums.values[r * edge + c] += factor.extract(lane) * others[c].extract(lane);
                    }
                }
            }
        }
    }
    sums
}

/// Adds `weights · rows`, `[tile, head_size]`, to `sums`: `weights` are `[tile, tile]`.
#[cube]
pub(super) fn add_weighted_rows<E: Float, N: Size>(
    sums: &mut Sums,
    weights: &[E],
    rows: &[Vector<E, N>],
    #[comptime] form: Form,
) {
    let stride = comptime!(form.row_stride());
    let weight_stride = comptime!(form.weight_stride());
    if comptime!(form.products == Products::TensorCores) {
        let first = UNIT_POS as usize / PLANE * comptime!(FRAGMENT * weight_stride);
        for depth in 0..comptime!(form.tile / FRAGMENT) {
            let factor = Matrix::<E>::from_slice(
                MatrixIdent::A,
                FRAGMENT,
                FRAGMENT,
                FRAGMENT,
                MatrixLayout::RowMajor,
                &weights[first + depth * FRAGMENT..weights.len()],
                comptime!(weight_stride as u32),
            );
            #[unroll]
            for column in 0..comptime!(form.head_size / FRAGMENT) {
                let at = depth * comptime!(FRAGMENT * stride)
                    + column * comptime!(FRAGMENT / form.vector);
                let other = Matrix::<Vector<E, N>>::from_slice(
                    MatrixIdent::B,
                    FRAGMENT,
                    FRAGMENT,
                    FRAGMENT,
                    MatrixLayout::RowMajor,
                    &rows[at..rows.len()],
                    comptime!((stride * form.vector) as u32),
                );
                let sum = sums.fragments.index(column);
                cmma::execute(&factor, &other, sum, sum);
            }
        }
    } else {
        let side = comptime!(form.side());
        let edge = comptime!(form.edge());
        let across = comptime!(form.head_size / side);
        let row = UNIT_POS as usize / side * edge;
        let column = UNIT_POS as usize % side;
        let mut others = Array::<Vector<f32, N>>::new(comptime!(across / form.vector));
        for depth in 0..comptime!(form.tile) {
            #[unroll]
            for c in 0..comptime!(across / form.vector) {
                others[c] = Vector::cast_from(rows[depth * stride + column + c * side]);
            }
            #[unroll]
            for r in 0..edge {
                let factor = f32::cast_from(weights[(row + r) * weight_stride + depth]);
                #[unroll]
                for c in 0..comptime!(across / form.vector) {
                    #[unroll]
                    for lane in 0..comptime!(form.vector) {
                        let at = comptime!(r * across + c * form.vector + lane);
                        sums.values[at] += factor * others[c].extract(lane);
                    }
                }
            }
        }
    }
}

/// Writes the `[tile, columns]` that all units have sums of; `group` columns of a unit lie side by
/// side: 1 for [`rows_by_rows`], a vector for [`add_weighted_rows`].
#[cube]
pub(super) fn store_sums(
    sums: &Sums,
    to: &mut [f32],
    #[comptime] columns: usize,
    #[comptime] group: usize,
    #[comptime] form: Form,
) {
    let stride = comptime!(form.sum_stride());
    if comptime!(form.products == Products::TensorCores) {
        let first = UNIT_POS as usize / PLANE * comptime!(FRAGMENT * stride);
        let end = to.len();
        #[unroll]
        for column in 0..comptime!(columns / FRAGMENT) {
            cmma::store(
                &mut to[first + comptime!(column * FRAGMENT)..end],
                sums.fragments.index(column),
                comptime!(stride as u32),
                MatrixLayout::RowMajor,
            );
        }
    } else {
        let side = comptime!(form.side());
        let edge = comptime!(form.edge());
        let across = comptime!(columns / side);
        let row = UNIT_POS as usize / side * edge;
        let column = UNIT_POS as usize % side * group;
        #[unroll]
        for r in 0..edge {
            #[unroll]
            for c in 0..across {
                let at = column + comptime!(c / group * side * group + c % group);
                to[(row + r) * stride + at] = sums.values[comptime!(r * across + c)];
            }
        }
    }
}
