//! Files to documents: read, normalised, tagged, and judged by length and language.

use std::collections::BTreeMap;

use bimed_text::{FoldCounts, IdentifierCounts};
use rayon::prelude::*;

use crate::clean::{Cleaned, Cleaner, mode};
use crate::mix::Keyed;
use crate::read::{FileRecords, RawRecord, read};
use crate::{
    CorpusConfig, Document, Format, IdentifierMode, Provenance, Reason, Rejected, Result,
    ScannedFile, SourceConfig, SourceSummary,
};

/// What one file gave.
pub(crate) struct FileResult {
    pub documents: Vec<Document>,
    pub rejected: Vec<Rejected>,
    pub folds: FoldCounts,
    pub summary: SourceSummary,
    pub without_fields: Option<Vec<String>>,
}

/// Turns files into documents.
pub(crate) struct Extractor<'a> {
    sources: &'a [SourceConfig],
    config: &'a CorpusConfig,
    cleaner: Cleaner<'a>,
    pub keyed: Keyed,
}

impl<'a> Extractor<'a> {
    pub(crate) fn new(sources: &'a [SourceConfig], config: &'a CorpusConfig) -> Result<Self> {
        let cleaner = Cleaner::new(config)?;
        Ok(Self { sources, config, cleaner, keyed: Keyed::new(&config.split) })
    }

    /// The documents of `file` and what it dropped.
    pub(crate) fn file(&self, file: &ScannedFile) -> Result<FileResult> {
        let source = &self.sources[file.source_index];
        let FileRecords {
            records,
            faults,
            encoding,
            extractor,
            partial,
            replaced,
            fallbacks,
            without_fields,
        } = read(&file.path, source)?;
        let provenance = Provenance {
            file: file.relative.clone(),
            file_blake3: file.blake3.to_string(),
            record: 0,
            extractor: extractor.into(),
            encoding: encoding.into(),
            partial,
        };
        let summary = SourceSummary {
            files: 1,
            bytes: file.bytes,
            records: (records.len() + faults.len()) as u64,
            encodings: BTreeMap::from([(encoding.to_owned(), 1)]),
            partial_files: if partial { vec![file.relative.clone()] } else { Vec::new() },
            replaced_chars: replaced,
            html_fallbacks: fallbacks,
            ..SourceSummary::default()
        };
        let rejected = faults.into_iter().map(|(record, reason)| Rejected {
            reason,
            source: source.name.clone(),
            file: file.relative.clone(),
            record,
            num_words: 0,
            text: None,
        });
        let mut result = FileResult {
            documents: Vec::new(),
            rejected: rejected.collect(),
            folds: FoldCounts::default(),
            summary,
            without_fields,
        };
        let documents: Vec<(Document, FoldCounts)> = records
            .into_par_iter()
            .map(|record| self.document(source, record, &provenance))
            .collect();
        for (document, folds) in documents {
            result.folds.add(&folds);
            result.summary.identifiers.add(&document.identifiers);
            match self.fault(source, &document) {
                Some(reason) => result.rejected.push(Rejected::document(reason, document)),
                None => result.documents.push(document),
            }
        }
        Ok(result)
    }

    fn document(
        &self,
        source: &SourceConfig,
        record: RawRecord,
        provenance: &Provenance,
    ) -> (Document, FoldCounts) {
        let Cleaned { text, folds, identifiers } = self.cleaner.clean(source, &record.text);
        let provenance = Provenance { record: record.record, ..provenance.clone() };
        let number = record.record.to_string();
        let place =
            [source.name.as_str(), &provenance.file, record.id.as_deref().unwrap_or(""), &number];
        let doc_id = self.keyed.name("document", &place);
        let split_group = self.group(source, record.group.as_deref(), &provenance.file, &doc_id);
        let language = match &source.language {
            Some(language) => language.clone(),
            None => bimed_text::language_tag(&text).id().to_owned(),
        };
        let document = Document {
            source: source.name.clone(),
            access_tier: source.access_tier,
            split: self.keyed.split(&split_group, &self.config.split),
            split_group,
            doc_id,
            language,
            domain: source.domain.clone(),
            genre: source.genre.clone(),
            hangul_ratio: (bimed_text::hangul_ratio(&text) * 1e4).round() / 1e4,
            num_chars: text.chars().count() as u64,
            num_words: bimed_text::words(&text).count() as u64,
            sentences: bimed_text::sentences(&text),
            text,
            provenance,
            identifiers,
            duplicates: 0,
        };
        (document, folds)
    }

    /// A value of a column stands for the same patient in every source; files and records do not.
    fn group(&self, source: &SourceConfig, value: Option<&str>, file: &str, id: &str) -> String {
        let is_table = matches!(source.format, Format::Csv | Format::Jsonl);
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

    fn fault(&self, source: &SourceConfig, document: &Document) -> Option<Reason> {
        let least = source.min_chars.unwrap_or(self.config.min_chars) as u64;
        if document.text.is_empty() {
            Some(Reason::Empty)
        } else if document.num_chars < least {
            Some(Reason::TooShort)
        } else if self.config.drop_languages.contains(&document.language) {
            Some(Reason::DroppedLanguage)
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
}
