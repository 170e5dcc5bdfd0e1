//! Formats that are no text: which reader reads what, and what it gave.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fs_err as fs;
use serde::{Deserialize, Serialize};

#[cfg(feature = "documents")]
use super::documents;
#[cfg(feature = "parquet")]
use super::parquet;
use super::pdf::{self, Engine, EngineName, EngineReport, PdfEngine};
use super::sniff::{Kind, OLE, ZIP, sniff};
use super::{FileRecords, RawRecord};
use crate::worker::ask;
use crate::{Error, Format, ReaderConfig, Reason, Result, SourceConfig};

/// What a worker is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The text of a file.
    Read {
        /// The file.
        path: PathBuf,
        /// How it is read.
        source: Box<SourceConfig>,
        /// The engine that reads PDF.
        engine: Option<EngineName>,
    },
    /// Rows of a file that is read a stretch at a time.
    Stretch {
        /// The file.
        path: PathBuf,
        /// How it is read.
        source: Box<SourceConfig>,
        /// The first row, from 0.
        from: u64,
        /// The stretch ends once its text has so many bytes.
        max_bytes: u64,
    },
    /// Which engines read the tiny files.
    TestEngines,
}

/// Rows of a file, in order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stretch {
    /// The records.
    pub records: Vec<RawRecord>,
    /// Those that were not read.
    pub faults: Vec<(u64, Reason)>,
    /// The bytes of their text.
    pub bytes: u64,
    /// The row after them; nothing where the file ends, or what is left cannot be read.
    pub next: Option<u64>,
    /// Whether rows are left that cannot be read.
    pub is_partial: bool,
}

/// What it found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Found {
    /// Rows of a workbook.
    Rows {
        /// The records.
        records: Vec<RawRecord>,
        /// Those that were not read.
        faults: Vec<(u64, Reason)>,
    },
    /// Rows of a table.
    Stretch(Stretch),
    /// Columns of types that are not read, each with its type.
    UnreadColumns(Vec<(String, String)>),
    /// A table without a configured column.
    MissingColumns {
        /// What it has.
        found: Vec<String>,
        /// What it lacks.
        needed: Vec<String>,
    },
    /// The text of a document, form feeds between its pages.
    Text(String),
    /// The pages of a PDF.
    Pages(pdf::Pages),
    /// What the engines are worth.
    Engines(Vec<EngineReport>),
}

/// The readers of one build.
pub(crate) struct Readers<'a> {
    config: &'a ReaderConfig,
    engines: OnceLock<Vec<EngineReport>>,
}

impl<'a> Readers<'a> {
    pub(crate) fn new(config: &'a ReaderConfig) -> Self {
        Self { config, engines: OnceLock::new() }
    }

    /// What the engines for PDF are worth, in the order of the config; tested once.
    pub(crate) fn engines(&self) -> &[EngineReport] {
        self.engines.get_or_init(|| match ask(&Request::TestEngines, self.config) {
            Ok(Found::Engines(reports)) => reports,
            _ => Vec::new(),
        })
    }

    fn engine(&self) -> Result<EngineName> {
        let trusted = self.engines().iter().find(|report| report.is_trusted());
        trusted
            .map(|report| report.engine)
            .ok_or_else(|| Error::NoPdfEngine { reports: self.engines().to_vec() })
    }

    /// Reads `path` into `out`, unless it is text.
    ///
    /// # Errors
    /// When the file cannot be opened, a workbook lacks a column, or no engine reads PDF.
    pub(crate) fn read(
        &self,
        path: &Path,
        source: &SourceConfig,
        out: &mut FileRecords,
    ) -> Result<bool> {
        let kind = kind_of(path, source.format)?;
        if kind == Kind::Text && source.format.is_text() {
            return Ok(false);
        }
        out.encoding = "binary";
        if !is_expected(kind, source.format) {
            let reason =
                if kind == Kind::Encrypted { Reason::Encrypted } else { Reason::UnknownType };
            out.extractor = "none";
            out.faults.push((0, reason));
            return Ok(true);
        }
        let engine = if kind == Kind::Pdf { Some(self.engine()?) } else { None };
        out.extractor = extractor(kind, engine);
        let request =
            Request::Read { path: path.to_owned(), source: Box::new(source.clone()), engine };
        let text = |text| RawRecord { text, ..RawRecord::default() };
        match ask(&request, self.config) {
            Ok(Found::Text(found)) => out.records.push(text(found)),
            Ok(Found::Rows { records, faults }) => (out.records, out.faults) = (records, faults),
            Ok(Found::Pages(pages)) => {
                out.records.push(text(pages.texts.join("\u{C}")));
                out.pages = pages.total;
                out.dropped_pages = pages.dropped;
            }
            Ok(Found::MissingColumns { found, needed }) => {
                let path = path.to_owned();
                return Err(Error::missing_fields(path, "columns", found, needed, source));
            }
            // No answer to this question.
            Ok(Found::Engines(_) | Found::Stretch(_) | Found::UnreadColumns(_)) => {
                out.faults.push((0, Reason::ReaderFailed));
            }
            Err(reason) => out.faults.push((0, reason)),
        }
        Ok(true)
    }
}

