//! The BERT encoder and its heads.
//!
//! Owns the model's config, its modules, and the way between burn's parameters and the named host
//! arrays of `bimed-checkpoint`. It computes through [`bimed_ops::BertOps`] alone; it knows nothing of
//! files, vocabularies, batches or optimizers.
//!
//! Invariants: every parameter has a Hugging Face name (the queries, keys and values of a layer are
//! one parameter with three names). The decoder is the word embedding, passed at every call and
//! never copied. Activations are `[tokens, hidden]`.

mod attention;
mod config;
mod embeddings;
mod encoder;
mod heads;
mod layers;
mod model;
mod parameters;
mod update;

pub use attention::BertAttention;
pub use config::{BertConfig, ConfigError};
pub use embeddings::BertEmbeddings;
pub use encoder::{BertEncoder, BertLayer};
pub use heads::{BertPooler, Classifier, MaskedLanguageModelHead, NextSentenceHead};
pub use layers::{Embedding, LayerNorm, Linear};
pub use model::{BertForPreTraining, BertForSequence, BertModel};
pub use parameters::{
    LoadError, ParameterName, collect_parameters, device_of, fill_missing, load_weights,
    parameter_names, set_trained, take_gradients, to_host, to_weights,
};
pub use update::update_together;

use bimed_ops::{BertOps, Dropout};

/// What a forward pass takes beside its batch.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The operations.
    pub ops: &'a dyn BertOps,
    /// The counters of dropout; `None` where nothing is dropped.
    pub counters: Option<Counters>,
}

/// What every dropout of one forward pass is a function of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// The run's seed.
    pub seed: u64,
    /// The optimizer step.
    pub step: u64,
    /// The row that this batch's first row is within the optimizer step.
    pub first_row: u64,
}

impl<'a> Pass<'a> {
    /// A pass without dropout.
    pub fn evaluate(ops: &'a dyn BertOps) -> Self {
        Self { ops, counters: None }
    }

    /// A pass with the dropout of `counters`.
    pub fn train(ops: &'a dyn BertOps, counters: Counters) -> Self {
        Self { ops, counters: Some(counters) }
    }

    /// The dropout of `site` with `probability`, where there is any.
    fn dropout(&self, site: u32, probability: f64) -> Option<Dropout> {
        let Counters { seed, step, first_row } = self.counters?;
        (probability > 0.0).then_some(Dropout {
            probability: probability as f32,
            seed,
            step,
            site,
            first_row,
        })
    }
}

/// The places in a model where dropout is drawn.
mod site {
    /// After the embeddings' layer norm.
    pub(crate) const EMBEDDINGS: u32 = 0;
    /// Before a task's classifier.
    pub(crate) const CLASSIFIER: u32 = u32::MAX;

    /// The attention weights of `layer`.
    pub(crate) fn attention(layer: usize) -> u32 {
        3 * layer as u32 + 1
    }

    /// The attention output of `layer`.
    pub(crate) fn attention_output(layer: usize) -> u32 {
        3 * layer as u32 + 2
    }

    /// The feed-forward output of `layer`.
    pub(crate) fn output(layer: usize) -> u32 {
        3 * layer as u32 + 3
    }
}
