//! Records of one file that share an identifier: the first of them stays.
//!
//! Identifiers of two files are not compared: many a publisher counts from 1 in each.

use bimed_artifact::Context;
use rayon::prelude::*;

use super::Merge;
use crate::cluster::with_room;
use crate::units::{Keys, Section};
use crate::{Reason, Result};

/// A document: its file and identifier, its record, its number.
type Found = (u32, u64, u32, u32);

impl Merge<'_> {
    /// Drops the records whose file has one of the same identifier before them.
    ///
    /// # Errors
    /// When a unit cannot be read, or the step is cancelled.
    pub(super) fn drop_repeated_ids(&mut self, context: &Context<'_>) -> Result<()> {
        let has_ids: Vec<bool> = self.job.sources.iter().map(|one| one.id.is_some()).collect();
        if !has_ids.contains(&true) {
            return Ok(());
        }
        let goes = (self.catalog.len() * size_of::<Found>()).div_ceil(self.job.sorted_bytes) as u64;
        for go in 0..goes {
            context.cancel.check()?;
            let mut found: Vec<Found> = with_room(self.catalog.len(), goes.into());
            let (runs, mut run) = (self.catalog.runs(), 0);
            self.catalog.scan(Section::Keys, |number, row| {
                while number >= runs[run].first + runs[run].documents {
                    run += 1;
                }
                let keys = Keys::read(row);
                if has_ids[runs[run].source] && keys.identity % goes == go {
                    let file = runs[run].file as u32;
                    found.push((file, keys.identity, keys.record, number as u32));
                }
            })?;
            found.par_sort_unstable();
            for same in found.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
                // A record that was cut into several documents has them all.
                for one in same.iter().filter(|one| one.2 != same[0].2) {
                    self.drop(one.3 as usize, Reason::DuplicateId);
                }
            }
        }
        Ok(())
    }
}
