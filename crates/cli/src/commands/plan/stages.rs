//! How far each stage of an arm is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bimed_artifact::Hash;
use bimed_eval::Protocol;
use bimed_train::{CHECKPOINTS_DIR, STATE_FILE, TrainState};
use fs_err as fs;
use serde::Serialize;

use crate::sections::{Corpus, Vocabulary};
use crate::stages::encode::Encoding;
use crate::stages::head::Head;
use crate::stages::inputs::{MissingInput, missing_base, missing_of_corpus, missing_of_vocabulary};
use crate::stages::{
    Recipe, Stages, State, Workshop, corpus, encode, eval, export, figures, head, pretrain,
    training, transplant, vectors, vocab,
};

/// How far a stage is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Standing {
    /// It is there, or was given.
    UpToDate,
    /// A run was interrupted after `step` and would go on.
    Resumes {
        /// The newest checkpoint's step.
        step: u64,
        /// The steps of the run, where its checkpoint says so.
        steps: Option<u64>,
    },
    /// It would run.
    ToDo,
    /// It cannot be done without these.
    Cannot {
        /// The names of what is missing.
        lacks: Vec<String>,
    },
    /// What it reads is there, but not as it must be.
    Fails {
        /// Why it cannot be read.
        error: String,
    },
    /// Its section is absent, or the arm has no need of it.
    NotAskedFor,
}

/// One stage of an arm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StagePlan {
    /// The stage.
    pub(crate) stage: &'static str,
    /// How far it is.
    #[serde(flatten)]
    pub(crate) standing: Standing,
    /// Where it lies, if it is there.
    pub(crate) path: Option<PathBuf>,
    /// What it holds, if it is there.
    pub(crate) figures: String,
    /// The earlier arm with the same key: done once for both.
    pub(crate) shared_with: Option<String>,
}

impl StagePlan {
    fn new(stage: &'static str, standing: Standing) -> Self {
        Self { stage, standing, path: None, figures: String::new(), shared_with: None }
    }

    /// Whether it is still to be done, by this arm or an earlier one.
    fn has_work(&self) -> bool {
        !matches!(self.standing, Standing::UpToDate | Standing::NotAskedFor)
    }

    /// Whether this arm would have to do it.
    pub(crate) fn is_left(&self) -> bool {
        self.has_work() && self.shared_with.is_none()
    }
}

/// Where a stage lies, if it is done.
pub(crate) fn done<'p>(plans: &'p [StagePlan], stage: &str) -> Option<&'p Path> {
    let plan = plans.iter().find(|plan| plan.stage == stage)?;
    plan.path.as_deref().filter(|_| plan.standing == Standing::UpToDate)
}

/// The stages of one arm after another, with the keys of those before.
#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    workshop: Workshop<'a>,
    fresh: bool,
    /// By store and key.
    seen: BTreeMap<(PathBuf, Hash), String>,
}

impl<'a> Ledger<'a> {
    /// Before the first arm; with `fresh`, everything would run again.
    pub(crate) fn new(workshop: Workshop<'a>, fresh: bool) -> Self {
        Self { workshop, fresh, seen: BTreeMap::new() }
    }

    /// Every stage of the arm, in order.
    pub(crate) fn stages(&mut self, stages: &Stages<'_>) -> Vec<StagePlan> {
        self.workshop.begin_arm(&stages.arm.name, stages.store.clone());
        let experiment = stages.experiment();
        let lacks = Lacks::new(stages);
        let mut plans = Vec::new();
        let mut add = |stage, is_asked: bool, lacks, recipe: &dyn Fn() -> Attempt| {
            let plan = self.stage(stages, stage, is_asked, lacks, recipe);
            plans.push(plan);
        };
        add(corpus::STAGE, experiment.corpus.is_some(), lacks.corpus(), &|| {
            let section = experiment.corpus.as_ref();
            section.map(|section| corpus::recipe(stages.survey, section)).transpose()
        });
        let is_asked = experiment.vocab.is_some();
        add(vocab::STAGE, is_asked, lacks.vocab(), &|| vocab::recipe(stages));
        add(encode::STAGE, experiment.encode.is_some(), lacks.encode(), &|| {
            Encoding::of_arm(stages).map(|encoding| Some(encoding.recipe()))
        });
        add(head::STAGE, wants_head(stages), lacks.head(), &|| {
            Head::of_arm(stages).map(|head| head.map(|head| head.recipe))
        });
        add(vectors::STAGE, vectors::is_asked(stages), lacks.encode(), &|| {
            vectors::recipe(stages).map(Some)
        });
        add(transplant::STAGE, experiment.transplant.is_some(), lacks.transplant(), &|| {
            transplant::recipe(stages).map(Some)
        });
        add(pretrain::STAGE, experiment.pretrain.is_some(), lacks.model(), &|| {
            pretrain::recipe(stages).map(Some)
        });
        let is_made = plans.iter().skip(1).all(|plan| !plan.has_work());
        let failed = plans.iter().find_map(|plan| match &plan.standing {
            Standing::Fails { error } => Some(error.clone()),
            _ => None,
        });
        plans.push(self.export(stages, &lacks));
        plans.push(match failed.filter(|_| experiment.eval.is_some()) {
            Some(error) => StagePlan::new(eval::STAGE, Standing::Fails { error }),
            None => self.eval(stages, &lacks, is_made),
        });
        plans
    }

