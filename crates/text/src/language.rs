//! Languages as data, and the language tag of a text by its scripts.
//!
//! Statistical identification fails on code-mixed notes, so letters are counted instead. It owns
//! the thresholds; it knows nothing of documents.

use std::fmt;

use crate::{Script, ScriptCounts};

/// What is known of a language.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LanguageInfo {
    /// Its ISO 639-1 code.
    pub id: &'static str,
    /// Its English name.
    pub name: &'static str,
    /// The script whose letters identify it.
    pub script: Script,
    /// The scripts it is written in.
    pub scripts: &'static [Script],
    /// A text is in this language when its script has at least this share of the letters of all
    /// languages' scripts, 0 to 1.
    pub min_share: f64,
    /// Words that end in a full stop without ending a sentence, in lower case, without the stop.
    pub abbreviations: &'static [&'static str],
}

/// Every language known here.
pub const LANGUAGES: &[LanguageInfo] = &[
    LanguageInfo {
        id: "ko",
        name: "Korean",
        script: Script::Hangul,
        scripts: &[Script::Hangul, Script::Han],
        min_share: 0.8,
        abbreviations: &["cf", "예", "참고"],
    },
    LanguageInfo {
        id: "en",
        name: "English",
        script: Script::Latin,
        scripts: &[Script::Latin],
        min_share: 0.98,
        abbreviations: &[
            "dr", "mr", "mrs", "ms", "prof", "st", "jr", "sr", "vs", "e.g", "i.e", "cf", "fig",
            "figs", "eq", "ref", "refs", "vol", "pp", "ed", "eds", "et al", "al", "approx", "ca",
            "dept", "inc", "q.d", "b.i.d", "t.i.d", "q.i.d", "p.o", "p.r.n", "q.h.s", "h.s", "a.c",
            "p.c", "i.v", "i.m", "s.c", "o.d", "a.m", "p.m", "pt", "hx", "dx", "tx", "rx", "sx",
            "wt", "ht", "temp", "resp",
        ],
    },
];

/// A language of [`LANGUAGES`], or one of the tags for texts that are in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Language(&'static str);

impl Language {
    /// Several languages' scripts.
    pub const MIXED: Self = Self("mixed");
    /// A script of no known language.
    pub const OTHER: Self = Self("other");
    /// Hardly any letters.
    pub const NUM: Self = Self("num");

    /// The tag: `ko`, `en`, `mixed`, `other`, `num`.
    pub fn id(self) -> &'static str {
        self.0
    }

    /// The tag whose id is `id`.
    pub fn from_id(id: &str) -> Option<Self> {
        [Self::MIXED, Self::OTHER, Self::NUM]
            .into_iter()
            .chain(LANGUAGES.iter().map(|language| Self(language.id)))
            .find(|tag| tag.0 == id)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// The language with the code `id`.
pub fn language(id: &str) -> Option<&'static LanguageInfo> {
    LANGUAGES.iter().find(|language| language.id == id)
}

/// Below this share of letters in the non-space characters a text is [`Language::NUM`].
const MIN_LETTER_SHARE: f64 = 0.3;
/// Above this share of other scripts in the letters a text is [`Language::OTHER`].
const MAX_OTHER_SHARE: f64 = 0.2;
/// Above this share of ideographs in the letters a text is [`Language::OTHER`].
const MAX_HAN_SHARE: f64 = 0.5;

/// The language of `text` by its letters.
///
/// `num` below 30 % letters, `other` above 20 % other scripts or 50 % ideographs, a language where
/// its script reaches its `min_share` (Hangul 0.8, Latin 0.98), else `mixed`.
pub fn language_tag(text: &str) -> Language {
    language_of(&ScriptCounts::of(text))
}

/// As [`language_tag`], of the counts of a text.
pub fn language_of(counts: &ScriptCounts) -> Language {
    let letters = counts.letters() as f64;
    if letters == 0.0 || letters < MIN_LETTER_SHARE * counts.non_space() as f64 {
        return Language::NUM;
    }
    if counts.other as f64 > MAX_OTHER_SHARE * letters
        || counts.han as f64 > MAX_HAN_SHARE * letters
    {
        return Language::OTHER;
    }
    let known: u64 = LANGUAGES.iter().map(|language| counts.get(language.script)).sum();
    LANGUAGES
        .iter()
        .find(|language| {
            known > 0 && counts.get(language.script) as f64 >= language.min_share * known as f64
        })
        .map_or(Language::MIXED, |language| Language(language.id))
}

/// The share of Hangul in Hangul and Latin letters, 0 to 1; 0 where there are neither.
pub fn hangul_ratio(text: &str) -> f64 {
    ScriptCounts::of(text).hangul_ratio()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(language_tag(text).id(), expected, "{text}");
    }

    #[test]
    fn scripts_decide_the_language() {
        check("환자는 폐렴으로 입원하여 항생제 치료를 받았다. (CT 확인)", "ko");
        check("The patient was admitted with pneumonia.", "en");
        check("Chest pain으로 내원, EKG상 ST elevation 소견", "mixed");
        check("120/80 98.6 37.2 14 Na", "num");
        check("", "num");
        check("Пациент поступил с пневмонией", "other");
        check("患者因肺炎入院治疗", "other");
    }

    #[test]
    fn every_tag_is_found_by_its_id() {
        for id in ["ko", "en", "mixed", "other", "num"] {
            assert_eq!(Language::from_id(id).map(Language::id), Some(id));
        }
        assert_eq!(Language::from_id("fr"), None);
    }

    #[test]
    fn the_ratio_counts_letters_only() {
        assert_eq!(hangul_ratio("폐렴 CT 123"), 0.5);
        assert_eq!(hangul_ratio("123"), 0.0);
    }
}
