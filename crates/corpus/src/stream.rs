//! Large tables and texts of lines as a sequence of parts: never held whole, begun anywhere.
//!
//! Owns where a part ends. The parts of a file are a function of its content and of the size of a
//! part, so a run that was interrupted goes on at the part that it had not written.

mod bytes;
mod rows;
mod stretches;

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::read::foreign::{is_foreign, is_parquet};
use crate::read::{FileRecords, RawRecord};
use crate::{Format, ReaderConfig, Reason, RecordUnit, Result, ScannedFile, SourceConfig};
use bytes::Decoding;
use rows::Rows;
use stretches::Stretches;

/// A longer line or field is an open quote or no text.
const MAX_RECORD_BYTES: usize = 64 << 20;
/// Bytes of the beginning of a JSON file by which lines of values are told from one value.
const PROBED_BYTES: u64 = 1 << 20;
/// Bytes of a [`Block`], unless a line is longer. A small one is room that was used before, and
/// clearing new pages costs more than reading does.
const BLOCK_BYTES: usize = 256 << 10;
/// What a record weighs in a part beside its text: its names, ranges and keys, and its signature.
pub(crate) const RECORD_BYTES: u64 = 1 << 10;
/// A table of this share of a part may weigh as much: it is compressed, or its records are short.
const TABLE_SHARE: u64 = 8;

/// Where a part of a file begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The byte, decompressed and decoded; 0 where records are found by their number.
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
    pub blocks: Vec<Block>,
    /// Where the next part begins; nothing where the file ends.
    pub next: Option<Cursor>,
    /// Bytes, decoded.
    pub bytes: u64,
}

/// Some lines of JSON: what one thread reads at once.
#[derive(Debug, Default)]
pub(crate) struct Block {
    text: Vec<u8>,
    /// Each with its number and its place in [`Self::text`].
    lines: Vec<(u64, Range<usize>)>,
}

impl Block {
    /// The lines, each with its number.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (u64, Cow<'_, str>)> {
        let line = |place: &Range<usize>| decoded(&self.text[place.clone()]);
        self.lines.iter().map(move |(number, place)| (*number, line(place)))
    }
}

/// As [`String::from_utf8_lossy`], by the processor's vectors.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    encoding_rs::UTF_8.decode_without_bom_handling(bytes).0
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
    if is_parquet(&file.path, source.format)? {
        return Ok(true);
    }
    let is_large = file.bytes > part_bytes / TABLE_SHARE;
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

/// What `file` may weigh in a unit, in bytes.
pub(crate) fn weight(file: &ScannedFile, source: &SourceConfig) -> u64 {
    let has_rows = match source.format {
        Format::Csv | Format::Jsonl => true,
        Format::Txt => source.unit != RecordUnit::File,
        _ => false,
    };
    if has_rows { file.bytes * TABLE_SHARE } else { file.bytes + RECORD_BYTES }
}

/// Whether the file's first line is a value of its own, with another after it.
fn begins_with_lines(path: &Path, source: &SourceConfig) -> Result<bool> {
    let mut begin = Vec::new();
    Decoding::open(path, source, 0, "")?.take(PROBED_BYTES).read_to_end(&mut begin)?;
    let lines = begin.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let is_object =
        |line: &[u8]| matches!(serde_json::from_slice(line), Ok(serde_json::Value::Object(_)));
    Ok(lines.filter(|line| !line.is_empty()).take(100).any(is_object))
}

