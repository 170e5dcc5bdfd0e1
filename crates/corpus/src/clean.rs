//! A record's text to a document's: normalised, freed of its pages, identifiers masked.
//!
//! What leaves here is all that any later step, file or report sees of a record.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use bimed_artifact::AccessTier;
use bimed_text::{
    FoldCounts, IdentifierClass, IdentifierCounts, IdentifierScanner, ListTooLong, StructureCounts,
    StructureOptions, mask_removed, normalize_counting, structure,
};
use fs_err as fs;
use regex::Regex;

use crate::{CorpusConfig, Error, IdentifierMode, Result, SourceConfig, SourceSummary};

/// Cleans the text of records.
pub(crate) struct Cleaner<'a> {
    config: &'a CorpusConfig,
    scanner: IdentifierScanner,
    /// What is taken out of a source's texts, by its name.
    removes: HashMap<&'a str, Vec<Regex>>,
}

/// A document's text, and what was done to the record's.
#[derive(Debug)]
pub(crate) struct Cleaned {
    /// The text.
    pub text: String,
    /// Characters replaced by the folding table.
    pub folds: FoldCounts,
    /// What was done to pages and lines.
    pub structure: StructureCounts,
    /// Characters that were taken out by the rules of the profile and the source.
    pub removed_chars: u64,
    /// Identifiers that were found, masked or not.
    pub identifiers: IdentifierCounts,
}

impl<'a> Cleaner<'a> {
    /// A cleaner of the records of `sources` that knows the names of the config's file.
    pub(crate) fn new(sources: &'a [SourceConfig], config: &'a CorpusConfig) -> Result<Self> {
        let names = config.identifiers.names.as_deref().map(read_names).transpose()?;
        let scanner = IdentifierScanner::new(&names.unwrap_or_default()).map_err(|error| {
            let ListTooLong { names } = error;
            Error::Config { faults: vec![format!("`identifiers.names` has {names} names")] }
        })?;
        let removes = sources.iter().map(|source| (source.name.as_str(), removes(source)));
        let removes = removes.filter(|(_, patterns)| !patterns.is_empty()).collect();
        Ok(Self { config, scanner, removes })
    }

    /// The text of a record of `source`.
    pub(crate) fn clean(&self, source: &SourceConfig, text: &str) -> Cleaned {
        let mut folds = FoldCounts::default();
        let mut counts = StructureCounts::default();
        let mut identifiers = IdentifierCounts::default();
        let pages: Vec<Cow<'_, str>> = text
            .split(PAGE_END)
            .map(|page| normalize_counting(page, &self.config.fold, &mut folds))
            .collect();
        let options = source.structure.unwrap_or(source.profile.structure());
        let text = running_text(&pages, &options, &mut counts);
        let (text, removed_chars) = self.without_removed(source, text);
        let text = tidy(&text);
        let text = self.masked(source, &text, &mut identifiers).into_owned();
        Cleaned { text, folds, structure: counts, removed_chars, identifiers }
    }

    fn without_removed<'t>(
        &self,
        source: &SourceConfig,
        text: Cow<'t, str>,
    ) -> (Cow<'t, str>, u64) {
        let Some(patterns) = self.removes.get(source.name.as_str()) else { return (text, 0) };
        let before = text.chars().count();
        let mut text = text.into_owned();
        for pattern in patterns {
            text = pattern.replace_all(&text, "").into_owned();
        }
        let after = text.chars().count();
        (Cow::Owned(text), (before - after) as u64)
    }

    fn masked<'t>(
        &self,
        source: &SourceConfig,
        text: &'t str,
        counts: &mut IdentifierCounts,
    ) -> Cow<'t, str> {
        let text = match source.removed_marker {
            Some(marker) => mask_removed(text, marker, counts),
            None => Cow::Borrowed(text),
        };
        match mode(source, self.config) {
            IdentifierMode::Mask | IdentifierMode::Drop => {
                let keep = &self.config.identifiers.keep;
                Cow::Owned(self.scanner.mask(&text, keep, counts).into_owned())
            }
            IdentifierMode::Report => {
                self.scanner.find(&text).iter().for_each(|one| counts.count(one.class));
                text
            }
        }
    }
}

/// What ends a page in the text of a paged format.
const PAGE_END: char = '\u{C}';

