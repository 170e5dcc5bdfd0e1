//! PDF, by engines that must first read Korean.
//!
//! Extractors fail in silence: Hangul is dropped, or turned into other syllables, and success is
//! reported. So an engine reads tiny files in every usual Korean encoding before it is used, and
//! each page of a real file is judged by its text.

mod engine;
mod garble;
mod golden;
#[cfg(feature = "pdfium")]
mod pdfium;

use serde::{Deserialize, Serialize};

pub use engine::EngineName;
pub(crate) use engine::{Engine, PdfEngine};
pub use golden::EngineReport;
pub(crate) use golden::test;

use crate::Reason;
use garble::{Verdict, judge};

/// With a larger share of pages without text a file is a scan.
const MAX_TEXTLESS_SHARE: f64 = 0.5;
/// With a larger share of garbled pages nothing of a file is believed.
const MAX_GARBLED_SHARE: f64 = 0.5;

/// The pages of a file that are believed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pages {
    /// The text of each, without those that are left out.
    pub texts: Vec<String>,
    /// All pages.
    pub total: u64,
    /// Pages from 1 that are left out, with the reason.
    pub dropped: Vec<(u64, Reason)>,
}

/// The pages of the file in `bytes`, as `engine` reads them.
pub(crate) fn read(bytes: &[u8], engine: &dyn PdfEngine) -> Result<Pages, Reason> {
    let texts = engine.pages(bytes)?;
    let mut pages = Pages { total: texts.len() as u64, ..Pages::default() };
    for (number, text) in (1..).zip(texts) {
        match judge(&text) {
            Verdict::Text => pages.texts.push(text),
            Verdict::NoText => pages.dropped.push((number, Reason::NeedsOcr)),
            Verdict::Garbled => pages.dropped.push((number, Reason::Garbled)),
        }
    }
    let share = |reason: Reason| {
        let dropped = pages.dropped.iter().filter(|(_, why)| *why == reason).count();
        dropped as f64 / pages.total.max(1) as f64
    };
    if share(Reason::Garbled) > MAX_GARBLED_SHARE {
        Err(Reason::Garbled)
    } else if share(Reason::NeedsOcr) > MAX_TEXTLESS_SHARE {
        Err(Reason::NeedsOcr)
    } else {
        Ok(pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given(Vec<&'static str>);

    impl PdfEngine for Given {
        fn pages(&self, _: &[u8]) -> Result<Vec<String>, Reason> {
            Ok(self.0.iter().map(|page| (*page).to_owned()).collect())
        }
    }

    #[test]
    fn pages_are_judged_one_by_one_and_a_scan_as_a_whole() {
        let text = "폐렴은 폐에 생기는 염증이며, 흉부 CT로 진단한다.";
        let control = "\u{5}\u{4}\u{1}\u{2}\u{3}\u{5}\u{4}\u{1}\u{2}\u{3}\u{6}\u{7}";
        let pages = read(b"", &Given(vec![text, "", control, text])).unwrap();
        assert_eq!((pages.texts.len(), pages.total), (2, 4));
        assert_eq!(pages.dropped, [(2, Reason::NeedsOcr), (3, Reason::Garbled)]);
        assert_eq!(read(b"", &Given(vec![text, "", " \n", "3"])), Err(Reason::NeedsOcr));
        assert_eq!(read(b"", &Given(vec![text, control, control])), Err(Reason::Garbled));
    }
}
