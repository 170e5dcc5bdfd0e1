//! Readers of task files: sentence pairs with a score.
//!
//! Owns encodings, columns, splits and the choice of a limited number of items. It must not know
//! what is done with the text, and changes none of it.
//!
//! Invariant: every row of a file is kept, or counted under the reason why not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bimed_artifact::{Hash, hash_bytes};
use encoding_rs::Encoding;
use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::config::{Column, Protocol, TableConfig, TaskConfig};
use crate::random::counter_hash;
use crate::{Error, Result};

/// A part of a task's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What is trained on.
    Train,
    /// What a model is selected on.
    Dev,
    /// What is only measured.
    Test,
}

impl Split {
    /// Its name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }

    fn named(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "dev" | "valid" | "validation" | "development" => Some(Self::Dev),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// Two sentences and how alike they are. Its `Debug` shows no text.
#[derive(Clone, PartialEq)]
pub struct TextPair {
    /// The row in its file, from 1, the header not counted.
    pub row: u64,
    /// Its id, where the file has one.
    pub id: Option<String>,
    /// The gold score, on the file's scale.
    pub score: f64,
    /// The first sentence.
    pub s1: String,
    /// The second sentence.
    pub s2: String,
}

impl std::fmt::Debug for TextPair {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { row, score, .. } = self;
        formatter.debug_struct("TextPair").field("row", row).field("score", score).finish()
    }
}

/// What became of one file's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSummary {
    /// The file, as the config names it.
    pub path: PathBuf,
    /// The hash of its bytes.
    pub blake3: Hash,
    /// Its rows, the header not counted.
    pub num_rows: u64,
    /// Rows kept, by split.
    pub num_kept: BTreeMap<String, u64>,
    /// Rows that cannot be used, by reason.
    pub num_bad: BTreeMap<String, u64>,
    /// Rows of a split that the protocol does not read, or that has no known name.
    pub num_other_splits: u64,
    /// Rows left out by `limit`.
    pub num_over_limit: u64,
}

/// What became of a task's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairSummary {
    /// File by file.
    pub files: Vec<FileSummary>,
}

/// A task's sentence pairs, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PairData {
    /// What is trained on; empty for zero-shot protocols.
    pub train: Vec<TextPair>,
    /// What is selected on.
    pub dev: Vec<TextPair>,
    /// What is only measured.
    pub test: Vec<TextPair>,
    /// What became of the rows.
    pub summary: PairSummary,
}

impl PairData {
    /// The pairs of `split`.
    pub fn split(&self, split: Split) -> &[TextPair] {
        match split {
            Split::Train => &self.train,
            Split::Dev => &self.dev,
            Split::Test => &self.test,
        }
    }

    fn split_mut(&mut self, split: Split) -> &mut Vec<TextPair> {
        match split {
            Split::Train => &mut self.train,
            Split::Dev => &mut self.dev,
            Split::Test => &mut self.test,
        }
    }
}

/// What came of loading a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded {
    /// Its data.
    Ready(PairData),
    /// The reason for its SKIPPED row.
    Skipped(String),
}

/// Reads a task's sentence pairs: dev and test, and train where the protocol trains.
///
/// A file that is not there, or a needed split without a row, skips the task with the reason.
///
/// # Errors
/// A file that cannot be read as the config says, and more bad rows than `max_bad_rows`.
pub fn load_pairs(task: &TaskConfig) -> Result<Loaded> {
    let trains = task.protocol == Protocol::StsPairRegression;
    let mut files: Vec<(&Path, Option<Split>)> = Vec::new();
    files.extend(task.path.as_deref().map(|path| (path, None)));
    let splits = [(&task.train, Split::Train), (&task.dev, Split::Dev), (&task.test, Split::Test)];
    for (path, split) in splits {
        let reads = split != Split::Train || trains;
        files.extend(path.as_deref().filter(|_| reads).map(|path| (path, Some(split))));
    }
    let missing: Vec<String> = files
        .iter()
        .filter(|(path, _)| !path.is_file())
        .map(|(path, _)| path.display().to_string())
        .collect();
    if !missing.is_empty() {
        return Ok(Loaded::Skipped(format!("not found: {}", missing.join(", "))));
    }
    let mut data = PairData::default();
    for (path, split) in files {
        read_pairs(path, split, trains, task, &mut data)?;
    }
    if data.dev.is_empty() && data.test.is_empty() {
        return Ok(Loaded::Skipped("no pairs in dev or test".to_owned()));
    }
    if trains && data.train.is_empty() {
        return Ok(Loaded::Skipped("no pairs in train".to_owned()));
    }
    if trains && data.dev.is_empty() && task.pair_reg.selects_on_dev() {
        return Ok(Loaded::Skipped("no pairs in dev to select on".to_owned()));
    }
    Ok(Loaded::Ready(data))
}

