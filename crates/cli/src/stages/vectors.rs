//! Token store → a vector for each row of the vocabulary, for the rows that `focus` fills.

use bimed_artifact::Artifact;
use bimed_vocab::{Init, TokenStore, TokenVectors};

use super::Stages;
use super::encode::Encoding;
use super::recipe::{Recipe, RecipeBuilder};
use super::workshop::Workshop;

/// The stage's name in the store.
pub(crate) const STAGE: &str = "vectors";
/// The form of its output.
const REVISION: u32 = 1;

/// Whether the arm's rows are filled by them.
pub(crate) fn is_asked(stages: &Stages<'_>) -> bool {
    let experiment = stages.experiment();
    let is_kept = experiment.vocab.as_ref().is_some_and(|vocabulary| vocabulary.is_kept());
    let moves = experiment.transplant.as_ref().filter(|transplant| transplant.base.is_some());
    !is_kept && moves.is_some_and(|transplant| transplant.config.init.contains(&Init::Focus))
}

/// What decides them.
pub(crate) fn recipe(stages: &Stages<'_>) -> anyhow::Result<Recipe> {
    let tokens = Encoding::of_arm(stages)?.recipe().upstream(stages.store);
    let recipe = RecipeBuilder::new(STAGE, REVISION).input("tokens", &tokens);
    Ok(recipe.config("seed", &stages.seed()).finish())
}

/// Makes them, or finds them.
pub(crate) fn make(stages: &Stages<'_>, workshop: &mut Workshop<'_>) -> anyhow::Result<Artifact> {
    let tokens = Encoding::of_arm(stages)?.recipe().upstream(stages.store);
    let seed = stages.seed();
    workshop.make(recipe(stages)?, |directory, context| {
        let store = TokenStore::open(&tokens.dir)?;
        let (vectors, summary) = TokenVectors::train(&store, seed, context)?;
        vectors.save(directory)?;
        Ok(serde_json::to_value(summary)?)
    })
}
