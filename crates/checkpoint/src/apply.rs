//! Moving a model to another vocabulary.
//!
//! Owns what happens to the rows of the word embeddings; the decoder's bias goes with them.
//!
//! Invariant: a copied row is bit-identical, the result is finite, and it is the same for any number
//! of threads.

use rayon::prelude::*;
use serde::Serialize;

use crate::bias::{BiasFit, move_bias};
use crate::draw::standard_normal;
use crate::names::{DECODER_BIAS, WORD_EMBEDDINGS};
use crate::{Error, HostTensor, Result, Row, RowMap, Weights};

/// How far the weights of a mix may be from summing to one; `f32` weights round.
const SUM_TOLERANCE: f64 = 1e-3;

/// The deviation of [`Row::Random`].
const RANDOM_DEVIATION: f64 = 0.02;

/// What a row map did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RowMapSummary {
    /// Rows before.
    pub old_rows: usize,
    /// Rows after.
    pub new_rows: usize,
    /// Rows copied bit for bit.
    pub copied: usize,
    /// Rows mixed of old ones.
    pub mixed: usize,
    /// Rows that are the mean of all old ones.
    pub mean: usize,
    /// Rows drawn, from the old rows' distribution or around zero.
    pub drawn: usize,
    /// Whether there was a decoder's bias to move; a base without the head has none.
    pub bias_moved: bool,
    /// How the bias of the rows that are not copied was fitted, where it was.
    pub bias_fit: Option<BiasFit>,
}

/// Rewrites the rows of the word embeddings, and the decoder's bias with them, by `map`.
///
/// A mixed row is the weighted sum in `f64`, in the order of the map. A drawn row is N(μ, σ²) of the
/// old rows, column by column. The bias of a copied row is its own; of any other it is fitted on the
/// copied rows where the map has counts, and else mixed as the row is. A base without a
/// masked-word head has no bias, and is given none.
///
/// The config's `vocab_size` and `pad_token_id` are the caller's to change.
///
/// # Errors
/// [`Error::RowMap`] where the map does not fit the weights, or the weights hold numbers that are not
/// finite; they are then untouched.
pub fn apply_row_map(map: &RowMap, weights: &mut Weights) -> Result<RowMapSummary> {
    let embeddings = weights.get(WORD_EMBEDDINGS).filter(|tensor| tensor.shape.len() == 2);
    let Some(embeddings) = embeddings else {
        let reason = format!("found no `{WORD_EMBEDDINGS}` of two axes");
        return Err(Error::RowMap { reason });
    };
    let bias = weights.get(DECODER_BIAS);
    check_tensor(map, WORD_EMBEDDINGS, embeddings)?;
    bias.map(|bias| check_tensor(map, DECODER_BIAS, bias)).transpose()?;
    check_rows(map)?;

    let moved = move_rows(map, embeddings);
    let (moved_bias, bias_fit) = match bias.map(|bias| move_bias(map, bias)) {
        Some((bias, fit)) => (Some(bias), fit),
        None => (None, None),
    };
    let count = |kind: fn(&Row) -> bool| map.rows.iter().filter(|row| kind(row)).count();
    let summary = RowMapSummary {
        old_rows: map.old_rows,
        new_rows: map.rows.len(),
        copied: count(|row| matches!(row, Row::Copy(_))),
        mixed: count(|row| matches!(row, Row::Mix(_))),
        mean: count(|row| matches!(row, Row::Mean)),
        drawn: count(|row| matches!(row, Row::Draw | Row::Random)),
        bias_moved: moved_bias.is_some(),
        bias_fit,
    };
    weights.insert(WORD_EMBEDDINGS, moved);
    if let Some(bias) = moved_bias {
        weights.insert(DECODER_BIAS, bias);
    }
    Ok(summary)
}

/// A tensor with one row a token must have the map's rows, and only finite numbers.
fn check_tensor(map: &RowMap, name: &str, tensor: &HostTensor) -> Result<()> {
    let (shape, rows) = (&tensor.shape, map.old_rows);
    if shape.first() != Some(&rows) {
        let reason = format!("`{name}` is {shape:?}, expected {rows} rows");
        return Err(Error::RowMap { reason });
    }
    if let Some(at) = tensor.data.iter().position(|value| !value.is_finite()) {
        let (row, value) = (at / (tensor.data.len() / rows).max(1), tensor.data[at]);
        let reason = format!("row {row} of `{name}` holds `{value}`, expected finite numbers");
        return Err(Error::RowMap { reason });
    }
    Ok(())
}

