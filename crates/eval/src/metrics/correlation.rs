//! Agreement of two series of numbers.

/// Pearson's product-moment correlation, in −1 to 1.
///
/// `None` with fewer than two pairs, where a series is constant, or where a value is not finite.
///
/// # Panics
/// When the lengths differ.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    assert_eq!(x.len(), y.len(), "both series hold the same items");
    let (x, y) = (centred(x)?, centred(y)?);
    let dot: f64 = x.iter().zip(&y).map(|(a, b)| a * b).sum();
    Some(dot.clamp(-1.0, 1.0))
}

/// Spearman's rank correlation: Pearson's of the average ranks.
///
/// `None` as [`pearson`].
///
/// # Panics
/// When the lengths differ.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    assert_eq!(x.len(), y.len(), "both series hold the same items");
    if x.iter().chain(y).any(|value| !value.is_finite()) {
        return None;
    }
    pearson(&average_ranks(x), &average_ranks(y))
}

/// The ranks of `values` from 1, equal values sharing the mean of their ranks.
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let order = ascending(values);
    let mut ranks = vec![0.0; values.len()];
    for_each_tie(values, &order, |start, end| {
        let mean = (start + end + 1) as f64 / 2.0;
        for &item in &order[start..end] {
            ranks[item] = mean;
        }
    });
    ranks
}

/// The root of the mean squared difference; `None` without items or with a value not finite.
///
/// # Panics
/// When the lengths differ.
pub fn rmse(x: &[f64], y: &[f64]) -> Option<f64> {
    assert_eq!(x.len(), y.len(), "both series hold the same items");
    let sum: f64 = x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum();
    (!x.is_empty() && sum.is_finite()).then(|| (sum / x.len() as f64).sqrt())
}

/// The cosine of the angle between two vectors, summed in f64.
///
/// `None` where a vector is zero or a value is not finite.
///
/// # Panics
/// When the lengths differ.
pub fn cosine(x: &[f32], y: &[f32]) -> Option<f64> {
    assert_eq!(x.len(), y.len(), "both vectors have the same length");
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let norms = dot(x, x).sqrt() * dot(y, y).sqrt();
    let cosine = dot(x, y) / norms;
    cosine.is_finite().then(|| cosine.clamp(-1.0, 1.0))
}

/// `values` less their mean, at length 1. Scaled by the largest first, so that nothing overflows.
fn centred(values: &[f64]) -> Option<Vec<f64>> {
    let first = *values.first()?;
    if values.iter().any(|value| !value.is_finite()) || values.iter().all(|&v| v == first) {
        return None;
    }
    let count = values.len() as f64;
    let rough = values.iter().map(|value| value / count).sum::<f64>();
    // The mean of the differences from a rough mean takes the rounding of the rough one out.
    let correction = values.iter().map(|value| (value - rough) / count).sum::<f64>();
    let mut centred: Vec<f64> = values.iter().map(|value| (value - rough) - correction).collect();
    let largest = centred.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    centred.iter_mut().for_each(|value| *value /= largest);
    let norm = centred.iter().map(|value| value * value).sum::<f64>().sqrt();
    centred.iter_mut().for_each(|value| *value /= norm);
    norm.is_finite().then_some(centred)
}

/// The items in ascending order of value; equal values in the order of the items.
pub(super) fn ascending(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    order
}

/// Calls `visit(start, end)` for each run of equal values along `order`.
///
/// `0.0` and `-0.0` are equal and neighbours in the order.
pub(super) fn for_each_tie(values: &[f64], order: &[usize], mut visit: impl FnMut(usize, usize)) {
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        let length = order[start..].iter().take_while(|&&item| values[item] == value).count();
        let end = start + length.max(1);
        visit(start, end);
        start = end;
    }
}
