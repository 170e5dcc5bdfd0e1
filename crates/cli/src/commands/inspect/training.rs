//! A pretraining: how far it is, what it can go on from, what was measured on held-out text.

use std::path::{Path, PathBuf};

use bimed_artifact::Manifest;
use bimed_eval::{Cell, Table, TableColumn};
use bimed_train::{
    CHECKPOINTS_DIR, LOG_FILE, LogRecord, OPTIMIZER_FILE, STATE_FILE, TrainRecord, TrainState,
    ValidationRecord, read_log,
};
use fs_err as fs;
use serde_json::{Value, json};

use super::page::{Page, counted};
use crate::commands::recognise::read_json;
use crate::output::{bytes, grouped};
use crate::stages::tables;

/// A run's directory as it was found, finished or not.
#[derive(Debug)]
pub(in crate::commands) struct Run {
    /// `log.jsonl`.
    pub(in crate::commands) log: Vec<LogRecord>,
    /// Lines of the log that are no records: the last one, where a kill cut it short.
    torn_lines: usize,
    /// By ascending step.
    pub(in crate::commands) checkpoints: Vec<Checkpoint>,
    /// What the stage recorded; none until the run is done.
    pub(in crate::commands) manifest: Option<Manifest>,
}

/// One `checkpoints/step-N`.
#[derive(Debug)]
pub(in crate::commands) struct Checkpoint {
    dir: PathBuf,
    /// `state.json`.
    pub(in crate::commands) state: TrainState,
    has_moments: bool,
    bytes: u64,
}

impl Run {
    /// Of the directory `dir`.
    ///
    /// # Errors
    /// When its log cannot be read or a checkpoint's state is damaged.
    pub(in crate::commands) fn read(dir: &Path) -> anyhow::Result<Self> {
        let log = read_log(dir)?;
        let path = dir.join(LOG_FILE);
        let lines = if path.is_file() { fs::read_to_string(path)?.lines().count() } else { 0 };
        let mut checkpoints = Vec::new();
        let folder = dir.join(CHECKPOINTS_DIR);
        if folder.is_dir() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                // A name such as `.step-5.tmp` is of one that was being written.
                if name.strip_prefix("step-").is_some_and(|step| step.parse::<u64>().is_ok()) {
                    checkpoints.push(Checkpoint::read(&path)?);
                }
            }
        }
        checkpoints.sort_by_key(|checkpoint| checkpoint.state.step);
        let manifest = Manifest::read(dir).ok();
        Ok(Self { torn_lines: lines.saturating_sub(log.len()), log, checkpoints, manifest })
    }

    /// The run that the checkpoint in `dir` belongs to, with what it logged up to that step.
    pub(in crate::commands) fn of_checkpoint(dir: &Path) -> anyhow::Result<(Self, Checkpoint)> {
        let checkpoint = Checkpoint::read(dir)?;
        let dir = std::path::absolute(dir)?;
        let run = dir.parent().filter(|folder| folder.ends_with(CHECKPOINTS_DIR));
        let mut run = match run.and_then(Path::parent) {
            Some(run) => Self::read(run)?,
            None => {
                Self { log: Vec::new(), torn_lines: 0, checkpoints: Vec::new(), manifest: None }
            }
        };
        run.log.retain(|record| record.step() <= checkpoint.state.step);
        Ok((run, checkpoint))
    }

    /// The validations, by ascending step.
    pub(in crate::commands) fn validations(&self) -> Vec<ValidationRecord> {
        let validation = |record: &LogRecord| match record {
            LogRecord::Validation(record) => Some(record.clone()),
            LogRecord::Train(_) => None,
        };
        self.log.iter().filter_map(validation).collect()
    }

    /// The last figures of the training.
    pub(in crate::commands) fn last(&self) -> Option<&TrainRecord> {
        self.log.iter().rev().find_map(|record| match record {
            LogRecord::Train(record) => Some(record),
            LogRecord::Validation(_) => None,
        })
    }

    /// Updates done and in all, by the newest checkpoint.
    pub(in crate::commands) fn progress(&self) -> Option<(u64, u64)> {
        let state = &self.checkpoints.last()?.state;
        Some((state.step, state.total_steps))
    }

    /// Whether the run came to its end.
    pub(in crate::commands) fn is_finished(&self) -> bool {
        self.manifest.is_some() || self.progress().is_some_and(|(done, all)| done >= all)
    }

    /// Puts it on a page.
    pub(super) fn show(&self, page: &mut Page) -> anyhow::Result<()> {
        match self.progress() {
            None => page.fact("steps", "no checkpoint yet"),
            Some((done, all)) if self.is_finished() => {
                page.fact("steps", format!("{} of {}, finished", grouped(done), grouped(all)));
            }
            Some((done, all)) => page.fact(
                "steps",
                format!(
                    "{} of {}: the same command goes on from there",
                    grouped(done),
                    grouped(all)
                ),
            ),
        }
        if let Some(state) = self.checkpoints.last().map(|checkpoint| &checkpoint.state) {
            page.fact("tokens read", grouped(state.tokens));
            page.fact("run key", state.run.short());
        }
        self.show_figures(page);
        page.put("run", self.to_value())
    }

    fn show_figures(&self, page: &mut Page) {
        if let Some(last) = self.last() {
            page.fact(
                "last training",
                format!(
                    "step {}, loss {:.4}, accuracy {:.1}%, rate {:.2e}, {} tokens/s",
                    grouped(last.step),
                    last.loss,
                    100.0 * last.accuracy,
                    last.learning_rate,
                    grouped(last.tokens_per_second as u64)
                ),
            );
        }
        let torn = match self.torn_lines {
            0 => String::new(),
            count => format!(", {} that are no records", counted(count, "line")),
        };
        page.fact("log", format!("{}{torn}", counted(self.log.len(), "record")));
        let validations = self.validations();
        if !validations.is_empty() {
            let mut table = tables::validation(&validations);
            table.note += &format!(" {}.", counted(validations.len(), "validation"));
            page.table(table);
        }
        if !self.checkpoints.is_empty() {
            page.table(self.checkpoint_table());
        }
    }

    fn checkpoint_table(&self) -> Table {
        let rows = self.checkpoints.iter().map(|checkpoint| {
            let state = &checkpoint.state;
            let cells = [
                grouped(state.step),
                grouped(state.tokens),
                bytes(checkpoint.bytes),
                checkpoint.what_it_is_for().to_owned(),
            ];
            cells.into_iter().map(Cell::plain).collect()
        });
        let mut columns = ["step", "tokens read", "size"].map(TableColumn::right).to_vec();
        columns.push(TableColumn::left("use"));
        let title = "Checkpoints".to_owned();
        Table { title, note: String::new(), columns, rows: rows.collect() }
    }

    fn to_value(&self) -> Value {
        json!({
            "finished": self.is_finished(),
            "progress": self.progress().map(|(done, all)| json!({ "step": done, "total_steps": all })),
            "checkpoints": self.checkpoints.iter().map(Checkpoint::to_value).collect::<Vec<_>>(),
            "validations": self.validations(),
            "last": self.last(),
            "torn_lines": self.torn_lines,
        })
    }
}

