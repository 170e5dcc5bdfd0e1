//! Batches in order, from any place, ahead of the device.

use std::sync::mpsc;

use bimed_vocab::{SENTENCE_START, TokenStore, WORD_START};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::batch::{BatchCapacity, PackedBatch, Sample};
use super::counter::{Draws, Purpose, below};
use super::masking::{MaskVocabulary, mask_sample};
use super::packing::{BinCapacity, EpochPlan, plan_epoch};
use super::samples::SampleSet;
use crate::PretrainConfig;

/// Steps that are prepared before they are asked for, beside the one in the making.
const AHEAD: usize = 2;

/// A place in the data: all that a resumed run needs of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Passes completed.
    pub epoch: u64,
    /// Bins of this pass already used.
    pub bin: usize,
}

/// The data of one optimizer step.
#[derive(Debug, Clone)]
pub struct StepData {
    /// Its micro-batches.
    pub batches: Vec<PackedBatch>,
    /// Where the next step starts.
    pub next: Cursor,
    /// Passes over the data when the step is done, the one under way in part.
    pub epochs: f64,
}

/// Samples in packed order.
#[derive(Debug)]
pub struct Loader<'a> {
    store: &'a TokenStore,
    samples: &'a SampleSet,
    vocabulary: &'a MaskVocabulary,
    config: &'a PretrainConfig,
    seed: u64,
    plan: (u64, EpochPlan),
}

impl<'a> Loader<'a> {
    /// A loader over `samples` of `store`.
    pub fn new(
        store: &'a TokenStore,
        samples: &'a SampleSet,
        vocabulary: &'a MaskVocabulary,
        config: &'a PretrainConfig,
        seed: u64,
    ) -> Self {
        let plan = Self::plan_of(samples, config, seed, 0);
        Self { store, samples, vocabulary, config, seed, plan: (0, plan) }
    }

    fn plan_of(samples: &SampleSet, config: &PretrainConfig, seed: u64, epoch: u64) -> EpochPlan {
        plan_epoch(&samples.lengths, config.bin_capacity(), seed, epoch)
    }

    /// Bins of the first pass; later ones differ by a few.
    pub fn bins_per_epoch(&mut self) -> usize {
        self.turn_to(0);
        self.plan.1.num_bins()
    }

    fn turn_to(&mut self, epoch: u64) {
        if self.plan.0 != epoch {
            self.plan = (epoch, Self::plan_of(self.samples, self.config, self.seed, epoch));
        }
    }

    /// The data of the step at `cursor`.
    pub fn step(&mut self, mut cursor: Cursor) -> StepData {
        let mut bins: Vec<(u64, Vec<u32>)> = Vec::new();
        while bins.len() < self.config.bins_per_step() {
            self.turn_to(cursor.epoch);
            if cursor.bin < self.plan.1.num_bins() {
                bins.push((cursor.epoch, self.plan.1.bin(cursor.bin).to_vec()));
                cursor.bin += 1;
            } else {
                cursor = Cursor { epoch: cursor.epoch + 1, bin: 0 };
            }
        }
        let this = &*self;
        let bins: Vec<Vec<Sample>> = bins
            .into_par_iter()
            .map(|(epoch, samples)| {
                samples.into_iter().map(|sample| this.sample(epoch, sample)).collect()
            })
            .collect();
        let capacity = self.capacity();
        let batches = bins
            .chunks(self.config.bins_per_micro_batch())
            .map(|bins| PackedBatch::new(bins, capacity, self.vocabulary.pad));
        let epochs = cursor.epoch as f64 + cursor.bin as f64 / self.plan.1.num_bins() as f64;
        StepData { batches: batches.collect(), next: cursor, epochs }
    }

    fn capacity(&self) -> BatchCapacity {
        let bin_length = self.config.sequence_length;
        let bins = self.config.bins_per_micro_batch();
        let BinCapacity { masked, specials, .. } = self.config.bin_capacity();
        // A sample has at least one token and its specials.
        let samples = bins * (bin_length / (specials + 1)).max(1);
        BatchCapacity { bins, bin_length, masked: bins * masked, samples }
    }

