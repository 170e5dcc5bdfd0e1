//! `[pretrain]`: every setting of a pretraining run.

use serde::{Deserialize, Serialize};

use crate::BinCapacity;

/// A key's path within its section, and what is wrong with its value.
pub type Fault = (String, String);

/// How long to train. Exactly one is set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Length {
    /// Optimizer steps.
    Steps(u64),
    /// Tokens of text read, special tokens included and padding not.
    Tokens(u64),
    /// NFC characters of text read: what compares vocabularies fairly.
    Chars(u64),
    /// Passes over the training split.
    Epochs(f64),
}

/// What the weights and activations are computed in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    F32,
    /// bfloat16 activations over f32 master weights; on a GPU that has it.
    Bf16,
}

impl From<Precision> for bimed_ops::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32,
            Precision::Bf16 => Self::Bf16,
        }
    }
}

/// The shape of the learning rate after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Straight to 0 at the last step.
    #[default]
    Linear,
    /// Half a cosine to 0 at the last step.
    Cosine,
    /// No decay.
    Constant,
}

/// `[pretrain.optimizer]`: AdamW. Defaults are those of google-research/bert where it has them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// The highest learning rate, above 0.
    pub learning_rate: f64,
    /// The decay of the running means, each 0 to below 1.
    pub betas: [f64; 2],
    /// Added to the root of the second moment, above 0.
    pub epsilon: f64,
    /// Decoupled decay of everything but biases and layer norms, 0 or more.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm; 0 does not clip.
    pub max_grad_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            learning_rate: 5e-5,
            betas: [0.9, 0.999],
            epsilon: 1e-6,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
        }
    }
}

/// `[pretrain.schedule]`: the learning rate over the steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Steps of linear rise from 0; takes the place of `warmup_fraction`.
    pub warmup_steps: Option<u64>,
    /// The share of all steps that the rise takes, 0 to 1.
    pub warmup_fraction: f64,
    /// What follows the rise.
    pub decay: Decay,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { warmup_steps: None, warmup_fraction: 0.1, decay: Decay::Linear }
    }
}

/// `[pretrain.head]`: a masked-language-model head for a base that has none, trained on the base's
/// own vocabulary with the body frozen. It is step 0 of every arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HeadConfig {
    /// Steps at most.
    pub max_steps: u64,
    /// The highest learning rate of the head, above 0.
    pub learning_rate: f64,
    /// Steps between looks at the held-out loss.
    pub validate_every_steps: u64,
    /// Flat means: less than this share of the held-out loss gained between two looks.
    pub flat_below: f64,
    /// The languages of the documents it is trained on, those that the base's vocabulary is for;
    /// empty means all.
    pub languages: Vec<String>,
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            max_steps: 1_000,
            learning_rate: 1e-3,
            validate_every_steps: 50,
            flat_below: 0.005,
            languages: Vec::new(),
        }
    }
}

/// `[pretrain]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainConfig {
    /// How long to train.
    pub length: Length,
    /// The longest sample in tokens, special tokens included; also the length of a bin.
    pub sequence_length: usize,
    /// Tokens an optimizer step, padding included; a multiple of `micro_batch_tokens`.
    pub tokens_per_step: usize,
    /// Tokens on the device at a time; a multiple of `sequence_length`.
    pub micro_batch_tokens: usize,
    /// The share of a sample's tokens that is predicted, above 0 and below 1.
    pub mask_prob: f64,
    /// Masks all pieces of a word or none.
    pub whole_word_masking: bool,
    /// Trains on sentence pairs with the next-sentence head too.
    pub next_sentence: bool,
    /// What is computed in; recorded with the run.
    pub precision: Precision,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate.
    pub schedule: ScheduleConfig,
    /// The head of a base that has none; without it such a base is refused.
    pub head: Option<HeadConfig>,
    /// Steps between training checkpoints.
    pub checkpoint_every_steps: u64,
    /// Training checkpoints kept, the newest ones, 1 or more.
    pub keep_checkpoints: usize,
    /// Steps between reads of the loss.
    pub log_every_steps: u64,
    /// Steps between validations; step 0 and the last are always validated.
    pub validate_every_steps: u64,
    /// NFC characters of the validation split that are scored in each language, at most.
    pub validation_chars: u64,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            length: Length::Steps(1_000),
            sequence_length: 128,
            tokens_per_step: 4_096,
            micro_batch_tokens: 2_048,
            mask_prob: 0.15,
            whole_word_masking: false,
            next_sentence: false,
            precision: Precision::F32,
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
            head: None,
            checkpoint_every_steps: 500,
            keep_checkpoints: 2,
            log_every_steps: 10,
            validate_every_steps: 500,
            validation_chars: 50_000,
        }
    }
}

