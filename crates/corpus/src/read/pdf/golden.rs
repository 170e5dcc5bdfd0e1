//! Tiny Korean files that an engine must read before it is used.
//!
//! `scripts/make_pdf_fixtures.py` writes them.

use serde::{Deserialize, Serialize};

use super::garble::{Verdict, judge};
use super::{EngineName, PdfEngine};
use crate::Reason;

/// The text that every file shows.
const TEXT: &str = "폐렴 CT";

/// What is hard in it, the file, and whether its text can be known.
const FILES: [(&str, &[u8], bool); 5] = [
    ("ToUnicode", include_bytes!("golden/to_unicode.pdf"), true),
    ("UniKS-UCS2", include_bytes!("golden/uniks_ucs2.pdf"), true),
    ("KSCms-UHC", include_bytes!("golden/kscms_uhc.pdf"), true),
    ("a page away from the origin", include_bytes!("golden/corner.pdf"), true),
    ("a font without Unicode", include_bytes!("golden/no_to_unicode.pdf"), false),
];

/// What an engine made of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineReport {
    /// The engine.
    pub engine: EngineName,
    /// Whether it was found.
    pub is_found: bool,
    /// The files that it does not read, or reads wrongly without saying so.
    pub failed: Vec<String>,
}

impl EngineReport {
    /// Whether the engine may be used.
    pub fn is_trusted(&self) -> bool {
        self.is_found && self.failed.is_empty()
    }
}

/// Lets `engine` read every file.
pub(crate) fn test(name: EngineName, engine: Option<&dyn PdfEngine>) -> EngineReport {
    let failed = engine.into_iter().flat_map(|engine| {
        FILES.iter().filter(|(_, bytes, is_known)| !passes(engine.pages(bytes), *is_known))
    });
    let failed = failed.map(|(what, ..)| (*what).to_owned()).collect();
    EngineReport { engine: name, is_found: engine.is_some(), failed }
}

/// A text that can be known is read; of one that cannot, something is said.
fn passes(pages: Result<Vec<String>, Reason>, is_known: bool) -> bool {
    match pages {
        Ok(pages) if is_known => pages.len() == 1 && pages[0].trim() == TEXT,
        Ok(pages) => pages.iter().all(|page| judge(page) == Verdict::Garbled),
        Err(reason) => !is_known && matches!(reason, Reason::NeedsOcr | Reason::Garbled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl PdfEngine for Silent {
        fn pages(&self, _: &[u8]) -> Result<Vec<String>, Reason> {
            Ok(vec![" CT".to_owned()])
        }
    }

    #[test]
    fn an_engine_that_drops_hangul_is_not_trusted() {
        let report = test(EngineName::Pdftotext, Some(&Silent));
        assert_eq!(report.failed.len(), FILES.len());
        assert!(!report.is_trusted());
        assert!(!test(EngineName::Pdfium, None).is_trusted());
    }
}
