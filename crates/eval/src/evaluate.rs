//! All tasks on all models, from directories to results.
//!
//! Owns the order of the work, what is resumed, and how a task's answers become rows. It must not
//! know how a protocol computes.
//!
//! Invariant: a killed evaluation that is started again gives the results of one that was not; no
//! task is left out without a row that says why.

use std::collections::BTreeMap;
use std::path::Path;

use bimed_artifact::{Context, Hash, KeyBuilder, create_private_dir, hash_file};
use bimed_checkpoint::Part;
use bimed_ops::BertOps;
use burn::tensor::Device;
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::config::{EvalConfig, Protocol, TaskConfig};
use crate::data::{Loaded, PairData, Split, load_pairs};
use crate::embed::Embedder;
use crate::masked_words::{MaskedOutcome, MaskedPart, masked_words};
use crate::merge::{PREDICTIONS_FILE, compare_with};
use crate::pair_regression::{PairRegression, PairRun};
use crate::results::{
    DataInfo, Prediction, ResultRow, Results, RunInfo, Status, write_predictions,
};
use crate::scoring::score_predictions;
use crate::{Error, EvalModel, Result};

/// The revision of what a run computes: a higher one makes every run anew.
const REVISION: u32 = 1;

/// Evaluates `models`, (name, directory) each, on every task of `config`, and writes `results.json`,
/// `results.md`, `results.csv` and `predictions.jsonl` into `out`.
///
/// `store` is the token store of `mlm`: models of another vocabulary are skipped there. Differences
/// are taken from the first model. Finished runs are kept in `out` and not done again.
///
/// # Errors
/// When a model or a task's file cannot be read, when a loss is not finite, when asked to stop, and
/// when the file system refuses.
pub fn evaluate(
    models: &[(&str, &Path)],
    config: &EvalConfig,
    store: Option<&Path>,
    ops: &dyn BertOps,
    device: &Device,
    context: &Context<'_>,
    out: &Path,
) -> Result<Results> {
    for (index, (name, _)) in models.iter().enumerate() {
        if models[..index].iter().any(|(other, _)| other == name) {
            return Err(Error::DuplicateModel { name: (*name).to_owned() });
        }
    }
    create_private_dir(out)?;
    let cache = Cache::open(out)?;
    let evaluation = Evaluation { config, store, ops, device, context, cache };
    let tasks = evaluation.prepare()?;
    let mut results = Results::new(env!("CARGO_PKG_VERSION"));
    let mut findings: Vec<Vec<(String, Finding)>> = tasks.iter().map(|_| Vec::new()).collect();
    for (name, dir) in models {
        let mut model = EvalModel::load(name, dir)?;
        for (task, findings) in tasks.iter().zip(&mut findings) {
            findings.push(((*name).to_owned(), evaluation.find(&mut model, task)?));
        }
        results.models.push(model.info);
    }
    let mut predictions = Vec::new();
    for (task, findings) in tasks.iter().zip(findings) {
        results.data.push(task.info());
        assemble(task, findings, config, &mut results, &mut predictions);
    }
    if let [(first, _), _, ..] = models {
        results.comparisons =
            compare_with(&results.models, &predictions, first, &config.bootstrap)?;
    }
    results.write(out)?;
    write_predictions(&out.join(PREDICTIONS_FILE), &predictions)?;
    Ok(results)
}

/// A task with its data.
struct Task<'a> {
    config: &'a TaskConfig,
    data: TaskData,
    /// The hash of all that a task's answers depend on beside the model.
    hash: Hash,
}

enum TaskData {
    Pairs(PairData),
    Store,
    Skipped(String),
}

/// What came of a task on a model.
enum Finding {
    Skipped(String),
    Answers { runs: Vec<RunInfo>, answers: Vec<(Option<u64>, Answers)>, notes: Notes },
    Masked(Vec<MaskedPart>),
}

type Answers = BTreeMap<Split, Vec<f64>>;

/// What is to be known about a row, for all splits or for one.
type Notes = Vec<(Option<Split>, String)>;

