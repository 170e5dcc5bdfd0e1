//! How a long step shows where it is: a bar on a terminal, plain lines elsewhere, or JSON events.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bimed_artifact::{Progress, Unit};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::json;

use crate::output;

/// Plain lines and events come at least this far apart, unless a tenth of the step was done.
const INTERVAL: Duration = Duration::from_secs(10);

/// The form of the reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A bar that redraws itself.
    Bar,
    /// A line now and then.
    Lines,
    /// One JSON object a line, on standard output.
    Events,
    /// Nothing.
    Quiet,
}

impl Form {
    /// What `--json`, `--quiet` and standard error ask for.
    pub(crate) fn choose(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (true, _) => Self::Events,
            (false, true) => Self::Quiet,
            (false, false) if std::io::stderr().is_terminal() => Self::Bar,
            (false, false) => Self::Lines,
        }
    }
}

/// Shows the progress of one step at a time.
#[derive(Debug)]
pub(crate) struct Reporter {
    form: Form,
    step: Mutex<Option<Step>>,
}

#[derive(Debug)]
struct Step {
    name: String,
    total: Option<u64>,
    unit: Unit,
    done: u64,
    figures: String,
    began: Instant,
    said: Instant,
    said_tenth: u64,
    bar: Option<ProgressBar>,
}

impl Reporter {
    /// In this form.
    pub(crate) fn new(form: Form) -> Self {
        Self { form, step: Mutex::new(None) }
    }

    /// Its form.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// Writes an event, if events are what is asked for.
    pub(crate) fn event(&self, event: &serde_json::Value) {
        if self.form == Form::Events {
            output::result(&format!("{event}\n"));
        }
    }

    fn step(&self) -> MutexGuard<'_, Option<Step>> {
        self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, step: &Step) {
        match self.form {
            Form::Lines => output::error(&format!("{}\n", line(step, step.began.elapsed()))),
            Form::Events => self.event(&step.event("progress")),
            Form::Bar | Form::Quiet => {}
        }
    }
}

impl Step {
    fn event(&self, event: &str) -> serde_json::Value {
        json!({
            "event": event,
            "step": self.name,
            "done": self.done,
            "total": self.total,
            "unit": self.unit.name(),
            "seconds": round(self.began.elapsed().as_secs_f64()),
            "figures": self.figures,
        })
    }

    /// Whether it is time for another line, `since` after the last.
    fn is_due(&self, since: Duration) -> bool {
        since >= INTERVAL
            || self.total.is_some() && self.tenth() > self.said_tenth && since >= INTERVAL / 10
    }

    fn tenth(&self) -> u64 {
        self.total
            .filter(|total| *total > 0)
            .map_or(0, |total| self.done.saturating_mul(10) / total)
    }
}

impl Progress for Reporter {
    fn begin(&self, name: &str, total: Option<u64>, unit: Unit) {
        let now = Instant::now();
        let step = Step {
            name: name.to_owned(),
            total,
            unit,
            done: 0,
            figures: String::new(),
            began: now,
            said: now,
            said_tenth: 0,
            bar: (self.form == Form::Bar).then(|| bar(name, total, unit)),
        };
        self.event(&step.event("begin"));
        if let Some(Step { bar: Some(bar), .. }) = self.step().replace(step) {
            bar.finish_and_clear();
        }
    }

    fn advance(&self, amount: u64) {
        let mut open = self.step();
        let Some(step) = open.as_mut() else { return };
        step.done += amount;
        if let Some(bar) = &step.bar {
            bar.inc(amount);
        } else if step.is_due(step.said.elapsed()) {
            step.said = Instant::now();
            step.said_tenth = step.tenth();
            self.say(step);
        }
    }

    fn status(&self, figures: &str) {
        let mut open = self.step();
        let Some(step) = open.as_mut() else { return };
        figures.clone_into(&mut step.figures);
        if let Some(bar) = &step.bar {
            bar.set_message(figures.to_owned());
        }
    }

    fn note(&self, text: &str) {
        let open = self.step();
        match (self.form, open.as_ref().and_then(|step| step.bar.as_ref())) {
            (Form::Bar, Some(bar)) => bar.suspend(|| output::error(&format!("{text}\n"))),
            (Form::Bar | Form::Lines, _) => output::error(&format!("{text}\n")),
            (Form::Events, _) => self.event(&json!({ "event": "note", "text": text })),
            (Form::Quiet, _) => {}
        }
    }

    fn end(&self) {
        let Some(step) = self.step().take() else { return };
        if let Some(bar) = &step.bar {
            bar.finish_and_clear();
        }
        match self.form {
            Form::Bar | Form::Lines => {
                output::error(&format!("{}\n", last_line(&step, step.began.elapsed())));
            }
            Form::Events => self.event(&step.event("end")),
            Form::Quiet => {}
        }
    }
}

