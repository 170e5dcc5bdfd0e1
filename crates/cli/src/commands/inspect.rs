//! `bimed inspect PATH`: what an artifact is, from its manifest.

use bimed_artifact::{MANIFEST_FILE, Manifest};
use serde_json::{Value, json};

use crate::args::InspectArgs;
use crate::failure::{Exit, UsageError};
use crate::output::{bytes, table};
use crate::session::Session;

/// Summaries are shown down to this depth; deeper is a count.
const SUMMARY_DEPTH: usize = 3;

/// Shows the manifest at `args.path`.
pub(crate) fn inspect(session: &Session, args: &InspectArgs) -> anyhow::Result<Exit> {
    let path = if args.path.ends_with(MANIFEST_FILE) {
        args.path.parent().unwrap_or(&args.path).to_path_buf()
    } else {
        args.path.clone()
    };
    if !path.exists() {
        return Err(UsageError::new(format!("`{}` does not exist", path.display())).into());
    }
    if !path.join(MANIFEST_FILE).is_file() {
        return Err(UsageError::new(format!("`{}` has no `{MANIFEST_FILE}`", path.display()))
            .with_hint("name a directory under the experiment's `store` or `output`")
            .into());
    }
    let manifest = Manifest::read(&path)?;
    if args.verify {
        manifest.verify(&path)?;
    }
    let mut value = serde_json::to_value(&manifest)?;
    if let Value::Object(object) = &mut value {
        object.insert("event".into(), "result".into());
        object.insert("access_tier".into(), json!(manifest.access_tier()));
    }
    session.result(&describe(&manifest, args), &value);
    Ok(Exit::Done)
}

fn describe(manifest: &Manifest, args: &InspectArgs) -> String {
    let size: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let tier = format!("{:?}", manifest.access_tier()).to_lowercase();
    let mut text = format!(
        "{} {}\nwritten by bimed {}\naccess tier: {tier}, {} sources\n{} files, {}{}\n",
        manifest.stage,
        manifest.key.short(),
        manifest.bimed_version,
        manifest.lineage.len(),
        manifest.files.len(),
        bytes(size),
        if args.verify { ", all as the manifest says" } else { "" },
    );
    for input in &manifest.inputs {
        text += &format!("from {} {} ({})\n", input.role, input.hash.short(), input.path.display());
    }
    let mut rows = vec![vec!["summary".to_owned(), String::new()]];
    flatten("", &manifest.summary, 0, &mut rows);
    if rows.len() > 1 {
        text += &format!("\n{}", table(&rows));
    }
    let mut rows = vec![vec!["file".to_owned(), "size".to_owned()]];
    rows.extend(manifest.files.iter().map(|file| vec![file.path.clone(), bytes(file.bytes)]));
    text += &format!("\n{}", table(&rows));
    if args.lineage {
        let heading = ["source", "access tier", "licence", "approval"].map(str::to_owned);
        let mut rows = vec![heading.to_vec()];
        rows.extend(manifest.lineage.iter().map(|source| {
            let tier = format!("{:?}", source.access_tier).to_lowercase();
            let approval = source.approval.clone().unwrap_or_else(|| "–".to_owned());
            vec![source.name.clone(), tier, source.licence.clone(), approval]
        }));
        text += &format!("\n{}", table(&rows));
    }
    text
}

/// A JSON tree as rows of dotted key and value.
pub(crate) fn flatten(prefix: &str, value: &Value, depth: usize, rows: &mut Vec<Vec<String>>) {
    let mut row = |text: String| rows.push(vec![prefix.to_owned(), text]);
    match value {
        Value::Null => {}
        Value::String(text) => row(text.clone()),
        Value::Object(fields) if depth < SUMMARY_DEPTH => {
            for (key, value) in fields {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, depth + 1, rows);
            }
        }
        Value::Object(fields) => row(entries(fields.len())),
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            row(items.join(", "));
        }
        Value::Array(items) => row(entries(items.len())),
        other => row(other.to_string()),
    }
}

fn entries(count: usize) -> String {
    if count == 1 { "1 entry".into() } else { format!("{count} entries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_becomes_rows_of_dotted_keys() {
        let summary = json!({
            "documents": 12,
            "by_language": { "ko": { "words": 7 }, "혼용": { "words": 5 } },
            "files": [{ "a": 1 }],
            "ratios": [0.5, 1],
            "none": null,
        });
        let mut rows = vec![vec!["summary".to_owned(), String::new()]];
        flatten("", &summary, 0, &mut rows);
        insta::assert_snapshot!(table(&rows), @r"
    summary
    ----------------------  -------
    documents               12
    by_language.ko.words    7
    by_language.혼용.words  5
    files                   1 entry
    ratios                  0.5, 1
    ");
    }
}
