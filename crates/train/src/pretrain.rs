//! One pretraining run from a token store and a model directory to a model directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bimed_artifact::{Context, Hash};
use bimed_bert::{BertConfig, BertForPreTraining, fill_missing};
use bimed_checkpoint::{ModelCard, ModelDir, load_model_dir};
use bimed_ops::{BertOps, DeviceFault, Tuning, out_of_memory_is_an_error};
use bimed_vocab::{Split, TokenStore, Tokenizer};
use burn::tensor::Device;
use serde::Serialize;

use crate::checkpoint::{Checkpoints, TUNING_FILE, TrainState};
use crate::data::loader::Loader;
use crate::data::masking::MaskVocabulary;
use crate::data::samples::SampleSet;
use crate::data::validation::{ValidationShape, validation_sets};
use crate::fitting::largest_that_fits;
use crate::run_log::{LogRecord, RunLog, TrainRecord, ValidationRecord, read_log};
use crate::schedule::Schedule;
use crate::trainer::{Scope, Trainer, latest, restore};
use crate::{Error, HeadConfig, Length, Precision, PretrainConfig, Result};

/// The seed of the validation's words: one for all runs, so that they are asked the same.
const VALIDATION_SEED: u64 = 0x6269_6d65_6421;

/// What a run reads and where it writes.
#[derive(Debug)]
pub struct PretrainRun<'a> {
    /// The token store.
    pub store: &'a Path,
    /// The base: a Hugging Face directory with the store's vocabulary.
    pub base: &'a Path,
    /// The run's directory; what is there is resumed.
    pub run_dir: &'a Path,
    /// The settings.
    pub config: &'a PretrainConfig,
    /// The experiment's seed.
    pub seed: u64,
    /// Which parameters are trained.
    pub scope: Scope,
    /// The run's key: a checkpoint of another key is refused.
    pub key: &'a Hash,
    /// Heads of the base that may start at random where they are missing: `cls.predictions` only
    /// for [`Scope::Head`] or a base without weights.
    pub may_start_at_random: bool,
    /// The card that every checkpoint carries.
    pub card: ModelCard,
}

/// What a run made.
#[derive(Debug, Clone, Serialize)]
pub struct PretrainSummary {
    /// The last checkpoint: a Hugging Face directory.
    pub model: PathBuf,
    /// The step-0 checkpoint.
    pub start: PathBuf,
    /// Updates in all.
    pub steps: u64,
    /// The step that the run was resumed from.
    pub resumed_from: u64,
    /// Tokens of text read, special tokens included, padding not.
    pub tokens: u64,
    /// Samples of the training split.
    pub samples: usize,
    /// Tensors that started at random.
    pub started_at_random: Vec<String>,
    /// The operations' implementation.
    pub ops: &'static str,
    /// What activations were computed in.
    pub precision: Precision,
    /// The last training figures.
    pub last: Option<TrainRecord>,
    /// All validations, step 0 first.
    pub validations: Vec<ValidationRecord>,
}

/// Masking's view of a tokenizer: specials and added mask tokens are never predicted.
pub fn mask_vocabulary(tokenizer: &Tokenizer) -> MaskVocabulary {
    let vocab = tokenizer.vocab();
    let specials = vocab.specials();
    let mut never = specials.rows().to_vec();
    never.extend(tokenizer.added_tokens().filter_map(|token| vocab.id(token)));
    // Rows such as BERT's [unused0].
    let is_unused = |token: &str| token.starts_with("[unused") && token.ends_with(']');
    never.extend((0..vocab.len() as u32).filter(|&id| is_unused(vocab.token(id))));
    never.sort_unstable();
    never.dedup();
    MaskVocabulary {
        size: vocab.len() as u32,
        cls: specials.cls,
        sep: specials.sep,
        mask: specials.mask,
        pad: specials.pad,
        never,
    }
}

/// Steps that `config.length` comes to over `samples`, with `bins_per_epoch` bins.
pub fn num_steps(config: &PretrainConfig, samples: &SampleSet, bins_per_epoch: usize) -> u64 {
    let specials = (samples.spans.len() * config.num_specials()) as f64;
    let steps_per_epoch = bins_per_epoch as f64 / config.bins_per_step() as f64;
    let epochs = match config.length {
        Length::Steps(steps) => return steps,
        Length::Epochs(epochs) => epochs,
        Length::Tokens(tokens) => tokens as f64 / (samples.num_tokens as f64 + specials),
        Length::Chars(chars) => chars as f64 / samples.num_chars as f64,
    };
    (epochs * steps_per_epoch).ceil().max(1.0) as u64
}