fn check_rows(map: &RowMap) -> Result<()> {
    if map.rows.is_empty() {
        return Err(Error::RowMap { reason: "found no rows, expected at least one".into() });
    }
    if let Some(counts) = map.counts.as_ref().filter(|counts| counts.len() != map.rows.len()) {
        let reason = format!("has {} counts, expected {}", counts.len(), map.rows.len());
        return Err(Error::RowMap { reason });
    }
    for (index, row) in map.rows.iter().enumerate() {
        let wrong = |what: String| Err(Error::RowMap { reason: format!("row {index} {what}") });
        let sources: &[(u32, f32)] = match row {
            Row::Copy(source) => &[(*source, 1.0)],
            Row::Mix(sources) => sources,
            Row::Mean | Row::Draw | Row::Random => continue,
        };
        if let Some((source, _)) = sources.iter().find(|source| source.0 as usize >= map.old_rows) {
            return wrong(format!("takes old row `{source}`, expected less than {}", map.old_rows));
        }
        let sum: f64 = sources.iter().map(|source| f64::from(source.1)).sum();
        if sum.is_nan() || (sum - 1.0).abs() > SUM_TOLERANCE {
            return wrong(format!("has weights that sum to `{sum}`, expected 1"));
        }
    }
    Ok(())
}

fn move_rows(map: &RowMap, old: &HostTensor) -> HostTensor {
    let width = old.shape[1];
    let needs_columns = map.rows.iter().any(|row| matches!(row, Row::Mean | Row::Draw));
    let columns = if needs_columns { column_statistics(old) } else { Vec::new() };
    let mut data = vec![0.0_f32; map.rows.len() * width];
    let fill = |(index, (new, row)): (usize, (&mut [f32], &Row))| match row {
        Row::Copy(source) => new.copy_from_slice(old.row(*source as usize)),
        Row::Mix(sources) => mix(new, sources, old),
        Row::Mean => {
            for (value, (mean, _)) in new.iter_mut().zip(&columns) {
                *value = *mean as f32;
            }
        }
        Row::Draw => {
            for (column, (value, (mean, deviation))) in new.iter_mut().zip(&columns).enumerate() {
                let normal = standard_normal(map.seed, index as u64, column as u64);
                *value = (mean + deviation * normal) as f32;
            }
        }
        Row::Random => {
            for (column, value) in new.iter_mut().enumerate() {
                let normal = standard_normal(map.seed, index as u64, column as u64);
                *value = (RANDOM_DEVIATION * normal) as f32;
            }
        }
    };
    if width > 0 {
        data.par_chunks_mut(width).zip(&map.rows).enumerate().for_each(fill);
    }
    HostTensor::new([map.rows.len(), width], data)
}

fn mix(new: &mut [f32], sources: &[(u32, f32)], old: &HostTensor) {
    for (column, value) in new.iter_mut().enumerate() {
        let sum: f64 = sources
            .iter()
            .map(|&(source, weight)| {
                f64::from(weight) * f64::from(old.row(source as usize)[column])
            })
            .sum();
        *value = sum as f32;
    }
}

