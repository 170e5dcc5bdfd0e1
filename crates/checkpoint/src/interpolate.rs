//! A model between two others.
//!
//! Invariant: the ends are the two models bit for bit.
//!
//! Source: linear weight interpolation as in Wortsman et al. 2022, "Robust fine-tuning of zero-shot
//! models", equation 1.

use rayon::prelude::*;

use crate::{Error, HostTensor, ModelDir, Result, Weights};

/// The weights `(1 - alpha) · a + alpha · b`, element by element in `f64`; `alpha` from 0 to 1.
///
/// Equal shapes do not make two vocabularies the same: [`interpolate_models`] checks that too.
///
/// # Errors
/// [`Error::Interpolate`] where the tensors differ in name or shape, or `alpha` is out of range.
pub fn interpolate(a: &Weights, b: &Weights, alpha: f64) -> Result<Weights> {
    let wrong = |reason: String| Error::Interpolate { reason };
    if !(0.0..=1.0).contains(&alpha) {
        return Err(wrong(format!("alpha is `{alpha}`, expected 0 to 1")));
    }
    let only = |one: &Weights, other: &Weights| {
        one.tensors.keys().find(|name| other.get(name).is_none()).cloned()
    };
    if let Some(name) = only(a, b).or_else(|| only(b, a)) {
        return Err(wrong(format!("`{name}` is in one of them only")));
    }
    for (name, tensor) in &a.tensors {
        let (found, expected) = (&b.tensors[name].shape, &tensor.shape);
        if found != expected {
            return Err(wrong(format!(
                "`{name}` is {found:?} in the second, {expected:?} in the first"
            )));
        }
    }
    // Not left to arithmetic: -0 · 1 + 0 · x is +0, and 0 · ∞ is not a number.
    if alpha == 0.0 {
        return Ok(a.clone());
    }
    if alpha == 1.0 {
        return Ok(b.clone());
    }
    let mut mixed = Weights::default();
    for (name, first) in &a.tensors {
        let pairs = first.data.par_iter().zip(&b.tensors[name].data);
        let data = pairs
            .map(|(&a, &b)| ((1.0 - alpha) * f64::from(a) + alpha * f64::from(b)) as f32)
            .collect();
        mixed.insert(name.clone(), HostTensor::new(first.shape.clone(), data));
    }
    Ok(mixed)
}

/// As [`interpolate`], for two models of one vocabulary.
///
/// # Errors
/// [`Error::Interpolate`] also where `vocab.txt` differs: a row would be half one token and half
/// another.
pub fn interpolate_models(a: &ModelDir, b: &ModelDir, alpha: f64) -> Result<Weights> {
    if a.vocab_hash != b.vocab_hash {
        return Err(Error::Interpolate { reason: "their vocabularies differ".into() });
    }
    interpolate(&a.weights, &b.weights, alpha)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(data: [f32; 3]) -> Weights {
        let mut weights = Weights::default();
        weights.insert("classifier.bias", HostTensor::new([3], data.to_vec()));
        weights
    }

    #[test]
    fn the_ends_are_the_models_bit_for_bit_and_the_middle_is_between() {
        let (a, b) = (weights([-0.0, 1.0, 0.1]), weights([f32::INFINITY, 3.0, 0.3]));
        let bits = |weights: &Weights| {
            weights.tensors["classifier.bias"]
                .data
                .clone()
                .into_iter()
                .map(f32::to_bits)
                .collect::<Vec<_>>()
        };
        for (first, second) in [(&a, &b), (&b, &a)] {
            assert_eq!(bits(&interpolate(first, second, 0.0).unwrap()), bits(first));
            assert_eq!(bits(&interpolate(first, second, 1.0).unwrap()), bits(second));
        }
        assert_eq!(interpolate(&a, &b, 0.25).unwrap().tensors["classifier.bias"].data[1], 1.5);
    }

    #[test]
    fn models_of_other_shapes_and_other_ranges_are_refused() {
        let (a, mut b) = (weights([0.0; 3]), Weights::default());
        let refused =
            |a: &Weights, b: &Weights, alpha| interpolate(a, b, alpha).unwrap_err().to_string();
        assert_eq!(
            refused(&a, &b, 0.5),
            "the models cannot be interpolated: `classifier.bias` is in one of them only"
        );
        b.insert("classifier.bias", HostTensor::new([2], vec![0.0; 2]));
        assert_eq!(
            refused(&a, &b, 0.5),
            "the models cannot be interpolated: `classifier.bias` is [2] in the second, [3] in the first"
        );
        assert_eq!(
            refused(&a, &a, f64::NAN),
            "the models cannot be interpolated: alpha is `NaN`, expected 0 to 1"
        );
    }

    #[test]
    fn models_of_other_vocabularies_are_refused_though_their_shapes_agree() {
        let golden =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../bert/fixtures/model");
        let mut a = crate::load_model_dir(&golden).unwrap();
        let mut b = a.clone();
        a.vocab_hash = Some(bimed_artifact::hash_bytes("[PAD]\n폐렴\n".as_bytes()));
        b.vocab_hash = Some(bimed_artifact::hash_bytes("[PAD]\n감기\n".as_bytes()));
        assert_eq!(interpolate_models(&a, &a, 0.5).unwrap(), a.weights);
        assert_eq!(
            interpolate_models(&a, &b, 0.5).unwrap_err().to_string(),
            "the models cannot be interpolated: their vocabularies differ"
        );
    }
}
