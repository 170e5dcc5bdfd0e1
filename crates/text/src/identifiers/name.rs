//! Names of people, where a label, a title or a list says so; a name alone is not looked for.

use super::{Identifier, IdentifierClass, Trigger, begins_word, ends_word};

pub(super) const WORDS: &[(Trigger, &[&str])] = &[
    (Trigger::TitleBefore, &["dr.", "dr", "mr.", "mr", "mrs.", "mrs", "ms.", "prof.", "professor"]),
    (
        Trigger::KoreanTitleAfter,
        &["님", "씨", "교수", "선생", "박사", "원장", "간호사", "전공의", "전문의"],
    ),
    (Trigger::DegreeAfter, &[", m.d.", ", md", " m.d.", ", rn", ", r.n.", ", ph.d.", ", phd"]),
];

/// Surnames of one syllable that 98 of 100 bear.
///
/// Source: Statistics Korea, Population and Housing Census 2015, surnames by number.
const SURNAMES: &str = "김이박최정강조윤장임한오서신권황안송류유전홍고문양손배백허남심노하곽성차주우구민진나지엄채원천방공현함변염여추도소석선설마길연위표명기반라왕금옥육인맹제모탁국어은편용";

/// Surnames of two syllables.
const LONG_SURNAMES: [&str; 8] = ["남궁", "황보", "제갈", "선우", "사공", "서문", "독고", "동방"];

/// Words of three or four syllables that begin like a name and stand before a title.
const NO_NAMES: [&str; 24] = [
    "고객분",
    "선생분",
    "한의원",
    "주인공",
    "신경과",
    "정신과",
    "심장과",
    "안과학",
    "이사장",
    "유치원",
    "성직자",
    "방사선",
    "임상과",
    "전임의",
    "지도자",
    "진료과",
    "연구원",
    "대학원",
    "전문가",
    "조산사",
    "위원장",
    "주인장",
    "인턴의",
    "고학년",
];

/// Ends of departments, ranks and illnesses, which no given name has.
const NO_NAME_ENDS: [&str; 8] = ["과", "부", "병", "증", "의", "학", "팀", "들"];

/// A name at the start of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name {
    pub length: usize,
    pub words: usize,
}

/// A Korean word that is no name behind a label: `성명: 미상`.
const NO_VALUES: [&str; 14] = [
    "없음",
    "미상",
    "불명",
    "무명",
    "미기재",
    "해당없음",
    "상동",
    "익명",
    "비공개",
    "성별",
    "나이",
    "생년월일",
    "환자",
    "본인",
];

fn is_syllable(character: char) -> bool {
    ('가'..='힣').contains(&character)
}

/// Whether `word` has the form of a whole Korean name: a surname and a given name of two syllables.
fn is_korean_name(word: &str) -> bool {
    let syllables = word.chars().count();
    let begins_long = LONG_SURNAMES.iter().any(|surname| word.starts_with(surname));
    let has_surname = match syllables {
        3 => begins_long || word.chars().next().is_some_and(|first| SURNAMES.contains(first)),
        4 => begins_long,
        _ => false,
    };
    has_surname
        && !NO_NAMES.contains(&word)
        && !NO_NAME_ENDS.iter().any(|ending| word.ends_with(ending))
}

/// The Korean name at the start of `rest`, which follows a label; a word in place of a name is
/// believed only behind a colon.
pub(super) fn labelled_korean_name(rest: &str, is_apart: bool) -> Option<Name> {
    let end = rest.find(|character| !is_syllable(character)).unwrap_or(rest.len());
    let word = &rest[..end];
    let syllables = word.chars().count();
    let name = |word: &str| Some(Name { length: word.len(), words: 1 });
    if NO_VALUES.contains(&word) {
        return None;
    }
    // A particle or a title may be attached: `환자명 홍길동은`, `주치의: 홍길동교수`.
    let whole = is_korean_name(word).then_some(word);
    let head = word.char_indices().nth(3).map(|(at, _)| &word[..at]);
    let head = head.filter(|head| is_korean_name(head) && has_name_tail(&word[head.len()..]));
    match whole.or(head) {
        Some(found) => name(found),
        None if is_apart && (2..=4).contains(&syllables) => name(word),
        None => None,
    }
}

fn has_name_tail(tail: &str) -> bool {
    const TAILS: [&str; 12] =
        ["님", "씨", "은", "는", "이", "가", "교수", "선생님", "의", "에게", "교수님", "선생"];
    TAILS.contains(&tail)
}

