//! Records to documents: cleaned, tagged, judged by length and language, and made ready to spill.

mod chunk;
mod time;

use std::collections::HashSet;

use bimed_artifact::Hash;
use bimed_text::{FoldCounts, IdentifierCounts, ScriptCounts, StructureCounts};
use rayon::prelude::*;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::clean::{Cleaned, Cleaner, mode};
use crate::decontaminate::Index;
use crate::mix::Keyed;
use crate::near::Signer;
use crate::read::foreign::Readers;
use crate::read::{FileRecords, RawRecord, json, read};
use crate::stream::{Block, Part};
use crate::summary::language_number;
use crate::units::{FileReport, Keys, Mark, Outcome, Prepared, Refused, Segment, WithdrawnKey};
use crate::{
    CorpusConfig, Document, DroppedPage, Format, IdentifierMode, Provenance, Quality, Reason,
    Rejected, Result, ScannedFile, SourceConfig, SourceSummary,
};

/// A larger file of a format that is read as a whole is refused by name.
const MAX_WHOLE_BYTES: u64 = 256 << 20;
/// A streamed record with a larger share of unreadable characters is refused.
const MAX_REPLACED_SHARE: f64 = 0.001;

/// Turns files into documents.
pub(crate) struct Extractor<'a> {
    sources: &'a [SourceConfig],
    config: &'a CorpusConfig,
    index: Option<&'a Index>,
    excluded: &'a HashSet<u64>,
    keyed: &'a Keyed,
    signer: Option<Signer>,
    cleaner: Cleaner<'a>,
    readers: Readers<'a>,
}

/// What a record became.
#[derive(Default)]
struct Taken {
    documents: Vec<Prepared>,
    /// Each with its words.
    refused: Vec<(Refused, u64)>,
    /// Whom it is of, where that one withdrew.
    withdrawn: Option<u64>,
    folds: FoldCounts,
    structure: StructureCounts,
    removed_chars: u64,
    identifiers: IdentifierCounts,
}

impl<'a> Extractor<'a> {
    pub(crate) fn new(
        sources: &'a [SourceConfig],
        config: &'a CorpusConfig,
        index: Option<&'a Index>,
        excluded: &'a HashSet<u64>,
        keyed: &'a Keyed,
    ) -> Result<Self> {
        let signer = config.deduplicate.near.then(|| Signer::new(&config.deduplicate));
        let cleaner = Cleaner::new(sources, config)?;
        let readers = Readers::new(&config.readers);
        Ok(Self { sources, config, index, excluded, keyed, signer, cleaner, readers })
    }

    /// What the whole of `file` gives.
    pub(crate) fn file(&self, file: &ScannedFile, piece: Hash) -> Result<Outcome> {
        let source = &self.sources[file.source_index];
        let records = if file.bytes > MAX_WHOLE_BYTES {
            let faults = vec![(0, Reason::TooLarge)];
            FileRecords { faults, extractor: "none", encoding: "none", ..FileRecords::default() }
        } else {
            read(&file.path, source, &self.readers)?
        };
        Ok(self.records(file, piece, 0, records))
    }

    /// What a part of `file` gives.
    pub(crate) fn part(&self, file: &ScannedFile, piece: Hash, number: u32, part: Part) -> Outcome {
        let source = &self.sources[file.source_index];
        let Part { mut records, blocks, next, .. } = part;
        if !blocks.is_empty() {
            self.json(source, blocks, &mut records);
        }
        refuse_unreadable(&mut records);
        let mut outcome = self.records(file, piece, number, records);
        outcome.next = next;
        outcome
    }

    fn json(&self, source: &SourceConfig, blocks: Vec<Block>, out: &mut FileRecords) {
        let parsed: Vec<FileRecords> = blocks
            .into_par_iter()
            .map(|block| {
                let mut out = FileRecords::default();
                let lines: Vec<_> = block.lines().collect();
                let lines = lines.iter().map(|(number, line)| (*number, line.as_ref()));
                json::lines(lines, false, source, &mut out);
                out
            })
            .collect();
        let mut without_fields = None;
        for one in parsed {
            out.records.extend(one.records);
            out.faults.extend(one.faults);
            without_fields = without_fields.or(one.without_fields);
        }
        if out.records.is_empty() {
            out.without_fields = without_fields;
        }
    }

