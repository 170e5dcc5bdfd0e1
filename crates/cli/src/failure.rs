//! Failures on their way to the user: causes, hints, exit codes.

use std::fmt;
use std::fmt::Write as _;

use bimed_artifact::Cancelled;

use crate::experiment::Faults;

/// How `bimed` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done,
    /// Something failed.
    Failed,
    /// The command line or the experiment file is at fault.
    Usage,
    /// Done, with some of the input left out and named.
    Partial,
    /// Too much of the input was bad.
    BadInput,
    /// Stopped by this signal; what was committed stands, and the same command goes on.
    Signal(u8),
}

impl Exit {
    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::BadInput => 4,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// A request that `bimed` cannot take.
#[derive(Debug)]
pub(crate) struct UsageError {
    message: String,
    hint: Option<String>,
}

impl UsageError {
    /// What was found and expected.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// With advice.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

/// The exit code of a failure; `signal` is what was received meanwhile.
pub(crate) fn exit_of(error: &anyhow::Error, signal: Option<u8>) -> Exit {
    let has = |test: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(test);
    if let (true, Some(signal)) = (has(is_cancelled), signal) {
        return Exit::Signal(signal);
    }
    if has(|cause| cause.is::<UsageError>() || cause.is::<Faults>()) {
        return Exit::Usage;
    }
    if has(|cause| matches!(cause.downcast_ref(), Some(bimed_corpus::Error::TooMuchBroken { .. })))
    {
        return Exit::BadInput;
    }
    Exit::Failed
}

/// `error: …`, its causes, its hint.
pub(crate) fn render(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error}\n");
    let mut shown = error.to_string();
    for cause in error.chain().skip(1) {
        let message = cause.to_string();
        // A message that its parent quotes already is not said twice.
        if !shown.contains(&message) {
            let _ = writeln!(text, "  caused by: {message}");
        }
        shown = message;
    }
    if let Some(hint) = error.chain().find_map(hint_of) {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
}

/// Whether `cause` is an interruption; a library's own error hides the one that it passes on.
fn is_cancelled(cause: &(dyn std::error::Error + 'static)) -> bool {
    cause.is::<Cancelled>()
        || matches!(cause.downcast_ref(), Some(bimed_corpus::Error::Cancelled(_)))
        || matches!(cause.downcast_ref(), Some(bimed_vocab::Error::Cancelled(_)))
        || matches!(cause.downcast_ref(), Some(bimed_train::Error::Cancelled(_)))
        || matches!(cause.downcast_ref(), Some(bimed_eval::Error::Cancelled(_)))
        || matches!(
            cause.downcast_ref(),
            Some(bimed_eval::Error::Train(bimed_train::Error::Cancelled(_)))
        )
}

/// Every library's errors know their own advice.
fn hint_of(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(usage) = cause.downcast_ref::<UsageError>() {
        return usage.hint.clone();
    }
    macro_rules! hint_of_any {
        ($($error:ty),* $(,)?) => {
            $(if let Some(error) = cause.downcast_ref::<$error>() {
                return error.hint();
            })*
        };
    }
    hint_of_any!(
        bimed_artifact::Error,
        bimed_checkpoint::Error,
        bimed_corpus::Error,
        bimed_eval::Error,
        bimed_ops::DeviceError,
        bimed_train::Error,
        bimed_vocab::Error,
    );
    None
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn causes_and_hints_are_shown_once() {
        let error = anyhow::Error::new(
            UsageError::new("found 2 arms, expected one").with_hint("add `--arm NAME`"),
        );
        let error = Err::<(), _>(error).context("cannot export `bi-양방향`").unwrap_err();
        insta::assert_snapshot!(render(&error), @r"
    error: cannot export `bi-양방향`
      caused by: found 2 arms, expected one
    hint: add `--arm NAME`
    ");
        assert_eq!(exit_of(&error, None), Exit::Usage);
    }

    #[test]
    fn an_interruption_has_the_code_of_its_signal() {
        let error = anyhow::Error::new(Cancelled).context("pretrain");
        assert_eq!(exit_of(&error, Some(2)).code(), 130);
        assert_eq!(exit_of(&error, Some(15)).code(), 143);
        assert_eq!(exit_of(&anyhow::anyhow!("disk full"), Some(2)).code(), 1);
        let broken = bimed_corpus::Error::TooMuchBroken {
            source_name: "기록".into(),
            broken: 9,
            records: 10,
            reasons: "9 bad_record".into(),
            max_broken: 0.05,
        };
        assert_eq!(exit_of(&anyhow::Error::new(broken), None).code(), 4);
    }
}
