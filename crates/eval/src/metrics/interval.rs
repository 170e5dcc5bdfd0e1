//! Confidence intervals: Fisher's for a correlation, the percentile bootstrap for anything.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::correlation::{ascending, for_each_tie, pearson};
use crate::random::counter_below;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bootstrap {
    /// The number of resamples, at least 1.
    pub resamples: u32,
    /// The probability that the interval is to cover, above 0 and below 1.
    pub confidence: f64,
    /// Every draw is a function of it, the resample and the position.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 10_000, confidence: 0.95, seed: 0 }
    }
}

/// A percentile interval and what is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BootstrapInterval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Resamples on which the statistic was defined.
    pub resamples: u32,
    /// Resamples on which it was not: they are left out.
    pub undefined: u32,
}

impl BootstrapInterval {
    /// Whether 0 lies outside.
    pub fn excludes_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The items of resample `resample` of `num_items`, drawn with replacement, into `items`.
///
/// A function of its arguments: threads and order do not matter.
pub fn resample(seed: u64, resample: u32, num_items: usize, items: &mut Vec<usize>) {
    items.clear();
    let stream = u64::from(resample);
    items.extend((0..num_items as u64).map(|slot| counter_below(seed, stream, slot, num_items)));
}

/// The percentile interval of `statistic`, which is given the drawn items.
///
/// What an item is, is the caller's choice: a pair of sentences, or a patient with all reports.
/// `None` without items, or where the statistic is defined on no resample.
/// Source: Efron and Tibshirani 1993, chapter 13.
pub fn bootstrap<F>(num_items: usize, config: &Bootstrap, statistic: F) -> Option<BootstrapInterval>
where
    F: Fn(&[usize]) -> Option<f64> + Sync,
{
    if num_items == 0 {
        return None;
    }
    let values: Vec<Option<f64>> = (0..config.resamples)
        .into_par_iter()
        .map_init(Vec::new, |items, index| {
            resample(config.seed, index, num_items, items);
            statistic(items).filter(|value| value.is_finite())
        })
        .collect();
    let mut defined: Vec<f64> = values.into_iter().flatten().collect();
    defined.sort_by(f64::total_cmp);
    let tail = (1.0 - config.confidence) / 2.0;
    let resamples = u32::try_from(defined.len()).unwrap_or(u32::MAX);
    Some(BootstrapInterval {
        low: quantile(&defined, tail)?,
        high: quantile(&defined, 1.0 - tail)?,
        resamples,
        undefined: config.resamples - resamples,
    })
}

/// The interval of `first − second`, both computed on the same drawn items.
///
/// The right question for two models on one test set: their errors go together, so the difference
/// is far better known than either figure.
pub fn paired_bootstrap<F, G>(
    num_items: usize,
    config: &Bootstrap,
    first: F,
    second: G,
) -> Option<BootstrapInterval>
where
    F: Fn(&[usize]) -> Option<f64> + Sync,
    G: Fn(&[usize]) -> Option<f64> + Sync,
{
    bootstrap(num_items, config, |items| Some(first(items)? - second(items)?))
}

/// A statistic for [`bootstrap`]: Pearson's correlation of the drawn pairs.
///
/// # Panics
/// When the lengths differ.
pub fn pearson_bootstrap(x: &[f64], y: &[f64]) -> impl Fn(&[usize]) -> Option<f64> + Sync + use<> {
    assert_eq!(x.len(), y.len(), "both series hold the same items");
    let (x, y) = (x.to_vec(), y.to_vec());
    move |items| {
        let drawn = |values: &[f64]| items.iter().map(|&item| values[item]).collect::<Vec<_>>();
        pearson(&drawn(&x), &drawn(&y))
    }
}

/// A statistic for [`bootstrap`]: Spearman's correlation of the drawn pairs.
///
/// The items are sorted once; a resample counts how often each distinct value was drawn.
///
/// # Panics
/// When the lengths differ.
pub fn spearman_bootstrap(x: &[f64], y: &[f64]) -> impl Fn(&[usize]) -> Option<f64> + Sync + use<> {
    assert_eq!(x.len(), y.len(), "both series hold the same items");
    let finite = x.iter().chain(y).all(|value| value.is_finite());
    let (x, y) = (DenseRanks::of(x), DenseRanks::of(y));
    move |items| if finite { pearson(&x.drawn(items), &y.drawn(items)) } else { None }
}

/// Fisher's interval of a Pearson correlation of `count` pairs.
///
/// `None` with fewer than four pairs or with `correlation` outside −1 to 1.
/// Source: Fisher 1921; the same as SciPy's `pearsonr(..).confidence_interval()`.
pub fn fisher_interval(correlation: f64, count: usize, confidence: f64) -> Option<(f64, f64)> {
    if count < 4 || !(-1.0..=1.0).contains(&correlation) {
        return None;
    }
    let half = normal_quantile(0.5 + confidence / 2.0)? / ((count - 3) as f64).sqrt();
    let centre = correlation.atanh();
    Some(((centre - half).tanh(), (centre + half).tanh()))
}

/// The quantile `probability` of ascending `sorted`, linear between neighbours.
///
/// `None` without values or outside 0 to 1. Source: Hyndman and Fan 1996, type 7.
pub fn quantile(sorted: &[f64], probability: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&probability) {
        return None;
    }
    let position = probability * (sorted.len().checked_sub(1)?) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    Some(below + (above - below) * position.fract())
}

