//! What can go wrong with an artifact.

use std::path::PathBuf;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure to read, write or agree with an artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A manifest that is not what this version writes.
    #[error("{path}: not a manifest of this version: {source}")]
    Manifest {
        /// The manifest's path.
        path: PathBuf,
        /// What the JSON reader found.
        #[source]
        source: serde_json::Error,
    },
    /// A value that does not serialise.
    #[error("{path}: could not be written as JSON: {source}")]
    Serialize {
        /// Where it was to be written.
        path: PathBuf,
        /// What the JSON writer found.
        #[source]
        source: serde_json::Error,
    },
    /// Another process is writing the same artifact.
    #[error("{path} is locked by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file of an artifact differs from its manifest.
    #[error("{path}: found {found}, expected {expected}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What is on disk.
        found: String,
        /// What the manifest says.
        expected: String,
    },
}

impl Error {
    /// Advice, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { .. } => {
                Some("wait for the other `bimed` to end, or give this run another store".into())
            }
            Self::Mismatch { path, .. } => Some(format!(
                "the file changed after it was written: remove `{}` and run the stage again",
                path.parent().unwrap_or(path).display()
            )),
            Self::Manifest { .. } => {
                Some("the artifact was written by another version: run the stage again".into())
            }
            _ => None,
        }
    }
}
