//! Quotas and the mix: how much of each source and language stays.

use std::collections::BTreeMap;

use bimed_artifact::Context;
use rayon::prelude::*;

use super::{KEPT, Merge, Sizes};
use crate::mix::shares;
use crate::{Reason, Result};

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Words,
    Tokens,
}

impl Measure {
    fn of(self, sizes: &Sizes) -> u64 {
        match self {
            Self::Words => sizes.words,
            Self::Tokens => sizes.tokens,
        }
    }
}

/// What a limit is of: a source, or its documents in one language.
type Part = (usize, Option<u8>);

/// The one of two limits that is set.
fn limit(max_words: Option<u64>, max_tokens: Option<u64>) -> Option<(Measure, u64)> {
    let words = max_words.map(|max| (Measure::Words, max));
    words.or(max_tokens.map(|max| (Measure::Tokens, max)))
}

impl Merge<'_> {
    /// Drops what is over the quotas of sources, then what is over the shares of the mix.
    pub(super) fn apply_quotas(&mut self, context: &Context<'_>) -> Result<()> {
        for measure in [Measure::Words, Measure::Tokens] {
            let quotas = self.job.sources.iter().enumerate().filter_map(|(place, source)| {
                let (of, max) = limit(source.max_words, source.max_tokens)?;
                (of == measure).then_some(((place, None), max))
            });
            self.draw(measure, &quotas.collect(), context)?;
        }
        let mix = &self.job.config.mix;
        let Some((measure, max)) = limit(mix.max_words, mix.max_tokens) else { return Ok(()) };
        let mut sizes: BTreeMap<Part, u64> = BTreeMap::new();
        self.scan(|number, keys, size| {
            if self.fates[number] == KEPT {
                let part = (self.catalog.run(number).source, Some(keys.language));
                *sizes.entry(part).or_default() += measure.of(&size);
            }
        })?;
        let all: Vec<u64> = sizes.values().copied().collect();
        let shares = shares(&all, max, mix.temperature);
        let limits = sizes.into_iter().zip(shares).filter(|((_, size), share)| size > share);
        let limits = limits.map(|((part, _), share)| (part, share)).collect();
        self.draw(measure, &limits, context)
    }

    /// Takes documents in the order of their draws until each part has its share; one that does not
    /// fit is passed over, smaller ones after it may still fit.
    fn draw(
        &mut self,
        measure: Measure,
        limits: &BTreeMap<Part, u64>,
        context: &Context<'_>,
    ) -> Result<()> {
        if limits.is_empty() {
            return Ok(());
        }
        let mut taken: BTreeMap<Part, u64> = BTreeMap::new();
        // As many goes through the keys as memory asks for, each with the draws of a range.
        let bytes = self.catalog.len() * size_of::<(u64, u32, u64, Part)>();
        let goes = bytes.div_ceil(self.job.sorted_bytes).max(1) as u128;
        for go in 0..goes {
            context.cancel.check()?;
            let mut found: Vec<(u64, u32, u64, Part)> = Vec::new();
            self.scan(|number, keys, sizes| {
                if self.fates[number] != KEPT || (u128::from(keys.draw) * goes) >> 64 != go {
                    return;
                }
                let source = self.catalog.run(number).source;
                let of = |part: &Part| limits.contains_key(part);
                let parts = [(source, None), (source, Some(keys.language))];
                if let Some(part) = parts.into_iter().find(of) {
                    found.push((keys.draw, number as u32, measure.of(&sizes), part));
                }
            })?;
            found.par_sort_unstable();
            for (_, number, size, part) in found {
                let taken = taken.entry(part).or_default();
                if *taken + size <= limits[&part] {
                    *taken += size;
                } else {
                    self.drop(number as usize, Reason::OverQuota);
                }
            }
        }
        Ok(())
    }
}
