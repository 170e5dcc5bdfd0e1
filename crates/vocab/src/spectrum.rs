//! The leading eigenvectors of a sparse symmetric matrix.
//!
//! Every sum has a fixed order, so that the result is the same for any number of threads.
//!
//! Source: Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithms 4.4 and
//! 5.3: a random subspace, made sharper by a few multiplications, in which the matrix is solved whole.

use bimed_checkpoint::standard_normal;
use rayon::prelude::*;

/// Columns beside those that are asked for, which make the others more exact.
const OVERSAMPLING: usize = 16;
/// Multiplications after the first.
const POWER_ITERATIONS: usize = 3;
/// Rows whose products are summed together; the partial sums are added in their order.
const BLOCK_ROWS: usize = 512;
/// Directions whose squared length is less than this share of the longest one's are noise of `f32`.
const NEGLIGIBLE: f64 = 1e-10;
/// Sweeps of Jacobi's method at most; it converges quadratically, in about ten.
const MAX_SWEEPS: usize = 40;

/// A sparse symmetric matrix, row by row.
#[derive(Debug, Default)]
pub(crate) struct SparseMatrix {
    /// Of each row: columns, ascending, and values.
    pub(crate) rows: Vec<(Vec<u32>, Vec<f32>)>,
}

/// A dense matrix, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dense {
    pub(crate) width: usize,
    pub(crate) data: Vec<f32>,
}

/// A small square matrix in `f64`, row-major.
#[derive(Debug, Clone)]
struct Square {
    size: usize,
    data: Vec<f64>,
}

impl SparseMatrix {
    /// The matrix times `dense`.
    fn times(&self, dense: &Dense) -> Dense {
        let width = dense.width;
        let mut data = vec![0.0_f32; self.rows.len() * width];
        data.par_chunks_mut(width).zip(&self.rows).for_each(|(out, (columns, values))| {
            for (&column, &value) in columns.iter().zip(values) {
                let from = &dense.data[column as usize * width..][..width];
                for (sum, &factor) in out.iter_mut().zip(from) {
                    *sum += value * factor;
                }
            }
        });
        Dense { width, data }
    }
}

impl Dense {
    /// `selfᵀ · other`.
    fn transposed_times(&self, other: &Self) -> Square {
        let width = self.width;
        let block = |(left, right): (&[f32], &[f32])| {
            let mut sum = vec![0.0_f64; width * width];
            for (left, right) in left.chunks_exact(width).zip(right.chunks_exact(width)) {
                for (sums, &factor) in sum.chunks_exact_mut(width).zip(left) {
                    for (sum, &value) in sums.iter_mut().zip(right) {
                        *sum += f64::from(factor) * f64::from(value);
                    }
                }
            }
            sum
        };
        let partial: Vec<Vec<f64>> = self
            .data
            .par_chunks(BLOCK_ROWS * width)
            .zip(other.data.par_chunks(BLOCK_ROWS * width))
            .map(block)
            .collect();
        let mut data = vec![0.0; width * width];
        for part in partial {
            data.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        Square { size: width, data }
    }

    /// `self · right`, where `right` is `self.width` × `width`.
    fn times(&self, right: &[f64], width: usize) -> Self {
        let mut data = vec![0.0_f32; self.data.len() / self.width * width];
        data.par_chunks_mut(width).zip(self.data.par_chunks(self.width)).for_each(|(out, row)| {
            let mut sums = vec![0.0_f64; width];
            for (factors, &value) in right.chunks_exact(width).zip(row) {
                for (sum, factor) in sums.iter_mut().zip(factors) {
                    *sum += f64::from(value) * factor;
                }
            }
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum as f32);
        });
        Self { width, data }
    }

    /// Orthonormal columns that span the same space; columns of zeros where it has fewer dimensions.
    fn orthonormal(&self) -> Self {
        let (values, vectors) = self.transposed_times(self).eigen();
        let longest = values.iter().copied().fold(0.0, f64::max);
        let mut scaled = vectors.data;
        for row in scaled.chunks_exact_mut(self.width) {
            for (entry, &value) in row.iter_mut().zip(&values) {
                let is_noise = value <= longest * NEGLIGIBLE;
                *entry = if is_noise { 0.0 } else { *entry / value.sqrt() };
            }
        }
        self.times(&scaled, self.width)
    }
}

impl Square {
    /// Eigenvalues, and eigenvectors as columns, of a symmetric matrix; in no order.
    ///
    /// Source: cyclic Jacobi rotations, Golub and Van Loan, "Matrix Computations", §8.5.
    fn eigen(&self) -> (Vec<f64>, Self) {
        let size = self.size;
        let mut matrix = self.data.clone();
        let mut vectors = vec![0.0; size * size];
        (0..size).for_each(|index| vectors[index * size + index] = 1.0);
        let total: f64 = matrix.iter().map(|value| value * value).sum();
        for _ in 0..MAX_SWEEPS {
            let beside: f64 = (0..size * size)
                .filter(|at| at / size != at % size)
                .map(|at| matrix[at] * matrix[at])
                .sum();
            if beside <= total * 1e-28 {
                break;
            }
            for p in 0..size {
                for q in p + 1..size {
                    rotate(&mut matrix, &mut vectors, size, p, q);
                }
            }
        }
        let values = (0..size).map(|index| matrix[index * size + index]).collect();
        (values, Self { size, data: vectors })
    }
}

