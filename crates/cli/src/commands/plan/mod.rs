//! `bimed plan EXPERIMENT.toml`: what would run, what it would take, and what is missing.
//!
//! Looks and counts. Invariant: nothing is written, no directory made, no lock taken, no device
//! opened; what is missing is part of the answer, not an error.

mod corpus;
mod cost;
mod evaluation;
mod figure;
mod model;
mod needs;
mod speed;
mod stages;
mod text;
mod training;

use std::collections::BTreeSet;
use std::num::NonZero;

use bimed_artifact::Store;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::ExperimentArgs;
use crate::experiment::Arm;
use crate::failure::Exit;
use crate::sections::{Experiment, read_arms};
use crate::session::Session;
use crate::stages::encode::{self, Encoding};
use crate::stages::{Recipe, Stages, Survey, Workshop};
use crate::stages::{corpus as corpus_stage, eval, head, pretrain};

use corpus::CorpusPlan;
use evaluation::{Asked, EvaluationPlan};
use figure::Figure;
use model::ModelPlan;
use needs::{Need, needs};
use stages::{Ledger, StagePlan, Standing};
use training::{HeadPlan, TrainingPlan};

/// The plan of an experiment.
#[derive(Debug, Serialize)]
struct Plan {
    experiment: String,
    device: String,
    missing: Vec<Need>,
    /// What `run` would refuse beside what is missing.
    refused: Option<String>,
    arms: Vec<ArmPlan>,
    totals: Totals,
}

/// The plan of an arm.
#[derive(Debug, Serialize)]
struct ArmPlan {
    arm: String,
    stages: Vec<StagePlan>,
    corpus: Option<CorpusPlan>,
    model: Option<ModelPlan>,
    head: Option<HeadPlan>,
    pretrain: Option<TrainingPlan>,
    eval: Option<EvaluationPlan>,
}

/// What is left to do over all arms, and all seeds of the evaluation; what arms share counts once.
#[derive(Debug, Default, Serialize)]
struct Totals {
    /// Arms whose pretraining is left.
    pretrainings: u64,
    /// Their steps and those of the heads.
    pretrain_steps: Option<Figure>,
    pretrain_tokens: Option<Figure>,
    pretrain_hours: Option<Figure>,
    /// Runs of fine-tuning.
    tuning_runs: u64,
    tuning_steps: Option<Figure>,
    tuning_tokens: Option<Figure>,
    tuning_hours: Option<Figure>,
    hours: Option<Figure>,
    disk_bytes: Option<Figure>,
}

/// Shows the plan of the arms that `args` asks for.
pub(crate) fn plan(session: &Session, args: &ExperimentArgs) -> anyhow::Result<Exit> {
    let arms = read_arms(session, args)?;
    let plan = Plan::new(session, &arms, args.fresh);
    let mut value = serde_json::to_value(&plan)?;
    if let Value::Object(object) = &mut value {
        object.insert("event".to_owned(), "result".into());
    }
    session.result(&text::render(&plan), &value);
    Ok(Exit::Done)
}

impl Plan {
    fn new(session: &Session, arms: &[Arm<Experiment>], fresh: bool) -> Self {
        let device = session.global.device;
        let survey = Survey::default();
        let mut ledger = Ledger::new(Workshop::new(session, false), fresh);
        let mut asked = Asked::default();
        let threads = threads(session);
        let plans: Vec<ArmPlan> = arms
            .iter()
            .map(|arm| {
                let store = Store::new(&arm.config.experiment.store);
                let stages = Stages { arm, store: &store, survey: &survey, device };
                ArmPlan::new(&stages, &mut ledger, &mut asked, threads)
            })
            .collect();
        let refused = super::run::check_device(arms, device)
            .and_then(|()| super::run::check_approvals(arms))
            .err()
            .map(|error| error.to_string());
        Self {
            experiment: arms
                .first()
                .map(|arm| arm.config.experiment.name.clone())
                .unwrap_or_default(),
            device: device.to_string(),
            missing: needs(arms),
            refused,
            totals: Totals::new(&plans),
            arms: plans,
        }
    }
}

/// The threads that a run would have.
fn threads(session: &Session) -> usize {
    let available = std::thread::available_parallelism().map_or(1, NonZero::get);
    session.global.threads.map_or(available, usize::from)
}