/// The answers of `sts.embed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbedRun {
    /// `None` where a sentence's vector is zero or not finite.
    answers: BTreeMap<Split, Vec<Option<f64>>>,
    num_truncated: BTreeMap<Split, u64>,
}

struct Evaluation<'a> {
    config: &'a EvalConfig,
    store: Option<&'a Path>,
    ops: &'a dyn BertOps,
    device: &'a Device,
    context: &'a Context<'a>,
    cache: Cache,
}

impl<'a> Evaluation<'a> {
    fn prepare(&self) -> Result<Vec<Task<'a>>> {
        let prepare = |config: &'a TaskConfig| {
            let data = match config.protocol {
                Protocol::MaskedWords => TaskData::Store,
                Protocol::StsEmbed | Protocol::StsPairRegression => match load_pairs(config)? {
                    Loaded::Ready(data) => TaskData::Pairs(data),
                    Loaded::Skipped(reason) => TaskData::Skipped(reason),
                },
            };
            let hash = self.hash_task(config, &data)?;
            Ok(Task { config, data, hash })
        };
        self.config.tasks.iter().map(prepare).collect()
    }

    /// Names and places do not count, what is in the files does.
    fn hash_task(&self, config: &TaskConfig, data: &TaskData) -> Result<Hash> {
        let mut settings = config.clone();
        settings.name = String::new();
        settings.language = String::new();
        settings.obtain = None;
        for path in [&mut settings.path, &mut settings.train, &mut settings.dev, &mut settings.test]
        {
            *path = None;
        }
        let mut key = KeyBuilder::new("eval task", REVISION);
        key.config("settings", &settings);
        match (data, self.store) {
            (TaskData::Pairs(data), _) => {
                for file in &data.summary.files {
                    key.config("file", &(&file.blake3, &file.num_kept));
                }
            }
            (TaskData::Store, Some(store)) => {
                let mut names = Vec::new();
                for entry in fs::read_dir(store)? {
                    names.push(entry?.file_name());
                }
                names.sort();
                for name in names.iter().filter(|name| store.join(name).is_file()) {
                    key.config("file", &hash_file(&store.join(name))?);
                }
            }
            (TaskData::Store, None) | (TaskData::Skipped(_), _) => {}
        }
        Ok(key.finish())
    }

    fn key(&self, model: &EvalModel, task: &Task<'_>, run: &impl Serialize) -> Hash {
        KeyBuilder::new("eval run", REVISION)
            .config("model", &model.hash)
            .config("task", &task.hash)
            .config("run", run)
            .config("ops", &self.ops.name())
            .finish()
    }

    fn find(&self, model: &mut EvalModel, task: &Task<'_>) -> Result<Finding> {
        self.context.cancel.check()?;
        match (&task.data, task.config.protocol) {
            (TaskData::Skipped(reason), _) => Ok(Finding::Skipped(reason.clone())),
            (TaskData::Pairs(data), Protocol::StsPairRegression) => {
                self.find_by_pair_regression(model, task, data)
            }
            (TaskData::Pairs(data), _) => self.find_by_embedding(model, task, data),
            (TaskData::Store, _) => self.find_by_masking(model, task),
        }
    }

    fn find_by_masking(&self, model: &mut EvalModel, task: &Task<'_>) -> Result<Finding> {
        let outcome = self.cache.get_or_run(&self.key(model, task, &()), || {
            let tokens = self.config.micro_batch_tokens;
            let (config, ops) = (&task.config.mlm, self.ops);
            masked_words(model, self.store, config, tokens, ops, self.device, self.context)
        })?;
        Ok(match outcome {
            MaskedOutcome::Measured(parts) => Finding::Masked(parts),
            MaskedOutcome::Skipped(reason) => Finding::Skipped(reason),
        })
    }

    fn find_by_embedding(
        &self,
        model: &mut EvalModel,
        task: &Task<'_>,
        data: &PairData,
    ) -> Result<Finding> {
        let run: EmbedRun =
            self.cache.get_or_run(&self.key(model, task, &()), || self.embed(model, data))?;
        let mut answers = Answers::new();
        let mut notes = Notes::new();
        for (split, found) in run.answers {
            let Some(found) = found.into_iter().collect() else {
                let reason = "the vector of a sentence is zero or not finite";
                return Ok(Finding::Skipped(reason.to_owned()));
            };
            answers.insert(split, found);
        }
        for (split, count) in run.num_truncated.into_iter().filter(|(_, count)| *count > 0) {
            notes.push((Some(split), format!("{count} sentences were cut")));
        }
        Ok(Finding::Answers { runs: Vec::new(), answers: vec![(None, answers)], notes })
    }

    fn embed(&self, model: &mut EvalModel, data: &PairData) -> Result<EmbedRun> {
        let (network, _) = model.pretraining(0, self.device)?;
        let embedder = Embedder {
            encoder: &network.bert,
            tokenizer: &model.tokenizer,
            max_length: model.config.max_position_embeddings,
            micro_batch_tokens: self.config.micro_batch_tokens,
            ops: self.ops,
            device: self.device,
        };
        let mut run = EmbedRun { answers: BTreeMap::new(), num_truncated: BTreeMap::new() };
        for split in [Split::Dev, Split::Test] {
            let pairs = data.split(split);
            if !pairs.is_empty() {
                let cosines = embedder.cosines(pairs, self.context)?;
                run.answers.insert(split, cosines.values);
                run.num_truncated.insert(split, cosines.num_truncated);
            }
        }
        Ok(run)
    }

    fn find_by_pair_regression(
        &self,
        model: &mut EvalModel,
        task: &Task<'_>,
        data: &PairData,
    ) -> Result<Finding> {
        let protocol = PairRegression {
            task: task.config,
            micro_batch_tokens: self.config.micro_batch_tokens,
            ops: self.ops,
            device: self.device,
        };
        let mut by_rate: Vec<Vec<PairRun>> = Vec::new();
        for &rate in &task.config.pair_reg.learning_rates {
            let mut runs = Vec::new();
            for &seed in &self.config.seeds {
                let key = self.key(model, task, &(rate, seed));
                runs.push(
                    self.cache
                        .get_or_run(&key, || protocol.run(model, data, rate, seed, self.context))?,
                );
            }
            by_rate.push(runs);
        }
        let chosen = best_rate(&by_rate);
        let mut notes = pair_notes(model, task.config, &by_rate[chosen][0]);
        if by_rate.len() > 1 {
            let rate = by_rate[chosen][0].learning_rate;
            notes.push((None, format!("the rate {rate} was chosen on dev")));
        }
        let mut infos = Vec::new();
        let mut answers = Vec::new();
        for (index, runs) in by_rate.into_iter().enumerate() {
            for run in runs {
                infos.push(RunInfo {
                    task: task.config.name.clone(),
                    model: model.info.name.clone(),
                    seed: run.seed,
                    learning_rate: run.learning_rate,
                    is_reported: index == chosen,
                    steps: run.steps,
                    epochs: run.epochs,
                    selected_epoch: run.selected_epoch,
                    num_truncated: run.num_truncated,
                    started_at_random: run.started_at_random,
                });
                if index == chosen {
                    answers.push((Some(run.seed), run.answers));
                }
            }
        }
        Ok(Finding::Answers { runs: infos, answers, notes })
    }
}

