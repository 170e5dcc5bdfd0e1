//! Base and vocabulary → step-0 model.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bimed_artifact::{Artifact, write_atomic, write_json_atomic};
use bimed_bert::{BertConfig, BertForPreTraining, fill_missing};
use bimed_checkpoint::{RowMapSummary, Weights, apply_row_map, load_model_dir, save_model_dir};
use bimed_vocab::{Provenance, Tokenizer, Vocab, fill_row_map, save_tokenizer};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::head::Head;
use super::recipe::{Recipe, RecipeBuilder};
use super::training::trained_model;
use super::workshop::Workshop;
use super::{Stages, card, vocab};

/// The stage's name in the store.
pub(crate) const STAGE: &str = "transplant";
/// The form of its output.
const REVISION: u32 = 1;

/// Where each row of the embedding comes from.
const PROVENANCE_FILE: &str = "provenance.jsonl";

/// What was done to the rows.
#[derive(Debug, Serialize)]
struct RowsReport {
    rows: RowMapSummary,
    provenance: Provenance,
}

/// What decides the step-0 model.
pub(crate) fn recipe(stages: &Stages<'_>) -> anyhow::Result<Recipe> {
    let section = stages.transplant()?;
    let vocabulary = vocab::upstream(stages)?;
    let recipe = RecipeBuilder::new(STAGE, REVISION).input("vocab", &vocabulary);
    let recipe = match (Head::of_arm(stages)?, stages.base()?) {
        (Some(head), _) => recipe.input("base", &head.recipe.upstream(stages.store)),
        (None, Some(base)) => recipe.input("base", &base.upstream()),
        (None, None) => recipe.config("model", &section.config.model.clone().unwrap_or_default()),
    };
    let is_kept = stages.vocabulary()?.is_kept();
    let recipe = if is_kept { recipe } else { recipe.config("init", &section.config.init) };
    Ok(recipe.config("seed", &stages.seed()).finish())
}

/// Makes it, or finds it.
pub(crate) fn make(stages: &Stages<'_>, workshop: &mut Workshop<'_>) -> anyhow::Result<Artifact> {
    let recipe = recipe(stages)?;
    let tokenizer = vocab::upstream(stages)?.dir;
    let card = card::intermediate("A model before its pretraining", &recipe.lineage);
    let base = base_directory(stages, workshop)?;
    workshop.make(recipe, |directory, _| {
        let vocab = Vocab::from_dir(&tokenizer)?;
        let (config, weights, summary) = match &base {
            Some(base) => moved(stages, base, &vocab, directory)?,
            None => drawn(stages, &vocab)?,
        };
        save_model_dir(directory, &config, &weights, &card)?;
        if stages.vocabulary()?.is_kept() {
            vocab::copy_tokenizer(&tokenizer, directory)?;
        } else {
            let positions = BertConfig::from_hugging_face(&config)?.max_position_embeddings;
            save_tokenizer(directory, &Tokenizer::from_dir(&tokenizer)?, positions)?;
        }
        Ok(summary)
    })
}

/// The base's directory, with the head that was trained for it.
fn base_directory(stages: &Stages<'_>, workshop: &Workshop<'_>) -> anyhow::Result<Option<PathBuf>> {
    let Some(head) = Head::of_arm(stages)? else {
        return Ok(stages.base()?.map(|base| base.dir.clone()));
    };
    let artifact = workshop.find(&head.recipe)?.context("the head is not trained yet")?;
    trained_model(&artifact.dir, &artifact.manifest).map(Some)
}

/// The base with its rows moved to the new vocabulary. A kept vocabulary changes no bit.
fn moved(
    stages: &Stages<'_>,
    base: &Path,
    vocab: &Vocab,
    directory: &Path,
) -> anyhow::Result<(Map<String, Value>, Weights, Value)> {
    let mut model = load_model_dir(base)?;
    let parameters_before = model.weights.num_parameters();
    let old = Tokenizer::from_dir(base)?;
    if old.vocab() == vocab {
        let summary = json!({ "kept": true, "parameters": parameters_before });
        return Ok((model.config, model.weights, summary));
    }
    let init = &stages.transplant()?.config.init;
    let (map, provenance) = fill_row_map(&old, vocab, init, stages.seed())?;
    let rows = apply_row_map(&map, &mut model.weights)?;
    fit_config(&mut model.config, vocab);
    provenance.write_jsonl(&directory.join(PROVENANCE_FILE))?;
    let report = RowsReport { rows, provenance };
    write_json_atomic(&directory.join("report.json"), &report)?;
    write_atomic(&directory.join("report.md"), rows_markdown(&report)?.as_bytes())?;
    let mut summary = serde_json::to_value(&report)?;
    summary["parameters"] = model.weights.num_parameters().into();
    summary["parameters_before"] = parameters_before.into();
    Ok((model.config, model.weights, summary))
}

/// A model that starts from nothing.
fn drawn(
    stages: &Stages<'_>,
    vocab: &Vocab,
) -> anyhow::Result<(Map<String, Value>, Weights, Value)> {
    let shape = stages.transplant()?.config.model.clone().unwrap_or_default();
    let config = BertConfig {
        vocab_size: vocab.len(),
        pad_token_id: vocab.specials().pad as usize,
        ..shape
    };
    let zeros = BertForPreTraining::zeros(&config, &stages.device.open()?);
    let mut weights = Weights::default();
    let filled = fill_missing(&zeros, &mut weights, config.initializer_range, stages.seed());
    let summary = json!({
        "drawn_tensors": filled.len(),
        "parameters": weights.num_parameters(),
    });
    Ok((config.to_hugging_face(), weights, summary))
}

/// The keys of a config that speak of the vocabulary.
fn fit_config(config: &mut Map<String, Value>, vocab: &Vocab) {
    config.insert("vocab_size".into(), vocab.len().into());
    config.insert("pad_token_id".into(), vocab.specials().pad.into());
}

/// The rows by method and script, as a Markdown table.
fn rows_markdown(report: &RowsReport) -> anyhow::Result<String> {
    let counts: BTreeMap<String, BTreeMap<String, usize>> =
        serde_json::from_value(serde_json::to_value(&report.provenance.counts)?)?;
    let mut scripts: Vec<&String> = counts.values().flat_map(BTreeMap::keys).collect();
    scripts.sort();
    scripts.dedup();
    let mut text = String::from("# Transplanted rows\n\n| method |");
    for script in &scripts {
        let _ = write!(text, " {script} |");
    }
    let _ = writeln!(text, " all |\n|---|{}--:|", "--:|".repeat(scripts.len()));
    for (method, by_script) in &counts {
        let _ = write!(text, "| {method} |");
        for script in &scripts {
            let _ = write!(text, " {} |", by_script.get(*script).unwrap_or(&0));
        }
        let _ = writeln!(text, " {} |", by_script.values().sum::<usize>());
    }
    let rows = &report.rows;
    let _ = writeln!(
        text,
        "\n{} rows became {}; {} old rows are used by none.",
        rows.old_rows, rows.new_rows, report.provenance.unused_old_rows
    );
    Ok(text)
}
