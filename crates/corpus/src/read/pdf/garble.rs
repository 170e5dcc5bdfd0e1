//! Whether the text of a page can be the text of a page.

use encoding_rs::EUC_KR;

/// What a page's text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Text.
    Text,
    /// Next to none: an image, or an empty page.
    NoText,
    /// Characters that no page shows.
    Garbled,
}

/// With fewer characters a page has no text.
const MIN_CHARS: usize = 10;
/// The share of control, private and replacement characters that a page may have.
const MAX_UNPRINTABLE: f64 = 0.02;
/// The share of syllables and Hanja that may be outside the 2,350 and the 4,888 of KS X 1001. Real
/// text has 1 in 1,000.
const MAX_RARE: f64 = 0.05;
/// With fewer of them that share says nothing.
const MIN_KOREAN: usize = 40;

/// Judges the text of one page.
pub(super) fn judge(text: &str) -> Verdict {
    let (mut all, mut unprintable, mut korean, mut rare) = (0, 0, 0, 0);
    for character in text.chars().filter(|character| !character.is_whitespace()) {
        all += 1;
        match character {
            '\u{E000}'..='\u{F8FF}' | '\u{FFFD}' | '\u{FFFE}' | '\u{FFFF}' => unprintable += 1,
            _ if character.is_control() => unprintable += 1,
            '가'..='힣' | '一'..='\u{9FFF}' => {
                korean += 1;
                rare += u32::from(is_rare(character));
            }
            _ => {}
        }
    }
    let is_unprintable = unprintable as f64 > MAX_UNPRINTABLE * all as f64;
    let is_rare = korean >= MIN_KOREAN && f64::from(rare) > MAX_RARE * korean as f64;
    if is_unprintable || is_rare {
        Verdict::Garbled
    } else if all < MIN_CHARS {
        Verdict::NoText
    } else {
        Verdict::Text
    }
}

/// Whether it is outside KS X 1001, which windows-949 writes with a high second byte.
fn is_rare(syllable: char) -> bool {
    let mut buffer = [0; 4];
    let (bytes, _, _) = EUC_KR.encode(syllable.encode_utf8(&mut buffer));
    bytes.len() != 2 || bytes.iter().any(|byte| *byte < 0xA1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_both_languages_is_text() {
        assert_eq!(judge("폐렴은 염증이며 CT로 진단한다. 10⁹/L ≥ 3 肺"), Verdict::Text);
        assert_eq!(judge("No acute cardiopulmonary process."), Verdict::Text);
        assert_eq!(judge(" 12 \n"), Verdict::NoText);
    }

    #[test]
    fn wrong_encodings_are_told() {
        assert_eq!(judge("\u{5}\u{4}\u{1}\u{2}"), Verdict::Garbled);
        assert_eq!(judge("\u{E001}\u{E002} lung \u{E003}"), Verdict::Garbled);
        assert_eq!(judge(&"고혈압 환자 뷁쏁".repeat(10)), Verdict::Garbled);
        assert_eq!(judge(&"고혈압 环境 患者 당뇨".repeat(10)), Verdict::Garbled);
        assert_eq!(judge(&"고혈압(高血壓) 환자(患者)의 당뇨(糖尿)".repeat(10)), Verdict::Text);
        assert!(is_rare('뷁') && !is_rare('폐'));
        assert!(is_rare('环') && !is_rare('肺'));
    }
}