/// The learning rate with the highest mean correlation on dev; the first of equals. A rate with an
/// undefined correlation is worse than any other.
fn best_rate(by_rate: &[Vec<PairRun>]) -> usize {
    let mean = |runs: &[PairRun]| -> Option<f64> {
        let sum = runs.iter().map(PairRun::dev_pearson).sum::<Option<f64>>()?;
        Some(sum / runs.len() as f64)
    };
    let mut best = (0, None);
    for (index, runs) in by_rate.iter().enumerate() {
        let mean = mean(runs);
        if mean > best.1 {
            best = (index, mean);
        }
    }
    best.0
}

fn pair_notes(model: &EvalModel, task: &TaskConfig, run: &PairRun) -> Notes {
    let mut notes = Notes::new();
    if !model.has(Part::Pooler) {
        notes.push((None, "the pooler started at random".to_owned()));
    }
    for (&split, &count) in run.num_truncated.iter().filter(|(_, count)| **count > 0) {
        let (of, split) = match split {
            Split::Train => (None, "training "),
            _ => (Some(split), ""),
        };
        notes.push((of, format!("{count} {split}pairs were cut")));
    }
    if task.pair_reg.selects_on_dev() {
        notes.push((Some(Split::Dev), "chosen on these items".to_owned()));
    }
    notes
}

