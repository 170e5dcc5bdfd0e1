//! The second pass: which documents are in the corpus, decided by their keys.
//!
//! Owns the order of the decisions and the funnel. It reads texts only where keys do not tell, and keys
//! as often as it needs them: in memory are ten bytes a document, here and in the clusters together,
//! and what each step bounds.

mod identity;
mod quota;

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, Read, Write};
use std::ops::Range;
use std::path::Path;

use bimed_artifact::{AtomicFile, Context, Hash, Unit};
use fs_err as fs;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::build::Job;
use crate::cluster::Clusters;
use crate::copy_forward::{Cut, cuts};
use crate::summary::{LanguageCounts, language_tag};
use crate::units::{Catalog, Keys, Mark, Section};
use crate::{
    CopyForwardSummary, CorpusSummary, DecontaminationSummary, Error, Reason, Result, Split,
};

/// Where the decisions lie between the passes, in the corpus's directory.
pub(crate) const DECISIONS: &str = "decisions.zst";

/// What is decided of a document: kept, or why not.
const KEPT: u8 = 0;
/// The reasons that are decided here; a fate is one more than the place.
const REASONS: [Reason; 7] = [
    Reason::Contaminated,
    Reason::ContaminatedVersion,
    Reason::ExactDuplicate,
    Reason::NearDuplicate,
    Reason::CopiedForward,
    Reason::OverQuota,
    Reason::DuplicateId,
];

/// Everything that is decided.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Decisions {
    /// The documents that it is about.
    pub(crate) about: Hash,
    /// Documents that stand for others, and for how many, ascending.
    duplicates: Vec<(u32, u64)>,
    /// Sentences to cut out of documents, ascending.
    cuts: Vec<(u32, Vec<Range<u32>>)>,
    pub(crate) summary: CorpusSummary,
    #[serde(skip)]
    fates: Vec<u8>,
}

impl Decisions {
    /// Why the document `number` is in no shard.
    pub(crate) fn reason(&self, number: usize) -> Option<Reason> {
        self.fates[number].checked_sub(1).map(|place| REASONS[place as usize])
    }

    pub(crate) fn duplicates(&self, number: usize) -> u64 {
        let found = self.duplicates.binary_search_by_key(&(number as u32), |one| one.0);
        found.map_or(0, |place| self.duplicates[place].1)
    }

    pub(crate) fn cut(&self, number: usize) -> Option<&[Range<u32>]> {
        let found = self.cuts.binary_search_by_key(&(number as u32), |one| one.0);
        found.ok().map(|place| self.cuts[place].1.as_slice())
    }

    pub(crate) fn write(&self, dir: &Path, context: &Context<'_>) -> Result<()> {
        let mut out = AtomicFile::create(&dir.join(DECISIONS))?;
        let mut encoder = zstd::Encoder::new(&mut out, 1)?;
        let head =
            serde_json::to_vec(self).map_err(|error| std::io::Error::other(error.to_string()))?;
        encoder.write_all(&head)?;
        encoder.write_all(b"\n")?;
        encoder.write_all(&self.fates)?;
        encoder.finish()?;
        Ok(out.commit_watched(context.progress)?)
    }

    pub(crate) fn read(dir: &Path, about: &Hash) -> Result<Self> {
        let path = dir.join(DECISIONS);
        let not_merged = || Error::NotMerged { path: path.clone() };
        let file = fs::File::open(&path).map_err(|_| not_merged())?;
        let mut reader = std::io::BufReader::new(zstd::Decoder::new(file)?);
        let mut head = Vec::new();
        reader.read_until(b'\n', &mut head)?;
        let mut decisions: Self = serde_json::from_slice(&head).map_err(|_| not_merged())?;
        reader.read_to_end(&mut decisions.fates)?;
        if decisions.about == *about { Ok(decisions) } else { Err(not_merged()) }
    }
}

/// The documents, as far as decisions go.
struct Merge<'a> {
    job: &'a Job<'a>,
    catalog: &'a Catalog,
    /// Of each document its fate.
    fates: Vec<u8>,
    /// Documents that stand for others, and for how many, ascending.
    duplicates: Vec<(u32, u64)>,
    /// By their documents, ascending.
    cuts: Vec<Cut>,
    decontamination: Option<DecontaminationSummary>,
    copy_forward: Option<CopyForwardSummary>,
}

