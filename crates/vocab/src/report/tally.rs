//! The counts of one vocabulary over the documents.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::code_mix::CodeMix;
use super::measures::TextMeasures;
use super::{DocumentFrequency, VocabularyReport};
use crate::document::InputDocument;
use crate::pieces::{RowsByScript, is_reserved, surface, token_script, whole_script};
use crate::tokenizer::Tokenizer;

/// The order of the Rényi entropy. Source: Zouhar et al. 2023, section 5.
const ALPHA: f64 = 2.5;

/// The first number of documents of each class.
const CLASSES: [u64; 8] = [0, 1, 2, 5, 11, 101, 1001, 10_001];

pub(super) struct Tally {
    by_source: BTreeMap<String, BTreeMap<String, TextMeasures>>,
    code_mix: CodeMix,
    /// Occurrences of each row.
    tokens: Vec<u64>,
    /// Documents with each row.
    documents: Vec<u64>,
}

impl Tally {
    pub(super) fn new(tokenizer: &Tokenizer) -> Self {
        let rows = tokenizer.vocab().len();
        Self {
            by_source: BTreeMap::new(),
            code_mix: CodeMix::default(),
            tokens: vec![0; rows],
            documents: vec![0; rows],
        }
    }

    pub(super) fn add(&mut self, tokenizer: &Tokenizer, batch: &[InputDocument]) {
        let unk = tokenizer.vocab().specials().unk;
        let measure = |document: &InputDocument| {
            let encoding = tokenizer.encode_with_words(&document.text);
            let measures = TextMeasures::of(&document.text, &encoding, unk);
            let code_mix = CodeMix::of(&document.text, &encoding, unk);
            let mut ids = encoding.ids;
            ids.sort_unstable();
            (measures, code_mix, ids)
        };
        let measured: Vec<_> = batch.par_iter().map(measure).collect();
        for (document, (measures, code_mix, ids)) in batch.iter().zip(measured) {
            let languages = self.by_source.entry(document.source.clone()).or_default();
            languages.entry(document.language.clone()).or_default().add(&measures);
            self.code_mix.add(&code_mix);
            for same in ids.chunk_by(|a, b| a == b) {
                self.tokens[same[0] as usize] += same.len() as u64;
                self.documents[same[0] as usize] += 1;
            }
        }
    }

    /// The report, without terms and overlap.
    pub(super) fn finish(mut self, name: &str, tokenizer: &Tokenizer) -> VocabularyReport {
        let vocab = tokenizer.vocab();
        let composition = vocab.composition();
        let (mut initial_whole, mut continuation_whole) = Default::default();
        let mut unused = RowsByScript::default();
        let mut unused_rows = 0;
        let rows = (0_u32..).zip(vocab.tokens()).filter(|(id, _)| !vocab.specials().contains(*id));
        for (id, token) in rows {
            let is_unused = self.tokens[id as usize] == 0;
            unused_rows += usize::from(is_unused);
            if is_reserved(token) {
                continue;
            }
            *unused.of(token_script(token)) += usize::from(is_unused);
            let whole: &mut RowsByScript =
                if surface(token).0 { &mut continuation_whole } else { &mut initial_whole };
            *whole.of(whole_script(token)) += 1;
        }
        let mut total = TextMeasures::default();
        let mut by_language: BTreeMap<String, TextMeasures> = BTreeMap::new();
        for (language, measures) in self.by_source.values_mut().flatten() {
            total.add(measures);
            by_language.entry(language.clone()).or_default().add(measures);
            *measures = measures.rated();
        }
        by_language.values_mut().for_each(|measures| *measures = measures.rated());
        VocabularyReport {
            name: name.to_owned(),
            rows: vocab.len(),
            initial: composition.initial,
            continuation: composition.continuation,
            initial_whole,
            continuation_whole,
            reserved_rows: composition.reserved,
            unused_rows,
            unused,
            renyi_efficiency: renyi_efficiency(&self.tokens),
            total: total.rated(),
            by_language,
            code_mix: self.code_mix.rated(),
            document_frequency: self.document_frequency(tokenizer),
            by_source: self.by_source,
            terms: Vec::new(),
            overlap: Vec::new(),
        }
    }

    fn document_frequency(&self, tokenizer: &Tokenizer) -> Vec<DocumentFrequency> {
        let specials = tokenizer.vocab().specials();
        let ends = CLASSES[1..].iter().map(|next| Some(next - 1)).chain([None]);
        let mut classes: Vec<DocumentFrequency> = CLASSES
            .iter()
            .zip(ends)
            .map(|(&from, to)| DocumentFrequency { from, to, rows: 0 })
            .collect();
        let rows = (0_u32..).zip(&self.documents).filter(|(id, _)| !specials.contains(*id));
        for (_, documents) in rows {
            classes[CLASSES.partition_point(|from| from <= documents) - 1].rows += 1;
        }
        classes
    }
}

/// The Rényi entropy of the tokens over its largest value, that of equally frequent rows.
fn renyi_efficiency(tokens: &[u64]) -> f64 {
    let total: u64 = tokens.iter().sum();
    if total == 0 || tokens.len() < 2 {
        return 0.0;
    }
    let share = |count: &u64| (*count as f64 / total as f64).powf(ALPHA);
    let entropy = tokens.iter().map(share).sum::<f64>().ln() / (1.0 - ALPHA);
    entropy / (tokens.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equally_frequent_rows_are_fully_efficient() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}: rounding");
        close(renyi_efficiency(&[7; 32]), 1.0);
        close(renyi_efficiency(&[9, 0, 0, 0]), 0.0);
        // Half, a quarter, a quarter.
        let sum = 0.5_f64.powf(2.5) + 2.0 * 0.25_f64.powf(2.5);
        close(renyi_efficiency(&[2, 1, 1]), sum.ln() / -1.5 / 3.0_f64.ln());
    }
}
