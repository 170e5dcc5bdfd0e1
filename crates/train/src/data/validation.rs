//! What is scored at every validation: the same text and the same masked words, whatever the
//! vocabulary.

use std::collections::BTreeMap;

use bimed_vocab::{DocumentEntry, Split, TokenStore, WORD_START};

use super::batch::{BatchCapacity, PackedBatch, Sample};
use super::counter::{Draws, Purpose};
use super::masking::{MaskVocabulary, Masked};
use super::samples::cut;

/// Words of a document that are scored at most, so that one book is not all there is.
const MAX_WORDS_PER_DOCUMENT: usize = 1_000;

/// The share of words that is masked.
const MASKED_SHARE: f64 = 0.15;

/// Bits that a character under `[UNK]` costs: a uniform choice among 2¹⁴, about the 11,172 Hangul
/// syllables and everything else that is common. Without it `[UNK]` would look free.
pub const UNKNOWN_CHARACTER_BITS: f64 = 14.0;

/// The masked samples of one language, or of another group of documents.
#[derive(Debug, Clone, Default)]
pub struct ValidationSet {
    /// The batches.
    pub batches: Vec<PackedBatch>,
    /// NFC characters of the words that are predicted.
    pub masked_chars: u64,
    /// NFC characters of masked words that are `[UNK]`: not predicted, counted at
    /// [`UNKNOWN_CHARACTER_BITS`].
    pub unknown_chars: u64,
    /// Documents that text was taken from.
    pub num_documents: usize,
}

/// What a group's text is taken from while it is collected.
#[derive(Default)]
struct Collected {
    samples: Vec<Sample>,
    chars: u64,
    set: ValidationSet,
}

/// The size and shape of a validation.
#[derive(Debug, Clone, Copy)]
pub struct ValidationShape {
    /// The longest sample, special tokens included.
    pub sequence_length: usize,
    /// Tokens on the device at a time.
    pub micro_batch_tokens: usize,
    /// NFC characters a group, at most.
    pub chars: u64,
    /// The seed of the choice of documents and words. It does not depend on the run's, so that runs
    /// are compared on the same words.
    pub seed: u64,
}

/// Chooses documents of the validation split by hash and masks whole words by hash of (document,
/// place), language by language.
///
/// Words are the tokenizer's words (script runs and punctuation marks), so that every vocabulary
/// over the same corpus is asked for the same characters.
pub fn validation_sets(
    store: &TokenStore,
    vocabulary: &MaskVocabulary,
    shape: ValidationShape,
) -> BTreeMap<String, ValidationSet> {
    validation_sets_by(store, vocabulary, shape, MASKED_SHARE, |document| {
        store.languages()[usize::from(document.language)].clone()
    })
}

/// As [`validation_sets`], with the share `masked_share` of the words masked, group by group: a
/// document belongs to the group that `group_of` names.
///
/// A word that is chosen in one grouping is chosen in every other that has it.
pub fn validation_sets_by(
    store: &TokenStore,
    vocabulary: &MaskVocabulary,
    shape: ValidationShape,
    masked_share: f64,
    group_of: impl Fn(&DocumentEntry) -> String,
) -> BTreeMap<String, ValidationSet> {
    let draws = |document: usize| Draws::new(shape.seed, 0, document as u64);
    let is_valid = |index: &usize| store.documents()[*index].split == Split::Valid;
    let mut order: Vec<usize> = (0..store.documents().len()).filter(is_valid).collect();
    order.sort_by_cached_key(|&index| (draws(index).word(Purpose::Validate, 0), index));
    let mut collected: BTreeMap<String, Collected> = BTreeMap::new();
    for index in order {
        let entry = collected.entry(group_of(&store.documents()[index])).or_default();
        if entry.chars < shape.chars {
            entry.take(store, index, vocabulary, shape, masked_share, draws(index));
        }
    }
    let finish = |entry: Collected| entry.finish(vocabulary.pad, shape);
    collected
        .into_iter()
        .map(|(group, entry)| (group, finish(entry)))
        .filter(|(_, set)| !set.batches.is_empty())
        .collect()
}

