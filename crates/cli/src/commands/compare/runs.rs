//! Pretrainings side by side: settings that differ, how far they are, held-out figures by step.

use std::collections::{BTreeMap, BTreeSet};

use bimed_train::{TrainRecord, ValidationFigures, ValidationRecord};
use serde_json::{Map, Value};

use super::settings::{differing, flat};
use super::sheet::{Cell, Sheet};
use crate::commands::inspect::{ArmOutput, Run};
use crate::commands::recognise::{Found, Kind};

/// What is known of one pretraining.
#[derive(Debug, Default)]
struct Training {
    settings: Option<Settings>,
    validations: Vec<ValidationRecord>,
    steps: Option<u64>,
    total_steps: Option<u64>,
    tokens: Option<u64>,
    last: Option<TrainRecord>,
}

/// Where settings come from decides what their keys are called.
#[derive(Debug)]
enum Settings {
    /// `experiment.toml`.
    Experiment(Map<String, Value>),
    /// The manifest of the stage.
    Stage(Map<String, Value>),
}

/// The runs at the paths that were found.
pub(super) fn sheets(names: &[String], found: &[Found]) -> anyhow::Result<Vec<Sheet>> {
    let runs = found.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let mut sheets = vec![progress(names, &runs), settings(names, &runs)];
    sheets.push(held_out(names, &runs, "bits per character", |one| {
        Cell::number(one.bits_per_character, 4)
    }));
    if let Some(sheet) = sheets.last_mut() {
        let first = names.first().map_or("", String::as_str);
        sheet.note = format!("Compares across vocabularies, on the same text. Δ: less {first}.");
        add_differences(names, sheet);
    }
    let within = "Compares between runs of one vocabulary alone.";
    let loss = held_out(names, &runs, "loss", |one| Cell::number(one.loss, 4));
    let accuracy = held_out(names, &runs, "accuracy", |one| Cell::share(one.accuracy, 1));
    sheets.extend([loss, accuracy].map(|sheet| sheet.with_note(within)));
    sheets.push(characters(names, &runs));
    sheets.retain(|sheet| !sheet.rows.is_empty() || !sheet.note.is_empty());
    Ok(sheets)
}

fn read(found: &Found) -> anyhow::Result<Training> {
    let of_run = |run: Run| Training {
        settings: run.manifest.as_ref().map(|one| Settings::Stage(flat(&one.config))),
        validations: run.validations(),
        steps: run.progress().map(|(done, _)| done),
        total_steps: run.progress().map(|(_, all)| all),
        tokens: run.checkpoints.last().map(|one| one.state.tokens),
        last: run.last().cloned(),
    };
    match found.kind {
        Kind::Arm => {
            let arm = ArmOutput::read(&found.path)?;
            let summary = arm.manifest.as_ref().map(|one| one.pretrain["summary"].clone());
            let summary = summary.unwrap_or_default();
            Ok(Training {
                settings: Some(Settings::Experiment(flat(&arm.experiment))),
                validations: arm.validations(),
                steps: arm.steps(),
                total_steps: arm.steps(),
                tokens: summary["tokens"].as_u64(),
                last: serde_json::from_value(summary["last"].clone()).ok(),
            })
        }
        Kind::TrainingCheckpoint => {
            let (run, checkpoint) = Run::of_checkpoint(&found.path)?;
            let state = checkpoint.state;
            Ok(Training {
                steps: Some(state.step),
                total_steps: Some(state.total_steps),
                tokens: Some(state.tokens),
                ..of_run(run)
            })
        }
        _ => Ok(of_run(Run::read(&found.path)?)),
    }
}

