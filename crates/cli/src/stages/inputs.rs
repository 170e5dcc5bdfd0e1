//! What an experiment reads and does not find, by name.

use std::collections::BTreeMap;
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
    /// Where it is to be had, where the experiment file says so.
    pub(crate) obtain: String,
    /// Whether nothing can be done without it. A task whose file is missing is skipped.
    pub(crate) is_needed: bool,
}

impl MissingInput {
    fn new(what: String, path: &Path, is_needed: bool) -> Self {
        let (path, licence) = (path.to_path_buf(), String::new());
        Self { what, path, licence, access: String::new(), obtain: String::new(), is_needed }
    }

    fn with_obtain(self, obtain: Option<&String>) -> Self {
        Self { obtain: obtain.cloned().unwrap_or_default(), ..self }
    }

    /// `source notes: data/notes.csv (licence: MIT; public)`, and where it is to be had.
    pub(crate) fn line(&self) -> String {
        let path = shown(&self.path);
        let mut line = match self.licence.as_str() {
            "" => format!("{}: {path}", self.what),
            licence => format!("{}: {path} (licence: {licence}; {})", self.what, self.access),
        };
        if !self.obtain.is_empty() {
            line += &format!("\n    from: {}", self.obtain);
        }
        line
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
        found.extend(missing_of_corpus(corpus));
    }
    if corpus_only {
        return sorted(found);
    }
    found.extend(missing_of_vocabulary(experiment));
    found.extend(missing_base(experiment));
    for task in experiment.eval.iter().flat_map(|eval| &eval.tasks) {
        for path in [&task.path, &task.train, &task.dev, &task.test].into_iter().flatten() {
            if !path.exists() {
                let missing = MissingInput::new(format!("task {}", task.name), path, false);
                found.push(missing.with_obtain(task.obtain.as_ref()));
            }
        }
    }
    sorted(found)
}

/// What a vocabulary is made of and is not there: the tokenizer that is given, lists of words.
pub(crate) fn missing_of_vocabulary(experiment: &Experiment) -> Vec<MissingInput> {
    let paths = match &experiment.vocab {
        None => Vec::new(),
        Some(Vocabulary::Use(path)) => vec![("vocabulary", path)],
        Some(Vocabulary::Config(config)) => {
            let words = config.words.iter().map(|path| ("words to append", path));
            words.chain(config.deny_file.iter().map(|path| ("words to deny", path))).collect()
        }
    };
    let report = &experiment.vocab_report;
    let compared = report.compare.iter().map(|one| ("vocabulary to compare with", &one.path));
    let terms = report.terms.iter().map(|path| ("terms", path));
    let paths = paths.into_iter().chain(compared).chain(terms);
    let missing = paths.filter(|(_, path)| !path.exists());
    missing.map(|(what, path)| MissingInput::new(what.into(), path, true)).collect()
}

/// The base, where it is not there.
pub(crate) fn missing_base(experiment: &Experiment) -> Option<MissingInput> {
    let transplant = experiment.transplant.as_ref()?;
    let base = transplant.base.as_ref().filter(|base| !base.exists())?;
    let missing = MissingInput::new("base".into(), base, true);
    Some(missing.with_obtain(transplant.config.obtain.as_ref()))
}

/// What a corpus reads and is not there: its sources, and the sentences to keep out.
pub(crate) fn missing_of_corpus(corpus: &Corpus) -> Vec<MissingInput> {
    let sources =
        corpus.sources.iter().filter(|source| !source.path.exists()).map(|source| MissingInput {
            licence: source.licence.clone(),
            access: tier_name(source.access_tier).to_owned(),
            ..MissingInput::new(format!("source {}", source.name), &source.path, true)
                .with_obtain(source.obtain.as_ref())
        });
    let kept_out = corpus.config.decontaminate.iter().filter(|path| !path.exists());
    let kept_out =
        kept_out.map(|path| MissingInput::new("sentences to keep out".into(), path, true));
    sources.chain(kept_out).collect()
}

/// Sorted, each once. One file may be read for two things, of which one says where it is to be had.
fn sorted(mut found: Vec<MissingInput>) -> Vec<MissingInput> {
    let told: BTreeMap<PathBuf, String> = found
        .iter()
        .filter(|missing| !missing.obtain.is_empty())
        .map(|missing| (missing.path.clone(), missing.obtain.clone()))
        .collect();
    for missing in found.iter_mut().filter(|missing| missing.obtain.is_empty()) {
        missing.obtain = told.get(&missing.path).cloned().unwrap_or_default();
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_where_it_is_to_be_had() {
        let missing = MissingInput {
            licence: "출판사".to_owned(),
            access: "licensed".to_owned(),
            ..MissingInput::new("source 교과서".to_owned(), Path::new("/없음/교과서"), true)
        };
        assert_eq!(missing.line(), "source 교과서: /없음/교과서 (licence: 출판사; licensed)");
        let obtain = "ask the publisher".to_owned();
        let told = missing.clone().with_obtain(Some(&obtain));
        assert!(told.line().ends_with("\n    from: ask the publisher"));
        let found = sorted(vec![told.clone(), missing.clone(), missing]);
        assert_eq!(found, [told]);
    }
}
