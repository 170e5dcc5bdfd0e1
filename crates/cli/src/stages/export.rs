//! The last model of an arm → a Hugging Face directory to hand on. Nothing is sent anywhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bimed_artifact::{
    AccessTier, FileEntry, create_private_dir, hash_file, sync_dir, write_atomic, write_json_atomic,
};
use bimed_bert::{BertConfig, BertForPreTraining, fill_missing};
use bimed_checkpoint::{CARD_FILE, ModelCard, load_model_dir, save_model_dir};
use bimed_eval::Results;
use bimed_vocab::{Tokenizer, save_tokenizer};
use fs_err as fs;

use super::recipe::{Recipe, RecipeBuilder};
use super::summaries::Summaries;
use super::training::trained_model;
use super::training_manifest::{TRAINING_MANIFEST_FILE, TrainingManifest};
use super::workshop::Workshop;
use super::{Stages, card, pretrain, transplant};
use crate::failure::UsageError;
use crate::sections::Normalizer;

/// The stage's name.
pub(crate) const STAGE: &str = "export";
/// The form of its output.
const REVISION: u32 = 3;

/// What may be done with it.
const LICENCE_FILE: &str = "LICENSE";
/// What the arm's models answered, where they were asked.
pub(crate) const EVAL_RESULTS_FILE: &str = "eval_results.json";

/// What an export is.
#[derive(Debug)]
pub(crate) struct Exported {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// Whether it was there already.
    pub(crate) is_up_to_date: bool,
    /// The command that would publish it.
    pub(crate) upload: String,
}

/// Where the model of an arm is exported to.
pub(crate) fn directory(stages: &Stages<'_>) -> PathBuf {
    stages.experiment().arm_directory(&stages.arm.name).join("model")
}

/// What decides the export.
pub(crate) fn recipe(stages: &Stages<'_>) -> anyhow::Result<Recipe> {
    let experiment = stages.experiment();
    let model = match experiment.pretrain {
        Some(_) => pretrain::recipe(stages)?,
        None => transplant::recipe(stages)?,
    };
    Ok(RecipeBuilder::new(STAGE, REVISION)
        .input("model", &model.upstream(stages.store))
        .config("export", &experiment.export)
        .config("name", &(&experiment.experiment.name, &stages.arm.name))
        .finish())
}

/// Whether the export of `recipe` is there.
pub(crate) fn is_up_to_date(stages: &Stages<'_>, recipe: &Recipe) -> anyhow::Result<bool> {
    let dir = directory(stages);
    let found = TrainingManifest::read(&dir)?;
    Ok(found.is_some_and(|found| found.key == recipe.key && found.is_complete(&dir)))
}

/// Makes it, or finds it.
pub(crate) fn make(
    stages: &Stages<'_>,
    workshop: &Workshop<'_>,
    fresh: bool,
) -> anyhow::Result<Exported> {
    let (recipe, dir) = (recipe(stages)?, directory(stages));
    let is_up_to_date = !fresh && is_up_to_date(stages, &recipe)?;
    if !is_up_to_date {
        let summaries = Summaries::read(stages, workshop)?;
        let model = last_model(stages, workshop)?;
        let temporary = dir.with_file_name(".model.partial");
        remove(&temporary)?;
        create_private_dir(&temporary)?;
        let drawn = write_model(stages, &model, &temporary)?;
        let card = card::of_export(stages, &recipe.lineage, &summaries, &drawn, None);
        write_atomic(&temporary.join(CARD_FILE), card.to_markdown().as_bytes())?;
        write_atomic(&temporary.join(LICENCE_FILE), licence(stages, &recipe).as_bytes())?;
        let manifest = training_manifest(stages, recipe, &summaries, drawn, &temporary)?;
        write_json_atomic(&temporary.join(TRAINING_MANIFEST_FILE), &manifest)?;
        sync_dir(&temporary)?;
        remove(&dir)?;
        fs::rename(&temporary, &dir)?;
    }
    let upload = upload_command(stages, &dir);
    Ok(Exported { dir, is_up_to_date, upload })
}

