//! From predictions to figures: correlations with their intervals, and differences of models.
//!
//! Owns which metrics a sentence-pair protocol reports and how seeds are joined: a figure is the
//! mean over seeds, its interval the bootstrap of that mean over the items.

use std::collections::BTreeMap;

use crate::config::Protocol;
use crate::data::Split;
use crate::metrics::{
    Bootstrap, BootstrapInterval, bootstrap, paired_bootstrap, pearson, pearson_bootstrap,
    spearman, spearman_bootstrap,
};
use crate::results::{Comparison, ConfidenceInterval, Prediction, ResultRow, Status};

type Statistic = Box<dyn Fn(&[usize]) -> Option<f64> + Sync>;

/// What a sentence-pair protocol reports.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PairMetric {
    Pearson,
    Spearman,
}

impl PairMetric {
    const ALL: [Self; 2] = [Self::Pearson, Self::Spearman];

    fn name(self) -> &'static str {
        match self {
            Self::Pearson => "pearson",
            Self::Spearman => "spearman",
        }
    }

    fn value(self, gold: &[f64], predicted: &[f64]) -> Option<f64> {
        match self {
            Self::Pearson => pearson(gold, predicted),
            Self::Spearman => spearman(gold, predicted),
        }
    }

    /// The mean over runs on drawn items.
    fn statistic(self, scores: &Scores) -> Statistic {
        let runs: Vec<Statistic> = scores
            .runs
            .values()
            .map(|predicted| match self {
                Self::Pearson => Box::new(pearson_bootstrap(&scores.gold, predicted)) as Statistic,
                Self::Spearman => Box::new(spearman_bootstrap(&scores.gold, predicted)),
            })
            .collect();
        Box::new(move |items| mean(runs.iter().map(|run| run(items))))
    }
}

/// The predictions of one model on one split, item by item.
#[derive(Debug, Default)]
struct Scores {
    rows: Vec<u64>,
    gold: Vec<f64>,
    runs: BTreeMap<Option<u64>, Vec<f64>>,
}

type Question = (String, Protocol, Split);

/// Pearson's and Spearman's correlation of every (task, protocol, split, model) in `predictions`.
///
/// Rows come in the order in which the predictions first name them. The predictions of a run must
/// be in the same order of items for every seed, as the protocols write them.
pub fn score_predictions(predictions: &[Prediction], config: &Bootstrap) -> Vec<ResultRow> {
    let mut rows = Vec::new();
    for ((task, protocol, split), models) in &by_question(predictions) {
        for (model, scores) in models {
            for metric in PairMetric::ALL {
                let mut row = ResultRow::skipped(task, *protocol, model, "");
                row.status = Status::Measured;
                row.split = Some(*split);
                row.metric = metric.name().to_owned();
                fill(&mut row, metric, scores, config);
                rows.push(row);
            }
        }
    }
    rows
}

/// Every model against `reference` on the items that both answered, by the paired bootstrap.
pub fn compare_predictions(
    predictions: &[Prediction],
    reference: &str,
    config: &Bootstrap,
) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for ((task, protocol, split), models) in &by_question(predictions) {
        let Some((_, base)) = models.iter().find(|(model, _)| model == reference) else { continue };
        for (model, scores) in models.iter().filter(|(model, _)| model != reference) {
            for metric in PairMetric::ALL {
                let mut comparison = Comparison {
                    task: task.clone(),
                    protocol: *protocol,
                    split: *split,
                    metric: metric.name().to_owned(),
                    model: model.clone(),
                    reference: reference.to_owned(),
                    difference: None,
                    interval: None,
                    num_items: 0,
                    note: String::new(),
                };
                fill_comparison(&mut comparison, metric, scores, base, config);
                comparisons.push(comparison);
            }
        }
    }
    comparisons
}

fn fill(row: &mut ResultRow, metric: PairMetric, scores: &Scores, config: &Bootstrap) {
    row.num_items = scores.gold.len() as u64;
    let values: Vec<Option<f64>> =
        scores.runs.values().map(|predicted| metric.value(&scores.gold, predicted)).collect();
    row.value = mean(values.iter().copied());
    row.deviation = deviation(&values);
    row.seeds = scores.runs.keys().copied().flatten().collect();
    if !row.seeds.is_empty() {
        row.per_seed = values;
    }
    let found = bootstrap(scores.gold.len(), config, metric.statistic(scores));
    match (row.value, found) {
        (None, _) => row.note = "constant or not finite predictions".to_owned(),
        (Some(_), found) => row.interval = found.map(|found| interval(&found, "bootstrap", config)),
    }
}

fn fill_comparison(
    comparison: &mut Comparison,
    metric: PairMetric,
    scores: &Scores,
    base: &Scores,
    config: &Bootstrap,
) {
    if (&scores.rows, &scores.gold) != (&base.rows, &base.gold) {
        comparison.note = "the models answered different items".to_owned();
        return;
    }
    comparison.num_items = scores.gold.len() as u64;
    let (first, second) = (metric.statistic(scores), metric.statistic(base));
    let all: Vec<usize> = (0..scores.gold.len()).collect();
    comparison.difference = first(&all).zip(second(&all)).map(|(first, second)| first - second);
    if comparison.difference.is_none() {
        comparison.note = "constant or not finite predictions".to_owned();
        return;
    }
    let found = paired_bootstrap(scores.gold.len(), config, first, second);
    comparison.interval = found.map(|found| interval(&found, "paired bootstrap", config));
}

fn interval(found: &BootstrapInterval, kind: &str, config: &Bootstrap) -> ConfidenceInterval {
    let method = match found.undefined {
        0 => format!("{kind} over items"),
        undefined => format!("{kind} over items, undefined on {undefined} resamples"),
    };
    let BootstrapInterval { low, high, .. } = *found;
    ConfidenceInterval { low, high, confidence: config.confidence, method }
}

/// Questions and, in each, models in the order of the predictions.
fn by_question(predictions: &[Prediction]) -> Vec<(Question, Vec<(String, Scores)>)> {
    let mut questions: Vec<(Question, Vec<(String, Scores)>)> = Vec::new();
    for prediction in predictions {
        let key = (prediction.task.clone(), prediction.protocol, prediction.split);
        let models = entry(&mut questions, key);
        let scores = entry(models, prediction.model.clone());
        let run = scores.runs.entry(prediction.seed).or_default();
        if run.len() == scores.gold.len() {
            scores.rows.push(prediction.row);
            scores.gold.push(prediction.gold);
        }
        run.push(prediction.prediction);
    }
    questions
}

fn entry<K: PartialEq, V: Default>(list: &mut Vec<(K, V)>, key: K) -> &mut V {
    let found = list.iter().rposition(|(other, _)| *other == key);
    let at = found.unwrap_or(list.len());
    if found.is_none() {
        list.push((key, V::default()));
    }
    &mut list[at].1
}

/// The mean, where every value is defined.
fn mean(values: impl ExactSizeIterator<Item = Option<f64>>) -> Option<f64> {
    let count = values.len();
    let sum = values.sum::<Option<f64>>()?;
    (count > 0).then(|| sum / count as f64)
}

fn deviation(values: &[Option<f64>]) -> Option<f64> {
    let mean = mean(values.iter().copied())?;
    let squares: f64 = values.iter().flatten().map(|value| (value - mean) * (value - mean)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}
