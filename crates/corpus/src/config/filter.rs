//! By which signals of quality documents are left out.

use serde::{Deserialize, Serialize};

use crate::document::{Document, Reason};

/// Bounds of the signals that every document has; what is absent bounds nothing. Shares are 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilterConfig {
    /// The least share of letters in the characters that are no white space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_letter_share: Option<f64>,
    /// The greatest share of digits in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_digit_share: Option<f64>,
    /// The least length of a word (eojeol), on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_mean_word_chars: Option<f64>,
    /// The greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_mean_word_chars: Option<f64>,
    /// The greatest share of lines that repeat the most frequent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_top_line_share: Option<f64>,
    /// The greatest share of text in lines that stand before in the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_repeated_line_share: Option<f64>,
    /// The least share of lines that end as a sentence does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ended_line_share: Option<f64>,
    /// The greatest share of words that are numbers of pages, as in an index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_page_number_share: Option<f64>,
    /// The fewest changes between Hangul and Latin letters in a hundred words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_switch_points: Option<f64>,
    /// The most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_switch_points: Option<f64>,
}

impl FilterConfig {
    /// These bounds, and of `other` those that are absent here.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            min_letter_share: self.min_letter_share.or(other.min_letter_share),
            max_digit_share: self.max_digit_share.or(other.max_digit_share),
            min_mean_word_chars: self.min_mean_word_chars.or(other.min_mean_word_chars),
            max_mean_word_chars: self.max_mean_word_chars.or(other.max_mean_word_chars),
            max_top_line_share: self.max_top_line_share.or(other.max_top_line_share),
            max_repeated_line_share: self.max_repeated_line_share.or(other.max_repeated_line_share),
            min_ended_line_share: self.min_ended_line_share.or(other.min_ended_line_share),
            max_page_number_share: self.max_page_number_share.or(other.max_page_number_share),
            min_switch_points: self.min_switch_points.or(other.min_switch_points),
            max_switch_points: self.max_switch_points.or(other.max_switch_points),
        }
    }

    /// Why `document` is out of bounds, by the first that it is out of.
    pub(crate) fn fault(&self, document: &Document) -> Option<Reason> {
        let found = &document.quality;
        let least = [
            (self.min_letter_share, found.letter_share, Reason::FewLetters),
            (self.min_mean_word_chars, found.mean_word_chars, Reason::OddWords),
            (self.min_ended_line_share, found.ended_line_share, Reason::UnfinishedLines),
            (self.min_switch_points, document.switch_points, Reason::FewSwitches),
        ];
        let most = [
            (self.max_digit_share, found.digit_share, Reason::ManyDigits),
            (self.max_mean_word_chars, found.mean_word_chars, Reason::OddWords),
            (self.max_top_line_share, found.top_line_share, Reason::Repetitive),
            (self.max_repeated_line_share, found.repeated_line_share, Reason::Repetitive),
            (self.max_page_number_share, found.page_number_share, Reason::Listing),
            (self.max_switch_points, document.switch_points, Reason::ManySwitches),
        ];
        let below = |(bound, value, _): &(Option<f64>, f64, Reason)| {
            bound.is_some_and(|bound| *value < bound)
        };
        let above = |(bound, value, _): &(Option<f64>, f64, Reason)| {
            bound.is_some_and(|bound| *value > bound)
        };
        let found = least.iter().find(|one| below(one)).or(most.iter().find(|one| above(one)));
        found.map(|one| one.2)
    }

    /// Bounds that are none: key and value.
    pub(crate) fn faults(&self) -> Vec<(&'static str, f64)> {
        let shares = [
            ("min_letter_share", self.min_letter_share),
            ("max_digit_share", self.max_digit_share),
            ("max_top_line_share", self.max_top_line_share),
            ("max_repeated_line_share", self.max_repeated_line_share),
            ("min_ended_line_share", self.min_ended_line_share),
            ("max_page_number_share", self.max_page_number_share),
        ];
        let shares = shares.into_iter().filter_map(|(key, share)| Some((key, share?)));
        shares.filter(|(_, share)| !(0.0..=1.0).contains(share)).collect()
    }
}
