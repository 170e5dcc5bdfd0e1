//! Making an artifact, or finding that it is there.

use std::path::Path;
use std::time::{Duration, Instant};

use bimed_artifact::{Artifact, Context, Manifest, Store};
use serde_json::Value;

use super::recipe::Recipe;
use crate::paths::shown;
use crate::progress::duration;
use crate::session::Session;

/// How far an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It is there.
    UpToDate,
    /// A run was interrupted and would go on.
    Resumes,
    /// Nothing is there.
    ToDo,
}

impl State {
    /// How far the artifact of `recipe` is in `store`.
    pub(crate) fn of(store: &Store, recipe: &Recipe) -> anyhow::Result<Self> {
        Ok(match store.find(recipe.stage, &recipe.key)? {
            Some(_) => Self::UpToDate,
            None if store.partial_path(recipe.stage, &recipe.key).exists() => Self::Resumes,
            None => Self::ToDo,
        })
    }
}

/// What a stage left, for the table at the end.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// The arm.
    pub(crate) arm: String,
    /// The artifact.
    pub(crate) artifact: Artifact,
    /// How long it took; nothing where it was up to date.
    pub(crate) took: Option<Duration>,
}

/// Where the stages of one call work.
#[derive(Debug)]
pub(crate) struct Workshop<'a> {
    session: &'a Session,
    store: Store,
    fresh: bool,
    arm: String,
    made: Vec<Made>,
}

impl<'a> Workshop<'a> {
    /// Without an arm yet; with `fresh`, what is there is made again, once.
    pub(crate) fn new(session: &'a Session, fresh: bool) -> Self {
        let store = Store::new("");
        Self { session, store, fresh, arm: String::new(), made: Vec::new() }
    }

    /// From now on for this arm, over `store`.
    pub(crate) fn begin_arm(&mut self, arm: &str, store: Store) {
        arm.clone_into(&mut self.arm);
        self.store = store;
    }