impl Checkpoint {
    /// Of its directory.
    ///
    /// # Errors
    /// When its state is not there or damaged.
    fn read(dir: &Path) -> anyhow::Result<Self> {
        let state = read_json(&dir.join(STATE_FILE), "the state of a training run")?;
        let mut bytes = 0;
        for entry in fs::read_dir(dir)? {
            bytes += entry?.metadata()?.len();
        }
        let has_moments = dir.join(OPTIMIZER_FILE).is_file();
        Ok(Self { dir: dir.to_path_buf(), state, has_moments, bytes })
    }

    fn what_it_is_for(&self) -> &'static str {
        match (self.has_moments, self.state.step) {
            (true, _) => "a run can go on from it",
            (false, 0) => "the model before the training; its moments are not kept",
            (false, _) => "INCOMPLETE: no `optimizer.safetensors`, a run cannot go on from it",
        }
    }

    /// Puts it and what its run measured up to its step on a page.
    pub(super) fn show(&self, run: &Run, page: &mut Page) -> anyhow::Result<()> {
        let state = &self.state;
        let (step, all) = (grouped(state.step), grouped(state.total_steps));
        page.fact("step", format!("{step} of {all}, {} tokens read", grouped(state.tokens)));
        let (epoch, bin) = (grouped(state.cursor.epoch), grouped(state.cursor.bin as u64));
        page.fact("data", format!("{epoch} passes done, {bin} bins of the next"));
        page.fact("run key", state.run.short());
        page.fact("complete", self.what_it_is_for());
        let validations = run.validations();
        if let Some(last) = validations.last() {
            let mut table = tables::validation(std::slice::from_ref(last));
            table.note += " The last validation up to this step.";
            page.table(table);
        }
        let mut value = self.to_value();
        value["validation"] = json!(validations.last());
        page.put("checkpoint", value)
    }

    fn to_value(&self) -> Value {
        json!({
            "path": self.dir,
            "state": self.state,
            "has_moments": self.has_moments,
            "bytes": self.bytes,
        })
    }
}
