//! The engines that read PDF: PDFium as a library found at run time, poppler as a program.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[cfg(feature = "pdfium")]
use super::pdfium;
use serde::{Deserialize, Serialize};

use crate::{ReaderConfig, Reason};

/// Reads the text of pages.
pub(crate) trait PdfEngine {
    /// The text of each page.
    fn pages(&self, bytes: &[u8]) -> Result<Vec<String>, Reason>;
}

/// The engines by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Google's PDFium, a shared library.
    Pdfium,
    /// poppler's `pdftotext` and `pdffonts`, with `poppler-data`.
    Pdftotext,
}

impl EngineName {
    /// Every engine, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Pdfium, Self::Pdftotext];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pdfium => "pdfium",
            Self::Pdftotext => "pdftotext",
        }
    }
}

/// An engine that is there.
pub(crate) enum Engine {
    /// PDFium.
    #[cfg(feature = "pdfium")]
    Pdfium(Box<pdfium::Pdfium>),
    /// The directory of poppler's programs; empty where the system finds them.
    Pdftotext(PathBuf),
}

impl Engine {
    /// The engine `name`, if it is there.
    pub(crate) fn open(name: EngineName, config: &ReaderConfig) -> Option<Self> {
        match name {
            #[cfg(feature = "pdfium")]
            EngineName::Pdfium => {
                let library = pdfium::open(config.pdfium.as_deref());
                library.map(|library| Self::Pdfium(Box::new(library)))
            }
            #[cfg(not(feature = "pdfium"))]
            EngineName::Pdfium => None,
            EngineName::Pdftotext => {
                let directory = config.poppler.clone().unwrap_or_default();
                let program = program(&directory, "pdftotext");
                let mut version = Command::new(program);
                version.arg("-v").stdout(Stdio::null()).stderr(Stdio::null());
                version.status().ok().map(|_| Self::Pdftotext(directory))
            }
        }
    }
}

fn program(directory: &Path, name: &str) -> PathBuf {
    if directory.as_os_str().is_empty() { PathBuf::from(name) } else { directory.join(name) }
}

impl PdfEngine for Engine {
    fn pages(&self, bytes: &[u8]) -> Result<Vec<String>, Reason> {
        match self {
            #[cfg(feature = "pdfium")]
            Self::Pdfium(library) => pdfium::pages(library, bytes),
            Self::Pdftotext(directory) => poppler_pages(directory, bytes),
        }
    }
}

/// Differs from PDFium in that glyphs without Unicode are dropped in silence, so that files with
/// such fonts are refused.
fn poppler_pages(directory: &Path, bytes: &[u8]) -> Result<Vec<String>, Reason> {
    let fault = || {
        let is_locked = bytes.windows(8).any(|window| window == b"/Encrypt");
        if is_locked { Reason::Encrypted } else { Reason::BadRecord }
    };
    let fonts = run(&program(directory, "pdffonts"), &["-"], bytes).ok_or_else(fault)?;
    if String::from_utf8_lossy(&fonts).lines().any(is_font_without_unicode) {
        return Err(Reason::NeedsOcr);
    }
    let arguments = ["-enc", "UTF-8", "-q", "-", "-"];
    let text = run(&program(directory, "pdftotext"), &arguments, bytes).ok_or_else(fault)?;
    let text = String::from_utf8(text).map_err(|_| Reason::BadRecord)?;
    let mut pages: Vec<String> = text.split('\u{C}').map(str::to_owned).collect();
    // A form feed ends each page.
    pages.pop();
    Ok(pages)
}

/// Lines of `pdffonts` end in `emb sub uni object generation`, before which is the encoding.
fn is_font_without_unicode(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().rev().take(6).collect();
    matches!(fields[..], [_, _, "no", _, _, "Identity-H" | "Identity-V"])
}

/// What `program` prints for `input`; nothing if it fails.
fn run(program: &Path, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    let input = input.to_vec();
    // It may answer before it has read all.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().ok()?;
    let _ = writer.join();
    output.status.success().then_some(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fonts_without_unicode_are_told_by_their_line() {
        let line = |unicode: &str, encoding: &str| {
            format!("ABCDEF+Boxes      CID TrueType   {encoding}   yes no  {unicode}   5  0")
        };
        assert!(is_font_without_unicode(&line("no", "Identity-H")));
        assert!(!is_font_without_unicode(&line("yes", "Identity-H")));
        assert!(!is_font_without_unicode(&line("no", "UniKS-UCS2-H")));
        assert!(!is_font_without_unicode("name type encoding emb sub uni object ID"));
    }
}
