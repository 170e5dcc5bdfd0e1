//! Token store → one vector a row of the vocabulary: tokens that stand in like company are alike.
//!
//! Positive pointwise mutual information of tokens that stand near each other, reduced to its leading
//! eigenvectors. The vectors serve to find, for a token that the base does not have, those that it
//! has and that are most like it.
//!
//! Invariant: counts are integers and sums have a fixed order, so that the bytes do not depend on the
//! number of threads. The text is that of the training split.
//!
//! Source: Levy, Goldberg and Dagan 2015, "Improving distributional similarity with lessons learned
//! from word embeddings". Differs from it: rare contexts are damped by the discount of Pantel and Lin
//! 2002, which is symmetric, in place of the smoothed context distribution, which is not.

use std::path::Path;

use bimed_artifact::{Context, Unit};
use bimed_checkpoint::{HostTensor, Weights, read_safetensors, write_safetensors};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::document::Split;
use crate::spectrum::{SparseMatrix, leading_vectors};
use crate::store::TokenStore;
use crate::{Error, Result};

/// The elements of a vector.
const DIMENSIONS: usize = 128;
/// How far apart two tokens of a pair may stand; a pair weighs 5 side by side and 1 at this distance.
const WINDOW: usize = 5;
/// A token that occurs less often has no vector. Source: FOCUS (Dobler and de Melo 2023), `minCount`.
const MIN_COUNT: u64 = 10;
/// Tokens that are read at most. The weights of one row then stay below 2³²: 30 a token.
const MAX_TOKENS: u64 = 100_000_000;
/// What stands in the text for a document's end, and for a token that takes no part.
const GAP: u32 = u32::MAX;

const FILE: &str = "vectors.safetensors";
const TENSOR: &str = "vectors";

/// A vector for each row of a vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenVectors {
    /// `[rows, 128]`; zeros for a row that occurs too rarely.
    pub vectors: HostTensor,
}

/// What [`TokenVectors::train`] read and made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VectorSummary {
    /// Tokens of the training split.
    pub tokens: u64,
    /// Those that were read: every n-th document where there are more than 100 million.
    pub tokens_read: u64,
    /// Rows with a vector.
    pub rows: usize,
    /// Rows without, since they occur less than ten times.
    pub rare_rows: usize,
    /// Pairs of rows that stand together more often than by chance.
    pub pairs: u64,
}

impl TokenVectors {
    /// Trains them on the training split of `store`.
    ///
    /// # Errors
    /// When the step is cancelled.
    pub fn train(
        store: &TokenStore,
        seed: u64,
        context: &Context<'_>,
    ) -> Result<(Self, VectorSummary)> {
        context.progress.begin("token vectors", None, Unit::Tokens);
        let text = Text::read(store, MAX_TOKENS);
        context.progress.advance(text.tokens_read);
        context.cancel.check()?;
        let matrix = text.matrix();
        let pairs = matrix.rows.iter().map(|(columns, _)| columns.len() as u64).sum();
        context.cancel.check()?;
        let dense = leading_vectors(&matrix, DIMENSIONS, seed);
        let mut data = vec![0.0; store.vocab_size() * DIMENSIONS];
        for (row, vector) in text.rows.iter().zip(dense.data.chunks_exact(DIMENSIONS)) {
            data[*row as usize * DIMENSIONS..][..DIMENSIONS].copy_from_slice(vector);
        }
        context.progress.end();
        let summary = VectorSummary {
            tokens: text.tokens,
            tokens_read: text.tokens_read,
            rows: text.rows.len(),
            rare_rows: store.vocab_size() - text.rows.len(),
            pairs,
        };
        let vectors = HostTensor::new([store.vocab_size(), DIMENSIONS], data);
        Ok((Self { vectors }, summary))
    }

    /// Writes `vectors.safetensors` into `dir`, which must exist.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let mut weights = Weights::default();
        weights.insert(TENSOR, self.vectors.clone());
        Ok(write_safetensors(&dir.join(FILE), &weights)?)
    }

    /// Reads what [`TokenVectors::save`] wrote.
    ///
    /// # Errors
    /// When the file cannot be read or holds something else.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let mut tensors = read_safetensors(&path)?.weights.tensors;
        match tensors.remove(TENSOR) {
            Some(vectors) if vectors.shape.len() == 2 => Ok(Self { vectors }),
            _ => Err(Error::Format {
                path,
                found: format!("no tensor `{TENSOR}` of two axes"),
                expected: "the vectors of a vocabulary".into(),
            }),
        }
    }
}

