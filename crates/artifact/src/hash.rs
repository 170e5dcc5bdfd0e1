//! Content hashes and the keys of stages (BLAKE3, 256 bits, lower-case hexadecimal).

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::Result;

/// A BLAKE3 hash in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(String);

impl Hash {
    /// All 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 digits: a directory's name.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The hash of `bytes`.
pub fn hash_bytes(bytes: &[u8]) -> Hash {
    Hash(blake3::hash(bytes).to_hex().to_string())
}

/// Bytes of a file that one thread hashes; a power of two, as the tree of BLAKE3 asks.
const SUBTREE_BYTES: u64 = 8 << 20;

/// The hash of a file's content, streamed; parts of a large file on several threads.
///
/// # Errors
/// When the file cannot be read.
pub fn hash_file(path: &Path) -> Result<Hash> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    if length <= SUBTREE_BYTES {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&mut file)?;
        return Ok(Hash(hasher.finalize().to_hex().to_string()));
    }
    let left = left_subtree_len(length);
    let (left, right) =
        rayon::join(|| subtree(path, 0, left), || subtree(path, left, length - left));
    let hash = merge_subtrees_root(&left?, &right?, Mode::Hash);
    Ok(Hash(hash.to_hex().to_string()))
}

/// What `length` bytes of a file from `begin` add to its hash.
fn subtree(path: &Path, begin: u64, length: u64) -> io::Result<ChainingValue> {
    if length <= SUBTREE_BYTES {
        let mut file = fs::File::open(path)?;
        file.seek(SeekFrom::Start(begin))?;
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(begin).update_reader(file.take(length))?;
        if hasher.count() < length {
            let message = format!("{}: the file became shorter", path.display());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        return Ok(hasher.finalize_non_root());
    }
    let left = left_subtree_len(length);
    let (left, right) =
        rayon::join(|| subtree(path, begin, left), || subtree(path, begin + left, length - left));
    Ok(merge_subtrees_non_root(&left?, &right?, Mode::Hash))
}

/// Collects what a stage depends on and gives its key.
///
/// Each part is length-prefixed, so that no two lists of parts collide.
#[derive(Debug, Default)]
pub struct KeyBuilder(blake3::Hasher);

impl KeyBuilder {
    /// An empty key for the stage `stage`, at the revision `revision` of its output format.
    pub fn new(stage: &str, revision: u32) -> Self {
        let mut key = Self::default();
        key.part("stage", stage.as_bytes());
        key.part("revision", &revision.to_le_bytes());
        key
    }

    /// Adds a named part.
    pub fn part(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        for field in [name.as_bytes(), bytes] {
            self.0.update(&(field.len() as u64).to_le_bytes());
            self.0.update(field);
        }
        self
    }

    /// Adds a config as its JSON. Structs serialise their fields in order, so equal configs agree.
    ///
    /// # Panics
    /// When the value does not serialise to JSON, which a config always does.
    pub fn config<T: Serialize>(&mut self, name: &str, value: &T) -> &mut Self {
        #[expect(clippy::expect_used, reason = "configs are plain data")]
        let bytes = serde_json::to_vec(value).expect("a config serialises to JSON");
        self.part(name, &bytes)
    }

    /// The key of everything added.
    pub fn finish(&self) -> Hash {
        Hash(self.0.finalize().to_hex().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_parts_has_the_hash_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("기록.txt");
        for length in [0, 5, SUBTREE_BYTES, SUBTREE_BYTES + 1, 5 * SUBTREE_BYTES + 12_345] {
            let bytes: Vec<u8> = (0..length).map(|at| ((at * at) >> 7) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            assert_eq!(hash_file(&path).unwrap(), hash_bytes(&bytes), "{length}");
        }
    }

    #[test]
    fn parts_do_not_run_together() {
        let key = |a: &str, b: &str| {
            KeyBuilder::new("corpus", 1).part("a", a.as_bytes()).part("b", b.as_bytes()).finish()
        };
        assert_ne!(key("폐", "렴CT"), key("폐렴", "CT"));
        assert_eq!(key("폐렴", "CT"), key("폐렴", "CT"));
    }
}
