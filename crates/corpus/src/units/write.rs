//! Sealing a unit: lines into frames, keys into sections, the file, its line.

use std::io::Write;
use std::path::Path;

use bimed_artifact::{AtomicFile, Context, Hash, KeyBuilder};
use rayon::prelude::*;

use super::keys::{Keys, Segment, WithdrawnKey};
use super::{Entry, FileReport, Frame, Sections, UnitLine};
use crate::stream::Cursor;
use crate::{Reason, Result};

/// Bytes of a frame: what is decompressed to look at one document.
const FRAME_BYTES: usize = 256 << 10;
/// Units are read once or twice and then deleted: speed before size. A quarter larger than at level 1,
/// for a twentieth of a build's processor time.
const LEVEL: i32 = -4;

/// A document as it is spilled.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its line of a shard but for the end, [`crate::document::open_line`].
    pub line: Vec<u8>,
    /// All but where it will lie.
    pub keys: Keys,
    /// The hash of its text.
    pub exact: u128,
    pub signature: Vec<u16>,
    pub segments: Vec<Segment>,
}

/// A record that became no document, as it is spilled.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Its line under `rejected/`.
    pub line: Vec<u8>,
    pub reason: Reason,
    pub key: WithdrawnKey,
}

/// What one part of a file gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub piece: Hash,
    pub part: u32,
    pub next: Option<Cursor>,
    pub documents: Vec<Prepared>,
    pub refused: Vec<Refused>,
    pub withdrawn: Vec<u64>,
    pub report: FileReport,
}

/// What becomes one unit.
pub(crate) type Content = Vec<Outcome>;

/// A unit that is still to be written.
#[derive(Debug)]
pub(crate) struct Sealed {
    line: UnitLine,
    chunks: Vec<Vec<u8>>,
}

impl Sealed {
    /// The unit of `content`.
    ///
    /// # Errors
    /// When a frame does not compress.
    pub(crate) fn new(content: Content) -> Result<Self> {
        let mut name = KeyBuilder::new("unit", 1);
        let mut entries = Vec::new();
        let (mut documents, mut refused) = (Vec::new(), Vec::new());
        for outcome in content {
            name.part(outcome.piece.as_str(), &outcome.part.to_le_bytes());
            for withdrawn in &outcome.withdrawn {
                name.part("withdrawn", &withdrawn.to_le_bytes());
            }
            entries.push(Entry {
                piece: outcome.piece,
                part: outcome.part,
                next: outcome.next,
                document: documents.len() as u32,
                documents: outcome.documents.len() as u32,
                refusal: refused.len() as u32,
                refusals: outcome.refused.len() as u32,
                withdrawn: outcome.withdrawn,
                report: outcome.report,
            });
            documents.extend(outcome.documents);
            refused.extend(outcome.refused);
        }
        let mut chunks = Vec::new();
        let mut begin = 0;
        let mut frames = Vec::new();
        for (number, (lines, compressed)) in
            compress(&documents, |one| one.line.len(), document_lines)?.into_iter().enumerate()
        {
            place(&mut documents[lines.clone()], number as u32);
            frames.push(frame(&mut begin, &compressed));
            chunks.push(compressed.bytes);
        }
        let mut refused_frames = Vec::new();
        for (_, compressed) in compress(&refused, |one| one.line.len(), refused_lines)? {
            refused_frames.push(frame(&mut begin, &compressed));
            chunks.push(compressed.bytes);
        }
        let sections = sections(&mut documents, &refused, begin, &mut chunks);
        let line = UnitLine {
            unit: format!("{}.unit", name.finish().short()),
            bytes: chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            documents: documents.len() as u32,
            refusals: refused.len() as u32,
            frames,
            refused: refused_frames,
            sections,
            entries,
        };
        Ok(Self { line, chunks })
    }