/// The parts of one file, in order.
pub(crate) enum Parts<'a> {
    /// Of a text.
    Text(Box<TextParts<'a>>),
    /// Of a file whose rows its reader finds by their number.
    Rows(Stretches<'a>),
}

impl<'a> Parts<'a> {
    /// The parts of `path` from `cursor` on.
    ///
    /// # Errors
    /// When the file cannot be read, or a table lacks a column.
    pub(crate) fn open(
        path: &Path,
        source: &'a SourceConfig,
        readers: &'a ReaderConfig,
        cursor: &Cursor,
    ) -> Result<Self> {
        match source.format {
            Format::Csv | Format::Txt | Format::Jsonl => {
                Ok(Self::Text(Box::new(TextParts::open(path, source, cursor)?)))
            }
            _ => Ok(Self::Rows(Stretches::new(path, source, readers, cursor))),
        }
    }

    /// The next part: records of `part_bytes` together, or what is left.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn next(&mut self, part_bytes: u64) -> Result<Part> {
        match self {
            Self::Text(parts) => parts.next(part_bytes),
            Self::Rows(stretches) => stretches.next(part_bytes),
        }
    }
}

/// The parts of a text.
pub(crate) struct TextParts<'a> {
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
    /// What [`Lines::buffer`] holds.
    Line,
    Fault(Reason),
}

impl<'a> TextParts<'a> {
    fn open(path: &Path, source: &'a SourceConfig, cursor: &Cursor) -> Result<Self> {
        let decoding = Decoding::open(path, source, cursor.byte, &cursor.encoding)?;
        let records = match source.format {
            Format::Csv => Records::Rows(Box::new(Rows::open(path, source, decoding, cursor)?)),
            format => Records::Lines(Lines {
                reader: decoding,
                by_paragraph: format == Format::Txt && source.unit == RecordUnit::Paragraph,
                is_json: format == Format::Jsonl,
                byte: cursor.byte,
                record: cursor.record,
                buffer: Vec::new(),
            }),
        };
        Ok(Self { source, records, ahead: None })
    }

    fn next(&mut self, part_bytes: u64) -> Result<Part> {
        let mut part = Part::default();
        part.records.extractor = match self.source.format {
            Format::Csv => "csv",
            Format::Jsonl => "json",
            _ => "txt",
        };
        let mut begin = None;
        let (mut first, mut last) = (None, None);
        loop {
            let item = match self.ahead.take() {
                Some(item) => Some(item),
                None => self.records.next(self.source)?,
            };
            let Some(item) = item else { break };
            let records = item.number - *first.get_or_insert(item.number);
            let start = *begin.get_or_insert(item.begin);
            if item.begin - start + RECORD_BYTES * records >= part_bytes {
                part.next = Some(Cursor {
                    byte: item.begin,
                    record: item.number,
                    encoding: self.records.decoding().encoding().to_owned(),
                });
                part.bytes = item.begin - start;
                self.ahead = Some(item);
                break;
            }
            last = last.max(Some(item.number));
            part.push(item, &self.records);
        }
        let decoding = self.records.decoding();
        if decoding.is_binary || decoding.unread_encoding.is_some() {
            // Of what follows ASCII alone, which was read.
            let number = first.unwrap_or(0);
            part = Part::default();
            part.records.extractor = "none";
            part.records.partial = number > 0;
            part.records.faults.push((number, Reason::BadEncoding));
        } else if part.next.is_none() {
            part.bytes = self.records.byte() - begin.unwrap_or(self.records.byte());
            if let Some(reason) = self.records.fault_at_end(self.source) {
                part.drop_record(last.unwrap_or(0), reason);
            }
        }
        let decoding = self.records.decoding();
        part.records.encoding = match (decoding.unread_encoding, decoding.encoding()) {
            (Some(name), _) => name,
            (None, "") => "UTF-8",
            (None, name) => name,
        };
        Ok(part)
    }
}

impl Part {
    /// Adds what `records` gave last.
    fn push(&mut self, item: Item, records: &Records) {
        match item.kind {
            Kind::Record(record) => self.records.records.push(record),
            Kind::Line => self.push_line(item.number, records.line()),
            Kind::Fault(reason) => self.records.faults.push((item.number, reason)),
        }
    }

