//! What BERT's pre-tokenization does with each character.
//!
//! The classes come from the tables of the crates that Hugging Face `tokenizers` uses, for ids must
//! agree with it to the last unassigned code point.

use std::sync::OnceLock;

use unicode_categories::UnicodeCategories;
use unicode_normalization_alignments::UnicodeNormalization;
use unicode_normalization_alignments::char::is_combining_mark;

use crate::script::{Script, fold, script_of};

/// Removed: control, format, private use, NUL, U+FFFD.
pub(crate) const DROPPED: u8 = 1;
/// Ends a word and belongs to none.
pub(crate) const SPACE: u8 = 2;
/// A word of its own: punctuation.
pub(crate) const PUNCTUATION: u8 = 4;
/// A word of its own: Han.
pub(crate) const CHINESE: u8 = 8;
/// Something of the folding table.
pub(crate) const FOLDS: u8 = 16;
/// May change with its neighbours under NFC or NFD, or is not NFC itself.
pub(crate) const COMPOSES: u8 = 32;
/// A combining mark: takes the script of what it stands on.
pub(crate) const MARK: u8 = 64;

/// Becomes another in lower case.
pub(crate) const CASED: u8 = 128;

/// Code points that are classed ahead: the basic plane, and the next with its emoji.
const TABLE_SIZE: u32 = 0x20000;

/// What a character is: its flags and its script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) flags: u8,
    pub(crate) script: Script,
}

impl Class {
    pub(crate) fn is(self, flags: u8) -> bool {
        self.flags & flags != 0
    }
}

fn is_chinese(c: char) -> bool {
    // 2B920 is a slip for 2B820 in `tokenizers` and in the original; ids follow it.
    matches!(c as u32,
        0x4E00..=0x9FFF | 0x3400..=0x4DBF | 0x20000..=0x2A6DF | 0x2A700..=0x2B73F
        | 0x2B740..=0x2B81F | 0x2B920..=0x2CEAF | 0xF900..=0xFAFF | 0x2F800..=0x2FA1F)
}

fn compute(c: char) -> Class {
    let mut flags = 0;
    if matches!(c, '\t' | '\n' | '\r') || (c.is_whitespace() && !c.is_other()) {
        flags |= SPACE;
    } else if matches!(c, '\0' | '\u{FFFD}') || c.is_other() {
        flags |= DROPPED;
    }
    if c.is_ascii_punctuation() || c.is_punctuation() {
        flags |= PUNCTUATION;
    }
    if is_chinese(c) {
        flags |= CHINESE;
    }
    if fold(c).is_some() {
        flags |= FOLDS;
    }
    if is_combining_mark(c) {
        flags |= MARK | COMPOSES;
    }
    let mut composed = std::iter::once(c).nfc().map(|(c, _)| c);
    let stays = composed.next() == Some(c) && composed.next().is_none();
    if !stays || matches!(c as u32, 0x1161..=0x1175 | 0x11A8..=0x11C2) {
        flags |= COMPOSES;
    }
    if !c.to_lowercase().eq([c]) {
        flags |= CASED;
    }
    Class { flags, script: script_of(c) }
}

/// The classes of the first two planes, by code point.
#[inline]
pub(crate) fn classes() -> &'static [Class] {
    static TABLE: OnceLock<Vec<Class>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let nothing = Class { flags: 0, script: Script::Other };
        (0..TABLE_SIZE).map(|code| char::from_u32(code).map_or(nothing, compute)).collect()
    })
}

/// The class of `c`.
#[inline]
pub(crate) fn class(c: char) -> Class {
    classes().get(c as usize).copied().unwrap_or_else(|| compute(c))
}

/// The class of the character of this code point, which must be one's.
pub(crate) fn class_of(code: usize) -> Class {
    class(u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER))
}

/// Removed after canonical decomposition where accents are stripped.
pub(crate) fn is_accent(c: char) -> bool {
    c.is_mark_nonspacing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_the_classes_of_the_original() {
        let check = |c: char, flags: u8, script: Script| {
            assert_eq!(class(c), Class { flags, script }, "{c:?}");
        };
        check('폐', 0, Script::Hangul);
        check('C', CASED, Script::Latin);
        check('😀', 0, Script::Other);
        check('\u{200B}', DROPPED | FOLDS, Script::Other);
        check('\u{3000}', SPACE | FOLDS, Script::Other);
        check('·', PUNCTUATION, Script::Other);
        check('肺', CHINESE, Script::Han);
        check('㎎', FOLDS, Script::Other);
        check('\u{1161}', COMPOSES, Script::Hangul);
        check('\u{301}', MARK | COMPOSES, Script::Other);
        check('\u{2B820}', 0, Script::Han);
    }
}
