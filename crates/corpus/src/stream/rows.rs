//! The rows of a table, read as they come.

use std::io::{self, Read};
use std::path::Path;

use super::bytes::Decoding;
use super::{Cursor, Item, Kind, MAX_RECORD_BYTES};
use crate::read::csv::{Columns, builder, columns, names, raw};
use crate::{Reason, Result, SourceConfig};

/// What lies before a row is forgotten once it is this long.
const FORGOTTEN_BYTES: usize = 1 << 20;

/// The rows of a table from some row on.
pub(super) struct Rows {
    reader: csv::Reader<Recent>,
    columns: Columns,
    /// Columns of a row; a row of others is broken.
    width: usize,
    record: u64,
    /// Where the reader began, and where the last row begins.
    origin: u64,
    begin: u64,
    row: csv::ByteRecord,
}

impl Rows {
    pub(super) fn open(
        path: &Path,
        source: &SourceConfig,
        decoding: Decoding,
        cursor: &Cursor,
    ) -> Result<Self> {
        let mut first = csv::ByteRecord::new();
        let mut head = builder(path, source).from_reader(Decoding::open(path, source, 0, "")?);
        head.read_byte_record(&mut first).map_err(io::Error::from)?;
        let names = names(&first, source);
        let columns = columns(path, source, &names)?;
        let (origin, begin) = (cursor.byte, cursor.byte);
        let recent = Recent { inner: decoding, bytes: Vec::new(), begin, is_long: false };
        let reader = builder(path, source).from_reader(recent);
        let width = names.len();
        let mut rows =
            Self { reader, columns, width, record: cursor.record, origin, begin, row: first };
        if source.header && origin == 0 {
            rows.reader.read_byte_record(&mut rows.row).map_err(io::Error::from)?;
        }
        Ok(rows)
    }

    pub(super) fn next(&mut self, source: &SourceConfig) -> Result<Option<Item>> {
        let begin = self.byte();
        self.reader.get_mut().forget_before(begin);
        if !self.reader.read_byte_record(&mut self.row).map_err(io::Error::from)? {
            return Ok(None);
        }
        self.begin = begin;
        let number = self.record;
        self.record += 1;
        let kind = if self.row.len() == self.width {
            Kind::Record(raw(number, &self.row, &self.columns, source))
        } else {
            Kind::Fault(Reason::BadRecord)
        };
        Ok(Some(Item { begin, number, kind }))
    }

    pub(super) fn decoding(&self) -> &Decoding {
        &self.reader.get_ref().inner
    }

    /// The decoded bytes up to here.
    pub(super) fn byte(&self) -> u64 {
        self.origin + self.reader.position().byte()
    }

    /// Whether the last row, once all are read, opens a quote that nothing closes.
    pub(super) fn is_unclosed(&self, source: &SourceConfig) -> bool {
        let recent = self.reader.get_ref();
        let tail = &recent.bytes[recent.index(self.begin)..];
        let quotes = tail.iter().filter(|byte| **byte == b'"').count();
        source.quote && (recent.is_long || quotes % 2 == 1)
    }
}

/// A reader that remembers what it gave since some byte.
struct Recent {
    inner: Decoding,
    bytes: Vec<u8>,
    /// The byte that `bytes` begins with.
    begin: u64,
    /// Whether a row was longer than a record may be; the file then ends there.
    is_long: bool,
}

impl Recent {
    fn index(&self, byte: u64) -> usize {
        usize::try_from(byte - self.begin).map_or(self.bytes.len(), |at| at.min(self.bytes.len()))
    }

    fn forget_before(&mut self, byte: u64) {
        let length = self.index(byte);
        if length >= FORGOTTEN_BYTES {
            self.bytes.drain(..length);
            self.begin = byte;
        }
    }
}

impl Read for Recent {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.is_long |= self.bytes.len() > MAX_RECORD_BYTES + FORGOTTEN_BYTES;
        if self.is_long {
            return Ok(0);
        }
        let length = self.inner.read(out)?;
        self.bytes.extend_from_slice(&out[..length]);
        Ok(length)
    }
}
