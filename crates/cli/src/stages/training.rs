//! A training, of a model or of its head alone, and what it leaves.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bimed_artifact::{Artifact, Context, Manifest};
use bimed_ops::{BertOps, DeviceKind};
use bimed_train::{
    CHECKPOINTS_DIR, Precision, PretrainConfig, PretrainRun, PretrainSummary, Scope, pretrain,
};
use fs_err as fs;
use serde_json::Value;

use super::card;
use super::recipe::Recipe;
use super::workshop::Workshop;

/// One training, of a model or of its head.
#[derive(Debug)]
pub(crate) struct Training<'a> {
    /// The token store.
    pub(crate) store: &'a Path,
    /// The model that it starts from.
    pub(crate) start: &'a Path,
    /// The settings.
    pub(crate) config: &'a PretrainConfig,
    /// The experiment's seed.
    pub(crate) seed: u64,
    /// What is trained.
    pub(crate) scope: Scope,
    /// Whether a head that is missing may start at random.
    pub(crate) may_start_at_random: bool,
    /// Where it is computed.
    pub(crate) device: DeviceKind,
}

/// Trains under `recipe`, or goes on where a run of it was interrupted.
pub(crate) fn train(
    workshop: &mut Workshop<'_>,
    recipe: Recipe,
    training: &Training<'_>,
) -> anyhow::Result<Artifact> {
    let key = recipe.key.clone();
    let card = card::intermediate("Checkpoint of a pretraining run", &recipe.lineage);
    workshop.resume(recipe, |directory, context| {
        let device = training.device.open()?;
        let ops = training.device.ops_in(&device, training.config.precision.into());
        let config = computed(training.config, ops, context);
        let run = PretrainRun {
            store: training.store,
            base: training.start,
            run_dir: directory,
            config: &config,
            seed: training.seed,
            scope: training.scope,
            key: &key,
            may_start_at_random: training.may_start_at_random,
            card,
        };
        let summary = pretrain(&run, ops, &device, context)?;
        if summary.resumed_from > 0 {
            context.progress.note(&format!("resumed at step {}", summary.resumed_from));
        }
        summary_value(&summary, directory, training.device)
    })
}

/// `config` with the precision that `ops` compute; that it is another than asked for is said.
fn computed(config: &PretrainConfig, ops: &dyn BertOps, context: &Context<'_>) -> PretrainConfig {
    let mut config = config.clone();
    if ops.activations() != config.precision.into() {
        config.precision = Precision::F32;
        context.progress.note("this device has no bf16 units: `pretrain.precision` is `f32` here");
    }
    config
}

/// The summary with paths that outlive the run's directory. The step that a run was resumed from is
/// no property of what it made.
fn summary_value(
    summary: &PretrainSummary,
    directory: &Path,
    device: DeviceKind,
) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(summary)?;
    let object = value.as_object_mut().context("a summary is an object")?;
    object.remove("resumed_from");
    for (key, path) in [("model", &summary.model), ("start", &summary.start)] {
        let path = path.strip_prefix(directory).unwrap_or(path);
        object.insert(key.to_owned(), serde_json::to_value(path)?);
    }
    object.insert("device".to_owned(), device.to_string().into());
    Ok(value)
}

/// The model that a training ended with.
///
/// # Errors
/// When the manifest does not name it.
pub(crate) fn trained_model(directory: &Path, manifest: &Manifest) -> anyhow::Result<PathBuf> {
    let model = manifest.summary["model"].as_str();
    let model = model.with_context(|| format!("{} names no model", directory.display()))?;
    Ok(directory.join(model))
}

/// The newest step that an unfinished run in `directory` can go on from.
pub(crate) fn last_step(directory: &Path) -> Option<u64> {
    let entries = fs::read_dir(directory.join(CHECKPOINTS_DIR)).ok()?;
    let step = |entry: fs::DirEntry| {
        entry.file_name().to_str()?.strip_prefix("step-")?.parse::<u64>().ok()
    };
    entries.flatten().filter_map(step).max()
}
