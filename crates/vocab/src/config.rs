//! The `[vocab]` section.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::options::TokenizerOptions;
use crate::vocabulary::SPECIAL_TOKENS;

/// What becomes of the base's vocabulary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// A new vocabulary is trained; rows are matched by their tokens.
    #[default]
    Replace,
    /// The base's rows stay as they are and new ones are appended.
    Extend,
    /// The base's vocabulary stays; nothing is trained.
    Keep,
}

impl Policy {
    /// The name as it stands in an experiment file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Extend => "extend",
            Self::Keep => "keep",
        }
    }
}

/// What to do when the text gives fewer tokens than were asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnShortfall {
    /// Fail and say by how much. With a quota, for Hangul and Latin alone: rows that digits, signs
    /// and Han leave over are reserved (`[unused0]` and so on, as in BERT's own vocabulary), so that
    /// the size is what was asked for.
    Error,
    /// Give the rows to the most frequent tokens of any script.
    #[default]
    Refill,
}

/// Rows by script. A token counts for a script when it holds any letter of it; what is left of the
/// size is the most that specials, digits, punctuation, Han and the rest may take.
///
/// Source: Jo et al. 2025 give 24,497 Korean and 15,212 English of 45,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Rows with a Hangul letter.
    pub hangul: usize,
    /// Rows with a Latin letter.
    pub latin: usize,
}

/// How a vocabulary is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VocabConfig {
    /// What becomes of the base's vocabulary.
    pub policy: Policy,
    /// Under `extend`, the rows that are appended; may be absent where `words` gives them.
    pub add_rows: Option<usize>,
    /// Under `extend`, a file whose words are appended, one entry a line; without it the corpus
    /// gives the rows.
    pub words: Option<PathBuf>,
    /// Rows, specials included; 100 to 4,000,000. Source: 45,000 in Jo et al. 2025.
    pub size: usize,
    /// Rows by script; without it the frequencies decide.
    pub quota: Option<Quota>,
    /// What to do when the text runs dry.
    pub on_shortfall: OnShortfall,
    /// The fewest occurrences of a merged pair, from 1.
    pub min_frequency: u64,
    /// The share of the text's characters that are sure of a row, 0 to 1. A rarer character takes
    /// one when it occurs as often as the next merge and there is room; words with others are `[UNK]`.
    pub coverage: f64,
    /// Put the 2,350 syllables of KS X 1001 in the alphabet, at a word's start and inside it.
    pub seed_hangul: bool,
    /// Put the 2,444 Hanja of daily use in the alphabet: those of KS X 1001 that are in the first
    /// level of JIS X 0208 too.
    pub seed_hanja: bool,
    /// Tokens that stand for masked identifiers; matched literally, never split.
    pub mask_tokens: Vec<String>,
    /// Lower-case the text.
    pub lowercase: bool,
    /// Strip accents, which also decomposes Hangul to jamo.
    pub strip_accents: bool,
    /// Compose the text (NFC).
    pub nfc: bool,
    /// Apply the folding table.
    pub fold: bool,
    /// Words of private documents count from this many distinct groups (patients) on.
    /// Source: CMS suppresses cells of 1 to 10.
    pub min_groups: usize,
    /// The longest token in characters, 1 to 100.
    pub max_token_chars: usize,
    /// The longest token of digits in characters, from 1; keeps numbers of persons out.
    pub max_token_digits: usize,
    /// Texts that may not become tokens, at a word's start or inside; each one word of two
    /// characters or more.
    pub deny: Vec<String>,
    /// A file of such texts, one a line.
    pub deny_file: Option<PathBuf>,
    /// How often at most the rows that the longest match never uses are given to others, until
    /// none is left; 0 to 100.
    pub prune_rounds: usize,
}