/// Puts what the arm's models answered beside its exported model, and its figures into the card. The
/// manifest comes last: an export that is cut off here is not complete, and is made again.
pub(crate) fn add_results(
    stages: &Stages<'_>,
    workshop: &Workshop<'_>,
    results: &Results,
) -> anyhow::Result<()> {
    let dir = directory(stages);
    let mut manifest = TrainingManifest::read(&dir)?.context("the model is not exported yet")?;
    let mut file = serde_json::to_vec_pretty(results)?;
    file.push(b'\n');
    let path = dir.join(EVAL_RESULTS_FILE);
    if path.is_file() && fs::read(&path)? == file {
        return Ok(());
    }
    let summaries = Summaries::read(stages, workshop)?;
    let drawn = &manifest.drawn;
    let card = card::of_export(stages, &manifest.lineage, &summaries, drawn, Some(results));
    write_atomic(&path, &file)?;
    write_atomic(&dir.join(CARD_FILE), card.to_markdown().as_bytes())?;
    // The weights are as they were, and are not hashed again.
    manifest.files.retain(|file| ![EVAL_RESULTS_FILE, CARD_FILE].contains(&&*file.path));
    for name in [EVAL_RESULTS_FILE, CARD_FILE] {
        manifest.files.push(entry(&dir.join(name))?);
    }
    manifest.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(write_json_atomic(&dir.join(TRAINING_MANIFEST_FILE), &manifest)?)
}

/// Writes weights, config and tokenizer of `model` into `to`. What a pretraining model lacks is drawn,
/// for `transformers` would draw it anew at every load; gives the names of that.
fn write_model(stages: &Stages<'_>, model: &Path, to: &Path) -> anyhow::Result<Vec<String>> {
    let mut loaded = load_model_dir(model)?;
    let config = BertConfig::from_hugging_face(&loaded.config)?;
    let zeros = BertForPreTraining::zeros(&config, &stages.device.open()?);
    let range = config.initializer_range;
    let drawn = fill_missing(&zeros, &mut loaded.weights, range, stages.seed());
    save_model_dir(to, &loaded.config, &loaded.weights, &ModelCard::default())?;
    let tokenizer = Tokenizer::from_dir(model)?;
    let export = stages.experiment().export.clone().unwrap_or_default();
    let mut options = tokenizer.options();
    options.nfc |= export.normalizer == Normalizer::Nfc;
    let added: Vec<String> = tokenizer.added_tokens().map(str::to_owned).collect();
    let (tokenizer, _) =
        Tokenizer::new(tokenizer.vocab().clone(), options).with_added_tokens(&added);
    save_tokenizer(to, &tokenizer, config.max_position_embeddings)?;
    Ok(drawn)
}

/// Refuses to hand on what private sources are in, unless someone signed for it.
///
/// # Errors
/// [`UsageError`] without a sign-off.
pub(crate) fn check_sign_off(stages: &Stages<'_>) -> anyhow::Result<()> {
    let Some(export) = &stages.experiment().export else { return Ok(()) };
    let lineage = recipe(stages)?.lineage;
    let is_signed = export.sign_off.as_ref().is_some_and(|text| !text.trim().is_empty());
    let mut private: Vec<String> = lineage
        .iter()
        .filter(|source| source.access_tier == AccessTier::Private)
        .map(|source| format!("`{}`", source.name))
        .collect();
    private.dedup();
    if private.is_empty() || is_signed {
        return Ok(());
    }
    let message = format!(
        "the arm `{}` has private sources in it ({}), and `export.sign_off` is absent",
        stages.arm.name,
        private.join(", ")
    );
    let hint = "say in `export.sign_off` who decided, and when, that the model may be handed on, or \
                leave `[export]` out";
    Err(UsageError::new(message).with_hint(hint).into())
}

