//! `bimed compare A B …`: artifacts or results side by side, the same figure in the same row.

use std::path::Path;

use anyhow::Context as _;
use bimed_artifact::{MANIFEST_FILE, Manifest};
use fs_err as fs;
use serde_json::{Value, json};

use super::inspect::flatten;
use crate::args::{CompareArgs, TableFormat};
use crate::failure::{Exit, UsageError};
use crate::output::table;
use crate::session::Session;

/// The figures of an evaluation.
const RESULTS_FILE: &str = "results.json";

/// Shows one column for each path and one row for each figure.
pub(crate) fn compare(session: &Session, args: &CompareArgs) -> anyhow::Result<Exit> {
    let columns =
        args.paths.iter().map(|path| figures(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let names = column_names(args);
    let rows = side_by_side(&names, &columns);
    let text = match args.format {
        TableFormat::Text => table(&rows),
        TableFormat::Markdown => markdown(&rows),
        TableFormat::Csv => rows.iter().map(|row| csv_line(row)).collect(),
    };
    let value = json!({ "event": "result", "heading": rows.first(), "rows": rows.get(1..) });
    session.result(&text, &value);
    Ok(Exit::Done)
}

type Figures = Vec<(String, String)>;

/// The figures of a `results.json` file, of the directory of one, or of an artifact's summary.
fn figures(path: &Path) -> anyhow::Result<Figures> {
    let file = if path.is_dir() { path.join(RESULTS_FILE) } else { path.to_path_buf() };
    let value: Value = if file.is_file() {
        let bytes = fs::read(&file)?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", file.display()))?
    } else if path.join(MANIFEST_FILE).is_file() {
        Manifest::read(path)?.summary
    } else {
        let found =
            format!("`{}` has neither `{RESULTS_FILE}` nor `{MANIFEST_FILE}`", path.display());
        return Err(UsageError::new(found)
            .with_hint("name the output of `bimed eval`, or an artifact of the store")
            .into());
    };
    let mut rows = Vec::new();
    flatten("", &value, 0, &mut rows);
    let pair = |row: Vec<String>| match <[String; 2]>::try_from(row) {
        Ok([key, value]) => Some((key, value)),
        Err(_) => None,
    };
    Ok(rows.into_iter().filter_map(pair).collect())
}

/// The shortest endings of the paths that differ from one another.
fn column_names(args: &CompareArgs) -> Vec<String> {
    let parts: Vec<Vec<String>> = args
        .paths
        .iter()
        .map(|path| path.iter().map(|part| part.to_string_lossy().into_owned()).collect())
        .collect();
    let ending =
        |parts: &[String], length: usize| parts[parts.len().saturating_sub(length)..].join("/");
    let longest = parts.iter().map(Vec::len).max().unwrap_or(0);
    for length in 1..=longest {
        let names: Vec<String> = parts.iter().map(|parts| ending(parts, length)).collect();
        let mut distinct = names.clone();
        distinct.sort();
        distinct.dedup();
        if distinct.len() == names.len() {
            return names;
        }
    }
    args.paths.iter().map(|path| path.display().to_string()).collect()
}

/// Rows in the order in which the figures first come.
fn side_by_side(names: &[String], columns: &[Figures]) -> Vec<Vec<String>> {
    let mut keys: Vec<&String> = Vec::new();
    for (key, _) in columns.iter().flatten() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let heading = std::iter::once("figure".to_owned()).chain(names.iter().cloned()).collect();
    let row = |key: &String| {
        let value = |column: &Figures| {
            let found = column.iter().find(|(name, _)| name == key);
            found.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
        };
        std::iter::once(key.clone()).chain(columns.iter().map(value)).collect()
    };
    std::iter::once(heading).chain(keys.into_iter().map(row)).collect()
}

fn markdown(rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        text += &line(row);
        if number == 0 {
            text += &format!("|---{}|\n", "|---:".repeat(row.len().saturating_sub(1)));
        }
    }
    text
}

fn csv_line(row: &[String]) -> String {
    let quoted = |cell: &String| {
        if cell.contains([',', '"', '\n']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    };
    let cells: Vec<String> = row.iter().map(quoted).collect();
    format!("{}\n", cells.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_figure_that_one_side_lacks_shows_as_a_dash() {
        let columns = [
            vec![pair("korsts.pearson", "0.71"), pair("bpc.ko", "1.90")],
            vec![pair("korsts.pearson", "0.74"), pair("bpc.en", "1.10")],
        ];
        let rows = side_by_side(&["base".into(), "양방향".into()], &columns);
        insta::assert_snapshot!(table(&rows), @r"
    figure          base  양방향
    --------------  ----  ------
    korsts.pearson  0.71    0.74
    bpc.ko          1.90       –
    bpc.en             –    1.10
    ");
        insta::assert_snapshot!(markdown(&rows), @r"
    | figure | base | 양방향 |
    |---|---:|---:|
    | korsts.pearson | 0.71 | 0.74 |
    | bpc.ko | 1.90 | – |
    | bpc.en | – | 1.10 |
    ");
    }

    #[test]
    fn columns_are_named_by_what_differs() {
        let check = |paths: [&str; 2], expected: [&str; 2]| {
            let paths = paths.map(std::path::PathBuf::from).to_vec();
            let args = CompareArgs { paths, format: TableFormat::Text };
            assert_eq!(column_names(&args), expected);
        };
        check(["runs/a", "runs/b"], ["a", "b"]);
        check(["runs/a/eval", "runs/b/eval"], ["a/eval", "b/eval"]);
    }
}
