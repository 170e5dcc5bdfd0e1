//! Keeps sentences of evaluation files out of the corpus.
//!
//! A sentence is reduced to its letters and digits in lower case. A document is contaminated when
//! one of its sentences equals an evaluation sentence, or when the document holds most of an
//! evaluation sentence's character n-grams: word n-grams miss short sentence pairs.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use bimed_text::{FoldOptions, normalize};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::decode::read_text;
use crate::{DecontaminationConfig, Document, Error, Result};

/// Fields of fewer words are labels, not sentences.
const MIN_WORDS: usize = 3;
/// Bits of the filter for each n-gram.
const FILTER_BITS: usize = 16;
/// Sentences with fewer distinct n-grams are compared as a whole only.
const MIN_NGRAMS: usize = 8;

/// The sentences of the evaluation files.
pub(crate) struct Index {
    sentences: HashSet<u64>,
    /// A bit for each n-gram's hash: most of a document's need not be looked up.
    filter: Vec<u64>,
    /// n-gram to the sentences that hold it.
    ngrams: HashMap<u64, Vec<u32>>,
    /// Distinct n-grams of each sentence.
    sizes: Vec<u32>,
    config: DecontaminationConfig,
}

impl Index {
    /// The index of `paths`.
    pub(crate) fn read(
        paths: &[PathBuf],
        fold: &FoldOptions,
        config: &DecontaminationConfig,
    ) -> Result<Self> {
        let mut index = Self {
            sentences: HashSet::new(),
            filter: Vec::new(),
            ngrams: HashMap::new(),
            sizes: Vec::new(),
            config: config.clone(),
        };
        for path in paths {
            let mut found = 0;
            for field in fields(path)? {
                let field = normalize(&field, fold);
                for (start, end) in bimed_text::sentences(&field) {
                    found += u64::from(index.add(&field[start..end]));
                }
                found += u64::from(index.add(&field));
            }
            if found == 0 {
                return Err(Error::NothingToDecontaminate { path: path.clone() });
            }
        }
        index.fill_filter();
        Ok(index)
    }

    fn fill_filter(&mut self) {
        let bits = (self.ngrams.len() * FILTER_BITS).next_power_of_two().max(64);
        self.filter = vec![0; bits / 64];
        for ngram in self.ngrams.keys() {
            let (word, bit) = self.place(*ngram);
            self.filter[word] |= bit;
        }
    }

    /// The word of the filter and the bit in it.
    fn place(&self, ngram: u64) -> (usize, u64) {
        ((ngram >> 6) as usize & (self.filter.len() - 1), 1 << (ngram & 63))
    }

    /// Distinct sentences.
    pub(crate) fn len(&self) -> usize {
        self.sentences.len()
    }

    fn add(&mut self, sentence: &str) -> bool {
        let reduced = reduce(sentence);
        if sentence.split_whitespace().count() < MIN_WORDS
            || reduced.chars().count() < self.config.min_chars
        {
            return false;
        }
        if self.sentences.insert(xxh3_64(reduced.as_bytes())) {
            let ngrams = distinct(ngrams(&reduced, self.config.ngram_chars));
            if ngrams.len() >= MIN_NGRAMS {
                let number = self.sizes.len() as u32;
                self.sizes.push(ngrams.len() as u32);
                for ngram in ngrams {
                    self.ngrams.entry(ngram).or_default().push(number);
                }
            }
        }
        true
    }

    /// Whether `document` holds a sentence of the files.
    pub(crate) fn is_in(&self, document: &Document) -> bool {
        let same = document.sentences.iter().any(|(start, end)| {
            let reduced = reduce(&document.text[*start..*end]);
            self.sentences.contains(&xxh3_64(reduced.as_bytes()))
        });
        if same {
            return true;
        }
        let reduced = reduce(&document.text);
        let passes = |ngram: &u64| {
            let (word, bit) = self.place(*ngram);
            self.filter[word] & bit != 0
        };
        let found = distinct(ngrams(&reduced, self.config.ngram_chars).filter(passes));
        let mut hits: HashMap<u32, u32> = HashMap::new();
        for ngram in found {
            for sentence in self.ngrams.get(&ngram).into_iter().flatten() {
                *hits.entry(*sentence).or_default() += 1;
            }
        }
        hits.iter().any(|(sentence, count)| {
            let size = f64::from(self.sizes[*sentence as usize]);
            f64::from(*count) >= self.config.min_containment * size
        })
    }
}

fn reduce(text: &str) -> String {
    text.chars()
        .filter(|character| character.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// The hash of every `width` characters in a row.
fn ngrams(text: &str, width: usize) -> impl Iterator<Item = u64> {
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]).skip(width);
    text.char_indices().zip(ends).map(|((begin, _), end)| xxh3_64(&text.as_bytes()[begin..end]))
}

fn distinct(hashes: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut hashes: Vec<u64> = hashes.collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// Every field of a table, string of a JSON file, or line of a text file.
fn fields(path: &Path) -> Result<Vec<String>> {
    let text = read_text(path, "auto")?.text;
    let name = path.to_string_lossy();
    let mut fields = Vec::new();
    if name.contains(".json") {
        let values = serde_json::from_str::<Value>(&text).map(|value| vec![value]);
        let values = values.unwrap_or_else(|_| {
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
        });
        values.iter().for_each(|value| strings(value, &mut fields));
    } else if name.contains(".csv") && !text.lines().next().unwrap_or_default().contains('\t') {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        for row in reader.records().flatten() {
            fields.extend(row.iter().map(str::to_owned));
        }
    } else {
        fields.extend(text.lines().flat_map(|line| line.split('\t')).map(str::to_owned));
    }
    Ok(fields)
}

fn strings(value: &Value, fields: &mut Vec<String>) {
    match value {
        Value::String(text) => fields.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, fields)),
        Value::Object(items) => items.values().for_each(|item| strings(item, fields)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(lines: &str, name: &str) -> Result<Index> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs_err::write(&path, lines).unwrap();
        Index::read(&[path], &FoldOptions::default(), &DecontaminationConfig::default())
    }

    fn check(index: &Index, text: &str, expected: bool) {
        let document = crate::build::test_document(text);
        assert_eq!(index.is_in(&document), expected, "{text}");
    }

    #[test]
    fn sentences_and_rewordings_are_found() {
        let table = "genre\tscore\ts1\ts2\nnews\t4.5\t환자는 폐렴으로 입원하였다.\tThe patient was admitted to the ward with severe pneumonia.\n";
        let index = index(table, "sts.tsv").unwrap();
        assert_eq!(index.len(), 2);
        check(&index, "경과 기록. 환자는 폐렴으로 입원하였다! 호전됨.", true);
        check(&index, "(the patient was admitted to the ward, with severe pneumonia) 이후", true);
        check(&index, "The patient was discharged. 환자는 폐렴으로 사망하였다.", false);
    }

    #[test]
    fn json_and_csv_fields_are_read_and_labels_are_not() {
        let json = index(
            "[{\"a\": \"no acute cardiopulmonary process\", \"label\": \"neutral\"}]",
            "a.json",
        );
        assert_eq!(json.unwrap().len(), 1);
        let csv = index("id,text\n1,\"폐렴, 양측 하엽에 보임\"\n", "a.csv").unwrap();
        assert_eq!(csv.len(), 1);
        assert!(matches!(
            index("label\nneutral\n", "a.tsv"),
            Err(Error::NothingToDecontaminate { .. })
        ));
    }
}
