//! `shard-NNNNN.jsonl.zst`: a document a line, in independent zstd frames.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use bimed_artifact::create_private_dir;
use fs_err as fs;
use rayon::prelude::*;

use crate::disk::Disk;
use crate::{Document, Error, Result, ShardConfig};

/// Frames of shards compressed at once.
const FRAMES_AT_ONCE: usize = 8;

/// The path of the file with this number, from 0.
type PathOf = Box<dyn Fn(u64) -> PathBuf>;

/// Writes lines into files of independent frames, of a size each that lines alone decide.
struct LineWriter<'a> {
    path: PathOf,
    config: &'a ShardConfig,
    disk: &'a Disk,
    frames_at_once: usize,
    max_bytes: usize,
    /// Files begun, and bytes of the last.
    files: u64,
    bytes: usize,
    /// The frame that is being filled, full ones with the number of their file, and empty ones.
    frame: Vec<u8>,
    full: Vec<(u64, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    /// The file that is being written.
    open: Option<u64>,
    /// The first document behind each file that is full, until the file is committed.
    nexts: BTreeMap<u64, usize>,
}

impl<'a> LineWriter<'a> {
    fn new(path: PathOf, config: &'a ShardConfig, disk: &'a Disk) -> Self {
        Self {
            path,
            config,
            disk,
            frames_at_once: FRAMES_AT_ONCE,
            max_bytes: config.shard_bytes,
            files: 0,
            bytes: 0,
            frame: Vec::new(),
            full: Vec::new(),
            spare: Vec::new(),
            open: None,
            nexts: BTreeMap::new(),
        }
    }

    /// Adds the line of the document `number`.
    fn push(&mut self, number: usize, line: &[u8]) -> Result<()> {
        let opens_file = self.files == 0 || self.bytes + line.len() > self.max_bytes;
        if opens_file || self.frame.len() + line.len() > self.config.frame_bytes {
            self.end_frame();
        }
        if opens_file {
            if let Some(full) = self.files.checked_sub(1) {
                self.nexts.insert(full, number);
            }
            self.files += 1;
            self.bytes = 0;
        }
        self.frame.extend_from_slice(line);
        self.bytes += line.len();
        if self.full.len() >= self.frames_at_once { self.flush() } else { Ok(()) }
    }

    fn end_frame(&mut self) {
        if !self.frame.is_empty() {
            let empty = self.spare.pop().unwrap_or_default();
            self.full.push((self.files - 1, std::mem::replace(&mut self.frame, empty)));
        }
    }

    fn flush(&mut self) -> Result<()> {
        let level = self.config.level;
        let compressed: Vec<(u64, Vec<u8>)> = self
            .full
            .par_iter()
            .map_init(
                || zstd::bulk::Compressor::new(level),
                |compressor, (file, lines)| {
                    let compressor = compressor.as_mut().map_err(|error| error.kind())?;
                    Ok((*file, compressor.compress(lines)?))
                },
            )
            .collect::<std::io::Result<_>>()?;
        for (_, mut frame) in self.full.drain(..) {
            frame.clear();
            self.spare.push(frame);
        }
        for (number, bytes) in compressed {
            if self.open.is_some_and(|open| open != number) {
                self.end_file()?;
            }
            self.open = Some(number);
            self.disk.write((self.path)(number), bytes)?;
        }
        Ok(())
    }

    fn end_file(&mut self) -> Result<()> {
        let Some(number) = self.open.take() else { return Ok(()) };
        let next = self.nexts.remove(&number).map(|next| (number, next));
        self.disk.commit((self.path)(number), next)
    }

    /// Ends the last file; gives how many there are.
    fn finish(mut self) -> Result<u64> {
        self.end_frame();
        self.flush()?;
        self.end_file()?;
        Ok(self.files)
    }
}

/// The name of a shard.
pub(crate) fn shard_name(number: u64) -> String {
    format!("shard-{number:05}.jsonl.zst")
}

/// Writes `shard-NNNNN.jsonl.zst`.
pub(crate) struct ShardWriter<'a>(LineWriter<'a>);

