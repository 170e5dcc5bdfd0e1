//! `bimed run` and the commands of one stage each: every stage of every arm in order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bimed_artifact::{Store, create_private_dir, write_atomic};
use bimed_eval::Results;
use bimed_ops::DeviceKind;
use fs_err as fs;
use serde_json::{Value, json};

use crate::args::ExperimentArgs;
use crate::experiment::Arm;
use crate::failure::{Exit, UsageError};
use crate::output::{bytes, table, titled};
use crate::paths::shown;
use crate::process::today;
use crate::progress::duration;
use crate::sections::{Experiment, read_arms};
use crate::session::Session;
use crate::stages::encode::Encoding;
use crate::stages::eval::Evaluation;
use crate::stages::head::Head;
use crate::stages::inputs::{MissingInput, missing};
use crate::stages::report::{ArmReport, write_experiment};
use crate::stages::{
    Made, Stages, Survey, Workshop, corpus, eval, export, figures, pretrain, transplant, vectors,
    vocab,
};

/// The resolved experiment of an arm.
const EXPERIMENT_FILE: &str = "experiment.toml";

/// The stages, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Last {
    /// `[corpus]`.
    Corpus,
    /// `[vocab]`.
    Vocab,
    /// `[encode]`.
    Encode,
    /// `[transplant]`.
    Transplant,
    /// `[pretrain]`.
    Pretrain,
    /// `[export]`.
    Export,
    /// `[eval]`.
    Eval,
    /// All there are.
    All,
}

impl Last {
    /// The section without which there is nothing to do.
    fn section(self) -> &'static str {
        match self {
            Self::Corpus => "corpus",
            Self::Vocab => "vocab",
            Self::Encode => "encode",
            Self::Transplant => "transplant",
            Self::Pretrain => "pretrain",
            Self::Export => "export",
            Self::Eval => "eval",
            Self::All => "experiment",
        }
    }

    fn is_there(self, experiment: &Experiment) -> bool {
        match self {
            Self::Corpus => experiment.corpus.is_some(),
            Self::Vocab => experiment.vocab.is_some(),
            Self::Encode => experiment.encode.is_some(),
            Self::Transplant => experiment.transplant.is_some(),
            Self::Pretrain => experiment.pretrain.is_some(),
            Self::Export => experiment.export.is_some(),
            Self::Eval => experiment.eval.is_some(),
            Self::All => true,
        }
    }
}

/// A file or directory for the user, beside the store.
#[derive(Debug)]
struct Output {
    arm: String,
    what: &'static str,
    path: PathBuf,
    state: String,
    figures: String,
}

/// Does every stage up to `last`, of every arm that `args` asks for.
pub(crate) fn run(session: &Session, args: &ExperimentArgs, last: Last) -> anyhow::Result<Exit> {
    let arms = read_arms(session, args)?;
    if let Some(arm) = arms.iter().find(|arm| !last.is_there(&arm.config)) {
        let section = last.section();
        let message = format!("the arm `{}` has no section `[{section}]`", arm.name);
        return Err(UsageError::new(message).into());
    }
    check_inputs(&arms, last)?;
    check_approvals(&arms)?;
    check_device(&arms, session.global.device)?;
    let survey = Survey::default();
    if last >= Last::Export {
        for arm in &arms {
            let store = Store::new(&arm.config.experiment.store);
            let device = session.global.device;
            export::check_sign_off(&Stages { arm, store: &store, survey: &survey, device })?;
        }
    }
    let mut workshop = Workshop::new(session, args.fresh);
    let mut outputs = Vec::new();
    let mut reports = Vec::new();
    let mut evaluation = Evaluation::default();
    for arm in &arms {
        let store = Store::new(&arm.config.experiment.store);
        let stages = Stages { arm, store: &store, survey: &survey, device: session.global.device };
        workshop.begin_arm(&arm.name, store.clone());
        write_resolved(arm)?;
        run_arm(&stages, &mut workshop, last, args.fresh, &mut outputs)?;
        let mut results = None;
        if last >= Last::Eval && arm.config.eval.is_some() {
            let written = evaluation.make(&stages, &mut workshop)?;
            outputs.push(Output::new(&arm.name, eval::STAGE, written.dir));
            if arm.config.export.is_some() {
                export::add_results(&stages, &workshop, &written.results)?;
            }
            results = Some(written.results);
        }
        if last >= Last::Pretrain && arm.config.transplant.is_some() {
            let report = ArmReport::of_arm(&stages, &workshop, results.as_ref())?;
            let path = report.write(&arm.config.arm_directory(&arm.name))?;
            outputs.push(Output::new(&arm.name, "report", path));
            reports.push(report);
        }
    }
    let mut results = None;
    if let (Some(arm), true) = (arms.first(), last >= Last::Eval) {
        let directory = arm.config.directory();
        if let Some(config) = arms.iter().find_map(|arm| arm.config.eval.as_ref()) {
            results = evaluation.write(&directory, config)?.map(|written| written.results);
        }
        let name = &arm.config.experiment.name;
        let path = write_experiment(&directory, name, &reports, results.as_ref())?;
        outputs.push(Output::new("", "report", path));
    }
    let made = workshop.into_made();
    show(session, &made, &outputs, results.as_ref());
    let is_partial = made.iter().any(|made| made.artifact.manifest.summary["partial"] == true);
    Ok(if is_partial { Exit::Partial } else { Exit::Done })
}