/// The tokens that are read, as numbers of the rows that take part.
#[derive(Debug)]
struct Text {
    /// The rows of the vocabulary that take part, ascending.
    rows: Vec<u32>,
    /// Documents one after another, a gap of [`WINDOW`] after each.
    tokens_of_text: Vec<u32>,
    tokens: u64,
    tokens_read: u64,
}

impl Text {
    /// Every n-th document of the training split of `store`, so many that `max_tokens` are not passed
    /// by much.
    fn read(store: &TokenStore, max_tokens: u64) -> Self {
        let documents: Vec<_> =
            store.documents().iter().filter(|document| document.split == Split::Train).collect();
        let tokens: u64 = documents.iter().map(|document| document.end - document.start).sum();
        let stride = tokens.div_ceil(max_tokens).max(1) as usize;
        let mut ids = Vec::new();
        let mut tokens_read = 0;
        for document in documents.into_iter().step_by(stride) {
            // A document longer than all that may be read is cut, not its neighbours lost.
            let room = max_tokens - tokens_read;
            let end = document.end.min(document.start + room);
            store.read_ids(document.start..end, &mut ids);
            ids.extend([GAP; WINDOW]);
            tokens_read += end - document.start;
        }
        let mut counts = vec![0_u64; store.vocab_size()];
        for &id in ids.iter().filter(|&&id| id != GAP) {
            counts[id as usize] += 1;
        }
        let rows: Vec<u32> =
            (0..counts.len() as u32).filter(|&row| counts[row as usize] >= MIN_COUNT).collect();
        let mut numbers = vec![GAP; counts.len()];
        for (number, &row) in (0_u32..).zip(&rows) {
            numbers[row as usize] = number;
        }
        for id in ids.iter_mut().filter(|id| **id != GAP) {
            *id = numbers[*id as usize];
        }
        Self { rows, tokens_of_text: ids, tokens, tokens_read }
    }

    /// The positive pointwise mutual information of the rows that stand together.
    fn matrix(&self) -> SparseMatrix {
        let (starts, places) = self.places();
        let size = self.rows.len();
        let places_of = |row: usize| &places[starts[row] as usize..starts[row + 1] as usize];
        let counted: Vec<(Vec<u32>, Vec<u32>)> = (0..size)
            .into_par_iter()
            .map_init(|| vec![0_u32; size], |sums, row| self.company(places_of(row), sums))
            .collect();
        let totals: Vec<f64> = counted
            .iter()
            .map(|(_, weights)| weights.iter().map(|&weight| f64::from(weight)).sum())
            .collect();
        let total: f64 = totals.iter().sum();
        let rows = counted
            .into_par_iter()
            .enumerate()
            .map(|(row, (columns, weights))| {
                let value = |(column, weight): (u32, u32)| {
                    let value = discounted_pmi(
                        f64::from(weight),
                        totals[row],
                        totals[column as usize],
                        total,
                    );
                    (value > 0.0).then_some((column, value as f32))
                };
                columns.into_iter().zip(weights).filter_map(value).unzip()
            })
            .collect();
        SparseMatrix { rows }
    }

    /// Where each row stands in the text: of row `r`, `places[starts[r]..starts[r + 1]]`.
    fn places(&self) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0_u32; self.rows.len() + 1];
        for &token in self.tokens_of_text.iter().filter(|&&token| token != GAP) {
            starts[token as usize + 1] += 1;
        }
        for row in 0..self.rows.len() {
            starts[row + 1] += starts[row];
        }
        let mut next = starts.clone();
        let mut places = vec![0_u32; starts[self.rows.len()] as usize];
        for (place, &token) in (0_u32..).zip(&self.tokens_of_text) {
            if token != GAP {
                let slot = &mut next[token as usize];
                places[*slot as usize] = place;
                *slot += 1;
            }
        }
        (starts, places)
    }

    /// The rows around `places`, ascending, with their weights. `sums` is zero before and after.
    fn company(&self, places: &[u32], sums: &mut [u32]) -> (Vec<u32>, Vec<u32>) {
        let mut columns = Vec::new();
        let mut add = |token: u32, weight: usize| {
            if token != GAP {
                let sum = &mut sums[token as usize];
                if *sum == 0 {
                    columns.push(token);
                }
                *sum += weight as u32;
            }
        };
        for &place in places {
            let place = place as usize;
            for distance in 1..=WINDOW {
                let weight = WINDOW + 1 - distance;
                // Behind the last token there is always a gap.
                add(self.tokens_of_text[place + distance], weight);
                if let Some(before) = place.checked_sub(distance) {
                    add(self.tokens_of_text[before], weight);
                }
            }
        }
        columns.sort_unstable();
        let weights = columns.iter().map(|&column| std::mem::take(&mut sums[column as usize]));
        let weights = weights.collect();
        (columns, weights)
    }
}

