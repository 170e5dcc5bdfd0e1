//! `report.html` of an arm and of all arms.

use std::path::{Path, PathBuf};

use bimed_artifact::create_private_dir;
use bimed_eval::{LinePlot, Report, Results, Table, read_run_log};
use bimed_train::LOG_FILE;

use super::summaries::Summaries;
use super::workshop::Workshop;
use super::{Stages, export, recipe::Recipe, tables};

/// The page of an arm, and of an experiment.
const REPORT_FILE: &str = "report.html";
/// The language of the page's own words.
const LANGUAGE: &str = "en";

/// What the report of an arm shows.
#[derive(Debug)]
pub(crate) struct ArmReport {
    /// The arm.
    pub(crate) name: String,
    facts: Vec<(String, String)>,
    summary: Option<Table>,
    plots: Vec<LinePlot>,
    tables: Vec<Table>,
}

impl ArmReport {
    /// Of the stages of an arm that are made.
    pub(crate) fn of_arm(
        stages: &Stages<'_>,
        workshop: &Workshop<'_>,
        results: Option<&Results>,
    ) -> anyhow::Result<Self> {
        let summaries = Summaries::read(stages, workshop)?;
        let experiment = stages.experiment();
        let mut facts = vec![
            ("experiment".to_owned(), experiment.experiment.name.clone()),
            ("arm".to_owned(), stages.arm.name.clone()),
            ("base".to_owned(), export::base_name(stages)),
            ("seed".to_owned(), stages.seed().to_string()),
            ("bimed".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ];
        for (name, key) in
            [("parameters", "parameters"), ("parameters before", "parameters_before")]
        {
            if let Some(count) = summaries.transplant[key].as_u64() {
                facts.push((name.to_owned(), crate::output::grouped(count)));
            }
        }
        if let Some(steps) = summaries.pretrain["steps"].as_u64() {
            facts.push(("steps".to_owned(), crate::output::grouped(steps)));
        }
        let plots = match &summaries.run {
            Some(run) => read_run_log(&run.join(LOG_FILE))?.plots(),
            None => Vec::new(),
        };
        let mut tables = summaries.tables();
        tables.extend(results.map(Results::details).unwrap_or_default());
        if let Some(pretrain) = &experiment.pretrain {
            tables.push(tables::settings("Pretraining", &serde_json::to_value(pretrain)?));
        }
        let recipe: Option<Recipe> =
            experiment.transplant.is_some().then(|| export::recipe(stages)).transpose()?;
        tables.extend(recipe.map(|recipe| tables::lineage(&recipe.lineage)));
        let summary = results.and_then(Results::summary);
        Ok(Self { name: stages.arm.name.clone(), facts, summary, plots, tables })
    }

    /// Writes the arm's page into `directory`.
    pub(crate) fn write(&self, directory: &Path) -> anyhow::Result<PathBuf> {
        let title = self.facts.iter().take(2).map(|(_, value)| value.as_str());
        let title = title.collect::<Vec<_>>().join(" · ");
        let page = Report {
            title,
            language: LANGUAGE.to_owned(),
            facts: self.facts.clone(),
            summary: self.summary.clone(),
            plots: self.plots.clone(),
            tables: self.tables.clone(),
        };
        write(directory, &page)
    }
}

/// Writes the page of all arms into `directory`.
pub(crate) fn write_experiment(
    directory: &Path,
    name: &str,
    arms: &[ArmReport],
    results: Option<&Results>,
) -> anyhow::Result<PathBuf> {
    let facts = vec![
        ("experiment".to_owned(), name.to_owned()),
        (
            "arms".to_owned(),
            arms.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>().join(", "),
        ),
    ];
    let mut tables = results.map(Results::details).unwrap_or_default();
    let mut plots = Vec::new();
    for arm in arms {
        plots.extend(
            arm.plots
                .iter()
                .cloned()
                .map(|plot| LinePlot { title: format!("{} · {}", arm.name, plot.title), ..plot }),
        );
        tables.extend(
            arm.tables
                .iter()
                .filter(|table| is_of_arm(table, results))
                .cloned()
                .map(|table| Table { title: format!("{} · {}", arm.name, table.title), ..table }),
        );
    }
    let summary = results.and_then(Results::summary);
    let title = name.to_owned();
    write(
        directory,
        &Report { title, language: LANGUAGE.to_owned(), facts, summary, plots, tables },
    )
}

/// The tables of results are shown once, for all arms.
fn is_of_arm(table: &Table, results: Option<&Results>) -> bool {
    let shared = results.map(Results::details).unwrap_or_default();
    shared.iter().all(|one| one.title != table.title)
}

fn write(directory: &Path, page: &Report) -> anyhow::Result<PathBuf> {
    create_private_dir(directory)?;
    let path = directory.join(REPORT_FILE);
    page.write(&path)?;
    Ok(path)
}
