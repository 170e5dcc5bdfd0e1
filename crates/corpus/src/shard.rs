//! `shard-NNNNN.jsonl.zst`: a document a line, in independent zstd frames.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use bimed_artifact::{AtomicFile, Context, Unit, create_private_dir};
use fs_err as fs;
use rayon::prelude::*;
use serde::Serialize;

use crate::{Document, Error, Rejected, Result, ShardConfig};

/// Frames compressed at once.
const FRAMES_AT_ONCE: usize = 32;

/// Writes `documents` to `out` in order; returns the number of shards.
pub(crate) fn write_documents(
    out: &Path,
    documents: &[Document],
    config: &ShardConfig,
    context: &Context<'_>,
) -> Result<u64> {
    context.progress.begin("write shards", Some(documents.len() as u64), Unit::Documents);
    let mut shards = 0;
    let mut rest = documents;
    while !rest.is_empty() {
        let size = prefix(rest, config.shard_bytes);
        let path = out.join(format!("shard-{shards:05}.jsonl.zst"));
        write_lines(&path, &rest[..size], config, context)?;
        rest = &rest[size..];
        shards += 1;
    }
    context.progress.end();
    Ok(shards)
}

/// Writes `rejected/REASON.jsonl.zst` for every reason that occurs.
pub(crate) fn write_rejected(
    out: &Path,
    mut rejected: Vec<Rejected>,
    config: &ShardConfig,
    context: &Context<'_>,
) -> Result<()> {
    if rejected.is_empty() {
        return Ok(());
    }
    let dir = out.join("rejected");
    create_private_dir(&dir)?;
    context.progress.begin("write rejected", Some(rejected.len() as u64), Unit::Documents);
    // Stable: within a reason the order is that of the pipeline.
    rejected.sort_by_key(|rejected| rejected.reason);
    for group in rejected.chunk_by(|a, b| a.reason == b.reason) {
        let path = dir.join(format!("{}.jsonl.zst", group[0].reason.name()));
        write_lines(&path, group, config, context)?;
    }
    context.progress.end();
    Ok(())
}

/// What a line takes, roughly; frames and shards are cut by it.
trait Weight {
    fn weight(&self) -> usize;
}

impl Weight for Document {
    fn weight(&self) -> usize {
        self.text.len() + self.sentences.len() * 12 + 500
    }
}

impl Weight for Rejected {
    fn weight(&self) -> usize {
        self.text.as_ref().map_or(0, String::len) + 200
    }
}

/// How many items, at least one, weigh at most `bytes`.
fn prefix<T: Weight>(items: &[T], bytes: usize) -> usize {
    let mut weight = 0;
    let full = items.iter().position(|item| {
        weight += item.weight();
        weight > bytes
    });
    full.unwrap_or(items.len()).max(1)
}

fn write_lines<T: Serialize + Weight + Sync>(
    path: &Path,
    items: &[T],
    config: &ShardConfig,
    context: &Context<'_>,
) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    let mut rest = items;
    while !rest.is_empty() {
        context.cancel.check()?;
        let mut frames = Vec::new();
        while !rest.is_empty() && frames.len() < FRAMES_AT_ONCE {
            let (frame, tail) = rest.split_at(prefix(rest, config.frame_bytes));
            frames.push(frame);
            rest = tail;
        }
        let compressed: Vec<std::io::Result<Vec<u8>>> =
            frames.par_iter().map(|frame| compress(frame, config.level)).collect();
        for (frame, bytes) in frames.iter().zip(compressed) {
            file.write_all(&bytes?)?;
            context.progress.advance(frame.len() as u64);
        }
    }
    file.commit()?;
    Ok(())
}

fn compress<T: Serialize>(items: &[T], level: i32) -> std::io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for item in items {
        // Plain data with string keys serialises; the error would hold no value.
        serde_json::to_writer(&mut lines, item)?;
        lines.push(b'\n');
    }
    zstd::bulk::compress(&lines, level)
}

/// The documents of the corpus in `dir`, shard by shard.
///
/// # Errors
/// When there are no shards or they cannot be listed; each item, when it cannot be read.
pub fn read_documents(dir: &Path) -> Result<impl Iterator<Item = Result<Document>> + use<>> {
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
    Ok(paths.into_iter().flat_map(|path| match ShardReader::open(path) {
        Ok(reader) => Items::Reader(Box::new(reader)),
        Err(error) => Items::Fault(Some(error)),
    }))
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

struct ShardReader {
    path: PathBuf,
    reader: Option<BufReader<zstd::Decoder<'static, BufReader<fs::File>>>>,
    line: usize,
    buffer: String,
}

impl ShardReader {
    fn open(path: PathBuf) -> Result<Self> {
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