/// The mean and standard deviation of each column, summed row by row in `f64`.
fn column_statistics(old: &HostTensor) -> Vec<(f64, f64)> {
    let (rows, width) = (old.shape[0], old.shape[1]);
    let mut means = vec![0.0_f64; width];
    for row in old.data.chunks_exact(width.max(1)) {
        for (mean, &value) in means.iter_mut().zip(row) {
            *mean += f64::from(value);
        }
    }
    means.iter_mut().for_each(|mean| *mean /= rows as f64);
    let mut variances = vec![0.0_f64; width];
    for row in old.data.chunks_exact(width.max(1)) {
        for ((variance, mean), &value) in variances.iter_mut().zip(&means).zip(row) {
            *variance += (f64::from(value) - mean).powi(2);
        }
    }
    let deviations = variances.iter().map(|variance| (variance / rows as f64).sqrt());
    means.iter().copied().zip(deviations).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(rows: usize, width: usize) -> Weights {
        let mut weights = Weights::default();
        let values = (0..rows * width).map(|i| standard_normal(7, i as u64, 0) as f32 - 0.1);
        weights.insert(WORD_EMBEDDINGS, HostTensor::new([rows, width], values.collect()));
        let biases = (0..rows).map(|i| 0.5 * i as f32 - 1.0);
        weights.insert(DECODER_BIAS, HostTensor::new([rows], biases.collect()));
        weights
    }

    fn apply(rows: Vec<Row>, seed: u64, to: &Weights) -> Weights {
        let old_rows = to.get(WORD_EMBEDDINGS).unwrap().shape[0];
        let mut weights = to.clone();
        apply_row_map(&RowMap { old_rows, rows, seed, counts: None }, &mut weights).unwrap();
        weights
    }

    #[test]
    fn the_same_vocabulary_changes_no_bit() {
        let mut old = weights(5, 3);
        old.tensors.get_mut(WORD_EMBEDDINGS).unwrap().data[0] = -0.0;
        let mut new = old.clone();
        let summary = apply_row_map(&RowMap::identity(5), &mut new).unwrap();
        let bits = |weights: &Weights| -> Vec<u32> {
            weights.tensors.values().flat_map(|t| t.data.iter().map(|v| v.to_bits())).collect()
        };
        assert_eq!(bits(&new), bits(&old));
        assert_eq!((summary.copied, summary.bias_moved), (5, true));
    }

    #[test]
    fn a_permuted_vocabulary_permutes_rows_and_biases() {
        let old = weights(4, 3);
        let order = [2, 0, 3, 1];
        let new = apply(order.map(Row::Copy).to_vec(), 0, &old);
        for (index, &source) in order.iter().enumerate() {
            for name in [WORD_EMBEDDINGS, DECODER_BIAS] {
                let (new, old) = (new.get(name).unwrap(), old.get(name).unwrap());
                assert_eq!(new.row(index), old.row(source as usize), "{name}");
            }
        }
    }

    #[test]
    fn a_mix_is_the_weighted_sum_and_a_drawn_bias_the_mean() {
        let old = weights(4, 3);
        let map = vec![Row::Mix(vec![(1, 0.25), (3, 0.75)]), Row::Draw, Row::Mean];
        let new = apply(map, 3, &old);
        let rows = old.get(WORD_EMBEDDINGS).unwrap();
        for column in 0..3 {
            let expected =
                0.25 * f64::from(rows.row(1)[column]) + 0.75 * f64::from(rows.row(3)[column]);
            assert_eq!(new.get(WORD_EMBEDDINGS).unwrap().row(0)[column], expected as f32);
            let mean = (0..4).map(|row| f64::from(rows.row(row)[column])).sum::<f64>() / 4.0;
            assert_eq!(new.get(WORD_EMBEDDINGS).unwrap().row(2)[column], mean as f32);
        }
        // Biases -1, -0.5, 0, 0.5: 0.25 × -0.5 + 0.75 × 0.5, and their mean.
        assert_eq!(new.get(DECODER_BIAS).unwrap().data, [0.25, -0.25, -0.25]);
    }

    #[test]
    fn drawn_rows_have_the_old_columns_mean_and_deviation() {
        let mut old = weights(2, 2);
        // Column 0: 3 ± 2; column 1: exactly 0.5.
        old.insert(WORD_EMBEDDINGS, HostTensor::new([2, 2], vec![1.0, 0.5, 5.0, 0.5]));
        let new = apply(vec![Row::Draw; 20_000], 11, &old);
        let columns = column_statistics(new.get(WORD_EMBEDDINGS).unwrap());
        // The standard error of the mean is 2 / √20,000 = 0.014, of the deviation 0.010.
        assert!((columns[0].0 - 3.0).abs() < 0.06, "{columns:?}");
        assert!((columns[0].1 - 2.0).abs() < 0.04, "{columns:?}");
        assert_eq!(columns[1], (0.5, 0.0));
        let random = apply(vec![Row::Random; 20_000], 11, &old);
        for (mean, deviation) in column_statistics(random.get(WORD_EMBEDDINGS).unwrap()) {
            assert!(mean.abs() < 6e-4 && (deviation - 0.02).abs() < 4e-4, "{mean} {deviation}");
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused_with_their_row() {
        for (name, at) in [(WORD_EMBEDDINGS, 7), (DECODER_BIAS, 2)] {
            let mut old = weights(4, 3);
            old.tensors.get_mut(name).unwrap().data[at] = f32::NAN;
            let error = apply_row_map(&RowMap::identity(4), &mut old).unwrap_err().to_string();
            assert!(error.contains(&format!("row 2 of `{name}` holds `NaN`")), "{error}");
        }
    }

    #[test]
    fn drawn_rows_depend_on_seed_and_place_but_not_on_threads() {
        let old = weights(6, 16);
        let rows = || vec![Row::Draw; 300];
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| apply(rows(), 11, &old))
        };
        let one = on(1);
        assert_eq!(one, on(4));
        assert_ne!(one, apply(rows(), 12, &old));
        let tensor = one.get(WORD_EMBEDDINGS).unwrap();
        assert_ne!(tensor.row(0), tensor.row(1));
        // A row does not depend on how many others are drawn.
        let alone = apply(vec![Row::Draw], 11, &old);
        assert_eq!(alone.get(WORD_EMBEDDINGS).unwrap().row(0), tensor.row(0));
    }

    #[test]
    fn a_map_that_does_not_fit_is_refused_and_nothing_is_changed() {
        for (old_rows, row, expected) in [
            (
                4,
                Row::Copy(0),
                "the row map does not fit: `bert.embeddings.word_embeddings.weight` is [3, 2], expected 4 rows",
            ),
            (
                3,
                Row::Copy(3),
                "the row map does not fit: row 0 takes old row `3`, expected less than 3",
            ),
            (
                3,
                Row::Mix(vec![(0, 0.5), (1, 0.25)]),
                "the row map does not fit: row 0 has weights that sum to `0.75`, expected 1",
            ),
            (
                3,
                Row::Mix(vec![(0, f32::NAN)]),
                "the row map does not fit: row 0 has weights that sum to `NaN`, expected 1",
            ),
        ] {
            let old = weights(3, 2);
            let mut new = old.clone();
            let map = RowMap { old_rows, rows: vec![row], seed: 0, counts: None };
            assert_eq!(apply_row_map(&map, &mut new).unwrap_err().to_string(), expected);
            assert_eq!(new, old);
        }
    }
}
