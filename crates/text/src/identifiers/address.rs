//! Postal addresses of Korea and the United States: an area alone is none, a house number is needed.

use std::sync::LazyLock;

use regex::Regex;

use super::labelled::{Value, after_label};
use super::{Identifier, IdentifierClass, Trigger, begins_word, ends_word};

pub(super) const WORDS: &[(Trigger, &[&str])] = &[
    (
        Trigger::Region,
        &[
            "서울", "부산", "대구", "인천", "광주", "대전", "울산", "세종", "경기", "강원", "충북",
            "충남", "충청", "전북", "전남", "전라", "경북", "경남", "경상", "제주",
        ],
    ),
    (Trigger::AddressLabel, &["주소", "거주지", "home address", "address"]),
    (
        Trigger::Street,
        &[
            "street",
            "avenue",
            "road",
            "boulevard",
            "lane",
            "drive",
            "court",
            "ave.",
            "blvd.",
            "st.",
            "rd.",
        ],
    ),
];

/// At most this many bytes are looked at.
const WINDOW: usize = 200;

/// A province or city, a district, a street or a village, a number.
static KOREAN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^[가-힣]{2,7}(?:[ ,]+[가-힣]{1,6}[시군구])?(?:[ ,]+[가-힣]{1,6}[시군구])?(?:[ ,]+[가-힣]{1,6}[읍면])?[ ,]+[가-힣0-9]{1,12}(?:대로|로|길|동|리|가)(?:[0-9]{1,3}번?[가나다라]?길)?[ ,]*(?:산 ?)?[0-9]{1,5}(?:-[0-9]{1,5})?(?:번지|호|번)?(?:[ ,]+[0-9]{1,5}동)?(?:[ ,]+[0-9]{1,5}호)?",
    )
    .ok()
});

/// A house number and capitalised words, before the word for a street.
static STREET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^0-9A-Za-z.,/-])([0-9]{1,5}(?: [A-Z][A-Za-z.]*){1,4} )$").ok()
});

fn window(text: &str, start: usize) -> &str {
    let mut end = text.len().min(start + WINDOW);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[start..end]
}

/// The address that begins with the region at `start`.
pub(super) fn korean(text: &str, start: usize, found: &mut Vec<Identifier>) {
    if !begins_word(text, start) {
        return;
    }
    let hit = KOREAN.as_ref().and_then(|pattern| pattern.find(window(text, start)));
    if let Some(hit) = hit {
        let end = start + hit.end();
        found.push(Identifier { class: IdentifierClass::Address, start, end });
    }
}

/// The house number and the street whose last word is at `start..end`.
pub(super) fn street(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    let is_capital = text.as_bytes()[start].is_ascii_uppercase();
    if !is_capital || !(text[..end].ends_with('.') || ends_word(text, end)) {
        return;
    }
    let mut from = start.saturating_sub(80);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let captures = STREET.as_ref().and_then(|pattern| pattern.captures(&text[from..start]));
    if let Some(hit) = captures.and_then(|captures| captures.get(1)) {
        let class = IdentifierClass::Address;
        found.push(Identifier { class, start: from + hit.start(), end });
    }
}

/// What follows `주소:` to the end of the line, where it holds a number.
pub(super) fn labelled(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    let Some(Value { start: value, is_apart: true, is_below: false }) =
        after_label(text, start, end)
    else {
        return;
    };
    let line = window(text, value);
    let line = line.split(['\n', '|', '\t']).next().unwrap_or_default().trim_end();
    let is_address = line.bytes().any(|byte| byte.is_ascii_digit())
        && line.chars().any(char::is_alphabetic)
        && !line.contains('@')
        && !line.contains("://");
    if is_address {
        let end = value + line.len();
        found.push(Identifier { class: IdentifierClass::Address, start: value, end });
    }
}
