use encoding_rs::{GBK, SHIFT_JIS};

use super::*;

const KOREAN: &str = "환자는 흉통과 호흡곤란으로 응급실에 내원하였으며 chest CT에서 폐렴 소견이 보였다. \
    HTN, DM으로 f/u 중인 자. 항생제 투여 후 호전되어 퇴원하였다. 체온 38.5도, Na 138, 크레아티닌 상승 없음. \
    똠방각하 펲시 쀍 간내 담관 확장";
const ENGLISH: &str = "The patient was febrile at 38.5 °C with a naïve café ±0.5 of 5 µg of drug and “no acute \
    finding” — Ménière syndrome, Sjögren, ½ tablet, 10×5 mm, it’s 20°C. Guillain–Barré was not seen";
const JAPANESE: &str =
    "患者は 胸痛で 来院した。 肺炎の 所見が あり、 抗生剤を 投与した。 検査 結果";
const CHINESE: &str = "患者 因胸痛 入院， 检查 显示 肺炎， 给予 抗生素 治疗。 复查 正常";

/// Texts of at least `length` characters, made of the words of `text` in an order that `seed` decides.
fn texts(text: &str, length: usize) -> impl Iterator<Item = String> {
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let mut state = length as u64;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    (0..200).map(move |_| {
        let mut out = String::new();
        while out.chars().count() < length {
            out.push_str(&words[next() % words.len()]);
            out.push(if next().is_multiple_of(8) { '\n' } else { ' ' });
        }
        out.trim_end().to_owned()
    })
}

/// Of texts that are not ASCII: how many, how many are told rightly, how many are taken for another.
fn count(text: &str, length: usize, encoding: &'static Encoding) -> (usize, usize, usize) {
    let bytes: Vec<Vec<u8>> = texts(text, length)
        .map(|text| encoding.encode(&text).0.into_owned())
        .filter(|bytes| !bytes.is_ascii())
        .collect();
    let told = |bytes: &Vec<u8>| tell(bytes, true).ok();
    let right = bytes.iter().filter(|bytes| told(bytes) == Some(encoding)).count();
    let wrong = bytes.iter().filter_map(told).filter(|told| *told != encoding).count();
    (bytes.len(), right, wrong)
}

#[test]
fn texts_of_every_length_are_told_or_refused() {
    for (length, percent, chinese) in
        [(3, 70, 30), (10, 90, 2), (30, 99, 0), (100, 100, 0), (1000, 100, 0)]
    {
        let (all, right, wrong) = count(KOREAN, length, EUC_KR);
        assert!(wrong == 0 && right * 100 >= all * percent, "{length}: {right} of {all}, {wrong}");
        let (all, right, wrong) = count(ENGLISH, length, WINDOWS_1252);
        assert!(
            wrong == 0 && (length < 1000 || right == all),
            "{length}: {right} of {all}, {wrong}"
        );
        let (all, right, _) = count(KOREAN, length, UTF_8);
        assert_eq!(right, all);
        // A few Chinese characters may be Korean too.
        for (text, encoding) in [(JAPANESE, SHIFT_JIS), (CHINESE, GBK)] {
            let (all, right, wrong) = count(text, length, encoding);
            let is_rare = wrong * 100 <= all * chinese;
            assert!(right == 0 && is_rare, "{length}: {right}, {wrong} of {all}");
        }
    }
}

#[test]
fn utf_16_is_told_without_a_mark() {
    for text in ["폐렴 CT", "No acute finding.\n", "환자는 흉부 CT를 시행하였다.\n"] {
        let units: Vec<u16> = text.encode_utf16().collect();
        let low: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let high: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        assert_eq!(tell(&low, true), Ok(UTF_16LE), "{text}");
        assert_eq!(tell(&high, true), Ok(UTF_16BE), "{text}");
    }
    assert_eq!(utf16(b"\0\0\x01\0\x02\x03"), None);
    assert_eq!(utf16("폐렴 CT".as_bytes()), None);
}

#[test]
fn a_fault_here_and_there_changes_no_encoding() {
    let korean = format!("{KOREAN}\n").repeat(60);
    let mut bytes = EUC_KR.encode(&korean).0.into_owned();
    let half = bytes.len() / 2;
    bytes[half] = 0xFF;
    assert_eq!(tell(&bytes, true), Ok(EUC_KR));
    let mut bytes = korean.into_bytes();
    bytes[half] = 0xFF;
    assert_eq!(tell(&bytes, true), Ok(UTF_8));
    // A sample may end within a character.
    assert_eq!(tell(&"폐".as_bytes()[..2], false), Ok(UTF_8));
    assert!(tell(&"폐".as_bytes()[..2], true).is_err());
}

#[test]
fn encodings_that_are_not_read_have_names() {
    let japanese = SHIFT_JIS.encode(JAPANESE).0.into_owned();
    assert_eq!(tell(&japanese, true), Err("Shift_JIS"));
    assert_eq!(tell(&GBK.encode(CHINESE).0, true), Err(UNKNOWN));
}
