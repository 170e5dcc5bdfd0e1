//! A vocabulary: rows of tokens in order.
//!
//! It knows nothing of how text is split. Invariant: no token twice, none empty, all five specials.

use std::collections::HashMap;
use std::path::Path;

use crate::word_list::read_utf8;
use crate::{Error, Result};

/// The five special tokens, in the order in which a new vocabulary begins.
pub const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The prefix of a token that continues a word.
pub const CONTINUATION: &str = "##";

/// The rows of the special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Specials {
    /// `[PAD]`.
    pub pad: u32,
    /// `[UNK]`.
    pub unk: u32,
    /// `[CLS]`.
    pub cls: u32,
    /// `[SEP]`.
    pub sep: u32,
    /// `[MASK]`.
    pub mask: u32,
}

impl Specials {
    /// The rows in the order of [`SPECIAL_TOKENS`].
    pub fn rows(self) -> [u32; 5] {
        [self.pad, self.unk, self.cls, self.sep, self.mask]
    }

    /// Whether `row` is one of the five.
    pub fn contains(self, row: u32) -> bool {
        self.rows().contains(&row)
    }
}

/// An ordered vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocab {
    tokens: Vec<String>,
    ids: HashMap<String, u32>,
    specials: Specials,
}

impl Vocab {
    /// A vocabulary of `tokens`, row by row.
    ///
    /// # Errors
    /// When a token is there twice, is empty, holds a line break, or a special token is missing.
    pub fn new(tokens: Vec<String>) -> Result<Self> {
        let mut ids = HashMap::with_capacity(tokens.len());
        for (row, token) in tokens.iter().enumerate() {
            if token.is_empty() {
                return Err(Error::BadToken { row, found: "nothing" });
            }
            if token.contains(['\n', '\r']) {
                return Err(Error::BadToken { row, found: "a line break" });
            }
            if let Some(first) = ids.insert(token.clone(), row as u32) {
                let (token, second) = (token.clone(), row as u32);
                return Err(Error::DuplicateToken { token, first, second });
            }
        }
        let role = |token: &'static str| {
            ids.get(token).copied().ok_or(Error::MissingSpecial { token, rows: tokens.len() })
        };
        let [pad, unk, cls, sep, mask] = SPECIAL_TOKENS;
        let specials = Specials {
            pad: role(pad)?,
            unk: role(unk)?,
            cls: role(cls)?,
            sep: role(sep)?,
            mask: role(mask)?,
        };
        Ok(Self { tokens, ids, specials })
    }

    /// Reads a `vocab.txt`: one token a line, LF or CRLF.
    ///
    /// # Errors
    /// As [`Vocab::new`], and when the file cannot be read or is not UTF-8.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = read_utf8(path)?;
        let body = text.strip_suffix('\n').unwrap_or(&text);
        Self::new(body.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect())
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there are no rows; never true, for the specials are there.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The row of `token`.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// The token of row `id`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn token(&self, id: u32) -> &str {
        &self.tokens[id as usize]
    }

    /// All tokens in order.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The rows of the special tokens.
    pub fn specials(&self) -> Specials {
        self.specials
    }

    /// The content of `vocab.txt`: each token and a line feed.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.tokens.len() * 8);
        for token in &self.tokens {
            text.push_str(token);
            text.push('\n');
        }
        text
    }

    /// The hash of `vocab.txt`'s content.
    pub fn hash(&self) -> bimed_artifact::Hash {
        bimed_artifact::hash_bytes(self.to_text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;

    fn tokens(extra: &[&str]) -> Vec<String> {
        SPECIAL_TOKENS.iter().chain(extra).map(ToString::to_string).collect()
    }

    #[test]
    fn a_token_twice_is_refused_with_both_rows() {
        let error = Vocab::new(tokens(&["폐렴", "chest", "폐렴"])).unwrap_err();
        assert!(matches!(error, Error::DuplicateToken { first: 5, second: 7, .. }), "{error}");
    }

    #[test]
    fn a_file_that_is_not_utf8_is_refused_with_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocab.txt");
        fs::write(&path, b"[PAD]\n\xc6\xf3\xb7\xc5\n").unwrap();
        let error = Vocab::from_file(&path).unwrap_err().to_string();
        assert!(error.contains("vocab.txt") && error.contains("not UTF-8 at 6"), "{error}");
    }

    #[test]
    fn a_missing_special_is_named() {
        let error = Vocab::new(vec!["[PAD]".into(), "[UNK]".into(), "상".into()]).unwrap_err();
        assert_eq!(error.to_string(), "special token `[CLS]` is missing among 3 tokens");
    }

    #[test]
    fn a_vocabulary_survives_its_file_with_either_line_ending() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vocab.txt");
        let vocab = Vocab::new(tokens(&["폐렴", "##상", "CT"])).unwrap();
        for text in [vocab.to_text(), vocab.to_text().replace('\n', "\r\n")] {
            fs::write(&path, text).unwrap();
            assert_eq!(Vocab::from_file(&path).unwrap(), vocab);
        }
        assert_eq!((vocab.id("##상"), vocab.token(7)), (Some(6), "CT"));
    }
}
