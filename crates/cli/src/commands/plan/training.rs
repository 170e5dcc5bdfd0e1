//! What a pretraining would take: steps, memory, disk, time.

use std::path::Path;

use bimed_ops::DeviceKind;
use bimed_train::{HeadConfig, Length, PretrainConfig, SampleSet, num_steps, plan_epoch};
use bimed_vocab::{Split, TokenStore};
use serde::Serialize;

use super::cost::{
    Memory, Scores, checkpoint_bytes, flops_per_token, head_flops_per_token, memory,
    trained_parameters, weights_bytes,
};
use super::figure::Figure;
use super::model::ModelPlan;
use super::speed::{Speed, read_shape};
use super::stages::{StagePlan, Standing, done, wants_head};
use crate::stages::{Stages, encode, head, pretrain};

/// The share of a batch that is text, where the lengths of the documents are not known yet: ours;
/// best-fit packing of thousands of samples leaves less than 3 %.
const ASSUMED_FILL: f64 = 0.97;
/// NFC characters of a token, for a length in characters: ours, of the public experiment's corpus by
/// 32,000 rows.
const CHARS_PER_TOKEN: f64 = 3.5;
/// Bytes a token in a store, beside its id: flags and characters.
const FLAG_BYTES: f64 = 2.0;

/// How the samples of the training split fill their bins.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Packing {
    /// The share of a batch that is text.
    pub(crate) fill: Figure,
    /// Tokens of one pass, special tokens included.
    pub(crate) tokens_per_epoch: Option<Figure>,
    #[serde(skip)]
    steps: Option<u64>,
}

impl Packing {
    /// Counted from the token store where it is there; else from `tokens` of both splits.
    pub(crate) fn new(
        stages: &Stages<'_>,
        plans: &[StagePlan],
        config: &PretrainConfig,
        tokens: Option<Figure>,
    ) -> Self {
        let counted =
            done(plans, encode::STAGE).and_then(|dir| Self::counted(dir, config, stages.seed()));
        counted.unwrap_or_else(|| {
            let valid = stages.experiment().corpus.as_ref();
            let valid = valid.map_or(0.0, |corpus| corpus.config.split.valid_fraction);
            let text = (config.sequence_length - config.num_specials()) as f64;
            let with_specials = (1.0 - valid) * config.sequence_length as f64 / text;
            let tokens = tokens.map(|tokens| tokens.map(|n| n * with_specials).estimated());
            let fill = Figure::estimate(ASSUMED_FILL);
            Self { fill, tokens_per_epoch: tokens, steps: None }
        })
    }

    fn counted(dir: &Path, config: &PretrainConfig, seed: u64) -> Option<Self> {
        let store = TokenStore::open(dir).ok()?;
        let longest = config.sequence_length - config.num_specials();
        let samples = SampleSet::new(&store, Split::Train, longest);
        let bins = plan_epoch(&samples.lengths, config.bin_capacity(), seed, 0).num_bins();
        if bins == 0 {
            return None;
        }
        let specials = (samples.spans.len() * config.num_specials()) as u64;
        let tokens = Figure::exact(samples.num_tokens + specials);
        let fill = tokens.map(|tokens| tokens / (bins * config.sequence_length) as f64);
        let steps = Some(num_steps(config, &samples, bins));
        Some(Self { fill, tokens_per_epoch: Some(tokens), steps })
    }

    /// The steps that `config.length` comes to.
    fn steps(&self, config: &PretrainConfig) -> Option<Figure> {
        if let Some(steps) = self.steps {
            return Some(Figure::exact(steps));
        }
        let per_step = self.fill.map(|fill| fill * config.tokens_per_step as f64);
        let of = |tokens: Figure| {
            tokens.with(per_step, |tokens, per_step| (tokens / per_step).ceil().max(1.0))
        };
        match config.length {
            Length::Steps(steps) => Some(Figure::exact(steps)),
            Length::Tokens(tokens) => Some(of(Figure::exact(tokens))),
            Length::Chars(chars) => Some(of(Figure::estimate(chars as f64 / CHARS_PER_TOKEN))),
            Length::Epochs(epochs) => self.tokens_per_epoch.map(|one| of(one.map(|n| n * epochs))),
        }
    }
}

/// The checkpoints of a run.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct CheckpointsPlan {
    /// Written, step 0 and the last included.
    pub(crate) written: Option<Figure>,
    /// Kept with their moments, besides the weights of step 0.
    pub(crate) kept: Option<Figure>,
    /// Bytes of one with its moments.
    pub(crate) bytes_each: Figure,
    /// Bytes of all that are kept.
    pub(crate) bytes: Option<Figure>,
}