fn running_text<'t>(
    pages: &[Cow<'t, str>],
    options: &StructureOptions,
    counts: &mut StructureCounts,
) -> Cow<'t, str> {
    match pages {
        [page] if *options == StructureOptions::default() => page.clone(),
        pages => {
            let pages: Vec<&str> = pages.iter().map(AsRef::as_ref).collect();
            Cow::Owned(structure(&pages, options, counts))
        }
    }
}

/// Patterns that do not compile are faults of the config, and named there.
fn removes(source: &SourceConfig) -> Vec<Regex> {
    let patterns = source.profile.removes().iter().copied();
    let patterns = patterns.chain(source.remove.iter().map(String::as_str));
    patterns.filter_map(|pattern| Regex::new(pattern).ok()).collect()
}

/// What is done with the identifiers of `source`: private text is masked unless it says otherwise.
pub(crate) fn mode(source: &SourceConfig, config: &CorpusConfig) -> IdentifierMode {
    source.identifiers.or(config.identifiers.mode).unwrap_or(match source.access_tier {
        AccessTier::Private => IdentifierMode::Mask,
        AccessTier::Public | AccessTier::Licensed => IdentifierMode::Report,
    })
}

/// The tokens that took an identifier's place, in the order of the classes.
pub(crate) fn mask_tokens(
    sources: &[SourceConfig],
    config: &CorpusConfig,
    summaries: &[SourceSummary],
) -> Vec<String> {
    let is_masked = |class: IdentifierClass| {
        let keeps = config.identifiers.keep.contains(&class);
        sources.iter().zip(summaries).any(|(source, summary)| {
            let is_taken_out = match class {
                IdentifierClass::Removed => true,
                _ => mode(source, config) != IdentifierMode::Report && !keeps,
            };
            is_taken_out && summary.identifiers.0.contains_key(&class)
        })
    };
    let masked = IdentifierClass::ALL.into_iter().filter(|class| is_masked(*class));
    masked.map(|class| class.mask_token().to_owned()).collect()
}

/// Refuses more identifiers left in the text than the config allows.
pub(crate) fn check_reported(
    sources: &[SourceConfig],
    config: &CorpusConfig,
    summaries: &[SourceSummary],
) -> Result<()> {
    let Some(max) = config.identifiers.max_reported else { return Ok(()) };
    let reported = sources.iter().zip(summaries);
    let reported = reported.filter(|(source, _)| mode(source, config) == IdentifierMode::Report);
    let found = reported
        .flat_map(|(_, summary)| &summary.identifiers.0)
        .filter(|(class, _)| {
            **class != IdentifierClass::Removed && !config.identifiers.keep.contains(class)
        })
        .map(|(_, count)| count)
        .sum();
    if found > max { Err(Error::TooManyIdentifiers { found, max }) } else { Ok(()) }
}

/// One name a line; `#` begins a comment.
fn read_names(path: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// One space between words, one blank line between paragraphs at most, none at the ends.
fn tidy(text: &str) -> Cow<'_, str> {
    if is_tidy(text) { Cow::Borrowed(text) } else { Cow::Owned(tidied(text)) }
}

fn tidied(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank = 0;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else {
            blank += 1;
            continue;
        };
        if !out.is_empty() {
            out.push_str(if blank > 0 { "\n\n" } else { "\n" });
        }
        blank = 0;
        out.push_str(first);
        for word in words {
            out.push(' ');
            out.push_str(word);
        }
    }
    out
}

/// Whether `text` is surely what [`tidy`] makes of it. White space beyond ASCII is not looked into.
fn is_tidy(text: &str) -> bool {
    // As after two line ends.
    let mut spaces = 2;
    for byte in text.as_bytes() {
        spaces = match byte {
            b'\n' if spaces < 2 => spaces + 1,
            b' ' if spaces == 0 => 2,
            // White space and the first bytes of it.
            0..=b' ' | 0xC2 | 0xE1..=0xE3 => return false,
            _ => 0,
        };
    }
    spaces == 0
}

#[cfg(test)]
mod tests {
    use bimed_text::IdentifierClass;

    use super::*;
    use crate::Profile;

    const NOTE: &str = "환자명: 홍길동  010-1234-5678\n2024-01-15 chest CT 시행, ___ 처방";

