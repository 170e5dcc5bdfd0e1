//! What a tokenizer does to text before its words are looked up.

/// Words of more characters are `[UNK]`, as in BERT.
pub const MAX_WORD_CHARS: usize = 100;

/// How text is normalised before it is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerOptions {
    /// Lower-case every character.
    pub lowercase: bool,
    /// Decompose (NFD) and remove nonspacing marks. Hangul becomes jamo.
    pub strip_accents: bool,
    /// Compose (NFC), after folding.
    pub nfc: bool,
    /// Apply the folding table first: `㎎` → `mg`, full-width → ASCII.
    pub fold: bool,
    /// Han characters are words of their own.
    pub tokenize_chinese_chars: bool,
}

impl Default for TokenizerOptions {
    fn default() -> Self {
        Self {
            lowercase: false,
            strip_accents: false,
            nfc: true,
            fold: true,
            tokenize_chinese_chars: true,
        }
    }
}

impl TokenizerOptions {
    /// The cased tokenizer of BERT: nothing in front.
    pub fn cased() -> Self {
        Self { nfc: false, fold: false, ..Self::default() }
    }

    /// The uncased tokenizer of BERT: lower case, no accents, Hangul as jamo.
    pub fn uncased() -> Self {
        Self { lowercase: true, strip_accents: true, ..Self::cased() }
    }
}
