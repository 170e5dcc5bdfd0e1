//! Weights in several files, listed by a JSON index.
//!
//! Invariant: the index and the shards agree on every tensor, and no shard lies outside the index's
//! directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fs_err as fs;

use crate::source::{Source, TensorInfo};
use crate::{Error, Result};

/// The longest index that is read, in bytes.
const MAX_INDEX_BYTES: u64 = 100_000_000;

/// Which tensor is in which shard.
type ShardMap = BTreeMap<String, String>;

/// All shards of an index as one source.
pub(crate) struct Shards {
    shards: Vec<Box<dyn Source>>,
    tensors: Vec<TensorInfo>,
    /// The shard of each tensor, and its number there.
    places: Vec<(usize, usize)>,
}

impl Shards {
    /// Opens every shard that `index` names, each with `open_one`; gives their names too.
    pub(crate) fn open(
        index: &Path,
        open_one: impl Fn(&Path) -> Result<Box<dyn Source>>,
    ) -> Result<(Self, Vec<String>)> {
        let map = read_index(index)?;
        let names = shard_names(index, &map)?;
        let dir = index.parent().unwrap_or(Path::new("."));
        let mut all = Self { shards: Vec::new(), tensors: Vec::new(), places: Vec::new() };
        for (number, name) in names.iter().enumerate() {
            let shard = open_one(&dir.join(name))?;
            check_shard(index, &map, name, shard.tensors())?;
            all.places.extend((0..shard.tensors().len()).map(|place| (number, place)));
            all.tensors.extend_from_slice(shard.tensors());
            all.shards.push(shard);
        }
        check_complete(index, &map, &all.tensors)?;
        Ok((all, names))
    }
}

impl Source for Shards {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn file_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.file_bytes()).sum()
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>> {
        let (shard, place) = self.places[index];
        self.shards[shard].read(place)
    }
}

fn read_index(path: &Path) -> Result<ShardMap> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: ShardMap,
    }
    let bytes = fs::metadata(path)?.len();
    if bytes > MAX_INDEX_BYTES {
        let reason = format!("found {bytes} bytes, expected at most {MAX_INDEX_BYTES}");
        return Err(wrong(path, reason));
    }
    let index: Index =
        serde_json::from_slice(&fs::read(path)?).map_err(|error| Error::json(path, &error))?;
    Ok(index.weight_map)
}

fn wrong(index: &Path, reason: String) -> Error {
    Error::Index { path: index.to_path_buf(), reason }
}

fn shard_names(index: &Path, map: &ShardMap) -> Result<Vec<String>> {
    let shards: BTreeSet<&String> = map.values().collect();
    // A name, never a path: an index must not reach outside its directory.
    let is_name = |shard: &String| Path::new(shard).file_name() == Some(shard.as_ref());
    match shards.iter().find(|shard| !is_name(shard)) {
        None => Ok(shards.into_iter().cloned().collect()),
        Some(shard) => {
            let shard = shard.escape_debug();
            Err(wrong(index, format!("found the shard `{shard}`, expected a file name")))
        }
    }
}

fn check_shard(index: &Path, map: &ShardMap, shard: &String, tensors: &[TensorInfo]) -> Result<()> {
    match tensors.iter().find(|tensor| map.get(&tensor.name) != Some(shard)) {
        None => Ok(()),
        Some(TensorInfo { name, .. }) => {
            let reason = format!("`{name}` is in `{shard}`, where the index does not have it");
            Err(wrong(index, reason))
        }
    }
}

fn check_complete(index: &Path, map: &ShardMap, tensors: &[TensorInfo]) -> Result<()> {
    let there: BTreeSet<&String> = tensors.iter().map(|tensor| &tensor.name).collect();
    match map.iter().find(|(name, _)| !there.contains(name)) {
        None => Ok(()),
        Some((name, shard)) => Err(wrong(index, format!("`{name}` is not in `{shard}`"))),
    }
}
