//! What an experiment reads and does not find, by name.

use std::path::{Path, PathBuf};

use bimed_eval::Protocol;
use serde::Serialize;

use super::card::tier_name;
use crate::paths::shown;
use crate::sections::{Corpus, Experiment, Vocabulary};

/// A file or directory that is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct MissingInput {
    /// What it is for: `source notes`, `base`, `task medsts-ko`.
    pub(crate) what: String,
    /// Where it was looked for.
    pub(crate) path: PathBuf,
    /// Its licence, for a source.
    pub(crate) licence: String,
    /// Who may see it, for a source.
    pub(crate) access: String,
    /// Whether nothing can be done without it. A task whose file is missing is skipped.
    pub(crate) is_needed: bool,
}

impl MissingInput {
    fn new(what: String, path: &Path, is_needed: bool) -> Self {
        let path = path.to_path_buf();
        Self { what, path, licence: String::new(), access: String::new(), is_needed }
    }

    /// `source notes: data/notes.csv (licence MIT, public)`.
    pub(crate) fn line(&self) -> String {
        let path = shown(&self.path);
        match self.licence.as_str() {
            "" => format!("{}: {path}", self.what),
            licence => format!("{}: {path} (licence: {licence}; {})", self.what, self.access),
        }
    }
}

/// Everything that `experiment` reads and is not there, sorted. With `corpus_only`, what the corpus
/// reads.
pub(crate) fn missing(experiment: &Experiment, corpus_only: bool) -> Vec<MissingInput> {
    let mut found = Vec::new();
    let head = experiment.pretrain.as_ref().and_then(|pretrain| pretrain.head.as_ref());
    // Held-out text of the file's own corpus is what all arms are asked about.
    let mut tasks = experiment.eval.iter().flat_map(|eval| &eval.tasks);
    let asks = tasks.any(|task| task.protocol == Protocol::MaskedWords);
    let shares = !corpus_only && (head.is_some() || asks);
    let shared = experiment.shared_corpus.as_ref().filter(|_| shares);
    for corpus in experiment.corpus.iter().chain(shared) {
        found.extend(of_corpus(corpus));
    }
    if corpus_only {
        return sorted(found);
    }
    if let Some(Vocabulary::Use(path)) = &experiment.vocab
        && !path.exists()
    {
        found.push(MissingInput::new("vocabulary".into(), path, true));
    }
    let base = experiment.transplant.as_ref().and_then(|transplant| transplant.base.as_ref());
    if let Some(base) = base.filter(|base| !base.exists()) {
        found.push(MissingInput::new("base".into(), base, true));
    }
    for task in experiment.eval.iter().flat_map(|eval| &eval.tasks) {
        for path in [&task.path, &task.train, &task.dev, &task.test].into_iter().flatten() {
            if !path.exists() {
                found.push(MissingInput::new(format!("task {}", task.name), path, false));
            }
        }
    }
    sorted(found)
}

fn of_corpus(corpus: &Corpus) -> Vec<MissingInput> {
    let sources =
        corpus.sources.iter().filter(|source| !source.path.exists()).map(|source| MissingInput {
            licence: source.licence.clone(),
            access: tier_name(source.access_tier).to_owned(),
            ..MissingInput::new(format!("source {}", source.name), &source.path, true)
        });
    let kept_out = corpus.config.decontaminate.iter().filter(|path| !path.exists());
    let kept_out =
        kept_out.map(|path| MissingInput::new("sentences to keep out".into(), path, true));
    sources.chain(kept_out).collect()
}

fn sorted(mut found: Vec<MissingInput>) -> Vec<MissingInput> {
    found.sort();
    found.dedup();
    found
}