    /// What stages take.
    pub(crate) fn context(&self) -> Context<'a> {
        self.session.context()
    }

    /// Where they meet.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Everything that was made or found, in order.
    pub(crate) fn into_made(self) -> Vec<Made> {
        self.made
    }

    /// The artifact of `recipe`, where it is made.
    pub(crate) fn find(&self, recipe: &Recipe) -> anyhow::Result<Option<Artifact>> {
        Ok(self.store.find(recipe.stage, &recipe.key)?)
    }

    /// The artifact of `recipe`: found, or made by `work`, which writes into an empty directory and
    /// gives the stage's summary. A failure leaves nothing.
    pub(crate) fn make(
        &mut self,
        recipe: Recipe,
        work: impl FnOnce(&Path, &Context<'_>) -> anyhow::Result<Value>,
    ) -> anyhow::Result<Artifact> {
        if let Some(found) = self.take(&recipe)? {
            return Ok(found);
        }
        let began = Instant::now();
        let staging = self.store.stage(recipe.stage, &recipe.key)?;
        let summary = work(staging.dir(), &self.context())?;
        let artifact = staging.commit(manifest(recipe, summary))?;
        Ok(self.record(artifact, Some(began.elapsed())))
    }

    /// As [`Self::make`], but the directory outlives a failure, and `work` goes on from what it holds.
    pub(crate) fn resume(
        &mut self,
        recipe: Recipe,
        work: impl FnOnce(&Path, &Context<'_>) -> anyhow::Result<Value>,
    ) -> anyhow::Result<Artifact> {
        if let Some(found) = self.take(&recipe)? {
            return Ok(found);
        }
        let began = Instant::now();
        let resumable = self.store.resume(recipe.stage, &recipe.key)?;
        let summary = work(resumable.dir(), &self.context())?;
        let artifact = resumable.commit(manifest(recipe, summary))?;
        Ok(self.record(artifact, Some(began.elapsed())))
    }

    /// With `--fresh`, what an earlier call left is forgotten; what this call made is kept, since
    /// arms share it.
    fn take(&mut self, recipe: &Recipe) -> anyhow::Result<Option<Artifact>> {
        self.session.signals.cancel().check()?;
        let ours = self.made.iter().any(|made| made.artifact.manifest.key == recipe.key);
        if self.fresh && !ours {
            self.store.forget(recipe.stage, &recipe.key)?;
        }
        let Some(artifact) = self.store.find(recipe.stage, &recipe.key)? else { return Ok(None) };
        Ok(Some(self.record(artifact, None)))
    }

    fn record(&mut self, artifact: Artifact, took: Option<Duration>) -> Artifact {
        let took_text =
            took.map_or("up to date".to_owned(), |took| format!("done in {}", duration(took)));
        let stage = &artifact.manifest.stage;
        self.session.note(&format!("{}: {stage} {took_text} ({})", self.arm, shown(&artifact.dir)));
        self.made.push(Made { arm: self.arm.clone(), artifact: artifact.clone(), took });
        artifact
    }
}

fn manifest(recipe: Recipe, summary: Value) -> Manifest {
    let mut manifest = Manifest::new(recipe.stage, recipe.key, recipe.config);
    manifest.inputs = recipe.inputs;
    manifest.extend_lineage(recipe.lineage);
    manifest.summary = summary;
    manifest
}

#[cfg(test)]
mod tests {
    use bimed_artifact::KeyBuilder;
    use fs_err as fs;
    use serde_json::json;

    use super::*;
    use bimed_ops::DeviceKind;

    use crate::args::GlobalArgs;
    use crate::process::Signals;

    fn session() -> Session {
        let global = GlobalArgs {
            sets: Vec::new(),
            json: false,
            quiet: true,
            threads: None,
            device: DeviceKind::Cpu,
        };
        Session::new(global, Signals::listen().unwrap())
    }

    fn recipe(text: &str) -> Recipe {
        Recipe {
            stage: "vocab",
            key: KeyBuilder::new("vocab", 1).part("text", text.as_bytes()).finish(),
            config: json!({ "text": text }),
            inputs: Vec::new(),
            lineage: Vec::new(),
        }
    }

    fn write(directory: &Path, text: &str) -> anyhow::Result<Value> {
        fs::write(directory.join("vocab.txt"), text)?;
        Ok(json!({ "tokens": text.len() }))
    }

    #[test]
    fn a_second_call_finds_what_the_first_made_and_fresh_makes_it_again_once() {
        let root = tempfile::tempdir().unwrap();
        let session = session();
        let calls = |fresh: bool, times: usize| {
            let mut workshop = Workshop::new(&session, fresh);
            workshop.begin_arm("main", Store::new(root.path()));
            let mut worked = 0;
            for _ in 0..times {
                let made = workshop.make(recipe("환자"), |directory, _| {
                    worked += 1;
                    write(directory, "환자\n")
                });
                assert_eq!(made.unwrap().manifest.summary["tokens"], 7);
            }
            worked
        };
        assert_eq!([calls(false, 1), calls(false, 2), calls(true, 2)], [1, 0, 1]);
    }

    #[test]
    fn a_failure_leaves_nothing_unless_the_stage_resumes() {
        let root = tempfile::tempdir().unwrap();
        let session = session();
        let mut workshop = Workshop::new(&session, false);
        workshop.begin_arm("main", Store::new(root.path()));
        let fails = |directory: &Path, _: &Context<'_>| {
            write(directory, "half")?;
            anyhow::bail!("disk full")
        };
        workshop.make(recipe("a"), fails).unwrap_err();
        assert_eq!(State::of(&workshop.store, &recipe("a")).unwrap(), State::ToDo);
        workshop.resume(recipe("a"), fails).unwrap_err();
        assert_eq!(State::of(&workshop.store, &recipe("a")).unwrap(), State::Resumes);
        let goes_on = |directory: &Path, _: &Context<'_>| {
            assert_eq!(fs::read_to_string(directory.join("vocab.txt"))?, "half");
            write(directory, "whole")
        };
        workshop.resume(recipe("a"), goes_on).unwrap();
        assert_eq!(State::of(&workshop.store, &recipe("a")).unwrap(), State::UpToDate);
    }
}
