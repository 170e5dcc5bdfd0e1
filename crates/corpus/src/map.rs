//! The first pass: files to units, on all processors, in bounded memory.
//!
//! One thread reads ahead, the pool extracts, one thread seals and commits; each is at most a unit
//! ahead of the next. What a journal names already is not done again, within a file too.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bimed_artifact::{Context, Hash, Unit};
use rayon::prelude::*;

use crate::build::{Job, Share};
use crate::extract::Extractor;
use crate::stream::{Cursor, Part, Parts, is_streamed, weight};
use crate::units::{Content, Journal, Sealed};
use crate::{Error, Result};

/// Files of one unit, where they are small.
const FILES_AT_ONCE: usize = 4096;

/// What is extracted to become a unit.
enum Work {
    /// Whole files, by their places in the scan.
    Files(Vec<usize>),
    /// A part of a file.
    Part { file: usize, number: u32, part: Box<Part> },
}

/// A file that is not, or not wholly, in units.
struct Pending {
    file: usize,
    number: u32,
    cursor: Cursor,
}

impl Job<'_> {
    /// Extracts the files of `share` that are not in units yet.
    ///
    /// # Errors
    /// When a file cannot be read, a table lacks a column, the disk is full, another process
    /// extracts the same share, or the step is cancelled; what is committed stands.
    pub fn map(&self, share: Share, context: &Context<'_>) -> Result<()> {
        let mut journal = Journal::open(&self.units, Some(&share.journal()))?;
        journal.forget_stale(&self.excluded, share.world == 1)?;
        let pending = self.pending(&journal, share);
        let bytes = pending.iter().map(|one| self.files[one.file].bytes).sum();
        context.progress.begin("extract", Some(bytes), Unit::Bytes);
        let done = self.extract(&pending, &mut journal, context);
        context.progress.end();
        done
    }

    /// The files of `share` with something to do, in order.
    fn pending(&self, journal: &Journal, share: Share) -> Vec<Pending> {
        let mine = share.files(&self.files);
        let mut pending = Vec::new();
        for file in mine {
            let mut number = 0;
            let mut cursor = Some(Cursor::default());
            while let Some((unit, entry)) = journal.find(&self.pieces[file], number) {
                cursor = journal.units[unit].entries[entry].next.clone();
                number += 1;
                if cursor.is_none() {
                    break;
                }
            }
            if let Some(cursor) = cursor {
                pending.push(Pending { file, number, cursor });
            }
        }
        pending
    }

    fn extract(
        &self,
        pending: &[Pending],
        journal: &mut Journal,
        context: &Context<'_>,
    ) -> Result<()> {
        let extractor = Extractor::new(
            self.sources,
            self.config,
            self.index.as_ref(),
            &self.excluded,
            &self.keyed,
        )?;
        let (send_work, take_work) = sync_channel(1);
        let (send_content, take_content) = sync_channel(1);
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || self.read_ahead(pending, &send_work, context));
            let committer = scope.spawn(move || self.commit(take_content, journal, context));
            let worked = self.work(&extractor, take_work, send_content, context);
            // The first fault stops the others: what they say then is that a channel closed.
            let read = join(reader);
            let committed = join(committer);
            committed.and(worked).and(read)
        })
    }

    fn read_ahead(
        &self,
        pending: &[Pending],
        send: &SyncSender<Work>,
        context: &Context<'_>,
    ) -> Result<()> {
        let mut small = Vec::new();
        let mut bytes = 0;
        for one in pending {
            context.cancel.check()?;
            let file = &self.files[one.file];
            let source = &self.sources[file.source_index];
            if !is_streamed(file, source, self.unit_bytes)? {
                small.push(one.file);
                bytes += weight(file, source);
                if bytes >= self.unit_bytes || small.len() == FILES_AT_ONCE {
                    bytes = 0;
                    if send.send(Work::Files(std::mem::take(&mut small))).is_err() {
                        return Ok(());
                    }
                }
                continue;
            }
            let mut parts = Parts::open(&file.path, source, &self.config.readers, &one.cursor)?;
            let mut number = one.number;
            loop {
                context.cancel.check()?;
                let part = parts.next(self.unit_bytes)?;
                let is_last = part.next.is_none();
                if send.send(Work::Part { file: one.file, number, part: Box::new(part) }).is_err() {
                    return Ok(());
                }
                number += 1;
                if is_last {
                    break;
                }
            }
        }
        if !small.is_empty() {
            // Closed only where another thread failed and says why.
            let _ = send.send(Work::Files(small));
        }
        Ok(())
    }

    fn work(
        &self,
        extractor: &Extractor<'_>,
        take: Receiver<Work>,
        send: SyncSender<Content>,
        context: &Context<'_>,
    ) -> Result<()> {
        for work in take {
            context.cancel.check()?;
            let content = match work {
                Work::Files(files) => self.files_of(extractor, &files, context)?,
                Work::Part { file, number, part } => {
                    let scanned = &self.files[file];
                    let bytes = part.bytes;
                    let outcome = extractor.part(scanned, self.pieces[file].clone(), number, *part);
                    // Of a compressed file the size on disk is what is counted, in parts.
                    context.progress.advance(bytes.min(scanned.bytes));
                    vec![outcome]
                }
            };
            if send.send(content).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn files_of(
        &self,
        extractor: &Extractor<'_>,
        files: &[usize],
        context: &Context<'_>,
    ) -> Result<Content> {
        files
            .par_iter()
            .map(|file| {
                context.cancel.check()?;
                let scanned = &self.files[*file];
                let outcome = extractor.file(scanned, self.pieces[*file].clone())?;
                context.progress.advance(scanned.bytes);
                Ok(outcome)
            })
            .collect()
    }

    fn commit(
        &self,
        take: Receiver<Content>,
        journal: &mut Journal,
        context: &Context<'_>,
    ) -> Result<()> {
        for content in take {
            let line = Sealed::new(content)?.write(&self.units, context)?;
            journal.append(line, context)?;
        }
        Ok(())
    }

    /// The unit and the entry of every part of every file, in order.
    ///
    /// # Errors
    /// When parts are missing.
    pub(crate) fn places(&self, journal: &Journal) -> Result<Vec<(usize, usize, usize, usize)>> {
        let mut places = Vec::new();
        let mut missing = Vec::new();
        for (file, piece) in self.pieces.iter().enumerate() {
            let source = self.files[file].source_index;
            for part in 0.. {
                let Some((unit, entry)) = journal.find(piece, part) else {
                    missing.push(file);
                    break;
                };
                places.push((source, file, unit, entry));
                if journal.units[unit].entries[entry].next.is_none() {
                    break;
                }
            }
        }
        match missing.first() {
            None => Ok(places),
            Some(first) => Err(Error::NotMapped {
                files: missing.len(),
                total: self.pieces.len(),
                first: self.files[*first].relative.clone(),
            }),
        }
    }
}

/// What `thread` gives; its panic goes on here.
pub(crate) fn join<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The pieces of a job: what decides what is made of each file.
pub(crate) fn pieces(job_key: &Hash, job: &Job<'_>) -> Vec<Hash> {
    job.files
        .iter()
        .map(|file| {
            let mut source = job.sources[file.source_index].clone();
            let is_alone = file.path == source.path;
            // Where a source lies and how much of it is taken changes nothing in what is read.
            source.path.clear();
            (source.include, source.exclude) = (Vec::new(), Vec::new());
            (source.obtain, source.approval, source.approval_expires) = (None, None, None);
            (source.max_words, source.max_tokens) = (None, None);
            (source.max_copies, source.translates) = (None, None);
            source.licence.clear();
            let mut key = bimed_artifact::KeyBuilder::new("piece", REVISION);
            key.part("job", job_key.as_str().as_bytes());
            key.part("file", file.blake3.as_str().as_bytes());
            key.part("name", file.relative.as_bytes());
            key.part("alone", &[u8::from(is_alone)]);
            key.config("source", &source);
            key.finish()
        })
        .collect()
}

/// The form of what extraction gives.
const REVISION: u32 = 4;
