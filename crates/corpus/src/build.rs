//! The pipeline: scan, extract, normalise, tag, deduplicate, decontaminate, mix, write.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bimed_artifact::{Context, SourceLineage, Unit, write_atomic};
use bimed_text::FoldCounts;
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use crate::card::card;
use crate::clean::{check_reported, mask_tokens};
use crate::decontaminate::Index;
use crate::extract::{Extractor, FileResult};
use crate::near::near_duplicates;
use crate::shard::{write_documents, write_rejected};
use crate::{
    CorpusConfig, CorpusSummary, DecontaminationSummary, Document, Error, Format, LanguageRow,
    Reason, Rejected, Result, ScannedFile, SourceConfig, SourceSummary, scan,
};

/// Builds a corpus from `sources` into the existing, empty directory `out`.
///
/// # Errors
/// When the configs have faults or paths are missing (all at once), a table lacks a column, a step
/// that is on compares nothing, the directory cannot be written, or the step is cancelled.
pub fn build(
    sources: &[SourceConfig],
    config: &CorpusConfig,
    out: &Path,
    context: &Context<'_>,
) -> Result<CorpusSummary> {
    check_configs(sources, config)?;
    let index = if config.decontaminate.is_empty() {
        None
    } else {
        Some(Index::read(&config.decontaminate, &config.fold, &config.decontamination)?)
    };
    let files = scan(sources)?;
    let mut pipeline = Pipeline::read(sources, config, &files, context)?;
    pipeline.drop_exact_duplicates()?;
    pipeline.drop_near_duplicates(context)?;
    pipeline.decontaminate(index.as_ref(), context)?;
    pipeline.apply_quotas();
    let mut summary = pipeline.summarize();
    summary.shards = write_documents(out, &pipeline.documents, &config.shard, context)?;
    write_rejected(out, pipeline.rejected, &config.shard, context)?;
    write_atomic(&out.join("card.md"), card(&summary, sources).as_bytes())?;
    Ok(summary)
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
    let found = config.faults().into_iter();
    faults.extend(found.map(|(key, message)| format!("`{key}` {message}")));
    faults.extend(
        config
            .decontaminate
            .iter()
            .filter(|path| !path.is_file())
            .map(|path| format!("`decontaminate` names `{}`, expected a file", path.display())),
    );
    if sources.is_empty() {
        faults.push("found 0 sources, expected at least 1".into());
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Config { faults }) }
}

struct Pipeline<'a> {
    sources: &'a [SourceConfig],
    config: &'a CorpusConfig,
    extractor: Extractor<'a>,
    /// What is kept so far, in the order of sources, files and records.
    documents: Vec<Document>,
    rejected: Vec<Rejected>,
    summaries: Vec<SourceSummary>,
    folds: FoldCounts,
    decontamination: Option<DecontaminationSummary>,
}

impl<'a> Pipeline<'a> {
    fn read(
        sources: &'a [SourceConfig],
        config: &'a CorpusConfig,
        files: &[ScannedFile],
        context: &Context<'_>,
    ) -> Result<Self> {
        let mut pipeline = Self {
            sources,
            config,
            extractor: Extractor::new(sources, config)?,
            documents: Vec::new(),
            rejected: Vec::new(),
            summaries: Vec::new(),
            folds: FoldCounts::default(),
            decontamination: None,
        };
        pipeline.summaries = sources
            .iter()
            .map(|source| SourceSummary { name: source.name.clone(), ..Default::default() })
            .collect();
        let bytes = files.iter().map(|file| file.bytes).sum();
        context.progress.begin("read sources", Some(bytes), Unit::Bytes);
        let results: Vec<Result<FileResult>> = files
            .par_iter()
            .map(|file| {
                context.cancel.check()?;
                let result = pipeline.extractor.file(file)?;
                context.progress.advance(file.bytes);
                Ok(result)
            })
            .collect();
        let mut without_fields = BTreeMap::new();
        for (file, result) in files.iter().zip(results) {
            let result = result?;
            if let Some(found) = result.without_fields {
                without_fields.entry(file.source_index).or_insert((file, found));
            }
            pipeline.documents.extend(result.documents);
            pipeline.rejected.extend(result.rejected);
            pipeline.folds.add(&result.folds);
            add(&mut pipeline.summaries[file.source_index], result.summary);
        }
        context.progress.end();
        pipeline.check_fields(without_fields)?;
        pipeline.check_broken()?;
        check_reported(sources, config, &pipeline.summaries)?;
        Ok(pipeline)
    }

