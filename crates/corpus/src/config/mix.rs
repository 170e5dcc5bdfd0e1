//! How much of the corpus is taken, in words or in tokens.

use bimed_text::ScriptCounts;
use serde::{Deserialize, Serialize};

/// How much of each source and language is taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixConfig {
    /// At most this many words (eojeol) are taken in all; absent takes all.
    pub max_words: Option<u64>,
    /// At most this many tokens are taken in all, as `tokens_per_char` estimates them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Shares of sources and languages go as their sizes to the power of 1 / `temperature`, at
    /// least 1: above it small ones have a larger share. It asks for a limit.
    pub temperature: f64,
    /// Tokens of a character, by its script.
    pub tokens_per_char: TokensPerChar,
}

impl Default for MixConfig {
    fn default() -> Self {
        Self {
            max_words: None,
            max_tokens: None,
            temperature: 1.0,
            tokens_per_char: TokensPerChar::default(),
        }
    }
}

/// What a character adds to the estimate of a text's tokens. A corpus is there before its vocabulary
/// is; the vocabulary's report has the figures of each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensPerChar {
    /// Of a Hangul syllable.
    pub hangul: f64,
    /// Of a Latin letter.
    pub latin: f64,
    /// Of a digit.
    pub digit: f64,
    /// Of punctuation and signs.
    pub symbol: f64,
    /// Of every other letter.
    pub other: f64,
}

impl Default for TokensPerChar {
    fn default() -> Self {
        Self { hangul: 0.45, latin: 0.21, digit: 0.4, symbol: 1.0, other: 1.0 }
    }
}

impl TokensPerChar {
    /// The tokens of a text with these counts.
    pub(crate) fn tokens(&self, counts: &ScriptCounts) -> f64 {
        counts.hangul as f64 * self.hangul
            + counts.latin as f64 * self.latin
            + counts.digit as f64 * self.digit
            + counts.symbol as f64 * self.symbol
            + (counts.han + counts.other) as f64 * self.other
    }

    fn values(&self) -> [(&'static str, f64); 5] {
        [
            ("hangul", self.hangul),
            ("latin", self.latin),
            ("digit", self.digit),
            ("symbol", self.symbol),
            ("other", self.other),
        ]
    }
}

impl MixConfig {
    /// Every fault of the values: key, value and what is expected.
    pub(super) fn faults(&self) -> Vec<(String, String, &'static str)> {
        let mut faults = Vec::new();
        let temperature = self.temperature;
        let has_limit = self.max_words.is_some() || self.max_tokens.is_some();
        let key = || "mix.temperature".to_owned();
        if !(temperature.is_finite() && temperature >= 1.0) {
            faults.push((key(), temperature.to_string(), "1 or more"));
        } else if temperature > 1.0 && !has_limit {
            faults.push((key(), temperature.to_string(), "`max_words` or `max_tokens` beside it"));
        }
        if let (Some(_), Some(tokens)) = (self.max_words, self.max_tokens) {
            let expected = "no `max_words` beside it";
            faults.push(("mix.max_tokens".to_owned(), tokens.to_string(), expected));
        }
        for (key, value) in self.tokens_per_char.values() {
            if !(value.is_finite() && value >= 0.0) {
                let key = format!("mix.tokens_per_char.{key}");
                faults.push((key, value.to_string(), "0 or more"));
            }
        }
        faults
    }
}
