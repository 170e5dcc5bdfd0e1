//! What a build did, in numbers.

use std::collections::BTreeMap;

use bimed_artifact::SourceLineage;
use bimed_text::{FoldCounts, IdentifierCounts};
use serde::{Deserialize, Serialize};

use crate::{Reason, Split};

/// One source's way through the build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceSummary {
    /// The source's name.
    pub name: String,
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records found, the unreadable ones included.
    pub records: u64,
    /// Documents in the shards.
    pub documents: u64,
    /// Their words (eojeol).
    pub words: u64,
    /// Their characters.
    pub chars: u64,
    /// Records in no shard, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Words of the records in no shard, by reason; 0 where no text was read.
    pub rejected_words: BTreeMap<Reason, u64>,
    /// Files by encoding.
    pub encodings: BTreeMap<String, u64>,
    /// Files that ended before their end.
    pub partial_files: Vec<String>,
    /// Characters that could not be read and are U+FFFD.
    pub replaced_chars: u64,
    /// Web pages whose main content was not found and that were taken whole.
    pub html_fallbacks: u64,
    /// Identifiers that were found in its records, masked or not.
    pub identifiers: IdentifierCounts,
}

/// Documents of one source, language and split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageRow {
    /// The source's name.
    pub source: String,
    /// The language tag.
    pub language: String,
    /// The split.
    pub split: Split,
    /// Documents.
    pub documents: u64,
    /// Words (eojeol).
    pub words: u64,
}

/// What the comparison with evaluation files found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecontaminationSummary {
    /// Evaluation files.
    pub files: u64,
    /// Distinct sentences in them.
    pub sentences: u64,
    /// Documents compared.
    pub compared: u64,
    /// Documents dropped; 0 is worth a look.
    pub dropped: u64,
}

/// What a build did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorpusSummary {
    /// The sources, in the order of the configs.
    pub sources: Vec<SourceSummary>,
    /// Source by language by split, only what occurs.
    pub languages: Vec<LanguageRow>,
    /// Documents in the shards.
    pub documents: u64,
    /// Their words (eojeol).
    pub words: u64,
    /// Shards written.
    pub shards: u64,
    /// How often each rule of the folding table replaced a character.
    pub folds: FoldCounts,
    /// The tokens that stand for identifiers in the documents; a vocabulary holds each as a whole.
    #[serde(default)]
    pub mask_tokens: Vec<String>,
    /// The comparison with evaluation files, where there are any.
    pub decontamination: Option<DecontaminationSummary>,
    /// Whether any input was partial or unreadable.
    pub partial: bool,
    /// Licence and access of every source, for the manifest.
    pub lineage: Vec<SourceLineage>,
    /// What deserves a look.
    pub warnings: Vec<String>,
}