/// Rows of the file at `path`, from row `from` on, until their text has `max_bytes`.
///
/// # Errors
/// When the file lacks a column, or has one of a type that is not read.
pub(crate) fn read_stretch(
    path: &Path,
    source: &SourceConfig,
    config: &ReaderConfig,
    from: u64,
    max_bytes: u64,
) -> Result<Stretch> {
    let path = path.to_owned();
    let request =
        Request::Stretch { path: path.clone(), source: Box::new(source.clone()), from, max_bytes };
    let reason = match ask(&request, config) {
        Ok(Found::Stretch(stretch)) => return Ok(stretch),
        Ok(Found::MissingColumns { found, needed }) => {
            return Err(Error::missing_fields(path, "columns", found, needed, source));
        }
        Ok(Found::UnreadColumns(columns)) => return Err(Error::UnreadColumns { path, columns }),
        Ok(_) => Reason::ReaderFailed,
        Err(reason) => reason,
    };
    Ok(Stretch { faults: vec![(from, reason)], is_partial: from > 0, ..Stretch::default() })
}

/// Whether the file is one of those that are read a stretch at a time.
pub(crate) fn is_parquet(path: &Path, format: Format) -> Result<bool> {
    let may_be = matches!(format, Format::Auto | Format::Parquet) && Format::Parquet.is_built_in();
    Ok(may_be && sniff(&head(path)?) == Kind::Parquet)
}

/// What a file is. The first bytes say it, but for containers, which also may not be text.
fn kind_of(path: &Path, format: Format) -> Result<Kind> {
    let head = head(path)?;
    let is_container = head.starts_with(OLE) || head.starts_with(ZIP);
    let needs_whole = is_container && (!format.is_text() || format == Format::Auto);
    Ok(if needs_whole { sniff(&fs::read(path)?) } else { sniff(&head) })
}

fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(fs::File::open(path)?, 1024), &mut head)?;
    Ok(head)
}

/// Whether the file is of a known type that is no text.
pub(crate) fn is_foreign(path: &Path) -> Result<bool> {
    Ok(kind_of(path, Format::Txt)? != Kind::Text)
}

fn is_expected(kind: Kind, format: Format) -> bool {
    match kind {
        Kind::Pdf => matches!(format, Format::Auto | Format::Pdf),
        Kind::Hwp | Kind::Hwpx => matches!(format, Format::Auto | Format::Hwp),
        Kind::Docx => matches!(format, Format::Auto | Format::Docx),
        Kind::Epub => matches!(format, Format::Auto | Format::Epub),
        Kind::Xlsx => matches!(format, Format::Auto | Format::Xlsx),
        // What is expected of Parquet is read in stretches, before it comes here.
        Kind::Parquet | Kind::Encrypted | Kind::Refused(_) | Kind::Text => false,
    }
}

fn extractor(kind: Kind, engine: Option<EngineName>) -> &'static str {
    match (kind, engine) {
        (Kind::Pdf, Some(EngineName::Pdfium)) => "pdf/pdfium",
        (Kind::Pdf, _) => "pdf/pdftotext",
        (Kind::Hwp, _) => "hwp/unhwp",
        (Kind::Hwpx, _) => "hwpx/unhwp",
        (Kind::Docx, _) => "docx",
        (Kind::Epub, _) => "epub/rbook",
        (Kind::Xlsx, _) => "xlsx/calamine",
        _ => "none",
    }
}

/// Does the work of a request.
pub(crate) fn answer(request: &Request, config: &ReaderConfig) -> Result<Found, Reason> {
    let (path, source, engine) = match request {
        Request::TestEngines => return Ok(Found::Engines(test_engines(config))),
        #[cfg(feature = "parquet")]
        Request::Stretch { path, source, from, max_bytes } => {
            return parquet::read(path, source, *from, *max_bytes);
        }
        #[cfg(not(feature = "parquet"))]
        Request::Stretch { .. } => return Err(Reason::UnknownType),
        Request::Read { path, source, engine } => (path, source, engine),
    };
    let bytes = fs::read(path).map_err(|_| Reason::ReaderFailed)?;
    match sniff(&bytes) {
        Kind::Pdf => {
            let engine = engine.and_then(|name| Engine::open(name, config));
            let engine = engine.ok_or(Reason::ReaderFailed)?;
            pdf::read(&bytes, &engine).map(Found::Pages)
        }
        #[cfg(feature = "documents")]
        kind => documents::read(kind, &bytes, path, source),
        #[cfg(not(feature = "documents"))]
        _ => {
            // What a document is taken from is asked of its reader alone.
            let _ = source;
            Err(Reason::UnknownType)
        }
    }
}

/// Lets the engines of `config` read tiny Korean files, in this process.
pub fn test_engines(config: &ReaderConfig) -> Vec<EngineReport> {
    let test = |name: &EngineName| {
        let engine = Engine::open(*name, config);
        pdf::test(*name, engine.as_ref().map(|engine| engine as &dyn PdfEngine))
    };
    config.pdf_engines.iter().map(test).collect()
}
