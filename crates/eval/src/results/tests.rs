use super::*;
use crate::metrics::Bootstrap;
use crate::scoring::{compare_predictions, score_predictions};

const GOLD: [f64; 8] = [0.0, 1.0, 2.0, 2.5, 3.0, 4.0, 4.5, 5.0];

fn predictions(model: &str, seed: Option<u64>, values: [f64; 8]) -> Vec<Prediction> {
    (0..8)
        .map(|item| Prediction {
            task: "한국어-sts".to_owned(),
            protocol: Protocol::StsPairRegression,
            split: Split::Dev,
            model: model.to_owned(),
            seed,
            row: item as u64 + 1,
            id: Some(format!("p{item}")),
            gold: GOLD[item],
            prediction: values[item],
        })
        .collect()
}

fn sample() -> (Results, Vec<Prediction>) {
    let noisy = [3.0, 0.0, 4.0, 1.0, 5.0, 2.0, 0.5, 4.0];
    let close = [0.1, 1.2, 1.8, 2.4, 3.3, 3.9, 4.6, 4.8];
    let all: Vec<Prediction> = [
        predictions("base", Some(1), noisy),
        predictions("base", Some(2), noisy.map(|value| value * value)),
        predictions("bi", Some(1), close),
        predictions("bi", Some(2), close.map(|value| value * 0.9)),
    ]
    .concat();
    let config = Bootstrap { resamples: 500, ..Bootstrap::default() };
    let mut results = Results::new("0.0.0");
    results.rows = score_predictions(&all, &config);
    results.comparisons = compare_predictions(&all, "base", &config);
    let reason = "not found: data/medsts.tsv";
    results.rows.push(ResultRow::skipped("medsts", Protocol::StsEmbed, "bi", reason));
    (results, all)
}

#[test]
fn a_figure_is_the_mean_over_seeds_with_what_is_behind_it() {
    let (results, _) = sample();
    let row = results.rows.iter().find(|r| r.model == "bi" && r.metric == "pearson").unwrap();
    assert_eq!((row.num_items, row.seeds.as_slice()), (8, [1, 2].as_slice()));
    let mean = row.per_seed.iter().flatten().sum::<f64>() / 2.0;
    assert!((row.value.unwrap() - mean).abs() < 1e-15);
    let interval = row.interval.as_ref().unwrap();
    assert!(interval.low < mean && mean < interval.high);
}

#[test]
fn the_table_shows_the_best_the_clear_and_the_skipped() {
    let markdown = sample().0.to_markdown();
    let row = |start: &str| markdown.lines().find(|line| line.starts_with(start)).unwrap();
    let best = row("| 한국어-sts | dev | pearson | bi | **0.9");
    assert!(best.contains("†** |"), "{best}");
    assert!(!row("| 한국어-sts | dev | pearson | base | 0.").contains('†'));
    assert!(row("| medsts |").contains("SKIPPED"), "{markdown}");
    assert!(row("| medsts |").contains("not found: data/medsts.tsv"));
}

#[test]
fn the_summary_has_a_row_a_task_and_a_column_a_model() {
    let (mut results, _) = sample();
    for (part, model, value) in
        [("", "bi", 1.5), ("language:ko", "bi", 2.0), ("source:교과서", "bi", 1.0)]
    {
        let mut row = ResultRow::skipped("held-out", Protocol::MaskedWords, model, "");
        row.status = Status::Measured;
        row.metric = "bits_per_character".to_owned();
        row.part = part.to_owned();
        row.value = Some(value);
        results.rows.push(row);
    }
    let summary = results.summary().unwrap();
    insta::assert_snapshot!(summary.to_markdown(), @r"
    ### Summary

    | task | protocol | split | part | metric | base | bi |
    |---|---|---|---|---|--:|--:|
    | 한국어-sts | sts.pair_reg | dev |  | pearson | 0.0952 | **0.9944†** |
    | held-out | mlm |  |  | bits_per_character | – | 1.5000 |
    | held-out | mlm |  | language:ko | bits_per_character | – | 2.0000 |

    †: the interval of the difference from the reference leaves out 0.
    ");
    assert_eq!(Results::new("0.0.0").summary(), None);
}

#[test]
fn lower_is_better_for_a_loss() {
    let mut results = Results::new("0.0.0");
    for (model, value) in [("a", 1.9), ("b", 1.4)] {
        let mut row = ResultRow::skipped("mlm", Protocol::MaskedWords, model, "");
        row.status = Status::Measured;
        row.metric = "bits_per_character".to_owned();
        row.value = Some(value);
        results.rows.push(row);
    }
    assert!(results.to_markdown().contains("| **1.4000** |"));
}

#[test]
fn what_is_written_is_read_back_and_is_the_same_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let (results, all) = sample();
    results.write(dir.path()).unwrap();
    let first = fs::read(dir.path().join("results.json")).unwrap();
    assert_eq!(Results::read(&dir.path().join("results.json")).unwrap(), results);
    sample().0.write(dir.path()).unwrap();
    assert_eq!(fs::read(dir.path().join("results.json")).unwrap(), first);
    let path = dir.path().join("predictions.jsonl");
    write_predictions(&path, &all).unwrap();
    assert_eq!(read_predictions(&path).unwrap(), all);
    let csv = fs::read_to_string(dir.path().join("results.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + results.rows.len());
}

#[test]
fn models_that_answered_different_items_are_not_compared() {
    let (_, mut all) = sample();
    all.retain(|prediction| prediction.model == "base" || prediction.row != 3);
    let comparisons = compare_predictions(&all, "base", &Bootstrap::default());
    assert!(comparisons.iter().all(|c| c.difference.is_none() && c.note.contains("different")));
}

#[test]
fn constant_predictions_are_undefined_and_say_so() {
    let rows = score_predictions(&predictions("a", None, [1.0; 8]), &Bootstrap::default());
    assert!(rows.iter().all(|row| row.value.is_none() && row.note.contains("constant")));
}

#[test]
fn faults_in_a_predictions_file_show_the_place_and_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("predictions.jsonl");
    fs::write(&path, "{\"task\": \"환자 비밀\", \"protocol\": \"secret\"}\n").unwrap();
    let message = read_predictions(&path).unwrap_err().to_string();
    assert!(message.contains("predictions.jsonl:1:") && !message.contains("secret"), "{message}");
}
