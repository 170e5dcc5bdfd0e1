//! The model of an arm: its shape, its rows, its parameters.

use bimed_bert::BertConfig;
use bimed_checkpoint::Dimensions;
use bimed_vocab::{OnShortfall, Policy, Vocab, VocabConfig};
use serde::Serialize;

use super::cost::all_parameters;
use super::figure::{Certainty, Figure};
use super::speed::read_shape;
use super::stages::{StagePlan, done};
use crate::paths::shown;
use crate::sections::Vocabulary;
use crate::stages::{Stages, vocab};

/// The model of an arm.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ModelPlan {
    /// The base's directory; nothing for a random start.
    pub(crate) base: Option<String>,
    /// The base's parameters, where it is there.
    pub(crate) base_parameters: Option<usize>,
    /// Whether the base has a masked-word head, where it is there.
    pub(crate) base_has_head: Option<bool>,
    /// Whether the shape is BERT-base's, for want of the base.
    pub(crate) is_assumed: bool,
    /// Rows of the vocabulary.
    pub(crate) vocabulary_rows: Figure,
    /// Parameters in pretraining: encoder, pooler and both heads.
    pub(crate) parameters: Figure,
    /// Its shape, with the rows of its vocabulary.
    #[serde(skip)]
    pub(crate) shape: Dimensions,
    #[serde(skip)]
    certainty: Certainty,
}

impl ModelPlan {
    /// The model that the arm trains, as far as its base and vocabulary are there.
    pub(crate) fn new(stages: &Stages<'_>, plans: &[StagePlan]) -> Option<Self> {
        let transplant = stages.experiment().transplant.as_ref()?;
        let (mut shape, is_assumed) = match &transplant.base {
            None => (dimensions(&transplant.config.model.clone().unwrap_or_default()), false),
            Some(base) => match read_shape(base) {
                Some(shape) => (shape, false),
                None => (dimensions(&BertConfig::default()), true),
            },
        };
        let vocabulary_rows = vocabulary_rows(stages, plans, &shape, is_assumed);
        shape.vocab_size = vocabulary_rows.value as usize;
        let of_shape = if is_assumed { Certainty::Estimate } else { Certainty::Exact };
        let certainty = vocabulary_rows.certainty.max(of_shape);
        let base = stages.base().ok().flatten();
        let parameters = Figure { value: all_parameters(&shape) as f64, certainty };
        Some(Self {
            base: transplant.base.as_ref().map(|base| shown(base)),
            base_parameters: base.as_ref().map(|base| base.num_parameters),
            base_has_head: base.as_ref().map(|base| base.has_head),
            is_assumed,
            vocabulary_rows,
            parameters,
            shape,
            certainty,
        })
    }

    /// A number that follows from the shape.
    pub(crate) fn figure(&self, value: f64) -> Figure {
        Figure { value, certainty: self.certainty }
    }
}

fn dimensions(config: &BertConfig) -> Dimensions {
    Dimensions {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        intermediate_size: config.intermediate_size,
        max_position_embeddings: config.max_position_embeddings,
        type_vocab_size: config.type_vocab_size,
        num_labels: None,
    }
}

fn vocabulary_rows(
    stages: &Stages<'_>,
    plans: &[StagePlan],
    base: &Dimensions,
    is_assumed: bool,
) -> Figure {
    let of_base = match is_assumed {
        true => Figure::estimate(base.vocab_size as f64),
        false => Figure::exact(base.vocab_size as u64),
    };
    // A base's matrix may have more rows than its tokenizer has tokens.
    if stages.vocabulary().is_ok_and(Vocabulary::is_kept) {
        return of_base;
    }
    let made = done(plans, vocab::STAGE).and_then(|dir| Vocab::from_dir(dir).ok());
    if let Some(vocabulary) = made {
        return Figure::exact(vocabulary.len() as u64);
    }
    match stages.vocabulary() {
        Ok(Vocabulary::Config(VocabConfig { policy: Policy::Extend, add_rows, .. })) => {
            Figure::estimate((base.vocab_size + add_rows.unwrap_or(0)) as f64)
        }
        // A text that gives too little ends in an error, or in other rows.
        Ok(Vocabulary::Config(config)) if config.on_shortfall == OnShortfall::Error => {
            Figure::exact(config.size as u64)
        }
        Ok(Vocabulary::Config(config)) => Figure::estimate(config.size as f64),
        _ => of_base.estimated(),
    }
}