fn run_arm(
    stages: &Stages<'_>,
    workshop: &mut Workshop<'_>,
    last: Last,
    fresh: bool,
    outputs: &mut Vec<Output>,
) -> anyhow::Result<()> {
    let experiment = stages.experiment();
    if let Some(section) = &experiment.corpus {
        corpus::make(workshop, stages.survey, section)?;
    }
    if last >= Last::Vocab && experiment.vocab.is_some() {
        vocab::make(stages, workshop)?;
    }
    if last >= Last::Encode && experiment.encode.is_some() {
        Encoding::of_arm(stages)?.make(workshop)?;
    }
    if last >= Last::Transplant && experiment.transplant.is_some() {
        if let Some(head) = Head::of_arm(stages)? {
            head.make(stages, workshop)?;
        }
        if vectors::is_asked(stages) {
            vectors::make(stages, workshop)?;
        }
        transplant::make(stages, workshop)?;
    }
    if last >= Last::Pretrain && experiment.pretrain.is_some() {
        pretrain::make(stages, workshop)?;
    }
    if last >= Last::Export && experiment.export.is_some() {
        let exported = export::make(stages, workshop, fresh)?;
        let state = if exported.is_up_to_date { "up to date" } else { "written" };
        outputs.push(Output {
            arm: stages.arm.name.clone(),
            what: export::STAGE,
            path: exported.dir,
            state: state.to_owned(),
            figures: format!("to publish: {}", exported.upload),
        });
    }
    Ok(())
}

/// Approvals that ended before today, though what they allowed is made already.
pub(super) fn check_approvals(arms: &[Arm<Experiment>]) -> anyhow::Result<()> {
    let today = today();
    let corpora =
        arms.iter().flat_map(|arm| arm.config.corpus.iter().chain(&arm.config.shared_corpus));
    for corpus in corpora {
        bimed_corpus::check_approvals(&corpus.sources, &today)?;
    }
    Ok(())
}

/// Everything that is missing, before anything is written.
pub(super) fn check_inputs(arms: &[Arm<Experiment>], last: Last) -> anyhow::Result<()> {
    let mut found: Vec<MissingInput> = arms
        .iter()
        .flat_map(|arm| missing(&arm.config, last == Last::Corpus))
        .filter(|missing| missing.is_needed)
        .collect();
    found.sort();
    found.dedup();
    if found.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = found.iter().map(|missing| format!("  {}", missing.line())).collect();
    let count = match found.len() {
        1 => "1 input is".to_owned(),
        count => format!("{count} inputs are"),
    };
    let message = format!("{count} not there:\n{}", lines.join("\n"));
    let hint = "correct the paths (`--set experiment.paths.NAME=/where/it/is`), or take the \
                sources out; `bimed plan` shows the rest";
    Err(UsageError::new(message).with_hint(hint).into())
}