    /// Sample `index` as epoch `epoch` sees it.
    fn sample(&self, epoch: u64, index: u32) -> Sample {
        let draws = Draws::new(self.seed, epoch, u64::from(index));
        let mut sample = self.bare(index, draws);
        let starts = sample.1;
        sample.0.masked = mask_sample(
            &mut sample.0.ids,
            &starts,
            self.vocabulary,
            self.config.mask_prob,
            self.config.whole_word_masking,
            draws,
        );
        sample.0
    }

    /// The tokens of a sample with their word starts: a span, or a pair of its halves.
    fn bare(&self, index: u32, draws: Draws) -> (Sample, Vec<bool>) {
        let MaskVocabulary { cls, sep, .. } = *self.vocabulary;
        let span = self.samples.spans[index as usize];
        let (mut ids, mut starts) = (vec![cls], vec![true]);
        let push = |range: std::ops::Range<u64>, ids: &mut Vec<u32>, starts: &mut Vec<bool>| {
            self.store.read_ids(range.clone(), ids);
            starts.extend(self.store.flags(range).iter().map(|flag| flag & WORD_START != 0));
        };
        let middle = self.config.next_sentence.then(|| self.sentence_start_near_middle(index));
        let Some(middle) = middle.flatten() else {
            push(span.range(), &mut ids, &mut starts);
            ids.push(sep);
            starts.push(true);
            let types = vec![0; ids.len()];
            return (Sample { ids, types, ..Sample::default() }, starts);
        };
        push(span.start..middle, &mut ids, &mut starts);
        ids.push(sep);
        starts.push(true);
        let (second, label) = self.second_segment(index, middle, draws);
        let first_length = ids.len();
        push(second, &mut ids, &mut starts);
        ids.push(sep);
        starts.push(true);
        let types = (0..ids.len()).map(|at| u8::from(at >= first_length)).collect();
        (Sample { ids, types, next_sentence: Some(label), ..Sample::default() }, starts)
    }

    /// The sentence start nearest the middle of a sample, where it has one inside.
    fn sentence_start_near_middle(&self, index: u32) -> Option<u64> {
        let span = self.samples.spans[index as usize];
        let flags = self.store.flags(span.range());
        let middle = flags.len() / 2;
        let starts = (1..flags.len()).filter(|&at| flags[at] & SENTENCE_START != 0);
        starts.min_by_key(|&at| (at.abs_diff(middle), at)).map(|at| span.start + at as u64)
    }

    /// What follows `middle`, or in half of all cases as much of another sample.
    fn second_segment(&self, index: u32, middle: u64, draws: Draws) -> (std::ops::Range<u64>, u8) {
        let span = self.samples.spans[index as usize];
        let end = span.range().end;
        let [coin, which, ..] = draws.words(Purpose::NextSentence, 0);
        let other = below(which, self.samples.spans.len() as u32);
        let other_span = self.samples.spans[other as usize];
        if coin & 1 == 0 || other_span.document == span.document {
            return (middle..end, 0);
        }
        let start = self.sentence_start_near_middle(other).unwrap_or(other_span.start);
        (start..(start + (end - middle)).min(other_span.range().end), 1)
    }

    /// Prepares the steps from `cursor` on a thread of its own, two ahead, while `consume` runs.
    /// `prepare` finishes a step there: it uploads, so that the device has a batch before it is asked
    /// for.
    pub fn ahead<T: Send, R>(
        mut self,
        mut cursor: Cursor,
        steps: u64,
        prepare: impl Fn(StepData) -> T + Send,
        consume: impl FnOnce(&mut dyn Iterator<Item = T>) -> R,
    ) -> R {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..steps {
                    let data = self.step(cursor);
                    cursor = data.next;
                    if sender.send(prepare(data)).is_err() {
                        break;
                    }
                }
            });
            let result = consume(&mut receiver.iter());
            drop(receiver);
            result
        })
    }
}