/// The quantile of the standard normal distribution; `None` outside 0 to 1, exclusive.
///
/// Source: Wichura 1988, algorithm AS 241 (PPND16), about 16 digits.
pub fn normal_quantile(probability: f64) -> Option<f64> {
    if !(probability > 0.0 && probability < 1.0) {
        return None;
    }
    let centred = probability - 0.5;
    if centred.abs() <= 0.425 {
        let r = 0.180_625 - centred * centred;
        return Some(centred * rational(r, &CENTRE_OVER, &CENTRE_UNDER));
    }
    let tail = if centred < 0.0 { probability } else { 1.0 - probability };
    let r = (-tail.ln()).sqrt();
    let size = if r <= 5.0 {
        rational(r - 1.6, &NEAR_OVER, &NEAR_UNDER)
    } else {
        rational(r - 5.0, &FAR_OVER, &FAR_UNDER)
    };
    Some(if centred < 0.0 { -size } else { size })
}

fn rational(x: f64, over: &[f64; 8], under: &[f64; 8]) -> f64 {
    let horner = |terms: &[f64; 8]| terms.iter().rev().fold(0.0, |sum, term| sum * x + term);
    horner(over) / horner(under)
}

const CENTRE_OVER: [f64; 8] = [
    3.387_132_872_796_366_6,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const CENTRE_UNDER: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_854,
];
const NEAR_OVER: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    0.000_774_545_014_278_341_4,
];
const NEAR_UNDER: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    0.000_547_593_808_499_534_5,
    1.050_750_071_644_416_9e-9,
];
const FAR_OVER: [f64; 8] = [
    6.657_904_643_501_104,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288_1e-7,
];
const FAR_UNDER: [f64; 8] = [
    1.0,
    0.599_832_206_555_888,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    0.000_786_869_131_145_613_3,
    1.846_318_317_510_054_7e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

/// Each item's place among the distinct values.
struct DenseRanks {
    ranks: Vec<usize>,
    distinct: usize,
}

impl DenseRanks {
    fn of(values: &[f64]) -> Self {
        let order = ascending(values);
        let (mut ranks, mut distinct) = (vec![0; values.len()], 0);
        for_each_tie(values, &order, |start, end| {
            for &item in &order[start..end] {
                ranks[item] = distinct;
            }
            distinct += 1;
        });
        Self { ranks, distinct }
    }

    /// The average ranks of the drawn items.
    fn drawn(&self, items: &[usize]) -> Vec<f64> {
        let mut counts = vec![0_usize; self.distinct];
        for &item in items {
            counts[self.ranks[item]] += 1;
        }
        let mut below = 0;
        let means: Vec<f64> = counts
            .iter()
            .map(|&count| {
                let mean = below as f64 + (count + 1) as f64 / 2.0;
                below += count;
                mean
            })
            .collect();
        items.iter().map(|&item| means[self.ranks[item]]).collect()
    }
}
