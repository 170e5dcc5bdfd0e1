//! The third pass: the decisions carried out. Shards, what was left out, the card.

use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bimed_artifact::{Context, Hash, Unit, create_private_dir, write_atomic};
use fs_err as fs;

use crate::build::Job;
use crate::card::card;
use crate::copy_forward::without;
use crate::disk::{Disk, WRITTEN, written};
use crate::document::close_line;
use crate::merge::{DECISIONS, Decisions};
use crate::shard::{RejectedWriter, ShardWriter, shard_name};
use crate::units::{Catalog, Keys, RefusedLine, Section};
use crate::{CorpusSummary, Document, Error, Reason, Rejected, Result};

/// Bytes of lines that are taken from units at once.
const LINES_BYTES: u64 = 8 << 20;

/// What becomes of a document's line.
enum Written {
    Kept(usize, Vec<u8>),
    Rejected(Reason, Vec<u8>),
}

/// Lines on their way; without a last one, whoever made them failed.
enum Lines {
    Some(Vec<Written>),
    End,
}

/// Writes the corpus of `decisions` into `out`. Shards that an interrupted run has written stand.
///
/// # Errors
/// When a unit cannot be read, the disk is full, or the step is cancelled.
pub(crate) fn finalize(
    job: &Job<'_>,
    catalog: &Catalog,
    decisions: Decisions,
    out: &Path,
    context: &Context<'_>,
) -> Result<CorpusSummary> {
    let (shards, next) = written(out, &decisions.about);
    clear(out, shards)?;
    context.progress.begin("write shards", Some(catalog.len() as u64), Unit::Documents);
    // One thread takes lines from units, one puts them into frames, one writes: the pool does the
    // work of the first two, and neither waits for the disk.
    let (send, take) = sync_channel(1);
    let about = &decisions.about;
    let shards = std::thread::scope(|scope| {
        let writer = scope.spawn(move || write(job, catalog, about, out, shards, take, context));
        let made = make(job, catalog, &decisions, next, send, context);
        let shards = crate::map::join(writer);
        made.and(shards)
    })?;
    let mut summary = decisions.summary;
    summary.shards = shards;
    #[cfg(feature = "parquet")]
    if job.config.shard.parquet {
        crate::columns::write(out, &job.config.shard, context)?;
    }
    write_atomic(&out.join("card.md"), card(&summary, job.sources).as_bytes())?;
    for name in [WRITTEN, DECISIONS] {
        if out.join(name).exists() {
            fs::remove_file(out.join(name))?;
        }
    }
    context.progress.end();
    Ok(summary)
}

/// Makes the lines of the documents from `next` on, and before it of those that are left out.
fn make(
    job: &Job<'_>,
    catalog: &Catalog,
    decisions: &Decisions,
    next: usize,
    send: SyncSender<Lines>,
    context: &Context<'_>,
) -> Result<()> {
    for batch in batches(catalog)? {
        context.cancel.check()?;
        let done = batch.len() as u64;
        let is_to_do = |number: &usize| *number >= next || decisions.reason(*number).is_some();
        let numbers: Vec<usize> = batch.filter(is_to_do).collect();
        let lines = catalog.lines(&numbers, |number, line| {
            let damaged = || Error::DamagedUnit { path: job.units.clone() };
            line_of(decisions, number, line).ok_or_else(damaged)
        })?;
        if send.send(Lines::Some(lines)).is_err() {
            // The writer failed, and says why.
            return Ok(());
        }
        context.progress.advance(done);
    }
    // As above.
    let _ = send.send(Lines::End);
    Ok(())
}

/// All documents, in stretches of about [`LINES_BYTES`].
fn batches(catalog: &Catalog) -> Result<Vec<Range<usize>>> {
    let mut batches = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    catalog.scan(Section::Keys, |number, row| {
        bytes += u64::from(Keys::read(row).line_bytes);
        if bytes >= LINES_BYTES {
            batches.push(begin..number + 1);
            (begin, bytes) = (number + 1, 0);
        }
    })?;
    batches.push(begin..catalog.len());
    Ok(batches)
}

/// Puts lines into shards behind the first `shards`, and into `rejected`; gives how many shards there
/// are.
fn write(
    job: &Job<'_>,
    catalog: &Catalog,
    about: &Hash,
    out: &Path,
    shards: u64,
    take: Receiver<Lines>,
    context: &Context<'_>,
) -> Result<u64> {
    Disk::with(out, about, context, |disk| {
        let config = &job.config.shard;
        let mut shards = ShardWriter::new(out, config, disk, shards);
        let mut rejected = RejectedWriter::new(&out.join("rejected"), config, disk);
        write_refused(catalog, &mut rejected)?;
        for lines in take {
            let Lines::Some(lines) = lines else {
                rejected.finish()?;
                return shards.finish();
            };
            for line in lines {
                match line {
                    Written::Kept(number, line) => shards.push(number, &line)?,
                    Written::Rejected(reason, line) => rejected.push(reason.name(), &line)?,
                }
            }
        }
        Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into())
    })
}

/// Removes what an interrupted run wrote but for its first `shards`; the decisions stay.
fn clear(out: &Path, shards: u64) -> Result<()> {
    create_private_dir(out)?;
    let mut kept: Vec<String> = (0..shards).map(shard_name).collect();
    kept.extend([DECISIONS.to_owned(), WRITTEN.to_owned()]);
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        let is_kept = path.file_name().is_some_and(|name| kept.iter().any(|kept| name == &**kept));
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if !is_kept {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The records that became no document.
fn write_refused(catalog: &Catalog, rejected: &mut RejectedWriter<'_>) -> Result<()> {
    let mut lines: Option<(usize, Vec<RefusedLine>)> = None;
    for run in catalog.runs() {
        let entry = catalog.entry(run);
        if entry.refusals == 0 {
            continue;
        }
        if lines.as_ref().is_none_or(|(unit, _)| *unit != run.unit) {
            lines = Some((run.unit, catalog.refused(run.unit)?));
        }
        let range = entry.refusal as usize..(entry.refusal + entry.refusals) as usize;
        let found = lines.as_ref().and_then(|(_, lines)| lines.get(range)).unwrap_or_default();
        for (reason, line) in found {
            rejected.push(reason, line)?;
        }
    }
    Ok(())
}

/// The line of the document `number`; `None` where it is no document.
fn line_of(decisions: &Decisions, number: usize, line: &[u8]) -> Option<Written> {
    if let Some(reason) = decisions.reason(number) {
        let document = Document::of_line(line)?;
        let mut line = Rejected::document(reason, document).line();
        line.push(b'\n');
        return Some(Written::Rejected(reason, line));
    }
    let duplicates = decisions.duplicates(number);
    let Some(runs) = decisions.cut(number) else {
        return Some(Written::Kept(number, close_line(line, duplicates)));
    };
    let mut document = Document::of_line(line)?;
    document.set_text(without(&document.text, &document.sentences, runs));
    Some(Written::Kept(number, close_line(&document.open_line(), duplicates)))
}
