//! Models and tasks → figures: those of an arm, and of all arms side by side.
//!
//! One artifact answers one task for one model, whatever the model is called; names are put in when
//! the answers are joined. So a base that several arms share is asked once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bimed_artifact::{Hash, create_private_dir, hash_file};
use bimed_eval::{
    EvalConfig, Evaluated, Protocol, ResultRow, Results, Status, TaskConfig, evaluate, merge,
    write_predictions,
};
use fs_err as fs;
use serde_json::{Value, json};

use super::encode::Encoding;
use super::head::Head;
use super::recipe::{Recipe, RecipeBuilder, Upstream};
use super::survey::model_dir;
use super::training::trained_model;
use super::workshop::Workshop;
use super::{Stages, corpus, export, pretrain, transplant, vocab};
use crate::sections::Corpus;

/// The stage's name in the store, and that of the directory of an arm's results.
pub(crate) const STAGE: &str = "eval";
/// The form of its output.
const REVISION: u32 = 1;

/// The file of the answers.
pub(crate) const PREDICTIONS_FILE: &str = "predictions.jsonl";
/// What `bimed-eval` goes on from; of no use in a finished artifact.
const CACHE_DIR: &str = "cache";
/// The name that every model has in the store.
const ANY_MODEL: &str = "model";

/// A model that is asked.
#[derive(Debug, Clone)]
struct Subject {
    label: String,
    /// By the hash of its files.
    model: Upstream,
    /// A model with the same encoder and pooler, asked in its place where its head does not count.
    encoder: Upstream,
    tokenizer: Upstream,
    /// Whether it is there for its masked-word head alone.
    is_head: bool,
}

impl Subject {
    /// What is asked a task of `protocol`.
    fn asked(&self, protocol: Protocol) -> &Upstream {
        match protocol {
            Protocol::MaskedWords => &self.model,
            Protocol::StsEmbed | Protocol::StsPairRegression => &self.encoder,
        }
    }
}

/// One task for one model.
#[derive(Debug)]
pub(crate) struct Question {
    subject: Subject,
    task: TaskConfig,
    tokens: Option<Encoding>,
    /// What decides the answers.
    pub(crate) recipe: Recipe,
}

/// What one model answered so far.
#[derive(Debug, Clone)]
struct Answers {
    label: String,
    model: Hash,
    tasks: Vec<Hash>,
    found: Evaluated,
}

/// The answers of all arms.
#[derive(Debug, Default)]
pub(crate) struct Evaluation {
    artifacts: BTreeMap<Hash, Evaluated>,
    all: Vec<Answers>,
}

/// What was written for an arm or for all of them.
#[derive(Debug)]
pub(crate) struct Written {
    /// Where.
    pub(crate) dir: PathBuf,
    /// What.
    pub(crate) results: Results,
}

impl Evaluation {
    /// Asks the arm's models, or finds what they answered, and writes the arm's results.
    pub(crate) fn make(
        &mut self,
        stages: &Stages<'_>,
        workshop: &mut Workshop<'_>,
    ) -> anyhow::Result<Written> {
        let config = config(stages)?;
        if let Some((_, section)) = held_out(stages)? {
            corpus::make(workshop, stages.survey, section)?;
        }
        let mut of_arm: Vec<Answers> = Vec::new();
        for question in questions(stages, workshop)? {
            let Subject { label, model, .. } = &question.subject;
            let (label, model) = (label.clone(), model.hash.clone());
            let key = question.recipe.key.clone();
            if !self.artifacts.contains_key(&key) {
                let found = ask(stages, workshop, question)?;
                self.artifacts.insert(key.clone(), found);
            }
            let found = named(&self.artifacts[&key], &label);
            join(&mut of_arm, Answers::new(&label, &model, key, found));
        }
        for answers in &of_arm {
            self.take_in(answers, &stages.arm.name);
        }
        let dir = stages.experiment().arm_directory(&stages.arm.name).join(STAGE);
        written(dir, of_arm, config)
    }

    /// Writes the results of all arms side by side; nothing where none was evaluated. Differences
    /// are from the first model of the first arm: the base, where there is one.
    pub(crate) fn write(self, dir: &Path, config: &EvalConfig) -> anyhow::Result<Option<Written>> {
        if self.all.is_empty() {
            return Ok(None);
        }
        written(dir.to_path_buf(), self.all, config).map(Some)
    }

