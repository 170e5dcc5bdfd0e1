//! The decoder's bias under a row map.
//!
//! It has one element a token, and says how likely the token is before anything is read. It must
//! follow its token: left by position, it would favour unrelated ones.

use serde::Serialize;

use crate::{HostTensor, Row, RowMap};

/// The fewest copied rows that a fit may rest on.
const MIN_FIT_ROWS: usize = 100;

/// How the bias of a token follows its frequency: `slope · ln p + intercept`, by least squares over
/// the copied rows whose token occurs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BiasFit {
    /// The change of the bias for a change of `ln p` by one.
    pub slope: f64,
    /// The bias at `ln p = 0`.
    pub intercept: f64,
    /// Pearson's correlation of the two over the rows.
    pub correlation: f64,
    /// The rows it rests on.
    pub rows: usize,
}

/// The bias of the new rows. A copied row keeps its own. The others follow the fit where the map has
/// counts and enough copied rows; else a mixed row takes the weighted sum of the old biases, and any
/// other their mean.
pub(crate) fn move_bias(map: &RowMap, old: &HostTensor) -> (HostTensor, Option<BiasFit>) {
    let mean = old.data.iter().map(|&bias| f64::from(bias)).sum::<f64>() / old.data.len() as f64;
    let log_probs = map.counts.as_deref().map(log_probs).unwrap_or_default();
    let fit = map.counts.as_deref().and_then(|counts| fit(map, counts, &log_probs, old));
    let value = |(index, row): (usize, &Row)| match (row, fit) {
        (Row::Copy(source), _) => old.data[*source as usize],
        (_, Some(fit)) => (fit.slope * log_probs[index] + fit.intercept) as f32,
        (Row::Mix(sources), None) => sources
            .iter()
            .map(|&(source, weight)| f64::from(weight) * f64::from(old.data[source as usize]))
            .sum::<f64>() as f32,
        (Row::Mean | Row::Draw | Row::Random, None) => mean as f32,
    };
    let data: Vec<f32> = map.rows.iter().enumerate().map(value).collect();
    (HostTensor::new([data.len()], data), fit)
}

/// `ln p` of each row; half an occurrence more, so that a token that never occurs has one.
fn log_probs(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>() as f64 + counts.len() as f64 / 2.0;
    counts.iter().map(|&count| ((count as f64 + 0.5) / total).ln()).collect()
}

fn fit(map: &RowMap, counts: &[u64], log_probs: &[f64], old: &HostTensor) -> Option<BiasFit> {
    let pairs: Vec<(f64, f64)> = map
        .rows
        .iter()
        .zip(counts)
        .zip(log_probs)
        .filter_map(|((row, &count), &log_prob)| match row {
            Row::Copy(source) if count > 0 => {
                Some((log_prob, f64::from(old.data[*source as usize])))
            }
            _ => None,
        })
        .collect();
    let rows = pairs.len();
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / rows as f64;
    let (mean_x, mean_y) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in &pairs {
        xx += (x - mean_x) * (x - mean_x);
        xy += (x - mean_x) * (y - mean_y);
        yy += (y - mean_y) * (y - mean_y);
    }
    if rows < MIN_FIT_ROWS || xx == 0.0 {
        return None;
    }
    let slope = xy / xx;
    let correlation = if yy == 0.0 { 0.0 } else { xy / (xx * yy).sqrt() };
    Some(BiasFit { slope, intercept: mean_y - slope * mean_x, correlation, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 old rows whose bias is `0.5 · ln p + 3`; row 200 is new and occurs as often as row 40.
    fn exact() -> (RowMap, HostTensor) {
        let mut rows: Vec<Row> = (0..200).map(Row::Copy).collect();
        rows.push(Row::Mix(vec![(0, 0.5), (199, 0.5)]));
        let mut counts: Vec<u64> = (0..200).map(|row| 10 + row * row).collect();
        counts.push(counts[40]);
        let bias = log_probs(&counts)[..200].iter().map(|p| (0.5 * p + 3.0) as f32).collect();
        let map = RowMap { old_rows: 200, rows, seed: 0, counts: Some(counts) };
        (map, HostTensor::new([200], bias))
    }

    #[test]
    fn a_new_token_has_the_bias_of_old_ones_as_frequent() {
        let (map, old) = exact();
        let (new, fit) = move_bias(&map, &old);
        let fit = fit.unwrap();
        // The old biases are `f32`: 7 digits.
        assert!((fit.slope - 0.5).abs() < 1e-6 && (fit.intercept - 3.0).abs() < 1e-5, "{fit:?}");
        assert!(fit.correlation > 0.999_999 && fit.rows == 200, "{fit:?}");
        assert!((new.data[200] - old.data[40]).abs() < 1e-5);
        assert_eq!(new.data[..200], old.data[..]);
    }

    #[test]
    fn without_counts_or_with_few_copied_rows_biases_are_mixed() {
        let (map, old) = exact();
        let mixed = (0.5 * f64::from(old.data[0]) + 0.5 * f64::from(old.data[199])) as f32;
        let (new, fit) = move_bias(&RowMap { counts: None, ..map.clone() }, &old);
        assert_eq!((new.data[200], fit), (mixed, None));
        let few = RowMap {
            rows: map.rows[150..].to_vec(),
            counts: map.counts.as_ref().map(|counts| counts[150..].to_vec()),
            ..map
        };
        assert_eq!(move_bias(&few, &old).1, None);
    }
}
