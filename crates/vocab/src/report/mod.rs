//! Vocabularies side by side, on text that none was trained on.
//!
//! It takes finished tokenizers. Invariant: words and bytes are those of the text, the same for
//! every vocabulary; no document text gets into the report.

mod code_mix;
mod config;
mod markdown;
mod measures;
mod picture;
mod tally;
mod terms;

use std::collections::BTreeMap;
use std::path::Path;

use bimed_artifact::{write_atomic, write_json_atomic};
use serde::{Deserialize, Serialize};

use crate::document::InputDocument;
use crate::pieces::RowsByScript;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

pub use code_mix::CodeMix;
pub use config::{ComparedVocabulary, ReportConfig};
pub use measures::TextMeasures;
pub use terms::{TermList, TermMeasures};

use tally::Tally;

/// Documents that are measured together.
const BATCH_DOCUMENTS: usize = 1024;

/// Tokens that two vocabularies share, as strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// The other vocabulary.
    pub with: String,
    /// Shared tokens by script, specials and reserved rows aside.
    pub shared: RowsByScript,
}

/// Rows by the number of documents that hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentFrequency {
    /// The fewest documents of this class.
    pub from: u64,
    /// The most; none for the last class.
    pub to: Option<u64>,
    /// Rows, specials aside.
    pub rows: usize,
}

/// One vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocabularyReport {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: usize,
    /// Rows that begin a word, by the first script of which they hold any letter; specials and
    /// reserved rows aside.
    pub initial: RowsByScript,
    /// Rows that continue one, by script.
    pub continuation: RowsByScript,
    /// As `initial`, where all characters are of the script; mixed ones are `other`.
    #[serde(default)]
    pub initial_whole: RowsByScript,
    /// As `continuation`, where all characters are of the script.
    #[serde(default)]
    pub continuation_whole: RowsByScript,
    /// Rows without a meaning yet, such as `[unused0]`.
    #[serde(default)]
    pub reserved_rows: usize,
    /// Rows that the text does not use, specials aside.
    pub unused_rows: usize,
    /// These by script, reserved rows aside.
    #[serde(default)]
    pub unused: RowsByScript,
    /// Rényi efficiency of the tokens, α = 2.5: 1 where all rows are equally frequent.
    /// Source: Zouhar et al. 2023, Tokenization and the Noiseless Channel, equation 16.
    #[serde(default)]
    pub renyi_efficiency: f64,
    /// All text.
    pub total: TextMeasures,
    /// By language.
    #[serde(default)]
    pub by_language: BTreeMap<String, TextMeasures>,
    /// By source, then language.
    pub by_source: BTreeMap<String, BTreeMap<String, TextMeasures>>,
    /// Words of Latin letters with a Hangul ending.
    #[serde(default)]
    pub code_mix: CodeMix,
    /// Rows by document frequency.
    #[serde(default)]
    pub document_frequency: Vec<DocumentFrequency>,
    /// On lists of terms.
    #[serde(default)]
    pub terms: Vec<TermMeasures>,
    /// What it shares with each other vocabulary.
    pub overlap: Vec<Overlap>,
}

/// Vocabularies side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocabReport {
    /// One entry a vocabulary, in the order given.
    pub vocabularies: Vec<VocabularyReport>,
}

/// Measures each of `vocabularies` on `documents` and on lists of terms.
///
/// # Errors
/// When the documents fail.
pub fn report<E>(
    vocabularies: &[(String, Tokenizer)],
    terms: &[TermList],
    documents: impl IntoIterator<Item = Result<InputDocument, E>>,
) -> Result<VocabReport>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut tallies: Vec<Tally> =
        vocabularies.iter().map(|(_, tokenizer)| Tally::new(tokenizer)).collect();
    let mut documents = documents.into_iter();
    loop {
        let batch: Vec<InputDocument> = documents
            .by_ref()
            .take(BATCH_DOCUMENTS)
            .collect::<Result<_, E>>()
            .map_err(|error| Error::Documents(Box::new(error)))?;
        if batch.is_empty() {
            break;
        }
        for ((_, tokenizer), tally) in vocabularies.iter().zip(&mut tallies) {
            tally.add(tokenizer, &batch);
        }
    }
    let entry = |(index, tally): (usize, Tally)| {
        let (name, tokenizer) = &vocabularies[index];
        let others = vocabularies.iter().enumerate().filter(|(other, _)| *other != index);
        let overlap = others.map(|(_, (with, other))| Overlap {
            with: with.clone(),
            shared: tokenizer.vocab().shared_with(other.vocab()),
        });
        let overlap = overlap.collect();
        let terms = terms.iter().map(|list| list.measure(tokenizer)).collect();
        VocabularyReport { overlap, terms, ..tally.finish(name, tokenizer) }
    };
    Ok(VocabReport { vocabularies: tallies.into_iter().enumerate().map(entry).collect() })
}

impl VocabReport {
    /// Writes `report.json`, `report.md` and `report.svg` into `dir`, which must exist.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, dir: &Path) -> Result<()> {
        write_json_atomic(&dir.join("report.json"), self)?;
        write_atomic(&dir.join("report.md"), self.to_markdown().as_bytes())?;
        write_atomic(&dir.join("report.svg"), self.to_svg().as_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