    /// Some files may lack the configured fields; a source of which all do has a wrong config.
    fn check_fields(
        &self,
        without_fields: BTreeMap<usize, (&ScannedFile, Vec<String>)>,
    ) -> Result<()> {
        for (place, (file, found)) in without_fields {
            let source = &self.sources[place];
            let missing = |one: &&Rejected| one.reason == Reason::MissingField;
            let rejected = self.rejected.iter().filter(|one| one.source == source.name);
            if rejected.filter(missing).count() as u64 == self.summaries[place].records {
                return Err(Error::MissingFields {
                    path: file.path.clone(),
                    kind: if source.format == Format::Xml { "elements" } else { "fields" },
                    found,
                    needed: source.record.iter().chain(&source.text).cloned().collect(),
                });
            }
        }
        Ok(())
    }

    /// A source may have some broken records; one that is broken in large part is not what its
    /// config says.
    fn check_broken(&self) -> Result<()> {
        for (source, summary) in self.sources.iter().zip(&self.summaries) {
            let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
            let broken = |one: &&Rejected| one.source == source.name && one.reason.is_broken();
            for one in self.rejected.iter().filter(broken) {
                *reasons.entry(one.reason.name()).or_default() += 1;
            }
            let broken: u64 = reasons.values().sum();
            let records = summary.records;
            if broken > 1 && broken as f64 > self.config.max_broken * records as f64 {
                let reasons: Vec<String> =
                    reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
                return Err(Error::TooMuchBroken {
                    source_name: source.name.clone(),
                    broken,
                    records,
                    reasons: reasons.join(", "),
                    max_broken: self.config.max_broken,
                });
            }
        }
        Ok(())
    }

    fn drop_exact_duplicates(&mut self) -> Result<()> {
        if !self.config.deduplicate.exact {
            return Ok(());
        }
        self.require_documents("deduplicate.exact")?;
        let hashes: Vec<u128> =
            self.documents.par_iter().map(|document| xxh3_128(document.text.as_bytes())).collect();
        let mut first = HashMap::with_capacity(hashes.len());
        let kept_instead: Vec<Option<usize>> = hashes
            .iter()
            .enumerate()
            .map(|(index, hash)| {
                let kept = *first.entry(*hash).or_insert(index);
                (kept != index).then_some(kept)
            })
            .collect();
        self.drop_duplicates(&kept_instead, Reason::ExactDuplicate);
        Ok(())
    }

    fn drop_near_duplicates(&mut self, context: &Context<'_>) -> Result<()> {
        if !self.config.deduplicate.near {
            return Ok(());
        }
        self.require_documents("deduplicate.near")?;
        context.cancel.check()?;
        let total = self.documents.len() as u64;
        context.progress.begin("near duplicates", Some(total), Unit::Documents);
        let texts: Vec<&str> = self.documents.iter().map(|one| one.text.as_str()).collect();
        let kept_instead = near_duplicates(&texts, &self.config.deduplicate);
        self.drop_duplicates(&kept_instead, Reason::NearDuplicate);
        context.progress.advance(total);
        context.progress.end();
        Ok(())
    }

    fn drop_duplicates(&mut self, kept_instead: &[Option<usize>], reason: Reason) {
        for (index, kept) in kept_instead.iter().enumerate() {
            if let Some(kept) = *kept {
                self.documents[kept].duplicates += 1 + self.documents[index].duplicates;
            }
        }
        let drop: Vec<bool> = kept_instead.iter().map(Option::is_some).collect();
        self.reject(&drop, reason);
    }

    fn decontaminate(&mut self, index: Option<&Index>, context: &Context<'_>) -> Result<()> {
        let Some(index) = index else { return Ok(()) };
        self.require_documents("decontaminate")?;
        context.cancel.check()?;
        let compared = self.documents.len() as u64;
        context.progress.begin("decontaminate", Some(compared), Unit::Documents);
        let drop = index.contaminated(&self.documents);
        let dropped = drop.iter().filter(|drop| **drop).count() as u64;
        self.reject(&drop, Reason::Contaminated);
        let files = self.config.decontaminate.len() as u64;
        let sentences = index.len() as u64;
        self.decontamination = Some(DecontaminationSummary { files, sentences, compared, dropped });
        context.progress.advance(compared);
        context.progress.end();
        Ok(())
    }