    /// One row a model: arms share a base, but may name two of them alike.
    fn take_in(&mut self, answers: &Answers, arm: &str) {
        let is_other =
            |known: &Answers| known.label == answers.label && known.model != answers.model;
        let mut answers = answers.clone();
        if self.all.iter().any(is_other) {
            answers.label = format!("{} of {arm}", answers.label);
            answers.found = named(&answers.found, &answers.label);
        }
        join(&mut self.all, answers);
    }
}

impl Answers {
    fn new(label: &str, model: &Hash, task: Hash, found: Evaluated) -> Self {
        let (label, model) = (label.to_owned(), model.clone());
        Self { label, model, tasks: vec![task], found }
    }
}

/// Adds what `answers` knows of a model that `all` does not.
fn join(all: &mut Vec<Answers>, answers: Answers) {
    let Some(known) = all.iter_mut().find(|known| known.label == answers.label) else {
        all.push(answers);
        return;
    };
    if answers.tasks.iter().all(|task| known.tasks.contains(task)) {
        return;
    }
    known.tasks.extend(answers.tasks);
    let Evaluated { results, predictions } = answers.found;
    let into = &mut known.found.results;
    into.rows.extend(
        results.rows.into_iter().filter(|row| !into.rows.contains(row)).collect::<Vec<_>>(),
    );
    into.data.extend(results.data);
    into.runs.extend(results.runs);
    known.found.predictions.extend(predictions);
}

fn config<'a>(stages: &Stages<'a>) -> anyhow::Result<&'a EvalConfig> {
    stages.experiment().eval.as_ref().context("`[eval]` is absent")
}

/// The corpus whose held-out documents all models of all arms are asked about.
fn held_out<'a>(stages: &Stages<'a>) -> anyhow::Result<Option<(Recipe, &'a Corpus)>> {
    let mut tasks = config(stages)?.tasks.iter();
    let is_asked = tasks.any(|task| task.protocol == Protocol::MaskedWords);
    let Some(section) = stages.experiment().shared_corpus.as_ref().filter(|_| is_asked) else {
        return Ok(None);
    };
    Ok(Some((corpus::recipe(stages.survey, section)?, section)))
}

/// What the arm's models are asked, in order: every task for every model. The models must be there.
///
/// # Errors
/// When a model is not made yet.
pub(crate) fn questions(
    stages: &Stages<'_>,
    workshop: &Workshop<'_>,
) -> anyhow::Result<Vec<Question>> {
    let held_out = held_out(stages)?.map(|(recipe, _)| recipe.upstream(stages.store));
    let mut questions = Vec::new();
    for subject in subjects(stages, workshop)? {
        for task in &config(stages)?.tasks {
            let is_mlm = task.protocol == Protocol::MaskedWords;
            if subject.is_head && !is_mlm {
                continue;
            }
            let corpus = held_out.as_ref().filter(|_| is_mlm);
            let tokens = corpus.map(|corpus| encoding(stages, corpus, &subject));
            let recipe = recipe(stages, &subject, task, tokens.as_ref())?;
            questions.push(Question {
                subject: subject.clone(),
                task: task.clone(),
                tokens,
                recipe,
            });
        }
    }
    Ok(questions)
}

fn encoding(stages: &Stages<'_>, corpus: &Upstream, subject: &Subject) -> Encoding {
    Encoding {
        corpus: corpus.clone(),
        tokenizer: subject.tokenizer.clone(),
        languages: Vec::new(),
        is_held_out: true,
        config: stages.experiment().encode.clone().unwrap_or_default(),
    }
}

