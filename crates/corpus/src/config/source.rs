//! One source: its files, its licence, and how documents are taken from it.

use std::path::PathBuf;

use bimed_artifact::AccessTier;
use bimed_text::{Language, StructureOptions};
use serde::{Deserialize, Serialize};

use super::{CorpusConfig, FilterConfig, IdentifierMode, Profile, XmlSchema};

/// How a source's files are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// What each file is by its content: a document, a book, a web page, XML or plain text.
    Auto,
    /// Plain text, cut by [`SourceConfig::unit`] or [`SourceConfig::pattern`].
    #[default]
    Txt,
    /// One JSON value a line, one array a file, or one object a file.
    Jsonl,
    /// A table with a delimiter.
    Csv,
    /// XML by element names.
    Xml,
    /// The main content of a web page.
    Html,
    /// Markdown, R Markdown and kramdown, with or without front matter.
    Markdown,
    /// PDF with text in it.
    Pdf,
    /// Hangul documents, HWP 5 and HWPX.
    Hwp,
    /// Word documents.
    Docx,
    /// Books in HTML.
    Epub,
    /// Excel workbooks.
    Xlsx,
    /// Parquet, columns by name.
    Parquet,
}

impl Format {
    /// Whether this build has its reader.
    pub fn is_built_in(self) -> bool {
        match self.feature() {
            Some("documents") => cfg!(feature = "documents"),
            Some(_) => cfg!(feature = "parquet"),
            None => true,
        }
    }

    /// The feature of this crate that has its reader, where it is not in every build.
    fn feature(self) -> Option<&'static str> {
        match self {
            Self::Hwp | Self::Docx | Self::Epub | Self::Xlsx => Some("documents"),
            Self::Parquet => Some("parquet"),
            Self::Auto | Self::Txt | Self::Jsonl | Self::Csv => None,
            Self::Xml | Self::Html | Self::Markdown | Self::Pdf => None,
        }
    }

    /// Whether its files may be text.
    pub fn is_text(self) -> bool {
        match self {
            Self::Auto | Self::Txt | Self::Jsonl | Self::Csv => true,
            Self::Xml | Self::Html | Self::Markdown => true,
            Self::Pdf | Self::Hwp | Self::Docx | Self::Epub | Self::Xlsx | Self::Parquet => false,
        }
    }
}

/// What a document of a plain text file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordUnit {
    /// The file.
    #[default]
    File,
    /// A stretch between blank lines.
    Paragraph,
    /// A line, or a match of the pattern.
    Line,
}