    fn apply_quotas(&mut self) {
        for source in self.sources {
            let Some(max_words) = source.max_words else { continue };
            let (places, sizes): (Vec<usize>, Vec<(&str, u64)>) = self
                .documents
                .iter()
                .enumerate()
                .filter(|(_, document)| document.source == source.name)
                .map(|(place, document)| (place, (document.doc_id.as_str(), document.num_words)))
                .unzip();
            let within = self.extractor.keyed.within_quota(&sizes, max_words);
            let mut drop = vec![false; self.documents.len()];
            places.iter().zip(within).for_each(|(place, within)| drop[*place] = !within);
            self.reject(&drop, Reason::OverQuota);
        }
    }

    fn reject(&mut self, drop: &[bool], reason: Reason) {
        let documents = std::mem::take(&mut self.documents);
        for (document, drop) in documents.into_iter().zip(drop) {
            if *drop {
                self.rejected.push(Rejected::document(reason, document));
            } else {
                self.documents.push(document);
            }
        }
    }

    fn require_documents(&self, step: &'static str) -> Result<()> {
        if self.documents.is_empty() { Err(Error::ZeroEffect { step }) } else { Ok(()) }
    }

    fn summarize(&mut self) -> CorpusSummary {
        let mut rows: BTreeMap<(usize, String, crate::Split), (u64, u64)> = BTreeMap::new();
        let places: HashMap<&str, usize> = self
            .sources
            .iter()
            .enumerate()
            .map(|(place, one)| (one.name.as_str(), place))
            .collect();
        for document in &self.documents {
            let place = places[document.source.as_str()];
            let summary = &mut self.summaries[place];
            summary.documents += 1;
            summary.words += document.num_words;
            summary.chars += document.num_chars;
            let row = rows.entry((place, document.language.clone(), document.split)).or_default();
            row.0 += 1;
            row.1 += document.num_words;
        }
        for rejected in &self.rejected {
            let summary = &mut self.summaries[places[rejected.source.as_str()]];
            *summary.rejected.entry(rejected.reason).or_default() += 1;
            *summary.rejected_words.entry(rejected.reason).or_default() += rejected.num_words;
        }
        let languages = rows.into_iter().map(|((place, language, split), (documents, words))| {
            let source = self.sources[place].name.clone();
            LanguageRow { source, language, split, documents, words }
        });
        let partial = |summary: &SourceSummary| {
            !summary.partial_files.is_empty() || summary.rejected.contains_key(&Reason::BadEncoding)
        };
        CorpusSummary {
            languages: languages.collect(),
            documents: self.documents.len() as u64,
            words: self.documents.iter().map(|document| document.num_words).sum(),
            shards: 0,
            folds: self.folds.clone(),
            mask_tokens: mask_tokens(self.sources, self.config, &self.summaries),
            decontamination: self.decontamination.clone(),
            partial: self.summaries.iter().any(partial),
            lineage: self.sources.iter().map(lineage).collect(),
            warnings: self.warnings(),
            sources: self.summaries.clone(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for (source, summary) in self.sources.iter().zip(&self.summaries) {
            let name = &source.name;
            if summary.documents == 0 {
                warnings.push(format!("source `{name}` gave no document"));
            }
            if let Some(max_words) = source.max_words
                && !summary.rejected.contains_key(&Reason::OverQuota)
                && summary.words < max_words
            {
                let words = summary.words;
                warnings
                    .push(format!("source `{name}` has {words} of its quota of {max_words} words"));
            }
            for file in &summary.partial_files {
                warnings.push(format!("source `{name}`: `{file}` is partial"));
            }
        }
        if self.decontamination.as_ref().is_some_and(|found| found.dropped == 0) {
            warnings.push("decontamination found no document to drop".into());
        }
        warnings
    }
}

fn lineage(source: &SourceConfig) -> SourceLineage {
    SourceLineage {
        name: source.name.clone(),
        licence: source.licence.clone(),
        access_tier: source.access_tier,
        approval: source.approval.clone(),
    }
}

fn add(total: &mut SourceSummary, file: SourceSummary) {
    total.files += file.files;
    total.bytes += file.bytes;
    total.records += file.records;
    total.replaced_chars += file.replaced_chars;
    total.html_fallbacks += file.html_fallbacks;
    total.identifiers.add(&file.identifiers);
    total.partial_files.extend(file.partial_files);
    for (encoding, count) in file.encodings {
        *total.encodings.entry(encoding).or_default() += count;
    }
}

#[cfg(test)]
pub(crate) use tests::test_document;

#[cfg(test)]
mod tests;