impl<'a> ShardWriter<'a> {
    /// Goes on behind the first `written` shards.
    pub(crate) fn new(out: &Path, config: &'a ShardConfig, disk: &'a Disk, written: u64) -> Self {
        let out = out.to_path_buf();
        let path = move |number| out.join(shard_name(number));
        let mut lines = LineWriter::new(Box::new(path), config, disk);
        (lines.files, lines.bytes) = (written, config.shard_bytes);
        Self(lines)
    }

    /// Adds the line of the document `number`, its line feed included.
    pub(crate) fn push(&mut self, number: usize, line: &[u8]) -> Result<()> {
        self.0.push(number, line)
    }

    /// Ends the last shard; gives how many there are.
    pub(crate) fn finish(self) -> Result<u64> {
        self.0.finish()
    }
}

/// Writes `rejected/REASON.jsonl.zst` for every reason that occurs.
pub(crate) struct RejectedWriter<'a> {
    dir: PathBuf,
    config: &'a ShardConfig,
    disk: &'a Disk,
    reasons: BTreeMap<String, LineWriter<'a>>,
}

impl<'a> RejectedWriter<'a> {
    pub(crate) fn new(dir: &Path, config: &'a ShardConfig, disk: &'a Disk) -> Self {
        Self { dir: dir.to_path_buf(), config, disk, reasons: BTreeMap::new() }
    }

    /// Adds a line, its line feed included.
    pub(crate) fn push(&mut self, reason: &str, line: &[u8]) -> Result<()> {
        if let Some(writer) = self.reasons.get_mut(reason) {
            return writer.push(0, line);
        }
        create_private_dir(&self.dir)?;
        let file = self.dir.join(format!("{reason}.jsonl.zst"));
        let path = Box::new(move |_| file.clone());
        let mut writer = LineWriter::new(path, self.config, self.disk);
        // One file a reason, and one frame of each in memory.
        (writer.max_bytes, writer.frames_at_once) = (usize::MAX, 1);
        self.reasons.entry(reason.to_owned()).or_insert(writer).push(0, line)
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.reasons.into_values().try_for_each(|writer| writer.finish().map(|_| ()))
    }
}

/// The documents of the corpus in `dir`, shard by shard.
///
/// # Errors
/// When there are no shards or they cannot be listed; each item, when it cannot be read.
pub fn read_documents(dir: &Path) -> Result<impl Iterator<Item = Result<Document>> + use<>> {
    Ok(shard_paths(dir)?.into_iter().flat_map(|path| match ShardReader::open(path) {
        Ok(reader) => Items::Reader(Box::new(reader)),
        Err(error) => Items::Fault(Some(error)),
    }))
}

/// The shards of the corpus in `dir`, in order.
///
/// # Errors
/// When there are none or they cannot be listed.
pub(crate) fn shard_paths(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("shard-") && name.ends_with(".jsonl.zst") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::NoShards { path: dir.to_path_buf() });
    }
    paths.sort();
    Ok(paths)
}

enum Items {
    Reader(Box<ShardReader>),
    Fault(Option<Error>),
}

impl Iterator for Items {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Reader(reader) => reader.next(),
            Self::Fault(error) => error.take().map(Err),
        }
    }
}

/// The documents of one shard.
pub(crate) struct ShardReader {
    path: PathBuf,
    reader: Option<BufReader<zstd::Decoder<'static, BufReader<fs::File>>>>,
    line: usize,
    buffer: String,
}

impl ShardReader {
    pub(crate) fn open(path: PathBuf) -> Result<Self> {
        let decoder = zstd::Decoder::new(fs::File::open(&path)?)?;
        Ok(Self { path, reader: Some(BufReader::new(decoder)), line: 0, buffer: String::new() })
    }
}

impl Iterator for ShardReader {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        self.buffer.clear();
        let read = self.reader.as_mut()?.read_line(&mut self.buffer);
        self.line += 1;
        let document = match read {
            Ok(0) => return None,
            Ok(_) => serde_json::from_str(&self.buffer).map_err(|error| Error::Shard {
                path: self.path.clone(),
                line: self.line,
                column: error.column(),
                kind: error.classify(),
            }),
            Err(error) => {
                let message = format!("{}: {}", self.path.display(), error.kind());
                Err(std::io::Error::new(error.kind(), message).into())
            }
        };
        if document.is_err() {
            self.reader = None;
        }
        Some(document)
    }
}
