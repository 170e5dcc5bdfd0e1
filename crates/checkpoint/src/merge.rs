//! One model out of several: the weighted mean of their weights.
//!
//! Two models with weights 1 − α and α are the line between them; the last checkpoints of a run with
//! equal weights are their average.
//!
//! Invariant: a model whose weight is 1 comes out bit for bit.
//!
//! Sources: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", equation 1, and "Model
//! soups", section 2; Vaswani et al. 2017, section 6.1, for the last checkpoints of a run.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::{Error, HostTensor, ModelDir, Result, Weights};

/// How far from 1 the weights may sum, for they are typed in decimals.
const TOLERANCE: f64 = 1e-9;

/// The sum of weight times model over `models`, element by element in `f64`, in their order. They are
/// taken up one at a time, so that they may be loaded as they are asked for.
///
/// # Errors
/// [`Error::Merge`] where a model differs from the first in its vocabulary or in a tensor's name or
/// shape, where a weight is out of range, or where they do not sum to 1; an error of `models`.
pub fn merge_models(models: impl IntoIterator<Item = Result<(ModelDir, f64)>>) -> Result<Weights> {
    let mut first: Option<Model> = None;
    let mut mean = Mean::Nothing;
    let mut total = 0.0;
    for model in models {
        let (model, weight) = model?;
        if !(0.0..=1.0).contains(&weight) {
            return Err(wrong(format!("a weight is `{weight}`, expected 0 to 1")));
        }
        let own = Model::of(&model);
        match &first {
            None => first = Some(own),
            Some(first) => first.check(&own)?,
        }
        total += weight;
        mean = mean.with(model.weights, weight);
    }
    if (total - 1.0_f64).abs() > TOLERANCE {
        return Err(wrong(format!("their weights sum to `{total}`, expected 1")));
    }
    Ok(mean.finish())
}

fn wrong(reason: String) -> Error {
    Error::Merge { reason }
}

/// What models must have in common.
struct Model {
    vocab_hash: Option<bimed_artifact::Hash>,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl Model {
    fn of(model: &ModelDir) -> Self {
        let shape = |(name, tensor): (&String, &HostTensor)| (name.clone(), tensor.shape.clone());
        Self {
            vocab_hash: model.vocab_hash.clone(),
            shapes: model.weights.tensors.iter().map(shape).collect(),
        }
    }

    fn check(&self, other: &Self) -> Result<()> {
        // Equal shapes do not make two vocabularies the same: a row would be half one token and half
        // another.
        if self.vocab_hash != other.vocab_hash {
            return Err(wrong("their vocabularies differ".into()));
        }
        let only = |one: &Self, other: &Self| {
            one.shapes.keys().find(|name| !other.shapes.contains_key(*name)).cloned()
        };
        if let Some(name) = only(self, other).or_else(|| only(other, self)) {
            return Err(wrong(format!("`{name}` is not in all of them")));
        }
        match self.shapes.iter().find(|(name, shape)| other.shapes[*name] != **shape) {
            None => Ok(()),
            Some((name, expected)) => {
                let found = &other.shapes[name];
                Err(wrong(format!("`{name}` is {found:?} in one, {expected:?} in the first")))
            }
        }
    }
}

/// The sum so far.
enum Mean {
    Nothing,
    /// Not left to arithmetic: −0 · 1 + 0 · x is +0, and 0 · ∞ is not a number.
    One(Weights, f64),
    Several(BTreeMap<String, (Vec<usize>, Vec<f64>)>),
}

impl Mean {
    fn with(self, weights: Weights, weight: f64) -> Self {
        match self {
            mean if weight == 0.0 => mean,
            Self::Nothing => Self::One(weights, weight),
            Self::One(first, share) => {
                let scaled = |(name, HostTensor { shape, data }): (String, HostTensor)| {
                    let data = data.into_par_iter().map(|value| share * f64::from(value)).collect();
                    (name, (shape, data))
                };
                let sums = first.tensors.into_iter().map(scaled).collect();
                Self::Several(sums).with(weights, weight)
            }
            Self::Several(mut sums) => {
                for (name, (_, sum)) in &mut sums {
                    let pairs = sum.par_iter_mut().zip(&weights.tensors[name].data);
                    pairs.for_each(|(sum, &value)| *sum += weight * f64::from(value));
                }
                Self::Several(sums)
            }
        }
    }

