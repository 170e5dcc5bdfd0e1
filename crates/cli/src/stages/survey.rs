//! What the inputs of an experiment are: looked at once, however many stages and arms ask.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Context as _;
use bimed_artifact::{Hash, KeyBuilder, MANIFEST_FILE, Manifest, SourceLineage, hash_file};
use bimed_checkpoint::{Part, WORD_EMBEDDINGS, find_vocab, is_model_file, load_model_dir};
use bimed_corpus::{ScannedFile, scan};
use bimed_train::{CHECKPOINTS_DIR, STATE_FILE};
use fs_err as fs;

use super::recipe::Upstream;
use super::training_manifest::TrainingManifest;
use crate::sections::Corpus;

/// Files that decide how text is split, in a tokenizer's directory.
pub(crate) const TOKENIZER_FILES: [&str; 4] =
    ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

/// The inputs that were looked at.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    scans: RefCell<BTreeMap<String, Rc<Scan>>>,
    bases: RefCell<BTreeMap<PathBuf, Rc<BaseModel>>>,
}

/// The files that a corpus is made from.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The sources' files.
    pub(crate) files: Vec<ScannedFile>,
    /// The hashes of the files whose sentences are kept out.
    pub(crate) decontaminate: Vec<Hash>,
    /// The hash of the list of names.
    pub(crate) names: Option<Hash>,
}

/// A model that somebody else made.
#[derive(Debug)]
pub(crate) struct BaseModel {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// The hash of all its files that count.
    pub(crate) hash: Hash,
    /// The hash of its tokenizer's files alone.
    pub(crate) tokenizer: Hash,
    /// Whether it can predict masked tokens.
    pub(crate) has_head: bool,
    /// Whether it has a pooler.
    pub(crate) has_pooler: bool,
    /// Its parameters.
    pub(crate) num_parameters: usize,
    /// Every source it goes back to, where it says so.
    pub(crate) lineage: Vec<SourceLineage>,
}

impl Survey {
    /// The files of `corpus`, hashed.
    ///
    /// # Errors
    /// When sources are missing or cannot be read.
    pub(crate) fn scan(&self, corpus: &Corpus) -> anyhow::Result<Rc<Scan>> {
        let names = &corpus.config.identifiers.names;
        let name = (&corpus.sources, &corpus.config.decontaminate, names);
        let name = serde_json::to_string(&name)?;
        if let Some(found) = self.scans.borrow().get(&name) {
            return Ok(Rc::clone(found));
        }
        let files = scan(&corpus.sources)?;
        let decontaminate = corpus
            .config
            .decontaminate
            .iter()
            .map(|path| hash_file(path))
            .collect::<Result<_, _>>()?;
        let names = names.as_deref().map(hash_file).transpose()?;
        let found = Rc::new(Scan { files, decontaminate, names });
        self.scans.borrow_mut().insert(name, Rc::clone(&found));
        Ok(found)
    }

    /// The model in `dir`.
    ///
    /// # Errors
    /// When it is missing, or not a model that can be continued.
    pub(crate) fn base(&self, dir: &Path) -> anyhow::Result<Rc<BaseModel>> {
        if let Some(found) = self.bases.borrow().get(dir) {
            return Ok(Rc::clone(found));
        }
        let model = load_model_dir(dir)?;
        if let Some(embeddings) = model.weights.get(WORD_EMBEDDINGS) {
            bimed_vocab::Vocab::of_model(dir, embeddings.shape[0])?;
        }
        let found = Rc::new(BaseModel {
            dir: dir.to_path_buf(),
            hash: hash_files(dir, &model_files(dir)?)?,
            tokenizer: hash_files(dir, &tokenizer_files(dir))?,
            has_head: model.accounting.has(Part::MlmHead),
            has_pooler: model.accounting.has(Part::Pooler),
            num_parameters: model.weights.num_parameters(),
            lineage: lineage_of(dir)?,
        });
        self.bases.borrow_mut().insert(dir.to_path_buf(), Rc::clone(&found));
        Ok(found)
    }
}

impl BaseModel {
    /// As a stage reads it.
    pub(crate) fn upstream(&self) -> Upstream {
        let (dir, hash, lineage) = (self.dir.clone(), self.hash.clone(), self.lineage.clone());
        Upstream { dir, hash, lineage }
    }

    /// Its tokenizer alone.
    pub(crate) fn tokenizer(&self) -> Upstream {
        Upstream { hash: self.tokenizer.clone(), ..self.upstream() }
    }
}

/// A tokenizer's directory, as a stage reads it.
///
/// # Errors
/// When it has no vocabulary, or cannot be read.
pub(crate) fn tokenizer_dir(dir: &Path) -> anyhow::Result<Upstream> {
    bimed_vocab::Vocab::from_dir(dir)?;
    let hash = hash_files(dir, &tokenizer_files(dir))?;
    Ok(Upstream { dir: dir.to_path_buf(), hash, lineage: lineage_of(dir)? })
}

/// A model's directory, as a stage reads it: by what its files hold, not by how they were made.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn model_dir(dir: &Path, lineage: Vec<SourceLineage>) -> anyhow::Result<Upstream> {
    let hash = hash_files(dir, &model_files(dir)?)?;
    Ok(Upstream { dir: dir.to_path_buf(), hash, lineage })
}

/// Those of [`TOKENIZER_FILES`] that `dir` has, its vocabulary under whatever name.
pub(crate) fn tokenizer_files(dir: &Path) -> Vec<String> {
    let vocab = find_vocab(dir).ok().flatten();
    let vocab = vocab.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let others = TOKENIZER_FILES[1..].iter().filter(|name| dir.join(name).is_file());
    vocab.into_iter().chain(others.map(|name| (*name).to_owned())).collect()
}

/// The files of a model that decide what it computes and how text is split.
fn model_files(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = tokenizer_files(dir);
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if is_model_file(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn hash_files(dir: &Path, names: &[String]) -> anyhow::Result<Hash> {
    let mut key = KeyBuilder::new("files", 1);
    for name in names {
        key.part(name, hash_file(&dir.join(name))?.as_str().as_bytes());
    }
    Ok(key.finish())
}

/// The sources that a directory of ours goes back to; nothing for another's.
///
/// # Errors
/// When it is a checkpoint of a run that has not ended: only then are its sources recorded.
pub(crate) fn lineage_of(dir: &Path) -> anyhow::Result<Vec<SourceLineage>> {
    if let Some(run) = run_of(dir) {
        let manifest = Manifest::read(run).with_context(|| {
            let checkpoint = dir.display();
            format!("`{checkpoint}` is of a run that has not ended, and its sources are not known")
        })?;
        return Ok(manifest.lineage);
    }
    if dir.join(MANIFEST_FILE).is_file() {
        // Others use the name too, for other things.
        return Ok(Manifest::read(dir).map(|manifest| manifest.lineage).unwrap_or_default());
    }
    Ok(TrainingManifest::read(dir)?.map(|manifest| manifest.lineage).unwrap_or_default())
}

/// The run that a training checkpoint lies in.
fn run_of(dir: &Path) -> Option<&Path> {
    let parent = dir.parent().filter(|_| dir.join(STATE_FILE).is_file())?;
    let is_ours = parent.file_name().is_some_and(|name| name == CHECKPOINTS_DIR);
    parent.parent().filter(|_| is_ours)
}
