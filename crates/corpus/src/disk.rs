//! A thread that writes files, so that no processor waits for the disk.
//!
//! Owns which shards an interrupted run has written: `written.jsonl`, a line for each, after the shard
//! has its name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bimed_artifact::{AtomicFile, CommitStep, Context, Hash};
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::shard::shard_name;
use crate::{Error, Result};

/// The journal's name, in the corpus's directory until it is complete.
pub(crate) const WRITTEN: &str = "written.jsonl";
/// Orders that wait, most of them a compressed frame.
const ORDERS: usize = 8;

/// A shard that is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    /// What was decided, and about which documents.
    about: Hash,
    shard: u64,
    /// The first document behind it.
    next: usize,
}

enum Order {
    Write { path: PathBuf, bytes: Vec<u8> },
    Commit { path: PathBuf, next: Option<(u64, usize)> },
}

/// Takes what is to be written.
pub(crate) struct Disk(SyncSender<Order>);

impl Disk {
    /// Runs `work` with a disk that writes beside it, into `dir` and below; all is on the disk when
    /// this returns. Of what was not committed nothing stays.
    ///
    /// # Errors
    /// When the disk is full, or `work` fails.
    pub(crate) fn with<T>(
        dir: &Path,
        about: &Hash,
        context: &Context<'_>,
        work: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let (send, take) = sync_channel(ORDERS);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| obey(take, dir, about, context));
            let disk = Self(send);
            let done = work(&disk);
            drop(disk);
            // Where the disk failed, the work only says that it is gone.
            crate::map::join(writer).and(done)
        })
    }

    /// Adds `bytes` to the file that is to become `path`.
    pub(crate) fn write(&self, path: PathBuf, bytes: Vec<u8>) -> Result<()> {
        self.order(Order::Write { path, bytes })
    }

    /// Gives the file its name; of a shard also its number and the first document behind it.
    pub(crate) fn commit(&self, path: PathBuf, next: Option<(u64, usize)>) -> Result<()> {
        self.order(Order::Commit { path, next })
    }

    fn order(&self, order: Order) -> Result<()> {
        let gone = |_| Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        self.0.send(order).map_err(gone)
    }
}

fn obey(take: Receiver<Order>, dir: &Path, about: &Hash, context: &Context<'_>) -> Result<()> {
    let mut open: BTreeMap<PathBuf, AtomicFile> = BTreeMap::new();
    for order in take {
        match order {
            Order::Write { path, bytes } => {
                if !open.contains_key(&path) {
                    open.insert(path.clone(), AtomicFile::create(&path)?);
                }
                if let Some(file) = open.get_mut(&path) {
                    file.write_all(&bytes)?;
                }
            }
            Order::Commit { path, next } => {
                if let Some(file) = open.remove(&path) {
                    file.commit_watched(context.progress)?;
                }
                if let Some((shard, next)) = next {
                    note(
                        &dir.join(WRITTEN),
                        &Written { about: about.clone(), shard, next },
                        context,
                    )?;
                }
            }
        }
    }
    Ok(())
}

fn note(path: &Path, written: &Written, context: &Context<'_>) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let mut line = serde_json::to_vec(written).map_err(io::Error::from)?;
    line.push(b'\n');
    file.write_all(&line)?;
    context.progress.committing(CommitStep::Written);
    file.sync_data()?;
    context.progress.committing(CommitStep::Synced);
    Ok(())
}

/// How many shards of the decisions `about` lie whole in `dir`, and the first document behind them.
pub(crate) fn written(dir: &Path, about: &Hash) -> (u64, usize) {
    let text = fs::read(dir.join(WRITTEN)).unwrap_or_default();
    let (mut shards, mut next) = (0, 0);
    for line in text.split(|byte| *byte == b'\n') {
        // A kill may leave a part of a line; the shard is then written anew.
        let Ok(one) = serde_json::from_slice::<Written>(line) else { continue };
        if one.about == *about && one.shard == shards && dir.join(shard_name(shards)).is_file() {
            (shards, next) = (shards + 1, one.next);
        }
    }
    (shards, next)
}