fn bar(name: &str, total: Option<u64>, unit: Unit) -> ProgressBar {
    let template = match (total, unit) {
        (None, Unit::Bytes) => "{prefix}  {spinner} {bytes}  {bytes_per_sec}  {elapsed}  {msg}",
        (None, _) => "{prefix}  {spinner} {human_pos} {unit}  {rate}  {elapsed}  {msg}",
        (Some(_), Unit::Bytes) => {
            "{prefix}  {bar:24} {percent:>3}%  {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}"
        }
        (Some(_), _) => {
            "{prefix}  {bar:24} {percent:>3}%  {human_pos}/{human_len} {unit}  {rate}  {eta} left  {msg}"
        }
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        .with_key("unit", move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
            let _ = text.write_str(unit.name());
        })
        .with_key("rate", move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let _ = write!(text, "{}/s", rate(state.per_sec()));
        });
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_style(style);
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// `pretrain: 120/1,000 steps (12%), 3.4 steps/s, 4m20s left, loss 5.12`
fn line(step: &Step, elapsed: Duration) -> String {
    let speed = step.done as f64 / elapsed.as_secs_f64().max(1e-9);
    let figures =
        if step.figures.is_empty() { String::new() } else { format!(", {}", step.figures) };
    let amounts = match step.total {
        Some(total) => {
            let percent = step.done.saturating_mul(100) / total.max(1);
            format!("{} ({percent}%)", amount(step.done, Some(total), step.unit))
        }
        None => amount(step.done, None, step.unit),
    };
    let left = match step.total {
        Some(total) if speed > 0.0 => {
            let seconds = total.saturating_sub(step.done) as f64 / speed;
            format!(", {} left", duration(Duration::from_secs_f64(seconds.min(1e9))))
        }
        _ => String::new(),
    };
    let speed = match step.unit {
        Unit::Bytes => format!("{}/s", output::bytes(speed as u64)),
        unit => format!("{} {}/s", rate(speed), unit.name()),
    };
    format!("{}: {amounts}, {speed}{left}{figures}", step.name)
}

/// `vocab: 45,000 merges in 12s, loss 3.1`
fn last_line(step: &Step, elapsed: Duration) -> String {
    let figures =
        if step.figures.is_empty() { String::new() } else { format!(", {}", step.figures) };
    let done = amount(step.done, None, step.unit);
    format!("{}: {done} in {}{figures}", step.name, duration(elapsed))
}

fn amount(done: u64, total: Option<u64>, unit: Unit) -> String {
    match (unit, total) {
        (Unit::Bytes, Some(total)) => format!("{}/{}", output::bytes(done), output::bytes(total)),
        (Unit::Bytes, None) => output::bytes(done),
        (unit, Some(total)) => {
            format!("{}/{} {}", output::grouped(done), output::grouped(total), unit.name())
        }
        (unit, None) => format!("{} {}", output::grouped(done), unit.name()),
    }
}

fn rate(per_second: f64) -> String {
    if per_second >= 100.0 {
        output::grouped(per_second as u64)
    } else {
        format!("{per_second:.2}")
    }
}

/// `4h05m`, `4m20s`, `3.2s`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

fn round(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(done: u64, total: Option<u64>, unit: Unit, figures: &str) -> Step {
        let now = Instant::now();
        Step {
            name: "pretrain".into(),
            total,
            unit,
            done,
            figures: figures.into(),
            began: now,
            said: now,
            said_tenth: 0,
            bar: None,
        }
    }

    #[test]
    fn a_line_tells_share_rate_and_time_left() {
        let check = |step: Step, seconds, expected: &str| {
            assert_eq!(line(&step, Duration::from_secs(seconds)), expected);
        };
        check(
            step(120, Some(1000), Unit::Steps, "loss 5.12"),
            60,
            "pretrain: 120/1,000 steps (12%), 2.00 steps/s, 7m20s left, loss 5.12",
        );
        check(step(0, Some(10), Unit::Files, ""), 10, "pretrain: 0/10 files (0%), 0.00 files/s");
        check(step(2048, None, Unit::Bytes, ""), 2, "pretrain: 2.0 KiB, 1.0 KiB/s");
        assert_eq!(
            last_line(&step(12_345, None, Unit::Merges, ""), Duration::from_secs(4000)),
            "pretrain: 12,345 merges in 1h06m"
        );
    }

    #[test]
    fn lines_come_every_ten_seconds_or_every_tenth() {
        let due = |done, total, seconds| {
            step(done, total, Unit::Steps, "").is_due(Duration::from_secs(seconds))
        };
        assert!(due(1, None, 10) && due(0, Some(1000), 10));
        assert!(!due(1, None, 9) && !due(99, Some(1000), 9));
        assert!(due(100, Some(1000), 2) && !due(100, Some(1000), 0));
    }
}
