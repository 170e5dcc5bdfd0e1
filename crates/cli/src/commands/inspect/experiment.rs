//! What an experiment made, arm by arm.

use std::path::Path;

use bimed_eval::{Cell, Results, Table, TableColumn};
use bimed_train::ValidationRecord;
use fs_err as fs;
use serde_json::{Value, json};

use super::evaluation;
use super::page::{Page, counted};
use crate::commands::recognise::{EXPERIMENT_FILE, RESULTS_FILE, arms};
use crate::output::grouped;
use crate::paths::shown;
use crate::stages::training_manifest::TrainingManifest;
use crate::stages::{eval, tables};

/// An arm's directory as it was found.
#[derive(Debug)]
pub(in crate::commands) struct ArmOutput {
    /// The directory's name.
    pub(in crate::commands) name: String,
    /// The resolved experiment.
    pub(in crate::commands) experiment: Value,
    /// What the exported model says of itself.
    pub(in crate::commands) manifest: Option<TrainingManifest>,
    /// The figures.
    pub(in crate::commands) results: Option<Results>,
}

impl ArmOutput {
    /// Of the directory `dir`.
    ///
    /// # Errors
    /// When one of its files is damaged.
    pub(in crate::commands) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(EXPERIMENT_FILE);
        let text = fs::read_to_string(&path)?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let at = error.span().map_or(0, |span| text[..span.start].lines().count());
            anyhow::anyhow!("{}:{at}: the TOML does not parse", path.display())
        })?;
        let results = dir.join(eval::STAGE).join(RESULTS_FILE);
        Ok(Self {
            name: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            experiment: serde_json::to_value(table)?,
            manifest: TrainingManifest::read(&dir.join("model"))?,
            results: results.is_file().then(|| Results::read(&results)).transpose()?,
        })
    }

    /// The validations of its pretraining, by ascending step.
    pub(in crate::commands) fn validations(&self) -> Vec<ValidationRecord> {
        let found = self.manifest.as_ref().map(|found| &found.pretrain["summary"]["validations"]);
        found.and_then(|found| serde_json::from_value(found.clone()).ok()).unwrap_or_default()
    }

    /// Steps of its pretraining, as the exported model says.
    pub(in crate::commands) fn steps(&self) -> Option<u64> {
        self.manifest.as_ref()?.pretrain["summary"]["steps"].as_u64()
    }

    /// Puts it on a page.
    pub(super) fn show(&self, page: &mut Page) -> anyhow::Result<()> {
        let setting = |keys: [&str; 2]| self.experiment[keys[0]][keys[1]].clone();
        let name = setting(["experiment", "name"]);
        let seed = setting(["experiment", "seed"]);
        page.fact(
            "experiment",
            format!("{}, arm {}, seed {seed}", name.as_str().unwrap_or("–"), self.name),
        );
        page.fact("stages", self.sections().join(", "));
        match &self.manifest {
            None => page.fact("model", "not exported yet"),
            Some(manifest) => {
                for (stage, key) in &manifest.inputs {
                    page.fact("from", format!("{stage} {}", key.short()));
                }
                let steps = self.steps().map_or("no pretraining".to_owned(), |steps| {
                    format!("pretrained for {} steps", grouped(steps))
                });
                page.fact("model", format!("exported, base {}, {steps}", manifest.base));
            }
        }
        let validations = self.validations();
        if !validations.is_empty() {
            page.table(tables::validation(&validations));
        }
        match &self.results {
            None => page.fact("evaluation", "none yet"),
            Some(results) => evaluation::show_in_short(results, page),
        }
        page.put("experiment", &self.experiment)?;
        page.put("validations", validations)
    }

    /// The stages that are asked for.
    fn sections(&self) -> Vec<&'static str> {
        let all =
            ["corpus", "vocab", "encode", "transplant", "pretrain", "export", "finetune", "eval"];
        all.into_iter().filter(|section| !self.experiment[section].is_null()).collect()
    }
}

/// Puts the arms of the experiment in `dir`, and what all of them answered, on a page.
pub(super) fn show(dir: &Path, page: &mut Page) -> anyhow::Result<()> {
    let mut table = Table {
        title: "Arms".to_owned(),
        note: String::new(),
        columns: ["arm", "base", "model", "evaluation", "where"].map(TableColumn::left).to_vec(),
        rows: Vec::new(),
    };
    let mut values = Vec::new();
    for path in arms(dir) {
        let arm = ArmOutput::read(&path)?;
        let base = arm.manifest.as_ref().map_or("–", |manifest| manifest.base.as_str());
        let model = match (&arm.manifest, arm.steps()) {
            (None, _) => "not exported yet".to_owned(),
            (_, None) => "exported".to_owned(),
            (_, Some(steps)) => format!("exported, {} steps", grouped(steps)),
        };
        let evaluation = match &arm.results {
            None => "none yet".to_owned(),
            Some(results) => counted(results.rows.len(), "figure"),
        };
        let cells = [arm.name.clone(), base.to_owned(), model, evaluation, shown(&path)];
        table.rows.push(cells.into_iter().map(Cell::plain).collect());
        values.push(json!({
            "name": arm.name,
            "path": path,
            "exported": arm.manifest.is_some(),
            "steps": arm.steps(),
            "evaluated": arm.results.is_some(),
        }));
    }
    page.put("arms", values)?;
    page.table(table);
    let results = dir.join(RESULTS_FILE);
    if results.is_file() {
        evaluation::show_in_short(&Results::read(&results)?, page);
        page.fact("figures", format!("`bimed inspect {}` shows them", shown(&results)));
    }
    Ok(())
}
