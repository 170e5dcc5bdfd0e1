//! `bimed inspect PATH`: what an artifact is, ours or another's.
//!
//! Reads and writes nothing but what `--dump-reference` asks for. Text of documents is never shown.

mod documents;
mod evaluation;
mod experiment;
mod known;
mod model;
mod page;
mod provenance;
mod reference;
mod tensors;
mod training;
mod vocabulary;
mod vocabulary_report;

pub(super) use documents::{TokenCounts, summary as corpus_summary, token_counts};
pub(super) use experiment::ArmOutput;
pub(super) use model::Model;
pub(super) use training::Run;
pub(super) use vocabulary::{Vocabulary, script_name};
pub(super) use vocabulary_report::read as read_vocabulary_report;

use bimed_artifact::Manifest;
use bimed_eval::Results;
use serde_json::Value;

use self::page::Page;
use self::provenance::{Provenance, nothing_recorded};
use super::recognise::{Found, Kind, RESULTS_FILE, recognise};
use crate::args::InspectArgs;
use crate::failure::{Exit, UsageError};
use crate::session::Session;
use crate::stages::{head, tables};

/// Shows what is at `args.path`.
pub(crate) fn inspect(session: &Session, args: &InspectArgs) -> anyhow::Result<Exit> {
    let found = recognise(&args.path)?;
    if let (Some(out), Some(texts)) = (&args.dump_reference, &args.texts) {
        reference::dump(session, &found, texts, args.states, out)?;
        return Ok(Exit::Done);
    }
    let has_tensors = matches!(found.kind, Kind::Model | Kind::TrainingCheckpoint | Kind::Weights);
    if args.tensors && !has_tensors {
        let (path, kind) = (found.path.display(), found.kind.name());
        let message = format!("`--tensors` lists a model's tensors, and `{path}` is {kind}");
        return Err(UsageError::new(message).into());
    }
    let provenance = Provenance::of(&found)?;
    let mut page = Page::new(&found.path, found.kind, &name(&found, provenance.as_ref()));
    if let Some(provenance) = &provenance {
        provenance.show(&mut page)?;
    }
    if args.verify {
        match &provenance {
            Some(provenance) => provenance.verify(&mut page)?,
            None => return Err(nothing_recorded(&found.path)),
        }
    }
    describe(&found, args, &mut page)?;
    if args.lineage {
        match &provenance {
            Some(provenance) => page.table(provenance.lineage_table()),
            None => page.fact("lineage", "not recorded: bimed did not write this"),
        }
    }
    session.result(&page.to_text(), &page.into_value());
    Ok(Exit::Done)
}

/// What it is, as exactly as can be said.
fn name(found: &Found, provenance: Option<&Provenance>) -> String {
    let stage = found.manifest.as_ref().map(|manifest| manifest.stage.as_str());
    match (found.kind, stage) {
        (Kind::TrainingRun, Some(head::STAGE)) => "a training run of a masked-word head".into(),
        (Kind::TrainingRun, None) => "a training run that is not finished".into(),
        (Kind::Model, Some(stage)) => format!("a model of the stage {stage}"),
        (Kind::Model, None) if provenance.is_some() => "an exported model".into(),
        (Kind::Model, None) => "a model from elsewhere".into(),
        (Kind::Artifact, Some(stage)) => format!("an artifact of the stage {stage}"),
        (kind, _) => kind.name().into(),
    }
}

fn describe(found: &Found, args: &InspectArgs, page: &mut Page) -> anyhow::Result<()> {
    let (path, manifest) = (&found.path, found.manifest.as_ref());
    match found.kind {
        Kind::Corpus => match manifest {
            Some(manifest) => documents::show(&documents::summary(manifest, path)?, page),
            None => Ok(()),
        },
        Kind::Vocabulary => {
            let vocabulary = Vocabulary::read(path)?;
            vocabulary.show(page)?;
            page.table(vocabulary.table());
            show_summary(manifest, page);
            Ok(())
        }
        Kind::VocabularyReport => vocabulary_report::show(path, page),
        Kind::TokenStore => documents::show_tokens(path, manifest, page),
        Kind::Model => {
            Model::read(path)?.show(page, args.tensors)?;
            show_summary(manifest, page);
            Ok(())
        }
        Kind::TrainingCheckpoint => {
            let (run, checkpoint) = Run::of_checkpoint(path)?;
            checkpoint.show(&run, page)?;
            Model::read(path)?.show(page, args.tensors)
        }
        Kind::TrainingRun => {
            Run::read(path)?.show(page)?;
            if let Some(manifest) = manifest {
                page.table(tables::settings("Settings", &manifest.config));
            }
            Ok(())
        }
        Kind::Arm => ArmOutput::read(path)?.show(page),
        Kind::Experiment => experiment::show(path, page),
        Kind::Evaluation => {
            let file = if path.is_dir() { path.join(RESULTS_FILE) } else { path.clone() };
            evaluation::show(&Results::read(&file)?, page)
        }
        Kind::Weights => tensors::show_file(path, page, args.tensors),
        Kind::Artifact => {
            show_summary(manifest, page);
            Ok(())
        }
    }
}

/// What the stage itself counted.
fn show_summary(manifest: Option<&Manifest>, page: &mut Page) {
    let Some(manifest) = manifest else { return };
    if let Some(table) = tables::transplanted_rows(&manifest.summary) {
        page.table(table);
    }
    let mut summary = manifest.summary.clone();
    if let Value::Object(fields) = &mut summary {
        fields.remove("provenance");
    }
    let mut table = tables::settings("What the stage counted", &summary);
    if let Some(column) = table.columns.first_mut() {
        column.name = "figure".to_owned();
    }
    if !table.rows.is_empty() {
        page.table(table);
    }
}
