//! Script classes of characters.
//!
//! Owns the classes that words, languages and vocabulary merges are cut by. It knows no language.

use serde::{Deserialize, Serialize};

/// The class of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Script {
    /// Syllables and jamo.
    Hangul,
    /// Latin letters.
    Latin,
    /// Ideographs (Hanja).
    Han,
    /// Decimal digits of any script.
    Digit,
    /// Letters of every other script, Greek among them.
    Other,
    /// White space.
    Space,
    /// Punctuation, symbols, marks and everything else.
    Symbol,
}

impl Script {
    /// The class of `character`.
    pub fn of(character: char) -> Self {
        match character {
            'a'..='z' | 'A'..='Z' => Self::Latin,
            '0'..='9' => Self::Digit,
            '가'..='힣'
            | '\u{1100}'..='\u{11FF}'
            | '\u{3131}'..='\u{318E}'
            | '\u{A960}'..='\u{A97C}'
            | '\u{D7B0}'..='\u{D7FB}'
            | '\u{FFA1}'..='\u{FFDC}' => Self::Hangul,
            '\u{4E00}'..='\u{9FFF}'
            | '\u{3400}'..='\u{4DBF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{323AF}'
            | '々' => Self::Han,
            _ if character.is_whitespace() => Self::Space,
            // 'ª' and 'º' are letters to Unicode, yet they stand for symbols in measurements.
            '\u{AA}' | '\u{BA}' => Self::Symbol,
            '\u{C0}'..='\u{24F}'
            | '\u{250}'..='\u{2AF}'
            | '\u{1E00}'..='\u{1EFF}'
            | '\u{2C60}'..='\u{2C7F}'
            | '\u{A722}'..='\u{A7FF}'
            | '\u{FB00}'..='\u{FB06}'
            | '\u{FF21}'..='\u{FF3A}'
            | '\u{FF41}'..='\u{FF5A}'
                if character.is_alphabetic() =>
            {
                Self::Latin
            }
            '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}' | '\u{966}'..='\u{96F}' => Self::Digit,
            '\u{FF10}'..='\u{FF19}' => Self::Digit,
            // Numbers of letters (`Ⅲ`) and circled letters count as symbols.
            '\u{2150}'..='\u{218F}' | '\u{2460}'..='\u{24FF}' => Self::Symbol,
            _ if character.is_alphabetic() => Self::Other,
            _ => Self::Symbol,
        }
    }

    /// Whether the class holds letters.
    pub fn is_letter(self) -> bool {
        matches!(self, Self::Hangul | Self::Latin | Self::Han | Self::Other)
    }
}

/// The classes of the first 128 characters.
static ASCII: std::sync::LazyLock<[Script; 128]> =
    std::sync::LazyLock::new(|| std::array::from_fn(|byte| Script::of(char::from(byte as u8))));

/// How many characters of each class a text holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptCounts {
    /// Hangul syllables and jamo.
    pub hangul: u64,
    /// Latin letters.
    pub latin: u64,
    /// Ideographs.
    pub han: u64,
    /// Digits.
    pub digit: u64,
    /// Letters of other scripts.
    pub other: u64,
    /// White space.
    pub space: u64,
    /// Everything else.
    pub symbol: u64,
}

impl ScriptCounts {
    /// The counts of `text`.
    pub fn of(text: &str) -> Self {
        let mut counts = Self::default();
        let (bytes, ascii) = (text.as_bytes(), &*ASCII);
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                0x00..=0x7F => {
                    *counts.slot(ascii[usize::from(*byte)]) += 1;
                    at += 1;
                }
                // The first of three bytes of U+B000 to U+CFFF: syllables all.
                0xEB | 0xEC => {
                    counts.hangul += 1;
                    at += 3;
                }
                _ => {
                    let Some(character) = text[at..].chars().next() else { break };
                    *counts.slot(Script::of(character)) += 1;
                    at += character.len_utf8();
                }
            }
        }
        counts
    }

    /// The count of one class.
    pub fn get(&self, script: Script) -> u64 {
        let mut copy = *self;
        *copy.slot(script)
    }

    /// Hangul, Latin, Han and other letters.
    pub fn letters(&self) -> u64 {
        self.hangul + self.latin + self.han + self.other
    }

    /// Every character.
    pub fn total(&self) -> u64 {
        self.non_space() + self.space
    }

    /// The share of Hangul in Hangul and Latin letters, 0 to 1; 0 where there are neither.
    pub fn hangul_ratio(&self) -> f64 {
        let both = self.hangul + self.latin;
        if both == 0 { 0.0 } else { self.hangul as f64 / both as f64 }
    }

    /// Every character that is not white space.
    pub fn non_space(&self) -> u64 {
        self.letters() + self.digit + self.symbol
    }

    fn slot(&mut self, script: Script) -> &mut u64 {
        match script {
            Script::Hangul => &mut self.hangul,
            Script::Latin => &mut self.latin,
            Script::Han => &mut self.han,
            Script::Digit => &mut self.digit,
            Script::Other => &mut self.other,
            Script::Space => &mut self.space,
            Script::Symbol => &mut self.symbol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_have_their_class() {
        let classes = |text: &str| text.chars().map(Script::of).collect::<Vec<_>>();
        use Script::{Digit, Han, Hangul, Latin, Other, Space, Symbol};
        assert_eq!(
            classes("폐ㄱCé肺3α β"),
            [Hangul, Hangul, Latin, Latin, Han, Digit, Other, Space, Other]
        );
        assert_eq!(classes("-Ⅲ①²±\u{301}"), [Symbol; 6]);
    }

    #[test]
    fn counts_add_up() {
        let counts = ScriptCounts::of("폐렴 CT상 2회.");
        assert_eq!((counts.hangul, counts.latin, counts.digit), (4, 2, 1));
        assert_eq!((counts.space, counts.symbol, counts.non_space()), (2, 1, 8));
        assert_eq!(counts.get(Script::Hangul), 4);
    }

    #[test]
    fn counts_are_those_of_the_characters() {
        // The ends of the syllables and of the bytes that they begin with.
        let text = "\0\t\u{7F}A z9\u{80}ª肺ꯀ갉가꿿뀀쿿퀀힣힤豈ﬁＡ\u{1F600}\u{20000}ㆍㄱ";
        let mut expected = ScriptCounts::default();
        text.chars().for_each(|character| *expected.slot(Script::of(character)) += 1);
        assert_eq!(ScriptCounts::of(text), expected);
        assert_eq!(expected.total(), text.chars().count() as u64);
    }
}
