//! Token store and step-0 model → pretrained model.

use bimed_artifact::Artifact;
use bimed_train::Scope;

use super::encode::Encoding;
use super::recipe::{Recipe, RecipeBuilder};
use super::training::{Training, train};
use super::workshop::Workshop;
use super::{Stages, transplant};

/// The stage's name in the store.
pub(crate) const STAGE: &str = "pretrain";
/// The form of its output.
const REVISION: u32 = 2;

/// What decides the pretraining of an arm.
pub(crate) fn recipe(stages: &Stages<'_>) -> anyhow::Result<Recipe> {
    let config = stages.pretrain_config()?;
    Ok(RecipeBuilder::new(STAGE, REVISION)
        .input("tokens", &Encoding::of_arm(stages)?.recipe().upstream(stages.store))
        .input("start", &transplant::recipe(stages)?.upstream(stages.store))
        .config("pretrain", config)
        .config("seed", &stages.seed())
        .finish())
}

/// Makes it, goes on with it, or finds it.
pub(crate) fn make(stages: &Stages<'_>, workshop: &mut Workshop<'_>) -> anyhow::Result<Artifact> {
    let tokens = Encoding::of_arm(stages)?.recipe().upstream(stages.store);
    let start = transplant::recipe(stages)?.upstream(stages.store);
    let training = Training {
        store: &tokens.dir,
        start: &start.dir,
        config: stages.pretrain_config()?,
        seed: stages.seed(),
        scope: Scope::Model,
        may_start_at_random: stages.base()?.is_none(),
        device: stages.device,
    };
    train(workshop, recipe(stages)?, &training)
}
