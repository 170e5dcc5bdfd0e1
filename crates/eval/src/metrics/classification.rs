//! Counts, precision, recall, F1, and the areas under the ROC and precision-recall curves.

use serde::{Deserialize, Serialize};

use super::correlation::{ascending, average_ranks, for_each_tie};

/// What a ratio is worth when its denominator is 0: no positives, or none predicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZeroDivision {
    /// 0, and part of the mean over labels. scikit-learn's default (there with a warning).
    #[default]
    Zero,
    /// 1, and part of the mean over labels.
    One,
    /// Not defined, and left out of the mean over labels.
    Undefined,
}

/// The confusion counts of one label, or of several pooled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCounts {
    /// Positive and predicted.
    pub true_positives: u64,
    /// Predicted but not positive.
    pub false_positives: u64,
    /// Positive but not predicted.
    pub false_negatives: u64,
    /// Neither.
    pub true_negatives: u64,
}

impl LabelCounts {
    /// The number of positives.
    pub fn support(&self) -> u64 {
        self.true_positives + self.false_negatives
    }

    /// `TP / (TP + FP)`.
    pub fn precision(&self, zero_division: ZeroDivision) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives, zero_division)
    }

    /// `TP / (TP + FN)`.
    pub fn recall(&self, zero_division: ZeroDivision) -> Option<f64> {
        ratio(self.true_positives, self.support(), zero_division)
    }

    /// `TN / (TN + FP)`.
    pub fn specificity(&self, zero_division: ZeroDivision) -> Option<f64> {
        ratio(self.true_negatives, self.true_negatives + self.false_positives, zero_division)
    }

    /// `2 TP / (2 TP + FP + FN)`.
    pub fn f1(&self, zero_division: ZeroDivision) -> Option<f64> {
        let twice = 2 * self.true_positives;
        ratio(twice, twice + self.false_positives + self.false_negatives, zero_division)
    }
}

/// The counts of each label over items, from `gold` and `predicted` in rows of `num_labels`.
///
/// # Shapes
/// Both `[items, num_labels]`, row by row.
///
/// # Panics
/// When the lengths differ or are not whole rows.
pub fn label_counts(gold: &[bool], predicted: &[bool], num_labels: usize) -> Vec<LabelCounts> {
    assert_eq!(gold.len(), predicted.len(), "both hold the same items");
    assert!(num_labels > 0 && gold.len().is_multiple_of(num_labels), "rows are whole");
    let mut counts = vec![LabelCounts::default(); num_labels];
    for (index, (&gold, &predicted)) in gold.iter().zip(predicted).enumerate() {
        let label = &mut counts[index % num_labels];
        match (gold, predicted) {
            (true, true) => label.true_positives += 1,
            (false, true) => label.false_positives += 1,
            (true, false) => label.false_negatives += 1,
            (false, false) => label.true_negatives += 1,
        }
    }
    counts
}

/// The labels pooled: its F1 is micro F1.
pub fn micro_counts(labels: &[LabelCounts]) -> LabelCounts {
    labels.iter().fold(LabelCounts::default(), |sum, label| LabelCounts {
        true_positives: sum.true_positives + label.true_positives,
        false_positives: sum.false_positives + label.false_positives,
        false_negatives: sum.false_negatives + label.false_negatives,
        true_negatives: sum.true_negatives + label.true_negatives,
    })
}

/// The mean of `measure` over the labels where it is defined: with `f1`, macro F1.
///
/// Macro F1 is the mean of the labels' F1, never the F1 of mean precision and mean recall.
pub fn macro_mean(
    labels: &[LabelCounts],
    measure: impl Fn(&LabelCounts) -> Option<f64>,
) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u64);
    for value in labels.iter().filter_map(measure) {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

/// The area under the ROC curve: the share of (positive, negative) pairs in the right order, ties
/// counting half.
///
/// `None` with one class only, or with a score not finite.
///
/// # Panics
/// When the lengths differ.
pub fn auroc(gold: &[bool], scores: &[f64]) -> Option<f64> {
    let (positives, negatives) = class_sizes(gold, scores)?;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let ranks = average_ranks(scores);
    let rank_sum: f64 = gold.iter().zip(&ranks).filter(|(gold, _)| **gold).map(|(_, r)| r).sum();
    let (positives, negatives) = (positives as f64, negatives as f64);
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

/// Average precision: `Σ (R_k − R_{k−1}) P_k` over the distinct scores from the highest.
///
/// `None` without positives (scikit-learn gives 0 with a warning), or with a score not finite.
///
/// # Panics
/// When the lengths differ.
pub fn average_precision(gold: &[bool], scores: &[f64]) -> Option<f64> {
    let (positives, _) = class_sizes(gold, scores)?;
    if positives == 0 {
        return None;
    }
    let mut order = ascending(scores);
    order.reverse();
    let (mut sum, mut found) = (0.0, 0_usize);
    for_each_tie(scores, &order, |start, end| {
        let gained = order[start..end].iter().filter(|&&item| gold[item]).count();
        found += gained;
        sum += gained as f64 / positives as f64 * (found as f64 / end as f64);
    });
    Some(sum)
}

fn class_sizes(gold: &[bool], scores: &[f64]) -> Option<(usize, usize)> {
    assert_eq!(gold.len(), scores.len(), "labels and scores hold the same items");
    let positives = gold.iter().filter(|gold| **gold).count();
    scores.iter().all(|score| score.is_finite()).then(|| (positives, gold.len() - positives))
}

fn ratio(numerator: u64, denominator: u64, zero_division: ZeroDivision) -> Option<f64> {
    if denominator > 0 {
        return Some(numerator as f64 / denominator as f64);
    }
    match zero_division {
        ZeroDivision::Zero => Some(0.0),
        ZeroDivision::One => Some(1.0),
        ZeroDivision::Undefined => None,
    }
}
