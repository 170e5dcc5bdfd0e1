//! `sts.pair_reg`: a pair of sentences to one score, fine-tuned.
//!
//! Owns a run of fine-tuning: the pairs as tokens, the loss, the loop, the choice of the epoch. It
//! must not know where the pairs come from, nor what becomes of the answers.
//!
//! Invariant: a run is a function of the model, the pairs, the settings and the seed. The order of
//! the pairs is one of (seed, epoch, index), dropout of (seed, step, site, row).

use std::collections::BTreeMap;

use bimed_artifact::{Context, Unit};
use bimed_bert::{BertForSequence, Counters, Pass, take_gradients, to_host};
use bimed_ops::BertOps;
use bimed_train::{AdamW, Decay, OptimizerConfig, Sample, Schedule, ScheduleConfig};
use bimed_vocab::Tokenizer;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::batch::{ItemBatch, pack, pack_step};
use crate::config::{PairRegressionConfig, Selection, TaskConfig};
use crate::data::{PairData, Split, TextPair};
use crate::metrics::pearson;
use crate::random::counter_hash;
use crate::{Error, EvalModel, Result};

/// A split of a task as tokens.
#[derive(Debug, Default)]
struct Encoded {
    samples: Vec<Sample>,
    /// Gold scores, 0 to 1.
    targets: Vec<f32>,
    num_truncated: u64,
}

/// One epoch of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u32,
    /// The mean squared error of the training pairs, on scores of 0 to 1, dropout on.
    pub train_loss: f64,
    /// Pearson's correlation on dev after the epoch, where there is a dev split and it is defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_pearson: Option<f64>,
}

/// What a run of fine-tuning gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairRun {
    /// The highest learning rate.
    pub learning_rate: f64,
    /// The seed.
    pub seed: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Epoch by epoch.
    pub epochs: Vec<EpochRecord>,
    /// The epoch that is reported.
    pub selected_epoch: u32,
    /// Pairs that were cut to `max_length`, by split.
    pub num_truncated: BTreeMap<Split, u64>,
    /// Tensors that started at random because the model lacks them; the classifier always does.
    pub started_at_random: Vec<String>,
    /// Answers on the file's scale, in the order of the pairs, by split: dev and test.
    pub answers: BTreeMap<Split, Vec<f64>>,
}

impl PairRun {
    /// The correlation on dev of the epoch that is reported.
    pub fn dev_pearson(&self) -> Option<f64> {
        self.epochs.iter().find(|record| record.epoch == self.selected_epoch)?.dev_pearson
    }
}

/// What a run computes with, and its settings.
#[derive(Debug, Clone, Copy)]
pub struct PairRegression<'a> {
    /// The task: the range of its scores, and `pair_reg`.
    pub task: &'a TaskConfig,
    /// Tokens on the device at a time.
    pub micro_batch_tokens: usize,
    /// The operations.
    pub ops: &'a dyn BertOps,
    /// Without autodiff.
    pub device: &'a Device,
}

impl PairRegression<'_> {
    /// Fine-tunes `model` on `data` and answers dev and test with the epoch selected.
    ///
    /// # Errors
    /// When the weights do not fit the model, the loss is not finite, or asked to stop.
    pub fn run(
        &self,
        model: &mut EvalModel,
        data: &PairData,
        learning_rate: f64,
        seed: u64,
        context: &Context<'_>,
    ) -> Result<PairRun> {
        let splits = [Split::Train, Split::Dev, Split::Test];
        let encoded = splits.map(|split| self.encode(model, data.split(split)));
        let counts = splits.iter().zip(&encoded).filter(|(_, split)| !split.samples.is_empty());
        let num_truncated = counts.map(|(&split, of)| (split, of.num_truncated)).collect();
        let [train, dev, test] = encoded;
        let device = self.device.clone().autodiff();
        let (mut start, started_at_random) = model.sequence(1, seed, &device)?;
        start.classifier.dropout = self.config().head_dropout_prob;
        let pad = model.tokenizer.vocab().specials().pad;
        let mut tuning = Tuning::new(self, start, &train, (learning_rate, seed), pad, &device);
        let (chosen, epochs) = tuning.train(&dev, context)?;
        let test_answers = self.answer(&chosen.model, &test, pad, context)?;
        let mut answers = BTreeMap::new();
        for (split, found) in [(Split::Dev, chosen.dev_answers), (Split::Test, test_answers)] {
            if !found.is_empty() {
                let found = found.into_iter().map(|answer| self.on_scale(answer));
                answers.insert(split, found.collect());
            }
        }
        let (steps, selected_epoch) = (tuning.step, chosen.epoch);
        Ok(PairRun {
            learning_rate,
            seed,
            steps,
            epochs,
            selected_epoch,
            num_truncated,
            started_at_random,
            answers,
        })
    }

    fn config(&self) -> &PairRegressionConfig {
        &self.task.pair_reg
    }

    fn encode(&self, model: &EvalModel, pairs: &[TextPair]) -> Encoded {
        let max_length = self.config().max_length.min(model.config.max_position_embeddings);
        let last_type = model.config.type_vocab_size.min(2) - 1;
        let (low, high) = (self.task.min_score, self.task.max_score);
        let mut encoded = Encoded::default();
        for pair in pairs {
            let (sample, is_truncated) =
                pair_sample(&model.tokenizer, &pair.s1, &pair.s2, max_length, last_type as u8);
            encoded.num_truncated += u64::from(is_truncated);
            encoded.samples.push(sample);
            encoded.targets.push(((pair.score - low) / (high - low)) as f32);
        }
        encoded
    }

    /// A score of the task's range.
    fn on_scale(&self, answer: f32) -> f64 {
        self.task.min_score + f64::from(answer) * (self.task.max_score - self.task.min_score)
    }

    /// The model's answers, 0 to 1 as the targets are, in the order of the pairs.
    fn answer(
        &self,
        model: &BertForSequence,
        split: &Encoded,
        pad: u32,
        context: &Context<'_>,
    ) -> Result<Vec<f32>> {
        let items: Vec<usize> = (0..split.samples.len()).collect();
        let mut answers = vec![0.0; items.len()];
        for ItemBatch { batch, items } in pack(&items, &split.samples, self.micro_batch_tokens, pad)
        {
            context.cancel.check()?;
            let on_device = batch.upload(self.device);
            let first_tokens = &on_device.first_tokens;
            let pass = Pass::evaluate(self.ops);
            let output = model.forward(&on_device.ids, &on_device.packing, first_tokens, pass);
            for (item, answer) in items.iter().zip(to_host(output.reshape([items.len()]))) {
                answers[*item] = answer;
            }
        }
        Ok(answers)
    }
}