    fn stage(
        &mut self,
        stages: &Stages<'_>,
        stage: &'static str,
        is_asked: bool,
        lacks: Vec<String>,
        recipe: &dyn Fn() -> Attempt,
    ) -> StagePlan {
        if !is_asked {
            return StagePlan::new(stage, Standing::NotAskedFor);
        }
        if !lacks.is_empty() {
            return StagePlan::new(stage, Standing::Cannot { lacks });
        }
        match recipe() {
            Ok(Some(recipe)) => {
                self.found(stages, &recipe).unwrap_or_else(|error| unreadable(stage, &error))
            }
            Ok(None) => given(stages, stage),
            Err(error) => unreadable(stage, &error),
        }
    }

    /// What is there of `recipe`.
    fn found(&mut self, stages: &Stages<'_>, recipe: &Recipe) -> anyhow::Result<StagePlan> {
        let stage = recipe.stage;
        let mut plan = StagePlan::new(stage, Standing::ToDo);
        match State::of(stages.store, recipe)? {
            State::UpToDate if !self.fresh => {
                plan.standing = Standing::UpToDate;
                let artifact = self.workshop.find(recipe)?;
                plan.path = artifact.as_ref().map(|artifact| artifact.dir.clone());
                plan.figures = artifact
                    .map(|artifact| figures::of(stage, &artifact.manifest.summary))
                    .unwrap_or_default();
            }
            // How far it is, only a training says.
            State::Resumes if !self.fresh && [head::STAGE, pretrain::STAGE].contains(&stage) => {
                let run = stages.store.partial_path(stage, &recipe.key);
                plan.standing = resumes(&run);
                plan.path = Some(run);
            }
            _ => {}
        }
        let arm = &stages.arm.name;
        let place = (stages.store.root().to_path_buf(), recipe.key.clone());
        let first = self.seen.entry(place).or_insert_with(|| arm.clone());
        plan.shared_with = (*first != *arm).then(|| first.clone());
        Ok(plan)
    }

    fn export(&self, stages: &Stages<'_>, lacks: &Lacks) -> StagePlan {
        let stage = export::STAGE;
        let lacks = lacks.model();
        if stages.experiment().export.is_none() {
            return StagePlan::new(stage, Standing::NotAskedFor);
        }
        if !lacks.is_empty() {
            return StagePlan::new(stage, Standing::Cannot { lacks });
        }
        let found =
            export::recipe(stages).and_then(|recipe| export::is_up_to_date(stages, &recipe));
        match found {
            Ok(true) if !self.fresh => StagePlan {
                path: Some(export::directory(stages)),
                ..StagePlan::new(stage, Standing::UpToDate)
            },
            Ok(_) => StagePlan::new(stage, Standing::ToDo),
            Err(error) => unreadable(stage, &error),
        }
    }

    /// What a model is asked is known by the model itself, so not before it `is_made`.
    fn eval(&self, stages: &Stages<'_>, lacks: &Lacks, is_made: bool) -> StagePlan {
        let stage = eval::STAGE;
        if stages.experiment().eval.is_none() {
            return StagePlan::new(stage, Standing::NotAskedFor);
        }
        let lacks = lacks.eval();
        if !lacks.is_empty() {
            return StagePlan::new(stage, Standing::Cannot { lacks });
        }
        if !is_made || self.fresh {
            return StagePlan::new(stage, Standing::ToDo);
        }
        match self.answered(stages) {
            Ok((answered, asked)) if answered == asked => {
                let path = stages.experiment().arm_directory(&stages.arm.name).join(stage);
                let figures = format!("{asked} answers");
                let plan = StagePlan::new(stage, Standing::UpToDate);
                StagePlan { path: Some(path), figures, ..plan }
            }
            Ok((answered, asked)) => {
                let figures = format!("{answered} of {asked} answers are there");
                StagePlan { figures, ..StagePlan::new(stage, Standing::ToDo) }
            }
            Err(error) => unreadable(stage, &error),
        }
    }

    fn answered(&self, stages: &Stages<'_>) -> anyhow::Result<(usize, usize)> {
        let keys: BTreeMap<Hash, Recipe> = eval::questions(stages, &self.workshop)?
            .into_iter()
            .map(|question| (question.recipe.key.clone(), question.recipe))
            .collect();
        let mut answered = 0;
        for recipe in keys.values() {
            answered += usize::from(self.workshop.find(recipe)?.is_some());
        }
        Ok((answered, keys.len()))
    }
}

