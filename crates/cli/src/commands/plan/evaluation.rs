//! What an evaluation would take: which model is fine-tuned on what, how often.

use std::collections::BTreeSet;

use bimed_eval::{EvalConfig, Loaded, Protocol, TaskConfig, load_pairs};
use serde::Serialize;

use super::cost::tuning_flops_per_token;
use super::figure::Figure;
use super::model::ModelPlan;
use super::stages::wants_head;
use super::training::speed;
use crate::paths::shown;
use crate::sections::Vocabulary;
use crate::stages::Stages;

/// Bytes of UTF-8 of a token, Korean and English alike: ours, of the public experiment's corpus by
/// 32,000 rows.
const BYTES_PER_TOKEN: f64 = 5.2;
/// `[CLS] s1 [SEP] s2 [SEP]`.
const PAIR_SPECIALS: f64 = 3.0;

/// The evaluation of an arm.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EvaluationPlan {
    /// The models that are asked, but for those that an earlier arm asks too.
    pub(crate) models: Vec<String>,
    /// The seeds of fine-tuning.
    pub(crate) seeds: Vec<u64>,
    /// Task by task.
    pub(crate) tasks: Vec<TaskPlan>,
    /// Runs of fine-tuning: models, tasks, rates and seeds.
    pub(crate) runs: u64,
    /// Their steps; nothing where no task's files are there.
    pub(crate) steps: Option<Figure>,
    /// Their tokens.
    pub(crate) tokens: Option<Figure>,
    /// Their hours; scoring without training is not counted.
    pub(crate) hours: Option<Figure>,
}

/// One task for one model.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskPlan {
    /// Its name.
    pub(crate) task: String,
    /// How it is scored.
    pub(crate) protocol: Protocol,
    /// Why it would be skipped.
    pub(crate) skipped: Option<String>,
    /// Items that are trained on, where it trains.
    pub(crate) items: Option<u64>,
    /// Runs of fine-tuning for a model.
    pub(crate) runs: u64,
    /// Steps of one run.
    pub(crate) steps: Option<Figure>,
    /// Tokens of one run.
    pub(crate) tokens: Option<Figure>,
    /// Tokens of an item.
    #[serde(skip)]
    length: f64,
}

/// The models that earlier arms ask already.
#[derive(Debug, Default)]
pub(crate) struct Asked(BTreeSet<String>);

impl EvaluationPlan {
    /// Of an arm; `is_left` where its answers are not there yet.
    pub(crate) fn new(
        stages: &Stages<'_>,
        model: &ModelPlan,
        asked: &mut Asked,
        is_left: bool,
        threads: usize,
    ) -> Option<Self> {
        let config = stages.experiment().eval.as_ref()?;
        let models: Vec<String> =
            models(stages).into_iter().filter(|model| asked.0.insert(model.clone())).collect();
        let tasks: Vec<TaskPlan> =
            config.tasks.iter().map(|task| TaskPlan::new(task, config)).collect();
        let of = |figure: fn(&TaskPlan) -> Option<Figure>| {
            let trained = tasks.iter().filter(|task| task.runs > 0);
            let parts = trained.map(|task| {
                figure(task)
                    .map(|one| one.map(|one| one * (task.runs * models.len() as u64) as f64))
            });
            Figure::total(parts)
        };
        let pretrain = stages.experiment().pretrain.clone().unwrap_or_default();
        let speed = speed(stages, model, &pretrain, threads);
        let flops: f64 = tasks
            .iter()
            .map(|task| {
                let tokens = task.tokens.map_or(0.0, |tokens| tokens.value);
                let runs = (task.runs * models.len() as u64) as f64;
                tokens * runs * tuning_flops_per_token(&model.shape, task.length)
            })
            .sum();
        let tokens = of(|task| task.tokens);
        let left = if is_left { flops / speed.flops_per_second / 3600.0 } else { 0.0 };
        Some(Self {
            runs: tasks.iter().map(|task| task.runs).sum::<u64>() * models.len() as u64,
            steps: of(|task| task.steps),
            hours: tokens.map(|tokens| tokens.map(|_| left).estimated()),
            tokens,
            seeds: config.seeds.clone(),
            models,
            tasks,
        })
    }
}