/// Runs or resumes a pretraining.
///
/// # Errors
/// When the store, the base and the config do not fit each other, when the loss is not finite, when
/// the device fails or has no memory for a micro-batch (the error names one that fits), when asked to
/// stop (the last checkpoint stands), and when the file system refuses.
pub fn pretrain(
    run: &PretrainRun<'_>,
    ops: &dyn BertOps,
    device: &Device,
    context: &Context<'_>,
) -> Result<PretrainSummary> {
    if bimed_ops::Precision::from(run.config.precision) != ops.activations() {
        return Err(Error::Precision { ops: ops.name() });
    }
    let attempt = || train(run, ops, device, context);
    match out_of_memory_is_an_error(attempt).map_err(Error::from).flatten() {
        Err(Error::Device(fault @ DeviceFault::OutOfMemory { .. })) => {
            let fits = largest_that_fits(run, ops, device, context)?;
            Err(Error::OutOfMemory { found: run.config.micro_batch_tokens, fault, fits })
        }
        result => result,
    }
}

fn train(
    run: &PretrainRun<'_>,
    ops: &dyn BertOps,
    device: &Device,
    context: &Context<'_>,
) -> Result<PretrainSummary> {
    let config = run.config;
    let (inputs, base) = Inputs::read(run)?;
    let shape = ValidationShape {
        sequence_length: config.sequence_length,
        micro_batch_tokens: config.micro_batch_tokens,
        chars: config.validation_chars,
        seed: VALIDATION_SEED,
    };
    let sets = validation_sets(&inputs.store, &inputs.vocabulary, shape);
    if sets.is_empty() {
        return Err(Error::EmptySplit { path: run.store.into(), split: "valid" });
    }
    let mut loader = inputs.loader(config, run.seed);
    let steps = num_steps(config, &inputs.samples, loader.bins_per_epoch());
    let (mut trainer, started_at_random) =
        inputs.trainer(run, base, config, steps, ops, device, context)?;
    trainer.sets = sets;
    let resumed_from = trainer.state.step;
    let mut flat = Flatness::new(config.head.as_ref().filter(|_| run.scope == Scope::Head));
    trainer.train(loader, |record| flat.is_reached(record))?;
    let Trainer { checkpoints, state, .. } = trainer;
    let samples = &inputs.samples;
    summary(run, &checkpoints, &state, samples, resumed_from, started_at_random, ops)
}

/// What a run reads before anything is computed.
pub(crate) struct Inputs {
    store: TokenStore,
    bert: BertConfig,
    tokenizer: Tokenizer,
    vocabulary: MaskVocabulary,
    samples: SampleSet,
}

impl Inputs {
    /// The inputs of `run`, and its base.
    pub(crate) fn read(run: &PretrainRun<'_>) -> Result<(Self, ModelDir)> {
        let config = run.config;
        let store = TokenStore::open(run.store)?;
        let base = load_model_dir(run.base)?;
        let bert = BertConfig::from_hugging_face(&base.config)?;
        check_fit(&store, &bert, config)?;
        let tokenizer = Tokenizer::from_dir(run.base)?;
        let vocabulary = mask_vocabulary(&tokenizer);
        let samples =
            SampleSet::new(&store, Split::Train, config.sequence_length - config.num_specials());
        if samples.spans.is_empty() {
            return Err(Error::EmptySplit { path: run.store.into(), split: "train" });
        }
        Ok((Self { store, bert, tokenizer, vocabulary, samples }, base))
    }

    pub(crate) fn loader<'a>(&'a self, config: &'a PretrainConfig, seed: u64) -> Loader<'a> {
        Loader::new(&self.store, &self.samples, &self.vocabulary, config, seed)
    }

    /// The run where its last checkpoint left it, or at its start; nothing is validated yet. With it
    /// the names of the tensors that start at random.
    #[expect(clippy::too_many_arguments, reason = "what a run is made of, once")]
    pub(crate) fn trainer<'a>(
        &self,
        run: &PretrainRun<'_>,
        mut base: ModelDir,
        config: &'a PretrainConfig,
        steps: u64,
        ops: &'a dyn BertOps,
        device: &Device,
        context: &Context<'a>,
    ) -> Result<(Trainer<'a>, Vec<String>)> {
        let (bert, tokenizer) = (self.bert.to_hugging_face(), self.tokenizer.clone());
        let checkpoints = Checkpoints::new(run.run_dir, bert, tokenizer, run.card.clone());
        let state = latest(&checkpoints, run.key, steps)?;
        let choices = checkpoints.path(state.step).join(TUNING_FILE);
        let tuning = Tuning::resume(device, &choices, run.key.short())?;
        let device = device.clone().autodiff();
        let zeros = BertForPreTraining::zeros(&self.bert, &device);
        let range = self.bert.initializer_range;
        let started_at_random = fill_missing(&zeros, &mut base.weights, range, run.seed);
        let needed =
            |name: &&String| name.starts_with("cls.predictions.") && !run.may_start_at_random;
        let lacking: Vec<String> = started_at_random.iter().filter(needed).cloned().collect();
        if !lacking.is_empty() {
            return Err(Error::MissingHead { names: lacking });
        }
        let (model, optimizer) =
            restore(&checkpoints, &state, zeros, &base.weights, config, run.scope)?;
        let rate = config.optimizer.learning_rate;
        let trainer = Trainer {
            config,
            seed: run.seed,
            scope: run.scope,
            ops,
            device,
            schedule: Schedule::new(&config.schedule, rate, state.total_steps),
            checkpoints,
            sets: BTreeMap::new(),
            log: RunLog::open_at(run.run_dir, state.step)?,
            model: Some(model),
            optimizer,
            state,
            context: *context,
            _tuning: tuning,
        };
        Ok((trainer, started_at_random))
    }
}

