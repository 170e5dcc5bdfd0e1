//! Units: what extraction spills, a file of the units' directory with a line in a journal.
//!
//! Owns their form, their commit and how they are found again. A unit holds parts of source files;
//! a part is found by what made it (the file's content, the source's config, the rules of
//! extraction) and not by where it lies, so a changed file redoes its own extraction only.
//!
//! Invariant: a unit that a journal names is complete. The file is written, synced and renamed
//! before its line is.

mod journal;
mod keys;
mod read;
mod write;

pub(crate) use journal::{Entry, FileReport, Frame, Journal, Sections, UnitLine};
pub(crate) use keys::{Keys, Mark, Segment, WithdrawnKey};
pub(crate) use read::{Catalog, RefusedLine, Run, Section};
pub(crate) use write::{Content, Outcome, Prepared, Refused, Sealed};
