//! What was made from the records of people who have since withdrawn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bimed_artifact::{Artifact, Context, Manifest, Store};
use fs_err as fs;

use super::corpus::STAGE;
use crate::paths::shown;

/// Names what else in `store` goes back to the records that `corpus` leaves out.
pub(crate) fn note(corpus: &Artifact, store: &Store, context: &Context<'_>) -> anyhow::Result<()> {
    for path in made_before(corpus, store)? {
        let path = shown(&path);
        let line = format!("warning: made before from records of those who withdrew: {path}");
        context.progress.note(&line);
    }
    Ok(())
}

/// The artifacts that go back to a source of which `corpus` leaves records out, by way of a corpus
/// that does not leave them out.
fn made_before(corpus: &Artifact, store: &Store) -> anyhow::Result<Vec<PathBuf>> {
    let summary = &corpus.manifest.summary;
    let sources: BTreeSet<&str> = summary["sources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|source| source["rejected"]["withdrawn"].as_u64() > Some(0))
        .filter_map(|source| source["name"].as_str())
        .collect();
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let artifacts = artifacts(store)?;
    let leaves_out = |manifest: &Manifest| {
        manifest.stage == STAGE && manifest.summary["withdrawn"] == summary["withdrawn"]
    };
    let mut found = Vec::new();
    for (path, manifest) in artifacts.values() {
        let goes_back = manifest.lineage.iter().any(|one| sources.contains(one.name.as_str()));
        let mut corpora = Vec::new();
        corpora_of(manifest, &artifacts, &mut corpora);
        // Without a corpus in its line nothing says what was left out.
        let is_clean = !corpora.is_empty() && corpora.iter().all(|one| leaves_out(one));
        if goes_back && !is_clean {
            found.push(path.clone());
        }
    }
    found.sort();
    Ok(found)
}

type Artifacts = BTreeMap<String, (PathBuf, Manifest)>;

/// The corpora that an artifact goes back to, itself included.
fn corpora_of<'a>(manifest: &'a Manifest, artifacts: &'a Artifacts, found: &mut Vec<&'a Manifest>) {
    if manifest.stage == STAGE {
        found.push(manifest);
    }
    for input in &manifest.inputs {
        if let Some((_, manifest)) = artifacts.get(input.hash.as_str()) {
            corpora_of(manifest, artifacts, found);
        }
    }
}

/// Every artifact of the store, by its key.
fn artifacts(store: &Store) -> anyhow::Result<Artifacts> {
    let mut found = Artifacts::new();
    for stage in directories(store.root().to_path_buf())? {
        for dir in directories(stage)? {
            // What has no manifest is unfinished, or not an artifact.
            if let Ok(manifest) = Manifest::read(&dir) {
                found.insert(manifest.key.to_string(), (dir, manifest));
            }
        }
    }
    Ok(found)
}

fn directories(parent: PathBuf) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use bimed_artifact::{AccessTier, Hash, Input, KeyBuilder, SourceLineage};
    use serde_json::json;

    use super::*;

    fn make(
        store: &Store,
        stage: &str,
        name: &str,
        input: Option<&Hash>,
        summary: serde_json::Value,
    ) -> Artifact {
        let key = KeyBuilder::new(stage, 1).part("name", name.as_bytes()).finish();
        let mut manifest = Manifest::new(stage, key.clone(), json!({}));
        manifest.extend_lineage([SourceLineage {
            name: "기록".into(),
            licence: "none".into(),
            access_tier: AccessTier::Private,
            approval: None,
        }]);
        manifest.inputs = input
            .map(|hash| Input { role: STAGE.into(), path: PathBuf::new(), hash: hash.clone() })
            .into_iter()
            .collect();
        manifest.summary = summary;
        store.stage(stage, &key).unwrap().commit(manifest).unwrap()
    }

    #[test]
    fn what_goes_back_to_a_corpus_with_the_records_is_named() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        let before = make(&store, "corpus", "before", None, json!({}));
        let old = make(&store, "vocab", "old", Some(&before.manifest.key), json!({}));
        let summary = json!({
            "withdrawn": "f00d",
            "sources": [{ "name": "기록", "rejected": { "withdrawn": 3 } }],
        });
        let after = make(&store, "corpus", "after", None, summary);
        make(&store, "vocab", "new", Some(&after.manifest.key), json!({}));
        assert_eq!(made_before(&after, &store).unwrap(), [before.dir.clone(), old.dir]);
        assert!(made_before(&before, &store).unwrap().is_empty());
    }
}
