//! The configs of the corpus: one [`SourceConfig`] per source, one [`CorpusConfig`] for the rest.

mod filter;
mod mix;
mod profile;
mod source;
mod xml_schema;

use std::path::PathBuf;

use bimed_text::{FoldOptions, IdentifierClass, Language};
use serde::{Deserialize, Serialize};

use crate::read::EngineName;

pub use filter::FilterConfig;
pub use mix::{MixConfig, TokensPerChar};
pub use profile::Profile;
pub use source::{Format, RecordUnit, SourceConfig};
pub use xml_schema::XmlSchema;

/// Exact and near duplicates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeduplicateConfig {
    /// Whether documents of equal normalised text are dropped but for the first.
    pub exact: bool,
    /// Whether near duplicates are dropped but for the longest.
    pub near: bool,
    /// The least Jaccard similarity of shingles of a near duplicate, above 0, up to 1.
    pub near_threshold: f64,
    /// Eojeol in a shingle, at least 1. Numbers are kept.
    pub shingle_words: usize,
    /// Bands of the signature, at least 1.
    pub bands: usize,
    /// Rows of a band, at least 1. 14 bands of 8 find a pair at 0.8 with probability 0.92.
    pub rows: usize,
}

impl Default for DeduplicateConfig {
    fn default() -> Self {
        Self { exact: true, near: true, near_threshold: 0.8, shingle_words: 5, bands: 14, rows: 8 }
    }
}

/// How documents are compared with evaluation files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecontaminationConfig {
    /// Sentences with fewer letters and digits are not compared, at least 1.
    pub min_chars: usize,
    /// Letters and digits in an n-gram, at least 2.
    pub ngram_chars: usize,
    /// A document that holds at least this share of a sentence's n-grams is dropped, above 0 to 1.
    pub min_containment: f64,
}

impl Default for DecontaminationConfig {
    fn default() -> Self {
        Self { min_chars: 8, ngram_chars: 13, min_containment: 0.8 }
    }
}

/// The split into training and validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// The share of groups in validation, 0 to below 1.
    pub valid_fraction: f64,
    /// The key of the hashes of identifiers and of the choice.
    pub key: String,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { valid_fraction: 0.02, key: "bimed".into() }
    }
}

/// What is done with the identifiers of people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentifierMode {
    /// They are counted.
    Report,
    /// They are counted, and the token of their class takes their place.
    Mask,
    /// They are masked, and a record with any is in no shard.
    Drop,
}

/// How identifiers of people are looked for. Rules are a scan: some names and numbers pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentifierConfig {
    /// What is done with them, unless a source says otherwise; absent masks those of private
    /// sources and reports those of the others.
    pub mode: Option<IdentifierMode>,
    /// Classes that are counted and stay in the text.
    pub keep: Vec<IdentifierClass>,
    /// A file of names to look for beside the rules, one a line (the staff).
    pub names: Option<PathBuf>,
    /// With more identifiers than this left in the text of sources that report them, those of
    /// `keep` apart, the corpus is refused; absent never refuses.
    pub max_reported: Option<u64>,
}

impl Default for IdentifierConfig {
    fn default() -> Self {
        Self { mode: None, keep: vec![IdentifierClass::Date], names: None, max_reported: None }
    }
}

/// How files that are no text are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReaderConfig {
    /// The engines for PDF; the first that reads Korean is used.
    pub pdf_engines: Vec<EngineName>,
    /// The file of PDFium's library; absent looks where the loader does and beside the program.
    pub pdfium: Option<PathBuf>,
    /// The directory of poppler's programs; absent looks where the system does.
    pub poppler: Option<PathBuf>,
    /// A file may take this long, in seconds, at least 1.
    pub timeout_seconds: u64,
    /// A file may take this much memory, in bytes, at least 256 MiB.
    pub memory_bytes: u64,
    /// The program that reads each file in a process of its own; `cli` names itself. Without one
    /// there is neither limit.
    #[serde(skip)]
    pub worker: Option<PathBuf>,
}

impl Default for ReaderConfig {
    fn default() -> Self {
        Self {
            pdf_engines: EngineName::ALL.to_vec(),
            pdfium: None,
            poppler: None,
            timeout_seconds: 120,
            memory_bytes: 4 << 30,
            worker: None,
        }
    }
}

/// The form of the shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShardConfig {
    /// Bytes of a shard before compression, at least 1.
    pub shard_bytes: usize,
    /// Bytes of an independent frame before compression, at least 1.
    pub frame_bytes: usize,
    /// The zstd level, 1 to 19.
    pub level: i32,
    /// Whether each shard is written as Parquet too, for other programs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub parquet: bool,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self { shard_bytes: 256 << 20, frame_bytes: 8 << 20, level: 3, parquet: false }
    }
}

