//! The training loop.

use std::collections::BTreeMap;
use std::time::Instant;

use bimed_artifact::{Context, Hash, Unit};
use bimed_bert::{BertForPreTraining, Counters, Pass, load_weights, set_trained, take_gradients};
use bimed_checkpoint::Weights;
use bimed_ops::{BertOps, Tuning};
use burn::tensor::{Device, Tensor};

use crate::checkpoint::{Checkpoints, TrainState};
use crate::data::batch::{DeviceBatch, PackedBatch};
use crate::data::loader::{Loader, StepData};
use crate::data::validation::ValidationSet;
use crate::optimizer::AdamW;
use crate::run_log::{LogRecord, RunLog, TrainRecord, ValidationRecord};
use crate::schedule::Schedule;
use crate::validate::validate;
use crate::{Cursor, Error, PretrainConfig, Result};

/// Which parameters a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Model,
    /// The masked-language-model head alone; the body is frozen and computes without dropout.
    Head,
}

/// Steps after a start that are awaited one by one. In these the device claims all the memory that a
/// step takes, the moments' too; what it cannot have is said at once, and before anything is saved.
const AWAITED_STEPS: u64 = 3;

/// A run: model, optimizer and everything the loop looks at.
pub(crate) struct Trainer<'a> {
    pub(crate) config: &'a PretrainConfig,
    pub(crate) seed: u64,
    pub(crate) scope: Scope,
    pub(crate) ops: &'a dyn BertOps,
    pub(crate) device: Device,
    pub(crate) schedule: Schedule,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) sets: BTreeMap<String, ValidationSet>,
    pub(crate) log: RunLog,
    pub(crate) model: Option<BertForPreTraining>,
    pub(crate) optimizer: AdamW,
    pub(crate) state: TrainState,
    pub(crate) context: Context<'a>,
    /// Held for what it does: the choices of the run's own.
    pub(crate) _tuning: Option<Tuning>,
}

/// Sums over the steps since the last record, left on the device until it is written.
struct Meter {
    since: Instant,
    loss: Option<Tensor<1>>,
    correct: Option<Tensor<1>>,
    next_sentence: Option<Tensor<1>>,
    predictions: usize,
    samples: usize,
    tokens: usize,
    capacity: usize,
}

impl Meter {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            loss: None,
            correct: None,
            next_sentence: None,
            predictions: 0,
            samples: 0,
            tokens: 0,
            capacity: 0,
        }
    }
}

fn add(sum: &mut Option<Tensor<1>>, value: Tensor<1>) {
    *sum = Some(match sum.take() {
        Some(sum) => sum + value,
        None => value,
    });
}

/// A step's data, on the device already.
pub(crate) struct Ready {
    data: StepData,
    on_device: Vec<DeviceBatch>,
}

impl Ready {
    pub(crate) fn upload(data: StepData, device: &Device) -> Self {
        let on_device = data.batches.iter().map(|batch| batch.upload(device)).collect();
        Self { data, on_device }
    }
}

