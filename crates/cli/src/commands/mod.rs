//! One module for each command that is not a stage.

mod compare;
mod corpus;
mod doctor;
mod inspect;
mod merge;
mod new;
mod plan;
mod recognise;
mod run;

pub(crate) use compare::compare;
pub(crate) use corpus::corpus;
pub(crate) use doctor::doctor;
pub(crate) use inspect::inspect;
pub(crate) use merge::merge;
pub(crate) use new::new;
pub(crate) use plan::plan;
pub(crate) use run::{Last, run};

#[cfg(test)]
pub(crate) use new::STARTER;

use crate::failure::{Exit, UsageError};

/// Reads the file that standard input names: what the corpus stage starts this program for.
pub(crate) fn read_one_file() -> anyhow::Result<Exit> {
    bimed_corpus::serve(std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(Exit::Done)
}

/// A command whose stage is not there yet says so.
pub(crate) fn comes_later(command: &str) -> anyhow::Result<Exit> {
    Err(UsageError::new(format!(
        "`bimed {command}` is not there yet: its stage comes with a later version"
    ))
    .with_hint("`bimed --help` lists what there is")
    .into())
}
