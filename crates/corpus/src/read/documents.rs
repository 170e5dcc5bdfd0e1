//! Documents in containers: Word, Excel, EPUB, Hangul.

mod container;
mod docx;
mod epub;
mod hwp;
mod xlsx;

use std::io::Cursor;
use std::path::Path;

use container::Container;

use super::FileRecords;
use super::foreign::Found;
use super::sniff::Kind;
use crate::{Error, Reason, SourceConfig};

/// The kind of an OLE container, by the streams it holds.
pub(super) fn ole_kind(bytes: &[u8]) -> Kind {
    let Ok(file) = cfb::CompoundFile::open(Cursor::new(bytes)) else {
        return Kind::Refused("broken OLE container");
    };
    let holds = |name: &str| file.exists(name);
    if holds("/FileHeader") && holds("/DocInfo") {
        Kind::Hwp
    } else if holds("/EncryptedPackage") {
        Kind::Encrypted
    } else if holds("/WordDocument") {
        Kind::Refused("Word before 2007")
    } else if holds("/Workbook") || holds("/Book") {
        Kind::Refused("Excel before 2007")
    } else {
        Kind::Refused("OLE container")
    }
}

/// The kind of a ZIP container, by the entries it holds.
pub(super) fn zip_kind(bytes: &[u8]) -> Kind {
    let Ok(mut container) = Container::open(bytes) else { return Kind::Refused("broken ZIP") };
    let mimetype = container.text("mimetype").unwrap_or_default();
    match mimetype.trim() {
        "application/epub+zip" => return Kind::Epub,
        "application/hwp+zip" => return Kind::Hwpx,
        _ => {}
    }
    let holds = |name: &str| container.holds(name);
    if holds("word/document.xml") {
        Kind::Docx
    } else if holds("xl/workbook.xml") {
        Kind::Xlsx
    } else if holds("Contents/content.hpf") {
        Kind::Hwpx
    } else if holds("META-INF/container.xml") {
        Kind::Epub
    } else if holds("ppt/presentation.xml") {
        Kind::Refused("PowerPoint")
    } else {
        Kind::Refused("ZIP archive")
    }
}

/// What the document of `kind` in `bytes` holds.
pub(super) fn read(
    kind: Kind,
    bytes: &[u8],
    path: &Path,
    source: &SourceConfig,
) -> Result<Found, Reason> {
    match kind {
        Kind::Hwp | Kind::Hwpx => hwp::text(bytes).map(Found::Text),
        Kind::Docx => docx::text(bytes).map(Found::Text),
        Kind::Epub => epub::text(bytes, &source.skip).map(Found::Text),
        Kind::Xlsx => {
            let mut out = FileRecords::default();
            match xlsx::read(path, bytes, source, &mut out) {
                Ok(()) => Ok(Found::Rows { records: out.records, faults: out.faults }),
                Err(Error::MissingFields { found, needed, .. }) => {
                    Ok(Found::MissingColumns { found, needed })
                }
                Err(_) => Err(Reason::ReaderFailed),
            }
        }
        _ => Err(Reason::UnknownType),
    }
}

#[cfg(test)]
pub(super) mod tests {
    pub(crate) use super::container::tests::zipped;
    pub(crate) use super::epub::tests::book;
    pub(crate) use super::hwp::tests::hwp5;
    pub(crate) use super::xlsx::tests::workbook;
}
