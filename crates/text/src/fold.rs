//! NFC and the folding table.
//!
//! Owns which characters are replaced by which. It never applies NFKC, which turns `10⁹/L` into
//! `109/L` and `ㄱ` into a conjoining jamo.
//!
//! Invariant: no replacement contains a character that an active rule replaces.

mod table;

use std::borrow::Cow;
use std::collections::BTreeMap;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};

use table::ENTRIES;

/// A group of replacements that is switched as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FoldRule {
    /// Full-width ASCII and currency signs: `Ａ` to `A`.
    FullWidth,
    /// No-break, ideographic and typographic spaces to a space.
    Space,
    /// Squared units: `㎎` to `mg`, `㎡` to `m²`.
    Unit,
    /// `℃` to `°C`, the micro sign to `μ`, `ℓ` to `l`.
    Letterlike,
    /// Latin ligatures: `ﬁ` to `fi`.
    Ligature,
    /// Half-width jamo to the compatibility block U+3131.
    HalfWidthJamo,
    /// Kangxi radicals to ideographs.
    Radical,
    /// Zero-width space, byte order mark, soft hyphen and bidirectional marks, deleted.
    Invisible,
    /// Control characters to a space, except the tab; line ends to `\n`.
    Control,
    /// Dashes, quotes and primes to their ASCII forms. Off by default.
    DashQuote,
    /// `Ⅰ` to `I`, `ⅳ` to `iv`. Off by default.
    Roman,
}

impl FoldRule {
    /// Every rule.
    pub const ALL: [Self; 11] = [
        Self::FullWidth,
        Self::Space,
        Self::Unit,
        Self::Letterlike,
        Self::Ligature,
        Self::HalfWidthJamo,
        Self::Radical,
        Self::Invisible,
        Self::Control,
        Self::DashQuote,
        Self::Roman,
    ];

    /// The rule's name, as [`FoldOptions`] spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::FullWidth => "full_width",
            Self::Space => "space",
            Self::Unit => "unit",
            Self::Letterlike => "letterlike",
            Self::Ligature => "ligature",
            Self::HalfWidthJamo => "half_width_jamo",
            Self::Radical => "radical",
            Self::Invisible => "invisible",
            Self::Control => "control",
            Self::DashQuote => "dash_quote",
            Self::Roman => "roman",
        }
    }

    const fn is_default(self) -> bool {
        !matches!(self, Self::DashQuote | Self::Roman)
    }
}

/// Which rules of the folding table are applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FoldOptions {
    /// [`FoldRule::FullWidth`].
    pub full_width: bool,
    /// [`FoldRule::Space`].
    pub space: bool,
    /// [`FoldRule::Unit`].
    pub unit: bool,
    /// [`FoldRule::Letterlike`].
    pub letterlike: bool,
    /// [`FoldRule::Ligature`].
    pub ligature: bool,
    /// [`FoldRule::HalfWidthJamo`].
    pub half_width_jamo: bool,
    /// [`FoldRule::Radical`].
    pub radical: bool,
    /// [`FoldRule::Invisible`].
    pub invisible: bool,
    /// [`FoldRule::Control`].
    pub control: bool,
    /// [`FoldRule::DashQuote`].
    pub dash_quote: bool,
    /// [`FoldRule::Roman`].
    pub roman: bool,
}

impl Default for FoldOptions {
    fn default() -> Self {
        Self {
            full_width: true,
            space: true,
            unit: true,
            letterlike: true,
            ligature: true,
            half_width_jamo: true,
            radical: true,
            invisible: true,
            control: true,
            dash_quote: false,
            roman: false,
        }
    }
}

impl FoldOptions {
    /// Whether `rule` is applied.
    pub fn has(&self, rule: FoldRule) -> bool {
        match rule {
            FoldRule::FullWidth => self.full_width,
            FoldRule::Space => self.space,
            FoldRule::Unit => self.unit,
            FoldRule::Letterlike => self.letterlike,
            FoldRule::Ligature => self.ligature,
            FoldRule::HalfWidthJamo => self.half_width_jamo,
            FoldRule::Radical => self.radical,
            FoldRule::Invisible => self.invisible,
            FoldRule::Control => self.control,
            FoldRule::DashQuote => self.dash_quote,
            FoldRule::Roman => self.roman,
        }
    }
}

