//! What a build did, in numbers.

use std::collections::BTreeMap;

use bimed_artifact::{AccessTier, SourceLineage};
use bimed_text::{FoldCounts, IdentifierCounts, LANGUAGES, Language, StructureCounts};
use serde::{Deserialize, Serialize};

use crate::{MixConfig, Reason, SourceConfig, Split};

/// One source's way through the build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceSummary {
    /// The source's name.
    pub name: String,
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records found, the unreadable ones included.
    pub records: u64,
    /// Documents in the shards.
    pub documents: u64,
    /// Their words (eojeol).
    pub words: u64,
    /// Their characters.
    pub chars: u64,
    /// Their tokens, as `mix.tokens_per_char` estimates them.
    #[serde(default)]
    pub tokens: u64,
    /// Records in no shard, by reason.
    pub rejected: BTreeMap<Reason, u64>,
    /// Words of the records in no shard, by reason; 0 where no text was read.
    pub rejected_words: BTreeMap<Reason, u64>,
    /// Files by encoding.
    pub encodings: BTreeMap<String, u64>,
    /// Files that ended before their end.
    pub partial_files: Vec<String>,
    /// Characters that could not be read and are U+FFFD.
    pub replaced_chars: u64,
    /// Web pages whose main content was not found and that were taken whole.
    pub html_fallbacks: u64,
    /// Pages of PDFs.
    pub pages: u64,
    /// Pages that are left out.
    pub dropped_pages: Vec<DroppedPage>,
    /// Characters that the rules of its profile and its own took out.
    pub removed_chars: u64,
    /// What was done to pages and lines.
    pub structure: StructureCounts,
    /// Identifiers that were found in its records, masked or not.
    pub identifiers: IdentifierCounts,
}

/// A page of a PDF that is in no document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedPage {
    /// The file, relative to its source's path.
    pub file: String,
    /// The page, from 1.
    pub page: u64,
    /// Why.
    pub reason: Reason,
}

impl SourceSummary {
    /// Adds what another part of the source gave.
    pub(crate) fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.records += other.records;
        self.replaced_chars += other.replaced_chars;
        self.html_fallbacks += other.html_fallbacks;
        self.pages += other.pages;
        self.dropped_pages.extend(other.dropped_pages.iter().cloned());
        self.removed_chars += other.removed_chars;
        self.structure.add(&other.structure);
        self.identifiers.add(&other.identifiers);
        self.partial_files.extend(other.partial_files.iter().cloned());
        for (encoding, count) in &other.encodings {
            *self.encodings.entry(encoding.clone()).or_default() += count;
        }
        for (reason, count) in &other.rejected {
            *self.rejected.entry(*reason).or_default() += count;
        }
        for (reason, words) in &other.rejected_words {
            *self.rejected_words.entry(*reason).or_default() += words;
        }
    }
}

/// The place of a language tag among all, for keys.
pub(crate) fn language_number(tag: &str) -> u8 {
    tags().position(|one| one == tag).map_or(u8::MAX, |place| place as u8)
}

/// The language tag at a place; `other` where there is none.
pub(crate) fn language_tag(number: u8) -> &'static str {
    tags().nth(number as usize).unwrap_or(Language::OTHER.id())
}

fn tags() -> impl Iterator<Item = &'static str> {
    let own = [Language::MIXED, Language::OTHER, Language::NUM].map(Language::id);
    own.into_iter().chain(LANGUAGES.iter().map(|language| language.id))
}

/// Documents of one source, language and split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanguageRow {
    /// The source's name.
    pub source: String,
    /// The language tag.
    pub language: String,
    /// The split.
    pub split: Split,
    /// Documents.
    pub documents: u64,
    /// Words (eojeol).
    pub words: u64,
    /// Tokens, estimated.
    #[serde(default)]
    pub tokens: u64,
}

/// Documents, and what they hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LanguageCounts {
    documents: u64,
    words: u64,
    tokens: u64,
}

impl LanguageCounts {
    /// Adds a document.
    pub(crate) fn add(&mut self, words: u64, tokens: u64) {
        self.documents += 1;
        self.words += words;
        self.tokens += tokens;
    }
}

/// What the comparison with evaluation files found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecontaminationSummary {
    /// Evaluation files.
    pub files: u64,
    /// Distinct sentences in them.
    pub sentences: u64,
    /// Documents compared.
    pub compared: u64,
    /// Documents dropped; 0 is worth a look.
    pub dropped: u64,
    /// Of these, translations of a document that holds a sentence.
    #[serde(default)]
    pub dropped_versions: u64,
}

