//! E-mail and web addresses.

use super::{Identifier, IdentifierClass, Trigger};

pub(super) const WORDS: &[(Trigger, &[&str])] =
    &[(Trigger::Url, &["http://", "https://", "ftp://", "www."]), (Trigger::At, &["@"])];

/// The address around the `@` at `at`.
pub(super) fn email(text: &str, at: usize, found: &mut Vec<Identifier>) {
    let bytes = text.as_bytes();
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte);
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let mut start = at;
    while start > 0 && is_local(bytes[start - 1]) {
        start -= 1;
    }
    let mut end = at + 1;
    while end < bytes.len() && is_host(bytes[end]) {
        end += 1;
    }
    while end > at + 1 && b".-".contains(&bytes[end - 1]) {
        end -= 1;
    }
    let host = &text[at + 1..end];
    let is_domain = host.rsplit_once('.').is_some_and(|(name, top)| {
        !name.is_empty() && top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic())
    });
    if start < at && is_domain {
        found.push(Identifier { class: IdentifierClass::Email, start, end });
    }
}

/// The address that begins at `start`, up to white space, Hangul or closing punctuation.
pub(super) fn url(text: &str, start: usize, found: &mut Vec<Identifier>) {
    if !super::begins_word(text, start) && !ends_in_hangul(&text[..start]) {
        return;
    }
    let rest = &text[start..];
    let is_part = |byte: u8| byte.is_ascii_graphic() && !b"\"<>|{}^`\\".contains(&byte);
    let length = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
    let address = rest[..length].trim_end_matches(['.', ',', ';', ':', ')', ']', '!', '?', '\'']);
    let host = address.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let host = host.trim_start_matches("://").trim_start_matches('.');
    if host.contains('.') || address.len() > "https://".len() + 2 {
        let end = start + address.len();
        found.push(Identifier { class: IdentifierClass::Url, start, end });
    }
}

fn ends_in_hangul(text: &str) -> bool {
    text.chars().next_back().is_some_and(|last| ('가'..='힣').contains(&last))
}
