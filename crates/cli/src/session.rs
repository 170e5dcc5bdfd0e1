//! What every command is given: how to report, whether to stop, what was asked for globally.

use bimed_artifact::{Context, Progress as _};

use crate::args::GlobalArgs;
use crate::output;
use crate::process::Signals;
use crate::progress::{Form, Reporter};

/// One call of `bimed`.
#[derive(Debug)]
pub(crate) struct Session {
    /// The global flags.
    pub(crate) global: GlobalArgs,
    /// Progress and notes.
    pub(crate) reporter: Reporter,
    /// Interruptions.
    pub(crate) signals: Signals,
}

impl Session {
    /// For these flags.
    pub(crate) fn new(global: GlobalArgs, signals: Signals) -> Self {
        let reporter = Reporter::new(Form::choose(global.json, global.quiet));
        Self { global, reporter, signals }
    }

    /// What stages take.
    pub(crate) fn context(&self) -> Context<'_> {
        Context::new(&self.reporter, self.signals.cancel())
    }

    /// A line that stays, beside the progress.
    pub(crate) fn note(&self, line: &str) {
        self.reporter.note(line);
    }

    /// The result of the command: `value` under `--json`, else `text`.
    pub(crate) fn result(&self, text: &str, value: &serde_json::Value) {
        match self.reporter.form() {
            Form::Events => output::result(&format!("{value}\n")),
            _ => output::result(text),
        }
    }
}