fn remove(dir: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The model that the arm ends with: pretrained, or transplanted where nothing is pretrained.
pub(crate) fn last_model(stages: &Stages<'_>, workshop: &Workshop<'_>) -> anyhow::Result<PathBuf> {
    if stages.experiment().pretrain.is_none() {
        return Ok(transplant::recipe(stages)?.upstream(stages.store).dir);
    }
    let recipe = pretrain::recipe(stages)?;
    let artifact = workshop.find(&recipe)?.context("the model is not pretrained yet")?;
    trained_model(&artifact.dir, &artifact.manifest)
}

/// The base's name, without its path.
pub(crate) fn base_name(stages: &Stages<'_>) -> String {
    let base = stages.experiment().transplant.as_ref().and_then(|t| t.base.as_deref());
    base.map_or("random".to_owned(), |base| {
        let name = base.file_name().unwrap_or(base.as_os_str());
        name.to_string_lossy().into_owned()
    })
}

fn upload_command(stages: &Stages<'_>, dir: &Path) -> String {
    let export = stages.experiment().export.clone().unwrap_or_default();
    let repository = export.repository.unwrap_or_else(|| {
        format!("YOUR-NAME/{}-{}", stages.experiment().experiment.name, stages.arm.name)
    });
    let path = dir.display().to_string().replace('\'', "'\\''");
    format!("hf upload {repository} '{path}' .")
}

fn licence(stages: &Stages<'_>, recipe: &Recipe) -> String {
    let mut text = String::from("# What may be done with this model\n\n");
    if let Some(licence) = stages.experiment().export.as_ref().and_then(|e| e.licence.as_ref()) {
        let _ = writeln!(text, "Stated by whoever exported it: `{licence}`.\n");
    }
    let _ = writeln!(
        text,
        "The base is `{}`; its own licence holds for what comes from it.\n",
        base_name(stages)
    );
    if let Some(sign_off) = stages.experiment().export.as_ref().and_then(|e| e.sign_off.as_ref()) {
        let _ = writeln!(text, "Signed for: {}\n", card::cell(sign_off));
    }
    text += "The text that it was trained on, and the vocabulary made from it:\n\n";
    text += &card::sources(&recipe.lineage);
    text.push('\n');
    text += match card::strictest(&recipe.lineage) {
        AccessTier::Public => "Each licence's own terms hold, attribution among them.\n",
        AccessTier::Licensed => {
            "Do not pass the model on before the licences and agreements above are read: a model \
             can repeat what it was trained on.\n"
        }
        AccessTier::Private => {
            "Do not pass the model on: it was trained on an institution's own records, and a model \
             can repeat what it was trained on.\n"
        }
    };
    text
}

fn training_manifest(
    stages: &Stages<'_>,
    recipe: Recipe,
    summaries: &Summaries,
    drawn: Vec<String>,
    dir: &Path,
) -> anyhow::Result<TrainingManifest> {
    let experiment = stages.experiment();
    Ok(TrainingManifest {
        key: recipe.key,
        bimed_version: env!("CARGO_PKG_VERSION").to_owned(),
        experiment: experiment.experiment.name.clone(),
        arm: stages.arm.name.clone(),
        base: base_name(stages),
        inputs: summaries.keys.clone(),
        lineage: recipe.lineage,
        corpus: serde_json::to_value(summaries.corpus.as_ref().map(|corpus| &corpus.languages))?,
        vocabulary: summaries.vocabulary.clone(),
        transplant: summaries.transplant.clone(),
        pretrain: serde_json::json!({
            "config": experiment.pretrain,
            "seed": stages.seed(),
            "summary": summaries.pretrain,
        }),
        drawn,
        files: listed(dir)?,
    })
}

/// Every file of `dir`, which has no manifest yet, sorted.
fn listed(dir: &Path) -> anyhow::Result<Vec<FileEntry>> {
    let entries = fs::read_dir(dir)?;
    let mut files =
        entries.map(|found| entry(&found?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn entry(path: &Path) -> anyhow::Result<FileEntry> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(FileEntry { path: name, bytes: fs::metadata(path)?.len(), blake3: hash_file(path)? })
}