/// Decides about the documents of `catalog`.
///
/// # Errors
/// When a source is not what its config says, a step that is on compares nothing, a unit cannot be
/// read, or the step is cancelled.
pub(crate) fn merge(
    job: &Job<'_>,
    catalog: &Catalog,
    about: &Hash,
    context: &Context<'_>,
) -> Result<Decisions> {
    job.check_sources(catalog)?;
    context.progress.begin("deduplicate", None, Unit::Documents);
    let mut merge = Merge {
        job,
        catalog,
        fates: vec![KEPT; catalog.len()],
        duplicates: Vec::new(),
        cuts: Vec::new(),
        decontamination: None,
        copy_forward: None,
    };
    merge.drop_repeated_ids(context)?;
    merge.decontaminate()?;
    merge.deduplicate(context)?;
    merge.cut_copies(context)?;
    merge.apply_quotas(context)?;
    context.progress.advance(catalog.len() as u64);
    context.progress.end();
    let summary = merge.summarize()?;
    let cuts = merge.cuts.into_iter().map(|cut| (cut.number as u32, cut.runs)).collect();
    let (duplicates, fates) = (merge.duplicates, merge.fates);
    Ok(Decisions { about: about.clone(), duplicates, cuts, summary, fates })
}

/// What of a document counts, once copies are cut out of it.
struct Sizes {
    words: u64,
    chars: u64,
    tokens: u64,
}

