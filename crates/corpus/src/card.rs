//! `card.md`: what the corpus is, for people.

use std::fmt::{self, Write};

use crate::{CorpusSummary, SourceConfig, SourceSummary};

/// The card of a corpus. Holds counts and names, never document text.
pub fn card(summary: &CorpusSummary, sources: &[SourceConfig]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_card(&mut out, summary, sources);
    out
}

fn write_card(out: &mut String, summary: &CorpusSummary, sources: &[SourceConfig]) -> fmt::Result {
    writeln!(out, "# Corpus\n")?;
    writeln!(
        out,
        "{} documents, {} words, {} shards.\n",
        summary.documents, summary.words, summary.shards
    )?;
    writeln!(out, "## Sources\n")?;
    writeln!(out, "| Source | Domain | Genre | Licence | Access |\n|---|---|---|---|---|")?;
    for source in sources {
        let access = format!("{:?}", source.access_tier).to_lowercase();
        let cells = [&source.name, &source.domain, &source.genre, &source.licence, &access];
        writeln!(out, "{}", row(cells.map(String::as_str)))?;
    }
    writeln!(out, "\n## Funnel\n")?;
    writeln!(out, "| Source | Files | Records | Rejected | Documents | Words | Characters |")?;
    writeln!(out, "|---|---:|---:|---|---:|---:|---:|")?;
    for source in &summary.sources {
        let counts = [source.files, source.records, source.documents, source.words, source.chars];
        let [files, records, documents, words, chars] = counts.map(|count| count.to_string());
        let rejected = rejected(source);
        writeln!(
            out,
            "{}",
            row([&source.name, &files, &records, &rejected, &documents, &words, &chars])
        )?;
    }
    writeln!(out, "\n## Languages\n")?;
    writeln!(out, "| Source | Language | Split | Documents | Words |\n|---|---|---|---:|---:|")?;
    for one in &summary.languages {
        let (documents, words) = (one.documents.to_string(), one.words.to_string());
        writeln!(
            out,
            "{}",
            row([&one.source, &one.language, one.split.name(), &documents, &words])
        )?;
    }
    write_identifiers(out, summary)?;
    writeln!(out, "\n## Folding\n")?;
    writeln!(out, "| Rule | Characters |\n|---|---:|")?;
    for (rule, count) in &summary.folds.0 {
        writeln!(out, "{}", row([rule.name(), &count.to_string()]))?;
    }
    if !summary.warnings.is_empty() {
        writeln!(out, "\n## Warnings\n")?;
        for warning in &summary.warnings {
            writeln!(out, "- {warning}")?;
        }
    }
    Ok(())
}

fn write_identifiers(out: &mut String, summary: &CorpusSummary) -> fmt::Result {
    writeln!(out, "\n## Identifiers\n")?;
    writeln!(
        out,
        "What rules found in the records read. Rules are a scan: some names and numbers"
    )?;
    writeln!(out, "pass, and masked text is still text about people.\n")?;
    writeln!(out, "| Source | Class | Found |\n|---|---|---:|")?;
    for source in &summary.sources {
        for (class, count) in &source.identifiers.0 {
            writeln!(out, "{}", row([&source.name, class.name(), &count.to_string()]))?;
        }
    }
    Ok(())
}

fn row<const N: usize>(cells: [&str; N]) -> String {
    format!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn rejected(source: &SourceSummary) -> String {
    let parts: Vec<_> = source
        .rejected
        .iter()
        .map(|(reason, count)| format!("{} {count}", reason.name()))
        .collect();
    parts.join(", ")
}
