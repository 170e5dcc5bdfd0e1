//! `journal-RANK-of-WORLD.jsonl`: a line for every unit that is complete.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use bimed_artifact::{CommitStep, Context, Hash, create_private_dir, lock_file};
use bimed_text::FoldCounts;
use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::keys::{KEYS_BYTES, Keys, WITHDRAWN_BYTES, WithdrawnKey};
use super::read::read_at;
use crate::stream::Cursor;
use crate::{Result, SourceSummary};

/// Where a frame lies in a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub begin: u64,
    pub bytes: u32,
    /// Its bytes when it is decompressed.
    pub raw: u32,
}

/// Where the sections of keys begin in a unit, one behind the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sections {
    pub exact: u64,
    pub signature: u64,
    pub keys: u64,
    pub segments: u64,
    pub refused: u64,
}

/// What one part of a file gave, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileReport {
    pub summary: SourceSummary,
    pub folds: FoldCounts,
    /// The fields or elements of a part in which no record has a configured one.
    pub without_fields: Option<Vec<String>>,
}

/// One part of a file in a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The hash of the file's content and of all that decides what is made of it.
    pub piece: Hash,
    /// The part's number in the file, from 0.
    pub part: u32,
    /// Where the next part begins; nothing where the file ends.
    pub next: Option<Cursor>,
    /// Its documents in the unit: the first, and how many.
    pub document: u32,
    pub documents: u32,
    /// Its refused records in the unit: the first, and how many.
    pub refusal: u32,
    pub refusals: u32,
    /// Those who withdrew and whose records were left out, as hashes.
    pub withdrawn: Vec<u64>,
    pub report: FileReport,
}

/// A unit, as its journal's line has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UnitLine {
    /// The unit's file name.
    pub unit: String,
    pub bytes: u64,
    pub documents: u32,
    pub refusals: u32,
    pub frames: Vec<Frame>,
    pub refused: Vec<Frame>,
    pub sections: Sections,
    pub entries: Vec<Entry>,
}

/// The journals of a directory of units; one of them is this process's to write.
pub(crate) struct Journal {
    dir: PathBuf,
    /// Held until the end, with the lock on it.
    own: Option<fs::File>,
    pub(crate) units: Vec<UnitLine>,
    /// A part of a piece, to its unit and its entry there.
    places: HashMap<(Hash, u32), (usize, usize)>,
}

impl Journal {
    /// Reads every journal in `dir`; with `own`, that one is locked for writing.
    ///
    /// # Errors
    /// When another process writes the journal, or the file system refuses.
    pub(crate) fn open(dir: &Path, own: Option<&str>) -> Result<Self> {
        create_private_dir(dir)?;
        let own = own.map(|name| lock(&dir.join(name))).transpose()?;
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("journal-") {
                names.push(name);
            }
        }
        names.sort();
        let mut journal =
            Self { dir: dir.to_path_buf(), own, units: Vec::new(), places: HashMap::new() };
        for name in names {
            let text = fs::read(dir.join(name))?;
            for line in text.split(|byte| *byte == b'\n') {
                // A kill may leave a part of a line, and another version lines of another form.
                if let Ok(unit) = serde_json::from_slice::<UnitLine>(line)
                    && fs::metadata(dir.join(&unit.unit))
                        .is_ok_and(|found| found.len() == unit.bytes)
                {
                    journal.add(unit);
                }
            }
        }
        Ok(journal)
    }

    fn add(&mut self, unit: UnitLine) {
        for (number, entry) in unit.entries.iter().enumerate() {
            self.places.insert((entry.piece.clone(), entry.part), (self.units.len(), number));
        }
        self.units.push(unit);
    }

    /// Where the part is: its unit and its entry there.
    pub(crate) fn find(&self, piece: &Hash, part: u32) -> Option<(usize, usize)> {
        self.places.get(&(piece.clone(), part)).copied()
    }

    /// Adds a line for `unit`, whose file is complete.
    ///
    /// # Errors
    /// When the disk is full.
    pub(crate) fn append(&mut self, unit: UnitLine, context: &Context<'_>) -> Result<()> {
        if let Some(own) = &mut self.own {
            let mut line = serde_json::to_vec(&unit)
                .map_err(|error| std::io::Error::other(error.to_string()))?;
            line.push(b'\n');
            own.write_all(&line)?;
            context.progress.committing(CommitStep::Written);
            own.sync_data()?;
            context.progress.committing(CommitStep::Synced);
        }
        self.add(unit);
        Ok(())
    }

    /// Forgets every unit that holds what should be left out now, or lacks what should not: all of
    /// it is extracted again. Its file goes where `is_alone`: no other process reads it then.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn forget_stale(&mut self, excluded: &HashSet<u64>, is_alone: bool) -> Result<()> {
        let mut kept = Vec::new();
        for unit in std::mem::take(&mut self.units) {
            if self.is_stale(&unit, excluded)? {
                if is_alone {
                    fs::remove_file(self.dir.join(&unit.unit))?;
                }
            } else {
                kept.push(unit);
            }
        }
        self.places.clear();
        kept.into_iter().for_each(|unit| self.add(unit));
        Ok(())
    }

    fn is_stale(&self, unit: &UnitLine, excluded: &HashSet<u64>) -> Result<bool> {
        let mut withdrawn = unit.entries.iter().flat_map(|entry| &entry.withdrawn);
        if withdrawn.any(|hash| !excluded.contains(hash)) {
            return Ok(true);
        }
        if excluded.is_empty() {
            return Ok(false);
        }
        let path = self.dir.join(&unit.unit);
        let length = unit.documents as usize * KEYS_BYTES;
        let keys = read_at(&path, unit.sections.keys, length)?;
        let holds = |group, identity| excluded.contains(&group) || excluded.contains(&identity);
        let documents = keys.chunks_exact(KEYS_BYTES).map(Keys::read);
        if documents.into_iter().any(|keys| holds(keys.group, keys.identity)) {
            return Ok(true);
        }
        let length = unit.refusals as usize * WITHDRAWN_BYTES;
        let refused = read_at(&path, unit.sections.refused, length)?;
        let mut refused = refused.chunks_exact(WITHDRAWN_BYTES).map(WithdrawnKey::read);
        Ok(refused.any(|key| holds(key.group, key.identity)))
    }
}

/// Opens a journal for this process alone; a line that a kill cut short is ended.
fn lock(path: &Path) -> Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    lock_file(&file, path)?;
    if fs::read(path)?.last().is_some_and(|last| *last != b'\n') {
        file.write_all(b"\n")?;
    }
    Ok(file)
}
