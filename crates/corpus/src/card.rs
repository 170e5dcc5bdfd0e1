//! `card.md`: what the corpus is, for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use bimed_artifact::AccessTier;

use crate::{
    CopyForwardSummary, CorpusSummary, DecontaminationSummary, Reason, SourceConfig, SourceSummary,
};

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
        "{} documents, {} words, about {} tokens, {} shards. Access: {}, the strictest of its \
         sources.\n",
        summary.documents,
        summary.words,
        summary.tokens,
        summary.shards,
        tier(summary.access_tier)
    )?;
    write_sources(out, sources)?;
    write_funnel(out, summary)?;
    write_languages(out, summary)?;
    write_steps(out, summary)?;
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

fn write_sources(out: &mut String, sources: &[SourceConfig]) -> fmt::Result {
    writeln!(out, "## Sources\n")?;
    writeln!(
        out,
        "| Source | Domain | Genre | Licence | Access | Approval |\n|---|---|---|---|---|---|"
    )?;
    for source in sources {
        let mut approval = source.approval.clone().unwrap_or_default();
        if let Some(last) = &source.approval_expires {
            approval += &format!(" (to {last})");
        }
        let (domain, genre, licence) = (&source.domain, &source.genre, &source.licence);
        let cells = [&source.name, domain, genre, licence, tier(source.access_tier), &approval];
        writeln!(out, "{}", row(cells))?;
    }
    Ok(())
}

/// What was read, what was left out in the order of the steps, and what is left.
fn write_funnel(out: &mut String, summary: &CorpusSummary) -> fmt::Result {
    let mut reasons: BTreeMap<Reason, (u64, u64)> = BTreeMap::new();
    for source in &summary.sources {
        for (reason, count) in &source.rejected {
            let total = reasons.entry(*reason).or_default();
            total.0 += count;
            total.1 += source.rejected_words.get(reason).unwrap_or(&0);
        }
    }
    writeln!(out, "\n## Funnel\n")?;
    writeln!(out, "| Step | Records | Words |\n|---|---:|---:|")?;
    let read: u64 = summary.sources.iter().map(|source| source.records).sum();
    writeln!(out, "{}", row(["read", &read.to_string(), ""]))?;
    for (reason, (records, words)) in reasons {
        writeln!(out, "{}", row([reason.name(), &format!("-{records}"), &format!("-{words}")]))?;
    }
    let (documents, words) = (summary.documents.to_string(), summary.words.to_string());
    writeln!(out, "{}\n", row(["documents", &documents, &words]))?;
    writeln!(out, "| Source | Files | Records | Rejected | Documents | Words | Characters |")?;
    writeln!(out, "|---|---:|---:|---|---:|---:|---:|")?;
    for source in &summary.sources {
        let counts = [source.files, source.records, source.documents, source.words, source.chars];
        let [files, records, documents, words, chars] = counts.map(|count| count.to_string());
        let rejected = rejected(source);
        let name = source.name.as_str();
        let cells = [name, &files, &records, &rejected, &documents, &words, &chars];
        writeln!(out, "{}", row(cells))?;
    }
    Ok(())
}

fn write_languages(out: &mut String, summary: &CorpusSummary) -> fmt::Result {
    let mut languages: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for one in &summary.languages {
        let total = languages.entry(&one.language).or_default();
        for (total, count) in total.iter_mut().zip([one.documents, one.words, one.tokens]) {
            *total += count;
        }
    }
    writeln!(out, "\n## Languages\n")?;
    writeln!(out, "Tokens are estimated by the characters of each script.\n")?;
    writeln!(out, "| Language | Documents | Words | Share | Tokens |\n|---|---:|---:|---:|---:|")?;
    for (language, counts) in languages {
        let share = format!("{:.1}%", 100.0 * counts[1] as f64 / summary.words.max(1) as f64);
        let [documents, words, tokens] = counts.map(|count| count.to_string());
        writeln!(out, "{}", row([language, &documents, &words, &share, &tokens]))?;
    }
    writeln!(out, "\n| Source | Language | Split | Documents | Words | Tokens |")?;
    writeln!(out, "|---|---|---|---:|---:|---:|")?;
    for one in &summary.languages {
        let counts = [one.documents, one.words, one.tokens].map(|count| count.to_string());
        let [documents, words, tokens] = &counts;
        let cells = [&one.source, &one.language, one.split.name(), documents, words, tokens];
        writeln!(out, "{}", row(cells))?;
    }
    Ok(())
}

fn write_steps(out: &mut String, summary: &CorpusSummary) -> fmt::Result {
    if let Some(found) = &summary.decontamination {
        let DecontaminationSummary { files, sentences, compared, dropped, dropped_versions } =
            found;
        writeln!(out, "\n## Decontamination\n")?;
        writeln!(
            out,
            "{compared} documents were compared with {sentences} sentences of {files} files; \
             {dropped} were dropped, {dropped_versions} of them as translations of another."
        )?;
    }
    if let Some(found) = &summary.copy_forward {
        let CopyForwardSummary { documents, chars, changed, cut_chars, .. } = found;
        let share = 100.0 * *cut_chars as f64 / (*chars).max(1) as f64;
        writeln!(out, "\n## Copied forward\n")?;
        writeln!(
            out,
            "{changed} of {documents} notes repeat earlier ones of their patient; {cut_chars} of \
             {chars} characters ({share:.1}%) were cut out."
        )?;
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

pub(crate) fn tier(tier: AccessTier) -> &'static str {
    match tier {
        AccessTier::Public => "public",
        AccessTier::Licensed => "licensed",
        AccessTier::Private => "private",
    }
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
