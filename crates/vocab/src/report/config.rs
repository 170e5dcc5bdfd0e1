//! The `[vocab.report]` section.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::options::TokenizerOptions;
use crate::tokenizer::Tokenizer;
use crate::vocabulary::Vocab;

/// What the report sets beside the vocabulary.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Vocabularies to compare with, beside the base's.
    pub compare: Vec<ComparedVocabulary>,
    /// Files of terms, one a line.
    pub terms: Vec<PathBuf>,
}

/// A vocabulary of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComparedVocabulary {
    /// Its name in the report.
    pub name: String,
    /// A directory with its `vocab.txt` or `tokenizer.json`.
    pub path: PathBuf,
    /// Whether it lower-cases and strips accents, where its directory does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lowercase: Option<bool>,
}

impl ReportConfig {
    /// Whether there is nothing beside the vocabulary itself.
    pub fn is_empty(&self) -> bool {
        self.compare.is_empty() && self.terms.is_empty()
    }

    /// Everything out of range: key and message.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (index, ComparedVocabulary { name, .. }) in self.compare.iter().enumerate() {
            let key = format!("compare[{index}].name");
            let others = self.compare[..index].iter();
            if name.trim().is_empty() || ["new", "base"].contains(&name.as_str()) {
                faults.push((key, format!("is `{name}`, expected another name")));
            } else if others.into_iter().any(|other| other.name == *name) {
                faults.push((key, format!("is `{name}`, as another one's")));
            }
        }
        faults
    }
}

impl ComparedVocabulary {
    /// Its tokenizer.
    ///
    /// # Errors
    /// When its files are missing or broken, or nothing says whether it lower-cases.
    pub fn open(&self) -> Result<Tokenizer> {
        let options = match self.lowercase {
            None => return Tokenizer::from_dir(&self.path),
            Some(false) => TokenizerOptions::cased(),
            Some(true) => TokenizerOptions::uncased(),
        };
        Ok(Tokenizer::new(Vocab::from_dir(&self.path)?, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let compared = |name: &str| ComparedVocabulary {
            name: name.into(),
            path: PathBuf::new(),
            lowercase: None,
        };
        let compare = ["KoELECTRA", "base", "KoELECTRA", " "].map(compared).to_vec();
        let config = ReportConfig { compare, terms: Vec::new() };
        let keys: Vec<_> = config.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["compare[1].name", "compare[2].name", "compare[3].name"]);
    }
}
