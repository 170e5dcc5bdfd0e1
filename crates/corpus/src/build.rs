//! The pipeline in three passes: extract to units, decide by keys, write.
//!
//! Owns what a job is and the order of its passes. Each pass can be a process of its own: `map` one
//! for every rank, then `merge`, then `finalize`; [`build`] does all three.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use bimed_artifact::{Context, Hash, KeyBuilder, SourceLineage, hash_bytes, hash_file};
use fs_err as fs;

use crate::clean::{check_reported, mask_tokens};
use crate::decontaminate::Index;
use crate::finalize::finalize;
use crate::map::pieces;
use crate::merge::{Decisions, merge};
use crate::mix::Keyed;
use crate::units::{Catalog, Journal, Run};
use crate::{
    CorpusConfig, CorpusSummary, EndedApproval, Error, Format, Reason, Result, ScannedFile,
    SourceConfig, SourceSummary, scan,
};

/// Bytes of a unit before compression, and of a part of a file.
const UNIT_BYTES: u64 = 32 << 20;

/// Bytes of keys that are sorted at once: with more, they are read in several goes.
const SORTED_BYTES: usize = 256 << 20;

/// Which of all files a process extracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// This process among [`Self::world`], from 0.
    pub rank: usize,
    /// How many processes there are, at least 1.
    pub world: usize,
}

impl Share {
    /// All of them.
    pub const ALL: Self = Self { rank: 0, world: 1 };

    pub(crate) fn journal(self) -> String {
        format!("journal-{}-of-{}.jsonl", self.rank, self.world)
    }

    /// The places of its files, ascending. The largest file goes first to the rank that has least.
    pub(crate) fn files(self, files: &[ScannedFile]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by_key(|place| std::cmp::Reverse(files[*place].bytes));
        let mut loads = vec![0; self.world.max(1)];
        let mut mine = Vec::new();
        for place in order {
            let least = (0..loads.len()).min_by_key(|rank| loads[*rank]).unwrap_or(0);
            // A file costs something even where it is empty.
            loads[least] += files[place].bytes + 1;
            if least == self.rank {
                mine.push(place);
            }
        }
        mine.sort_unstable();
        mine
    }
}

/// A corpus that is to be built.
pub struct Job<'a> {
    pub(crate) sources: &'a [SourceConfig],
    pub(crate) config: &'a CorpusConfig,
    pub(crate) files: Vec<ScannedFile>,
    /// What decides what is made of each file.
    pub(crate) pieces: Vec<Hash>,
    pub(crate) index: Option<Index>,
    /// Hashes of those who withdrew.
    pub(crate) excluded: HashSet<u64>,
    pub(crate) keyed: Keyed,
    /// The directory of units.
    pub(crate) units: PathBuf,
    pub(crate) unit_bytes: u64,
    /// Bytes of keys that are sorted at once.
    pub(crate) sorted_bytes: usize,
}

