//! Characters that Korean text may hold though a corpus does not, from the tables of encodings.

use std::collections::BTreeSet;

use encoding_rs::{EUC_JP, EUC_KR, Encoding};
use unicode_normalization_alignments::UnicodeNormalization;

/// The last cell of a row of 94.
const CELLS: std::ops::RangeInclusive<u8> = 0xA1..=0xFE;

/// The 2,350 syllables of KS X 1001, in its order: rows B0 to C8 of EUC-KR.
pub(crate) fn ks_x_1001_syllables() -> Vec<char> {
    characters(EUC_KR, 0xB0..=0xC8).collect()
}

/// The 2,444 Hanja of KS X 1001 (rows CA to FD of EUC-KR) that are in the first level of JIS X 0208
/// too (rows B0 to CF of EUC-JP), which holds the characters of daily use; in order of code points.
///
/// KS X 1001 has 4,888, most of them rare, and does not say which.
pub(crate) fn common_hanja() -> Vec<char> {
    let korean = characters(EUC_KR, 0xCA..=0xFD).nfc().map(|(c, _)| c);
    let japanese: BTreeSet<char> = characters(EUC_JP, 0xB0..=0xCF).collect();
    let common: BTreeSet<char> = korean.filter(|c| japanese.contains(c)).collect();
    common.into_iter().collect()
}

/// The characters of these rows of a table of 94 by 94.
fn characters(
    encoding: &'static Encoding,
    rows: std::ops::RangeInclusive<u8>,
) -> impl Iterator<Item = char> {
    let pairs = rows.flat_map(|lead| CELLS.map(move |trail| [lead, trail]));
    pairs.filter_map(move |pair| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(&pair)?;
        text.chars().next()
    })
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
    fn hanja_of_daily_use_are_ideographs_as_nfc_leaves_them() {
        let hanja = common_hanja();
        assert_eq!(hanja.len(), 2444);
        assert!(hanja.iter().all(|c| ('\u{4e00}'..='\u{9fff}').contains(c)));
        // 不 stands in KS X 1001 twice, by its readings.
        assert!("肺炎癌得不".chars().all(|c| hanja.contains(&c)) && !hanja.contains(&'喀'));
    }
}
