//! Corpus and tokenizer → token store.

use std::path::Path;

use bimed_artifact::Artifact;
use bimed_vocab::{EncodeConfig, InputDocument, Split, Tokenizer};

use super::Stages;
use super::documents::documents;
use super::recipe::{Recipe, RecipeBuilder, Upstream};
use super::workshop::Workshop;

/// The stage's name in the store.
pub(crate) const STAGE: &str = "encode";
/// The form of its output.
const REVISION: u32 = 1;

/// A token store: of which corpus, by which tokenizer.
#[derive(Debug, Clone)]
pub(crate) struct Encoding {
    /// The corpus.
    pub(crate) corpus: Upstream,
    /// The tokenizer's directory.
    pub(crate) tokenizer: Upstream,
    /// The languages that are taken; all where it is empty.
    pub(crate) languages: Vec<String>,
    /// Whether only the documents that no model is trained on are taken.
    pub(crate) is_held_out: bool,
    /// `[encode]`.
    pub(crate) config: EncodeConfig,
}

impl Encoding {
    /// Of the arm's corpus by its vocabulary.
    pub(crate) fn of_arm(stages: &Stages<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            corpus: stages.corpus()?,
            tokenizer: super::vocab::upstream(stages)?,
            languages: Vec::new(),
            is_held_out: false,
            config: stages.experiment().encode.clone().unwrap_or_default(),
        })
    }

    /// What decides it. How many documents are encoded together decides nothing.
    pub(crate) fn recipe(&self) -> Recipe {
        let recipe = RecipeBuilder::new(STAGE, REVISION)
            .input("corpus", &self.corpus)
            .input("vocab", &self.tokenizer)
            .config("languages", &self.languages)
            .shown("encode", &self.config);
        let recipe = match self.is_held_out {
            true => recipe.config("split", &Split::Valid),
            false => recipe,
        };
        recipe.finish()
    }

    /// Makes it, or finds it.
    pub(crate) fn make(&self, workshop: &mut Workshop<'_>) -> anyhow::Result<Artifact> {
        workshop.make(self.recipe(), |directory, context| {
            let tokenizer = Tokenizer::from_dir(&self.tokenizer.dir)?;
            let documents = self.documents(&self.corpus.dir)?;
            let summary =
                bimed_vocab::encode(documents, &tokenizer, &self.config, directory, context)?;
            Ok(serde_json::to_value(summary)?)
        })
    }

    fn documents(
        &self,
        corpus: &Path,
    ) -> anyhow::Result<impl Iterator<Item = Result<InputDocument, bimed_corpus::Error>>> {
        let is_taken = |document: &Result<InputDocument, _>| {
            let Ok(document) = document else { return true };
            (self.languages.is_empty() || self.languages.contains(&document.language))
                && (!self.is_held_out || document.split == Split::Valid)
        };
        Ok(documents(corpus)?.filter(is_taken))
    }
}
