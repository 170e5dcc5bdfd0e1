//! The document, as it lies in a shard, and the reasons for which one does not.

use bimed_artifact::AccessTier;
use bimed_text::{IdentifierCounts, ScriptCounts, language_of};
use serde::{Deserialize, Serialize};

use crate::SourceConfig;
use crate::quality::{Quality, WordCounts};

/// The part of the corpus that a document is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training.
    Train,
    /// Validation.
    Valid,
}

impl Split {
    /// `train` or `valid`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
        }
    }
}

/// Where a document came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The file, relative to its source's path, with `/`.
    pub file: String,
    /// The BLAKE3 hash of the file.
    pub file_blake3: String,
    /// The record in the file, from 0.
    pub record: u64,
    /// The part of a record that was cut into several documents, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub chunk: u32,
    /// What extracted the text.
    pub extractor: String,
    /// The encoding it was read in.
    pub encoding: String,
    /// Whether the file ended before its end.
    pub partial: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// One document of a corpus: a line of a shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// A keyed hash of where it came from, 32 hexadecimal digits.
    pub doc_id: String,
    /// Its source's name.
    pub source: String,
    /// Who may see it.
    pub access_tier: AccessTier,
    /// Training or validation.
    pub split: Split,
    /// A keyed hash of its patient, book or file: one group is never in both splits.
    pub split_group: String,
    /// The normalised text.
    pub text: String,
    /// `ko`, `en`, `mixed`, `other` or `num`.
    pub language: String,
    /// The source's domain.
    pub domain: String,
    /// The source's genre.
    pub genre: String,
    /// The share of Hangul in Hangul and Latin letters, 0 to 1.
    pub hangul_ratio: f64,
    /// The share of words with Hangul in words with Hangul or Latin letters, 0 to 1.
    pub hangul_word_ratio: f64,
    /// Changes between Hangul syllables and Latin letters in a hundred words.
    pub switch_points: f64,
    /// Characters of `text`.
    pub num_chars: u64,
    /// Words (eojeol) of `text`.
    pub num_words: u64,
    /// Byte ranges of the sentences; joined they are `text`.
    pub sentences: Vec<(usize, usize)>,
    /// Headings, each with the byte range of its line and what stands under it.
    pub sections: Vec<(String, usize, usize)>,
    /// Signals to choose by.
    pub quality: Quality,
    /// Where it came from.
    pub provenance: Provenance,
    /// Identifiers that were found in the record, masked or not.
    #[serde(default, skip_serializing_if = "IdentifierCounts::is_empty")]
    pub identifiers: IdentifierCounts,
    /// Exact and near duplicates dropped in its favour.
    pub duplicates: u64,
}

/// What ends a line whose document stands for no other.
const END: &[u8] = b"\"duplicates\":0}";

impl Document {
    /// Its line without the end, which [`close_line`] adds once its duplicates are known.
    pub(crate) fn open_line(&self) -> Vec<u8> {
        // Room for all of it: a vector that grows is as large again.
        let mut line = Vec::with_capacity(self.text.len() + self.sentences.len() * 14 + 900);
        // Plain data with string keys serialises, and a vector takes all that is written to it.
        let written = serde_json::to_writer(&mut line, self);
        debug_assert!(written.is_ok() && line.ends_with(END), "`duplicates` comes last");
        line.truncate(line.len().saturating_sub(END.len()));
        line
    }

    /// Gives it another text, and what follows from the text; its language where it has none. Gives
    /// the counts of its characters.
    pub(crate) fn set_text(&mut self, text: String) -> ScriptCounts {
        let counts = ScriptCounts::of(&text);
        let words = WordCounts::of(&text);
        if self.language.is_empty() {
            self.language = language_of(&counts).id().to_owned();
        }
        self.hangul_ratio = (counts.hangul_ratio() * 1e4).round() / 1e4;
        self.num_chars = counts.total();
        self.hangul_word_ratio = words.hangul_ratio();
        self.switch_points = words.switch_points();
        self.num_words = words.words;
        self.sentences = bimed_text::sentences(&text);
        let sections = bimed_text::sections(&text).into_iter();
        self.sections = sections.map(|one| (one.name, one.start, one.end)).collect();
        self.quality = Quality::of(&text, &counts, &words);
        self.text = text;
        counts
    }

    /// The document of an open line; `None` where it is none.
    pub(crate) fn of_line(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(&close_line(line, 0)).ok()
    }
}

/// The whole line, line feed included, of a document that stands for so many others.
pub(crate) fn close_line(open: &[u8], duplicates: u64) -> Vec<u8> {
    let mut line = Vec::with_capacity(open.len() + 40);
    line.extend_from_slice(open);
    line.extend_from_slice(format!("\"duplicates\":{duplicates}}}\n").as_bytes());
    line
}