impl std::fmt::Debug for Job<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Job").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl<'a> Job<'a> {
    /// The corpus of `files`, which [`scan`] found for `sources`. `units` is a directory that
    /// outlives the job: what is extracted there is found again, by this and by other jobs.
    ///
    /// # Errors
    /// When the configs have faults (all at once), or a file they name cannot be read.
    pub fn new(
        sources: &'a [SourceConfig],
        config: &'a CorpusConfig,
        files: Vec<ScannedFile>,
        units: &Path,
    ) -> Result<Self> {
        check_configs(sources, config)?;
        let index = if config.decontaminate.is_empty() {
            None
        } else {
            Some(Index::read(&config.decontaminate, &config.fold, &config.decontamination)?)
        };
        let keyed = Keyed::new(&config.split);
        let mut job = Self {
            sources,
            config,
            files,
            pieces: Vec::new(),
            index,
            excluded: HashSet::new(),
            keyed,
            units: units.to_path_buf(),
            unit_bytes: UNIT_BYTES,
            sorted_bytes: SORTED_BYTES,
        };
        for id in excluded_ids(config)? {
            job.excluded.insert(job.keyed.number("subject", &[&id]));
        }
        job.pieces = pieces(&job.key()?, &job);
        Ok(job)
    }

    /// The same with units of another size, before compression. The corpus does not depend on it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_unit_bytes(mut self, bytes: u64) -> Result<Self> {
        self.unit_bytes = bytes.max(1);
        self.pieces = pieces(&self.key()?, &self);
        Ok(self)
    }

    /// The hash of all but the files and the sources that decides what is extracted.
    fn key(&self) -> Result<Hash> {
        let mut config = self.config.clone();
        // What is decided later, by keys.
        config.max_broken = 0.0;
        config.deduplicate.exact = false;
        config.deduplicate.near_threshold = 0.0;
        (config.mix, config.shard) = Default::default();
        config.exclude_ids = None;
        config.identifiers.max_reported = None;
        let mut key = KeyBuilder::new("extract", 1);
        if let Some(path) = config.identifiers.names.take() {
            key.part("names", hash_file(&path)?.as_str().as_bytes());
        }
        for path in std::mem::take(&mut config.decontaminate) {
            key.part("decontaminate", hash_file(&path)?.as_str().as_bytes());
        }
        key.config("config", &config);
        key.part("unit_bytes", &self.unit_bytes.to_le_bytes());
        Ok(key.finish())
    }

    /// Decides which documents are in the corpus and leaves that in `out`, for [`Self::finalize`].
    /// The summary is the corpus's, but for its shards.
    ///
    /// # Errors
    /// When not all is extracted, a source is not what its config says, a step that is on compares
    /// nothing, or the step is cancelled.
    pub fn merge(&self, out: &Path, context: &Context<'_>) -> Result<CorpusSummary> {
        let (catalog, about) = self.catalog()?;
        bimed_artifact::create_private_dir(out)?;
        // What an interrupted run decided of these documents stands.
        if let Ok(decisions) = Decisions::read(out, &about) {
            return Ok(decisions.summary);
        }
        let decisions = merge(self, &catalog, &about, context)?;
        decisions.write(out, context)?;
        Ok(decisions.summary)
    }

    /// Writes the corpus into `out`, where [`Self::merge`] left its decisions.
    ///
    /// # Errors
    /// When there are none of these documents, the disk is full, or the step is cancelled.
    pub fn finalize(&self, out: &Path, context: &Context<'_>) -> Result<CorpusSummary> {
        let (catalog, about) = self.catalog()?;
        let decisions = Decisions::read(out, &about)?;
        finalize(self, &catalog, decisions, out, context)
    }

    /// All documents in order, and what they are known by.
    fn catalog(&self) -> Result<(Catalog, Hash)> {
        let mut journal = Journal::open(&self.units, None)?;
        journal.forget_stale(&self.excluded, true)?;
        let places = self.places(&journal)?;
        let mut about = KeyBuilder::new("documents", 1);
        for (_, _, unit, entry) in &places {
            let unit = &journal.units[*unit];
            about.part(&unit.unit, &(*entry as u64).to_le_bytes());
        }
        about.config("sources", &self.sources).config("config", self.config);
        Ok((Catalog::new(&self.units, journal.units, places), about.finish()))
    }

    /// What reading gave, source by source.
    pub(crate) fn read_summary(&self, catalog: &Catalog) -> CorpusSummary {
        let mut summary = CorpusSummary::default();
        let named = |source: &SourceConfig| SourceSummary {
            name: source.name.clone(),
            ..SourceSummary::default()
        };
        summary.sources = self.sources.iter().map(named).collect();
        for run in catalog.runs() {
            let report = &catalog.entry(run).report;
            summary.sources[run.source].add(&report.summary);
            summary.folds.add(&report.folds);
        }
        summary.mask_tokens = mask_tokens(self.sources, self.config, &summary.sources);
        summary.lineage = self.sources.iter().map(lineage).collect();
        let tiers = self.sources.iter().map(|source| source.access_tier);
        summary.access_tier = tiers.max().unwrap_or_default();
        if !self.excluded.is_empty() {
            summary.withdrawn = Some(self.withdrawn().to_string());
        }
        summary
    }

    /// The hash of the list of those who withdrew.
    fn withdrawn(&self) -> Hash {
        let mut hashes: Vec<u64> = self.excluded.iter().copied().collect();
        hashes.sort_unstable();
        let bytes: Vec<u8> = hashes.into_iter().flat_map(u64::to_le_bytes).collect();
        hash_bytes(&bytes)
    }

    /// A source of which much is broken, or no record has the fields, is not what its config says.
    pub(crate) fn check_sources(&self, catalog: &Catalog) -> Result<()> {
        let summaries = self.read_summary(catalog).sources;
        let mut without_fields: BTreeMap<usize, (&Run, &Vec<String>)> = BTreeMap::new();
        for run in catalog.runs() {
            if let Some(found) = &catalog.entry(run).report.without_fields {
                without_fields.entry(run.source).or_insert((run, found));
            }
        }
        for (place, (run, found)) in without_fields {
            let (source, summary) = (&self.sources[place], &summaries[place]);
            if summary.rejected.get(&Reason::MissingField) == Some(&summary.records) {
                return Err(Error::missing_fields(
                    self.files[run.file].path.clone(),
                    if source.format == Format::Xml { "elements" } else { "fields" },
                    found.clone(),
                    source.record.iter().chain(&source.text).cloned().collect(),
                    source,
                ));
            }
        }
        summaries.iter().try_for_each(|summary| self.check_broken(summary))?;
        check_reported(self.sources, self.config, &summaries)
    }

    fn check_broken(&self, summary: &SourceSummary) -> Result<()> {
        let reasons: BTreeMap<&str, u64> = summary
            .rejected
            .iter()
            .filter(|(reason, _)| reason.is_broken())
            .map(|(reason, count)| (reason.name(), *count))
            .collect();
        let broken: u64 = reasons.values().sum();
        let (records, max_broken) = (summary.records, self.config.max_broken);
        if broken > 1 && broken as f64 > max_broken * records as f64 {
            let reasons: Vec<String> =
                reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            return Err(Error::TooMuchBroken {
                source_name: summary.name.clone(),
                broken,
                records,
                reasons: reasons.join(", "),
                max_broken,
            });
        }
        Ok(())
    }
}