    fn finish(self) -> Weights {
        match self {
            Self::Nothing => Weights::default(),
            Self::One(weights, _) => weights,
            Self::Several(sums) => {
                let narrow = |(name, (shape, sum)): (String, (Vec<usize>, Vec<f64>))| {
                    let data = sum.into_par_iter().map(|value| value as f32).collect();
                    (name, HostTensor::new(shape, data))
                };
                Weights { tensors: sums.into_iter().map(narrow).collect() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tiny model, each element of it moved by `offset`.
    fn model(offset: f32) -> ModelDir {
        let fixture =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join("expected");
        let mut model = crate::load_model_dir(&fixture).unwrap();
        for tensor in model.weights.tensors.values_mut() {
            tensor.data.iter_mut().for_each(|value| *value += offset);
        }
        model
    }

    fn merged(models: &[(ModelDir, f64)]) -> Result<Weights> {
        merge_models(models.iter().cloned().map(Ok))
    }

    fn bits(weights: &Weights) -> Vec<u32> {
        let data = weights.tensors.values().flat_map(|tensor| &tensor.data);
        data.map(|value| value.to_bits()).collect()
    }

    #[test]
    fn the_ends_are_the_models_bit_for_bit_and_the_middle_is_between() {
        let (mut a, mut b) = (model(0.0), model(1.0));
        a.weights.tensors.get_mut("cls.seq_relationship.bias").unwrap().data[0] = -0.0;
        b.weights.tensors.get_mut("cls.seq_relationship.bias").unwrap().data[1] = f32::INFINITY;
        let at = |alpha: f64| merged(&[(a.clone(), 1.0 - alpha), (b.clone(), alpha)]).unwrap();
        assert_eq!(bits(&at(0.0)), bits(&a.weights));
        assert_eq!(bits(&at(1.0)), bits(&b.weights));
        let name = "bert.pooler.dense.bias";
        let value = |weights: &Weights| f64::from(weights.tensors[name].data[3]);
        let expected = 0.75 * value(&a.weights) + 0.25 * value(&b.weights);
        assert_eq!(value(&at(0.25)), f64::from(expected as f32));
    }

    #[test]
    fn models_that_agree_average_to_themselves() {
        let three = [(model(0.1), 1.0 / 3.0), (model(0.1), 1.0 / 3.0), (model(0.1), 1.0 / 3.0)];
        let (found, expected) = (merged(&three).unwrap(), model(0.1).weights);
        for (found, expected) in bits(&found).iter().zip(bits(&expected)) {
            assert!(found.abs_diff(expected) <= 1, "thirds do not sum to 1 exactly");
        }
    }

    #[test]
    fn a_decoder_that_is_tied_stays_tied() {
        let published = |name: &str| {
            let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
            crate::load_model_dir(&dir).unwrap()
        };
        // The one repeats its decoder, the other does not: neither has it after loading.
        let merged = merged(&[(published("legacy"), 0.5), (published("sharded"), 0.5)]).unwrap();
        assert_eq!(bits(&merged), bits(&model(0.0).weights));
        assert!(merged.get("cls.predictions.decoder.weight").is_none());
    }

    #[test]
    fn models_that_do_not_fit_are_refused() {
        let check = |models: &[(ModelDir, f64)], expected: &str| {
            let expected = format!("the models cannot be merged: {expected}");
            assert_eq!(merged(models).unwrap_err().to_string(), expected);
        };
        let a = model(0.0);
        let changed = |change: fn(&mut ModelDir)| {
            let mut b = a.clone();
            change(&mut b);
            [(a.clone(), 0.5), (b, 0.5)]
        };
        check(
            &changed(|b| {
                b.vocab_hash = Some(bimed_artifact::hash_bytes("[PAD]\n감기\n".as_bytes()))
            }),
            "their vocabularies differ",
        );
        check(
            &changed(|b| drop(b.weights.tensors.remove("cls.predictions.bias"))),
            "`cls.predictions.bias` is not in all of them",
        );
        check(
            &changed(|b| b.weights.insert("cls.predictions.bias", HostTensor::new([1], vec![0.0]))),
            "`cls.predictions.bias` is [1] in one, [20] in the first",
        );
        check(&[(a.clone(), f64::NAN)], "a weight is `NaN`, expected 0 to 1");
        check(&[(a.clone(), 0.5), (a.clone(), 0.25)], "their weights sum to `0.75`, expected 1");
    }
}