const DEFAULT_ENTRIES: usize = {
    let (mut count, mut index) = (0, 0);
    while index < ENTRIES.len() {
        if ENTRIES[index].0.is_default() {
            count += 1;
        }
        index += 1;
    }
    count
};

static DEFAULT_PAIRS: [(&str, &str); DEFAULT_ENTRIES] = {
    let mut pairs = [("", ""); DEFAULT_ENTRIES];
    let (mut count, mut index) = (0, 0);
    while index < ENTRIES.len() {
        if ENTRIES[index].0.is_default() {
            pairs[count] = (ENTRIES[index].2, ENTRIES[index].3);
            count += 1;
        }
        index += 1;
    }
    pairs
};

/// The replacements of the default options, `(from, to)`; an empty `to` deletes.
///
/// A tokenizer that applies these and then NFC does what [`normalize`] does, except that
/// [`normalize`] turns `\r\n` into one `\n`.
pub static FOLD_TABLE: &[(&str, &str)] = &DEFAULT_PAIRS;

/// The replacements that `options` switch on, `(from, to)`.
pub fn fold_table(options: &FoldOptions) -> Vec<(&'static str, &'static str)> {
    ENTRIES.iter().filter(|entry| options.has(entry.0)).map(|entry| (entry.2, entry.3)).collect()
}

/// How often each rule replaced a character.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FoldCounts(pub BTreeMap<FoldRule, u64>);

impl FoldCounts {
    /// Adds the counts of `other`.
    pub fn add(&mut self, other: &Self) {
        for (rule, count) in &other.0 {
            *self.0.entry(*rule).or_default() += count;
        }
    }
}

/// Folds by the table, then composes to NFC. Borrows where nothing changes.
pub fn normalize<'a>(text: &'a str, options: &FoldOptions) -> Cow<'a, str> {
    normalize_counting(text, options, &mut FoldCounts::default())
}

/// As [`normalize`], and adds to `counts` what was replaced.
pub fn normalize_counting<'a>(
    text: &'a str,
    options: &FoldOptions,
    counts: &mut FoldCounts,
) -> Cow<'a, str> {
    let composer = ComposingNormalizerBorrowed::new_nfc();
    if is_composed(text) {
        return Cow::Borrowed(text);
    }
    match fold(text, options, counts) {
        Cow::Borrowed(text) => composer.normalize(text),
        Cow::Owned(text) => match composer.normalize(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(composed) => Cow::Owned(composed),
        },
    }
}

/// Whether `text` is ASCII and syllables alone: nothing is folded there, and nothing to compose.
fn is_composed(text: &str) -> bool {
    // The first bytes EA and ED have others beside syllables.
    let mut may_fold = text.bytes().enumerate().filter(|(_, byte)| MAY_FOLD[usize::from(*byte)]);
    may_fold.all(|(at, byte)| {
        matches!(byte, 0xEA | 0xED)
            && text[at..].chars().next().is_some_and(|one| ('가'..='힣').contains(&one))
    })
}

fn fold<'a>(text: &'a str, options: &FoldOptions, counts: &mut FoldCounts) -> Cow<'a, str> {
    let mut folded: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    while let Some(start) =
        text.as_bytes()[at..].iter().position(|byte| MAY_FOLD[usize::from(*byte)])
    {
        let start = at + start;
        let Some(from) = text[start..].chars().next() else { break };
        at = start + from.len_utf8();
        let Some((rule, to)) = replacement(from).filter(|(rule, _)| options.has(*rule)) else {
            continue;
        };
        let out = folded.get_or_insert_with(|| String::with_capacity(text.len()));
        out.push_str(&text[copied..start]);
        copied = at;
        // Of a line end of two characters, the second stays.
        if !(from == '\r' && text[copied..].starts_with('\n')) {
            out.push_str(to);
        }
        *counts.0.entry(rule).or_default() += 1;
    }
    match folded {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
    }
}

/// Whether a character that is replaced can begin with the byte: most text is passed over by its bytes.
const MAY_FOLD: [bool; 256] = {
    let mut may_fold = [true; 256];
    let mut byte = 0;
    while byte < 256 {
        may_fold[byte] = match byte as u8 {
            b' '..=b'~' | b'\n' | b'\t' => false,
            // What goes on; the first of three bytes of U+B000 to U+CFFF, syllables all.
            0x80..=0xBF | 0xEB | 0xEC => false,
            _ => true,
        };
        byte += 1;
    }
    may_fold
};