    fn records(&self, file: &ScannedFile, piece: Hash, part: u32, found: FileRecords) -> Outcome {
        let source = &self.sources[file.source_index];
        let FileRecords { records, mut faults, encoding, extractor, partial, .. } = found;
        faults.sort_unstable();
        let provenance = Provenance {
            file: file.relative.clone(),
            file_blake3: file.blake3.to_string(),
            record: 0,
            chunk: 0,
            extractor: extractor.into(),
            encoding: encoding.into(),
            partial,
        };
        let dropped = |(page, reason): &(u64, Reason)| DroppedPage {
            file: file.relative.clone(),
            page: *page,
            reason: *reason,
        };
        let summary = SourceSummary {
            files: u64::from(part == 0),
            bytes: if part == 0 { file.bytes } else { 0 },
            records: (records.len() + faults.len()) as u64,
            encodings: (part == 0).then(|| (encoding.to_owned(), 1)).into_iter().collect(),
            partial_files: if partial { vec![file.relative.clone()] } else { Vec::new() },
            replaced_chars: found.replaced,
            html_fallbacks: found.fallbacks,
            pages: found.pages,
            dropped_pages: found.dropped_pages.iter().map(dropped).collect(),
            ..SourceSummary::default()
        };
        let report = FileReport {
            summary,
            folds: FoldCounts::default(),
            without_fields: found.without_fields,
        };
        let (next, withdrawn) = (None, Vec::new());
        let (documents, refused) = (Vec::new(), Vec::new());
        let mut outcome = Outcome { piece, part, next, documents, refused, withdrawn, report };
        for (record, reason) in faults {
            let rejected = Rejected::fault(reason, source, &provenance, record);
            outcome.refuse(self.refused(rejected, WithdrawnKey { group: 0, identity: 0 }), 0);
        }
        let taken: Vec<Taken> =
            records.into_par_iter().map(|record| self.record(file, record, &provenance)).collect();
        taken.into_iter().for_each(|taken| outcome.take(taken));
        outcome
    }

    /// The documents of a record: one, or as many as a book is cut into.
    fn record(&self, file: &ScannedFile, record: RawRecord, provenance: &Provenance) -> Taken {
        let source = &self.sources[file.source_index];
        let subject = |value: &Option<String>| {
            value.as_deref().map(|value| self.keyed.number("subject", &[value]))
        };
        let (id, group) = (subject(&record.id), subject(&record.group));
        let provenance = Provenance { record: record.record, ..provenance.clone() };
        // The one file of a source may have any name: its translation's has another.
        let name = if file.path == source.path { "" } else { file.relative.as_str() };
        let place = || self.keyed.number("place", &[name, &record.record.to_string()]);
        let identity = id.unwrap_or_else(place);
        let mut withdrawn = [id, group].into_iter().flatten();
        if let Some(hash) = withdrawn.find(|hash| self.excluded.contains(hash)) {
            let rejected = Rejected::fault(Reason::Withdrawn, source, &provenance, record.record);
            // What is left of the record is nobody's.
            let nobody = WithdrawnKey { group: 0, identity: 0 };
            let refused = vec![(self.refused(rejected, nobody), 0)];
            return Taken { refused, withdrawn: Some(hash), ..Taken::default() };
        }
        let Cleaned { text, folds, structure, removed_chars, identifiers } =
            self.cleaner.clean(source, &record.text);
        let mut taken = Taken { folds, structure, removed_chars, identifiers, ..Taken::default() };
        let time = record.time.as_deref().map(time::digits);
        let chunks = chunk::ranges(&text, self.config.chunk_chars);
        let is_whole = chunks.len() == 1;
        for (number, range) in chunks.into_iter().enumerate() {
            let text = if is_whole { text.clone() } else { text[range].trim().to_owned() };
            let provenance = Provenance { chunk: number as u32, ..provenance.clone() };
            let (document, scripts) =
                self.document(source, &record, text, &taken.identifiers, provenance);
            let keys = Keys {
                // A column's value is hashed as a subject, so that it is found when one withdraws.
                group: match group {
                    Some(group) if uses_value(source) => group,
                    _ => xxh3_64(document.split_group.as_bytes()),
                },
                identity,
                draw: self.keyed.draw("quota", &document.doc_id),
                time: time.flatten().unwrap_or(0),
                marks: if time == Some(None) { Mark::TimeUnknown as u8 } else { 0 },
                scripts: [
                    scripts.hangul,
                    scripts.latin,
                    scripts.digit,
                    scripts.symbol,
                    scripts.han + scripts.other,
                ]
                .map(|count| count as u32),
                record: record.record as u32,
                ..Keys::default()
            };
            match self.fault(source, &document) {
                Some(reason) => {
                    let key = WithdrawnKey { group: keys.group, identity };
                    let words = document.num_words;
                    let rejected = Rejected::document(reason, document);
                    taken.refused.push((self.refused(rejected, key), words));
                }
                None => taken.documents.push(self.prepare(source, &document, keys)),
            }
        }
        taken
    }

