//! The documents of a build in their final order, read from the units that hold them.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;
use serde::Deserialize;

use super::keys::{KEYS_BYTES, Keys, SEGMENT_BYTES, Segment};
use super::{Entry, Frame, Sections, UnitLine};
use crate::{Error, Result};

/// Documents that lie one behind the other in a unit: a part of a file.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The first document's number in the build.
    pub first: usize,
    pub documents: usize,
    /// The source's and the file's place in the configs and in the scan.
    pub source: usize,
    pub file: usize,
    /// The unit, and the entry there.
    pub unit: usize,
    pub entry: usize,
}

/// Every document of a build, by its number: in the order of sources, files and records.
pub(crate) struct Catalog {
    dir: PathBuf,
    units: Vec<UnitLine>,
    runs: Vec<Run>,
    documents: usize,
}

/// A record that became no document: its reason's name, and its line.
pub(crate) type RefusedLine = (String, Vec<u8>);

/// A section of keys of one width.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Section {
    /// The hash of the text, 16 bytes.
    Exact,
    /// The signature, of this many bytes.
    Signature(usize),
    /// [`Keys`].
    Keys,
}

impl Section {
    fn bytes(self) -> usize {
        match self {
            Self::Exact => 16,
            Self::Signature(bytes) => bytes,
            Self::Keys => KEYS_BYTES,
        }
    }

    fn begin(self, sections: &Sections) -> u64 {
        match self {
            Self::Exact => sections.exact,
            Self::Signature(_) => sections.signature,
            Self::Keys => sections.keys,
        }
    }
}

impl Catalog {
    /// The documents of `places`: source, file, unit and entry of every part in order.
    pub(crate) fn new(
        dir: &Path,
        units: Vec<UnitLine>,
        places: impl IntoIterator<Item = (usize, usize, usize, usize)>,
    ) -> Self {
        let mut documents = 0;
        let mut runs = Vec::new();
        for (source, file, unit, entry) in places {
            let count = units[unit].entries[entry].documents as usize;
            runs.push(Run { first: documents, documents: count, source, file, unit, entry });
            documents += count;
        }
        Self { dir: dir.to_path_buf(), units, runs, documents }
    }