/// `[CLS] s1 [SEP] s2 [SEP]` in at most `max_length` tokens, and whether it was cut.
fn pair_sample(
    tokenizer: &Tokenizer,
    s1: &str,
    s2: &str,
    max_length: usize,
    second_type: u8,
) -> (Sample, bool) {
    let specials = tokenizer.vocab().specials();
    let (mut first, mut second) = (tokenizer.encode(s1), tokenizer.encode(s2));
    let whole = (first.len(), second.len());
    let kept = longest_first(whole.0, whole.1, max_length - 3);
    first.truncate(kept.0);
    second.truncate(kept.1);
    let mut ids = vec![specials.cls];
    ids.extend(first);
    ids.push(specials.sep);
    let mut types = vec![0; ids.len()];
    ids.extend(second);
    ids.push(specials.sep);
    types.resize(ids.len(), second_type);
    (Sample { ids, types, ..Sample::default() }, kept != whole)
}

/// The lengths that two texts are cut to so that both fit `room`: the longer one first.
///
/// Source: `TruncationStrategy::LongestFirst` of Hugging Face tokenizers, where of two that are
/// both too long the longer one gets the odd token.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let shorter = first.min(second).min(room / 2);
    if first > second { (room - shorter, shorter) } else { (shorter, room - shorter) }
}

/// A run in progress.
struct Tuning<'a> {
    protocol: &'a PairRegression<'a>,
    train: &'a Encoded,
    seed: u64,
    pad: u32,
    /// With autodiff.
    device: Device,
    schedule: Schedule,
    optimizer: AdamW,
    model: Option<BertForSequence>,
    step: u64,
}

/// The model of an epoch, without autodiff.
struct Candidate {
    model: BertForSequence,
    epoch: u32,
    dev_answers: Vec<f32>,
    dev_pearson: Option<f64>,
}

impl<'a> Tuning<'a> {
    fn new(
        protocol: &'a PairRegression<'a>,
        model: BertForSequence,
        train: &'a Encoded,
        (learning_rate, seed): (f64, u64),
        pad: u32,
        device: &Device,
    ) -> Self {
        let config = protocol.config();
        let steps = train.samples.len().div_ceil(config.batch_size) as u64;
        let total = steps * u64::from(config.epochs);
        let shape = ScheduleConfig {
            warmup_steps: None,
            warmup_fraction: config.warmup_fraction,
            decay: Decay::Linear,
        };
        let optimizer = OptimizerConfig {
            learning_rate,
            // Source: PyTorch's AdamW, as KLUE's baseline and most fine-tuning of BERT use it.
            epsilon: 1e-8,
            weight_decay: config.weight_decay,
            max_grad_norm: config.max_grad_norm,
            ..OptimizerConfig::default()
        };
        Self {
            protocol,
            train,
            seed,
            pad,
            device: device.clone(),
            schedule: Schedule::new(&shape, learning_rate, total),
            optimizer: AdamW::new(optimizer),
            model: Some(model),
            step: 0,
        }
    }

