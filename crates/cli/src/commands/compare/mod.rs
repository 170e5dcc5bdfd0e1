//! `bimed compare A B …`: figures, vocabularies, runs, models or corpora side by side.

mod corpora;
mod evaluations;
mod models;
mod runs;
mod settings;
mod sheet;
mod vocabularies;
mod vocabulary_reports;

use std::path::PathBuf;

use serde_json::{Value, json};

use self::sheet::{Sheet, csv};
use super::recognise::{Found, Kind, REPORT_FILE, RESULTS_FILE, recognise};
use crate::args::{CompareArgs, TableFormat};
use crate::failure::{Exit, UsageError};
use crate::output::titled;
use crate::paths::normal;
use crate::session::Session;
use crate::stages::eval;

/// What can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Topic {
    /// Figures on tasks.
    Evaluations,
    /// Settings and held-out figures of pretrainings.
    Runs,
    /// Documents and words.
    Corpora,
    /// Tokens.
    TokenStores,
    /// Vocabularies on text.
    VocabularyReports,
    /// Configs and parameters.
    Models,
    /// Rows and special tokens.
    Vocabularies,
}

/// Shows one column for each path.
pub(crate) fn compare(session: &Session, args: &CompareArgs) -> anyhow::Result<Exit> {
    let found =
        args.paths.iter().map(|path| recognise(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let topic = common_topic(&found)?;
    let names = column_names(&args.paths);
    let sheets = match topic {
        Topic::Evaluations => evaluations::sheets(&names, &found)?,
        Topic::Runs => runs::sheets(&names, &found)?,
        Topic::Corpora => corpora::sheets(&names, &found)?,
        Topic::TokenStores => corpora::token_sheets(&names, &found)?,
        Topic::VocabularyReports => vocabulary_reports::sheets(&names, &found)?,
        Topic::Models => models::sheets(&names, &found)?,
        Topic::Vocabularies => vocabularies::sheets(&names, &found)?,
    };
    let tables = || sheets.iter().map(Sheet::table);
    let text: String = match args.format {
        TableFormat::Text => {
            let shown: Vec<String> =
                tables().map(|table| format!("{}\n", titled(&table).trim_end())).collect();
            shown.join("\n")
        }
        TableFormat::Markdown => {
            tables().map(|table| table.to_markdown()).collect::<Vec<_>>().join("\n")
        }
        TableFormat::Csv => csv(&sheets),
    };
    let columns: Vec<Value> = names
        .iter()
        .zip(&args.paths)
        .map(|(name, path)| json!({ "name": name, "path": path }))
        .collect();
    let value = json!({
        "event": "result",
        "compared": topic,
        "columns": columns,
        "tables": sheets.iter().map(Sheet::to_value).collect::<Vec<_>>(),
    });
    session.result(&text, &value);
    Ok(Exit::Done)
}

/// What `found` can be compared by, what says most of it first.
fn topics(found: &Found) -> Vec<Topic> {
    let has = |name: &str| found.path.join(name).is_file();
    let also = |is_so: bool, topic: Topic| is_so.then_some(topic);
    match found.kind {
        Kind::Evaluation => vec![Topic::Evaluations],
        Kind::Experiment => also(has(RESULTS_FILE), Topic::Evaluations).into_iter().collect(),
        Kind::Arm => {
            let is_evaluated = found.path.join(eval::STAGE).join(RESULTS_FILE).is_file();
            [Some(Topic::Runs), also(is_evaluated, Topic::Evaluations)]
                .into_iter()
                .flatten()
                .collect()
        }
        Kind::TrainingRun => vec![Topic::Runs],
        Kind::TrainingCheckpoint => vec![Topic::Runs, Topic::Models, Topic::Vocabularies],
        Kind::Model => vec![Topic::Models, Topic::Vocabularies],
        Kind::Vocabulary => {
            let report = also(has(REPORT_FILE), Topic::VocabularyReports);
            [Some(Topic::Vocabularies), report].into_iter().flatten().collect()
        }
        Kind::VocabularyReport => vec![Topic::VocabularyReports],
        Kind::Corpus => vec![Topic::Corpora],
        Kind::TokenStore => vec![Topic::TokenStores],
        Kind::Weights | Kind::Artifact => Vec::new(),
    }
}

/// The first topic of the first path that all the others have.
fn common_topic(found: &[Found]) -> anyhow::Result<Topic> {
    let mut of_first = found.first().map(topics).unwrap_or_default().into_iter();
    let common = of_first.find(|topic| found.iter().all(|found| topics(found).contains(topic)));
    common.ok_or_else(|| {
        let lines: Vec<String> = found
            .iter()
            .map(|found| format!("  {}: {}", found.path.display(), found.kind.name()))
            .collect();
        let message = format!("these cannot be compared with one another:\n{}", lines.join("\n"));
        let hint = "name paths of one kind: evaluations, runs, vocabularies, vocabulary reports, \
                    models, corpora or token stores; `bimed inspect PATH` shows one alone";
        UsageError::new(message).with_hint(hint).into()
    })
}

/// The shortest endings of the paths that differ from one another.
fn column_names(paths: &[PathBuf]) -> Vec<String> {
    let parts: Vec<Vec<String>> = paths
        .iter()
        .map(|path| normal(path).iter().map(|part| part.to_string_lossy().into_owned()).collect())
        .collect();
    let ending =
        |parts: &[String], length: usize| parts[parts.len().saturating_sub(length)..].join("/");
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    let mut names = Vec::new();
    for length in 1..=longest {
        names = parts.iter().map(|parts| ending(parts, length)).collect();
        let mut distinct: Vec<&String> = names.iter().collect();
        distinct.sort();
        distinct.dedup();
        if distinct.len() == names.len() {
            return names;
        }
    }
    // The same path twice.
    let count = |at: usize| names[..at].iter().filter(|name| **name == names[at]).count() + 1;
    let numbered = (0..names.len()).map(|at| match count(at) {
        1 => names[at].clone(),
        number => format!("{} ({number})", names[at]),
    });
    numbered.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_by_what_differs() {
        let check = |paths: [&str; 2], expected: [&str; 2]| {
            assert_eq!(column_names(&paths.map(PathBuf::from)), expected);
        };
        check(["runs/a", "runs/b"], ["a", "b"]);
        check(["./runs/a/eval", "runs/b/eval/"], ["a/eval", "b/eval"]);
        check(["연구/main", "연구/../연구/main"], ["연구/main", "연구/main (2)"]);
    }
}
