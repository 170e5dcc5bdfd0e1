//! How a long step reports where it is, and how it is asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Files.
    Files,
    /// Bytes.
    Bytes,
    /// Documents.
    Documents,
    /// Tokens.
    Tokens,
    /// Vocabulary merges.
    Merges,
    /// Optimizer steps.
    Steps,
    /// Evaluation or fine-tuning items.
    Items,
}

impl Unit {
    /// The unit's name in the plural.
    pub fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Bytes => "B",
            Self::Documents => "documents",
            Self::Tokens => "tokens",
            Self::Merges => "merges",
            Self::Steps => "steps",
            Self::Items => "items",
        }
    }
}

/// How far a file is on its way to its name; a kill between two of them must lose nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitStep {
    /// All is written, under a temporary name or at the end of a journal.
    Written,
    /// It is on the disk.
    Synced,
    /// It has its name.
    Renamed,
}

/// Where a step reports. One step is open at a time. No document text may be passed to it.
pub trait Progress: Send + Sync {
    /// Opens the step `step`; `total` is `None` where it is not known.
    fn begin(&self, step: &str, total: Option<u64>, unit: Unit);
    /// Adds `amount` units.
    fn advance(&self, amount: u64);
    /// Shows short figures beside the step: a loss, a count.
    fn status(&self, figures: &str);
    /// Leaves a line that stays.
    fn note(&self, line: &str);
    /// Closes the step.
    fn end(&self);
    /// A file of an artifact has come this far. Nothing is shown: it is where a test cuts in.
    fn committing(&self, _step: CommitStep) {}
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _step: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _amount: u64) {}
    fn status(&self, _figures: &str) {}
    fn note(&self, _line: &str) {}
    fn end(&self) {}
}

/// The step was asked to stop; what it committed stands and resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

/// A flag that a signal handler raises and every long loop looks at.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is down.
    pub fn new() -> Self {
        Self::default()
    }

    /// A flag that `signal` also raises.
    pub fn from_flag(signal: Arc<AtomicBool>) -> Self {
        Self(signal)
    }

    /// Raises it.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is up.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// `Err` once it is up.
    ///
    /// # Errors
    /// [`Cancelled`].
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }
}

/// What every stage takes beside its config: where to report and whether to stop.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Where to report.
    pub progress: &'a dyn Progress,
    /// Whether to stop.
    pub cancel: &'a Cancel,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Context").field("cancel", self.cancel).finish_non_exhaustive()
    }
}

impl<'a> Context<'a> {
    /// A context over `progress` and `cancel`.
    pub fn new(progress: &'a dyn Progress, cancel: &'a Cancel) -> Self {
        Self { progress, cancel }
    }
}