    /// All epochs; the one that is reported.
    fn train(
        &mut self,
        dev: &Encoded,
        context: &Context<'_>,
    ) -> Result<(Candidate, Vec<EpochRecord>)> {
        let config = self.protocol.config();
        let pairs = self.train.samples.len() as u64 * u64::from(config.epochs);
        let name = format!("fine-tune {}, seed {}", self.protocol.task.name, self.seed);
        context.progress.begin(&name, Some(pairs), Unit::Items);
        let mut records = Vec::new();
        let mut chosen: Option<Candidate> = None;
        for epoch in 1..=config.epochs {
            let train_loss = self.epoch(epoch, context)?;
            let model = self.model().valid();
            let dev_answers = self.protocol.answer(&model, dev, self.pad, context)?;
            let dev_pearson = pearson(&wide(&dev.targets), &wide(&dev_answers));
            records.push(EpochRecord { epoch, train_loss, dev_pearson });
            context.progress.status(&format!(
                "epoch {epoch}: loss {train_loss:.4}, dev {}",
                dev_pearson.map_or("–".to_owned(), |pearson| format!("{pearson:.4}"))
            ));
            let candidate = Candidate { model, epoch, dev_answers, dev_pearson };
            let is_better = chosen.as_ref().is_none_or(|best| match config.selection {
                Selection::LastEpoch => true,
                // An undefined correlation is worse than any.
                Selection::DevPearson => candidate.dev_pearson > best.dev_pearson,
            });
            if is_better {
                chosen = Some(candidate);
            }
        }
        context.progress.end();
        #[expect(clippy::expect_used, reason = "the config's range has one epoch at least")]
        Ok((chosen.expect("one epoch"), records))
    }

    /// One pass over the training pairs; their mean squared error.
    fn epoch(&mut self, epoch: u32, context: &Context<'_>) -> Result<f64> {
        let mut order: Vec<usize> = (0..self.train.samples.len()).collect();
        let place = |item: usize| counter_hash(self.seed, u64::from(epoch), item as u64);
        order.sort_by_cached_key(|&item| (place(item), item));
        let mut squares: Option<Tensor<1>> = None;
        for items in order.chunks(self.protocol.config().batch_size) {
            context.cancel.check()?;
            let sum = self.update(items);
            squares = Some(squares.map_or_else(|| sum.clone(), |squares| squares + sum.clone()));
            context.progress.advance(items.len() as u64);
        }
        let sum = squares.map_or(0.0, |squares| f64::from(to_host(squares)[0]));
        let loss = sum / order.len() as f64;
        if !loss.is_finite() {
            let (task, seed) = (self.protocol.task.name.clone(), self.seed);
            return Err(Error::NotFinite { task, seed, epoch });
        }
        Ok(loss)
    }

    /// One optimizer step on `items`; the sum of their squared errors, `[1]`.
    fn update(&mut self, items: &[usize]) -> Tensor<1> {
        let max_tokens = self.protocol.micro_batch_tokens;
        let (mut gradients, mut squares) = (BTreeMap::new(), None);
        let (mut first_token, mut first_sample) = (0, 0);
        for batch in pack_step(items, &self.train.samples, max_tokens, self.pad) {
            let of_step = |first_row| Counters { seed: self.seed, step: self.step, first_row };
            let pass = |first_row| Pass::train(self.protocol.ops, of_step(first_row));
            let passes = [pass(first_token), pass(first_sample)];
            let targets: Vec<f32> = batch.items.iter().map(|&i| self.train.targets[i]).collect();
            let sum = squared_errors(self.model(), &batch, &targets, passes, &self.device);
            let loss = sum.clone() / items.len() as f64;
            for (path, gradient) in take_gradients(self.model(), &mut loss.backward()) {
                add(gradients.entry(path).or_insert(None), gradient);
            }
            add(&mut squares, sum.inner());
            first_token += batch.batch.ids.len() as u64;
            first_sample += batch.items.len() as u64;
        }
        let gradients = gradients.into_iter().filter_map(|(path, sum)| Some((path, sum?)));
        let rate = self.schedule.rate(self.step);
        #[expect(clippy::expect_used, reason = "put back two lines below")]
        let model = self.model.take().expect("the model is here between steps");
        let (model, _) = self.optimizer.step(model, gradients.collect(), rate, self.protocol.ops);
        self.model = Some(model);
        self.step += 1;
        #[expect(clippy::expect_used, reason = "a chunk has one item at least")]
        squares.expect("a batch")
    }

    fn model(&self) -> &BertForSequence {
        #[expect(clippy::expect_used, reason = "taken and put back within `update`")]
        self.model.as_ref().expect("the model is here between steps")
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn add(sum: &mut Option<Tensor<1>>, value: Tensor<1>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + value,
        None => value,
    });
}

/// `Σ (answer − target)²` over a batch: the body's pass counts tokens, the classifier's samples.
///
/// # Shapes
/// `targets`: `[samples]` → `[1]`
fn squared_errors(
    model: &BertForSequence,
    batch: &ItemBatch,
    targets: &[f32],
    [body, head]: [Pass<'_>; 2],
    device: &Device,
) -> Tensor<1> {
    let on_device = batch.batch.upload(device);
    let hidden = model.bert.forward(&on_device.ids, &on_device.packing, body);
    let pooled = model.bert.pooler.forward(hidden, &on_device.first_tokens, body);
    let answers = model.classifier.forward(pooled, head).reshape([targets.len()]);
    let targets: Tensor<1> =
        Tensor::from_data(TensorData::new(targets.to_vec(), [targets.len()]), device);
    (answers - targets).square().sum()
}

#[cfg(test)]
mod tests;