impl Merge<'_> {
    /// Reads the keys of all documents in order, with what is left of each.
    fn scan(&self, mut each: impl FnMut(usize, &Keys, Sizes)) -> Result<()> {
        let rates = &self.job.config.mix.tokens_per_char;
        let mut cuts = self.cuts.iter().peekable();
        self.catalog.scan(Section::Keys, |number, row| {
            let keys = Keys::read(row);
            let cut = cuts.next_if(|cut| cut.number == number);
            let (words, chars) = cut.map_or((0, 0), |cut| (cut.words, cut.chars));
            let left = keys.chars.saturating_sub(chars);
            let share = f64::from(left) / f64::from(keys.chars.max(1));
            let tokens = rates.tokens(&keys.script_counts()) * share;
            let words = keys.words.saturating_sub(words).into();
            each(number, &keys, Sizes { words, chars: left.into(), tokens: tokens.round() as u64 });
        })
    }

    fn drop(&mut self, number: usize, reason: Reason) {
        let place = REASONS.iter().position(|one| *one == reason).unwrap_or(0);
        self.fates[number] = place as u8 + 1;
    }

    fn require_documents(&self, step: &'static str) -> Result<()> {
        if self.fates.contains(&KEPT) { Ok(()) } else { Err(Error::ZeroEffect { step }) }
    }

    /// Documents that hold a sentence of an evaluation file, and their translations.
    fn decontaminate(&mut self) -> Result<()> {
        let Some(index) = &self.job.index else { return Ok(()) };
        self.require_documents("decontaminate")?;
        let mut held = Vec::new();
        self.catalog.scan(Section::Keys, |number, row| {
            if Keys::read(row).has(Mark::Contaminated) {
                held.push(number);
            }
        })?;
        let versions = self.versions(&held)?;
        held.iter().for_each(|number| self.drop(*number, Reason::Contaminated));
        let dropped_versions = versions.len() as u64;
        versions.iter().for_each(|number| self.drop(*number, Reason::ContaminatedVersion));
        self.decontamination = Some(DecontaminationSummary {
            files: self.job.config.decontaminate.len() as u64,
            sentences: index.len() as u64,
            compared: self.catalog.len() as u64,
            dropped: held.len() as u64 + dropped_versions,
            dropped_versions,
        });
        Ok(())
    }

    /// The other languages' versions of the documents `held`.
    fn versions(&self, held: &[usize]) -> Result<Vec<usize>> {
        // Sources that translate one another have the number of the first among them.
        let sources = self.job.sources;
        let text_of = |source: usize| {
            let original = sources[source].translates.as_ref();
            original.and_then(|name| sources.iter().position(|one| one.name == *name))
        };
        let family = |source: usize| text_of(source).unwrap_or(source);
        let has_versions: HashSet<usize> = (0..sources.len()).filter_map(text_of).collect();
        if has_versions.is_empty() {
            return Ok(Vec::new());
        }
        let mut identities = HashSet::new();
        for (number, keys) in held.iter().zip(self.catalog.keys(held)?) {
            identities.insert((family(self.catalog.run(*number).source), keys.identity));
        }
        let mut versions = Vec::new();
        self.catalog.scan(Section::Keys, |number, row| {
            let source = family(self.catalog.run(number).source);
            let keys = Keys::read(row);
            if has_versions.contains(&source)
                && !keys.has(Mark::Contaminated)
                && identities.contains(&(source, keys.identity))
            {
                versions.push(number);
            }
        })?;
        Ok(versions)
    }

    fn deduplicate(&mut self, context: &Context<'_>) -> Result<()> {
        let config = &self.job.config.deduplicate;
        let mut bytes = Vec::with_capacity(self.catalog.len());
        self.catalog.scan(Section::Keys, |_, row| bytes.push(Keys::read(row).bytes))?;
        let mut clusters = Clusters::new(
            self.fates.iter().map(|fate| *fate == KEPT),
            bytes,
            self.job.sorted_bytes,
        );
        if config.exact {
            self.require_documents("deduplicate.exact")?;
            clusters.join_exact(self.catalog, context)?;
        }
        if config.near {
            self.require_documents("deduplicate.near")?;
            clusters.join_near(self.catalog, config, context)?;
        }
        self.drop_copies(&clusters)
    }

    /// Keeps as many copies of a text as the source allows, at most one of each group.
    fn drop_copies(&mut self, clusters: &Clusters) -> Result<()> {
        let mut copies: Vec<(u32, u32)> = (0..self.fates.len())
            .map(|number| (clusters.head(number) as u32, number as u32))
            .filter(|(head, number)| head != number)
            .collect();
        copies.par_sort_unstable_by_key(|(head, number)| (*head, clusters.rank(*number as usize)));
        let max_copies: Vec<u32> = self
            .job
            .sources
            .iter()
            .map(|source| source.max_copies.unwrap_or(source.profile.max_copies()))
            .collect();
        for cluster in copies.chunk_by(|a, b| a.0 == b.0) {
            let head = cluster[0].0 as usize;
            let allowed = |number: usize| max_copies[self.catalog.run(number).source];
            let mut kept: Vec<u64> = Vec::new();
            let mut dropped = Vec::new();
            for number in cluster.iter().map(|(_, number)| *number as usize) {
                if (kept.len().max(1) as u32) < allowed(number) {
                    if kept.is_empty() {
                        kept.push(self.catalog.keys(&[head])?[0].group);
                    }
                    let group = self.catalog.keys(&[number])?[0].group;
                    if !kept.contains(&group) {
                        kept.push(group);
                        continue;
                    }
                }
                dropped.push(number);
            }
            for number in &dropped {
                let is_exact = clusters.is_exact(*number);
                let reason = if is_exact { Reason::ExactDuplicate } else { Reason::NearDuplicate };
                self.drop(*number, reason);
            }
            if !dropped.is_empty() {
                self.duplicates.push((head as u32, dropped.len() as u64));
            }
        }
        Ok(())
    }

    /// Cuts out what notes repeat; a note of which too little is left is dropped.
    fn cut_copies(&mut self, context: &Context<'_>) -> Result<()> {
        let sources = self.job.sources;
        if !sources.iter().any(|source| source.copy_forward) {
            return Ok(());
        }
        let is_asked = |number: usize| {
            self.fates[number] == KEPT && sources[self.catalog.run(number).source].copy_forward
        };
        let (found, summary) = cuts(self.catalog, is_asked, context)?;
        if summary.documents == 0 {
            return Err(Error::ZeroEffect { step: "copy_forward" });
        }
        for cut in found {
            let source = &sources[self.catalog.run(cut.number).source];
            let least = source.least_chars(self.job.config).max(1) as u32;
            let is_left =
                self.catalog.keys(&[cut.number])?[0].chars >= cut.chars.saturating_add(least);
            if !is_left {
                self.drop(cut.number, Reason::CopiedForward);
            }
            self.cuts.push(cut);
        }
        self.copy_forward = Some(summary);
        Ok(())
    }

    fn summarize(&self) -> Result<CorpusSummary> {
        let mut summary = self.job.read_summary(self.catalog);
        let mut rows: BTreeMap<(usize, String, Split), LanguageCounts> = BTreeMap::new();
        let mut run = 0;
        self.scan(|number, keys, sizes| {
            let runs = self.catalog.runs();
            while number >= runs[run].first + runs[run].documents {
                run += 1;
            }
            let place = runs[run].source;
            let source = &mut summary.sources[place];
            if let Some(reason) = self.fates[number].checked_sub(1) {
                let reason = REASONS[reason as usize];
                *source.rejected.entry(reason).or_default() += 1;
                *source.rejected_words.entry(reason).or_default() += sizes.words;
                return;
            }
            source.documents += 1;
            source.words += sizes.words;
            source.chars += sizes.chars;
            source.tokens += sizes.tokens;
            let split = if keys.has(Mark::Valid) { Split::Valid } else { Split::Train };
            let language = language_tag(keys.language).to_owned();
            rows.entry((place, language, split)).or_default().add(sizes.words, sizes.tokens);
        })?;
        summary.decontamination = self.decontamination.clone();
        summary.copy_forward = self.copy_forward.clone();
        summary.set_languages(rows);
        summary.warn(self.job.sources, &self.job.config.mix);
        Ok(summary)
    }
}
