//! How many rows each script may have.

use serde::{Deserialize, Serialize};

use crate::config::Quota;
use crate::script::Script;

/// Rows to be taken, by script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Rows with Hangul.
    pub(crate) hangul: usize,
    /// Rows with Latin.
    pub(crate) latin: usize,
    /// All other rows.
    pub(crate) other: usize,
    /// All rows together.
    pub(crate) total: usize,
}

/// Rows beyond the quota, by script.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refilled {
    /// Of Hangul.
    pub hangul: usize,
    /// Of Latin.
    pub latin: usize,
    /// Of all others.
    pub other: usize,
}

/// Which pool of [`Room`] a script draws on: Hangul, Latin, the rest.
pub(crate) fn pool(script: Script) -> usize {
    match script {
        Script::Hangul => 0,
        Script::Latin => 1,
        _ => 2,
    }
}

impl Room {
    /// Rows by `quota`; without one, any script may take all.
    pub(crate) fn new(total: usize, quota: Option<Quota>) -> Self {
        match quota {
            None => Self { hangul: total, latin: total, other: total, total },
            Some(Quota { hangul, latin }) => {
                Self { hangul, latin, other: total - hangul - latin, total }
            }
        }
    }

    /// Its pools by name.
    pub(crate) fn pools(self) -> [(&'static str, usize); 3] {
        [("hangul", self.hangul), ("latin", self.latin), ("other", self.other)]
    }

    /// Whether `rows` leave room for one more of this pool.
    pub(crate) fn has(self, pool: usize, rows: [usize; 3]) -> bool {
        rows[pool] < self.pools()[pool].1
    }

    /// By how much `rows` go beyond it.
    pub(crate) fn exceeded_by(self, [hangul, latin, other]: [usize; 3]) -> Refilled {
        Refilled {
            hangul: hangul.saturating_sub(self.hangul),
            latin: latin.saturating_sub(self.latin),
            other: other.saturating_sub(self.other),
        }
    }
}