    fn document(
        &self,
        source: &SourceConfig,
        record: &RawRecord,
        text: String,
        identifiers: &IdentifierCounts,
        provenance: Provenance,
    ) -> (Document, ScriptCounts) {
        let number = record.record.to_string();
        let chunk = provenance.chunk.to_string();
        let id = record.id.as_deref().unwrap_or("");
        let place = [source.name.as_str(), &provenance.file, id, &number, &chunk];
        let parts = if provenance.chunk == 0 { 4 } else { 5 };
        let doc_id = self.keyed.name("document", &place[..parts]);
        let split_group = self.group(source, record.group.as_deref(), &provenance.file, &doc_id);
        let mut document = Document {
            source: source.name.clone(),
            access_tier: source.access_tier,
            split: self.keyed.split(&split_group, &self.config.split),
            split_group,
            doc_id,
            language: source.language.clone().unwrap_or_default(),
            domain: source.domain.clone(),
            genre: source.genre.clone(),
            hangul_ratio: 0.0,
            hangul_word_ratio: 0.0,
            switch_points: 0.0,
            num_chars: 0,
            num_words: 0,
            sentences: Vec::new(),
            sections: Vec::new(),
            quality: Quality::default(),
            text: String::new(),
            provenance,
            identifiers: identifiers.clone(),
            duplicates: 0,
        };
        let scripts = document.set_text(text);
        (document, scripts)
    }

    /// A value of a column stands for the same patient in every source; files and records do not.
    fn group(&self, source: &SourceConfig, value: Option<&str>, file: &str, id: &str) -> String {
        let is_table = matches!(source.format, Format::Csv | Format::Jsonl | Format::Parquet);
        let default = if is_table { "@record" } else { "@file" };
        match (source.group.as_deref().unwrap_or(default), value) {
            ("@file", _) => self.keyed.name("file", &[&source.name, file]),
            ("@folder", _) => {
                let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
                self.keyed.name("folder", &[&source.name, folder])
            }
            (_, Some(value)) => self.keyed.name("group", &[value]),
            (_, None) => self.keyed.name("record", &[id]),
        }
    }

    fn prepare(&self, source: &SourceConfig, document: &Document, mut keys: Keys) -> Prepared {
        keys.bytes = document.text.len() as u32;
        keys.chars = document.num_chars as u32;
        keys.words = document.num_words as u32;
        keys.language = language_number(&document.language);
        if document.split == crate::Split::Valid {
            keys.marks |= Mark::Valid as u8;
        }
        if self.index.is_some_and(|index| index.is_in(document)) {
            keys.marks |= Mark::Contaminated as u8;
        }
        Prepared {
            exact: xxh3_128(document.text.as_bytes()),
            signature: self.signer.as_ref().map_or(Vec::new(), |one| one.sign(&document.text)),
            segments: if source.copy_forward { segments(document) } else { Vec::new() },
            line: document.open_line(),
            keys,
        }
    }

