//! Intrinsic measures, fine-tuned tasks, tables and plots.
//!
//! Owns the metrics with their uncertainty, the evaluation protocols, the readers of task files,
//! and the forms in which results leave: `results.json`, `results.md`, `results.csv`,
//! `predictions.jsonl`, `report.html`. It must not know how a model was trained, nor choose where
//! its files lie.
//!
//! Invariant: no figure without the count behind it, no missing data set without a row that says
//! so, and no text of a document in anything that is written.

pub mod metrics;
mod random;
