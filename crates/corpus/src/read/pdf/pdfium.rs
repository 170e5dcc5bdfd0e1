//! PDFium, a shared library that is found at run time.

use std::path::{Path, PathBuf};

pub(super) use pdfium_render::prelude::Pdfium;
use pdfium_render::prelude::{PdfPage, PdfiumError, PdfiumInternalError};

use crate::Reason;

/// The library at `path`, or where it usually is.
pub(super) fn open(path: Option<&Path>) -> Option<Pdfium> {
    path.map(Path::to_owned).into_iter().chain(paths()).find_map(bind)
}

/// The library at `path`; a process has it once.
fn bind(path: PathBuf) -> Option<Pdfium> {
    match Pdfium::bind_to_library(path) {
        Ok(library) => Some(Pdfium::new(library)),
        Err(PdfiumError::PdfiumLibraryBindingsAlreadyInitialized) => Some(Pdfium::default()),
        Err(_) => None,
    }
}

/// Where PDFium is looked for: where the loader looks, and beside this program.
fn paths() -> Vec<PathBuf> {
    let name = PathBuf::from(Pdfium::pdfium_platform_library_name());
    let program = std::env::current_exe().ok();
    let beside = program.and_then(|program| Some(program.parent()?.join(&name)));
    beside.into_iter().chain([name]).collect()
}

/// The text of each page.
pub(super) fn pages(library: &Pdfium, bytes: &[u8]) -> Result<Vec<String>, Reason> {
    let document = library.load_pdf_from_byte_slice(bytes, None).map_err(|error| match error {
        PdfiumError::PdfiumLibraryInternalError(
            PdfiumInternalError::PasswordError | PdfiumInternalError::SecurityError,
        ) => Reason::Encrypted,
        _ => Reason::BadRecord,
    })?;
    document.pages().iter().map(|page| text(&page).map_err(|_| Reason::BadRecord)).collect()
}

/// The text of a page.
fn text(page: &PdfPage<'_>) -> Result<String, PdfiumError> {
    // `PdfPageText::all` asks for what is between the origin and the page's size, and a page may have
    // its corner elsewhere.
    let text = page.text()?.inside_rect(page.boundaries().bounding()?.bounds);
    Ok(text.replace("\r\n", "\n"))
}
