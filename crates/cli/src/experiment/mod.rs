//! Experiment files: TOML, its layers, and the typed config of every arm.
//!
//! Owns the mechanism only: which sections there are is said by [`crate::sections`]. Layers, each over
//! the one before: the file, an arm's `set`, the environment (`BIMED__SECTION__KEY`), `--set`.
//! Relative paths begin at the directory of the experiment file; those given by the environment or by
//! `--set` begin at the working directory.
//!
//! Invariant: no file is written and no device opened while an experiment file has a fault, and all of
//! its faults are shown at once.

mod compose;
mod faults;
mod layers;
mod parse;
mod read;
mod tree;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;

pub(crate) use compose::{Composer, RangeFaults};
pub(crate) use faults::{Faults, nearest};

use faults::Fault;
use tree::{KeyPath, Node};

/// The name of the only arm of a file without `[[arm]]`.
const ONLY_ARM: &str = "main";

/// An experiment file with the layers that lie over it.
#[derive(Debug)]
pub(crate) struct ExperimentFile {
    path: PathBuf,
    directory: PathBuf,
    tree: Node,
    faults: Vec<Fault>,
    environment: Vec<(String, String)>,
    sets: Vec<String>,
}

/// One arm of an experiment, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Arm<T> {
    /// Its name.
    pub(crate) name: String,
    /// The typed config of all its sections.
    pub(crate) config: T,
    /// The whole file as this arm sees it, to be kept beside what is made.
    pub(crate) resolved: toml::Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArmHead {
    name: String,
}

impl ExperimentFile {
    /// Reads `path`; `environment` is the process's, of which only `BIMED__…` counts.
    ///
    /// # Errors
    /// When the file cannot be read. Faults in it are kept for [`Self::arms`].
    pub(crate) fn read(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> std::io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let directory = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Self::parse(&text, path, directory, environment, sets))
    }

    fn parse(
        text: &str,
        path: &Path,
        directory: PathBuf,
        environment: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> Self {
        let (tree, faults) = parse::parse_file(text);
        let mut environment: Vec<_> = environment.into_iter().collect();
        environment.sort();
        Self { path: path.into(), directory, tree, faults, environment, sets: sets.to_vec() }
    }

    /// Composes every arm with `compose`, which reads the sections it knows and gives `None` where
    /// one has a fault.
    ///
    /// # Errors
    /// All faults of all arms.
    pub(crate) fn arms<T>(
        &self,
        compose: impl Fn(&mut Composer<'_>) -> Option<T>,
    ) -> Result<Vec<Arm<T>>, Faults> {
        let mut faults = Vec::new();
        let mut base = self.tree.clone();
        let arms = self.arm_tables(&mut base, &mut faults);
        // What is wrong here is wrong in every arm that does not replace it, and said there.
        let shared = self.layered(base.clone(), &mut Vec::new());
        let mut composed = Vec::new();
        for (name, set) in arms {
            let mut tree = base.clone();
            if let Some(set) = set {
                layers::apply_arm(&mut tree, &set, &mut faults);
            }
            let tree = self.layered(tree, &mut faults);
            let mut composer = Composer::new(&tree, &self.directory).with_shared(&shared);
            let config = compose(&mut composer);
            faults.extend(composer.into_faults());
            composed.extend(config.map(|config| Arm { name, config, resolved: tree.to_toml() }));
        }
        // What the parser put where it could not read has its fault already.
        faults.retain(|fault| self.faults.iter().all(|syntax| syntax.origin != fault.origin));
        faults.extend(self.faults.iter().cloned());
        if faults.is_empty() { Ok(composed) } else { Err(Faults::new(&self.path, faults)) }
    }

    /// `tree` under the environment and `--set`, its variables expanded.
    fn layered(&self, mut tree: Node, faults: &mut Vec<Fault>) -> Node {
        layers::apply_environment(&mut tree, &self.environment, faults);
        layers::apply_sets(&mut tree, &self.sets, faults);
        layers::expand_variables(&mut tree, &self.directory, faults);
        tree
    }

    /// Takes `[[arm]]` out of the tree: the name of each arm and its `set`.
    fn arm_tables(&self, base: &mut Node, faults: &mut Vec<Fault>) -> Vec<(String, Option<Node>)> {
        let mut composer = Composer::new(&self.tree, &self.directory);
        let mut arms: Vec<(String, Option<Node>)> = Vec::new();
        if composer.has("arm") && composer.count("arm") == 0 {
            composer.fault("arm", "is not a list of tables", Some("write `[[arm]]`"));
        }
        for index in 0..composer.count("arm") {
            let path = format!("arm[{index}]");
            let head =
                composer.read(&path, &["set"], |head: &ArmHead| name_faults("name", &head.name));
            let Some(head) = head else { continue };
            if arms.iter().any(|(name, _)| *name == head.name) {
                let message = format!("is `{}`, the name of an arm above", head.name);
                composer.fault(&format!("{path}.name"), &message, None);
                continue;
            }
            let set = self.tree.get(&KeyPath::parse(&format!("{path}.set"))).cloned();
            arms.push((head.name, set));
        }
        faults.extend(composer.into_faults());
        base.take("arm");
        if arms.is_empty() {
            arms.push((ONLY_ARM.to_owned(), None));
        }
        arms
    }
}

/// Names become directories: letters, digits, `.`, `_` and `-`, not a leading dot, 1 to 64 long.
pub(crate) fn name_faults(key: &str, name: &str) -> RangeFaults {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if (1..=64).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('.') {
        return Vec::new();
    }
    let expected = "expected 1 to 64 of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`";
    vec![(key.to_owned(), format!("is `{name}`, {expected}"))]
}
