use super::*;

const MODELS: [&str; 3] = ["kmbert (base)", "ARM step 0", "ARM"];

/// What one arm answered on 40 items: the base poorly, the arm with an error of `error`.
fn evaluation(arm: &str, error: f64, with_answers: bool) -> Evaluation {
    let names = MODELS.map(|name| name.replace("ARM", arm));
    let mut predictions = Vec::new();
    for (name, error) in names.iter().zip([3.0, 2.0, error]) {
        for row in 1..=40_u64 {
            let gold = (row * 7 % 11) as f64 / 2.0;
            let noise = ((row * row * 37 + name.len() as u64) % 17) as f64 / 17.0 - 0.5;
            predictions.push(Prediction {
                task: "의미-sts".to_owned(),
                protocol: Protocol::StsEmbed,
                split: Split::Test,
                model: name.clone(),
                seed: None,
                row,
                id: None,
                gold,
                prediction: gold + error * noise,
            });
        }
    }
    let config = Bootstrap { resamples: 200, ..Bootstrap::default() };
    let mut results = Results::new("0.0.0");
    results.rows = bimed_eval::score_predictions(&predictions, &config);
    results.comparisons = compare_predictions(&predictions, &names[0], &config);
    results.rows.push(ResultRow::skipped("medsts", Protocol::StsEmbed, arm, "not found: x.tsv"));
    if !with_answers {
        predictions.clear();
    }
    Evaluation { results, predictions, rows: Vec::new() }
}

fn sheet(evaluations: &mut [Evaluation], metric: &str) -> Sheet {
    let names = ["a/eval".to_owned(), "b/eval".to_owned()];
    name_rows(evaluations);
    let paired = paired(&names, evaluations);
    let rows = &evaluations[0].results.rows;
    let row = rows.iter().find(|row| row.metric == metric).unwrap();
    figures(&names, evaluations, measure(row), &paired)
}

#[test]
fn arms_of_other_names_stand_in_the_rows_of_their_parts() {
    let mut evaluations = [evaluation("bi-kmbert", 1.0, true), evaluation("bi-mbert", 4.0, true)];
    let sheet = sheet(&mut evaluations, "pearson");
    assert_eq!(sheet.title, "의미-sts, sts.embed, pearson");
    assert_eq!(sheet.keys, ["split", "model"]);
    let rows: Vec<&str> = sheet.rows.iter().map(|row| row.keys[1].as_str()).collect();
    assert_eq!(rows, ["base", "step 0", "trained"]);
    let trained = &sheet.rows[2].cells;
    let value = |cell: &Cell| cell.value["value"].as_f64().unwrap();
    assert!((value(&trained[2]) - (value(&trained[1]) - value(&trained[0]))).abs() < 1e-12);
    assert_eq!(trained[2].value["clear"], true, "{}", trained[2].text);
    assert!(trained[2].text.ends_with('‡') && sheet.note.contains("paired bootstrap"));
    assert_eq!(trained[3].value, 40);
}

#[test]
fn without_answers_a_difference_has_no_interval_and_no_mark() {
    let mut evaluations = [evaluation("main", 1.0, true), evaluation("main", 4.0, false)];
    let sheet = sheet(&mut evaluations, "pearson");
    let rows: Vec<&str> = sheet.rows.iter().map(|row| row.keys[1].as_str()).collect();
    assert_eq!(rows, ["kmbert (base)", "main step 0", "main"]);
    let difference = &sheet.rows[2].cells[2];
    assert!(difference.value["value"].as_f64().is_some() && difference.value["low"].is_null());
    assert!(!difference.text.contains(['‡', '[']), "{}", difference.text);
    assert!(sheet.note.contains("says nothing of chance"), "{}", sheet.note);
}

#[test]
fn a_skipped_task_says_why() {
    let mut evaluations = [evaluation("main", 1.0, true), evaluation("main", 4.0, true)];
    let sheet = sheet(&mut evaluations, "");
    assert_eq!(sheet.title, "medsts, sts.embed");
    assert_eq!([0, 1].map(|at| sheet.rows[0].cells[at].text.as_str()), ["SKIPPED"; 2]);
    assert_eq!(sheet.note, "SKIPPED: not found: x.tsv.");
}

#[test]
fn other_data_are_told_and_never_paired() {
    let mut evaluations = [evaluation("main", 1.0, true), evaluation("main", 4.0, true)];
    for (one, hash) in evaluations.iter_mut().zip(["a", "b"]) {
        one.results.data.push(bimed_eval::DataInfo {
            task: "의미-sts".to_owned(),
            protocol: Protocol::StsEmbed,
            language: "ko".to_owned(),
            summary: json!({ "files": [{ "path": "same.tsv", "blake3": hash }] }),
        });
    }
    let sheet = sheet(&mut evaluations, "pearson");
    assert!(sheet.note.contains("NOT THE SAME DATA"), "{}", sheet.note);
    assert!(sheet.rows.iter().all(|row| row.cells[2].value["low"].is_null()));
}
