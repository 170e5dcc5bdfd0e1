//! What the stages of an arm left, read back for its report and its model's card.

use std::path::PathBuf;

use bimed_artifact::{Artifact, Hash};
use bimed_corpus::CorpusSummary;
use bimed_eval::Table;
use bimed_train::ValidationRecord;
use bimed_vocab::{EncodeSummary, VocabReport};
use fs_err as fs;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::encode::Encoding;
use super::recipe::Recipe;
use super::workshop::Workshop;
use super::{Stages, corpus, pretrain, tables, transplant, vocab};

/// The summaries of the stages that were run.
#[derive(Debug, Default)]
pub(crate) struct Summaries {
    /// The keys, by stage.
    pub(crate) keys: Vec<(String, Hash)>,
    /// The corpus.
    pub(crate) corpus: Option<CorpusSummary>,
    /// The token store.
    pub(crate) tokens: Option<EncodeSummary>,
    /// The vocabulary's training.
    pub(crate) vocabulary: Value,
    /// The vocabulary, beside the base's where there is one.
    pub(crate) vocab_report: Option<VocabReport>,
    /// The rows of the embedding.
    pub(crate) transplant: Value,
    /// The pretraining.
    pub(crate) pretrain: Value,
    /// The pretraining's directory.
    pub(crate) run: Option<PathBuf>,
}

impl Summaries {
    /// Those of an arm's artifacts, as far as they are made.
    pub(crate) fn read(stages: &Stages<'_>, workshop: &Workshop<'_>) -> anyhow::Result<Self> {
        let mut summaries = Self::default();
        let experiment = stages.experiment();
        if let Some(section) = &experiment.corpus {
            let found = summaries.find(workshop, Some(corpus::recipe(stages.survey, section)?))?;
            summaries.corpus = found.as_ref().and_then(typed);
        }
        if experiment.vocab.is_some() {
            let found = summaries.find(workshop, vocab::recipe(stages)?)?;
            summaries.vocabulary = value(found.as_ref());
            let beside = summaries.find(workshop, vocab::report_recipe(stages)?)?;
            summaries.vocab_report = match beside {
                Some(beside) => typed(&beside),
                None => found.and_then(|found| {
                    let text = fs::read(found.dir.join("report.json")).ok()?;
                    serde_json::from_slice(&text).ok()
                }),
            };
        }
        if experiment.encode.is_some() {
            let recipe = Encoding::of_arm(stages)?.recipe();
            let found = summaries.find(workshop, Some(recipe))?;
            summaries.tokens = found.as_ref().and_then(typed);
        }
        if experiment.transplant.is_some() {
            let found = summaries.find(workshop, Some(transplant::recipe(stages)?))?;
            summaries.transplant = value(found.as_ref());
        }
        if experiment.pretrain.is_some() {
            let found = summaries.find(workshop, Some(pretrain::recipe(stages)?))?;
            summaries.pretrain = value(found.as_ref());
            summaries.run = found.map(|found| found.dir);
        }
        Ok(summaries)
    }

    fn find(
        &mut self,
        workshop: &Workshop<'_>,
        recipe: Option<Recipe>,
    ) -> anyhow::Result<Option<Artifact>> {
        let Some(recipe) = recipe else { return Ok(None) };
        let found = workshop.find(&recipe)?;
        if found.is_some() {
            self.keys.push((recipe.stage.to_owned(), recipe.key));
        }
        Ok(found)
    }

    /// The validations of the pretraining, step 0 first.
    pub(crate) fn validations(&self) -> Vec<ValidationRecord> {
        serde_json::from_value(self.pretrain["validations"].clone()).unwrap_or_default()
    }

    /// All of it, as tables.
    pub(crate) fn tables(&self) -> Vec<Table> {
        let mut found = Vec::new();
        found.extend(self.corpus.as_ref().map(|one| tables::corpus(one, self.tokens.as_ref())));
        if let Some(report) = &self.vocab_report {
            found.extend([tables::vocabulary_rows(report), tables::fertility(report)]);
        }
        found.extend(tables::transplanted_rows(&self.transplant));
        let validations = self.validations();
        if !validations.is_empty() {
            found.push(tables::validation(&validations));
        }
        found
    }
}

fn typed<T: DeserializeOwned>(artifact: &Artifact) -> Option<T> {
    serde_json::from_value(artifact.manifest.summary.clone()).ok()
}

fn value(artifact: Option<&Artifact>) -> Value {
    artifact.map_or(Value::Null, |artifact| artifact.manifest.summary.clone())
}
