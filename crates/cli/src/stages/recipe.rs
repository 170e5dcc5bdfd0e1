//! What decides an artifact: its key, its inputs, its lineage.

use std::path::PathBuf;

use bimed_artifact::{Hash, Input, KeyBuilder, SourceLineage, Store};
use serde::Serialize;
use serde_json::{Map, Value};

/// All that decides what a stage makes.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// The stage.
    pub(crate) stage: &'static str,
    /// The hash of all that follows.
    pub(crate) key: Hash,
    /// The stage's resolved config.
    pub(crate) config: Value,
    /// What it reads.
    pub(crate) inputs: Vec<Input>,
    /// Every source it goes back to.
    pub(crate) lineage: Vec<SourceLineage>,
}

/// What a stage reads: an artifact, there or still to be made, or what a user gave.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// Its key, or the hash of its content.
    pub(crate) hash: Hash,
    /// Every source it goes back to.
    pub(crate) lineage: Vec<SourceLineage>,
}

impl Recipe {
    /// What it makes, for those that read it.
    pub(crate) fn upstream(&self, store: &Store) -> Upstream {
        Upstream {
            dir: store.path(self.stage, &self.key),
            hash: self.key.clone(),
            lineage: self.lineage.clone(),
        }
    }
}

/// A recipe in the making.
#[derive(Debug)]
pub(crate) struct RecipeBuilder {
    stage: &'static str,
    key: KeyBuilder,
    config: Map<String, Value>,
    inputs: Vec<Input>,
    lineage: Vec<SourceLineage>,
}

impl RecipeBuilder {
    /// Of `stage`, whose output has the form `revision`.
    pub(crate) fn new(stage: &'static str, revision: u32) -> Self {
        Self {
            stage,
            key: KeyBuilder::new(stage, revision),
            config: Map::new(),
            inputs: Vec::new(),
            lineage: Vec::new(),
        }
    }

    /// Reads `upstream` as its `role`.
    pub(crate) fn input(mut self, role: &str, upstream: &Upstream) -> Self {
        self.key.part(role, upstream.hash.as_str().as_bytes());
        self.inputs.push(Input {
            role: role.to_owned(),
            path: upstream.dir.clone(),
            hash: upstream.hash.clone(),
        });
        self.lineage.extend(upstream.lineage.iter().cloned());
        self
    }

    /// A setting that decides the output.
    pub(crate) fn config<T: Serialize>(mut self, name: &str, value: &T) -> Self {
        self.key.config(name, value);
        self.shown(name, value)
    }

    /// A setting that is recorded and decides nothing: where a file lies, how much is done at once.
    pub(crate) fn shown<T: Serialize>(mut self, name: &str, value: &T) -> Self {
        self.config.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
        self
    }

    /// A part of the key that the config does not say.
    pub(crate) fn part(mut self, name: &str, bytes: &[u8]) -> Self {
        self.key.part(name, bytes);
        self
    }

    /// A source it goes back to.
    pub(crate) fn source(mut self, source: SourceLineage) -> Self {
        self.lineage.push(source);
        self
    }

    /// The recipe.
    pub(crate) fn finish(mut self) -> Recipe {
        self.lineage.sort();
        self.lineage.dedup();
        Recipe {
            stage: self.stage,
            key: self.key.finish(),
            config: Value::Object(self.config),
            inputs: self.inputs,
            lineage: self.lineage,
        }
    }
}