/// `홍 길 동`, as forms space it.
pub(super) fn spaced_name(rest: &str) -> Option<Name> {
    let mut characters = rest.char_indices();
    let mut length = 0;
    for place in 0..5 {
        let (at, character) = characters.next()?;
        let fits = if place % 2 == 0 { is_syllable(character) } else { character == ' ' };
        if !fits || (place == 0 && !SURNAMES.contains(character)) {
            return None;
        }
        length = at + character.len_utf8();
    }
    let ends = !rest[length..].starts_with(is_syllable);
    ends.then_some(Name { length, words: 3 })
}

/// Up to `max_words` capitalised words at the start of `rest`: `Hong Gil-dong`, `SMITH, John`.
pub(super) fn latin_name(rest: &str, max_words: usize) -> Option<Name> {
    const NO_NAMES: [&str; 28] = [
        "Dr", "Mr", "Mrs", "Ms", "Prof", "MD", "The", "A", "An", "This", "That", "He", "She",
        "They", "It", "No", "Not", "Is", "Was", "None", "Unknown", "Patient", "Date", "Age", "Sex",
        "DOB", "Male", "Female",
    ];
    let mut name = Name { length: 0, words: 0 };
    let mut at = 0;
    while name.words < max_words {
        let tail = &rest[at..];
        if !tail.starts_with(|first: char| first.is_ascii_uppercase()) {
            break;
        }
        let is_part = |character: char| character.is_alphabetic() || "-'’".contains(character);
        let end = tail.find(|character| !is_part(character)).unwrap_or(tail.len());
        let word = &tail[..end];
        if NO_NAMES.contains(&word) {
            break;
        }
        let is_initial = word.len() == 1 && tail[end..].starts_with('.');
        at += end + usize::from(is_initial);
        name = Name { length: at, words: name.words + 1 };
        // A comma parts a surname from what follows it, and a whole name from another word.
        at += match &rest.as_bytes()[at..] {
            [b' ', ..] => 1,
            [b',', b' ', ..] if name.words == 1 => 2,
            _ => break,
        };
    }
    (name.words > 0).then_some(name)
}

/// The name after `Dr.`, `Mr.` and the like.
pub(super) fn after_title(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    // `DR`, `ms` and `MS` are radiography, milliseconds and multiple sclerosis.
    let is_title = text[start..end].starts_with(|first: char| first.is_ascii_uppercase())
        && text[start + 1..end].bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.');
    let Some(rest) = text[end..].strip_prefix(' ') else { return };
    if !is_title || !begins_word(text, start) {
        return;
    }
    if let Some(name) = latin_name(rest, 3) {
        let start = end + 1;
        let length = rest[..name.length].trim_end_matches(',').len();
        found.push(Identifier { class: IdentifierClass::Name, start, end: start + length });
    }
}

/// The Korean name before `님`, `씨`, `교수`.
pub(super) fn before_title(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    let before = text[..start].trim_end_matches(' ');
    let is_near = start - before.len() <= 1;
    let is_attached = before.len() == start;
    let is_particle_title = matches!(&text[start..end], "님" | "씨");
    if !is_near || (is_particle_title && text[end..].starts_with("앗")) {
        return;
    }
    let word_start = before
        .char_indices()
        .rev()
        .take_while(|(_, character)| is_syllable(*character))
        .last()
        .map_or(before.len(), |(at, _)| at);
    let word = &before[word_start..];
    // Attached titles may follow one another: `홍길동교수님` is found at `교수`.
    if is_korean_name(word) && begins_word(text, word_start) && (is_attached || word.len() <= 12) {
        let class = IdentifierClass::Name;
        found.push(Identifier { class, start: word_start, end: before.len() });
    }
}

/// The capitalised words before `, M.D.`.
pub(super) fn before_degree(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    if !(text[..end].ends_with('.') || ends_word(text, end)) {
        return;
    }
    let before = &text[..start];
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    let is_part =
        |word: &str| word.starts_with(|first: char| first.is_ascii_uppercase()) && word.len() < 24;
    let mut from = start;
    let mut words = 0;
    for word in before[line..].rsplit(' ') {
        let length = word.len();
        if words == 3 || !is_part(word) || word.ends_with([':', ',', ';']) {
            break;
        }
        words += 1;
        from = from.saturating_sub(length + usize::from(words > 1));
    }
    if words >= 2 {
        found.push(Identifier { class: IdentifierClass::Name, start: from, end: start });
    }
}

/// An entry of the user's list, as a word of its own; Korean particles may follow.
pub(super) fn listed(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    let is_hangul = text[start..end].ends_with(is_syllable);
    if begins_word(text, start) && (is_hangul || ends_word(text, end)) {
        found.push(Identifier { class: IdentifierClass::Name, start, end });
    }
}