/// The pointwise mutual information of two rows that stand together with weight `both`, less where
/// either is rare.
fn discounted_pmi(both: f64, one: f64, other: f64, total: f64) -> f64 {
    let rarer = one.min(other);
    let discount = both / (both + 1.0) * rarer / (rarer + 1.0);
    discount * (both * total / (one * other)).ln()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bimed_artifact::{Cancel, Silent};

    use super::*;
    use crate::{
        EncodeConfig, InputDocument, SPECIAL_TOKENS, Tokenizer, TokenizerOptions, Vocab, encode,
    };

    const WORDS: [&str; 9] =
        ["폐렴", "lung", "소견", "보임", "영화", "movie", "재미", "있다", "무릎"];

    /// Notes and reviews: `lung` stands where `폐렴` does, `movie` where `영화` does.
    fn store(dir: &Path) -> TokenStore {
        let texts = ["폐렴 소견 보임", "lung 소견 보임", "영화 재미 있다", "movie 재미 있다"];
        let document = |text: &str, split| InputDocument {
            text: text.into(),
            source: "notes".into(),
            split,
            ..InputDocument::default()
        };
        let train = (0..80).map(|number| document(texts[number % 4], Split::Train));
        let valid = (0..40).map(|_| document("무릎 영화 lung", Split::Valid));
        let tokens = SPECIAL_TOKENS.iter().chain(&WORDS).map(ToString::to_string).collect();
        let tokenizer = Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::default());
        let cancel = Cancel::new();
        let context = Context::new(&Silent, &cancel);
        let documents = train.chain(valid).map(Ok::<_, Infallible>);
        encode(documents, &tokenizer, &EncodeConfig::default(), dir, &context).unwrap();
        TokenStore::open(dir).unwrap()
    }

    fn train(store: &TokenStore) -> (TokenVectors, VectorSummary) {
        let cancel = Cancel::new();
        TokenVectors::train(store, 7, &Context::new(&Silent, &cancel)).unwrap()
    }

    fn cosine(vectors: &TokenVectors, one: &str, other: &str) -> f32 {
        let row = |word: &str| {
            let at = WORDS.iter().position(|known| *known == word).unwrap();
            vectors.vectors.row(SPECIAL_TOKENS.len() + at)
        };
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let (a, b) = (row(one), row(other));
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn tokens_in_like_company_are_alike_across_languages() {
        let dir = tempfile::tempdir().unwrap();
        let (vectors, summary) = train(&store(dir.path()));
        assert!(cosine(&vectors, "폐렴", "lung") > cosine(&vectors, "폐렴", "movie") + 0.5);
        assert!(cosine(&vectors, "영화", "movie") > cosine(&vectors, "영화", "폐렴") + 0.5);
        // `무릎` stands in held-out documents alone.
        assert!(vectors.vectors.row(13).iter().all(|&value| value == 0.0));
        assert_eq!((summary.tokens, summary.tokens_read), (240, 240));
        assert_eq!((summary.rows, summary.rare_rows), (8, 6));
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes_and_they_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(&store).0)
        };
        let one = on(1);
        for threads in [1, 2, 8] {
            assert_eq!(one, on(threads));
        }
        one.save(dir.path()).unwrap();
        assert_eq!(TokenVectors::load(dir.path()).unwrap(), one);
    }

    #[test]
    fn too_much_text_is_read_by_every_nth_document_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let text = Text::read(&store(dir.path()), 100);
        // 240 tokens in 80 documents: every third, 27 of them.
        assert_eq!((text.tokens, text.tokens_read), (240, 81));
    }

    #[test]
    fn pairs_are_weighed_by_distance_and_end_with_the_document() {
        let dir = tempfile::tempdir().unwrap();
        let text = Text::read(&store(dir.path()), MAX_TOKENS);
        let (starts, places) = text.places();
        let number = |row: u32| text.rows.iter().position(|&known| known == row).unwrap();
        let lung = number(6);
        let mut sums = vec![0; text.rows.len()];
        let around = &places[starts[lung] as usize..starts[lung + 1] as usize];
        let (columns, weights) = text.company(around, &mut sums);
        assert_eq!(columns, [number(7) as u32, number(8) as u32]);
        assert_eq!(weights, [20 * 5, 20 * 4]);
        assert!(sums.iter().all(|&sum| sum == 0));
    }
}