/// Collects faults; a number and the range it must lie in.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn require(&mut self, holds: bool, key: &str, found: impl std::fmt::Display, expected: &str) {
        if !holds {
            self.0.push((key.into(), format!("is `{found}`, expected {expected}")));
        }
    }
}

impl PretrainConfig {
    /// Bins an optimizer step.
    pub fn bins_per_step(&self) -> usize {
        self.tokens_per_step / self.sequence_length
    }

    /// Bins a micro-batch.
    pub fn bins_per_micro_batch(&self) -> usize {
        self.micro_batch_tokens / self.sequence_length
    }

    /// What a bin of this run holds.
    pub fn bin_capacity(&self) -> BinCapacity {
        BinCapacity::new(self.sequence_length, self.num_specials(), self.mask_prob)
    }

    /// Special tokens of a sample.
    pub fn num_specials(&self) -> usize {
        if self.next_sentence { 3 } else { 2 }
    }

    /// Every value out of range.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Faults::default();
        let (steps, is_positive) = match self.length {
            Length::Steps(n) | Length::Tokens(n) | Length::Chars(n) => (n.to_string(), n > 0),
            Length::Epochs(n) => (n.to_string(), n > 0.0),
        };
        faults.require(is_positive, "length", steps, "above 0");
        let length = self.sequence_length;
        faults.require(length >= 8, "sequence_length", length, "8 or more");
        let micro = self.micro_batch_tokens;
        let fits = length > 0 && micro > 0 && micro.is_multiple_of(length);
        faults.require(fits, "micro_batch_tokens", micro, "a multiple of `sequence_length`");
        let tokens = self.tokens_per_step;
        let fits = micro > 0 && tokens > 0 && tokens.is_multiple_of(micro);
        faults.require(fits, "tokens_per_step", tokens, "a multiple of `micro_batch_tokens`");
        let share = self.mask_prob;
        faults.require(share > 0.0 && share < 1.0, "mask_prob", share, "above 0 and below 1");
        for (key, value) in [
            ("checkpoint_every_steps", self.checkpoint_every_steps),
            ("log_every_steps", self.log_every_steps),
            ("validate_every_steps", self.validate_every_steps),
            ("keep_checkpoints", self.keep_checkpoints as u64),
            ("validation_chars", self.validation_chars),
        ] {
            faults.require(value > 0, key, value, "1 or more");
        }
        let fraction = self.schedule.warmup_fraction;
        faults.require(
            (0.0..=1.0).contains(&fraction),
            "schedule.warmup_fraction",
            fraction,
            "0 to 1",
        );
        faults.optimizer(&self.optimizer);
        if let Some(head) = &self.head {
            faults.require(head.max_steps > 0, "head.max_steps", head.max_steps, "1 or more");
            let every = head.validate_every_steps;
            faults.require(every > 0, "head.validate_every_steps", every, "1 or more");
            let rate = head.learning_rate;
            faults.require(rate > 0.0, "head.learning_rate", rate, "above 0");
        }
        faults.0
    }
}

impl Faults {
    fn optimizer(&mut self, optimizer: &OptimizerConfig) {
        let rate = optimizer.learning_rate;
        self.require(rate > 0.0, "optimizer.learning_rate", rate, "above 0");
        for beta in optimizer.betas {
            self.require((0.0..1.0).contains(&beta), "optimizer.betas", beta, "0 to below 1");
        }
        let epsilon = optimizer.epsilon;
        self.require(epsilon > 0.0, "optimizer.epsilon", epsilon, "above 0");
        let decay = optimizer.weight_decay;
        self.require(decay >= 0.0, "optimizer.weight_decay", decay, "0 or more");
        let norm = optimizer.max_grad_norm;
        self.require(norm >= 0.0, "optimizer.max_grad_norm", norm, "0 or more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_fault() {
        assert_eq!(PretrainConfig::default().faults(), []);
    }

    #[test]
    fn every_fault_is_found_at_once() {
        let config = PretrainConfig {
            mask_prob: 1.5,
            micro_batch_tokens: 100,
            optimizer: OptimizerConfig { betas: [0.9, 1.0], ..OptimizerConfig::default() },
            keep_checkpoints: 0,
            ..PretrainConfig::default()
        };
        let keys: Vec<_> = config.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "micro_batch_tokens",
                "tokens_per_step",
                "mask_prob",
                "keep_checkpoints",
                "optimizer.betas"
            ]
        );
    }
}