    fn fault(&self, source: &SourceConfig, document: &Document) -> Option<Reason> {
        let least = source.least_chars(self.config) as u64;
        if document.text.is_empty() {
            Some(Reason::Empty)
        } else if document.num_chars < least {
            Some(Reason::TooShort)
        } else if self.config.drop_languages.contains(&document.language) {
            Some(Reason::DroppedLanguage)
        } else if let Some(reason) = source.filter.or(source.profile.filter()).fault(document) {
            Some(reason)
        } else if mode(source, self.config) == IdentifierMode::Drop
            && self.is_identifying(&document.identifiers)
        {
            Some(Reason::Identifying)
        } else {
            None
        }
    }

    /// Whether something was found beside what the config keeps.
    fn is_identifying(&self, found: &IdentifierCounts) -> bool {
        found.0.keys().any(|class| !self.config.identifiers.keep.contains(class))
    }

    fn refused(&self, rejected: Rejected, key: WithdrawnKey) -> Refused {
        Refused { reason: rejected.reason, line: rejected.line(), key }
    }
}

impl Outcome {
    fn take(&mut self, taken: Taken) {
        self.report.folds.add(&taken.folds);
        self.report.summary.structure.add(&taken.structure);
        self.report.summary.removed_chars += taken.removed_chars;
        self.report.summary.identifiers.add(&taken.identifiers);
        if let Some(hash) = taken.withdrawn.filter(|hash| !self.withdrawn.contains(hash)) {
            self.withdrawn.push(hash);
        }
        self.documents.extend(taken.documents);
        taken.refused.into_iter().for_each(|(refused, words)| self.refuse(refused, words));
    }

    fn refuse(&mut self, refused: Refused, words: u64) {
        let summary = &mut self.report.summary;
        *summary.rejected.entry(refused.reason).or_default() += 1;
        *summary.rejected_words.entry(refused.reason).or_default() += words;
        self.refused.push(refused);
    }
}

/// Refuses records of which too much could not be decoded.
fn refuse_unreadable(found: &mut FileRecords) {
    let replaced: Vec<usize> = found
        .records
        .par_iter()
        .map(|record| record.text.matches(char::REPLACEMENT_CHARACTER).count())
        .collect();
    found.replaced += replaced.iter().sum::<usize>() as u64;
    if found.replaced == 0 {
        return;
    }
    let mut replaced = replaced.into_iter();
    let faults = &mut found.faults;
    found.records.retain(|record| {
        let replaced = replaced.next().unwrap_or(0);
        // Counted only where something was replaced at all.
        let is_readable = replaced == 0
            || replaced as f64 <= MAX_REPLACED_SHARE * record.text.chars().count() as f64;
        if !is_readable {
            faults.push((record.record, Reason::BadEncoding));
        }
        is_readable
    });
}

/// Whether the value of a record's column is its group.
fn uses_value(source: &SourceConfig) -> bool {
    source.group.as_ref().is_some_and(|group| !group.starts_with('@'))
}

/// The sentences of a document, for what a later note repeats.
fn segments(document: &Document) -> Vec<Segment> {
    let of = |(start, end): &(usize, usize)| {
        let text = &document.text[*start..*end];
        Segment {
            hash: xxh3_64(text.trim().as_bytes()),
            chars: text.chars().count() as u32,
            words: u16::try_from(bimed_text::words(text).count()).unwrap_or(u16::MAX),
            lines: u16::try_from(text.matches('\n').count()).unwrap_or(u16::MAX),
        }
    };
    document.sentences.iter().map(of).collect()
}