impl Collected {
    fn take(
        &mut self,
        store: &TokenStore,
        index: usize,
        vocabulary: &MaskVocabulary,
        shape: ValidationShape,
        masked_share: f64,
        draws: Draws,
    ) {
        let document = &store.documents()[index];
        let end = self.end_of_text(store, document.start..document.end, shape.chars);
        // A word is named by the characters before it: a vocabulary that joins two words into one
        // token then differs in these two alone.
        let mut chars_before = 0;
        for range in cut(store, document.start..end, shape.sequence_length as u64 - 2) {
            let mut ids = vec![vocabulary.cls];
            store.read_ids(range.clone(), &mut ids);
            let flags = store.flags(range.clone());
            let chars = store.chars(range);
            let mut masked = Masked::default();
            let mut is_masked = false;
            for (at, (flag, &chars)) in flags.iter().zip(chars).enumerate() {
                if flag & WORD_START != 0 {
                    let draw = draws.word(Purpose::Mask, chars_before) as f64 / u64::MAX as f64;
                    is_masked = draw < masked_share;
                }
                chars_before += usize::from(chars);
                let id = ids[at + 1];
                if !is_masked {
                    continue;
                }
                if vocabulary.never.contains(&id) {
                    self.set.unknown_chars += u64::from(chars);
                } else {
                    self.set.masked_chars += u64::from(chars);
                    masked.positions.push(at + 1);
                    masked.labels.push(id);
                    ids[at + 1] = vocabulary.mask;
                }
            }
            ids.push(vocabulary.sep);
            let types = vec![0; ids.len()];
            self.samples.push(Sample { ids, types, masked, next_sentence: None });
        }
        self.set.num_documents += 1;
    }

    /// Where the text of a document ends that is scored: after so many words or characters.
    fn end_of_text(
        &mut self,
        store: &TokenStore,
        range: std::ops::Range<u64>,
        max_chars: u64,
    ) -> u64 {
        let mut words = 0;
        for (at, (flag, &chars)) in
            store.flags(range.clone()).iter().zip(store.chars(range.clone())).enumerate()
        {
            if flag & WORD_START != 0 {
                words += 1;
                if words > MAX_WORDS_PER_DOCUMENT || self.chars >= max_chars {
                    return range.start + at as u64;
                }
            }
            self.chars += u64::from(chars);
        }
        range.end
    }

    /// Packs the samples in order, each into the open bin or the next.
    fn finish(mut self, pad: u32, shape: ValidationShape) -> ValidationSet {
        let bins_per_batch = (shape.micro_batch_tokens / shape.sequence_length).max(1);
        let mut bins: Vec<Vec<Sample>> = Vec::new();
        let mut room = 0;
        for sample in std::mem::take(&mut self.samples) {
            match bins.last_mut() {
                Some(bin) if sample.ids.len() <= room => {
                    room -= sample.ids.len();
                    bin.push(sample);
                }
                _ => {
                    room = shape.sequence_length - sample.ids.len();
                    bins.push(vec![sample]);
                }
            }
        }
        let masked =
            |bin: &Vec<Sample>| bin.iter().map(|s| s.masked.positions.len()).sum::<usize>();
        let largest = |count: &dyn Fn(&Vec<Sample>) -> usize| {
            bins.chunks(bins_per_batch)
                .map(|bins| bins.iter().map(count).sum::<usize>())
                .max()
                .unwrap_or(0)
        };
        let capacity = BatchCapacity {
            bins: bins_per_batch,
            bin_length: shape.sequence_length,
            masked: largest(&masked).max(1),
            samples: largest(&Vec::len),
        };
        self.set.batches =
            bins.chunks(bins_per_batch).map(|bins| PackedBatch::new(bins, capacity, pad)).collect();
        self.set
    }
}
