//! The third pass: the decisions carried out. Shards, what was left out, the card.

use std::path::Path;

use bimed_artifact::{Context, Unit, create_private_dir, write_atomic};
use fs_err as fs;

use crate::build::Job;
use crate::card::card;
use crate::copy_forward::without;
use crate::document::close_line;
use crate::merge::{DECISIONS, Decisions};
use crate::shard::{RejectedWriter, ShardWriter};
use crate::units::{Catalog, Keys, RefusedLine, Section};
use crate::{CorpusSummary, Document, Error, Reason, Rejected, Result};

/// Bytes of lines that are taken from units at once.
const LINES_BYTES: u64 = 32 << 20;

/// What becomes of a document's line.
enum Written {
    Kept(Vec<u8>),
    Rejected(Reason, Vec<u8>),
}

/// Writes the corpus of `decisions` into `out`.
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
    clear(out)?;
    context.progress.begin("write shards", Some(catalog.len() as u64), Unit::Documents);
    let mut shards = ShardWriter::new(out, &job.config.shard, context);
    let mut rejected = RejectedWriter::new(&out.join("rejected"), &job.config.shard, context);
    write_refused(catalog, &mut rejected)?;
    let mut bytes = 0;
    let mut batches = Vec::new();
    catalog.scan(Section::Keys, |number, row| {
        bytes += u64::from(Keys::read(row).line_bytes);
        if bytes >= LINES_BYTES {
            batches.push(number + 1);
            bytes = 0;
        }
    })?;
    batches.push(catalog.len());
    let mut begin = 0;
    for end in batches {
        context.cancel.check()?;
        let numbers: Vec<usize> = (begin..end).collect();
        let written = catalog.lines(&numbers, |number, line| {
            let damaged = || Error::DamagedUnit { path: job.units.clone() };
            write(&decisions, number, line).ok_or_else(damaged)
        })?;
        for one in written {
            match one {
                Written::Kept(line) => shards.push(&line)?,
                Written::Rejected(reason, line) => rejected.push(reason.name(), &line)?,
            }
        }
        context.progress.advance((end - begin) as u64);
        begin = end;
    }
    let mut summary = decisions.summary;
    summary.shards = shards.finish()?;
    rejected.finish()?;
    write_atomic(&out.join("card.md"), card(&summary, job.sources).as_bytes())?;
    fs::remove_file(out.join(DECISIONS))?;
    context.progress.end();
    Ok(summary)
}

/// Removes what an interrupted run wrote; the decisions stay.
fn clear(out: &Path) -> Result<()> {
    create_private_dir(out)?;
    for entry in fs::read_dir(out)? {
        let path = entry?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path)?;
        } else if path.file_name().is_some_and(|name| name != DECISIONS) {
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
fn write(decisions: &Decisions, number: usize, line: &[u8]) -> Option<Written> {
    if let Some(reason) = decisions.reason(number) {
        let document = Document::of_line(line)?;
        let mut line = Rejected::document(reason, document).line();
        line.push(b'\n');
        return Some(Written::Rejected(reason, line));
    }
    let duplicates = decisions.duplicates(number);
    let Some(runs) = decisions.cut(number) else {
        return Some(Written::Kept(close_line(line, duplicates)));
    };
    let mut document = Document::of_line(line)?;
    document.set_text(without(&document.text, &document.sentences, runs));
    Some(Written::Kept(close_line(&document.open_line(), duplicates)))
}
