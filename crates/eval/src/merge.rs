//! Several evaluations as one: the rows of all models side by side.
//!
//! Owns what may be joined, and the differences from a named model. It computes no answer.

use std::path::Path;

use crate::metrics::Bootstrap;
use crate::results::{Comparison, ModelInfo, Prediction, Results, read_predictions};
use crate::scoring::compare_predictions;
use crate::{Error, Result};

/// The answers' file in the directory of an evaluation.
pub(crate) const PREDICTIONS_FILE: &str = "predictions.jsonl";
/// The figures' file there.
const RESULTS_FILE: &str = "results.json";

/// The figures of an evaluation with the answers behind them.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The figures.
    pub results: Results,
    /// The answers.
    pub predictions: Vec<Prediction>,
}

impl Evaluated {
    /// Reads what [`crate::evaluate`] left in `dir`.
    ///
    /// # Errors
    /// When a file is missing or is not of this version.
    pub fn read(dir: &Path) -> Result<Self> {
        Ok(Self {
            results: Results::read(&dir.join(RESULTS_FILE))?,
            predictions: read_predictions(&dir.join(PREDICTIONS_FILE))?,
        })
    }
}

/// Joins evaluations of different models and compares every model with `reference`.
///
/// A task stands in each of them under one name; where two models answered different items, the
/// difference is absent and says so.
///
/// # Errors
/// [`Error::DuplicateModel`] where two evaluations have a model of one name;
/// [`Error::UnknownReference`].
pub fn merge(
    evaluations: Vec<Evaluated>,
    reference: Option<&str>,
    bootstrap: &Bootstrap,
) -> Result<Evaluated> {
    let mut all =
        Evaluated { results: Results::new(env!("CARGO_PKG_VERSION")), predictions: Vec::new() };
    for Evaluated { results, predictions } in evaluations {
        for model in results.models {
            if all.results.models.iter().any(|other| other.name == model.name) {
                return Err(Error::DuplicateModel { name: model.name });
            }
            all.results.models.push(model);
        }
        for data in results.data {
            if !all.results.data.contains(&data) {
                all.results.data.push(data);
            }
        }
        all.results.rows.extend(results.rows);
        all.results.runs.extend(results.runs);
        all.predictions.extend(predictions);
    }
    if let Some(reference) = reference {
        all.results.comparisons =
            compare_with(&all.results.models, &all.predictions, reference, bootstrap)?;
    }
    Ok(all)
}

/// Every model against `reference`.
pub(crate) fn compare_with(
    models: &[ModelInfo],
    predictions: &[Prediction],
    reference: &str,
    bootstrap: &Bootstrap,
) -> Result<Vec<Comparison>> {
    if models.iter().all(|model| model.name != reference) {
        let names: Vec<String> = models.iter().map(|model| format!("`{}`", model.name)).collect();
        let (name, available) = (reference.to_owned(), names.join(", "));
        return Err(Error::UnknownReference { name, available });
    }
    Ok(compare_predictions(predictions, reference, bootstrap))
}