/// The encoding of a WHATWG label, and of the names that Korean files go by beside it.
pub(crate) fn encoding_named(label: &str) -> Option<&'static Encoding> {
    let label = label.trim().to_ascii_lowercase();
    match label.as_str() {
        // What WHATWG calls EUC-KR is Windows' code page 949.
        "cp949" | "ms949" | "uhc" => Some(encoding_rs::EUC_KR),
        _ => Encoding::for_label(label.as_bytes()),
    }
}

fn read_pairs(
    path: &Path,
    fixed_split: Option<Split>,
    trains: bool,
    task: &TaskConfig,
    data: &mut PairData,
) -> Result<()> {
    let bytes = fs::read(path)?;
    let text = decode(path, &bytes, &task.table)?;
    let mut rows = Rows::open(path, &text, task, fixed_split.is_none())?;
    let mut summary = FileSummary {
        path: path.to_path_buf(),
        blake3: hash_bytes(&bytes),
        num_rows: 0,
        num_kept: BTreeMap::new(),
        num_bad: BTreeMap::new(),
        num_other_splits: 0,
        num_over_limit: 0,
    };
    let mut kept: BTreeMap<Split, Vec<TextPair>> = BTreeMap::new();
    let mut first_bad = None;
    while let Some(row) = rows.next()? {
        summary.num_rows += 1;
        match row.pair(summary.num_rows, task) {
            Err(reason) => {
                first_bad.get_or_insert((row.line, reason));
                *summary.num_bad.entry(reason.to_owned()).or_default() += 1;
            }
            Ok(pair) => match fixed_split.or_else(|| row.split()) {
                Some(split) if split != Split::Train || trains => {
                    kept.entry(split).or_default().push(pair);
                }
                _ => summary.num_other_splits += 1,
            },
        }
    }
    let count = summary.num_bad.values().sum();
    if let Some((line, reason)) = first_bad.filter(|_| count > task.max_bad_rows) {
        let allowed = task.max_bad_rows;
        return Err(Error::BadRows { path: path.to_path_buf(), count, line, reason, allowed });
    }
    for (split, pairs) in kept {
        let pairs = limited(pairs, task.limit, split, &mut summary.num_over_limit);
        summary.num_kept.insert(split.name().to_owned(), pairs.len() as u64);
        data.split_mut(split).extend(pairs);
    }
    data.summary.files.push(summary);
    Ok(())
}

/// At most `limit` pairs, those whose rows have the lowest hashes, still in the file's order.
fn limited(
    mut pairs: Vec<TextPair>,
    limit: Option<usize>,
    split: Split,
    num_over_limit: &mut u64,
) -> Vec<TextPair> {
    let Some(limit) = limit.filter(|&limit| limit < pairs.len()) else { return pairs };
    *num_over_limit += (pairs.len() - limit) as u64;
    pairs.sort_by_key(|pair| (counter_hash(0, split as u64, pair.row), pair.row));
    pairs.truncate(limit);
    pairs.sort_by_key(|pair| pair.row);
    pairs
}

fn decode(path: &Path, bytes: &[u8], table: &TableConfig) -> Result<String> {
    let path = path.to_path_buf();
    let Some(encoding) = encoding_named(&table.encoding) else {
        return Err(Error::UnknownEncoding { path, label: table.encoding.clone() });
    };
    // A byte order mark becomes U+FEFF, which the table's reader takes off.
    let strict = |bytes| encoding.decode_without_bom_handling_and_without_replacement(bytes);
    if let Some(text) = strict(bytes) {
        return Ok(text.into_owned());
    }
    // Line by line is exact where a line feed is one byte; in UTF-16 the line stays unknown.
    let line = if encoding.is_ascii_compatible() {
        bytes.split(|&byte| byte == b'\n').position(|line| strict(line).is_none())
    } else {
        None
    };
    let line = line.map_or(0, |index| index as u64 + 1);
    Err(Error::Encoding { path, line, encoding: encoding.name() })
}