/// What the device cannot do, before anything is written.
pub(super) fn check_device(arms: &[Arm<Experiment>], device: DeviceKind) -> anyhow::Result<()> {
    let wants_bf16 = arms.iter().find(|arm| arm.config.wants_bf16());
    if let (DeviceKind::Cpu, Some(arm)) = (device, wants_bf16) {
        let message = format!(
            "the arm `{}` has `pretrain.precision` = `bf16`, which the device `cpu` does not compute",
            arm.name
        );
        let hint = "add `--set pretrain.precision=f32`, or `--device cuda`";
        return Err(UsageError::new(message).with_hint(hint).into());
    }
    let name = match device {
        DeviceKind::Cpu => "cpu",
        DeviceKind::Cuda(_) => "cuda",
        DeviceKind::Wgpu => "wgpu",
    };
    if !DeviceKind::built().contains(&name) {
        let message = format!("this build of `bimed` has no `{name}` device");
        let hint = format!("build it with `--features {name}`");
        return Err(UsageError::new(message).with_hint(hint).into());
    }
    Ok(())
}

/// The arm's experiment, complete, beside what it makes; written before any stage.
fn write_resolved(arm: &Arm<Experiment>) -> anyhow::Result<()> {
    let directory = arm.config.arm_directory(&arm.name);
    let path = directory.join(EXPERIMENT_FILE);
    let text = toml::to_string_pretty(&arm.resolved)?;
    if fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    create_private_dir(&directory)?;
    Ok(write_atomic(&path, text.as_bytes())?)
}

impl Output {
    fn new(arm: &str, what: &'static str, path: PathBuf) -> Self {
        let (state, figures) = ("written".to_owned(), String::new());
        Self { arm: arm.to_owned(), what, path, state, figures }
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.arm.clone(),
            self.what.to_owned(),
            self.state.clone(),
            bytes(size_of(&self.path)),
            self.figures.clone(),
            shown(&self.path),
        ]
    }

    fn value(&self) -> Value {
        json!({ "arm": self.arm, "stage": self.what, "path": self.path, "state": self.state })
    }
}

impl Made {
    fn size(&self) -> u64 {
        self.artifact.manifest.files.iter().map(|file| file.bytes).sum()
    }

    fn row(&self) -> Vec<String> {
        let manifest = &self.artifact.manifest;
        vec![
            self.arm.clone(),
            manifest.stage.clone(),
            self.took.map_or("up to date".to_owned(), duration),
            bytes(self.size()),
            figures::of(&manifest.stage, &manifest.summary),
            shown(&self.artifact.dir),
        ]
    }

    fn value(&self) -> Value {
        json!({
            "arm": self.arm,
            "stage": self.artifact.manifest.stage,
            "path": self.artifact.dir,
            "bytes": self.size(),
            "up_to_date": self.took.is_none(),
            "seconds": self.took.map(|took| took.as_secs_f64()),
        })
    }
}

/// What was made and where.
fn show(session: &Session, made: &[Made], outputs: &[Output], results: Option<&Results>) {
    let heading = ["arm", "stage", "", "size", "figures", "where"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    let mut shown_before = BTreeSet::new();
    for one in made {
        // What arms share is shown once, and answers in the table of results.
        let is_new = shown_before.insert(&one.artifact.dir);
        if is_new && one.artifact.manifest.stage != eval::STAGE {
            rows.push(one.row());
        }
    }
    rows.extend(outputs.iter().map(Output::row));
    let mut text = results.and_then(Results::summary).as_ref().map(titled).unwrap_or_default();
    text += &table(&rows);
    let values: Vec<Value> =
        made.iter().map(Made::value).chain(outputs.iter().map(Output::value)).collect();
    session.result(&text, &json!({ "event": "result", "made": values }));
}

/// The bytes of a file, or of all files of a directory.
fn size_of(path: &Path) -> u64 {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| size_of(&entry.path())).sum(),
        Err(_) => fs::metadata(path).map_or(0, |metadata| metadata.len()),
    }
}
