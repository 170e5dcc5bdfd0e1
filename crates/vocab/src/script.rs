//! The script of a character and the folding table: what this crate takes from `bimed-text`.

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

/// The class of `c`.
pub(crate) fn script_of(c: char) -> Script {
    match c {
        '0'..='9' | '\u{FF10}'..='\u{FF19}' => Script::Digit,
        'A'..='Z' | 'a'..='z' => Script::Latin,
        '\u{AC00}'..='\u{D7A3}'
        | '\u{1100}'..='\u{11FF}'
        | '\u{3131}'..='\u{318E}'
        | '\u{A960}'..='\u{A97C}'
        | '\u{D7B0}'..='\u{D7FB}' => Script::Hangul,
        '\u{AA}' | '\u{BA}' | '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' => {
            if matches!(c, '\u{D7}' | '\u{F7}') { Script::Other } else { Script::Latin }
        }
        '\u{250}'..='\u{2AF}' | '\u{2C60}'..='\u{2C7F}' | '\u{A722}'..='\u{A7FF}' => Script::Latin,
        '\u{FF21}'..='\u{FF3A}' | '\u{FF41}'..='\u{FF5A}' => Script::Latin,
        '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{323AF}' => Script::Han,
        _ => Script::Other,
    }
}

/// Characters and what replaces them: units and signs that Korean input methods write as one
/// character. Full-width ASCII is added by [`fold`].
const FOLDED: &[(char, &str)] = &[
    ('℃', "°C"),
    ('℉', "°F"),
    ('㎎', "mg"),
    ('㎍', "μg"),
    ('㎏', "kg"),
    ('㎖', "ml"),
    ('㎗', "dl"),
    ('㎘', "kl"),
    ('ℓ', "l"),
    ('㎕', "μl"),
    ('㎜', "mm"),
    ('㎝', "cm"),
    ('㎞', "km"),
    ('㎛', "μm"),
    ('㎚', "nm"),
    ('㎟', "mm²"),
    ('㎠', "cm²"),
    ('㎡', "m²"),
    ('㎣', "mm³"),
    ('㎤', "cm³"),
    ('㎥', "m³"),
    ('㎐', "Hz"),
    ('㎑', "kHz"),
    ('㎒', "MHz"),
    ('㏄', "cc"),
    ('㎈', "cal"),
    ('㎉', "kcal"),
    ('㏖', "mol"),
    ('㎰', "ps"),
    ('㎳', "ms"),
    ('㎲', "μs"),
    ('㎶', "μV"),
    ('㎷', "mV"),
    ('㎪', "kPa"),
    ('㏈', "dB"),
    ('㏗', "pH"),
    ('µ', "μ"),
];

/// What replaces `c`, when folding is on.
pub(crate) fn fold(c: char) -> Option<&'static str> {
    if let '\u{FF01}'..='\u{FF5E}' = c {
        const ASCII: &str = "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`\
                             abcdefghijklmnopqrstuvwxyz{|}~";
        let at = c as usize - 0xFF01;
        return ASCII.get(at..at + 1);
    }
    FOLDED.iter().find(|(from, _)| *from == c).map(|(_, to)| *to)
}

/// The whole folding table, in order of the characters.
pub(crate) fn fold_table() -> Vec<(char, &'static str)> {
    let mut table: Vec<_> = FOLDED.to_vec();
    table.extend(('\u{FF01}'..='\u{FF5E}').filter_map(|c| Some((c, fold(c)?))));
    table.sort_unstable();
    table
}
