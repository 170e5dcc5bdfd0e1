//! What can go wrong while a corpus is built. No message holds document text.

use std::fmt;
use std::path::PathBuf;

use bimed_artifact::AccessTier;

use crate::SourceConfig;
use crate::read::EngineReport;

/// The result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A configured path that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPath {
    /// The source's name.
    pub source: String,
    /// Its path.
    pub path: PathBuf,
}

impl fmt::Display for MissingPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` of source `{}`", self.path.display(), self.source)
    }
}

/// An approval that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedApproval {
    /// The source's name.
    pub source: String,
    /// The approval.
    pub approval: String,
    /// Its last day.
    pub expires: String,
}

impl fmt::Display for EndedApproval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, approval, expires } = self;
        write!(formatter, "`{approval}` of source `{source}` on {expires}")
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn typed(columns: &[(String, String)]) -> Vec<String> {
    columns.iter().map(|(name, kind)| format!("column `{name}` of type `{kind}`")).collect()
}

fn engines(reports: &[EngineReport]) -> Vec<String> {
    let say = |report: &EngineReport| match (report.is_found, report.failed.as_slice()) {
        (false, _) => format!("`{}` is not here", report.engine.name()),
        (true, failed) => {
            format!("`{}` does not read {}", report.engine.name(), failed.join(", "))
        }
    };
    reports.iter().map(say).collect()
}

/// A failure to build or read a corpus.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The output directory could not be written.
    #[error(transparent)]
    Artifact(#[from] bimed_artifact::Error),
    /// The step was asked to stop.
    #[error(transparent)]
    Cancelled(#[from] bimed_artifact::Cancelled),
    /// Values of the configs out of range, all of them.
    #[error("{}", list(faults))]
    Config {
        /// Each fault with its key.
        faults: Vec<String>,
    },
    /// Configured paths that are not there, all of them.
    #[error("found nothing at {}", list(paths))]
    MissingPaths {
        /// The paths.
        paths: Vec<MissingPath>,
    },
    /// Sources whose path holds no file that their globs accept.
    #[error("found no file that matches its globs: {}", list(paths))]
    NoFiles {
        /// The paths.
        paths: Vec<MissingPath>,
    },
    /// A table without a configured column, or records without a configured field.
    #[error("{path}: found {}, expected {needed:?}", fields(kind, found, *hidden))]
    MissingFields {
        /// The file.
        path: PathBuf,
        /// `columns`, `fields` or `elements`.
        kind: &'static str,
        /// What the file has.
        found: Vec<String>,
        /// How many it has where they are not shown.
        hidden: usize,
        /// What the source's config names and the file lacks.
        needed: Vec<String>,
    },
    /// Columns of a table that are there and are not read.
    #[error("{path}: found {}, expected text", list(&typed(columns)))]
    UnreadColumns {
        /// The file.
        path: PathBuf,
        /// Each with its type.
        columns: Vec<(String, String)>,
    },
    /// A source of which more is broken than `max_broken` allows.
    #[error(
        "source `{source_name}`: {broken} of {records} records are broken ({reasons}), expected at \
         most {:.0}%",
        100.0 * max_broken
    )]
    TooMuchBroken {
        /// The source.
        source_name: String,
        /// Records that could not be decoded or parsed, or were cut off.
        broken: u64,
        /// All records.
        records: u64,
        /// How many for each reason.
        reasons: String,
        /// The share that is allowed.
        max_broken: f64,
    },
    /// Identifiers left in the text, more than `identifiers.max_reported` allows.
    #[error("found {found} identifiers in sources that only report them, expected at most {max}")]
    TooManyIdentifiers {
        /// Identifiers of the classes that are not kept.
        found: u64,
        /// How many are allowed.
        max: u64,
    },
    /// No engine that reads Korean PDF.
    #[error("found no engine that reads Korean PDF: {}", list(&engines(reports)))]
    NoPdfEngine {
        /// What each engine of the config is worth.
        reports: Vec<EngineReport>,
    },
    /// A step that is switched on had nothing to look at.
    #[error("`{step}` is on but compared 0 documents")]
    ZeroEffect {
        /// The step.
        step: &'static str,
    },
    /// An evaluation file of which nothing could be compared.
    #[error("{path}: found no sentence to keep out of the corpus")]
    NothingToDecontaminate {
        /// The file.
        path: PathBuf,
    },
    /// A line of a shard that is no document of this version.
    #[error("{path}:{line}:{column}: not a document of this version ({kind:?} error)")]
    Shard {
        /// The shard.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What the JSON reader met.
        kind: serde_json::error::Category,
    },
    /// A unit that is not what its journal says.
    #[error("{path}: the unit is damaged")]
    DamagedUnit {
        /// The unit.
        path: PathBuf,
    },
    /// Files of which nothing, or not all, was extracted yet.
    #[error("{files} of {total} files are not extracted yet, `{first}` among them")]
    NotMapped {
        /// How many.
        files: usize,
        /// Of how many.
        total: usize,
        /// The first of them.
        first: String,
    },
    /// Decisions of other documents than those that are there, or none.
    #[error("{path}: found no decisions about these documents")]
    NotMerged {
        /// Where they were looked for.
        path: PathBuf,
    },
    /// Approvals that have ended, all of them.
    #[error("found ended approvals: {}", list(approvals))]
    ApprovalsEnded {
        /// Each with its source.
        approvals: Vec<EndedApproval>,
    },
    /// A table of documents that cannot be written.
    #[cfg(feature = "parquet")]
    #[error("cannot write documents as columns")]
    Parquet(#[source] parquet::errors::ParquetError),
    /// A directory without shards.
    #[error("{path}: found no `shard-*.jsonl.zst`")]
    NoShards {
        /// The directory.
        path: PathBuf,
    },
}

fn fields(kind: &str, found: &[String], hidden: usize) -> String {
    match hidden {
        0 => format!("{kind} {found:?}"),
        hidden => format!("{hidden} {kind}, none of those that the source names"),
    }
}

impl Error {
    /// [`Self::MissingFields`] in a file of `source`. What is taken for names may be a row about
    /// somebody, where the file has no header: of private sources they are shown only if one of them
    /// is named by the config.
    pub(crate) fn missing_fields(
        path: PathBuf,
        kind: &'static str,
        found: Vec<String>,
        needed: Vec<String>,
        source: &SourceConfig,
    ) -> Self {
        let columns = [&source.id, &source.group, &source.time].into_iter().flatten();
        let mut named = source.text.iter().chain(columns);
        let is_shown = source.access_tier != AccessTier::Private
            || kind == "elements"
            || named.any(|name| found.contains(name));
        let hidden = if is_shown { 0 } else { found.len() };
        let found = if is_shown { found } else { Vec::new() };
        Self::MissingFields { path, kind, found, hidden, needed }
    }

    /// Advice, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingPaths { .. } => {
                Some("correct the sources' `path`, or remove the sources".into())
            }
            Self::NoFiles { .. } => Some("correct `include` and `exclude`".into()),
            Self::MissingFields { kind: "columns", .. } => Some(
                "correct `text`, `id` or `group`; `delimiter`, `quote` and `header` say how the \
                 table is read"
                    .into(),
            ),
            Self::UnreadColumns { .. } => Some(
                "name a column of text (for `id`, `group` and `time` numbers and dates too); write \
                 lists and groups as columns of their own, and pack with another codec than LZO"
                    .into(),
            ),
            Self::MissingFields { .. } => {
                Some("correct `text` and `record`, or leave the file out with `exclude`".into())
            }
            Self::TooMuchBroken { .. } => Some(
                "correct the source's `format`, `encoding`, `delimiter` or `quote`, replace its \
                 files, or raise `corpus.max_broken`"
                    .into(),
            ),
            Self::TooManyIdentifiers { .. } => Some(
                "set `corpus.identifiers.mode` or a source's `identifiers` to `mask` or `drop`, or \
                 raise `corpus.identifiers.max_reported`"
                    .into(),
            ),
            Self::NoPdfEngine { .. } => Some(
                "install PDFium (the file `libpdfium.so`, named by `corpus.readers.pdfium`) or poppler \
                 with its Korean tables (`poppler-utils` and `poppler-data`); `bimed doctor` shows \
                 what is found"
                    .into(),
            ),
            Self::ZeroEffect { .. } => {
                Some("see the reasons in `rejected/`, or switch the step off".into())
            }
            Self::DamagedUnit { path } => {
                Some(format!("remove `{}`: it is made again", path.display()))
            }
            Self::NotMapped { .. } => {
                Some("wait for every rank of the phase `map`, and run the failed ones again".into())
            }
            Self::NotMerged { .. } => Some("run the phase `dedup-merge` before `finalize`".into()),
            Self::ApprovalsEnded { .. } => Some(
                "renew the approval and correct `approval_expires`, or take the source out; \
                 what was made from it before is shown by `inspect --lineage`"
                    .into(),
            ),
            Self::Shard { .. } | Self::NoShards { .. } => {
                Some("build the corpus again with this version".into())
            }
            _ => None,
        }
    }
}
