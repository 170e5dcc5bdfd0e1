//! Vocabularies side by side, on text that none was trained on.
//!
//! It takes finished tokenizers. Invariant: words and bytes are those of the text, the same for
//! every vocabulary; no document text gets into the report.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use bimed_artifact::{write_atomic, write_json_atomic};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::document::InputDocument;
use crate::pieces::RowsByScript;
use crate::tokenizer::Tokenizer;
use crate::words::count_words;
use crate::{Error, Result};

/// Documents that are measured together.
const BATCH_DOCUMENTS: usize = 1024;

/// A vocabulary on some text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TextMeasures {
    /// Documents.
    pub documents: u64,
    /// Bytes.
    pub bytes: u64,
    /// Eojeol: stretches between white space.
    pub eojeols: u64,
    /// Words: runs of one script in an eojeol, and punctuation characters.
    pub words: u64,
    /// Tokens.
    pub pieces: u64,
    /// Words of more than one token.
    pub continued_words: u64,
    /// Words with an `[UNK]`.
    pub unk_words: u64,
    /// Tokens a word.
    pub fertility: f64,
    /// Tokens an eojeol.
    pub pieces_per_eojeol: f64,
    /// The share of words of more than one token, 0 to 1.
    pub continued_word_rate: f64,
    /// The share of words with an `[UNK]`, 0 to 1.
    pub unk_word_rate: f64,
    /// Bytes a token.
    pub bytes_per_token: f64,
}

impl TextMeasures {
    fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.bytes += other.bytes;
        self.eojeols += other.eojeols;
        self.words += other.words;
        self.pieces += other.pieces;
        self.continued_words += other.continued_words;
        self.unk_words += other.unk_words;
    }

    fn rated(mut self) -> Self {
        let ratio = |a: u64, b: u64| if b == 0 { 0.0 } else { a as f64 / b as f64 };
        self.fertility = ratio(self.pieces, self.words);
        self.pieces_per_eojeol = ratio(self.pieces, self.eojeols);
        self.continued_word_rate = ratio(self.continued_words, self.words);
        self.unk_word_rate = ratio(self.unk_words, self.words);
        self.bytes_per_token = ratio(self.bytes, self.pieces);
        self
    }
}

/// Tokens that two vocabularies share, as strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// The other vocabulary.
    pub with: String,
    /// Shared tokens by script, specials and reserved rows aside.
    pub shared: RowsByScript,
}

/// One vocabulary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocabularyReport {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: usize,
    /// Rows that begin a word, by script, specials and reserved rows aside.
    pub initial: RowsByScript,
    /// Rows that continue one, by script.
    pub continuation: RowsByScript,
    /// Rows without a meaning yet, such as `[unused0]`.
    #[serde(default)]
    pub reserved_rows: usize,
    /// Rows that the text does not use, specials aside.
    pub unused_rows: usize,
    /// All text.
    pub total: TextMeasures,
    /// By source, then language.
    pub by_source: BTreeMap<String, BTreeMap<String, TextMeasures>>,
    /// What it shares with each other vocabulary.
    pub overlap: Vec<Overlap>,
}

/// Vocabularies side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocabReport {
    /// One entry a vocabulary, in the order given.
    pub vocabularies: Vec<VocabularyReport>,
}

/// Measures each of `vocabularies` on `documents`.
///
/// # Errors
/// When the documents fail.
pub fn report<E>(
    vocabularies: &[(String, Tokenizer)],
    documents: impl IntoIterator<Item = Result<InputDocument, E>>,
) -> Result<VocabReport>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut tallies: Vec<Tally> = vocabularies
        .iter()
        .map(|(_, tokenizer)| Tally {
            by_source: BTreeMap::new(),
            used: vec![false; tokenizer.vocab().len()],
        })
        .collect();
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
    let vocabularies = vocabularies
        .iter()
        .zip(tallies)
        .map(|((name, tokenizer), tally)| tally.finish(name, tokenizer, vocabularies))
        .collect();
    Ok(VocabReport { vocabularies })
}

struct Tally {
    by_source: BTreeMap<String, BTreeMap<String, TextMeasures>>,
    used: Vec<bool>,
}

impl Tally {
    fn add(&mut self, tokenizer: &Tokenizer, batch: &[InputDocument]) {
        let measured: Vec<(TextMeasures, Vec<u32>)> =
            batch.par_iter().map(|document| measure(tokenizer, &document.text)).collect();
        for (document, (measures, ids)) in batch.iter().zip(measured) {
            let languages = self.by_source.entry(document.source.clone()).or_default();
            languages.entry(document.language.clone()).or_default().add(&measures);
            for id in ids {
                self.used[id as usize] = true;
            }
        }
    }

    fn finish(
        self,
        name: &str,
        tokenizer: &Tokenizer,
        all: &[(String, Tokenizer)],
    ) -> VocabularyReport {
        let vocab = tokenizer.vocab();
        let composition = vocab.composition();
        let overlap = |(with, other): &(String, Tokenizer)| Overlap {
            with: with.clone(),
            shared: vocab.shared_with(other.vocab()),
        };
        let is_unused = |id: &u32| !vocab.specials().contains(*id) && !self.used[*id as usize];
        let unused_rows = (0..vocab.len() as u32).filter(is_unused).count();
        let mut total = TextMeasures::default();
        let mut by_source = self.by_source;
        for measures in by_source.values_mut().flat_map(BTreeMap::values_mut) {
            total.add(measures);
            *measures = measures.rated();
        }
        VocabularyReport {
            name: name.to_owned(),
            rows: vocab.len(),
            initial: composition.initial,
            continuation: composition.continuation,
            reserved_rows: composition.reserved,
            unused_rows,
            total: total.rated(),
            by_source,
            overlap: all.iter().filter(|(with, _)| with != name).map(overlap).collect(),
        }
    }
}