type Attempt = anyhow::Result<Option<Recipe>>;

fn unreadable(stage: &'static str, error: &anyhow::Error) -> StagePlan {
    StagePlan::new(stage, Standing::Fails { error: format!("{error:#}") })
}

/// A vocabulary that the user gives needs no stage.
fn given(stages: &Stages<'_>, stage: &'static str) -> StagePlan {
    match &stages.experiment().vocab {
        Some(Vocabulary::Use(path)) if stage == vocab::STAGE => StagePlan {
            path: Some(path.clone()),
            figures: "given".to_owned(),
            ..StagePlan::new(stage, Standing::UpToDate)
        },
        _ => StagePlan::new(stage, Standing::NotAskedFor),
    }
}

/// Where a training in `run` would go on.
fn resumes(run: &Path) -> Standing {
    let Some(step) = training::last_step(run) else {
        return Standing::Resumes { step: 0, steps: None };
    };
    let state = run.join(CHECKPOINTS_DIR).join(format!("step-{step}")).join(STATE_FILE);
    let text = fs::read(state).unwrap_or_default();
    let state: Option<TrainState> = serde_json::from_slice(&text).ok();
    Standing::Resumes { step, steps: state.map(|state| state.total_steps) }
}

/// Whether a head may have to be trained: `[pretrain.head]` is there, and the base is no known model
/// that has one.
pub(crate) fn wants_head(stages: &Stages<'_>) -> bool {
    let experiment = stages.experiment();
    let is_configured =
        experiment.pretrain.as_ref().is_some_and(|pretrain| pretrain.head.is_some());
    let has_base = experiment.transplant.as_ref().is_some_and(|one| one.base.is_some());
    let has_head = stages.base().is_ok_and(|base| base.is_some_and(|base| base.has_head));
    is_configured && has_base && !has_head
}

/// The names of what is missing, by what reads it.
#[derive(Debug)]
struct Lacks {
    corpus: Vec<String>,
    shared_corpus: Vec<String>,
    vocab: Vec<String>,
    base: Vec<String>,
    wants_head: bool,
    wants_tokens: bool,
    is_pretrained: bool,
    asks_masked_words: bool,
}

impl Lacks {
    fn new(stages: &Stages<'_>) -> Self {
        let experiment = stages.experiment();
        let names = |missing: Vec<MissingInput>| {
            union([&missing.into_iter().map(|one| one.what).collect()])
        };
        let of = |corpus: &Option<Corpus>| {
            names(corpus.as_ref().map(missing_of_corpus).unwrap_or_default())
        };
        let tasks = experiment.eval.iter().flat_map(|eval| &eval.tasks);
        let (corpus, base) =
            (of(&experiment.corpus), names(missing_base(experiment).into_iter().collect()));
        let is = |what: fn(&Vocabulary) -> bool| experiment.vocab.as_ref().is_some_and(what);
        let given = names(missing_of_vocabulary(experiment));
        let (of_corpus, of_base) =
            (is(Vocabulary::is_trained), is(Vocabulary::is_kept) || is(Vocabulary::is_extended));
        let only =
            |is_read: bool, names: &Vec<String>| if is_read { names.clone() } else { Vec::new() };
        Self {
            vocab: union([&only(of_corpus, &corpus), &only(of_base, &base), &given]),
            corpus,
            base,
            shared_corpus: of(&experiment.shared_corpus),
            wants_head: wants_head(stages),
            wants_tokens: transplant::wants_tokens(stages),
            is_pretrained: experiment.pretrain.is_some(),
            asks_masked_words: tasks.into_iter().any(|task| task.protocol == Protocol::MaskedWords),
        }
    }

    fn corpus(&self) -> Vec<String> {
        self.corpus.clone()
    }

    fn vocab(&self) -> Vec<String> {
        self.vocab.clone()
    }

    fn encode(&self) -> Vec<String> {
        union([&self.vocab(), &self.corpus])
    }

    fn head(&self) -> Vec<String> {
        union([&self.base, &self.shared_corpus])
    }

    fn transplant(&self) -> Vec<String> {
        let of_head = if self.wants_head { self.head() } else { Vec::new() };
        let of_tokens = if self.wants_tokens { self.encode() } else { Vec::new() };
        union([&self.base, &self.vocab(), &of_head, &of_tokens])
    }

    /// Of the model that the arm ends with.
    fn model(&self) -> Vec<String> {
        let text = if self.is_pretrained { self.encode() } else { Vec::new() };
        union([&self.transplant(), &text])
    }

    fn eval(&self) -> Vec<String> {
        let none = Vec::new();
        let text = if self.asks_masked_words { &self.shared_corpus } else { &none };
        union([&self.model(), text])
    }
}

/// Each name once, in the order of its first place.
fn union<const N: usize>(lists: [&Vec<String>; N]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lists.into_iter().flatten().filter(|name| seen.insert((*name).clone())).cloned().collect()
}