fn progress(names: &[String], runs: &[Training]) -> Sheet {
    let mut sheet = Sheet::new("Training", &["figure"], names)
        .with_note("Loss and accuracy are of the last logged steps of the training.");
    let last = |pick: fn(&TrainRecord) -> Cell| {
        runs.iter().map(move |run| Cell::or_none(run.last.as_ref().map(pick)))
    };
    let count = |count: Option<u64>| Cell::or_none(count.map(Cell::count));
    sheet.push(["steps done"], runs.iter().map(|run| count(run.steps)));
    sheet.push(["steps in all"], runs.iter().map(|run| count(run.total_steps)));
    sheet.push(["tokens read"], runs.iter().map(|run| count(run.tokens)));
    sheet.push(["epochs"], last(|record| Cell::number(record.epoch, 2)));
    sheet.push(["loss"], last(|record| Cell::number(record.loss, 4)));
    sheet.push(["accuracy"], last(|record| Cell::share(record.accuracy, 1)));
    sheet.push(["tokens a second"], last(|record| Cell::number(record.tokens_per_second, 0)));
    sheet
}

fn settings(names: &[String], runs: &[Training]) -> Sheet {
    let title = "Settings that differ";
    let of_stage = |run: &Training| match &run.settings {
        Some(Settings::Stage(settings)) => Some(settings.clone()),
        _ => None,
    };
    let of_experiment = |run: &Training| match &run.settings {
        Some(Settings::Experiment(settings)) => Some(settings.clone()),
        _ => None,
    };
    let all: Option<Vec<_>> = runs.iter().map(of_stage).collect();
    if let Some(all) = all.or_else(|| runs.iter().map(of_experiment).collect()) {
        return differing(title, names, &all);
    }
    let missing: Vec<&str> = names
        .iter()
        .zip(runs)
        .filter(|(_, run)| run.settings.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let note = match missing.len() {
        0 => "Not shown: an arm's experiment and a stage's manifest name settings differently."
            .to_owned(),
        _ => format!("Not shown: no settings are recorded yet of {}.", missing.join(", ")),
    };
    Sheet::new(title, &["setting"], names).with_note(note)
}

/// One row for each language and step that any run has.
fn held_out(
    names: &[String],
    runs: &[Training],
    figure: &str,
    pick: fn(&ValidationFigures) -> Cell,
) -> Sheet {
    let mut sheet = Sheet::new(format!("Held-out text: {figure}"), &["language", "step"], names);
    let records = || runs.iter().flat_map(|run| &run.validations);
    let places: BTreeSet<(&str, u64)> = records()
        .flat_map(|record| record.languages.keys().map(|language| (language.as_str(), record.step)))
        .collect();
    for (language, step) in places {
        let cells = runs.iter().map(|run| {
            let record = run.validations.iter().find(|record| record.step == step);
            Cell::or_none(record.and_then(|record| record.languages.get(language)).map(pick))
        });
        sheet.push([language.to_owned(), crate::output::grouped(step)], cells);
    }
    sheet
}

/// What each language's figures rest on, in the last validation.
fn characters(names: &[String], runs: &[Training]) -> Sheet {
    let mut sheet = Sheet::new("Held-out text: characters", &["language"], names)
        .with_note("Under the masked words; where they differ, so does the text.");
    let last = |run: &Training| run.validations.last().map(|record| record.languages.clone());
    let last: Vec<_> = runs.iter().map(|run| last(run).unwrap_or_default()).collect();
    let languages: BTreeSet<&String> = last.iter().flat_map(BTreeMap::keys).collect();
    for language in languages {
        let cells = last.iter().map(|found| found.get(language).map(|one| Cell::count(one.chars)));
        sheet.push([language.as_str()], cells.map(Cell::or_none).collect::<Vec<_>>());
    }
    sheet
}

/// Adds a column for each path but the first: its figure less the first's.
fn add_differences(names: &[String], sheet: &mut Sheet) {
    sheet.columns.extend(names.iter().skip(1).map(|name| format!("Δ {name}")));
    for row in &mut sheet.rows {
        let base = row.cells.first().and_then(|cell| cell.value.as_f64());
        let differences: Vec<Cell> = row.cells[1..names.len()]
            .iter()
            .map(|cell| match (base, cell.value.as_f64()) {
                (Some(base), Some(value)) => {
                    let difference = value - base;
                    Cell { text: format!("{difference:+.4}"), value: difference.into() }
                }
                _ => Cell::none(),
            })
            .collect();
        row.cells.extend(differences);
    }
}