/// The untouched base, the base with a head of its own, the arm before its training and after it.
fn subjects(stages: &Stages<'_>, workshop: &Workshop<'_>) -> anyhow::Result<Vec<Subject>> {
    let arm = &stages.arm.name;
    let mut subjects = Vec::new();
    let mut add = |label: String, models: [Upstream; 2], tokenizer: Upstream, is_head: bool| {
        let [model, encoder] = models;
        subjects.push(Subject { label, model, encoder, tokenizer, is_head });
    };
    let alone = |model: Upstream| [model.clone(), model];
    let base_name = export::base_name(stages);
    let base = stages.base()?;
    if let Some(base) = &base {
        add(format!("{base_name} (base)"), alone(base.upstream()), base.tokenizer(), false);
    }
    let mut start = base.as_ref().map(|base| alone(base.upstream()));
    if let (Some(head), Some(base)) = (Head::of_arm(stages)?, &base) {
        let artifact = workshop.find(&head.recipe)?.context("the head is not trained yet")?;
        let dir = trained_model(&artifact.dir, &artifact.manifest)?;
        let model = model_dir(&dir, artifact.manifest.lineage)?;
        // The training of a head leaves the body as it is, and starts a pooler that is not there.
        let encoder = if base.has_pooler { base.upstream() } else { model.clone() };
        let models = [model, encoder];
        add(format!("{base_name} (base, head trained)"), models.clone(), base.tokenizer(), true);
        start = Some(models);
    }
    let tokenizer = vocab::upstream(stages)?;
    let artifact = workshop.find(&transplant::recipe(stages)?)?;
    let artifact = artifact.context("the vocabulary is not transplanted yet")?;
    // A kept vocabulary changes no bit: the same model under another name is not asked again.
    let step_0 = match start.filter(|_| artifact.manifest.summary["kept"] == true) {
        Some(start) => start,
        None => alone(model_dir(&artifact.dir, artifact.manifest.lineage)?),
    };
    if stages.experiment().pretrain.is_none() {
        add(arm.clone(), step_0, tokenizer, false);
        return Ok(subjects);
    }
    add(format!("{arm} step 0"), step_0, tokenizer.clone(), false);
    let artifact = workshop.find(&pretrain::recipe(stages)?)?;
    let artifact = artifact.context("the model is not pretrained yet")?;
    let dir = trained_model(&artifact.dir, &artifact.manifest)?;
    add(arm.clone(), alone(model_dir(&dir, artifact.manifest.lineage)?), tokenizer, false);
    Ok(subjects)
}

/// What decides the answers of one model to one task. What the model is called decides nothing.
fn recipe(
    stages: &Stages<'_>,
    subject: &Subject,
    task: &TaskConfig,
    tokens: Option<&Encoding>,
) -> anyhow::Result<Recipe> {
    let config = config(stages)?;
    let mut placeless = TaskConfig { obtain: None, ..task.clone() };
    for path in [&mut placeless.path, &mut placeless.train, &mut placeless.dev, &mut placeless.test]
    {
        *path = None;
    }
    let mut recipe = RecipeBuilder::new(STAGE, REVISION)
        .input("model", subject.asked(task.protocol))
        .config("task", &placeless)
        .config("bootstrap", &config.bootstrap)
        .shown("task", task)
        .shown("micro_batch_tokens", &config.micro_batch_tokens);
    if task.protocol == Protocol::StsPairRegression {
        recipe = recipe.config("seeds", &config.seeds);
    }
    if let Some(tokens) = tokens {
        recipe = recipe.input("tokens", &tokens.recipe().upstream(stages.store));
    }
    for (role, path) in files(task) {
        let hash = if path.is_file() { Some(hash_file(path)?) } else { None };
        recipe = recipe.part(role, hash.as_ref().map_or(b"", |hash| hash.as_str().as_bytes()));
    }
    Ok(recipe.finish())
}

fn files(task: &TaskConfig) -> impl Iterator<Item = (&'static str, &Path)> {
    let all =
        [("path", &task.path), ("train", &task.train), ("dev", &task.dev), ("test", &task.test)];
    all.into_iter().filter_map(|(role, path)| Some((role, path.as_deref()?)))
}

/// Asks, or finds the answers.
fn ask(
    stages: &Stages<'_>,
    workshop: &mut Workshop<'_>,
    question: Question,
) -> anyhow::Result<Evaluated> {
    let Question { subject, task, tokens, recipe } = question;
    let tokens = tokens.map(|tokens| tokens.make(workshop)).transpose()?;
    let config = EvalConfig { tasks: vec![task.clone()], ..config(stages)?.clone() };
    let artifact = workshop.resume(recipe, |directory, context| {
        context.progress.note(&format!("{}: asking {}", task.name, subject.label));
        let device = stages.device.open()?;
        let models = [(ANY_MODEL, subject.asked(task.protocol).dir.as_path())];
        let store = tokens.as_ref().map(|tokens| tokens.dir.as_path());
        let ops = stages.device.ops();
        let results = evaluate(&models, &config, store, ops, &device, context, directory)?;
        fs::remove_dir_all(directory.join(CACHE_DIR))?;
        Ok(summary(&results, &subject, &task))
    })?;
    Ok(Evaluated::read(&artifact.dir)?)
}

