//! What stands after a label: `환자명: …`, `MRN: …`, `여권번호 …`.

use super::name::{Name, labelled_korean_name, latin_name, spaced_name};
use super::{Identifier, IdentifierClass, Trigger, begins_word};

pub(super) const WORDS: &[(Trigger, &[&str])] = &[
    (
        Trigger::NameLabel,
        &[
            "성명",
            "환자명",
            "이름",
            "성함",
            "보호자",
            "보호자명",
            "담당의",
            "주치의",
            "집도의",
            "판독의",
            "작성자",
            "기록자",
            "담당교수",
            "담당간호사",
            "의뢰의",
            "처방의",
            "환자 이름",
            "name",
            "patient name",
            "patient",
            "pt name",
            "attending",
            "physician",
            "surgeon",
            "provider",
            "referred by",
            "dictated by",
            "signed by",
            "reported by",
            "radiologist",
        ],
    ),
    (
        Trigger::RecordLabel,
        &[
            "등록번호",
            "환자번호",
            "병록번호",
            "차트번호",
            "진료번호",
            "수진번호",
            "입원번호",
            "접수번호",
            "검사번호",
            "검체번호",
            "환자id",
            "환자 id",
            "환자 번호",
            "등록 번호",
            "차트 번호",
            "병원번호",
            "mrn",
            "medical record number",
            "medical record no",
            "medical record",
            "chart no",
            "chart number",
            "patient id",
            "patient no",
            "patient number",
            "hospital no",
            "hospital number",
            "unit no",
            "unit number",
            "accession no",
            "accession number",
            "accession",
            "encounter id",
            "pt id",
        ],
    ),
    (
        Trigger::NumberLabel(IdentifierClass::Passport),
        &["여권번호", "여권 번호", "passport no", "passport number", "passport"],
    ),
    (
        Trigger::NumberLabel(IdentifierClass::Licence),
        &[
            "면허번호",
            "면허 번호",
            "의사면허",
            "운전면허번호",
            "운전면허",
            "license no",
            "licence no",
            "license number",
            "licence number",
            "license",
            "licence",
        ],
    ),
    (
        Trigger::NumberLabel(IdentifierClass::ResidentNumber),
        &["주민등록번호", "주민번호", "외국인등록번호", "생년월일/주민번호"],
    ),
    (
        Trigger::NumberLabel(IdentifierClass::SocialSecurityNumber),
        &["social security number", "social security no", "ssn"],
    ),
];

/// Where the value of a label stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    /// Its first byte.
    pub start: usize,
    /// Whether a colon or the like sets it apart.
    pub is_apart: bool,
    /// Whether it is on the line below, as in forms and in what PDF gives.
    pub is_below: bool,
}

/// Where the value of the label at `start..end` begins; nothing where the label is part of a longer
/// word. It may be on the next line where the label is set apart, or alone on its own.
pub(super) fn after_label(text: &str, start: usize, end: usize) -> Option<Value> {
    let is_latin = text.as_bytes()[start].is_ascii();
    if is_latin && !begins_word(text, start) {
        return None;
    }
    let rest = &text[end..];
    let (mut is_apart, mut is_below) = (false, false);
    let mut length = 0;
    for (at, character) in rest.char_indices().take(12) {
        match character {
            ':' | '：' | '|' | '=' | '#' | '\t' => is_apart = true,
            // `MRN No. 123`, `(Name)`, `성명(한글)` have marks, too.
            ' ' | '.' | '(' | ')' | '[' | '"' | '*' | ',' | '-' | '\r' => {}
            '\n' if !is_below && (is_apart || begins_line(text, start)) => is_below = true,
            _ => break,
        }
        length = at + character.len_utf8();
    }
    let is_number = rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit());
    let value = Value { start: end + length, is_apart, is_below };
    (length > 0 || is_number).then_some(value)
}

fn begins_line(text: &str, start: usize) -> bool {
    let before = text[..start].trim_end_matches([' ', '\t']);
    before.is_empty() || before.ends_with('\n')
}

/// The name after the label.
pub(super) fn name(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    let Some(value) = after_label(text, start, end) else { return };
    let rest = &text[value.start..];
    // A word on the line below is believed when it has the form of a name.
    let is_told = value.is_apart && !value.is_below;
    let name = match rest.chars().next() {
        Some('가'..='힣') => labelled_korean_name(rest, is_told).or_else(|| spaced_name(rest)),
        // `Patient: The patient …` and `Name: None` are no names.
        Some('A'..='Z') if value.is_apart => latin_name(rest, 3).filter(|found| found.words > 1),
        _ => None,
    };
    // … and when it is not the next label.
    let is_label = |name: &Name| rest[name.length..].trim_start().starts_with([':', '：']);
    if let Some(name) = name.filter(|name| !(value.is_below && is_label(name))) {
        let (start, end) = (value.start, value.start + name.length);
        found.push(Identifier { class: IdentifierClass::Name, start, end });
    }
}

/// The number of a patient, a chart or an examination after its label.
pub(super) fn record(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    number(text, start, end, IdentifierClass::RecordNumber, found);
}

/// Letters, digits and dashes after the label, of which at least four are digits.
pub(super) fn number(
    text: &str,
    start: usize,
    end: usize,
    class: IdentifierClass,
    found: &mut Vec<Identifier>,
) {
    const MIN_DIGITS: usize = 4;
    const MAX_LENGTH: usize = 24;
    let Some(Value { start: mut value, .. }) = after_label(text, start, end) else { return };
    for word in ["no.", "no", "번호", "제", "id"] {
        let rest = &text[value..];
        if rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)) {
            let skipped = rest[word.len()..].trim_start_matches([' ', '.', ':', '#', '：']);
            value = text.len() - skipped.len();
        }
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-*/".contains(&byte);
    let rest = &text[value..];
    let length = rest.bytes().take(MAX_LENGTH).position(|byte| !is_part(byte));
    let length = length.unwrap_or(rest.len().min(MAX_LENGTH));
    let token = rest[..length].trim_end_matches(['-', '/', '*']);
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    if digits >= MIN_DIGITS {
        found.push(Identifier { class, start: value, end: value + token.len() });
    }
}
