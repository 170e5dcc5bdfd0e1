//! Scoring a model on the validation split.

use std::collections::BTreeMap;

use bimed_artifact::Cancel;
use bimed_bert::{BertForPreTraining, Pass};
use bimed_ops::BertOps;
use burn::module::Module;
use burn::tensor::Device;

use crate::data::validation::{UNKNOWN_CHARACTER_BITS, ValidationSet};
use crate::{Result, ValidationFigures};

/// Scores `model` on every group of `sets`, without dropout, in a fixed order.
///
/// # Errors
/// When asked to stop, and when the device fails.
pub fn validate(
    model: &BertForPreTraining,
    sets: &BTreeMap<String, ValidationSet>,
    ops: &dyn BertOps,
    device: &Device,
    cancel: &Cancel,
) -> Result<BTreeMap<String, ValidationFigures>> {
    let model = model.valid();
    let device = device.clone().inner();
    let figures = sets.iter().map(|(group, set)| {
        let mut sum = Sums::default();
        for batch in &set.batches {
            cancel.check()?;
            let on_device = batch.upload(&device);
            let pass = Pass::evaluate(ops);
            let hidden = model.bert.forward(&on_device.ids, &on_device.packing, pass);
            let rows = model.predictions.transform(hidden, &on_device.masked_rows, pass);
            let (labels, weights) = (on_device.labels, on_device.label_weights);
            let entropy = model.predictions.loss(rows, model.decoder(), labels, weights, pass);
            let kept = batch.num_masked;
            let add = |values: Vec<f32>| values[..kept].iter().map(|&x| f64::from(x)).sum::<f64>();
            sum.nll += add(ops.read(entropy.nll)?);
            sum.correct += add(ops.read(entropy.correct)?);
            sum.predictions += kept as u64;
        }
        Ok((group.clone(), sum.figures(set)))
    });
    figures.collect()
}

/// What a validation adds up.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    nll: f64,
    correct: f64,
    predictions: u64,
}

impl Sums {
    /// `BPC = (Σ nll / ln 2 + unknown · 14) / (characters + unknown)`.
    fn figures(self, set: &ValidationSet) -> ValidationFigures {
        let share =
            |sum: f64| if self.predictions == 0 { 0.0 } else { sum / self.predictions as f64 };
        let chars = set.masked_chars + set.unknown_chars;
        let bits =
            self.nll / std::f64::consts::LN_2 + set.unknown_chars as f64 * UNKNOWN_CHARACTER_BITS;
        ValidationFigures {
            loss: share(self.nll),
            accuracy: share(self.correct),
            bits_per_character: if chars == 0 { 0.0 } else { bits / chars as f64 },
            predictions: self.predictions,
            chars,
            unknown_chars: set.unknown_chars,
            documents: set.num_documents,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uniform_model_costs_log_v_bits_a_token() {
        // 30 tokens over a vocabulary of 1,024 hold 75 characters; 5 more are unknown.
        let sums = Sums { nll: 30.0 * 1_024f64.ln(), correct: 0.0, predictions: 30 };
        let set = ValidationSet { masked_chars: 75, unknown_chars: 5, ..ValidationSet::default() };
        let expected = (30.0 * 10.0 + 5.0 * 14.0) / 80.0;
        assert!((sums.figures(&set).bits_per_character - expected).abs() < 1e-12);
    }
}
