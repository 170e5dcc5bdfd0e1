//! What a token is beside its text: script, row counts by script.

use serde::{Deserialize, Serialize};

use crate::script::{Script, script_of};
use crate::vocabulary::{CONTINUATION, Vocab};

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

/// The script that all characters of the token are of; `Other` for mixed ones.
pub(crate) fn whole_script(token: &str) -> Script {
    let mut scripts = surface(token).1.chars().map(script_of);
    match scripts.next() {
        Some(first) if scripts.all(|script| script == first) => first,
        _ => Script::Other,
    }
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

/// The rows of a vocabulary by what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Composition {
    /// Rows that begin a word, specials and reserved rows aside.
    pub initial: RowsByScript,
    /// Rows that continue one.
    pub continuation: RowsByScript,
    /// Rows without a meaning yet, such as `[unused0]`.
    pub reserved: usize,
    /// The special tokens.
    pub specials: usize,
}

impl Composition {
    /// All rows of `script`.
    pub fn of(&self, script: Script) -> usize {
        let (mut initial, mut continuation) = (self.initial, self.continuation);
        *initial.of(script) + *continuation.of(script)
    }
}

impl Vocab {
    /// What its rows are.
    pub fn composition(&self) -> Composition {
        let mut composition = Composition::default();
        for (id, token) in (0_u32..).zip(self.tokens()) {
            if self.specials().contains(id) {
                composition.specials += 1;
            } else if is_reserved(token) {
                composition.reserved += 1;
            } else if surface(token).0 {
                *composition.continuation.of(token_script(token)) += 1;
            } else {
                *composition.initial.of(token_script(token)) += 1;
            }
        }
        composition
    }

    /// The tokens that `other` has too, as strings, specials and reserved rows aside.
    pub fn shared_with(&self, other: &Self) -> RowsByScript {
        let mut shared = RowsByScript::default();
        let rows = (0_u32..).zip(self.tokens()).filter(|(id, token)| {
            !self.specials().contains(*id) && !is_reserved(token) && other.id(token).is_some()
        });
        for (_, token) in rows {
            *shared.of(token_script(token)) += 1;
        }
        shared
    }
}

/// Whether `token` is a row such as BERT's `[unused0]`.
pub(crate) fn is_reserved(token: &str) -> bool {
    token.starts_with("[unused") && token.ends_with(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_hangul_letter_makes_a_token_hangul() {
        let check = |token: &str, script: Script| assert_eq!(token_script(token), script);
        check("##상", Script::Hangul);
        check("3개월", Script::Hangul);
        check("T2", Script::Latin);
        check("##", Script::Other);
    }

    #[test]
    fn every_row_of_a_vocabulary_is_counted_once() {
        let vocab = |tokens: &[&str]| {
            let specials = crate::SPECIAL_TOKENS.iter().chain(tokens);
            Vocab::new(specials.map(ToString::to_string).collect()).unwrap()
        };
        let bilingual = vocab(&["[unused0]", "폐", "##렴", "CT", "3", "肺", "##.", "chest"]);
        let composition = bilingual.composition();
        let of = Script::ALL.map(|script| composition.of(script));
        assert_eq!(of, [2, 2, 1, 1, 1]);
        assert_eq!((composition.specials, composition.reserved), (5, 1));
        assert_eq!(composition.continuation.hangul, 1);
        let all = of.iter().sum::<usize>() + composition.specials + composition.reserved;
        assert_eq!(all, bilingual.len());
        let shared = bilingual.shared_with(&vocab(&["CT", "##렴", "렴", "[unused0]", "lung"]));
        assert_eq!((shared.hangul, shared.latin, shared.total()), (1, 1, 2));
    }

    #[test]
    fn the_continuation_prefix_alone_is_a_word() {
        assert_eq!(surface("##"), (false, "##"));
        assert_eq!(surface("##렴"), (true, "렴"));
    }
}