    /// How many documents there are.
    pub(crate) fn len(&self) -> usize {
        self.documents
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(crate) fn entry(&self, run: &Run) -> &Entry {
        &self.units[run.unit].entries[run.entry]
    }

    fn path(&self, unit: usize) -> PathBuf {
        self.dir.join(&self.units[unit].unit)
    }

    /// The run that holds the document `number`.
    pub(crate) fn run(&self, number: usize) -> &Run {
        let after = self.runs.partition_point(|run| run.first <= number);
        let mut at = after.saturating_sub(1);
        // Runs without documents begin where the next does.
        while self.runs[at].documents == 0 && at > 0 {
            at -= 1;
        }
        &self.runs[at]
    }

    /// Reads a section of all documents in order.
    ///
    /// # Errors
    /// When a unit cannot be read.
    pub(crate) fn scan(&self, section: Section, mut each: impl FnMut(usize, &[u8])) -> Result<()> {
        let mut open: Option<(usize, fs::File)> = None;
        let mut bytes = Vec::new();
        for run in self.runs.iter().filter(|run| run.documents > 0) {
            if open.as_ref().is_none_or(|(unit, _)| *unit != run.unit) {
                open = Some((run.unit, fs::File::open(self.path(run.unit))?));
            }
            let Some((_, file)) = &mut open else { continue };
            bytes.resize(run.documents * section.bytes(), 0);
            file.seek(SeekFrom::Start(self.row(run, section, run.first)))?;
            file.read_exact(&mut bytes)?;
            for (place, row) in bytes.chunks_exact(section.bytes()).enumerate() {
                each(run.first + place, row);
            }
        }
        Ok(())
    }

    fn row(&self, run: &Run, section: Section, number: usize) -> u64 {
        let unit = &self.units[run.unit];
        let place = unit.entries[run.entry].document as usize + number - run.first;
        section.begin(&unit.sections) + (place * section.bytes()) as u64
    }

    /// The rows of the documents `numbers`, ascending, one behind the other.
    ///
    /// # Errors
    /// When a unit cannot be read.
    pub(crate) fn rows(&self, section: Section, numbers: &[usize]) -> Result<Vec<u8>> {
        let width = section.bytes();
        let mut bytes = vec![0; numbers.len() * width];
        let mut rest = bytes.as_mut_slice();
        let mut open: Option<(usize, fs::File)> = None;
        // What lies in a row is read at once.
        for neighbours in numbers.chunk_by(|a, b| *b == a + 1 && !self.begins_run(*b)) {
            let run = self.run(neighbours[0]);
            if open.as_ref().is_none_or(|(unit, _)| *unit != run.unit) {
                open = Some((run.unit, fs::File::open(self.path(run.unit))?));
            }
            let Some((_, file)) = &mut open else { continue };
            file.seek(SeekFrom::Start(self.row(run, section, neighbours[0])))?;
            let (rows, after) = rest.split_at_mut(neighbours.len() * width);
            file.read_exact(rows)?;
            rest = after;
        }
        Ok(bytes)
    }

    fn begins_run(&self, number: usize) -> bool {
        self.run(number).first == number
    }

    /// The keys of the documents `numbers`, ascending.
    ///
    /// # Errors
    /// When a unit cannot be read.
    pub(crate) fn keys(&self, numbers: &[usize]) -> Result<Vec<Keys>> {
        let rows = self.rows(Section::Keys, numbers)?;
        Ok(rows.chunks_exact(KEYS_BYTES).map(Keys::read).collect())
    }

    /// The segments of the document `number`, whose keys are `keys`.
    ///
    /// # Errors
    /// When the unit cannot be read.
    pub(crate) fn segments(&self, number: usize, keys: &Keys) -> Result<Vec<Segment>> {
        let unit = self.run(number).unit;
        let begin =
            self.units[unit].sections.segments + u64::from(keys.segment) * SEGMENT_BYTES as u64;
        let bytes = read_at(&self.path(unit), begin, keys.segments as usize * SEGMENT_BYTES)?;
        Ok(bytes.chunks_exact(SEGMENT_BYTES).map(Segment::read).collect())
    }

    /// What `each` makes of the lines of the documents `numbers`, ascending, in their order.
    ///
    /// # Errors
    /// When a unit cannot be read or `each` fails.
    pub(crate) fn lines<T: Send>(
        &self,
        numbers: &[usize],
        each: impl Fn(usize, &[u8]) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let keys = self.keys(numbers)?;
        let located: Vec<(usize, usize, Keys)> = numbers
            .iter()
            .zip(keys)
            .map(|(number, keys)| (*number, self.run(*number).unit, keys))
            .collect();
        let frames: Vec<&[(usize, usize, Keys)]> =
            located.chunk_by(|a, b| (a.1, a.2.frame) == (b.1, b.2.frame)).collect();
        let made: Vec<Vec<T>> = frames
            .par_iter()
            .map(|documents| {
                let (_, unit, first) = documents[0];
                let frame = self.frame(unit, self.units[unit].frames[first.frame as usize])?;
                let lines = documents.iter().map(|(number, _, keys)| {
                    let begin = keys.line_begin as usize;
                    let line = frame.get(begin..begin + keys.line_bytes as usize);
                    each(*number, line.ok_or_else(|| self.damaged(unit))?)
                });
                lines.collect::<Result<Vec<T>>>()
            })
            .collect::<Result<_>>()?;
        Ok(made.into_iter().flatten().collect())
    }

    /// The texts of the documents `numbers`, ascending.
    ///
    /// # Errors
    /// When a unit cannot be read.
    pub(crate) fn texts(&self, numbers: &[usize]) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Text {
            text: String,
        }
        self.lines(numbers, |number, line| {
            let closed = crate::document::close_line(line, 0);
            let found: Text =
                serde_json::from_slice(&closed).map_err(|_| self.damaged(self.run(number).unit))?;
            Ok(found.text)
        })
    }

    /// The refused records of a unit: reason and line, in order.
    ///
    /// # Errors
    /// When the unit cannot be read.
    pub(crate) fn refused(&self, unit: usize) -> Result<Vec<RefusedLine>> {
        let mut found = Vec::new();
        for frame in &self.units[unit].refused {
            let raw = self.frame(unit, *frame)?;
            for line in raw.split_inclusive(|byte| *byte == b'\n') {
                let at = line.iter().position(|byte| *byte == b'\t').unwrap_or(0);
                let reason = String::from_utf8_lossy(&line[..at]).into_owned();
                found.push((reason, line[at + 1..].to_vec()));
            }
        }
        Ok(found)
    }

    fn frame(&self, unit: usize, frame: Frame) -> Result<Vec<u8>> {
        let bytes = read_at(&self.path(unit), frame.begin, frame.bytes as usize)?;
        zstd::bulk::decompress(&bytes, frame.raw as usize).map_err(|_| self.damaged(unit))
    }

    fn damaged(&self, unit: usize) -> Error {
        Error::DamagedUnit { path: self.path(unit) }
    }
}

/// `length` bytes of `path` from `begin`.
pub(super) fn read_at(path: &Path, begin: u64, length: usize) -> Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}