/// The models of an arm as [`crate::stages::eval`] asks them; a base by its path.
fn models(stages: &Stages<'_>) -> Vec<String> {
    let experiment = stages.experiment();
    let arm = &stages.arm.name;
    let base = experiment.transplant.as_ref().and_then(|transplant| transplant.base.as_ref());
    let base = base.map(|base| format!("base {}", shown(base)));
    let is_kept = stages.vocabulary().is_ok_and(Vocabulary::is_kept);
    let wants_head = wants_head(stages);
    let mut models: Vec<String> = base.clone().into_iter().collect();
    // A kept vocabulary changes no bit of the base; a head that is trained for it does.
    let step_0 = base.filter(|_| is_kept && !wants_head).unwrap_or(match experiment.pretrain {
        Some(_) => format!("{arm} step 0"),
        None => arm.clone(),
    });
    if !models.contains(&step_0) {
        models.push(step_0);
    }
    if experiment.pretrain.is_some() {
        models.push(arm.clone());
    }
    models
}

impl TaskPlan {
    fn new(task: &TaskConfig, config: &EvalConfig) -> Self {
        let mut plan = Self {
            task: task.name.clone(),
            protocol: task.protocol,
            skipped: None,
            items: None,
            runs: 0,
            steps: None,
            tokens: None,
            length: 0.0,
        };
        if task.protocol == Protocol::MaskedWords {
            return plan;
        }
        let data = match load_pairs(task) {
            Ok(Loaded::Ready(data)) => data,
            Ok(Loaded::Skipped(reason)) => {
                plan.skipped = Some(reason);
                return plan;
            }
            Err(error) => {
                plan.skipped = Some(error.to_string());
                return plan;
            }
        };
        if task.protocol != Protocol::StsPairRegression {
            return plan;
        }
        let settings = &task.pair_reg;
        let pairs = data.train.len();
        let epochs = f64::from(settings.epochs);
        let text: usize = data.train.iter().map(|pair| pair.s1.len() + pair.s2.len()).sum();
        let length = text as f64 / pairs.max(1) as f64 / BYTES_PER_TOKEN + PAIR_SPECIALS;
        plan.length = length.min(settings.max_length as f64);
        plan.items = Some(pairs as u64);
        plan.runs = (config.seeds.len() * settings.learning_rates.len()) as u64;
        let steps = pairs.div_ceil(settings.batch_size) as u64 * u64::from(settings.epochs);
        plan.steps = Some(Figure::exact(steps));
        plan.tokens = Some(Figure::estimate(pairs as f64 * epochs * plan.length));
        plan
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    #[test]
    fn a_task_trains_as_often_as_there_are_seeds_and_rates() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("짝.tsv");
        let mut text = String::from("split\tscore\ts1\ts2\n");
        for index in 0..10 {
            // 22 + 22 bytes: 8.5 tokens, and three specials.
            let split = if index < 7 { "train" } else { "dev" };
            text += &format!("{split}\t{}\tabcdefghij klmnopqrst \t혈압이 안정적 ab\n", index % 5);
        }
        fs::write(&path, text).unwrap();
        let mut task: TaskConfig =
            serde_json::from_str(r#"{"name": "짝", "protocol": "sts.pair_reg"}"#).unwrap();
        task.path = Some(path);
        task.pair_reg.learning_rates = vec![1e-5, 5e-5];
        (task.pair_reg.batch_size, task.pair_reg.epochs) = (4, 3);
        let config = EvalConfig { seeds: vec![1, 2, 3], ..EvalConfig::default() };
        let plan = TaskPlan::new(&task, &config);
        assert_eq!((plan.items, plan.runs), (Some(7), 6));
        assert_eq!(plan.steps, Some(Figure::exact(6)));
        let tokens = plan.tokens.unwrap().value;
        assert!((tokens - 7.0 * 3.0 * 11.5).abs() < 21.0 * 0.5, "{tokens}");
        task.path = Some(root.path().join("none.tsv"));
        let plan = TaskPlan::new(&task, &config);
        assert!(plan.skipped.is_some() && plan.runs == 0);
    }
}
