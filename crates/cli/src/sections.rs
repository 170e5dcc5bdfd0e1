//! The sections of an experiment file: which there are, and those that belong to no stage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::args::ExperimentArgs;
use crate::experiment::{Arm, Composer, ExperimentFile, RangeFaults, name_faults, nearest};
use crate::failure::UsageError;
use crate::session::Session;

/// The keys at the top of an experiment file; `arm` is read before them.
const SECTIONS: [&str; 9] =
    ["experiment", "corpus", "vocab", "encode", "transplant", "pretrain", "export", "eval", "arm"];

/// One arm's config, every section of it.
#[derive(Debug, Clone)]
pub(crate) struct Experiment {
    /// `[experiment]`.
    pub(crate) experiment: ExperimentConfig,
}

impl Experiment {
    /// Reads every section; `None` when one has a fault.
    fn compose(composer: &mut Composer<'_>) -> Option<Self> {
        composer.sections(&SECTIONS);
        let experiment = composer.read("experiment", &[], ExperimentConfig::faults);
        Some(Self { experiment: experiment? })
    }
}

/// The arms that `args` asks for, checked and resolved, in the order of the file.
///
/// # Errors
/// Every fault of the file; an arm that it does not have.
pub(crate) fn read_arms(
    session: &Session,
    args: &ExperimentArgs,
) -> anyhow::Result<Vec<Arm<Experiment>>> {
    let file = ExperimentFile::read(&args.experiment, environment(), &session.global.sets);
    let file = file.map_err(|error| UsageError::new(error.to_string()))?;
    let mut arms = file.arms(Experiment::compose)?;
    let known: Vec<String> = arms.iter().map(|arm| arm.name.clone()).collect();
    if let Some(unknown) = args.arms.iter().find(|name| !known.contains(name)) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let hint = match nearest(unknown, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the arms are `{}`", known.join("`, `")),
        };
        let message = format!("`{}` has no arm `{unknown}`", args.experiment.display());
        return Err(UsageError::new(message).with_hint(hint).into());
    }
    if !args.arms.is_empty() {
        arms.retain(|arm| args.arms.contains(&arm.name));
    }
    Ok(arms)
}

/// The process's environment, without what is not text.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
}

/// `[experiment]`: what this experiment is called and where it lies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExperimentConfig {
    /// Its name, and that of its directory under `output`: `A-Z a-z 0-9 . _ -`, 1 to 64 long.
    pub(crate) name: String,
    /// Where what a user wants lies: models, logs, tables.
    pub(crate) output: PathBuf,
    /// Where stages meet; experiments may share one.
    pub(crate) store: PathBuf,
    /// The seed of everything random.
    #[serde(default = "default_seed")]
    pub(crate) seed: u64,
    /// Variables for every string of the file: `path = "{data}/notes"`.
    #[serde(default)]
    pub(crate) paths: BTreeMap<String, String>,
}

fn default_seed() -> u64 {
    1
}

impl ExperimentConfig {
    /// Range checks.
    pub(crate) fn faults(&self) -> RangeFaults {
        let mut faults = name_faults("name", &self.name);
        for name in self.paths.keys() {
            let word = |letter: char| {
                letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
            };
            if !name.starts_with(|first: char| first.is_ascii_lowercase())
                || !name.chars().all(word)
            {
                let message = "is not a name for a variable, expected `a-z`, `0-9` and `_`";
                faults.push((format!("paths.{name}"), message.into()));
            }
        }
        faults
    }
}
