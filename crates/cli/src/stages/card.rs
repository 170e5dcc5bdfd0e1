//! Model cards: what a model directory says of itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bimed_artifact::{AccessTier, SourceLineage};
use bimed_checkpoint::{CardResult, ModelCard};
use bimed_eval::{Protocol, Results};

use super::summaries::Summaries;
use super::{Stages, export, tables};

/// The card of a model between two stages.
pub(crate) fn intermediate(title: &str, lineage: &[SourceLineage]) -> ModelCard {
    let mut body = String::from("Written by `bimed` between two of its stages.\n\n");
    body += &sources(lineage);
    ModelCard {
        title: title.to_owned(),
        pipeline_tag: Some("fill-mask".to_owned()),
        body,
        ..ModelCard::default()
    }
}

/// The card of an exported model, with what it answered where it was asked.
pub(crate) fn of_export(
    stages: &Stages<'_>,
    lineage: &[SourceLineage],
    summaries: &Summaries,
    drawn: &[String],
    results: Option<&Results>,
) -> ModelCard {
    let experiment = stages.experiment();
    let export = experiment.export.clone().unwrap_or_default();
    let mut body = format!(
        "The arm `{}` of the experiment `{}`, made with `bimed` {} from the base `{}`.\n\n",
        stages.arm.name,
        experiment.experiment.name,
        env!("CARGO_PKG_VERSION"),
        export::base_name(stages),
    );
    body += "Where it comes from is in `training_manifest.json`, what may be done with it in \
             `LICENSE`.\n\n";
    let settings = experiment.pretrain.as_ref().map(|pretrain| {
        let config = serde_json::to_value(pretrain).unwrap_or_default();
        tables::settings("Pretraining", &config)
    });
    let answered = results.map(Results::tables).unwrap_or_default();
    let described = summaries.tables().into_iter().chain(settings).chain(answered);
    for table in described.chain([tables::lineage(lineage)]) {
        body += &table.to_markdown();
        body.push('\n');
    }
    if !drawn.is_empty() {
        body += "Drawn at random for want of their own, and not trained: ";
        body += &drawn.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        body += ".\n";
    }
    ModelCard {
        title: format!("{} · {}", experiment.experiment.name, stages.arm.name),
        languages: languages(summaries),
        license: export.licence,
        base_model: export.base_model,
        widget: vec!["환자는 chest CT상 both lung에 [MASK] 소견 보임.".to_owned()],
        pipeline_tag: Some("fill-mask".to_owned()),
        tags: vec!["bert".to_owned(), "medical".to_owned()],
        datasets: export.datasets,
        results: results.map(|found| figures(found, &stages.arm.name)).unwrap_or_default(),
        body,
    }
}

/// The languages of the corpus as the hub names them.
fn languages(summaries: &Summaries) -> Vec<String> {
    let tags = summaries.corpus.iter().flat_map(|corpus| &corpus.languages);
    let known: BTreeSet<&str> = tags
        .flat_map(|one| match one.language.as_str() {
            "mixed" => vec!["ko", "en"],
            "ko" => vec!["ko"],
            "en" => vec!["en"],
            _ => Vec::new(),
        })
        .collect();
    known.into_iter().map(str::to_owned).collect()
}

/// What `model` answered to whole tasks.
fn figures(results: &Results, model: &str) -> Vec<CardResult> {
    let rows = results.rows.iter().filter(|row| row.model == model && row.part.is_empty());
    rows.filter_map(|row| {
        Some(CardResult {
            task: match row.protocol {
                Protocol::MaskedWords => "fill-mask",
                Protocol::StsEmbed | Protocol::StsPairRegression => "sentence-similarity",
            }
            .to_owned(),
            dataset: row.task.clone(),
            split: row.split.map(|split| split.name().to_owned()),
            // The names in the hub's library of metrics.
            metric: match row.metric.as_str() {
                "pearson" => "pearsonr",
                "spearman" => "spearmanr",
                other => other,
            }
            .to_owned(),
            metric_name: format!("{} ({})", row.metric, row.protocol.id()),
            value: row.value?,
        })
    })
    .collect()
}

/// The sources with licence, access tier and approval, and the strictest tier.
pub(crate) fn sources(lineage: &[SourceLineage]) -> String {
    if lineage.is_empty() {
        return "No source of text is recorded.\n".to_owned();
    }
    let mut text = String::from("| source | access | licence | approval |\n|---|---|---|---|\n");
    for source in lineage {
        let approval = source.approval.as_deref().unwrap_or("–");
        let cells =
            [&source.name, tier_name(source.access_tier), &source.licence, approval].map(cell);
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let strictest = strictest(lineage);
    let _ = writeln!(text, "\nThe strictest access tier of these is **{}**.", tier_name(strictest));
    text
}

/// The strictest access tier of all.
pub(crate) fn strictest(lineage: &[SourceLineage]) -> AccessTier {
    lineage.iter().map(|source| source.access_tier).max().unwrap_or_default()
}

/// `public`, `licensed` or `private`.
pub(crate) fn tier_name(tier: AccessTier) -> &'static str {
    match tier {
        AccessTier::Public => "public",
        AccessTier::Licensed => "licensed",
        AccessTier::Private => "private",
    }
}

/// Text in a cell of a Markdown table.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
