//! What is said of a training.

use serde::{Deserialize, Serialize};

use crate::count::CountSummary;
use crate::pieces::RowsByScript;
use crate::room::Refilled;

/// What was done to make a vocabulary.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VocabSummary {
    /// What was read.
    pub counts: CountSummary,
    /// Rows, all kinds.
    pub rows: usize,
    /// Rows that are the base's, which is extended.
    pub base_rows: usize,
    /// New rows of specials and mask tokens.
    pub special_rows: usize,
    /// All other new rows by script.
    pub rows_by_script: RowsByScript,
    /// Rows of the alphabet, which begins the new rows: what the coverage and the seeds ask for.
    pub alphabet_rows: usize,
    /// Rows behind them of characters that the coverage leaves out.
    pub rare_char_rows: usize,
    /// Rows of the alphabet that the longest match of the text never uses: seeded ones.
    pub unused_seeded_rows: usize,
    /// And those of the text's own characters, which longer rows cover wherever they occur.
    pub unused_alphabet_rows: usize,
    /// Characters, by place in the word, that got no row.
    pub dropped_chars: u64,
    /// Their occurrences.
    pub dropped_char_occurrences: u64,
    /// Distinct runs of one script that are `[UNK]` for such a character.
    pub unknown_segments: u64,
    /// Occurrences of these.
    pub unknown_segment_occurrences: u64,
    /// Texts that were kept from becoming tokens.
    pub denied: usize,
    /// Merges done.
    pub merges: u64,
    /// Occurrences of the rarest merged pair.
    pub lowest_merge_count: u64,
    /// How often rows were pruned and refilled.
    pub prune_rounds: usize,
    /// Merged rows that the longest match never used, replaced by others.
    pub pruned_rows: usize,
    /// Such rows that are left, because `prune_rounds` was reached.
    pub dead_rows: usize,
    /// Rows given beyond the quotas because other scripts ran dry.
    pub refilled: Refilled,
    /// Rows `[unused0]`, `[unused1]` and so on, held free where digits and signs do not fill theirs.
    pub reserved_rows: usize,
    /// Rows that the text could not fill, by which the vocabulary is smaller.
    pub missing_rows: usize,
}