fn check_fit(store: &TokenStore, bert: &BertConfig, config: &PretrainConfig) -> Result<()> {
    if store.vocab_size() != bert.vocab_size {
        return Err(Error::VocabularySize { store: store.vocab_size(), model: bert.vocab_size });
    }
    if config.sequence_length > bert.max_position_embeddings {
        return Err(Error::SequenceLength {
            found: config.sequence_length,
            positions: bert.max_position_embeddings,
        });
    }
    Ok(())
}

fn summary(
    run: &PretrainRun<'_>,
    checkpoints: &Checkpoints,
    state: &TrainState,
    samples: &SampleSet,
    resumed_from: u64,
    started_at_random: Vec<String>,
    ops: &dyn BertOps,
) -> Result<PretrainSummary> {
    let mut last = None;
    let mut validations = Vec::new();
    for record in read_log(run.run_dir)? {
        match record {
            LogRecord::Train(record) => last = Some(record),
            LogRecord::Validation(record) => validations.push(record),
        }
    }
    Ok(PretrainSummary {
        model: checkpoints.path(state.step),
        start: checkpoints.path(0),
        steps: state.step,
        resumed_from,
        tokens: state.tokens,
        samples: samples.spans.len(),
        started_at_random,
        ops: ops.name(),
        precision: run.config.precision,
        last,
        validations,
    })
}

/// Ends the training of a head once its held-out loss no longer falls.
struct Flatness<'a> {
    config: Option<&'a HeadConfig>,
    before: Option<f64>,
}

impl<'a> Flatness<'a> {
    fn new(config: Option<&'a HeadConfig>) -> Self {
        Self { config, before: None }
    }

    fn is_reached(&mut self, record: &ValidationRecord) -> bool {
        let Some(config) = self.config else { return false };
        let predictions: u64 = record.languages.values().map(|f| f.predictions).sum();
        let nll: f64 = record.languages.values().map(|f| f.loss * f.predictions as f64).sum();
        let loss = nll / predictions.max(1) as f64;
        let before = self.before.replace(loss);
        before.is_some_and(|before| before - loss < config.flat_below * before)
    }
}

impl HeadConfig {
    /// The run that trains the head, within the run `config`.
    pub fn pretrain_config(&self, config: &PretrainConfig) -> PretrainConfig {
        let mut head = config.clone();
        head.length = Length::Steps(self.max_steps);
        head.next_sentence = false;
        head.head = Some(self.clone());
        head.validate_every_steps = self.validate_every_steps;
        head.checkpoint_every_steps = self.validate_every_steps;
        head.keep_checkpoints = 1;
        head.optimizer.learning_rate = self.learning_rate;
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ValidationFigures;

    fn record(loss: f64) -> ValidationRecord {
        let figures = ValidationFigures { loss, predictions: 10, ..ValidationFigures::default() };
        ValidationRecord { step: 1, languages: [("en".to_owned(), figures)].into() }
    }

    #[test]
    fn a_head_is_done_when_its_loss_no_longer_falls() {
        let config = HeadConfig { flat_below: 0.01, ..HeadConfig::default() };
        let mut flat = Flatness::new(Some(&config));
        let losses = [9.0, 5.0, 4.0, 3.97];
        let reached: Vec<bool> =
            losses.iter().map(|&loss| flat.is_reached(&record(loss))).collect();
        assert_eq!(reached, [false, false, false, true]);
    }

    #[test]
    fn a_length_in_characters_or_epochs_comes_to_steps() {
        let samples = SampleSet { num_tokens: 9_000, num_chars: 27_000, ..SampleSet::default() };
        let steps = |length| {
            let config = PretrainConfig { length, ..PretrainConfig::default() };
            // 32 bins a step: 10 steps a pass.
            num_steps(&config, &samples, 320)
        };
        assert_eq!(steps(Length::Steps(7)), 7);
        assert_eq!(steps(Length::Epochs(1.5)), 15);
        assert_eq!(steps(Length::Chars(54_000)), 20);
        assert_eq!(steps(Length::Tokens(4_500)), 5);
    }
}
