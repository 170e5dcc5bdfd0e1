//! Files to records: one reader per format.
//!
//! Owns what is text in a format. It normalises nothing and judges nothing but form.

pub(crate) mod csv;
#[cfg(feature = "documents")]
mod documents;
mod entity;
pub(crate) mod foreign;
mod html;
pub(crate) mod json;
mod markdown;
mod markup;
#[cfg(feature = "parquet")]
mod parquet;
mod pdf;
mod sniff;
mod txt;
pub(crate) mod xml;

use std::path::Path;

use serde::{Deserialize, Serialize};

use foreign::Readers;
pub use foreign::test_engines;
pub use pdf::{EngineName, EngineReport};

use crate::decode::{Decoded, read_text};
use crate::{Format, Reason, Result, SourceConfig};

/// A record as it stands in its file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RawRecord {
    /// Its number in the file, from 0.
    pub record: u64,
    /// The value of the source's `id`.
    pub id: Option<String>,
    /// The value of the source's `group`.
    pub group: Option<String>,
    /// The value of the source's `time`.
    pub time: Option<String>,
    /// Its text.
    pub text: String,
}

/// What a file gave.
#[derive(Debug, Default)]
pub(crate) struct FileRecords {
    /// The records that were read.
    pub records: Vec<RawRecord>,
    /// The records that were not, with the reason.
    pub faults: Vec<(u64, Reason)>,
    /// The encoding.
    pub encoding: &'static str,
    /// What extracted the text.
    pub extractor: &'static str,
    /// Whether the file ended before its end.
    pub partial: bool,
    /// Characters that could not be read.
    pub replaced: u64,
    /// Web pages whose main content was not found and that were taken whole.
    pub fallbacks: u64,
    /// Pages of a PDF.
    pub pages: u64,
    /// Pages, from 1, that are left out, with the reason.
    pub dropped_pages: Vec<(u64, Reason)>,
    /// The fields or elements of a file in which no record has a configured one.
    pub without_fields: Option<Vec<String>>,
}

/// Reads `path` as `source` says.
pub(crate) fn read(
    path: &Path,
    source: &SourceConfig,
    readers: &Readers<'_>,
) -> Result<FileRecords> {
    let mut out = FileRecords::default();
    if readers.read(path, source, &mut out)? {
        return Ok(out);
    }
    let decoded = read_text(path, &source.encoding)?;
    let mut out = FileRecords {
        encoding: decoded.encoding,
        partial: decoded.partial,
        replaced: decoded.replaced,
        ..FileRecords::default()
    };
    if decoded.unreadable {
        out.faults.push((0, Reason::BadEncoding));
        return Ok(out);
    }
    match source.format.of_text(&decoded.text) {
        Format::Txt => txt::read(&decoded, source, &mut out),
        Format::Jsonl => json::read(&decoded, source, &mut out),
        Format::Csv => csv::read(path, &decoded, source, &mut out)?,
        Format::Xml => xml::read(&decoded, source, &mut out),
        Format::Html => whole(&decoded, "html", &mut out, html::main_content),
        Format::Markdown => {
            whole(&decoded, "markdown", &mut out, |text, _| markdown::text(text, &source.skip))
        }
        // What is of these formats is no text, and has been read or refused.
        Format::Auto | Format::Pdf | Format::Hwp | Format::Docx | Format::Epub => {}
        Format::Xlsx | Format::Parquet => {}
    }
    Ok(out)
}

/// A file that is one record; what is left of a cut one is none.
fn whole(
    decoded: &Decoded,
    extractor: &'static str,
    out: &mut FileRecords,
    extract: impl Fn(&str, &mut u64) -> String,
) {
    out.extractor = extractor;
    if decoded.partial {
        out.faults.push((0, Reason::Truncated));
    } else {
        let text = extract(&decoded.text, &mut out.fallbacks);
        out.records.push(RawRecord { text, ..RawRecord::default() });
    }
}

impl Format {
    /// The format of a text: what `auto` takes it for, itself else.
    fn of_text(self, text: &str) -> Self {
        let head = text.trim_start();
        let begins =
            |mark: &str| head.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark));
        match self {
            Self::Auto if begins("<!doctype html") || begins("<html") => Self::Html,
            Self::Auto if begins("<?xml") => Self::Xml,
            Self::Auto if markdown::has_front_matter(text) => Self::Markdown,
            Self::Auto => Self::Txt,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
