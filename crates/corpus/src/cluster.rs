//! Which documents are copies of which: exact ones by their hash, near ones by their signatures.
//!
//! Works on keys that lie on disk. Beside a few bytes a document, memory is bounded by
//! [`Clusters::new`]'s `sorted_bytes`: hashes are sorted in as many goes as that takes.
//!
//! Invariant: of two copies the longer is preferred, then the one that comes first; the outcome is
//! a function of the documents alone.

use std::cmp::Reverse;

use bimed_artifact::Context;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::near::{agreement, jaccard, shingles};
use crate::units::{Catalog, Section};
use crate::{DeduplicateConfig, Result};

/// In a bucket, a document is compared with at most this many preferred ones.
const MAX_COMPARED: usize = 8;
/// Pairs whose signatures are compared at once.
const PAIRS_AT_ONCE: usize = 1 << 17;
/// Bytes of texts that are compared at once.
const TEXT_BYTES: usize = 64 << 20;
/// At this estimate or above, no text is looked at.
const CERTAIN: f64 = 0.9;
/// Texts of fewer bytes have too few shingles for an estimate, and are always looked at.
const SHORT_BYTES: u32 = 1000;
/// Further below the threshold than four standard errors of an estimate by 112 minima.
const MARGIN: f64 = 0.15;

/// For every document, the one that stands for it; itself where it stands for itself.
pub(crate) struct Clusters {
    parent: Vec<u32>,
    /// [`ALIVE`] and [`EXACT`].
    flags: Vec<u8>,
    bytes: Vec<u32>,
    sorted_bytes: usize,
}

/// The document is looked at.
const ALIVE: u8 = 1;
/// It has the very text of its parent.
const EXACT: u8 = 2;

impl Clusters {
    /// Every document for itself; those that are not alive are never looked at.
    pub(crate) fn new(
        is_alive: impl Iterator<Item = bool>,
        bytes: Vec<u32>,
        sorted_bytes: usize,
    ) -> Self {
        let parent = (0..bytes.len() as u32).collect();
        Self { parent, flags: is_alive.map(u8::from).collect(), bytes, sorted_bytes }
    }

    /// The document at the head of the cluster of `number`.
    pub(crate) fn head(&self, mut number: usize) -> usize {
        while self.parent[number] as usize != number {
            number = self.parent[number] as usize;
        }
        number
    }

    /// Whether it has the very text of another that is preferred.
    pub(crate) fn is_exact(&self, number: usize) -> bool {
        self.flags[number] & EXACT != 0
    }

    /// Less is preferred.
    pub(crate) fn rank(&self, number: usize) -> (Reverse<u32>, usize) {
        (Reverse(self.bytes[number]), number)
    }

    fn is_open(&self, number: usize) -> bool {
        self.flags[number] & ALIVE != 0 && self.parent[number] as usize == number
    }

    /// Joins documents of the same text.
    ///
    /// # Errors
    /// When a unit cannot be read, or the step is cancelled.
    pub(crate) fn join_exact(&mut self, catalog: &Catalog, context: &Context<'_>) -> Result<()> {
        let goes =
            (catalog.len() * size_of::<(u128, u32)>()).div_ceil(self.sorted_bytes).max(1) as u128;
        for go in 0..goes {
            context.cancel.check()?;
            let mut found: Vec<(u128, u32)> = with_room(catalog.len(), goes);
            catalog.scan(Section::Exact, |number, row| {
                let mut bytes = [0; 16];
                bytes.copy_from_slice(row);
                let hash = u128::from_le_bytes(bytes);
                if self.is_open(number) && hash % goes == go {
                    found.push((hash, number as u32));
                }
            })?;
            found.par_sort_unstable();
            for same in found.chunk_by(|a, b| a.0 == b.0) {
                for (_, number) in &same[1..] {
                    self.parent[*number as usize] = same[0].1;
                    self.flags[*number as usize] |= EXACT;
                }
            }
        }
        Ok(())
    }

    /// Joins documents whose similarity reaches the threshold, band after band.
    ///
    /// # Errors
    /// When a unit cannot be read, or the step is cancelled.
    pub(crate) fn join_near(
        &mut self,
        catalog: &Catalog,
        config: &DeduplicateConfig,
        context: &Context<'_>,
    ) -> Result<()> {
        let signature = Section::Signature(2 * config.bands * config.rows);
        let open = (0..catalog.len()).filter(|number| self.is_open(*number)).count().max(1);
        let of_band = open * size_of::<(u64, u32)>();
        let at_once = (self.sorted_bytes / of_band).clamp(1, config.bands);
        // A band that is too large alone is sorted by ranges of its keys.
        let goes = of_band.div_ceil(self.sorted_bytes) as u128;
        for first in (0..config.bands).step_by(at_once) {
            for go in 0..goes {
                let bands = first..(first + at_once).min(config.bands);
                let mut keys: Vec<Vec<(u64, u32)>> =
                    bands.clone().map(|_| with_room(open, goes)).collect();
                catalog.scan(signature, |number, row| {
                    if self.is_open(number) {
                        for (keys, band) in keys.iter_mut().zip(bands.clone()) {
                            let begin = 2 * band * config.rows;
                            let key = xxh3_64(&row[begin..begin + 2 * config.rows]);
                            if goes == 1 || (u128::from(key) * goes) >> 64 == go {
                                keys.push((key, number as u32));
                            }
                        }
                    }
                })?;
                for band in keys {
                    self.join_band(band, catalog, config, context)?;
                }
            }
        }
        Ok(())
    }

