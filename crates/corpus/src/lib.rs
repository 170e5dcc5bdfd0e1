//! Source files to clean, tagged, deduplicated document shards.
//!
//! Owns readers, extraction, deduplication, decontamination, quotas, the split and the shard
//! format. It knows nothing of tokens, and no document text enters an error or a log.
//!
//! Invariant: the output is a function of the sources' content and the configs, byte for byte, for
//! any number of threads; every record read is either in a shard or counted under a reason.

mod build;
mod card;
mod clean;
mod cluster;
#[cfg(feature = "parquet")]
mod columns;
mod config;
mod copy_forward;
mod decode;
mod decontaminate;
mod disk;
mod document;
mod encoding;
mod error;
mod extract;
mod finalize;
mod map;
mod merge;
mod mix;
mod near;
mod quality;
mod read;
mod scan;
mod shard;
mod stream;
mod summary;
mod units;
mod worker;

pub use build::{Job, Share, build, check_approvals};
pub use card::card;
pub use config::{
    CorpusConfig, DecontaminationConfig, DeduplicateConfig, FilterConfig, Format, IdentifierConfig,
    IdentifierMode, MixConfig, Profile, ReaderConfig, RecordUnit, ShardConfig, SourceConfig,
    SplitConfig, TokensPerChar, XmlSchema,
};
pub use document::{Document, Provenance, Reason, Rejected, Split};
pub use error::{EndedApproval, Error, MissingPath, Result};
pub use quality::Quality;
pub use read::{EngineName, EngineReport, test_engines};
pub use scan::{ScannedFile, missing_paths, scan, source_files};
pub use shard::read_documents;
pub use summary::{
    CopyForwardSummary, CorpusSummary, DecontaminationSummary, DroppedPage, LanguageRow,
    SourceSummary,
};
pub use worker::{WORKER_ARGUMENT, serve};
