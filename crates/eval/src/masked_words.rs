//! `mlm`: masked words of the token store's valid split.
//!
//! Owns the rows that come of it; the choice of words and the scoring are `bimed-train`'s, so that a
//! figure here is the figure of a run's log. It must not know how the store was made.

use std::path::Path;

use bimed_artifact::Context;
use bimed_checkpoint::Part;
use bimed_ops::BertOps;
use bimed_train::{
    UNKNOWN_CHARACTER_BITS, ValidationFigures, ValidationShape, mask_vocabulary, validate,
    validation_sets_by,
};
use bimed_vocab::TokenStore;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::config::MaskedWordsConfig;
use crate::{EvalModel, Result};

/// The figures of one part of the text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskedPart {
    /// Empty for all languages together, `language:ko`, `source:NAME`.
    pub part: String,
    /// The figures.
    pub figures: ValidationFigures,
}

/// What came of scoring masked words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MaskedOutcome {
    /// All languages together, then language by language, then source by source.
    Measured(Vec<MaskedPart>),
    /// The reason for the SKIPPED row.
    Skipped(String),
}

/// Scores `model` on masked words of the valid split of `store`.
///
/// # Errors
/// When the store cannot be read, or when asked to stop.
pub fn masked_words(
    model: &mut EvalModel,
    store: Option<&Path>,
    config: &MaskedWordsConfig,
    micro_batch_tokens: usize,
    ops: &dyn BertOps,
    device: &Device,
    context: &Context<'_>,
) -> Result<MaskedOutcome> {
    let skipped = |reason: &str| Ok(MaskedOutcome::Skipped(reason.to_owned()));
    let Some(store) = store else { return skipped("no token store") };
    if !model.has(Part::MlmHead) {
        return skipped("the model has no masked-language-model head");
    }
    let store = TokenStore::open(store)?;
    if store.vocab_hash() != model.tokenizer.vocab().hash().as_str() {
        return skipped("the token store is of another vocabulary");
    }
    let vocabulary = mask_vocabulary(&model.tokenizer);
    let sequence_length = config.max_length.min(model.config.max_position_embeddings);
    let MaskedWordsConfig { mask_prob, seed, chars, .. } = *config;
    let shape = ValidationShape { sequence_length, micro_batch_tokens, chars, seed };
    // Scoring takes a model that could be trained, as a run's validation does.
    let device = device.clone().autodiff();
    let (network, _) = model.pretraining(0, &device)?;
    let mut parts = Vec::new();
    for (kind, names) in [("language", store.languages()), ("source", store.sources())] {
        let sets = validation_sets_by(&store, &vocabulary, shape, mask_prob, |document| {
            let index = if kind == "language" { document.language } else { document.source };
            names[usize::from(index)].clone()
        });
        let scored = validate(&network, &sets, ops, &device, context.cancel)?;
        parts.extend(
            scored
                .into_iter()
                .map(|(name, figures)| MaskedPart { part: format!("{kind}:{name}"), figures }),
        );
    }
    if parts.is_empty() {
        return skipped("the token store has no valid split");
    }
    let languages = parts.iter().filter(|part| part.part.starts_with("language:"));
    let all = together(languages.map(|part| &part.figures));
    parts.insert(0, MaskedPart { part: String::new(), figures: all });
    Ok(MaskedOutcome::Measured(parts))
}

/// The figures of all parts as one: sums divided once.
fn together<'f>(parts: impl Iterator<Item = &'f ValidationFigures>) -> ValidationFigures {
    let mut all = ValidationFigures::default();
    let (mut nats, mut correct) = (0.0, 0.0);
    for part in parts {
        nats += part.loss * part.predictions as f64;
        correct += part.accuracy * part.predictions as f64;
        all.predictions += part.predictions;
        all.chars += part.chars;
        all.unknown_chars += part.unknown_chars;
        all.documents += part.documents;
    }
    let share = |sum: f64, count: u64| if count == 0 { 0.0 } else { sum / count as f64 };
    let bits = nats / std::f64::consts::LN_2 + all.unknown_chars as f64 * UNKNOWN_CHARACTER_BITS;
    all.loss = share(nats, all.predictions);
    all.accuracy = share(correct, all.predictions);
    all.bits_per_character = share(bits, all.chars);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_join_by_what_is_behind_them() {
        let part = |loss: f64, predictions, chars, unknown_chars| ValidationFigures {
            loss,
            accuracy: 0.5,
            predictions,
            chars,
            unknown_chars,
            ..ValidationFigures::default()
        };
        let ln2 = std::f64::consts::LN_2;
        // 10 tokens at 8 bits over 20 characters; 30 at 4 bits over 50, of which 5 are unknown.
        let all = together([part(8.0 * ln2, 10, 20, 0), part(4.0 * ln2, 30, 50, 5)].iter());
        assert_eq!((all.predictions, all.chars, all.accuracy), (40, 70, 0.5));
        assert!((all.loss - 5.0 * ln2).abs() < 1e-12);
        assert!((all.bits_per_character - (80.0 + 120.0 + 70.0) / 70.0).abs() < 1e-12);
    }
}