/// Why a record is in no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// A file whose bytes are in no known encoding.
    BadEncoding,
    /// A record that does not parse.
    BadRecord,
    /// A record that ends with the file's premature end.
    Truncated,
    /// A quote that is opened and never closed.
    UnclosedQuote,
    /// A record without the configured fields.
    MissingField,
    /// A file of a type that is not read, or of another than its source says.
    UnknownType,
    /// A file under a password or a publisher's lock.
    Encrypted,
    /// A Hangul document locked for distribution.
    DistributionLocked,
    /// A PDF, or a page of one, that is an image or whose font does not say its letters.
    NeedsOcr,
    /// A PDF, or a page of one, whose text is none.
    Garbled,
    /// A file whose reader took too long and was ended.
    TimedOut,
    /// A file at which its reader failed or took too much memory.
    ReaderFailed,
    /// No text.
    Empty,
    /// Fewer characters than `min_chars`.
    TooShort,
    /// A language of `drop_languages`.
    DroppedLanguage,
    /// One line again and again, or mostly lines that stand before in the document.
    Repetitive,
    /// An index: mostly numbers of pages.
    Listing,
    /// Fewer letters than its source asks for.
    FewLetters,
    /// More digits than its source allows.
    ManyDigits,
    /// Words that are too short or too long on average.
    OddWords,
    /// Mostly lines that do not end as sentences do.
    UnfinishedLines,
    /// Fewer changes between Hangul and Latin letters than its source asks for.
    FewSwitches,
    /// More of them than its source allows.
    ManySwitches,
    /// Holds identifiers, and its source drops what does.
    Identifying,
    /// Of somebody who withdrew, or in a list of records to leave out.
    Withdrawn,
    /// A file too large for a format that is read as a whole, or one that unpacks to too much.
    TooLarge,
    /// The identifier of a record of its file before it.
    DuplicateId,
    /// The same text as a document before it.
    ExactDuplicate,
    /// Nearly the text of a document that is kept.
    NearDuplicate,
    /// Holds a sentence of an evaluation file.
    Contaminated,
    /// The translation of a document that holds a sentence of an evaluation file.
    ContaminatedVersion,
    /// Hardly anything that earlier notes of its patient do not say.
    CopiedForward,
    /// Over its source's `max_words`, or its share of the mix.
    OverQuota,
}

impl Reason {
    /// Whether the file is at fault, not what it says.
    pub fn is_broken(self) -> bool {
        matches!(
            self,
            Self::BadEncoding
                | Self::BadRecord
                | Self::Truncated
                | Self::UnclosedQuote
                | Self::TooLarge
                | Self::UnknownType
                | Self::Encrypted
                | Self::DistributionLocked
                | Self::NeedsOcr
                | Self::Garbled
                | Self::TimedOut
                | Self::ReaderFailed
        )
    }

    /// The name, as in `rejected/NAME.jsonl.zst`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadEncoding => "bad_encoding",
            Self::BadRecord => "bad_record",
            Self::Truncated => "truncated",
            Self::UnclosedQuote => "unclosed_quote",
            Self::MissingField => "missing_field",
            Self::UnknownType => "unknown_type",
            Self::Encrypted => "encrypted",
            Self::DistributionLocked => "distribution_locked",
            Self::NeedsOcr => "needs_ocr",
            Self::Garbled => "garbled",
            Self::TimedOut => "timed_out",
            Self::ReaderFailed => "reader_failed",
            Self::Empty => "empty",
            Self::TooShort => "too_short",
            Self::DroppedLanguage => "dropped_language",
            Self::Repetitive => "repetitive",
            Self::Listing => "listing",
            Self::FewLetters => "few_letters",
            Self::ManyDigits => "many_digits",
            Self::OddWords => "odd_words",
            Self::UnfinishedLines => "unfinished_lines",
            Self::FewSwitches => "few_switches",
            Self::ManySwitches => "many_switches",
            Self::Identifying => "identifying",
            Self::Withdrawn => "withdrawn",
            Self::TooLarge => "too_large",
            Self::DuplicateId => "duplicate_id",
            Self::ExactDuplicate => "exact_duplicate",
            Self::NearDuplicate => "near_duplicate",
            Self::Contaminated => "contaminated",
            Self::ContaminatedVersion => "contaminated_version",
            Self::CopiedForward => "copied_forward",
            Self::OverQuota => "over_quota",
        }
    }
}

/// A record that is in no shard: a line of `rejected/REASON.jsonl.zst`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Why.
    pub reason: Reason,
    /// Its source's name.
    pub source: String,
    /// The file, relative to its source's path.
    pub file: String,
    /// The record in the file, from 0.
    pub record: u64,
    /// Its words.
    pub num_words: u64,
    /// Its text, where it was read. The files are private as the shards are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Rejected {
    /// A document and the reason for dropping it.
    pub(crate) fn document(reason: Reason, document: Document) -> Self {
        Self {
            reason,
            source: document.source,
            file: document.provenance.file,
            record: document.provenance.record,
            num_words: document.num_words,
            text: Some(document.text),
        }
    }

    /// A record of which nothing was read, or of which nothing may be kept.
    pub(crate) fn fault(
        reason: Reason,
        source: &SourceConfig,
        provenance: &Provenance,
        record: u64,
    ) -> Self {
        let (source, file) = (source.name.clone(), provenance.file.clone());
        Self { reason, source, file, record, num_words: 0, text: None }
    }

    /// Its line, without the line feed.
    pub(crate) fn line(&self) -> Vec<u8> {
        // Plain data with string keys serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
