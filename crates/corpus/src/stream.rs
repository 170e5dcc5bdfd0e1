//! Large tables and texts of lines as a sequence of parts: never held whole, begun anywhere.
//!
//! Owns where a part ends. The parts of a file are a function of its content and of the size of a
//! part, so a run that was interrupted goes on at the part that it had not written.

mod bytes;
mod rows;

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::read::foreign::is_foreign;
use crate::read::{FileRecords, RawRecord};
use crate::{Format, Reason, RecordUnit, Result, ScannedFile, SourceConfig};
use bytes::Decoding;
use rows::Rows;

/// A longer line or field is an open quote or no text.
const MAX_RECORD_BYTES: usize = 64 << 20;
/// Bytes of the beginning of a JSON file by which lines of values are told from one value.
const PROBED_BYTES: u64 = 1 << 20;
/// A compressed file of this share of a part is taken for one that holds more than a part.
const COMPRESSED_SHARE: u64 = 8;

/// Where a part of a file begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The byte, decompressed and decoded.
    pub byte: u64,
    /// The record, from 0.
    pub record: u64,
    /// The encoding; empty while all was ASCII.
    pub encoding: String,
}

/// A stretch of a file's records.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Records that are read, and what is known of them all.
    pub records: FileRecords,
    /// Lines of JSON, still to be read.
    pub lines: Vec<(u64, String)>,
    /// Where the next part begins; nothing where the file ends.
    pub next: Option<Cursor>,
    /// Bytes, decoded.
    pub bytes: u64,
}

/// Whether `file` is read in parts of `part_bytes`.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn is_streamed(
    file: &ScannedFile,
    source: &SourceConfig,
    part_bytes: u64,
) -> Result<bool> {
    let is_large = file.bytes > part_bytes
        || file.bytes > part_bytes / COMPRESSED_SHARE && is_compressed(&file.path)?;
    Ok(is_large
        // What is no text is refused by name, whole.
        && !is_foreign(&file.path)?
        && match source.format {
            Format::Csv => true,
            Format::Txt => source.pattern.is_none() && source.unit != RecordUnit::File,
            Format::Jsonl => source.record.is_none() && begins_with_lines(&file.path, source)?,
            _ => false,
        })
}

fn is_compressed(path: &Path) -> Result<bool> {
    use std::io::Read;
    let mut magic = Vec::new();
    fs_err::File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(magic.starts_with(&[0x1F, 0x8B]) || magic.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]))
}

/// Whether the file's first line is a value of its own, with another after it.
fn begins_with_lines(path: &Path, source: &SourceConfig) -> Result<bool> {
    use std::io::Read;
    let mut begin = Vec::new();
    Decoding::open(path, source, 0, "")?.take(PROBED_BYTES).read_to_end(&mut begin)?;
    let lines = begin.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_object =
        |line: &[u8]| matches!(serde_json::from_slice(line), Ok(serde_json::Value::Object(_)));
    Ok(lines.filter(|line| !line.is_empty()).take(100).any(is_object))
}

/// The parts of one file, in order.
pub(crate) struct Parts<'a> {
    source: &'a SourceConfig,
    records: Records,
    /// Read already, for the part that follows.
    ahead: Option<Item>,
}

enum Records {
    Rows(Box<Rows>),
    Lines(Lines),
}

/// One record, or what stands in its place, and the byte where it begins.
struct Item {
    begin: u64,
    number: u64,
    kind: Kind,
}

enum Kind {
    Record(RawRecord),
    Line(String),
    Fault(Reason),
}

impl<'a> Parts<'a> {
    /// The parts of `path` from `cursor` on.
    ///
    /// # Errors
    /// When the file cannot be read, or a table lacks a column.
    pub(crate) fn open(path: &Path, source: &'a SourceConfig, cursor: &Cursor) -> Result<Self> {
        let decoding = Decoding::open(path, source, cursor.byte, &cursor.encoding)?;
        let records = match source.format {
            Format::Csv => Records::Rows(Box::new(Rows::open(path, source, decoding, cursor)?)),
            format => Records::Lines(Lines {
                reader: BufReader::with_capacity(1 << 20, decoding),
                by_paragraph: format == Format::Txt && source.unit == RecordUnit::Paragraph,
                is_json: format == Format::Jsonl,
                byte: cursor.byte,
                record: cursor.record,
            }),
        };
        Ok(Self { source, records, ahead: None })
    }

