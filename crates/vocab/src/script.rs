//! The script of a character and the folding table: what this crate takes from `bimed-text`.

use std::collections::HashMap;
use std::sync::OnceLock;

pub(crate) use bimed_text::FOLD_TABLE;

/// The class of a character, where words and merges end.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Script {
    /// Hangul syllables and jamo.
    Hangul = 0,
    /// Latin letters.
    Latin = 1,
    /// Decimal digits.
    Digit = 2,
    /// Han characters.
    Han = 3,
    /// Everything else.
    Other = 4,
}

impl Script {
    /// All classes, in order.
    pub const ALL: [Self; 5] = [Self::Hangul, Self::Latin, Self::Digit, Self::Han, Self::Other];

    /// The name as it stands in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hangul => "hangul",
            Self::Latin => "latin",
            Self::Digit => "digit",
            Self::Han => "han",
            Self::Other => "other",
        }
    }
}

/// The class of `c`; signs and white space are of [`Script::Other`].
pub(crate) fn script_of(c: char) -> Script {
    match bimed_text::Script::of(c) {
        bimed_text::Script::Hangul => Script::Hangul,
        bimed_text::Script::Latin => Script::Latin,
        bimed_text::Script::Digit => Script::Digit,
        bimed_text::Script::Han => Script::Han,
        _ => Script::Other,
    }
}

/// What replaces `c` when folding is on; nothing, where it is deleted.
pub(crate) fn fold(c: char) -> Option<&'static str> {
    static TABLE: OnceLock<HashMap<char, &'static str>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let single = |from: &str| from.chars().next().filter(|c| c.len_utf8() == from.len());
        FOLD_TABLE.iter().filter_map(|(from, to)| Some((single(from)?, *to))).collect()
    });
    table.get(&c).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_replaces_single_characters() {
        assert!(FOLD_TABLE.iter().all(|(from, _)| from.chars().count() == 1));
        assert_eq!((fold('㎎'), fold('폐')), (Some("mg"), None));
    }
}