impl Trainer<'_> {
    /// Trains until `total_steps`, validating, logging and saving on the way. `is_flat` may end the
    /// run after a validation.
    pub(crate) fn train(
        &mut self,
        loader: Loader<'_>,
        mut is_flat: impl FnMut(&ValidationRecord) -> bool,
    ) -> Result<()> {
        if self.state.step == 0 {
            self.validate()?;
            self.save()?;
        }
        let left = self.state.total_steps - self.state.step;
        self.context.progress.begin("pretrain", Some(self.state.total_steps), Unit::Steps);
        self.context.progress.advance(self.state.step);
        let cursor = self.state.cursor;
        let device = self.device.clone();
        let upload = move |data| Ready::upload(data, &device);
        let first = self.state.step;
        let result = loader.ahead(cursor, left, upload, |steps| {
            let mut meter = Meter::new();
            for ready in steps {
                if let Err(cancelled) = self.context.cancel.check() {
                    self.save()?; // Nothing of an interrupted run is done again.
                    return Err(cancelled.into());
                }
                let epochs = ready.data.epochs;
                let norm = self.step(ready, &mut meter);
                if self.state.step <= first + AWAITED_STEPS {
                    self.ops.read(norm.clone())?;
                }
                self.context.progress.advance(1);
                if self.is_due(self.config.log_every_steps) {
                    self.record(&mut meter, norm, epochs)?;
                }
                let mut done = false;
                if self.is_due(self.config.validate_every_steps) {
                    done = is_flat(&self.validate()?);
                    meter.since = Instant::now();
                }
                if done {
                    self.state.total_steps = self.state.step;
                }
                if done || self.is_due(self.config.checkpoint_every_steps) {
                    self.save()?;
                    meter.since = Instant::now();
                }
                if done {
                    break;
                }
            }
            Ok(())
        });
        self.context.progress.end();
        result
    }

    /// Takes `steps` steps of two micro-batches, without saving or logging: whether the device can.
    pub(crate) fn rehearse(&mut self, mut loader: Loader<'_>, steps: u64) -> Result<()> {
        for _ in 0..steps {
            let mut data = loader.step(self.state.cursor);
            data.batches.truncate(2);
            let norm = self.step(Ready::upload(data, &self.device), &mut Meter::new());
            self.ops.read(norm)?;
        }
        Ok(())
    }

    /// Whether something that is done every `steps` is due; the last step is always due.
    fn is_due(&self, steps: u64) -> bool {
        self.state.step.is_multiple_of(steps) || self.state.step == self.state.total_steps
    }

    /// One optimizer step: gradients of all micro-batches, divided once by all predictions.
    fn step(&mut self, ready: Ready, meter: &mut Meter) -> Tensor<1> {
        let Ready { data, on_device } = ready;
        let predictions: usize = data.batches.iter().map(|batch| batch.num_masked).sum();
        let pairs = |batch: &PackedBatch| batch.sample_weights.iter().sum::<f32>() as usize;
        let samples: usize = data.batches.iter().map(pairs).sum();
        let mut gradients: BTreeMap<String, Tensor<1>> = BTreeMap::new();
        let mut first_row = 0;
        for (batch, on_device) in data.batches.iter().zip(on_device) {
            let shares = self.gradients(on_device, first_row, predictions, samples, meter);
            for (path, gradient) in shares {
                let sum = gradients.remove(&path).map(|sum| sum + gradient.clone());
                gradients.insert(path, sum.unwrap_or(gradient));
            }
            first_row += batch.ids.len() as u64;
            meter.tokens += batch.num_tokens;
            meter.capacity += batch.ids.len();
            self.state.tokens += batch.num_tokens as u64;
        }
        meter.predictions += predictions;
        meter.samples += samples;
        let rate = self.schedule.rate(self.state.step);
        #[expect(clippy::expect_used, reason = "put back three lines below")]
        let model = self.model.take().expect("the model is here between steps");
        let (model, norm) = self.optimizer.step(model, gradients, rate, self.ops);
        self.model = Some(model);
        self.state.step += 1;
        self.state.cursor = data.next;
        norm
    }

    /// The gradients of one micro-batch's share of the step's loss.
    fn gradients(
        &self,
        batch: DeviceBatch,
        first_row: u64,
        predictions: usize,
        samples: usize,
        meter: &mut Meter,
    ) -> BTreeMap<String, Tensor<1>> {
        let model = self.model();
        let counters = Counters { seed: self.seed, step: self.state.step, first_row };
        let body = match self.scope {
            Scope::Model => Pass::train(self.ops, counters),
            Scope::Head => Pass::evaluate(self.ops),
        };
        let hidden = model.bert.forward(&batch.ids, &batch.packing, body);
        let head = &model.predictions;
        let rows = head.transform(hidden.clone(), &batch.masked_rows, body);
        let (labels, weights) = (batch.labels, batch.label_weights);
        let entropy = head.loss(rows, model.decoder(), labels, weights.clone(), body);
        add(&mut meter.loss, entropy.loss_sum.clone().inner());
        add(&mut meter.correct, (entropy.correct * weights.inner()).sum());
        let mut loss = entropy.loss_sum / predictions.max(1) as f64;
        if self.config.next_sentence && samples > 0 {
            let pooled = model.bert.pooler.forward(hidden, &batch.first_tokens, body);
            let (labels, weights) = (batch.sample_labels, batch.sample_weights);
            let entropy = model.seq_relationship.loss(pooled, labels, weights, body);
            add(&mut meter.next_sentence, entropy.loss_sum.clone().inner());
            loss = loss + entropy.loss_sum / samples as f64;
        }
        take_gradients(model, &mut loss.backward())
    }

    fn model(&self) -> &BertForPreTraining {
        #[expect(clippy::expect_used, reason = "taken and put back within `step`")]
        self.model.as_ref().expect("the model is here between steps")
    }

    /// Reads what the meter holds and writes it down.
    fn record(&mut self, meter: &mut Meter, norm: Tensor<1>, epoch: f64) -> Result<()> {
        let done = std::mem::replace(meter, Meter::new());
        let read = |sum: Option<Tensor<1>>| -> Result<f64> {
            Ok(sum.map(|sum| self.ops.read(sum)).transpose()?.map_or(0.0, |sum| f64::from(sum[0])))
        };
        let loss = read(done.loss)? / done.predictions.max(1) as f64;
        let grad_norm = read(Some(norm))?;
        if !loss.is_finite() || !grad_norm.is_finite() {
            return Err(Error::NotFinite { step: self.state.step });
        }
        // Everything above is read, so the device has finished: the time is the steps' own.
        let seconds = done.since.elapsed().as_secs_f64();
        let next_sentence = read(done.next_sentence)?;
        let next_sentence_loss = (done.samples > 0).then(|| next_sentence / done.samples as f64);
        let record = TrainRecord {
            step: self.state.step,
            loss,
            next_sentence_loss,
            accuracy: read(done.correct)? / done.predictions.max(1) as f64,
            learning_rate: self.schedule.rate(self.state.step - 1),
            grad_norm,
            epoch,
            tokens: self.state.tokens,
            predictions: done.predictions as u64,
            fill: done.tokens as f64 / done.capacity.max(1) as f64,
            tokens_per_second: done.tokens as f64 / seconds,
        };
        self.context.progress.status(&format!(
            "loss {loss:.4}, {:.0} tokens/s, rate {:.2e}",
            record.tokens_per_second, record.learning_rate
        ));
        self.log.push(&LogRecord::Train(record))
    }

    /// Scores every language and writes it down.
    fn validate(&mut self) -> Result<ValidationRecord> {
        let cancel = self.context.cancel;
        let languages = validate(self.model(), &self.sets, self.ops, &self.device, cancel)?;
        let record = ValidationRecord { step: self.state.step, languages };
        for (language, figures) in &record.languages {
            self.context.progress.note(&format!(
                "step {}: {language} held-out loss {:.4}, accuracy {:.3}, {:.3} bits per character",
                record.step, figures.loss, figures.accuracy, figures.bits_per_character
            ));
        }
        self.log.push(&LogRecord::Validation(record.clone()))?;
        Ok(record)
    }

    fn save(&self) -> Result<()> {
        self.checkpoints.save(self.model(), &self.optimizer, &self.state)?;
        self.checkpoints.prune(self.config.keep_checkpoints)
    }
}