/// The measures of one text, without rates, and the rows it uses.
fn measure(tokenizer: &Tokenizer, text: &str) -> (TextMeasures, Vec<u32>) {
    let encoding = tokenizer.encode_with_words(text);
    let unk = tokenizer.vocab().specials().unk;
    let (mut continued_words, mut unk_words) = (0, 0);
    let mut ends: Vec<usize> =
        (0..encoding.ids.len()).filter(|&at| encoding.word_starts[at]).collect();
    ends.push(encoding.ids.len());
    for word in ends.windows(2) {
        let ids = &encoding.ids[word[0]..word[1]];
        continued_words += u64::from(ids.len() > 1);
        unk_words += u64::from(ids.contains(&unk));
    }
    let measures = TextMeasures {
        documents: 1,
        bytes: text.len() as u64,
        eojeols: text.split_whitespace().count() as u64,
        words: count_words(text),
        pieces: encoding.ids.len() as u64,
        continued_words,
        unk_words,
        ..TextMeasures::default()
    };
    let mut ids = encoding.ids;
    ids.sort_unstable();
    ids.dedup();
    (measures, ids)
}

impl VocabReport {
    /// Writes `report.json` and `report.md` into `dir`, which must exist.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, dir: &Path) -> Result<()> {
        write_json_atomic(&dir.join("report.json"), self)?;
        write_atomic(&dir.join("report.md"), self.to_markdown().as_bytes())?;
        Ok(())
    }

    /// The report as Markdown tables.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from("# Vocabulary report\n\n## Rows\n\n");
        text += "| Vocabulary | rows | Hangul | ## | Latin | ## | digit | ## | Han | ## | other | ## \
                 | unused |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        for entry in &self.vocabularies {
            let (a, b) = (entry.initial, entry.continuation);
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                entry.name,
                entry.rows,
                a.hangul,
                b.hangul,
                a.latin,
                b.latin,
                a.digit,
                b.digit,
                a.han,
                b.han,
                a.other,
                b.other,
                entry.unused_rows
            );
        }
        text += "\n## Text\n\n| Vocabulary | source | language | words | pieces | fertility | per \
                 eojeol | continued | UNK words | bytes/token |\n\
                 |---|---|---|--:|--:|--:|--:|--:|--:|--:|\n";
        for entry in &self.vocabularies {
            for (source, languages) in &entry.by_source {
                for (language, measures) in languages {
                    text += &line(&entry.name, source, language, measures);
                }
            }
            text += &line(&entry.name, "all", "all", &entry.total);
        }
        text += "\n## Shared tokens\n\n| Vocabulary | with | all | Hangul | Latin | digit | Han | \
                 other |\n|---|---|--:|--:|--:|--:|--:|--:|\n";
        for entry in &self.vocabularies {
            for Overlap { with, shared } in &entry.overlap {
                let _ = writeln!(
                    text,
                    "| {} | {with} | {} | {} | {} | {} | {} | {} |",
                    entry.name,
                    shared.total(),
                    shared.hangul,
                    shared.latin,
                    shared.digit,
                    shared.han,
                    shared.other
                );
            }
        }
        text
    }
}

fn line(name: &str, source: &str, language: &str, m: &TextMeasures) -> String {
    format!(
        "| {name} | {source} | {language} | {} | {} | {:.3} | {:.3} | {:.1}% | {:.3}% | {:.2} |\n",
        m.words,
        m.pieces,
        m.fertility,
        m.pieces_per_eojeol,
        100.0 * m.continued_word_rate,
        100.0 * m.unk_word_rate,
        m.bytes_per_token
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::{SPECIAL_TOKENS, TokenizerOptions, Vocab};

    fn tokenizer(words: &[&str]) -> Tokenizer {
        let tokens = SPECIAL_TOKENS.iter().chain(words).map(ToString::to_string).collect();
        Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::default())
    }

    #[test]
    fn words_are_the_same_for_every_vocabulary_and_pieces_are_not() {
        let vocabularies = [
            ("split".to_owned(), tokenizer(&["폐", "##렴", "CT", "##상", ".", "lung", "미"])),
            ("whole".to_owned(), tokenizer(&["폐렴", "CT", "##상", "CT상", "chest", "."])),
        ];
        let document = InputDocument {
            text: "폐렴 CT상 lung.".into(),
            source: "notes".into(),
            language: "mixed".into(),
            ..InputDocument::default()
        };
        let report = report(&vocabularies, [Ok::<_, Infallible>(document)]).unwrap();
        let totals: Vec<_> = report.vocabularies.iter().map(|entry| entry.total).collect();
        // 폐렴, CT, 상, lung and the stop.
        assert_eq!(totals.iter().map(|t| (t.words, t.eojeols)).collect::<Vec<_>>(), [(5, 3); 2]);
        let found: Vec<_> =
            totals.iter().map(|t| (t.pieces, t.continued_words, t.unk_words)).collect();
        assert_eq!(found, [(6, 1, 0), (4, 0, 1)]);
        let split = &report.vocabularies[0];
        assert_eq!((split.initial.hangul, split.continuation.hangul, split.unused_rows), (2, 2, 1));
        let shared = &split.overlap[0].shared;
        assert_eq!((shared.hangul, shared.latin, shared.other), (1, 1, 1));
        assert!(report.to_markdown().contains("| split | notes | mixed | 5 | 6 | 1.200 |"));
    }
}