impl Default for VocabConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Replace,
            add_rows: None,
            words: None,
            size: 45_000,
            quota: None,
            on_shortfall: OnShortfall::Refill,
            min_frequency: 2,
            coverage: 0.999_95,
            seed_hangul: true,
            seed_hanja: false,
            mask_tokens: Vec::new(),
            lowercase: false,
            strip_accents: false,
            nfc: true,
            fold: true,
            min_groups: 11,
            max_token_chars: 20,
            max_token_digits: 4,
            deny: Vec::new(),
            deny_file: None,
            prune_rounds: 20,
        }
    }
}

impl VocabConfig {
    /// How the trained vocabulary's tokenizer normalises.
    pub fn tokenizer_options(&self) -> TokenizerOptions {
        TokenizerOptions {
            lowercase: self.lowercase,
            strip_accents: self.strip_accents,
            nfc: self.nfc,
            fold: self.fold,
            tokenize_chinese_chars: true,
        }
    }

    /// Everything out of range: key and message.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: String| faults.push((key.to_owned(), message));
        let mut within = |key: &str, value: usize, low: usize, high: usize| {
            if !(low..=high).contains(&value) {
                fault(key, format!("is `{value}`, expected {low} to {high}"));
            }
        };
        within("size", self.size, 100, 4_000_000);
        within("max_token_chars", self.max_token_chars, 1, 100);
        within("max_token_digits", self.max_token_digits, 1, self.max_token_chars.max(1));
        within("prune_rounds", self.prune_rounds, 0, 100);
        if let Some(add_rows) = self.add_rows {
            within("add_rows", add_rows, 1, 4_000_000);
        }
        if let Some(quota) = self.quota {
            let room = self.size.saturating_sub(SPECIAL_TOKENS.len() + self.mask_tokens.len());
            within("quota", quota.hangul.saturating_add(quota.latin), 0, room);
        }
        if self.min_frequency == 0 {
            fault("min_frequency", "is `0`, expected at least 1".into());
        }
        if self.min_groups == 0 {
            fault("min_groups", "is `0`, expected at least 1".into());
        }
        if !(self.coverage > 0.0 && self.coverage <= 1.0) {
            fault("coverage", format!("is `{}`, expected above 0, to 1", self.coverage));
        }
        if self.seed_hangul && self.strip_accents {
            let message = "is `true` with `strip_accents`, which leaves no syllable whole";
            fault("seed_hangul", message.into());
        }
        for (index, token) in self.mask_tokens.iter().enumerate() {
            let key = format!("mask_tokens[{index}]");
            if token.is_empty() || token.contains(char::is_whitespace) {
                fault(&key, format!("is `{token}`, expected no white space"));
            } else if SPECIAL_TOKENS.contains(&token.as_str()) {
                fault(&key, format!("is `{token}`, which is a special token"));
            } else if self.mask_tokens[..index].contains(token) {
                fault(&key, format!("is `{token}`, which is there already"));
            }
        }
        faults.extend(self.policy_faults());
        faults
    }

    /// Keys that the policy does not know, or lacks.
    fn policy_faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: &str| faults.push((key.into(), message.into()));
        let extends = self.policy == Policy::Extend;
        if extends && self.add_rows.is_none() && self.words.is_none() {
            fault("add_rows", "is absent, expected under `policy = \"extend\"` without `words`");
        }
        let only = "is given, expected only with `policy = \"extend\"`";
        if self.add_rows.is_some() && !extends {
            fault("add_rows", only);
        }
        if self.words.is_some() && !extends {
            fault("words", only);
        }
        if self.quota.is_some() && extends {
            fault("quota", "is given, expected only with `policy = \"replace\"`");
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_come_together() {
        let config = VocabConfig {
            size: 1000,
            quota: Some(Quota { hangul: 900, latin: 99 }),
            coverage: 1.5,
            min_groups: 0,
            mask_tokens: vec!["[DATE]".into(), "[MASK]".into(), "[DATE]".into()],
            ..VocabConfig::default()
        };
        let keys: Vec<_> = config.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["quota", "min_groups", "coverage", "mask_tokens[1]", "mask_tokens[2]"]);
        assert!(VocabConfig::default().faults().is_empty());
    }
}