    fn push_line(&mut self, number: u64, line: &[u8]) {
        let is_full = |block: &Block| block.text.len() + line.len() > BLOCK_BYTES;
        if self.blocks.last().is_none_or(is_full) {
            let text = Vec::with_capacity(BLOCK_BYTES.max(line.len()));
            self.blocks.push(Block { text, lines: Vec::new() });
        }
        if let Some(block) = self.blocks.last_mut() {
            let begin = block.text.len();
            block.text.extend_from_slice(line);
            block.lines.push((number, begin..block.text.len()));
        }
    }

    /// The last record ends with the file, not where it should.
    fn drop_record(&mut self, number: u64, reason: Reason) {
        self.records.partial = true;
        self.records.records.retain(|record| record.record != number);
        self.records.faults.retain(|fault| fault.0 != number);
        self.blocks.iter_mut().for_each(|block| block.lines.retain(|line| line.0 != number));
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
            Self::Lines(lines) => &lines.reader,
        }
    }

    /// The line of JSON that was read last.
    fn line(&self) -> &[u8] {
        match self {
            Self::Rows(_) => &[],
            Self::Lines(lines) => &lines.buffer,
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
    reader: Decoding,
    by_paragraph: bool,
    is_json: bool,
    byte: u64,
    record: u64,
    /// The line that was read last, without its end; empty where it is blank or too long.
    buffer: Vec<u8>,
}

impl Lines {
    fn next(&mut self) -> Result<Option<Item>> {
        if self.by_paragraph {
            return self.paragraph();
        }
        loop {
            let begin = self.byte;
            let Some(is_too_long) = self.line()? else { return Ok(None) };
            let number = self.record;
            self.record += 1;
            let kind = if is_too_long {
                Kind::Fault(Reason::TooLarge)
            } else if self.buffer.is_empty() {
                continue;
            } else if self.is_json {
                Kind::Line
            } else {
                Kind::record(number, decoded(&self.buffer).into_owned())
            };
            return Ok(Some(Item { begin, number, kind }));
        }
    }

    fn paragraph(&mut self) -> Result<Option<Item>> {
        let mut text = String::new();
        let mut begin = self.byte;
        let mut is_too_large = false;
        while let Some(is_too_long) = self.line()? {
            is_too_large |= is_too_long;
            if !self.buffer.is_empty() {
                text.push_str(&decoded(&self.buffer));
                text.push('\n');
                if text.len() < MAX_RECORD_BYTES {
                    continue;
                }
            }
            if is_too_large || !text.is_empty() {
                break;
            }
            begin = self.byte;
        }
        if is_too_large {
            self.record += 1;
            let kind = Kind::Fault(Reason::TooLarge);
            return Ok(Some(Item { begin, number: self.record - 1, kind }));
        }
        if text.is_empty() {
            return Ok(None);
        }
        self.record += 1;
        let number = self.record - 1;
        Ok(Some(Item { begin, number, kind: Kind::record(number, text) }))
    }

    /// Reads the next line; whether it is longer than a record may be.
    fn line(&mut self) -> Result<Option<bool>> {
        self.buffer.clear();
        let mut limited = (&mut self.reader).take(MAX_RECORD_BYTES as u64);
        let mut read = limited.read_until(b'\n', &mut self.buffer)?;
        if read == 0 {
            return Ok(None);
        }
        let is_too_long = read == MAX_RECORD_BYTES && !self.buffer.ends_with(b"\n");
        if is_too_long {
            read += self.reader.skip_until(b'\n')?;
        }
        self.byte += read as u64;
        let is_blank = self.buffer.trim_ascii().is_empty();
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let length = line.strip_suffix(b"\r").unwrap_or(line).len();
        self.buffer.truncate(if is_blank || is_too_long { 0 } else { length });
        Ok(Some(is_too_long))
    }
}

impl Kind {
    fn record(record: u64, text: String) -> Self {
        Self::Record(RawRecord { record, text, ..RawRecord::default() })
    }
}

#[cfg(test)]
mod tests;