fn replacement(from: char) -> Option<(FoldRule, &'static str)> {
    if matches!(from, ' '..='~' | '\n' | '\t' | '가'..='힣') {
        return None;
    }
    static SORTED: std::sync::LazyLock<Vec<(char, FoldRule, &'static str)>> =
        std::sync::LazyLock::new(|| {
            let mut entries: Vec<_> = ENTRIES.iter().map(|e| (e.1, e.0, e.3)).collect();
            entries.sort_unstable_by_key(|entry| entry.0);
            entries
        });
    let entries = &*SORTED;
    let found = entries.binary_search_by_key(&from, |entry| entry.0).ok()?;
    entries.get(found).map(|entry| (entry.1, entry.2))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(input: &str, expected: &str) {
        assert_eq!(normalize(input, &FoldOptions::default()), expected);
    }

    #[test]
    fn compatibility_forms_fold() {
        check("ＣＴ　８㎎／㎗", "CT 8mg/dl");
        check("체온 36.5℃, 5µg, 12㎡", "체온 36.5°C, 5μg, 12m²");
        check("ﬁbrosis ﾵ ⾁", "fibrosis ㅅ 肉");
    }

    #[test]
    fn meaning_survives() {
        for text in ["10⁹/L", "m²", "①②", "½", "ㄱㅋㅋ", "≥ ± ×", "α-차단제", "“CT–상”", "Ⅲ기"]
        {
            check(text, text);
        }
    }

    proptest! {
        #[test]
        fn composed_text_stays_as_it_is(text in "[A가힣\u{A97C}\u{D7B0}\u{1111}\u{1168}\u{11B7}\u{301}]{0,6}") {
            if is_composed(&text) {
                prop_assert_eq!(ComposingNormalizerBorrowed::new_nfc().normalize(&text), text.as_str());
                prop_assert_eq!(fold(&text, &FoldOptions::default(), &mut FoldCounts::default()), text.as_str());
            } else {
                prop_assert!(text.chars().any(|one| !one.is_ascii() && !('가'..='힣').contains(&one)));
            }
        }
    }

    #[test]
    fn decomposed_hangul_composes() {
        check("\u{1111}\u{1168}\u{1105}\u{1167}\u{11B7} CT", "폐렴 CT");
        check("\u{1111}\u{200B}\u{1168}", "폐");
    }

    #[test]
    fn line_ends_become_one_newline() {
        check("폐렴\r\nCT\rMRI\u{85}끝\u{0}", "폐렴\nCT\nMRI\n끝 ");
    }

    #[test]
    fn clean_text_is_borrowed() {
        assert!(matches!(normalize("폐렴 CT상\tm²", &FoldOptions::default()), Cow::Borrowed(_)));
    }

    #[test]
    fn options_switch_rules_and_counts_name_them() {
        let options =
            FoldOptions { roman: true, dash_quote: true, unit: false, ..Default::default() };
        let mut counts = FoldCounts::default();
        assert_eq!(
            normalize_counting("Ⅲ기 “CT–상” 5㎎", &options, &mut counts),
            "III기 \"CT-상\" 5㎎"
        );
        assert_eq!(counts.0, BTreeMap::from([(FoldRule::DashQuote, 3), (FoldRule::Roman, 1)]));
    }

    #[test]
    fn the_table_is_the_one_applied() {
        assert_eq!(FOLD_TABLE, fold_table(&FoldOptions::default()));
        for (from, to) in FOLD_TABLE {
            check(from, to);
        }
    }

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(
            text in "[ -~가-힣ᄀ-ᇿ\u{300}-\u{36F}\u{80}-\u{BF}\u{2000}-\u{2FDF}\u{3300}-\u{33FF}\u{F900}-\u{FAFF}\u{FB00}-\u{FB06}\u{FE00}-\u{FFEF}\r\n]{0,40}",
            roman: bool,
            dash_quote: bool,
        ) {
            let options = FoldOptions { roman, dash_quote, ..Default::default() };
            let once = normalize(&text, &options).into_owned();
            prop_assert_eq!(normalize(&once, &options), once.as_str());
        }
    }
}
