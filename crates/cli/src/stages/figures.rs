//! The few figures of a stage that the table at the end shows.

use serde_json::Value;

use crate::output::grouped;

/// The figures of `stage` out of its summary.
pub(crate) fn of(stage: &str, summary: &Value) -> String {
    let count =
        |value: &Value, name: &str| value.as_u64().map(|n| format!("{} {name}", grouped(n)));
    let figures: Vec<Option<String>> = match stage {
        "corpus" => vec![
            count(&summary["documents"], "documents"),
            count(&summary["words"], "words"),
            warnings(summary),
        ],
        "vocab" => vec![
            count(&summary["rows"], "rows"),
            count(&summary["base_rows"], "of the base").filter(|_| summary["base_rows"] != 0),
            count(&summary["rows_by_script"]["hangul"], "Hangul"),
            count(&summary["rows_by_script"]["latin"], "Latin"),
        ],
        "encode" => vec![
            count(&summary["total"]["tokens"], "tokens"),
            count(&summary["total"]["unk_tokens"], "[UNK]"),
        ],
        "vectors" => vec![
            count(&summary["rows"], "vectors"),
            count(&summary["pairs"], "pairs of rows"),
            count(&summary["tokens_read"], "tokens read"),
        ],
        "transplant" => vec![
            count(&summary["parameters"], "parameters"),
            count(&summary["rows"]["copied"], "rows copied"),
            count(&summary["rows"]["mixed"], "mixed"),
            count(&summary["rows"]["mean"], "mean").filter(|_| summary["rows"]["mean"] != 0),
            count(&summary["rows"]["drawn"], "drawn"),
        ],
        "head" | "pretrain" => vec![count(&summary["steps"], "steps"), losses(summary)],
        _ => Vec::new(),
    };
    figures.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn warnings(summary: &Value) -> Option<String> {
    let count = summary["warnings"].as_array()?.len();
    (count > 0).then(|| format!("{count} warnings"))
}

/// Bits per character of each language, at step 0 and at the end.
fn losses(summary: &Value) -> Option<String> {
    let validations = summary["validations"].as_array()?;
    let (first, last) = (validations.first()?, validations.last()?);
    let languages = last["languages"].as_object()?;
    let bits = |record: &Value, language: &str| {
        record["languages"][language]["bits_per_character"].as_f64()
    };
    let shown: Vec<String> = languages
        .keys()
        .filter_map(|language| {
            let (before, after) = (bits(first, language)?, bits(last, language)?);
            Some(format!("{language} {before:.2} → {after:.2}"))
        })
        .collect();
    Some(format!("bits per character {}", shown.join(", ")))
}