/// Turns the plane of the axes `p` and `q` so that the element between them vanishes.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], size: usize, p: usize, q: usize) {
    let between = matrix[p * size + q];
    if between == 0.0 {
        return;
    }
    let theta = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * between);
    let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    let turn = |values: &mut [f64], first: usize, second: usize| {
        let (a, b) = (values[first], values[second]);
        (values[first], values[second]) = (cosine * a - sine * b, sine * a + cosine * b);
    };
    for k in 0..size {
        turn(matrix, k * size + p, k * size + q);
        turn(vectors, k * size + p, k * size + q);
    }
    for k in 0..size {
        turn(matrix, p * size + k, q * size + k);
    }
}

/// One vector a row of `matrix`: the eigenvectors of the `dimensions` eigenvalues of largest
/// magnitude, each times the root of its magnitude, largest first. Columns of zeros where there are
/// fewer.
pub(crate) fn leading_vectors(matrix: &SparseMatrix, dimensions: usize, seed: u64) -> Dense {
    let rows = matrix.rows.len();
    let width = dimensions + OVERSAMPLING;
    let mut data = vec![0.0_f32; rows * width];
    data.par_chunks_mut(width).enumerate().for_each(|(row, values)| {
        for (column, value) in values.iter_mut().enumerate() {
            *value = standard_normal(seed, row as u64, column as u64) as f32;
        }
    });
    let mut basis = matrix.times(&Dense { width, data }).orthonormal();
    for _ in 0..POWER_ITERATIONS {
        basis = matrix.times(&basis).orthonormal();
    }
    let (values, vectors) = basis.transposed_times(&matrix.times(&basis)).symmetric().eigen();
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()).then(a.cmp(&b)));
    let mut scaled = Vec::with_capacity(width * dimensions);
    for row in vectors.data.chunks_exact(width) {
        scaled.extend(order[..dimensions].iter().map(|&k| row[k] * values[k].abs().sqrt()));
    }
    basis.times(&scaled, dimensions)
}

impl Square {
    /// The mean of the matrix and its transpose.
    fn symmetric(mut self) -> Self {
        for row in 0..self.size {
            for column in row + 1..self.size {
                let (here, there) = (row * self.size + column, column * self.size + row);
                let mean = (self.data[here] + self.data[there]) / 2.0;
                (self.data[here], self.data[there]) = (mean, mean);
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two blocks: rows 0 to 29 know each other, rows 30 to 49 each other, and weakly all.
    fn blocks() -> SparseMatrix {
        let value = |row: usize, column: usize| match (row < 30) == (column < 30) {
            true => 2.0 + ((row * column) % 7) as f32 / 10.0,
            false => 0.25,
        };
        let row = |row| ((0..50).collect(), (0..50).map(|column| value(row, column)).collect());
        SparseMatrix { rows: (0..50).map(row).collect() }
    }

    #[test]
    fn all_dimensions_give_the_matrix_back_up_to_signs() {
        let matrix = blocks();
        let values = |row: usize, column: usize| f64::from(matrix.rows[row].1[column]);
        let whole =
            Square { size: 50, data: (0..2500).map(|at| values(at / 50, at % 50)).collect() };
        let (values_of, vectors) = whole.eigen();
        for row in 0..50 {
            for column in 0..50 {
                let sum: f64 = (0..50)
                    .map(|k| {
                        values_of[k] * vectors.data[row * 50 + k] * vectors.data[column * 50 + k]
                    })
                    .sum();
                // `f64` through some ten sweeps.
                assert!((sum - values(row, column)).abs() < 1e-9, "{row} {column}");
            }
        }
    }

    #[test]
    fn the_leading_vectors_are_those_of_the_whole_matrix() {
        let matrix = blocks();
        let vectors = leading_vectors(&matrix, 2, 7);
        let dot = |a: usize, b: usize| -> f32 {
            let row = |row: usize| &vectors.data[row * 2..row * 2 + 2];
            row(a).iter().zip(row(b)).map(|(x, y)| x * y).sum()
        };
        let cosine = |a: usize, b: usize| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        assert!(cosine(0, 29) > 0.95 && cosine(31, 49) > 0.95, "blocks hold together");
        assert!(cosine(0, 40) < 0.4, "blocks are apart");
        // The two leading terms nearly are the matrix: the rest is the pattern of sevenths.
        assert!((dot(3, 4) - matrix.rows[3].1[4]).abs() < 0.5);
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits_and_another_seed_about_the_same() {
        let on = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| leading_vectors(&blocks(), 4, seed))
        };
        assert_eq!(on(1, 7), on(8, 7));
        assert_ne!(on(1, 7), on(1, 8));
    }

    #[test]
    fn a_matrix_of_low_rank_has_columns_of_zeros_and_no_nan() {
        let row = (vec![0, 1, 2], vec![1.0, 1.0, 1.0]);
        let vectors = leading_vectors(&SparseMatrix { rows: vec![row; 3] }, 2, 1);
        for row in vectors.data.chunks_exact(2) {
            // The only eigenvalue is 3, its vector 1/√3 everywhere: √3/√3 = 1.
            assert!((row[0].abs() - 1.0).abs() < 1e-4 && row[1].abs() < 1e-3, "{row:?}");
        }
    }
}