/// The figure that stands for the task, or why there is none.
fn summary(results: &Results, subject: &Subject, task: &TaskConfig) -> Value {
    let metric = task.protocol.judged_by();
    let figures = results.rows.iter().filter(|row| row.metric == metric && row.part.is_empty());
    // The test split, where there is one, comes after dev.
    let row: Option<&ResultRow> = figures.max_by_key(|row| row.split);
    let skipped = results.rows.iter().find(|row| row.status == Status::Skipped);
    json!({
        "asked": subject.label,
        "task": task.name,
        "protocol": task.protocol,
        "split": row.and_then(|row| row.split),
        "metric": row.map(|row| &row.metric),
        "value": row.and_then(|row| row.value),
        "items": row.map(|row| row.num_items),
        "skipped": skipped.map(|row| &row.note),
        "partial": files(task).any(|(_, path)| !path.exists()),
    })
}

/// The same answers of a model called `label`.
fn named(found: &Evaluated, label: &str) -> Evaluated {
    let mut found = found.clone();
    let results = &mut found.results;
    let names = results.models.iter_mut().map(|model| &mut model.name);
    let names = names.chain(results.rows.iter_mut().map(|row| &mut row.model));
    let names = names.chain(results.runs.iter_mut().map(|run| &mut run.model));
    for name in names.chain(found.predictions.iter_mut().map(|one| &mut one.model)) {
        label.clone_into(name);
    }
    found
}

fn written(dir: PathBuf, answers: Vec<Answers>, config: &EvalConfig) -> anyhow::Result<Written> {
    let reference = answers.first().filter(|_| answers.len() > 1).map(|first| first.label.clone());
    let found = answers.into_iter().map(|answers| answers.found).collect();
    let merged = merge(found, reference.as_deref(), &config.bootstrap)?;
    create_private_dir(&dir)?;
    merged.results.write(&dir)?;
    write_predictions(&dir.join(PREDICTIONS_FILE), &merged.predictions)?;
    Ok(Written { dir, results: merged.results })
}

#[cfg(test)]
mod tests {
    use bimed_artifact::hash_bytes;
    use bimed_eval::ModelInfo;

    use super::*;

    fn answers(label: &str, weights: &str, task: &str, value: f64) -> Answers {
        let mut results = Results::new("0.1.0");
        let hash = hash_bytes(weights.as_bytes());
        results.models.push(ModelInfo {
            name: label.to_owned(),
            weights: hash.clone(),
            vocabulary: hash_bytes("환자".as_bytes()),
            tokenizer: None,
            vocab_size: 7,
            num_parameters: 1,
        });
        let mut row = ResultRow::skipped(task, Protocol::StsEmbed, label, "");
        (row.status, row.value) = (Status::Measured, Some(value));
        results.rows.push(row);
        let found = Evaluated { results, predictions: Vec::new() };
        Answers::new(label, &hash, hash_bytes(format!("{weights} {task}").as_bytes()), found)
    }

    #[test]
    fn arms_share_a_base_and_two_bases_of_one_name_stay_apart() {
        let mut evaluation = Evaluation::default();
        for (answers, arm) in [
            (answers("bert (base)", "a", "sts-ko", 0.1), "first"),
            (answers("first", "b", "sts-ko", 0.2), "first"),
            (answers("bert (base)", "a", "sts-ko", 0.1), "second"),
            (answers("bert (base)", "a", "sts-en", 0.3), "second"),
            (answers("bert (base)", "c", "sts-ko", 0.4), "third"),
        ] {
            evaluation.take_in(&answers, arm);
        }
        let found: Vec<(&str, Vec<(&str, f64)>)> = evaluation
            .all
            .iter()
            .map(|one| {
                let rows = &one.found.results.rows;
                assert!(rows.iter().all(|row| row.model == one.label));
                let rows = rows.iter().map(|row| (row.task.as_str(), row.value.unwrap()));
                (one.label.as_str(), rows.collect())
            })
            .collect();
        assert_eq!(
            found,
            [
                ("bert (base)", vec![("sts-ko", 0.1), ("sts-en", 0.3)]),
                ("first", vec![("sts-ko", 0.2)]),
                ("bert (base) of third", vec![("sts-ko", 0.4)]),
            ]
        );
    }
}