impl CheckpointsPlan {
    fn new(model: &ModelPlan, config: &PretrainConfig, steps: Option<Figure>) -> Self {
        let every = config.checkpoint_every_steps as f64;
        // Step 0, every so many steps, and the last.
        let written = steps.map(|steps| steps.map(|steps| 1.0 + (steps / every).ceil()));
        let keep = config.keep_checkpoints as f64;
        let kept = written.map(|written| written.map(|n| (n - 1.0).min(keep)));
        let each = checkpoint_bytes(&model.shape, config);
        let start = weights_bytes(&model.shape);
        let bytes_each = model.figure(each);
        // As many as are kept is no longer an estimate of the steps.
        let kept = kept.map(|kept| match kept.value >= keep {
            true => Figure::exact(config.keep_checkpoints as u64),
            false => kept,
        });
        let bytes = kept.map(|kept| kept.with(bytes_each, |kept, each| kept * each + start));
        Self { written, kept, bytes_each, bytes }
    }
}

/// The pretraining of an arm.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TrainingPlan {
    /// Of them trained.
    pub(crate) trained_parameters: Figure,
    /// Tokens an optimizer step, padding included.
    pub(crate) tokens_per_step: u64,
    /// Micro-batches an optimizer step.
    pub(crate) micro_batches_per_step: u64,
    /// Tokens a bin.
    pub(crate) sequence_length: u64,
    /// Steps in all.
    pub(crate) steps: Option<Figure>,
    /// Steps that are left.
    pub(crate) steps_left: Option<Figure>,
    /// Tokens of text in all, special tokens included, padding not.
    pub(crate) tokens: Option<Figure>,
    /// Of them left.
    pub(crate) tokens_left: Option<Figure>,
    /// Passes over the training split.
    pub(crate) epochs: Option<Figure>,
    /// How bins are filled.
    #[serde(flatten)]
    pub(crate) packing: Packing,
    /// What is written on the way.
    pub(crate) checkpoints: CheckpointsPlan,
    /// Bytes that are held at a time.
    pub(crate) memory: Memory,
    /// Bytes of the token store, the step-0 model, the checkpoints and the export.
    pub(crate) disk_bytes: Option<Figure>,
    /// Floating-point operations a token.
    pub(crate) flops_per_token: Figure,
    /// In all.
    pub(crate) flops: Option<Figure>,
    /// How fast.
    pub(crate) speed: Speed,
    /// Tokens a second at that speed.
    pub(crate) tokens_per_second: Figure,
    /// Hours that are left.
    pub(crate) hours: Option<Figure>,
    /// Hours for every 100 million tokens.
    pub(crate) hours_per_100m_tokens: Figure,
}

impl TrainingPlan {
    /// Of an arm that trains `model` on `tokens` of both splits.
    pub(crate) fn new(
        stages: &Stages<'_>,
        plans: &[StagePlan],
        model: &ModelPlan,
        tokens: Option<Figure>,
        threads: usize,
    ) -> Option<Self> {
        let config = stages.experiment().pretrain.as_ref()?;
        let packing = Packing::new(stages, plans, config, tokens);
        let plan = plans.iter().find(|plan| plan.stage == pretrain::STAGE)?;
        let steps = match plan.standing {
            Standing::Resumes { steps: Some(steps), .. } => Some(Figure::exact(steps)),
            _ => packing.steps(config),
        };
        let done = match plan.standing {
            Standing::Resumes { step, .. } => step as f64,
            _ => 0.0,
        };
        let is_left = plan.is_left();
        let left = |all: f64| if is_left { (all - done).max(0.0) } else { 0.0 };
        let steps_left = steps.map(|steps| steps.map(left));
        let read = |steps: Figure| {
            let tokens = |steps: f64, fill: f64| steps * fill * config.tokens_per_step as f64;
            // Every step has its own bins.
            steps.with(packing.fill, tokens).estimated()
        };
        let (tokens, tokens_left) = (steps.map(read), steps_left.map(read));
        let epochs = match config.length {
            Length::Epochs(epochs) => Some(Figure::fixed(epochs)),
            _ => tokens
                .zip(packing.tokens_per_epoch)
                .map(|(tokens, one)| tokens.with(one, |tokens, one| tokens / one)),
        };
        let flops_per_token = model.figure(flops_per_token(&model.shape, config));
        let own =
            plan.path.as_deref().filter(|_| matches!(plan.standing, Standing::Resumes { .. }));
        let own = own.and_then(|run| Speed::so_far(run, flops_per_token.value));
        let speed = own.unwrap_or_else(|| speed(stages, model, config, threads));
        let rate = flops_per_token.map(|flops| speed.flops_per_second / flops).estimated();
        let hours = |tokens: Figure| tokens.with(rate, |tokens, rate| tokens / rate / 3600.0);
        let checkpoints = CheckpointsPlan::new(model, config, steps);
        Some(Self {
            trained_parameters: model.figure(trained_parameters(&model.shape, config) as f64),
            tokens_per_step: config.tokens_per_step as u64,
            micro_batches_per_step: (config.tokens_per_step / config.micro_batch_tokens) as u64,
            sequence_length: config.sequence_length as u64,
            memory: memory(&model.shape, config, scores(stages.device)),
            disk_bytes: disk(stages, model, &packing, &checkpoints),
            flops: tokens.map(|tokens| tokens.with(flops_per_token, |tokens, each| tokens * each)),
            hours: tokens_left.map(hours),
            hours_per_100m_tokens: hours(Figure::exact(100_000_000)),
            tokens_per_second: rate,
            steps,
            steps_left,
            tokens,
            tokens_left,
            epochs,
            packing,
            checkpoints,
            flops_per_token,
            speed,
        })
    }
}