    /// Writes the file into `dir`; gives the line that a journal is to have.
    ///
    /// # Errors
    /// When the disk is full.
    pub(crate) fn write(self, dir: &Path, context: &Context<'_>) -> Result<UnitLine> {
        let mut file = AtomicFile::create(&dir.join(&self.line.unit))?;
        for chunk in &self.chunks {
            file.write_all(chunk)?;
        }
        file.commit_watched(context.progress)?;
        Ok(self.line)
    }
}

struct Compressed {
    bytes: Vec<u8>,
    raw: usize,
}

fn frame(begin: &mut u64, compressed: &Compressed) -> Frame {
    let (bytes, raw) = (compressed.bytes.len() as u32, compressed.raw as u32);
    let frame = Frame { begin: *begin, bytes, raw };
    *begin += u64::from(bytes);
    frame
}

/// Where the lines of `documents` lie in their frame.
fn place(documents: &mut [Prepared], frame: u32) {
    let mut begin = 0;
    for document in documents {
        document.keys.frame = frame;
        document.keys.line_begin = begin;
        document.keys.line_bytes = document.line.len() as u32;
        begin += document.keys.line_bytes;
    }
}

fn document_lines(documents: &[Prepared], out: &mut Vec<u8>) {
    documents.iter().for_each(|document| out.extend_from_slice(&document.line));
}

/// Each line behind its reason.
fn refused_lines(refused: &[Refused], out: &mut Vec<u8>) {
    for one in refused {
        out.extend_from_slice(one.reason.name().as_bytes());
        out.push(b'\t');
        out.extend_from_slice(&one.line);
        out.push(b'\n');
    }
}

/// The frames of `items`, in order.
fn compress<T: Sync>(
    items: &[T],
    bytes: impl Fn(&T) -> usize,
    write: impl Fn(&[T], &mut Vec<u8>) + Sync,
) -> Result<Vec<(std::ops::Range<usize>, Compressed)>> {
    let mut ranges = Vec::new();
    let (mut first, mut size) = (0, 0);
    for (number, item) in items.iter().enumerate() {
        size += bytes(item);
        if size >= FRAME_BYTES || number + 1 == items.len() {
            ranges.push(first..number + 1);
            (first, size) = (number + 1, 0);
        }
    }
    let compressor = || {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        std::io::Result::Ok(compressor)
    };
    let compressed: std::io::Result<_> = ranges
        .into_par_iter()
        .map_init(compressor, |compressor, range| {
            let mut raw = Vec::new();
            write(&items[range.clone()], &mut raw);
            let compressor = compressor.as_mut().map_err(|error| error.kind())?;
            Ok((range, Compressed { bytes: compressor.compress(&raw)?, raw: raw.len() }))
        })
        .collect();
    Ok(compressed?)
}

fn sections(
    documents: &mut [Prepared],
    refused: &[Refused],
    begin: u64,
    chunks: &mut Vec<Vec<u8>>,
) -> Sections {
    let mut segment = 0;
    for document in documents.iter_mut() {
        document.keys.segment = segment;
        document.keys.segments = document.segments.len() as u32;
        segment += document.keys.segments;
    }
    let mut at = begin;
    let mut section = |bytes: Vec<u8>| {
        let begin = at;
        at += bytes.len() as u64;
        chunks.push(bytes);
        begin
    };
    let exact = documents.iter().flat_map(|one| one.exact.to_le_bytes()).collect();
    let signature = documents
        .iter()
        .flat_map(|one| one.signature.iter().flat_map(|value| value.to_le_bytes()))
        .collect();
    let (mut keys, mut segments, mut withdrawn) = (Vec::new(), Vec::new(), Vec::new());
    for document in documents.iter() {
        document.keys.write(&mut keys);
        document.segments.iter().for_each(|segment| segment.write(&mut segments));
    }
    refused.iter().for_each(|one| one.key.write(&mut withdrawn));
    Sections {
        exact: section(exact),
        signature: section(signature),
        keys: section(keys),
        segments: section(segments),
        refused: section(withdrawn),
    }
}
