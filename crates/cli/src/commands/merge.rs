//! `bimed merge A B … --out DIR`: the weighted mean of models.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bimed_artifact::{Artifact, Input, KeyBuilder, Manifest, Store};
use bimed_checkpoint::{load_model_dir, merge_models, save_model_dir};
use fs_err as fs;
use serde_json::json;

use crate::args::MergeArgs;
use crate::failure::{Exit, UsageError};
use crate::output::grouped;
use crate::session::Session;
use crate::stages::survey::{lineage_of, model_dir};
use crate::stages::{card, vocab};

/// What the manifest calls it.
const STAGE: &str = "merge";

/// Merges the models of `args`.
pub(crate) fn merge(session: &Session, args: &MergeArgs) -> anyhow::Result<Exit> {
    let weights = weights(args)?;
    if args.out.exists() {
        let message = format!("`{}` is there already", args.out.display());
        return Err(UsageError::new(message).with_hint("name another directory").into());
    }
    let mut key = KeyBuilder::new(STAGE, 1);
    let mut inputs = Vec::new();
    for (model, weight) in args.models.iter().zip(&weights) {
        let upstream = model_dir(model, lineage_of(model)?)?;
        key.part("model", upstream.hash.as_str().as_bytes()).config("weight", weight);
        let path = std::path::absolute(model)?;
        inputs.push((Input { role: "model".into(), path, hash: upstream.hash }, upstream.lineage));
    }
    let mut manifest = Manifest::new(STAGE, key.finish(), json!({ "weights": weights }));
    for (input, lineage) in inputs {
        manifest.inputs.push(input);
        manifest.extend_lineage(lineage);
    }
    let parameters = write(args, &weights, manifest)?;
    let shown = args.out.display();
    let text = format!(
        "merged {} models of {} parameters into {shown}\n",
        weights.len(),
        grouped(parameters as u64)
    );
    let value = json!({
        "event": "result", "written": args.out, "weights": weights, "parameters": parameters,
    });
    session.result(&text, &value);
    Ok(Exit::Done)
}

/// A weight for each model: those given, or equal ones.
fn weights(args: &MergeArgs) -> anyhow::Result<Vec<f64>> {
    let count = args.models.len();
    if args.weights.is_empty() {
        return Ok(vec![1.0 / count as f64; count]);
    }
    if args.weights.len() != count {
        let message =
            format!("found {} weights, expected {count}, one a model", args.weights.len());
        return Err(UsageError::new(message).into());
    }
    Ok(args.weights.clone())
}

/// Writes the merged model beside its place and renames it; gives its parameters.
fn write(args: &MergeArgs, weights: &[f64], manifest: Manifest) -> anyhow::Result<usize> {
    let parent = match args.out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let name = args.out.file_name().context("`--out` has no name")?.to_string_lossy();
    let scratch = parent.join(format!(".{name}.partial"));
    let made = write_at(&Store::new(&scratch), args, weights, manifest).and_then(|artifact| {
        fs::rename(&artifact.dir, &args.out)?;
        bimed_artifact::sync_dir(parent)?;
        Ok(artifact.manifest.summary["parameters"].as_u64().unwrap_or_default() as usize)
    });
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    made
}

fn write_at(
    store: &Store,
    args: &MergeArgs,
    weights: &[f64],
    mut manifest: Manifest,
) -> anyhow::Result<Artifact> {
    let first = args.models.first().context("no model")?;
    let mut config = None;
    let models = args.models.iter().zip(weights).map(|(dir, weight)| {
        let model = load_model_dir(dir)?;
        config.get_or_insert_with(|| model.config.clone());
        Ok((model, *weight))
    });
    let merged = merge_models(models)?;
    let config = config.context("no model")?;
    let mut card = card::intermediate("A merged model", &manifest.lineage);
    card.body = format!("{}\n{}", table(&args.models, weights), card.body);
    let staging = store.stage(STAGE, &manifest.key)?;
    save_model_dir(staging.dir(), &config, &merged, &card)?;
    vocab::copy_tokenizer(first, staging.dir())?;
    manifest.summary = json!({ "parameters": merged.num_parameters() });
    Ok(staging.commit(manifest)?)
}

/// The models by name, with their weights.
fn table(models: &[PathBuf], weights: &[f64]) -> String {
    let mut text = String::from("The weighted mean of models.\n\n| model | weight |\n|---|--:|\n");
    for (model, weight) in models.iter().zip(weights) {
        let name = model.file_name().unwrap_or(model.as_os_str()).to_string_lossy();
        text += &format!("| {} | {weight} |\n", card::cell(&name));
    }
    text
}