/// One source of documents: files of one format under one licence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// Its name, unique among the sources.
    pub name: String,
    /// A file or a directory.
    pub path: PathBuf,
    /// Globs of the files of a directory to read, relative to it; empty reads every file.
    pub include: Vec<String>,
    /// Globs of the files to leave out.
    pub exclude: Vec<String>,
    /// How the files are read.
    pub format: Format,
    /// What kind of text they hold.
    pub profile: Profile,
    /// The language of every document (`ko`, `en`, `mixed`); absent tags each by its scripts.
    pub language: Option<String>,
    /// The domain: `medical`, `general`.
    pub domain: String,
    /// The genre: `textbook`, `article`, `note`, `term`.
    pub genre: String,
    /// The licence.
    pub licence: String,
    /// Who may see it.
    pub access_tier: AccessTier,
    /// The approval under which it is used.
    pub approval: Option<String>,
    /// The last day on which the approval holds, `YYYY-MM-DD`. Afterwards the source is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_expires: Option<String>,
    /// Where it is to be had, in one line: shown where its files are missing, of no effect else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obtain: Option<String>,
    /// A known schema of XML, whose `record`, `text`, `skip` and `id` hold where the source has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<XmlSchema>,
    /// What is taken: columns (without header `1`, `2`, …), JSON paths with dots, elements of XML
    /// (`p`, `body//p` anywhere below, `title-group/article-title` right below).
    /// Empty takes all the text of an XML file; CSV, JSON and Parquet need at least one.
    pub text: Vec<String>,
    /// What is between two parts of one document.
    pub separator: String,
    /// The column, JSON path, attribute or element that identifies a record; kept only as a keyed
    /// hash. Of two records of a file with the same one, the first stays.
    pub id: Option<String>,
    /// The column, JSON path or attribute whose equal values share a split (the patient), or
    /// `@file`, `@folder`, `@record`. Absent is `@record` for tables and JSON, else `@file`.
    pub group: Option<String>,
    /// The column or JSON path of the date or time of a record, which orders a group's records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What a record is: the XML element, or the JSON path of the array or object that holds the
    /// records (`.` for the values of the file's object).
    pub record: Option<String>,
    /// Elements of XML, or HTML elements in Markdown, to leave out with all they hold.
    pub skip: Vec<String>,
    /// The column delimiter, one ASCII character; absent is a comma, or a tab for `.tsv`.
    pub delimiter: Option<String>,
    /// Whether double quotes enclose columns.
    pub quote: bool,
    /// Whether the first row names the columns.
    pub header: bool,
    /// `auto` (byte order mark, strict UTF-8, cp949) or an encoding's name.
    pub encoding: String,
    /// What a document of a plain text file is.
    pub unit: RecordUnit,
    /// A regular expression over a plain text file; its groups, or its whole match, are the text.
    pub pattern: Option<String>,
    /// What is done to pages and lines; absent is that of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structure: Option<StructureOptions>,
    /// Regular expressions whose matches are taken out, after those of the profile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// What is done with identifiers of people; absent is `corpus.identifiers.mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifiers: Option<IdentifierMode>,
    /// The character of which a run of three or more stands for an identifier that was taken out
    /// before (`_` in MIMIC-IV); it becomes `[DEID]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed_marker: Option<char>,
    /// Documents with fewer characters are dropped; absent is that of the profile (`web` 200), else
    /// [`CorpusConfig::min_chars`].
    pub min_chars: Option<usize>,
    /// Bounds of the signals of quality; what is absent is that of the profile.
    pub filter: FilterConfig,
    /// At most this many words (eojeol) are taken; absent takes all.
    pub max_words: Option<u64>,
    /// At most this many tokens are taken, as [`super::MixConfig::tokens_per_char`] estimates them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// How many near copies of one text are kept; absent is that of the profile (`clinical` 5,
    /// else 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_copies: Option<u32>,
    /// Whether what a note repeats from an earlier note of its `group`, by `time`, is cut out.
    pub copy_forward: bool,
    /// The source whose records these are translations of: those of equal `id`, or of equal place
    /// in the files. What decontamination drops of the one it drops of the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translates: Option<String>,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            path: PathBuf::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            format: Format::Txt,
            profile: Profile::General,
            language: None,
            domain: "medical".into(),
            genre: String::new(),
            licence: String::new(),
            access_tier: AccessTier::Public,
            approval: None,
            approval_expires: None,
            obtain: None,
            schema: None,
            text: Vec::new(),
            separator: "\n".into(),
            id: None,
            group: None,
            time: None,
            record: None,
            skip: Vec::new(),
            delimiter: None,
            quote: true,
            header: true,
            encoding: "auto".into(),
            unit: RecordUnit::File,
            pattern: None,
            structure: None,
            remove: Vec::new(),
            identifiers: None,
            removed_marker: None,
            min_chars: None,
            filter: FilterConfig::default(),
            max_words: None,
            max_tokens: None,
            max_copies: None,
            copy_forward: false,
            translates: None,
        }
    }
}

impl SourceConfig {
    /// Documents with fewer characters are dropped.
    pub(crate) fn least_chars(&self, config: &CorpusConfig) -> usize {
        self.min_chars.or(self.profile.min_chars()).unwrap_or(config.min_chars)
    }