/// The state of a run's newest checkpoint, or that of its start.
pub(crate) fn latest(
    checkpoints: &Checkpoints,
    run: &Hash,
    total_steps: u64,
) -> Result<TrainState> {
    let fresh =
        TrainState { step: 0, total_steps, cursor: Cursor::default(), tokens: 0, run: run.clone() };
    Ok(checkpoints.latest(run)?.unwrap_or(fresh))
}

/// The model and optimizer of the checkpoint of `state`, or a start from `base`.
pub(crate) fn restore(
    checkpoints: &Checkpoints,
    state: &TrainState,
    zeros: BertForPreTraining,
    base: &Weights,
    config: &PretrainConfig,
    scope: Scope,
) -> Result<(BertForPreTraining, AdamW)> {
    let saved = if state.step > 0 { Some(checkpoints.load(state.step)?) } else { None };
    let weights = saved.as_ref().map_or(base, |(weights, _)| weights);
    let model = load_weights(zeros, weights)?;
    let model = set_trained(model, |name| match scope {
        Scope::Model => config.next_sentence || !is_next_sentence(&name.path),
        Scope::Head => name.path.starts_with("predictions."),
    });
    let optimizer = match saved {
        Some((_, moments)) => {
            let device = bimed_bert::device_of(&model).inner();
            let settings = config.optimizer.clone();
            AdamW::from_weights(settings, &model, moments, state.step, &device)?
        }
        None => AdamW::new(config.optimizer.clone()),
    };
    Ok((model, optimizer))
}

/// Parameters that only the next-sentence loss reaches.
fn is_next_sentence(path: &str) -> bool {
    path.starts_with("seq_relationship.") || path.starts_with("bert.pooler.")
}