    /// The next part: records of `part_bytes` together, or what is left.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn next(&mut self, part_bytes: u64) -> Result<Part> {
        let mut part = Part::default();
        part.records.extractor = match self.source.format {
            Format::Csv => "csv",
            Format::Jsonl => "json",
            _ => "txt",
        };
        let mut begin = None;
        let mut last = None;
        loop {
            let item = match self.ahead.take() {
                Some(item) => Some(item),
                None => self.records.next(self.source)?,
            };
            let Some(item) = item else { break };
            let first = *begin.get_or_insert(item.begin);
            if item.begin - first >= part_bytes {
                part.next = Some(Cursor {
                    byte: item.begin,
                    record: item.number,
                    encoding: self.records.decoding().encoding().to_owned(),
                });
                part.bytes = item.begin - first;
                self.ahead = Some(item);
                break;
            }
            last = last.max(Some(item.number));
            part.push(item);
        }
        let decoding = self.records.decoding();
        if decoding.is_binary {
            part = Part::default();
            part.records.faults.push((0, Reason::BadEncoding));
        } else if part.next.is_none() {
            part.bytes = self.records.byte() - begin.unwrap_or(self.records.byte());
            if let Some(reason) = self.records.fault_at_end(self.source) {
                part.drop_record(last.unwrap_or(0), reason);
            }
        }
        part.records.encoding = match self.records.decoding().encoding() {
            "" => "UTF-8",
            name => name,
        };
        Ok(part)
    }
}

impl Part {
    fn push(&mut self, item: Item) {
        match item.kind {
            Kind::Record(record) => self.records.records.push(record),
            Kind::Line(line) => self.lines.push((item.number, line)),
            Kind::Fault(reason) => self.records.faults.push((item.number, reason)),
        }
    }

    /// The last record ends with the file, not where it should.
    fn drop_record(&mut self, number: u64, reason: Reason) {
        self.records.partial = true;
        self.records.records.retain(|record| record.record != number);
        self.records.faults.retain(|fault| fault.0 != number);
        self.lines.retain(|line| line.0 != number);
        self.records.faults.push((number, reason));
    }
}

impl Records {
    fn next(&mut self, source: &SourceConfig) -> Result<Option<Item>> {
        match self {
            Self::Rows(rows) => rows.next(source),
            Self::Lines(lines) => lines.next(),
        }
    }

    fn decoding(&self) -> &Decoding {
        match self {
            Self::Rows(rows) => rows.decoding(),
            Self::Lines(lines) => lines.reader.get_ref(),
        }
    }

    /// The decoded bytes up to here.
    fn byte(&self) -> u64 {
        match self {
            Self::Rows(rows) => rows.byte(),
            Self::Lines(lines) => lines.byte,
        }
    }

    /// Why the last record is none, once all are read.
    fn fault_at_end(&self, source: &SourceConfig) -> Option<Reason> {
        if self.decoding().is_partial {
            return Some(Reason::Truncated);
        }
        match self {
            Self::Rows(rows) => rows.is_unclosed(source).then_some(Reason::UnclosedQuote),
            Self::Lines(_) => None,
        }
    }
}

/// Lines, or what is between blank ones.
struct Lines {
    reader: BufReader<Decoding>,
    by_paragraph: bool,
    is_json: bool,
    byte: u64,
    record: u64,
}

impl Lines {
    fn next(&mut self) -> Result<Option<Item>> {
        let mut text = String::new();
        let mut begin = self.byte;
        loop {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line)?;
            let is_end = read == 0;
            let is_blank = line.trim_ascii().is_empty();
            self.byte += read as u64;
            if self.by_paragraph && !is_blank {
                text.push_str(trimmed(&line).as_ref());
                text.push('\n');
                if text.len() < MAX_RECORD_BYTES {
                    continue;
                }
            }
            let number = self.record;
            if is_end && text.is_empty() {
                return Ok(None);
            }
            if self.by_paragraph {
                if text.is_empty() {
                    begin = self.byte;
                    continue;
                }
                self.record += 1;
                return Ok(Some(Item { begin, number, kind: Kind::record(number, text) }));
            }
            self.record += 1;
            if is_blank {
                begin = self.byte;
                continue;
            }
            let line = trimmed(&line).into_owned();
            let kind = if self.is_json { Kind::Line(line) } else { Kind::record(number, line) };
            return Ok(Some(Item { begin, number, kind }));
        }
    }
}

impl Kind {
    fn record(record: u64, text: String) -> Self {
        Self::Record(RawRecord { record, text, ..RawRecord::default() })
    }
}

fn trimmed(line: &[u8]) -> std::borrow::Cow<'_, str> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line))
}

#[cfg(test)]
mod tests;
