//! A new row as a mixture of the old rows of tokens that stand in like company.
//!
//! Source: FOCUS (Dobler and de Melo 2023), §2: cosines to the tokens that both vocabularies have,
//! made into weights by sparsemax. Differs from it: the vectors are [`TokenVectors`].

use std::collections::BTreeMap;

use crate::vectors::TokenVectors;

/// The tokens that both vocabularies have, and where they stand.
#[derive(Debug)]
pub(crate) struct Anchors<'a> {
    vectors: &'a TokenVectors,
    /// Old rows.
    sources: Vec<u32>,
    /// The vectors of their new rows, of length one, one after another.
    directions: Vec<f32>,
}

impl<'a> Anchors<'a> {
    /// The pairs (new row, old row) of `shared` whose token has a vector.
    pub(crate) fn new(vectors: &'a TokenVectors, shared: &[(u32, u32)]) -> Self {
        let mut anchors = Self { vectors, sources: Vec::new(), directions: Vec::new() };
        for &(new, old) in shared {
            if let Some(direction) = direction(vectors.vectors.row(new as usize)) {
                anchors.sources.push(old);
                anchors.directions.extend(direction);
            }
        }
        anchors
    }

    /// Whether a row can be made for the token of the new row `row`.
    pub(crate) fn reach(&self, row: u32) -> bool {
        !self.sources.is_empty() && self.vectors.vectors.row(row as usize).iter().any(|&x| x != 0.0)
    }

    /// The old rows that the new row `row` is made of, by number; the weights sum to one. Nothing
    /// where its token has no vector.
    pub(crate) fn mixture(&self, row: u32) -> Option<Vec<(u32, f32)>> {
        let direction = direction(self.vectors.vectors.row(row as usize))?;
        let cosine = |anchor: &[f32]| anchor.iter().zip(&direction).map(|(a, b)| a * b).sum();
        let cosines: Vec<f32> = self.directions.chunks_exact(direction.len()).map(cosine).collect();
        let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
        for (at, weight) in sparsemax(&cosines)? {
            *weights.entry(self.sources[at]).or_default() += weight;
        }
        Some(weights.into_iter().collect())
    }
}

/// `vector` with length one.
fn direction(vector: &[f32]) -> Option<Vec<f32>> {
    let length = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    (length > 0.0).then(|| vector.iter().map(|&x| (f64::from(x) / length) as f32).collect())
}

/// The nearest point of the simplex to `scores`, as its elements above zero.
///
/// Source: Martins and Astudillo 2016, "From softmax to sparsemax"; by the iteration of Michelot 1986,
/// which needs no order.
fn sparsemax(scores: &[f32]) -> Option<Vec<(usize, f32)>> {
    let highest = scores.iter().copied().reduce(f32::max)?;
    // No score that is a whole one below the highest can be above the threshold.
    let mut support: Vec<(usize, f64)> = (0..scores.len())
        .filter(|&at| scores[at] > highest - 1.0)
        .map(|at| (at, f64::from(scores[at])))
        .collect();
    loop {
        let sum: f64 = support.iter().map(|(_, score)| score).sum();
        let threshold = (sum - 1.0) / support.len() as f64;
        let before = support.len();
        support.retain(|(_, score)| *score > threshold);
        if support.len() == before {
            let weight = |(at, score): (usize, f64)| (at, (score - threshold) as f32);
            return Some(support.into_iter().map(weight).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use bimed_checkpoint::HostTensor;

    use super::*;

    #[test]
    fn sparsemax_is_the_projection_onto_the_simplex() {
        let check = |scores: &[f32], expected: &[(usize, f32)]| {
            let found = sparsemax(scores).unwrap();
            let sum: f32 = found.iter().map(|(_, weight)| weight).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{found:?}");
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for ((at, weight), (other, value)) in found.iter().zip(expected) {
                assert!(at == other && (weight - value).abs() < 1e-6, "{found:?}");
            }
        };
        check(&[0.9], &[(0, 1.0)]);
        check(&[0.5, 0.5], &[(0, 0.5), (1, 0.5)]);
        // Threshold (0.9 + 0.5 - 1) / 2 = 0.2; 0.1 is below it.
        check(&[0.9, 0.1, 0.5], &[(0, 0.7), (2, 0.3)]);
        check(&[1.0, -1.0, -0.5], &[(0, 1.0)]);
        assert_eq!(sparsemax(&[]), None);
    }

    #[test]
    fn a_row_is_made_of_those_it_points_with_and_two_anchors_on_one_old_row_add_up() {
        let vectors = [[1.0, 0.0], [0.0, 3.0], [0.0, 5.0], [0.1, 9.0], [0.0, 0.0]];
        let vectors = TokenVectors { vectors: HostTensor::new([5, 2], vectors.concat()) };
        let anchors = Anchors::new(&vectors, &[(0, 70), (1, 80), (2, 80), (4, 90)]);
        let mixture = anchors.mixture(3).unwrap();
        assert_eq!(mixture.len(), 1);
        assert!(mixture[0].0 == 80 && (mixture[0].1 - 1.0).abs() < 1e-6, "{mixture:?}");
        assert!(anchors.reach(3) && !anchors.reach(4));
        assert_eq!(anchors.mixture(4), None);
        assert!(!Anchors::new(&vectors, &[(4, 90)]).reach(3));
    }
}