/// Builds a corpus from `sources` into the directory `out`, by way of units in `units`.
///
/// # Errors
/// When the configs have faults or paths are missing (all at once), a table lacks a column, a step
/// that is on compares nothing, the disk is full, or the step is cancelled. What was committed to
/// `units` stands, and another call goes on from there.
pub fn build(
    sources: &[SourceConfig],
    config: &CorpusConfig,
    units: &Path,
    out: &Path,
    context: &Context<'_>,
) -> Result<CorpusSummary> {
    check_configs(sources, config)?;
    let job = Job::new(sources, config, scan(sources)?, units)?;
    job.map(Share::ALL, context)?;
    job.merge(out, context)?;
    job.finalize(out, context)
}

/// Refuses sources whose approval ended before the day `today`, `YYYY-MM-DD`.
///
/// # Errors
/// [`Error::ApprovalsEnded`], with all of them.
pub fn check_approvals(sources: &[SourceConfig], today: &str) -> Result<()> {
    let ended = |source: &SourceConfig| {
        let expires = source.approval_expires.clone().filter(|last| last.as_str() < today)?;
        let approval = source.approval.clone().unwrap_or_default();
        Some(EndedApproval { source: source.name.clone(), approval, expires })
    };
    let approvals: Vec<EndedApproval> = sources.iter().filter_map(ended).collect();
    if approvals.is_empty() { Ok(()) } else { Err(Error::ApprovalsEnded { approvals }) }
}

/// The identifiers of those who withdrew: one a line, `#` begins a comment.
fn excluded_ids(config: &CorpusConfig) -> Result<Vec<String>> {
    let Some(path) = &config.exclude_ids else { return Ok(Vec::new()) };
    let text = fs::read_to_string(path)?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

fn check_configs(sources: &[SourceConfig], config: &CorpusConfig) -> Result<()> {
    let mut faults: Vec<String> = Vec::new();
    let mut names = HashMap::new();
    for (number, source) in sources.iter().enumerate() {
        let found = source.faults().into_iter();
        faults.extend(found.map(|(key, message)| format!("`source[{number}].{key}` {message}")));
        if let Some(first) = names.insert(&source.name, number) {
            let name = &source.name;
            faults
                .push(format!("`source[{number}].name` is `{name}`, as is `source[{first}].name`"));
        }
    }
    for (number, source) in sources.iter().enumerate() {
        if let Some(name) = source.translates.as_ref().filter(|name| !names.contains_key(name)) {
            let key = format!("`source[{number}].translates`");
            faults.push(format!("{key} is `{name}`, expected the name of a source"));
        }
    }
    let found = config.faults().into_iter();
    faults.extend(found.map(|(key, message)| format!("`{key}` {message}")));
    let excluded = config.exclude_ids.iter().map(|path| ("exclude_ids", path));
    let evaluation = config.decontaminate.iter().map(|path| ("decontaminate", path));
    for (key, path) in evaluation.chain(excluded).filter(|(_, path)| !path.is_file()) {
        faults.push(format!("`{key}` names `{}`, expected a file", path.display()));
    }
    if sources.is_empty() {
        faults.push("found 0 sources, expected at least 1".into());
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Config { faults }) }
}

fn lineage(source: &SourceConfig) -> SourceLineage {
    SourceLineage {
        name: source.name.clone(),
        licence: source.licence.clone(),
        access_tier: source.access_tier,
        approval: source.approval.clone(),
    }
}

#[cfg(test)]
pub(crate) use tests::test_document;

#[cfg(test)]
mod tests;
