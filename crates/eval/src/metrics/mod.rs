//! Metrics and their uncertainty, on plain numbers.
//!
//! Owns the formulas and what is undefined in each; knows nothing of models, files or tasks.
//!
//! Invariant: a metric that is not defined on its input is `None`, never `0` or `NaN`; sums run in
//! the order of the items, so the same items give the same bits.

mod classification;
mod correlation;
mod interval;

pub use classification::{
    LabelCounts, ZeroDivision, auroc, average_precision, label_counts, macro_mean, micro_counts,
};
pub use correlation::{average_ranks, cosine, pearson, rmse, spearman};
pub use interval::{
    Bootstrap, BootstrapInterval, bootstrap, fisher_interval, normal_quantile, paired_bootstrap,
    pearson_bootstrap, quantile, resample, spearman_bootstrap,
};