/// What was cut out because an earlier note of the same patient says it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CopyForwardSummary {
    /// Notes compared.
    pub documents: u64,
    /// Their characters.
    pub chars: u64,
    /// Notes that lost something.
    pub changed: u64,
    /// Characters that were cut out.
    pub cut_chars: u64,
    /// Notes whose time could not be read, and that count as the first.
    pub without_time: u64,
}

/// What a build did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CorpusSummary {
    /// The sources, in the order of the configs.
    pub sources: Vec<SourceSummary>,
    /// Source by language by split, only what occurs.
    pub languages: Vec<LanguageRow>,
    /// Documents in the shards.
    pub documents: u64,
    /// Their words (eojeol).
    pub words: u64,
    /// Their tokens, as `mix.tokens_per_char` estimates them.
    #[serde(default)]
    pub tokens: u64,
    /// Shards written.
    pub shards: u64,
    /// How often each rule of the folding table replaced a character.
    pub folds: FoldCounts,
    /// The tokens that stand for identifiers in the documents; a vocabulary holds each as a whole.
    #[serde(default)]
    pub mask_tokens: Vec<String>,
    /// The comparison with evaluation files, where there are any.
    pub decontamination: Option<DecontaminationSummary>,
    /// What notes repeat of earlier ones, where a source asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_forward: Option<CopyForwardSummary>,
    /// Who may see the corpus: the strictest tier of its sources.
    #[serde(default)]
    pub access_tier: AccessTier,
    /// The hash of the list of those who withdrew, by which the list is known and no one on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// Whether any input was partial or unreadable.
    pub partial: bool,
    /// Licence and access of every source, for the manifest.
    pub lineage: Vec<SourceLineage>,
    /// What deserves a look.
    pub warnings: Vec<String>,
}

impl CorpusSummary {
    pub(crate) fn set_languages(&mut self, rows: BTreeMap<(usize, String, Split), LanguageCounts>) {
        let row = |((place, language, split), counts)| {
            let source = self.sources.get(place).map(|source: &SourceSummary| source.name.clone());
            let source = source.unwrap_or_default();
            let LanguageCounts { documents, words, tokens } = counts;
            LanguageRow { source, language, split, documents, words, tokens }
        };
        self.languages = rows.into_iter().map(row).collect();
        self.documents = self.sources.iter().map(|source| source.documents).sum();
        self.words = self.sources.iter().map(|source| source.words).sum();
        self.tokens = self.sources.iter().map(|source| source.tokens).sum();
        self.partial = self.sources.iter().any(|source| {
            !source.partial_files.is_empty() || source.rejected.contains_key(&Reason::BadEncoding)
        });
    }

    /// Says what deserves a look.
    pub(crate) fn warn(&mut self, sources: &[SourceConfig], mix: &MixConfig) {
        let warnings = &mut self.warnings;
        for (source, summary) in sources.iter().zip(&self.sources) {
            let name = &source.name;
            if summary.documents == 0 {
                warnings.push(format!("source `{name}` gave no document"));
            }
            if let Some(repeated) = summary.rejected.get(&Reason::DuplicateId) {
                warnings.push(format!(
                    "source `{name}`: {repeated} documents have the `id` of a record before them in \
                     their file and are left out; an `id` is one record's, a `group` is its patient's or book's"
                ));
            }
            if !summary.dropped_pages.is_empty() {
                let (dropped, pages) = (summary.dropped_pages.len(), summary.pages);
                warnings.push(format!("source `{name}`: {dropped} of {pages} pages are left out"));
            }
            if !summary.rejected.contains_key(&Reason::OverQuota) {
                let quotas = [
                    (source.max_words, summary.words, "words"),
                    (source.max_tokens, summary.tokens, "tokens"),
                ];
                for (max, has, unit) in quotas {
                    if let Some(max) = max.filter(|max| has < *max) {
                        warnings.push(format!(
                            "source `{name}` has {has} of its quota of {max} {unit}"
                        ));
                    }
                }
            }
            for file in &summary.partial_files {
                warnings.push(format!("source `{name}`: `{file}` is partial"));
            }
        }
        let is_short =
            self.sources.iter().all(|one| !one.rejected.contains_key(&Reason::OverQuota));
        for (max, has, unit) in
            [(mix.max_words, self.words, "words"), (mix.max_tokens, self.tokens, "tokens")]
        {
            if let Some(max) = max.filter(|max| is_short && has < *max) {
                warnings.push(format!("the mix has {has} of its {max} {unit}"));
            }
        }
        if self.decontamination.as_ref().is_some_and(|found| found.dropped == 0) {
            warnings.push("decontamination found no document to drop".into());
        }
        if let Some(found) = self.copy_forward.as_ref().filter(|found| found.without_time > 0) {
            let notes = found.without_time;
            warnings
                .push(format!("{notes} notes have no time that can be read, and count as first"));
        }
    }
}