    fn join_band(
        &mut self,
        mut keys: Vec<(u64, u32)>,
        catalog: &Catalog,
        config: &DeduplicateConfig,
        context: &Context<'_>,
    ) -> Result<()> {
        keys.retain(|(_, number)| self.is_open(*number as usize));
        keys.par_sort_unstable_by_key(|(key, number)| (*key, self.rank(*number as usize)));
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for bucket in keys.chunk_by(|a, b| a.0 == b.0) {
            for (place, (_, later)) in bucket.iter().enumerate() {
                let preferred = bucket[..place].iter().take(MAX_COMPARED);
                pairs.extend(preferred.map(|(_, preferred)| (*later, *preferred)));
            }
            if pairs.len() >= PAIRS_AT_ONCE {
                self.join_pairs(&std::mem::take(&mut pairs), catalog, config, context)?;
            }
        }
        self.join_pairs(&pairs, catalog, config, context)
    }

    /// Joins the pairs that are similar, in their order, unless one of the two is joined by then.
    fn join_pairs(
        &mut self,
        pairs: &[(u32, u32)],
        catalog: &Catalog,
        config: &DeduplicateConfig,
        context: &Context<'_>,
    ) -> Result<()> {
        if pairs.is_empty() {
            return Ok(());
        }
        context.cancel.check()?;
        let numbers = numbers(pairs);
        let width = 2 * config.bands * config.rows;
        let rows = catalog.rows(Section::Signature(width), &numbers)?;
        let row = |number: u32| {
            let place = numbers.binary_search(&(number as usize)).unwrap_or(0);
            &rows[place * width..(place + 1) * width]
        };
        let estimates: Vec<f64> =
            pairs.par_iter().map(|(a, b)| agreement(row(*a), row(*b))).collect();
        let unsure: Vec<(u32, u32)> = pairs
            .iter()
            .zip(&estimates)
            .filter(|(pair, estimate)| self.is_unsure(**pair, **estimate, config))
            .map(|(pair, _)| *pair)
            .collect();
        let mut exact = self.similarities(&unsure, catalog, config)?.into_iter();
        for ((later, preferred), estimate) in pairs.iter().zip(estimates) {
            let is_similar = if self.is_unsure((*later, *preferred), estimate, config) {
                exact.next().is_some_and(|similarity| similarity >= config.near_threshold)
            } else {
                estimate >= config.near_threshold
            };
            let (later, preferred) = (*later as usize, *preferred as usize);
            if is_similar && self.is_open(later) && self.is_open(preferred) {
                self.parent[later] = preferred as u32;
            }
        }
        Ok(())
    }

    /// Whether an estimate does not tell on which side of the threshold a pair is.
    fn is_unsure(&self, pair: (u32, u32), estimate: f64, config: &DeduplicateConfig) -> bool {
        let bytes = self.bytes[pair.0 as usize].min(self.bytes[pair.1 as usize]);
        let certain = CERTAIN.max(config.near_threshold + 0.05);
        estimate > config.near_threshold - MARGIN && (estimate < certain || bytes < SHORT_BYTES)
    }

    /// The similarity of each pair, by the texts.
    fn similarities(
        &self,
        pairs: &[(u32, u32)],
        catalog: &Catalog,
        config: &DeduplicateConfig,
    ) -> Result<Vec<f64>> {
        let mut similarities = Vec::with_capacity(pairs.len());
        let mut rest = pairs;
        while !rest.is_empty() {
            let mut bytes = 0;
            let full = rest.iter().position(|(later, preferred)| {
                bytes += self.bytes[*later as usize] as usize;
                bytes += self.bytes[*preferred as usize] as usize;
                bytes > TEXT_BYTES
            });
            let (batch, after) = rest.split_at(full.unwrap_or(rest.len()).max(1));
            let numbers = numbers(batch);
            let texts = catalog.texts(&numbers)?;
            let sets: Vec<Vec<u64>> =
                texts.par_iter().map(|text| shingles(text, config.shingle_words)).collect();
            let set = |number: u32| &sets[numbers.binary_search(&(number as usize)).unwrap_or(0)];
            similarities.par_extend(batch.par_iter().map(|(a, b)| jaccard(set(*a), set(*b))));
            rest = after;
        }
        Ok(similarities)
    }
}

/// Room for what one of so many goes finds of `rows`: a vector that grows takes up to thrice as much.
pub(crate) fn with_room<T>(rows: usize, goes: u128) -> Vec<T> {
    let share = rows.div_ceil(usize::try_from(goes).unwrap_or(usize::MAX));
    Vec::with_capacity(if goes > 1 { share + share / 64 + 1024 } else { share })
}

/// The documents of `pairs`, ascending, each once.
fn numbers(pairs: &[(u32, u32)]) -> Vec<usize> {
    let mut numbers: Vec<usize> =
        pairs.iter().flat_map(|(a, b)| [*a as usize, *b as usize]).collect();
    numbers.par_sort_unstable();
    numbers.dedup();
    numbers
}
