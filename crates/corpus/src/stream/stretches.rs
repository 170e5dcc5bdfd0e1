//! The rows of a file that its reader finds by their number.

use std::path::{Path, PathBuf};

use super::{Cursor, Part};
use crate::read::FileRecords;
use crate::read::foreign::read_stretch;
use crate::{ReaderConfig, Result, SourceConfig};

/// The rows of a file from some row on.
pub(crate) struct Stretches<'a> {
    path: PathBuf,
    source: &'a SourceConfig,
    readers: &'a ReaderConfig,
    record: u64,
}

impl<'a> Stretches<'a> {
    pub(super) fn new(
        path: &Path,
        source: &'a SourceConfig,
        readers: &'a ReaderConfig,
        cursor: &Cursor,
    ) -> Self {
        Self { path: path.to_owned(), source, readers, record: cursor.record }
    }

    pub(super) fn next(&mut self, part_bytes: u64) -> Result<Part> {
        let from = self.record;
        let stretch = read_stretch(&self.path, self.source, self.readers, from, part_bytes)?;
        let next = stretch.next.map(|record| Cursor { record, ..Cursor::default() });
        self.record = stretch.next.unwrap_or(from);
        let records = FileRecords {
            records: stretch.records,
            faults: stretch.faults,
            partial: stretch.is_partial,
            encoding: "binary",
            extractor: "parquet",
            ..FileRecords::default()
        };
        Ok(Part { records, blocks: Vec::new(), next, bytes: stretch.bytes })
    }
}