impl Task<'_> {
    fn info(&self) -> DataInfo {
        let summary = match &self.data {
            TaskData::Pairs(data) => serde_json::to_value(&data.summary).unwrap_or_default(),
            TaskData::Store => serde_json::json!({ "settings_and_store": self.hash }),
            TaskData::Skipped(reason) => serde_json::json!({ "skipped": reason }),
        };
        let TaskConfig { name, protocol, language, .. } = self.config;
        DataInfo { task: name.clone(), protocol: *protocol, language: language.clone(), summary }
    }
}

/// Makes the rows of a task of what was found on each model.
fn assemble(
    task: &Task<'_>,
    findings: Vec<(String, Finding)>,
    config: &EvalConfig,
    results: &mut Results,
    predictions: &mut Vec<Prediction>,
) {
    let TaskConfig { name, protocol, .. } = task.config;
    let mut of_task = Vec::new();
    let mut notes_of: BTreeMap<String, Notes> = BTreeMap::new();
    let mut others = Vec::new();
    for (model, finding) in findings {
        match finding {
            Finding::Skipped(reason) => {
                others.push(ResultRow::skipped(name, *protocol, &model, &reason));
            }
            Finding::Masked(parts) => {
                others.extend(parts.iter().flat_map(|part| masked_rows(task.config, &model, part)));
            }
            Finding::Answers { runs, answers, notes } => {
                results.runs.extend(runs);
                for (seed, answers) in &answers {
                    of_task.extend(predictions_of(task, &model, *seed, answers));
                }
                notes_of.insert(model, notes);
            }
        }
    }
    let mut rows = score_predictions(&of_task, &config.bootstrap);
    for row in &mut rows {
        for (split, note) in notes_of.get(&row.model).into_iter().flatten() {
            if split.is_none() || *split == row.split {
                let separator = if row.note.is_empty() { "" } else { "; " };
                row.note.push_str(separator);
                row.note.push_str(note);
            }
        }
    }
    results.rows.extend(rows);
    results.rows.extend(others);
    predictions.extend(of_task);
}

fn predictions_of(
    task: &Task<'_>,
    model: &str,
    seed: Option<u64>,
    answers: &Answers,
) -> Vec<Prediction> {
    let TaskData::Pairs(data) = &task.data else { return Vec::new() };
    let of_split = |(&split, answers): (&Split, &Vec<f64>)| -> Vec<Prediction> {
        let pairs = data.split(split).iter().zip(answers);
        let predictions = pairs.map(|(pair, &prediction)| Prediction {
            task: task.config.name.clone(),
            protocol: task.config.protocol,
            split,
            model: model.to_owned(),
            seed,
            row: pair.row,
            id: pair.id.clone(),
            gold: pair.score,
            prediction,
        });
        predictions.collect()
    };
    answers.iter().flat_map(of_split).collect()
}

fn masked_rows(task: &TaskConfig, model: &str, part: &MaskedPart) -> [ResultRow; 3] {
    let figures = &part.figures;
    let row = |metric: &str, value: f64, num_items: u64| {
        let mut row = ResultRow::skipped(&task.name, task.protocol, model, "");
        row.status = Status::Measured;
        row.part = part.part.clone();
        row.metric = metric.to_owned();
        row.value = (num_items > 0).then_some(value);
        row.num_items = num_items;
        row
    };
    let mut bits = row("bits_per_character", figures.bits_per_character, figures.chars);
    if figures.unknown_chars > 0 {
        bits.note = format!("{} characters under [UNK]", figures.unknown_chars);
    }
    [
        row("loss", figures.loss, figures.predictions),
        row("accuracy", figures.accuracy, figures.predictions),
        bits,
    ]
}

#[cfg(test)]
mod tests;