/// Everything about the corpus but its sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorpusConfig {
    /// The rules of the folding table.
    pub fold: FoldOptions,
    /// Documents with fewer characters are dropped.
    pub min_chars: usize,
    /// Longer texts are cut into documents of at most about this many characters, at least 1000.
    pub chunk_chars: usize,
    /// Documents with these language tags are dropped.
    pub drop_languages: Vec<String>,
    /// The share of a source's records that may be broken (not decoded, not parsed, cut off), 0 to 1;
    /// with more, and more than one, the corpus is refused.
    pub max_broken: f64,
    /// Files that are no text.
    pub readers: ReaderConfig,
    /// Identifiers of people.
    pub identifiers: IdentifierConfig,
    /// Exact and near duplicates.
    pub deduplicate: DeduplicateConfig,
    /// Evaluation files whose sentences are kept out of the corpus.
    pub decontaminate: Vec<PathBuf>,
    /// How they are compared.
    pub decontamination: DecontaminationConfig,
    /// A file of the identifiers, one a line, of those who withdrew: records of which `id` or
    /// `group` is among them are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_ids: Option<PathBuf>,
    /// How much of each source and language is taken.
    pub mix: MixConfig,
    /// Training and validation.
    pub split: SplitConfig,
    /// The form of the shards.
    pub shard: ShardConfig,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            fold: FoldOptions::default(),
            min_chars: 20,
            chunk_chars: 100_000,
            drop_languages: vec!["other".into()],
            max_broken: 0.05,
            readers: ReaderConfig::default(),
            identifiers: IdentifierConfig::default(),
            deduplicate: DeduplicateConfig::default(),
            decontaminate: Vec::new(),
            decontamination: DecontaminationConfig::default(),
            exclude_ids: None,
            mix: MixConfig::default(),
            split: SplitConfig::default(),
            shard: ShardConfig::default(),
        }
    }
}

impl CorpusConfig {
    /// Every fault of the values: key and message.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, key: &str, value: String, expected: &str| {
            if !holds {
                faults.push((key.to_owned(), format!("is `{value}`, expected {expected}")));
            }
        };
        for tag in &self.drop_languages {
            let known = Language::from_id(tag).is_some();
            check(known, "drop_languages", tag.clone(), "a language tag");
        }
        let broken = self.max_broken;
        check((0.0..=1.0).contains(&broken), "max_broken", broken.to_string(), "0 to 1");
        let share = |value: f64| value > 0.0 && value <= 1.0;
        let deduplicate = &self.deduplicate;
        let near = deduplicate.near_threshold;
        check(share(near), "deduplicate.near_threshold", near.to_string(), "above 0, up to 1");
        let decontamination = &self.decontamination;
        let least = decontamination.min_containment;
        let key = "decontamination.min_containment";
        check(share(least), key, least.to_string(), "above 0, up to 1");
        let valid = self.split.valid_fraction;
        check(
            (0.0..1.0).contains(&valid),
            "split.valid_fraction",
            valid.to_string(),
            "0 to below 1",
        );
        for (key, value, expected) in self.mix.faults() {
            check(false, &key, value, expected);
        }
        for (key, value, least) in [
            ("chunk_chars", self.chunk_chars, 1000),
            ("deduplicate.shingle_words", deduplicate.shingle_words, 1),
            ("deduplicate.bands", deduplicate.bands, 1),
            ("deduplicate.rows", deduplicate.rows, 1),
            ("decontamination.min_chars", decontamination.min_chars, 1),
            ("decontamination.ngram_chars", decontamination.ngram_chars, 2),
            ("shard.shard_bytes", self.shard.shard_bytes, 1),
            ("shard.frame_bytes", self.shard.frame_bytes, 1),
        ] {
            check(value >= least, key, value.to_string(), &format!("at least {least}"));
        }
        let readers = &self.readers;
        let seconds = readers.timeout_seconds;
        check(seconds > 0, "readers.timeout_seconds", seconds.to_string(), "at least 1");
        let bytes = readers.memory_bytes;
        check(bytes >= 256 << 20, "readers.memory_bytes", bytes.to_string(), "at least 268435456");
        let level = self.shard.level;
        check((1..=19).contains(&level), "shard.level", level.to_string(), "1 to 19");
        let can_write = !self.shard.parquet || Format::Parquet.is_built_in();
        let built = "a build with the feature `parquet`, or `false`";
        check(can_write, "shard.parquet", "true".into(), built);
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_at_once() {
        let source = SourceConfig {
            language: Some("kr".into()),
            encoding: "klingon".into(),
            delimiter: Some("가".into()),
            pattern: Some("(".into()),
            include: vec!["[".into()],
            obtain: Some(" ".into()),
            format: Format::Csv,
            ..SourceConfig::default()
        };
        let keys: Vec<_> = source.faults().into_iter().map(|fault| fault.0).collect();
        let expected = [
            "name",
            "licence",
            "path",
            "obtain",
            "include",
            "language",
            "text",
            "delimiter",
            "encoding",
            "pattern",
        ];
        assert_eq!(keys, expected);
        let mut config = CorpusConfig::default();
        assert_eq!(config.faults(), []);
        config.split.valid_fraction = 1.5;
        config.shard.level = 40;
        let keys: Vec<_> = config.faults().into_iter().map(|fault| fault.0).collect();
        assert_eq!(keys, ["split.valid_fraction", "shard.level"]);
    }
}
