//! The metrics against SciPy and scikit-learn, and the bootstrap against the truth.
//!
//! `tests/fixtures/metrics.json` is written by `scripts/make_metric_fixtures.py`.

use bimed_eval::metrics::{
    Bootstrap, LabelCounts, ZeroDivision, auroc, average_precision, bootstrap, fisher_interval,
    label_counts, macro_mean, micro_counts, normal_quantile, paired_bootstrap, pearson,
    pearson_bootstrap, resample, rmse, spearman, spearman_bootstrap,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixtures {
    correlations: Vec<Correlation>,
    multilabel: Vec<Multilabel>,
    curves: Vec<Curve>,
    normal_quantiles: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
struct Correlation {
    name: String,
    x: Vec<f64>,
    y: Vec<f64>,
    pearson: Option<f64>,
    spearman: Option<f64>,
    fisher: Option<(f64, f64)>,
    rmse: Option<f64>,
}

#[derive(Deserialize)]
struct Multilabel {
    gold: Vec<u8>,
    predicted: Vec<u8>,
    labels: usize,
    zero: Averages,
    one: Averages,
    undefined: Averages,
}

#[derive(Deserialize)]
struct Averages {
    precision: Vec<Option<f64>>,
    recall: Vec<Option<f64>>,
    f1: Vec<Option<f64>>,
    r#macro: [Option<f64>; 3],
    micro: [Option<f64>; 3],
}

#[derive(Deserialize)]
struct Curve {
    gold: Vec<u8>,
    scores: Vec<f64>,
    auroc: Option<f64>,
    average_precision: Option<f64>,
}

fn fixtures() -> Fixtures {
    serde_json::from_str(include_str!("fixtures/metrics.json"))
        .expect("the fixtures are as the script writes them")
}

fn bools(values: &[u8]) -> Vec<bool> {
    values.iter().map(|&value| value == 1).collect()
}

fn check(what: &str, found: Option<f64>, expected: Option<f64>, tolerance: f64) {
    let agrees = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= tolerance,
        (None, None) => true,
        _ => false,
    };
    assert!(agrees, "{what}: found {found:?}, expected {expected:?}");
}

#[test]
fn correlations_agree_with_scipy() {
    for case in fixtures().correlations {
        check(&case.name, pearson(&case.x, &case.y), case.pearson, 1e-12);
        check(&case.name, spearman(&case.x, &case.y), case.spearman, 1e-12);
        let scale = case.rmse.unwrap_or(1.0).max(1.0);
        check(&case.name, rmse(&case.x, &case.y), case.rmse, 1e-12 * scale);
    }
}

#[test]
fn fisher_intervals_agree_with_scipy() {
    let mut compared = 0;
    for case in fixtures().correlations {
        let (Some(correlation), Some(expected)) = (case.pearson, case.fisher) else { continue };
        // At |r| = 1 the last bit of r moves the ends by far more than the tolerance.
        if correlation.abs() > 1.0 - 1e-9 {
            continue;
        }
        let found = fisher_interval(correlation, case.x.len(), 0.95).unwrap();
        check(&case.name, Some(found.0), Some(expected.0), 1e-12);
        check(&case.name, Some(found.1), Some(expected.1), 1e-12);
        compared += 1;
    }
    assert!(compared > 35, "{compared}");
    assert_eq!(fisher_interval(1.0, 10, 0.95), Some((1.0, 1.0)));
    assert_eq!(fisher_interval(0.5, 3, 0.95), None);
}

#[test]
fn normal_quantiles_agree_with_scipy() {
    for (probability, expected) in fixtures().normal_quantiles {
        let tolerance = 1e-13 * expected.abs().max(1.0);
        check("quantile", normal_quantile(probability), Some(expected), tolerance);
    }
    assert_eq!(normal_quantile(0.0), None);
}

#[test]
fn counts_based_metrics_agree_with_scikit_learn() {
    type Measure = fn(&LabelCounts, ZeroDivision) -> Option<f64>;
    for (index, case) in fixtures().multilabel.iter().enumerate() {
        let labels = label_counts(&bools(&case.gold), &bools(&case.predicted), case.labels);
        let settings = [
            (ZeroDivision::Zero, &case.zero),
            (ZeroDivision::One, &case.one),
            (ZeroDivision::Undefined, &case.undefined),
        ];
        for (zero_division, expected) in settings {
            let measures: [(Measure, &[Option<f64>]); 3] = [
                (LabelCounts::precision, &expected.precision),
                (LabelCounts::recall, &expected.recall),
                (LabelCounts::f1, &expected.f1),
            ];
            for (position, (measure, per_label)) in measures.into_iter().enumerate() {
                let what = format!("case {index}, measure {position}, {zero_division:?}");
                for (label, &expected) in labels.iter().zip(per_label) {
                    check(&what, measure(label, zero_division), expected, 1e-9);
                }
                let mean = macro_mean(&labels, |label| measure(label, zero_division));
                check(&what, mean, expected.r#macro[position], 1e-9);
                let pooled = measure(&micro_counts(&labels), zero_division);
                check(&what, pooled, expected.micro[position], 1e-9);
            }
        }
    }
}

#[test]
fn areas_agree_with_scikit_learn() {
    for (index, case) in fixtures().curves.iter().enumerate() {
        let gold = bools(&case.gold);
        let what = format!("curve {index}");
        check(&what, auroc(&gold, &case.scores), case.auroc, 1e-9);
        check(&what, average_precision(&gold, &case.scores), case.average_precision, 1e-9);
    }
}

#[test]
fn values_that_are_not_finite_are_undefined() {
    let (x, bad) = ([1.0, 2.0, 3.0, 4.0], [1.0, f64::NAN, 2.0, f64::INFINITY]);
    assert_eq!(pearson(&x, &bad), None);
    assert_eq!(spearman(&x, &bad), None);
    assert_eq!(rmse(&x, &bad), None);
    assert_eq!(auroc(&[true, false, true, false], &bad), None);
    assert_eq!(average_precision(&[true, false, true, false], &bad), None);
}

/// Standard normal numbers from uniform ones by the sum of twelve less six, with a fixed seed.
fn normals(seed: u64, count: usize) -> Vec<f64> {
    let mut draws = Vec::new();
    resample(seed, u32::MAX, count * 12, &mut draws);
    let scale = (count * 12) as f64;
    draws
        .chunks(12)
        .map(|chunk| chunk.iter().map(|&d| d as f64 / scale).sum::<f64>() - 6.0)
        .collect()
}

/// `count` pairs whose correlation in the population is `rho`.
fn correlated(seed: u64, count: usize, rho: f64) -> (Vec<f64>, Vec<f64>) {
    let (x, noise) = (normals(2 * seed, count), normals(2 * seed + 1, count));
    let rest = (1.0 - rho * rho).sqrt();
    let y = x.iter().zip(&noise).map(|(x, noise)| rho * x + rest * noise).collect();
    (x, y)
}

#[test]
fn the_bootstrap_interval_covers_the_truth_in_92_to_98_percent_of_500_simulations() {
    let (mut pearson_covered, mut f1_covered) = (0, 0);
    // Positives 30 %, recall 0.8, 10 % of the negatives predicted: F1 = 0.48 / (0.48+0.07+0.06).
    let f1_truth = 0.48 / 0.61;
    for simulation in 0..500 {
        let config = Bootstrap { resamples: 1_000, seed: simulation, ..Bootstrap::default() };
        let (x, y) = correlated(simulation, 300, 0.8);
        let interval = bootstrap(x.len(), &config, pearson_bootstrap(&x, &y)).unwrap();
        pearson_covered += u32::from(interval.low <= 0.8 && 0.8 <= interval.high);

        let mut draws = Vec::new();
        resample(1_000 + simulation, 0, 1_000, &mut draws);
        let items: Vec<(bool, bool)> = draws
            .iter()
            .map(|&draw| match draw {
                0..240 => (true, true),
                240..300 => (true, false),
                300..370 => (false, true),
                _ => (false, false),
            })
            .collect();
        let interval = bootstrap(items.len(), &config, |drawn| {
            let gold: Vec<bool> = drawn.iter().map(|&item| items[item].0).collect();
            let predicted: Vec<bool> = drawn.iter().map(|&item| items[item].1).collect();
            label_counts(&gold, &predicted, 1)[0].f1(ZeroDivision::Undefined)
        })
        .unwrap();
        f1_covered += u32::from(interval.low <= f1_truth && f1_truth <= interval.high);
    }
    assert!((460..=490).contains(&pearson_covered), "Pearson: {pearson_covered} of 500");
    assert!((460..=490).contains(&f1_covered), "F1: {f1_covered} of 500");
}

#[test]
fn a_paired_difference_is_narrower_than_two_intervals() {
    let (gold, first) = correlated(1, 400, 0.8);
    let second: Vec<f64> =
        first.iter().zip(normals(9, 400)).map(|(value, noise)| value + 0.2 * noise).collect();
    let config = Bootstrap { resamples: 2_000, ..Bootstrap::default() };
    let paired = paired_bootstrap(
        gold.len(),
        &config,
        pearson_bootstrap(&gold, &first),
        pearson_bootstrap(&gold, &second),
    )
    .unwrap();
    let alone = bootstrap(gold.len(), &config, pearson_bootstrap(&gold, &first)).unwrap();
    assert!(paired.high - paired.low < 0.6 * (alone.high - alone.low));
    let itself = paired_bootstrap(
        gold.len(),
        &config,
        pearson_bootstrap(&gold, &first),
        pearson_bootstrap(&gold, &first),
    );
    assert!(itself.is_some_and(|interval| interval.low == 0.0 && interval.high == 0.0));
}

#[test]
fn the_fast_spearman_of_a_resample_is_spearman_of_the_drawn_pairs() {
    let (x, y) = correlated(5, 60, 0.5);
    let x: Vec<f64> = x.iter().map(|value| (value * 2.0).round()).collect();
    let fast = spearman_bootstrap(&x, &y);
    let mut items = Vec::new();
    for index in 0..50 {
        resample(7, index, x.len(), &mut items);
        let drawn = |values: &[f64]| items.iter().map(|&item| values[item]).collect::<Vec<_>>();
        check("resample", fast(&items), spearman(&drawn(&x), &drawn(&y)), 1e-12);
    }
}

#[test]
fn intervals_do_not_depend_on_the_number_of_threads() {
    let (x, y) = correlated(3, 200, 0.7);
    let config = Bootstrap { resamples: 500, seed: 11, ..Bootstrap::default() };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bootstrap(x.len(), &config, spearman_bootstrap(&x, &y)).unwrap())
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn resamples_without_a_value_are_counted() {
    let config = Bootstrap { resamples: 300, ..Bootstrap::default() };
    let (x, y) = ([1.0, 1.0, 2.0], [0.5, 1.0, 2.0]);
    let interval = bootstrap(3, &config, pearson_bootstrap(&x, &y)).unwrap();
    assert!(interval.undefined > 0 && interval.resamples + interval.undefined == 300);
    assert!(bootstrap(2, &config, pearson_bootstrap(&[1.0, 1.0], &[1.0, 2.0])).is_none());
}
