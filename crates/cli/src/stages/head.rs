//! A base without a masked-word head → the same with one, trained on the base's own vocabulary with
//! the body frozen. It takes the base's place in every arm.

use std::rc::Rc;

use anyhow::Context as _;
use bimed_train::{PretrainConfig, Scope};

use super::encode::Encoding;
use super::recipe::{Recipe, RecipeBuilder};
use super::survey::BaseModel;
use super::training::{Training, train, trained_model};
use super::workshop::Workshop;
use super::{Stages, corpus};

/// The stage's name in the store.
pub(crate) const STAGE: &str = "head";
/// The form of its output.
const REVISION: u32 = 2;

/// The training of a head.
#[derive(Debug)]
pub(crate) struct Head {
    base: Rc<BaseModel>,
    config: PretrainConfig,
    /// Its tokens by the base's tokenizer.
    pub(crate) encoding: Encoding,
    /// The training.
    pub(crate) recipe: Recipe,
}

impl Head {
    /// The head that the arm's base needs; nothing where it has one, or where `[pretrain.head]` is
    /// absent.
    pub(crate) fn of_arm(stages: &Stages<'_>) -> anyhow::Result<Option<Self>> {
        let Some(pretrain) = &stages.experiment().pretrain else { return Ok(None) };
        let Some(head) = &pretrain.head else { return Ok(None) };
        let Some(base) = stages.base()? else { return Ok(None) };
        if base.has_head {
            return Ok(None);
        }
        let section = stages.experiment().shared_corpus.as_ref();
        let section = section.context("`pretrain.head` needs a corpus outside the arms")?;
        let corpus = corpus::recipe(stages.survey, section)?;
        let encoding = Encoding {
            corpus: corpus.upstream(stages.store),
            tokenizer: base.tokenizer(),
            languages: head.languages.clone(),
            is_held_out: false,
            config: stages.experiment().encode.clone().unwrap_or_default(),
        };
        let config = head.pretrain_config(pretrain);
        let recipe = RecipeBuilder::new(STAGE, REVISION)
            .input("tokens", &encoding.recipe().upstream(stages.store))
            .input("base", &base.upstream())
            .config("pretrain", &config)
            .config("seed", &stages.seed())
            .finish();
        Ok(Some(Self { base, config, encoding, recipe }))
    }

    /// Makes it with all it needs, or finds it. Gives the directory of the base with its head.
    pub(crate) fn make(
        self,
        stages: &Stages<'_>,
        workshop: &mut Workshop<'_>,
    ) -> anyhow::Result<()> {
        let section = stages.experiment().shared_corpus.as_ref();
        let section = section.context("`pretrain.head` needs a corpus outside the arms")?;
        corpus::make(workshop, stages.survey, section)?;
        let tokens = self.encoding.make(workshop)?;
        let training = Training {
            store: &tokens.dir,
            start: &self.base.dir,
            config: &self.config,
            seed: stages.seed(),
            scope: Scope::Head,
            may_start_at_random: true,
            device: stages.device,
        };
        let artifact = train(workshop, self.recipe, &training)?;
        trained_model(&artifact.dir, &artifact.manifest)?;
        Ok(())
    }
}
