//! Writes a `report.html` and results of made-up figures, to look at.
//!
//!     cargo run --release -p bimed-eval --example sample_report -- DIR

use std::path::PathBuf;

use bimed_eval::metrics::Bootstrap;
use bimed_eval::{
    Cell, Prediction, Protocol, Report, ResultRow, Results, Split, Table, TableColumn,
    compare_predictions, read_run_log, score_predictions,
};
use fs_err as fs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = PathBuf::from(std::env::args().nth(1).ok_or("expected a directory")?);
    fs::create_dir_all(&dir)?;
    let log = dir.join("log.jsonl");
    fs::write(&log, sample_log())?;
    let predictions = sample_predictions();
    let config = Bootstrap { resamples: 2_000, ..Bootstrap::default() };
    let mut results = Results::new("0.0.0");
    results.rows = score_predictions(&predictions, &config);
    results.comparisons = compare_predictions(&predictions, "base", &config);
    let reason = "not found: data/medsts.tsv";
    results.rows.push(ResultRow::skipped("medsts", Protocol::StsEmbed, "base", reason));
    results.write(&dir)?;
    let mut tables = results.tables();
    tables.insert(0, corpus_table());
    let report = Report {
        title: "예시 보고서 · sample report".to_owned(),
        language: "ko".to_owned(),
        facts: vec![
            ("experiment".to_owned(), "sample, figures made up".to_owned()),
            ("model".to_owned(), "2 layers, hidden 32".to_owned()),
        ],
        summary: None,
        plots: read_run_log(&log)?.plots(),
        tables,
    };
    report.write(&dir.join("report.html"))?;
    Ok(())
}

/// A number in −1 to 1 that looks random.
fn noise(index: usize) -> f64 {
    (index as f64 * 12.9898).sin() * (index as f64 * 78.233).cos()
}

fn sample_log() -> String {
    let mut log = String::new();
    for step in 1..=2_000_usize {
        let loss = 2.0 + 8.0 / (1.0 + step as f64 / 120.0) + 0.15 * noise(step);
        let rate = 1e-4 * (step as f64 / 200.0).min((2_000.0 - step as f64) / 1_800.0);
        let (norm, speed) = (1.0 + 30.0 / step as f64, 21_000.0 + 900.0 * noise(step + 7));
        let mut record = serde_json::json!({
            "step": step, "loss": loss, "learning_rate": rate, "gradient_norm": norm,
            "tokens_per_second": speed,
        });
        if step % 200 == 0 {
            record["valid"] = serde_json::json!({
                "ko": {"loss": loss + 0.3, "bits_per_character": 1.5 + 0.4 * loss},
                "en": {"loss": loss + 0.1, "bits_per_character": 0.6 + 0.2 * loss},
                "mixed": {"loss": loss + 0.5, "bits_per_character": 0.9 + 0.3 * loss},
            });
        }
        log += &format!("{record}\n");
    }
    log
}

fn sample_predictions() -> Vec<Prediction> {
    let mut predictions = Vec::new();
    for (model, spread) in [("base", 2.2), ("bi-model", 1.1)] {
        for seed in 1..=3 {
            for row in 1..=300_usize {
                let gold = 2.5 + 2.5 * noise(row);
                predictions.push(Prediction {
                    task: "sample-sts-ko".to_owned(),
                    protocol: Protocol::StsPairRegression,
                    split: Split::Test,
                    model: model.to_owned(),
                    seed: Some(seed),
                    row: row as u64,
                    id: None,
                    gold,
                    prediction: gold + spread * noise(row * 31 + seed as usize * 977),
                });
            }
        }
    }
    predictions
}

fn corpus_table() -> Table {
    let row = |cells: [&str; 5]| cells.iter().map(|cell| Cell::plain(*cell)).collect();
    Table {
        title: "말뭉치 · corpus".to_owned(),
        note: "Words are eojeol in Korean.".to_owned(),
        columns: vec![
            TableColumn::left("source"),
            TableColumn::left("language"),
            TableColumn::right("documents"),
            TableColumn::right("words"),
            TableColumn::right("share"),
        ],
        rows: vec![
            row(["교과서 <html>", "ko", "120", "48,210", "41.2%"]),
            row(["health articles", "en", "300", "51,977", "44.4%"]),
            row(["판독문 & notes", "mixed", "88", "16,840", "14.4%"]),
        ],
    }
}
