//! Base and vocabulary → step-0 model.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bimed_artifact::{Artifact, write_atomic, write_json_atomic};
use bimed_bert::{BertConfig, BertForPreTraining, fill_missing};
use bimed_checkpoint::{
    RowMapSummary, WORD_EMBEDDINGS, Weights, apply_row_map, load_model_dir, save_model_dir,
};
use bimed_vocab::{
    Filling, Provenance, Split, TokenStore, TokenVectors, Tokenizer, Vocab, fill_row_map,
    save_tokenizer,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::encode::Encoding;
use super::head::Head;
use super::recipe::{Recipe, RecipeBuilder};
use super::training::trained_model;
use super::workshop::Workshop;
use super::{Stages, card, vectors, vocab};
use crate::sections::{DecoderBias, Vocabulary};

/// The stage's name in the store.
pub(crate) const STAGE: &str = "transplant";
/// The form of its output.
const REVISION: u32 = 2;

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
    let recipe = if stages.vocabulary()?.is_kept() {
        recipe
    } else {
        let recipe = recipe.config("init", &section.config.init);
        recipe.config("decoder_bias", &section.config.decoder_bias)
    };
    let recipe = match wants_tokens(stages) {
        true => recipe.input("tokens", &Encoding::of_arm(stages)?.recipe().upstream(stages.store)),
        false => recipe,
    };
    let recipe = match vectors::is_asked(stages) {
        true => recipe.input("vectors", &vectors::recipe(stages)?.upstream(stages.store)),
        false => recipe,
    };
    Ok(recipe.config("seed", &stages.seed()).finish())
}

/// Whether the arm's tokens are counted, for the decoder's bias of the rows that the base lacks.
pub(crate) fn wants_tokens(stages: &Stages<'_>) -> bool {
    let experiment = stages.experiment();
    let is_kept = experiment.vocab.as_ref().is_some_and(Vocabulary::is_kept);
    let moves = experiment.transplant.as_ref().filter(|transplant| transplant.base.is_some());
    let fits = moves.is_some_and(|one| one.config.decoder_bias == DecoderBias::Fit);
    let has_tokens = experiment.corpus.is_some() && experiment.encode.is_some();
    fits && has_tokens && !is_kept
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
    let config = &stages.transplant()?.config;
    let counts = match wants_tokens(stages) {
        true => Some(token_counts(stages)?),
        false => None,
    };
    let vectors = match vectors::is_asked(stages) {
        true => Some(TokenVectors::load(&vectors::recipe(stages)?.upstream(stages.store).dir)?),
        false => None,
    };
    let filling = Filling {
        init: &config.init,
        seed: stages.seed(),
        vectors: vectors.as_ref(),
        counts: counts.as_deref(),
    };
    let (map, mut provenance) = fill_row_map(&old, vocab, &filling)?;
    let before = model.weights.get(WORD_EMBEDDINGS).cloned();
    let rows = apply_row_map(&map, &mut model.weights)?;
    if let (Some(before), Some(after)) = (before, model.weights.get(WORD_EMBEDDINGS)) {
        provenance.measure(&before, after);
    }
    fit_config(&mut model.config, vocab);
    provenance.write_jsonl(&directory.join(PROVENANCE_FILE))?;
    let report = RowsReport { rows, provenance };
    write_json_atomic(&directory.join("report.json"), &report)?;
    write_atomic(&directory.join("report.md"), report.to_markdown().as_bytes())?;
    let mut summary = serde_json::to_value(&report)?;
    summary["parameters"] = model.weights.num_parameters().into();
    summary["parameters_before"] = parameters_before.into();
    Ok((model.config, model.weights, summary))
}

/// How often each token of the vocabulary occurs in what the arm trains on.
fn token_counts(stages: &Stages<'_>) -> anyhow::Result<Vec<u64>> {
    let tokens = Encoding::of_arm(stages)?.recipe().upstream(stages.store);
    Ok(TokenStore::open(&tokens.dir)?.count_ids(Split::Train))
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

impl RowsReport {
    fn to_markdown(&self) -> String {
        let RowsReport { rows, provenance } = self;
        let bias = match (rows.bias_moved, rows.bias_fit) {
            (false, _) => "The base has no masked-word head, and so no biases to move.".to_owned(),
            (true, None) => {
                "The decoder's biases of new rows are mixed as the rows are.".to_owned()
            }
            (true, Some(fit)) => format!(
                "The decoder's biases of new rows are {:.4} · ln p {:+.4}, fitted on {} copied rows \
                 (correlation {:.2}).",
                fit.slope, fit.intercept, fit.rows, fit.correlation
            ),
        };
        format!(
            "# Transplanted rows\n\n{}\n{} rows became {}. {bias}\n",
            provenance.to_markdown(),
            rows.old_rows,
            rows.new_rows
        )
    }
}