/// How the operations of `device` keep the attention's scores.
fn scores(device: DeviceKind) -> Scores {
    match device.ops().name() {
        "reference" => Scores::Kept,
        _ => Scores::Recomputed,
    }
}

/// Measured where an earlier run of the shape is in the store.
pub(crate) fn speed(
    stages: &Stages<'_>,
    model: &ModelPlan,
    config: &PretrainConfig,
    threads: usize,
) -> Speed {
    let (device, precision) = (stages.device, config.precision);
    Speed::measured(stages.store, device, &model.shape, precision)
        .unwrap_or_else(|| Speed::assumed(device, threads, precision))
}

fn disk(
    stages: &Stages<'_>,
    model: &ModelPlan,
    packing: &Packing,
    checkpoints: &CheckpointsPlan,
) -> Option<Figure> {
    let weights = model.figure(weights_bytes(&model.shape));
    let copies = 1.0 + f64::from(u8::from(stages.experiment().export.is_some()));
    let id_bytes = if model.shape.vocab_size <= 1 << 16 { 2.0 } else { 4.0 };
    let tokens = packing.tokens_per_epoch;
    let store = tokens.map(|tokens| tokens.map(|n| n * (id_bytes + FLAG_BYTES)).estimated());
    Figure::total([Some(weights.map(|bytes| bytes * copies)), store, checkpoints.bytes])
}

/// The training of a head for the arm's base.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HeadPlan {
    /// Steps at most: it ends when the held-out loss is flat.
    pub(crate) most_steps: u64,
    /// Tokens of text at most.
    pub(crate) tokens: Figure,
    /// Hours at most that are left.
    pub(crate) hours: Figure,
}

impl HeadPlan {
    /// Of an arm whose base has none, or may have none.
    pub(crate) fn new(
        stages: &Stages<'_>,
        plans: &[StagePlan],
        model: &ModelPlan,
        threads: usize,
    ) -> Option<Self> {
        let pretrain = stages.experiment().pretrain.as_ref()?;
        let head: &HeadConfig = pretrain.head.as_ref().filter(|_| wants_head(stages))?;
        let plan = plans.iter().find(|plan| plan.stage == head::STAGE)?;
        let config = head.pretrain_config(pretrain);
        // On the base's own vocabulary.
        let base = stages.experiment().transplant.as_ref()?.base.as_deref()?;
        let shape = read_shape(base).unwrap_or(model.shape);
        let step = match plan.standing {
            Standing::Resumes { step, .. } => step,
            _ => 0,
        };
        let left = if plan.is_left() { head.max_steps.saturating_sub(step) } else { 0 };
        let per_step = ASSUMED_FILL * config.tokens_per_step as f64;
        let speed = speed(stages, model, &config, threads);
        let seconds = per_step * head_flops_per_token(&shape, &config) / speed.flops_per_second;
        Some(Self {
            most_steps: head.max_steps,
            tokens: Figure::estimate(head.max_steps as f64 * per_step),
            hours: Figure::estimate(left as f64 * seconds / 3600.0),
        })
    }
}
