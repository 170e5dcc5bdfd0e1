//! Kinds of text, and the defaults of the rules that judge them.

use bimed_text::StructureOptions;
use serde::{Deserialize, Serialize};

use super::FilterConfig;

/// What kind of text a source holds; it chooses the defaults of the rules that judge it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Nothing is known of it.
    #[default]
    General,
    /// Books: pages, running heads, tables of contents.
    Textbook,
    /// Pages of the web.
    Web,
    /// Notes and reports about patients: almost nothing is dropped.
    Clinical,
    /// The study's cleaning of its chest-CT reports: all but Latin letters, syllables and spaces
    /// goes, numbers and signs too.
    #[serde(rename = "paper-ct")]
    PaperCt,
}

impl Profile {
    /// How many near copies of one text are kept: reports made from a template are no accident.
    pub fn max_copies(self) -> u32 {
        match self {
            Self::Clinical | Self::PaperCt => 5,
            Self::General | Self::Textbook | Self::Web => 1,
        }
    }

    /// The fewest characters of a document, where it asks for more than the config does.
    pub fn min_chars(self) -> Option<usize> {
        (self == Self::Web).then_some(200)
    }

    /// Bounds of the signals of quality, unless the source sets its own. Notes and reports repeat
    /// lines, break them anywhere and are full of numbers: of them only what repeats one line is
    /// dropped.
    ///
    /// Source: Rae et al. 2021, "Scaling Language Models" (Gopher), table A1, for repetition on web
    /// pages; its bounds of words and letters are made for English and are loosened here.
    pub fn filter(self) -> FilterConfig {
        let repetitive = FilterConfig { max_top_line_share: Some(0.5), ..FilterConfig::default() };
        match self {
            Self::General | Self::Clinical => repetitive,
            Self::PaperCt => FilterConfig::default(),
            Self::Textbook => FilterConfig { max_page_number_share: Some(0.3), ..repetitive },
            Self::Web => FilterConfig {
                max_top_line_share: Some(0.3),
                max_repeated_line_share: Some(0.3),
                min_letter_share: Some(0.6),
                max_mean_word_chars: Some(12.0),
                ..repetitive
            },
        }
    }

    /// What is done to pages and lines, unless the source says otherwise.
    pub fn structure(self) -> StructureOptions {
        let is_book = self == Self::Textbook;
        StructureOptions { page_furniture: is_book, contents: is_book, line_breaks: is_book }
    }

    /// Regular expressions over lines or characters that are taken out.
    pub fn removes(self) -> &'static [&'static str] {
        match self {
            Self::General | Self::Textbook | Self::Clinical => &[],
            Self::Web => &[
                r"(?m)^.*(?:무단\s*전재|재배포\s*금지|저작권자\s*[ⓒ©(]).*$",
                r"(?m)^.{0,40}기자\s*[(\[]?\s*[\w.]+@[\w.]+.*$",
                r"(?m)^.*(?:All rights reserved|Cookie Policy|Privacy Policy).*$",
            ],
            // Source: the study's published code, as described with it; never a default.
            Self::PaperCt => &[r"[^a-zA-Z가-힣\s]"],
        }
    }
}
