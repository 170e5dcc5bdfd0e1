//! Source files → corpus.

use std::path::{Path, PathBuf};

use bimed_artifact::{Artifact, Context, SourceLineage, Store, hash_file};
use bimed_corpus::{Job, ReaderConfig, Share};
use serde_json::Value;

use super::recipe::{Recipe, RecipeBuilder};
use super::survey::Survey;
use super::withdrawn;
use super::workshop::Workshop;
use crate::sections::Corpus;

/// The stage's name in the store.
pub(crate) const STAGE: &str = "corpus";
/// The form of its output.
const REVISION: u32 = 4;
/// What extraction leaves for every corpus of a store: a file is read once.
const UNITS: &str = "units";

/// What decides the corpus: what the files hold, not where they lie.
pub(crate) fn recipe(survey: &Survey, corpus: &Corpus) -> anyhow::Result<Recipe> {
    let scan = survey.scan(corpus)?;
    let mut placeless = corpus.clone();
    for source in &mut placeless.sources {
        (source.path, source.obtain) = (PathBuf::new(), None);
    }
    placeless.config.decontaminate.clear();
    placeless.config.identifiers.names = None;
    placeless.config.exclude_ids = None;
    // Where an engine lies and how long it may take decide nothing; which one is tried first may.
    let pdf_engines = placeless.config.readers.pdf_engines.clone();
    placeless.config.readers = ReaderConfig { pdf_engines, ..ReaderConfig::default() };
    let mut recipe = RecipeBuilder::new(STAGE, REVISION)
        .config("source", &placeless.sources)
        .config("corpus", &placeless.config)
        .shown("source", &corpus.sources)
        .shown("corpus", &corpus.config);
    for file in &scan.files {
        let name = format!("{}/{}", file.source_index, file.relative);
        recipe = recipe.part(&name, file.blake3.as_str().as_bytes());
    }
    for hash in &scan.decontaminate {
        recipe = recipe.part("decontaminate", hash.as_str().as_bytes());
    }
    if let Some(hash) = &scan.names {
        recipe = recipe.part("names", hash.as_str().as_bytes());
    }
    if let Some(path) = &corpus.config.exclude_ids {
        recipe = recipe.part("exclude_ids", hash_file(path)?.as_str().as_bytes());
    }
    for source in &corpus.sources {
        recipe = recipe.source(SourceLineage {
            name: source.name.clone(),
            licence: source.licence.clone(),
            access_tier: source.access_tier,
            approval: source.approval.clone(),
        });
    }
    Ok(recipe.finish())
}

/// The work that makes it: the files are those of the recipe.
pub(crate) fn job<'a>(
    store: &Store,
    survey: &Survey,
    corpus: &'a Corpus,
) -> anyhow::Result<Job<'a>> {
    let files = survey.scan(corpus)?.files.clone();
    Ok(Job::new(&corpus.sources, &corpus.config, files, &store.root().join(UNITS))?)
}

/// Makes it, or finds it. An interrupted run goes on at the unit that it had not written.
pub(crate) fn make(
    workshop: &mut Workshop<'_>,
    survey: &Survey,
    corpus: &Corpus,
) -> anyhow::Result<Artifact> {
    let store = workshop.store().clone();
    let artifact = workshop.resume(recipe(survey, corpus)?, |directory, context| {
        let job = job(&store, survey, corpus)?;
        job.map(Share::ALL, context)?;
        job.merge(directory, context)?;
        finish(&job, directory, context)
    })?;
    withdrawn::note(&artifact, &store, &workshop.context())?;
    Ok(artifact)
}

/// Writes what is decided into `directory`; gives the summary.
pub(crate) fn finish(
    job: &Job<'_>,
    directory: &Path,
    context: &Context<'_>,
) -> anyhow::Result<Value> {
    let summary = job.finalize(directory, context)?;
    for warning in &summary.warnings {
        context.progress.note(&format!("warning: {warning}"));
    }
    Ok(serde_json::to_value(summary)?)
}

#[cfg(test)]
mod tests {
    use bimed_corpus::SourceConfig;

    use super::*;

    #[test]
    fn where_a_source_lies_and_is_to_be_had_decides_nothing() {
        let key = |folder: &str, obtain: Option<&str>, licence: &str| {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join(folder);
            fs_err::write(&path, "환자는 chest CT를 시행하였다.").unwrap();
            let source = SourceConfig {
                name: "교과서".to_owned(),
                path,
                licence: licence.to_owned(),
                obtain: obtain.map(str::to_owned),
                ..SourceConfig::default()
            };
            let corpus = Corpus { sources: vec![source], config: Default::default() };
            recipe(&Survey::default(), &corpus).unwrap().key
        };
        let first = key("교과서.txt", None, "MIT");
        assert_eq!(first, key("교과서.txt", Some("ask the publisher"), "MIT"));
        assert_ne!(first, key("교과서.txt", None, "CC0-1.0"));
    }
}