    fn check(source: &SourceConfig, config: &CorpusConfig, expected: &str) -> IdentifierCounts {
        let sources = [source.clone()];
        let cleaned = Cleaner::new(&sources, config).unwrap().clean(source, NOTE);
        assert_eq!(cleaned.text, expected);
        cleaned.identifiers
    }

    #[test]
    fn tidying_keeps_paragraphs() {
        assert_eq!(tidy("\n  폐렴 \t CT \n\n\n\n 끝\n다음 \n"), "폐렴 CT\n\n끝\n다음");
    }

    proptest::proptest! {
        #[test]
        fn what_is_tidy_stays_as_it_is(text in "[a가 \n]{0,8}[…\u{3000}\u{A0}\r]?[a가]{0,2}") {
            proptest::prop_assert_eq!(tidy(&text).into_owned(), tidied(&text));
        }
    }

    #[test]
    fn private_text_is_masked_and_dates_are_kept() {
        let private = SourceConfig { access_tier: AccessTier::Private, ..SourceConfig::default() };
        let masked = "환자명: [NAME] [PHONE]\n2024-01-15 chest CT 시행, ___ 처방";
        let counts = check(&private, &CorpusConfig::default(), masked);
        assert_eq!((counts.total(), counts.0[&IdentifierClass::Date]), (3, 1));
        let report = SourceConfig { identifiers: Some(IdentifierMode::Report), ..private };
        let plain = "환자명: 홍길동 010-1234-5678\n2024-01-15 chest CT 시행, ___ 처방";
        assert_eq!(check(&report, &CorpusConfig::default(), plain), counts);
    }

    #[test]
    fn what_was_removed_before_is_masked_where_the_source_says_so() {
        let mimic = SourceConfig { removed_marker: Some('_'), ..SourceConfig::default() };
        let counts = check(
            &mimic,
            &CorpusConfig::default(),
            "환자명: 홍길동 010-1234-5678\n2024-01-15 chest CT 시행, [DEID] 처방",
        );
        assert_eq!(counts.0[&IdentifierClass::Removed], 1);
    }

    #[test]
    fn the_study_s_cleaning_leaves_letters_alone() {
        let source = SourceConfig { profile: Profile::PaperCt, ..SourceConfig::default() };
        check(&source, &CorpusConfig::default(), "환자명 홍길동\nchest CT 시행 처방");
    }

    #[test]
    fn books_lose_their_pages_and_web_pages_their_notices() {
        let config = CorpusConfig::default();
        let clean = |source: &SourceConfig, text: &str| {
            let sources = [source.clone()];
            let cleaned = Cleaner::new(&sources, &config).unwrap().clean(source, text);
            (cleaned.text, cleaned.structure, cleaned.removed_chars)
        };
        let book = SourceConfig { profile: Profile::Textbook, ..SourceConfig::default() };
        let pages = ["폐렴은 염증이다.", "CT로 진단한다.", "Rest helps."];
        let pages: Vec<String> =
            (1..).zip(pages).map(|(n, p)| format!("호흡기학\n{p}\n{n}")).collect();
        let (text, counts, _) = clean(&book, &pages.join("\u{C}"));
        assert_eq!(text, "폐렴은 염증이다.\nCT로 진단한다.\nRest helps.");
        assert_eq!((counts.pages, counts.running_lines, counts.page_numbers), (3, 3, 3));
        let web = SourceConfig {
            profile: Profile::Web,
            remove: vec!["광고".into()],
            ..SourceConfig::default()
        };
        let (text, _, removed) = clean(&web, "폐렴 광고 CT\n저작권자 ⓒ 신문, 무단전재 금지\n끝");
        assert_eq!((text.as_str(), removed), ("폐렴 CT\n\n끝", 20));
    }

    #[test]
    fn names_of_a_list_are_masked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("직원.txt");
        fs::write(&path, "# 직원\n\n시행맨\nchest\n").unwrap();
        let mut config = CorpusConfig::default();
        config.identifiers.names = Some(path);
        config.identifiers.mode = Some(IdentifierMode::Mask);
        config.identifiers.keep = Vec::new();
        check(
            &SourceConfig::default(),
            &config,
            "환자명: [NAME] [PHONE]\n[DATE] [NAME] CT 시행, ___ 처방",
        );
    }
}
