//! What a token is beside its text: script, row counts by script, seeds.

use encoding_rs::EUC_KR;
use serde::{Deserialize, Serialize};

use crate::script::{Script, script_of};
use crate::vocabulary::CONTINUATION;

/// Splits `token` into whether it continues a word, and its text.
pub(crate) fn surface(token: &str) -> (bool, &str) {
    match token.strip_prefix(CONTINUATION) {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, token),
    }
}

/// The script a token counts for: the first of Hangul, Latin, digit, Han that it holds a letter of.
pub(crate) fn token_script(token: &str) -> Script {
    surface(token).1.chars().map(script_of).min().unwrap_or(Script::Other)
}

/// Rows by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsByScript {
    /// With any Hangul letter.
    pub hangul: usize,
    /// With any Latin letter, no Hangul.
    pub latin: usize,
    /// With any digit, no letter of these.
    pub digit: usize,
    /// With any Han character, nothing of these.
    pub han: usize,
    /// The rest.
    pub other: usize,
}

impl RowsByScript {
    /// The count of `script`.
    pub fn of(&mut self, script: Script) -> &mut usize {
        match script {
            Script::Hangul => &mut self.hangul,
            Script::Latin => &mut self.latin,
            Script::Digit => &mut self.digit,
            Script::Han => &mut self.han,
            Script::Other => &mut self.other,
        }
    }

    /// All of them.
    pub fn total(self) -> usize {
        self.hangul + self.latin + self.digit + self.han + self.other
    }
}

/// The 2,350 syllables of KS X 1001, in its order: rows B0 to C8 of EUC-KR.
pub(crate) fn ks_x_1001_syllables() -> Vec<char> {
    let pairs = (0xB0..=0xC8).flat_map(|lead| (0xA1..=0xFE).map(move |trail| [lead, trail]));
    pairs.filter_map(|pair| EUC_KR.decode_without_bom_handling(&pair).0.chars().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_has_2350_syllables_in_order() {
        let syllables = ks_x_1001_syllables();
        assert_eq!(syllables.len(), 2350);
        assert!(syllables.is_sorted() && syllables.iter().all(|c| ('가'..='힣').contains(c)));
        assert_eq!((syllables[0], syllables[2349]), ('가', '힝'));
    }

    #[test]
    fn any_hangul_letter_makes_a_token_hangul() {
        let check = |token: &str, script: Script| assert_eq!(token_script(token), script);
        check("##상", Script::Hangul);
        check("3개월", Script::Hangul);
        check("T2", Script::Latin);
        check("##", Script::Other);
    }

    #[test]
    fn the_continuation_prefix_alone_is_a_word() {
        assert_eq!(surface("##"), (false, "##"));
        assert_eq!(surface("##렴"), (true, "렴"));
    }
}
