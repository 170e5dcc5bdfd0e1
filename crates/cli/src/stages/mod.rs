//! The stages in their order: keys, manifests and commits around the libraries' work.
//!
//! Owns what a stage depends on and when it is up to date. The libraries are given a directory and
//! know nothing of it.
//!
//! Invariant: two stages with the same key would write the same bytes, but for what they say of time.

pub(crate) mod card;
pub(crate) mod corpus;
mod documents;
pub(crate) mod encode;
pub(crate) mod eval;
pub(crate) mod export;
pub(crate) mod figures;
pub(crate) mod head;
pub(crate) mod inputs;
pub(crate) mod pretrain;
mod recipe;
pub(crate) mod report;
mod summaries;
pub(crate) mod survey;
pub(crate) mod tables;
pub(crate) mod training;
pub(crate) mod training_manifest;
pub(crate) mod transplant;
pub(crate) mod vectors;
pub(crate) mod vocab;
mod withdrawn;
mod workshop;

use std::rc::Rc;

use anyhow::Context as _;
use bimed_artifact::Store;
use bimed_ops::DeviceKind;
use bimed_train::PretrainConfig;

use crate::experiment::Arm;
use crate::sections::{Experiment, Transplant, Vocabulary};

pub(crate) use recipe::{Recipe, Upstream};
pub(crate) use survey::{BaseModel, Survey};
pub(crate) use workshop::{Made, State, Workshop};

/// One arm, with what its stages are told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stages<'a> {
    /// The arm.
    pub(crate) arm: &'a Arm<Experiment>,
    /// Where stages meet.
    pub(crate) store: &'a Store,
    /// The inputs.
    pub(crate) survey: &'a Survey,
    /// Where is computed.
    pub(crate) device: DeviceKind,
}

impl<'a> Stages<'a> {
    /// Its config.
    pub(crate) fn experiment(&self) -> &'a Experiment {
        &self.arm.config
    }

    /// The seed of everything random.
    pub(crate) fn seed(&self) -> u64 {
        self.arm.config.experiment.seed
    }

    /// The arm's corpus, there or to be made.
    pub(crate) fn corpus(&self) -> anyhow::Result<Upstream> {
        let section = self.experiment().corpus.as_ref().context("`[corpus]` is absent")?;
        Ok(corpus::recipe(self.survey, section)?.upstream(self.store))
    }

    /// `[vocab]`.
    pub(crate) fn vocabulary(&self) -> anyhow::Result<&'a Vocabulary> {
        self.experiment().vocab.as_ref().context("`[vocab]` is absent")
    }

    /// `[transplant]`.
    pub(crate) fn transplant(&self) -> anyhow::Result<&'a Transplant> {
        self.experiment().transplant.as_ref().context("`[transplant]` is absent")
    }

    /// `[pretrain]`.
    pub(crate) fn pretrain_config(&self) -> anyhow::Result<&'a PretrainConfig> {
        self.experiment().pretrain.as_ref().context("`[pretrain]` is absent")
    }

    /// The base; nothing where there is none or the model starts from random weights.
    pub(crate) fn base(&self) -> anyhow::Result<Option<Rc<BaseModel>>> {
        let Some(transplant) = &self.experiment().transplant else { return Ok(None) };
        transplant.base.as_deref().map(|base| self.survey.base(base)).transpose()
    }
}