impl ArmPlan {
    fn new(
        stages: &Stages<'_>,
        ledger: &mut Ledger<'_>,
        asked: &mut Asked,
        threads: usize,
    ) -> Self {
        let plans = ledger.stages(stages);
        let is_done = |stage: &str| {
            plans.iter().any(|plan| plan.stage == stage && plan.standing == Standing::UpToDate)
        };
        let section = stages.experiment().corpus.as_ref();
        let made = section.filter(|_| is_done(corpus_stage::STAGE)).and_then(|section| {
            summary(stages, &corpus_stage::recipe(stages.survey, section).ok()?)
        });
        let encoded = Encoding::of_arm(stages).ok().filter(|_| is_done(encode::STAGE));
        let encoded = encoded.and_then(|encoding| summary(stages, &encoding.recipe()));
        let corpus =
            section.map(|section| CorpusPlan::new(section, made.as_ref(), encoded.as_ref()));
        let model = ModelPlan::new(stages, &plans);
        let tokens = corpus.as_ref().and_then(|corpus| corpus.tokens);
        let head = model.as_ref().and_then(|model| HeadPlan::new(stages, &plans, model, threads));
        let pretrain = model
            .as_ref()
            .and_then(|model| TrainingPlan::new(stages, &plans, model, tokens, threads));
        let is_asking = !is_done(eval::STAGE);
        let eval = model
            .as_ref()
            .and_then(|model| EvaluationPlan::new(stages, model, asked, is_asking, threads));
        Self { arm: stages.arm.name.clone(), stages: plans, corpus, model, head, pretrain, eval }
    }

    fn stage(&self, stage: &str) -> Option<&StagePlan> {
        self.stages.iter().find(|plan| plan.stage == stage)
    }

    /// Whether this arm would have to do `stage`.
    fn has_left(&self, stage: &str) -> bool {
        self.stage(stage).is_some_and(StagePlan::is_left)
    }
}

/// The summary of an artifact that is there.
fn summary<T: DeserializeOwned>(stages: &Stages<'_>, recipe: &Recipe) -> Option<T> {
    let artifact = stages.store.find(recipe.stage, &recipe.key).ok()??;
    serde_json::from_value(artifact.manifest.summary).ok()
}

impl Totals {
    fn new(arms: &[ArmPlan]) -> Self {
        let trained = || {
            let left = arms.iter().filter(|arm| arm.has_left(pretrain::STAGE));
            left.filter_map(|arm| arm.pretrain.as_ref())
        };
        // A base that is missing has no key; arms that name the same one need one head.
        let heads = || {
            let left = arms.iter().filter(|arm| arm.has_left(head::STAGE));
            let mut bases = BTreeSet::new();
            let first =
                move |arm: &&ArmPlan| bases.insert(arm.model.as_ref().map(|one| one.base.clone()));
            left.filter(first).filter_map(|arm| arm.head.as_ref())
        };
        let tuned = || {
            let left = arms.iter().filter(|arm| arm.has_left(eval::STAGE));
            left.filter_map(|arm| arm.eval.as_ref()).filter(|eval| eval.runs > 0)
        };
        let pretrain_hours =
            trained().map(|one| one.hours).chain(heads().map(|head| Some(head.hours)));
        let pretrain_hours = Figure::total(pretrain_hours);
        let tuning_hours = Figure::total(tuned().map(|one| one.hours));
        let head_steps = heads().map(|head| Some(Figure::estimate(head.most_steps as f64)));
        let head_tokens = heads().map(|head| Some(head.tokens));
        let parts = [pretrain_hours, tuning_hours].into_iter().flatten().map(Some);
        Self {
            pretrainings: trained().count() as u64,
            pretrain_steps: Figure::total(trained().map(|one| one.steps_left).chain(head_steps)),
            pretrain_tokens: Figure::total(trained().map(|one| one.tokens_left).chain(head_tokens)),
            pretrain_hours,
            tuning_runs: tuned().map(|one| one.runs).sum(),
            tuning_steps: Figure::total(tuned().map(|one| one.steps)),
            tuning_tokens: Figure::total(tuned().map(|one| one.tokens)),
            tuning_hours,
            hours: Figure::total(parts),
            disk_bytes: Figure::total(trained().map(|one| one.disk_bytes)),
        }
    }
}
