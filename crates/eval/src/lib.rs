//! Intrinsic measures, fine-tuned tasks, tables and plots.
//!
//! Owns the metrics with their uncertainty, the evaluation protocols, the readers of task files,
//! and the forms in which results leave: `results.json`, `results.md`, `results.csv`,
//! `predictions.jsonl`, `report.html`. It must not know how a model was trained, nor choose where
//! its files lie.
//!
//! Invariant: no figure without the count behind it, no missing data set without a row that says
//! so, and no text of a document in anything that is written.

mod batch;
mod cache;
mod config;
mod data;
mod dump;
mod embed;
mod error;
mod escape;
mod evaluate;
mod masked_words;
mod merge;
pub mod metrics;
mod model;
mod pair_regression;
mod plot;
mod random;
mod report;
mod results;
mod run_log;
mod scoring;
mod table;

pub use config::{
    Column, ColumnsConfig, EvalConfig, MaskedWordsConfig, PairRegressionConfig, Protocol,
    Selection, TableConfig, TaskConfig,
};
pub use data::{FileSummary, Loaded, PairData, PairSummary, Split, TextPair, load_pairs};
pub use dump::reference_dump;
pub use error::{Error, Result};
pub use evaluate::evaluate;
pub use masked_words::{MaskedOutcome, MaskedPart, masked_words};
pub use merge::{Evaluated, merge};
pub use model::EvalModel;
pub use pair_regression::{EpochRecord, PairRegression, PairRun};
pub use plot::{LinePlot, Scale, Series};
pub use report::Report;
pub use results::{
    Comparison, ConfidenceInterval, DataInfo, ModelInfo, Prediction, RESULTS_SCHEMA_VERSION,
    ResultRow, Results, RunInfo, Status, read_predictions, write_predictions,
};
pub use run_log::{RunLog, read_run_log};
pub use scoring::{compare_predictions, score_predictions};
pub use table::{Align, Cell, Table, TableColumn};