    /// Every fault of the values: key and message.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: String| faults.push((key.to_owned(), message));
        for (key, value) in
            [("name", &self.name), ("licence", &self.licence), ("domain", &self.domain)]
        {
            if value.trim().is_empty() {
                fault(key, "is empty, expected a value".into());
            }
        }
        if self.path.as_os_str().is_empty() {
            fault("path", "is empty, expected a file or directory".into());
        }
        if self.obtain.as_ref().is_some_and(|obtain| obtain.trim().is_empty()) {
            fault("obtain", "is empty, expected where the source is to be had".into());
        }
        for (key, globs) in [("include", &self.include), ("exclude", &self.exclude)] {
            for glob in globs.iter().filter(|glob| globset::Glob::new(glob).is_err()) {
                fault(key, format!("holds `{glob}`, expected a glob"));
            }
        }
        if let Some(language) = &self.language
            && Language::from_id(language).is_none()
        {
            fault("language", format!("is `{language}`, expected `ko`, `en` or `mixed`"));
        }
        if let Some(feature) = self.format.feature().filter(|_| !self.format.is_built_in()) {
            let message = "is a format that this build does not read, expected one built with the";
            fault("format", format!("{message} feature `{feature}`"));
        }
        let is_table = matches!(self.format, Format::Csv | Format::Jsonl | Format::Parquet);
        if self.text.is_empty() && is_table {
            fault("text", "is empty, expected the columns or fields to take".into());
        }
        if self.schema.is_some() && self.format != Format::Xml {
            fault("schema", "is set, expected only where `format` is `xml`".into());
        }
        let own = [("text", &self.text), ("skip", &self.skip)];
        let paths = own.iter().flat_map(|(key, list)| list.iter().map(move |one| (*key, one)));
        let paths = paths.chain(self.record.iter().map(|one| ("record", one)));
        for (key, path) in paths.filter(|_| self.format == Format::Xml) {
            if !crate::read::xml::is_path(path) {
                let expected = "expected names of elements, with `/` or `//` between";
                fault(key, format!("holds `{path}`, {expected}"));
            }
        }
        if let Some(delimiter) = &self.delimiter
            && !(delimiter.len() == 1 && delimiter.is_ascii())
        {
            fault("delimiter", format!("is `{delimiter}`, expected one ASCII character"));
        }
        if crate::decode::label(&self.encoding).is_none() {
            fault("encoding", format!("is `{}`, expected `auto` or an encoding", self.encoding));
        }
        let patterns = self.pattern.iter().map(|pattern| ("pattern", pattern));
        for (key, pattern) in patterns.chain(self.remove.iter().map(|one| ("remove", one))) {
            if regex::Regex::new(pattern).is_err() {
                fault(key, format!("is `{pattern}`, expected a regular expression"));
            }
        }
        for (key, is_zero) in [
            ("max_words", self.max_words == Some(0)),
            ("max_tokens", self.max_tokens == Some(0)),
            ("max_copies", self.max_copies == Some(0)),
        ] {
            if is_zero {
                fault(key, "is `0`, expected at least 1".into());
            }
        }
        if self.max_words.is_some() && self.max_tokens.is_some() {
            fault("max_tokens", "is there beside `max_words`, expected one of the two".into());
        }
        for (key, share) in self.filter.faults() {
            fault(&format!("filter.{key}"), format!("is `{share}`, expected 0 to 1"));
        }
        if let Some(date) = &self.approval_expires
            && !is_date(date)
        {
            fault("approval_expires", format!("is `{date}`, expected a date `YYYY-MM-DD`"));
        }
        if self.approval_expires.is_some() && self.approval.is_none() {
            fault("approval", "is absent, expected the approval that expires".into());
        }
        let has_group = self.group.as_ref().is_some_and(|group| !group.starts_with('@'));
        if self.copy_forward && !(has_group && self.time.is_some()) {
            fault("copy_forward", "is on, expected `group` and `time` to be columns".into());
        }
        faults
    }
}

/// Whether `text` is a day of the calendar as `YYYY-MM-DD`: such dates order as texts do.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |text: &str, digits: usize| {
        let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().unwrap_or(0))
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_of_the_calendar() {
        for (text, expected) in [
            ("2026-12-31", true),
            ("2024-02-29", true),
            ("2025-02-29", false),
            ("2026-13-01", false),
            ("2026-1-01", false),
            ("내년 봄", false),
        ] {
            assert_eq!(is_date(text), expected, "{text}");
        }
    }
}
