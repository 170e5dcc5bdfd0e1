//! Model cards: what a model directory says of itself.

use std::fmt::Write as _;

use bimed_artifact::{AccessTier, SourceLineage};
use bimed_checkpoint::ModelCard;

/// The card of a model between two stages.
pub(crate) fn intermediate(title: &str, lineage: &[SourceLineage]) -> ModelCard {
    let mut body = String::from("Written by `bimed` between two of its stages.\n\n");
    body += &sources(lineage);
    ModelCard {
        title: title.to_owned(),
        pipeline_tag: Some("fill-mask".to_owned()),
        body,
        ..ModelCard::default()
    }
}

/// The sources with licence, access tier and approval, and the strictest tier.
pub(crate) fn sources(lineage: &[SourceLineage]) -> String {
    if lineage.is_empty() {
        return "No source of text is recorded.\n".to_owned();
    }
    let mut text = String::from("| source | access | licence | approval |\n|---|---|---|---|\n");
    for source in lineage {
        let approval = source.approval.as_deref().unwrap_or("–");
        let cells =
            [&source.name, tier_name(source.access_tier), &source.licence, approval].map(cell);
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let strictest = strictest(lineage);
    let _ = writeln!(text, "\nThe strictest access tier of these is **{}**.", tier_name(strictest));
    text
}

/// The strictest access tier of all.
pub(crate) fn strictest(lineage: &[SourceLineage]) -> AccessTier {
    lineage.iter().map(|source| source.access_tier).max().unwrap_or_default()
}

/// `public`, `licensed` or `private`.
pub(crate) fn tier_name(tier: AccessTier) -> &'static str {
    match tier {
        AccessTier::Public => "public",
        AccessTier::Licensed => "licensed",
        AccessTier::Private => "private",
    }
}

/// Text in a cell of a Markdown table.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