/// A table's rows, with the places of the columns found in its header.
struct Rows<'t> {
    path: PathBuf,
    reader: csv::Reader<&'t [u8]>,
    record: csv::StringRecord,
    places: Places,
}

#[derive(Clone, Copy)]
struct Places {
    id: Option<usize>,
    split: Option<usize>,
    score: usize,
    s1: usize,
    s2: usize,
}

struct Row<'r> {
    line: u64,
    record: &'r csv::StringRecord,
    places: Places,
}

impl<'t> Rows<'t> {
    fn open(path: &Path, text: &'t str, task: &TaskConfig, needs_split: bool) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(u8::try_from(task.table.delimiter).unwrap_or(b'\t'))
            .quoting(task.table.quoting)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let mut header = csv::StringRecord::new();
        if task.table.header {
            reader.read_record(&mut header).map_err(|_| malformed(path, 1))?;
        }
        let find = |column: &Column| find_column(path, &header, column);
        let columns = &task.columns;
        let id = match &columns.id {
            Some(column) => Some(find(column)?),
            None => header.iter().position(|name| name.trim() == "id"),
        };
        let split = match &columns.split {
            _ if !needs_split => None,
            Some(column) => Some(find(column)?),
            None => Some(find(&Column::Name("split".to_owned()))?),
        };
        let (score, s1, s2) = (find(&columns.score)?, find(&columns.s1)?, find(&columns.s2)?);
        let places = Places { id, split, score, s1, s2 };
        Ok(Self { path: path.to_path_buf(), reader, record: csv::StringRecord::new(), places })
    }

    fn next(&mut self) -> Result<Option<Row<'_>>> {
        let line = self.reader.position().line();
        let more = self.reader.read_record(&mut self.record);
        if !more.map_err(|_| malformed(&self.path, line))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(line, csv::Position::line);
        Ok(Some(Row { line, record: &self.record, places: self.places }))
    }
}

impl Row<'_> {
    fn pair(&self, row: u64, task: &TaskConfig) -> Result<TextPair, &'static str> {
        let field = |place: usize| self.record.get(place).ok_or("too few columns");
        let (score, s1, s2) =
            (field(self.places.score)?, field(self.places.s1)?, field(self.places.s2)?);
        let score: f64 = score.trim().parse().map_err(|_| "the score is not a number")?;
        if !(task.min_score..=task.max_score).contains(&score) {
            return Err("the score is out of range");
        }
        if s1.trim().is_empty() || s2.trim().is_empty() {
            return Err("a sentence is empty");
        }
        let id = self.places.id.and_then(|place| self.record.get(place)).map(str::to_owned);
        Ok(TextPair { row, id, score, s1: s1.to_owned(), s2: s2.to_owned() })
    }

    fn split(&self) -> Option<Split> {
        Split::named(self.record.get(self.places.split?)?)
    }
}

fn find_column(path: &Path, header: &csv::StringRecord, column: &Column) -> Result<usize> {
    let found = match column {
        // Without a header the number of columns is not known; a short row is a bad row.
        Column::Index(index) => (header.is_empty() || *index < header.len()).then_some(*index),
        Column::Name(name) => header.iter().position(|found| found.trim() == name.as_str()),
    };
    found.ok_or_else(|| Error::MissingColumn {
        path: path.to_path_buf(),
        column: column.to_string(),
        available: if header.is_empty() {
            "indices, as the table has no header".to_owned()
        } else {
            header.iter().map(|name| format!("`{}`", name.trim())).collect::<Vec<_>>().join(", ")
        },
    })
}

fn malformed(path: &Path, line: u64) -> Error {
    Error::Table { path: path.to_path_buf(), line, found: "a malformed row" }
}

#[cfg(test)]
mod tests;
