//! Lists of terms: how many a vocabulary holds whole.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::measures::ratio;
use crate::tokenizer::Tokenizer;
use crate::word_list::read_lines;
use crate::{Error, Result};

/// A list of terms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TermList {
    /// Its name.
    pub name: String,
    /// The terms.
    pub terms: Vec<String>,
}

impl TermList {
    /// Reads a file of one term a line, which it is named after.
    ///
    /// # Errors
    /// When the file cannot be read, is not UTF-8 or holds no term.
    pub fn from_file(path: &Path) -> Result<Self> {
        let terms: Vec<String> = read_lines(path)?.into_iter().map(|(_, term)| term).collect();
        if terms.is_empty() {
            let (found, expected) = ("no term".into(), "one term a line".into());
            return Err(Error::Format { path: path.to_path_buf(), found, expected });
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, terms })
    }

    pub(super) fn measure(&self, tokenizer: &Tokenizer) -> TermMeasures {
        let unk = tokenizer.vocab().specials().unk;
        let mut found = TermMeasures { list: self.name.clone(), ..TermMeasures::default() };
        for term in &self.terms {
            let ids = tokenizer.encode(term);
            let is_unknown = ids.contains(&unk);
            found.terms += 1;
            found.pieces += ids.len() as u64;
            found.single_token_terms += u64::from(ids.len() == 1 && !is_unknown);
            found.unk_terms += u64::from(is_unknown);
        }
        found.single_token_rate = ratio(found.single_token_terms, found.terms);
        found.pieces_per_term = ratio(found.pieces, found.terms);
        found.unk_term_rate = ratio(found.unk_terms, found.terms);
        found
    }
}

/// A vocabulary on a list of terms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TermMeasures {
    /// The list.
    pub list: String,
    /// Terms.
    pub terms: u64,
    /// Their tokens.
    pub pieces: u64,
    /// Terms that are one token.
    pub single_token_terms: u64,
    /// Terms with an `[UNK]`.
    pub unk_terms: u64,
    /// The share of terms that are one token, 0 to 1.
    pub single_token_rate: f64,
    /// Tokens a term.
    pub pieces_per_term: f64,
    /// The share of terms with an `[UNK]`, 0 to 1.
    pub unk_term_rate: f64,
}
