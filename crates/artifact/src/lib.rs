//! The directory of a stage: what every stage of `bimed` reads and leaves behind.
//!
//! Owns hashes, the manifest, atomic commits, locks, lineage, and the two handles that a long step
//! takes ([`Progress`] and [`Cancel`]). It knows nothing of documents, vocabularies or tensors.
//!
//! Invariant: a directory under a [`Store`] either does not exist, or is complete and carries a
//! `manifest.json` that was written last. Nothing in between is ever visible under its final name.

mod atomic;
mod error;
mod hash;
mod lock;
mod manifest;
mod progress;
mod store;

pub use atomic::{AtomicFile, create_private_dir, sync_dir, write_atomic, write_json_atomic};
pub use error::{Error, Result};
pub use hash::{Hash, KeyBuilder, hash_bytes, hash_file};
pub use lock::lock_file;
pub use manifest::{AccessTier, FileEntry, Input, MANIFEST_FILE, Manifest, SourceLineage};
pub use progress::{Cancel, Cancelled, CommitStep, Context, Progress, Silent, Unit};
pub use store::{Artifact, Resumable, Staging, Store};
