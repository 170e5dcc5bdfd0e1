//! Identifiers that are told by the grouping of their digits.
//!
//! Digits and the single marks between them are read as one number of several groups; the lengths
//! of the groups decide what it may be, and nothing else is looked at for the many numbers of a
//! note that are none.

use super::{Identifier, IdentifierClass, Trigger, begins_word};

pub(super) const WORDS: &[(Trigger, &[&str])] = &[(
    Trigger::Month,
    &[
        "월",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
    ],
)];

/// More groups than any identifier has are not kept.
const MAX_GROUPS: usize = 6;

/// Digits in groups, as they stand in the text.
struct Number<'a> {
    text: &'a str,
    /// Byte ranges of the groups; stars count as digits.
    groups: [(usize, usize); MAX_GROUPS],
    num_groups: usize,
    /// Whether there were more groups than that.
    is_longer: bool,
}

impl Number<'_> {
    fn group(&self, index: usize) -> &str {
        let (start, end) = self.groups[index];
        &self.text[start..end]
    }

    fn value(&self, index: usize) -> u32 {
        self.group(index).parse().unwrap_or(u32::MAX)
    }

    fn length(&self, index: usize) -> usize {
        self.groups[index].1 - self.groups[index].0
    }

    /// What stands between the groups `index` and `index + 1`; the end of a line counts as a space,
    /// and as nothing behind a dash.
    fn mark(&self, index: usize) -> &str {
        match &self.text[self.groups[index].1..self.groups[index + 1].0] {
            "\n" => " ",
            mark => mark.trim_end_matches('\n'),
        }
    }

    fn start(&self) -> usize {
        self.groups[0].0
    }

    fn end(&self) -> usize {
        self.groups[self.num_groups - 1].1
    }

    fn has(&self, lengths: &[usize], mark: &str) -> bool {
        self.num_groups == lengths.len()
            && (0..lengths.len()).all(|index| self.length(index) == lengths[index])
            && (1..lengths.len()).all(|index| self.mark(index - 1) == mark)
    }

    fn digits(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.num_groups).flat_map(|index| {
            self.group(index).bytes().filter(u8::is_ascii_digit).map(|byte| u32::from(byte - b'0'))
        })
    }
}

/// Looks at every number of `text`.
pub(super) fn find(text: &str, found: &mut Vec<Identifier>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(offset) = bytes[at..].iter().position(u8::is_ascii_digit) {
        let start = at + offset;
        let number = read(text, start);
        // What follows a measurement may be an identifier of its own.
        at = number.groups[0].1;
        let is_short = number.end() - start < MIN_LENGTH;
        if is_short && !matches!(bytes.get(at), Some(b' ' | b'\n')) {
            continue;
        }
        let before = bytes[..start].last().copied().unwrap_or(b' ');
        let one = match before {
            b'_' => None,
            _ if before.is_ascii_alphabetic() => passport(&number),
            _ if is_short => spaced(&number),
            _ => class(&number).or_else(|| spaced(&number)),
        };
        if let Some(one) = one {
            at = one.end;
            found.push(one);
        }
    }
}

/// No identifier has fewer digits and marks.
const MIN_LENGTH: usize = 6;

/// The number whose first digit is at `start`; its marks are of one kind.
fn read(text: &str, start: usize) -> Number<'_> {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_star = |at: usize| bytes.get(at) == Some(&b'*');
    let mut number =
        Number { text, groups: [(start, start); MAX_GROUPS], num_groups: 0, is_longer: false };
    let mut kind = None;
    let mut at = start;
    loop {
        let from = at;
        while is_digit(at) || (at > start && is_star(at)) {
            at += 1;
        }
        if number.num_groups == MAX_GROUPS {
            number.is_longer = true;
            return number;
        }
        number.groups[number.num_groups] = (from, at);
        number.num_groups += 1;
        let Some((mark, length)) = mark(&bytes[at..]) else { return number };
        let is_same = kind.is_none_or(|kind| kind == mark || kind == Mark::Parenthesis);
        if !is_same || !(is_digit(at + length) || is_star(at + length)) {
            return number;
        }
        kind = Some(mark);
        at += length;
    }
}

/// The kinds of marks that join groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Dash,
    Dot,
    Slash,
    Parenthesis,
}

/// The mark at the start of `rest` that may join two groups, and its length.
fn mark(rest: &[u8]) -> Option<(Mark, usize)> {
    match rest {
        [b' ', b'-', b' ', ..] => Some((Mark::Dash, 3)),
        [b' ', 0xE2, 0x80, 0x90..=0x95, b' ', ..] => Some((Mark::Dash, 5)),
        [0xE2, 0x80, 0x90..=0x95, ..] => Some((Mark::Dash, 3)),
        [b'-', b'\n', ..] => Some((Mark::Dash, 2)),
        [b'-', ..] => Some((Mark::Dash, 1)),
        [b'.', b' ', ..] => Some((Mark::Dot, 2)),
        [b'.', ..] => Some((Mark::Dot, 1)),
        [b'/', ..] => Some((Mark::Slash, 1)),
        [b')', b' ' | b'-', ..] => Some((Mark::Parenthesis, 2)),
        [b')', ..] => Some((Mark::Parenthesis, 1)),
        _ => None,
    }
}

/// What has spaces between its groups: a telephone, a card, a resident number.
fn spaced(number: &Number<'_>) -> Option<Identifier> {
    const MAX_SPACED: usize = 4;
    if number.num_groups > 1 || !matches!(number.length(0), 1..=4 | 6) {
        return None;
    }
    let bytes = number.text.as_bytes();
    let mut spaced = Number { text: number.text, is_longer: false, ..*number };
    let is_space = |at: usize| matches!(bytes.get(at), Some(b' ' | b'\n'));
    while spaced.num_groups < MAX_SPACED && is_space(spaced.end()) {
        let start = spaced.end() + 1;
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length == 0 {
            break;
        }
        spaced.groups[spaced.num_groups] = (start, start + length);
        spaced.num_groups += 1;
    }
    while spaced.num_groups > 1 {
        let found = class(&spaced).filter(|one| one.class != IdentifierClass::Date);
        if found.is_some() {
            return found;
        }
        spaced.num_groups -= 1;
    }
    None
}

fn class(number: &Number<'_>) -> Option<Identifier> {
    if number.is_longer {
        return None;
    }
    let is_dash = |index: usize| number.num_groups > index + 1 && is_dash(number.mark(index));
    let whole = |class| Some(Identifier { class, start: number.start(), end: number.end() });
    if let Some(end) = resident_number(number, is_dash(0)) {
        let class = IdentifierClass::ResidentNumber;
        return Some(Identifier { class, start: number.start(), end });
    }
    if let Some((start, end)) = phone(number) {
        return Some(Identifier { class: IdentifierClass::Phone, start, end });
    }
    if number.has(&[3, 2, 4], "-") && !matches!(number.value(0), 0 | 666 | 900..) {
        return whole(IdentifierClass::SocialSecurityNumber);
    }
    if number.has(&[2, 2, 6, 2], "-") || number.has(&[2, 6, 2], "-") {
        return whole(IdentifierClass::Licence);
    }
    if is_card(number) {
        return whole(IdentifierClass::Card);
    }
    if is_ip_address(number) {
        return whole(IdentifierClass::IpAddress);
    }
    date(number).map(|(start, end)| Identifier { class: IdentifierClass::Date, start, end })
}

fn is_dash(mark: &str) -> bool {
    matches!(mark.trim(), "-" | "‐" | "‑" | "‒" | "–" | "—" | "―")
}

/// Six digits of a birthday, a digit for century and sex, six more; the checksum is not looked at,
/// for numbers issued since October 2020 have none.
fn resident_number(number: &Number<'_>, is_dashed: bool) -> Option<usize> {
    let (birthday, rest) = match (number.length(0), is_dashed) {
        (6, true) => (number.group(0), number.group(1)),
        (13, false) => number.group(0).split_at(6),
        (6, false) if number.num_groups > 1 && number.mark(0) == " " && number.length(1) == 7 => {
            (number.group(0), number.group(1))
        }
        _ => return None,
    };
    let is_birthday = birthday.bytes().all(|byte| byte.is_ascii_digit())
        && is_month(birthday[2..4].parse().ok()?)
        && is_day(birthday[4..].parse().ok()?);
    let is_rest = matches!(rest.len(), 1 | 7) && rest.starts_with(|c: char| c.is_ascii_digit());
    // The stars of a hidden number may stand for its first digit, too.
    let is_hidden = matches!(rest.len(), 6 | 7) && rest.bytes().all(|byte| byte == b'*');
    let end = if number.length(0) == 13 { number.groups[0].1 } else { number.groups[1].1 };
    (is_birthday && (is_rest || is_hidden)).then_some(end)
}

/// Passports of Korea until 2021: a letter and eight digits.
fn passport(number: &Number<'_>) -> Option<Identifier> {
    let (start, end) = (number.start(), number.end());
    let letter = number.text.as_bytes()[start - 1];
    let is_passport = b"MSRODG".contains(&letter)
        && number.has(&[8], "")
        && begins_word(number.text, start - 1)
        && number.group(0).bytes().all(|byte| byte.is_ascii_digit());
    let class = IdentifierClass::Passport;
    is_passport.then_some(Identifier { class, start: start - 1, end })
}

/// The range of a telephone number, with its country code and opening parenthesis.
fn phone(number: &Number<'_>) -> Option<(usize, usize)> {
    let country = usize::from(
        number.num_groups > 2
            && match number.group(0) {
                "82" => number.text[..number.start()].ends_with('+'),
                "1" => true,
                _ => false,
            },
    );
    let groups = country..number.num_groups;
    let lengths: Vec<usize> = groups.clone().map(|index| number.length(index)).collect();
    let is_marked = groups.clone().skip(1).all(|index| {
        let mark = number.mark(index - 1);
        is_dash(mark) || matches!(mark, "." | " " | ")" | ") " | ")-")
    });
    let is_tight = groups.clone().skip(1).all(|index| number.mark(index - 1) != " ");
    let first = number.group(country);
    let is_korean = match lengths[..] {
        [2 | 3, 3 | 4, 4] => is_korean_area(first, country == 1) && is_marked,
        [4, 4] => matches!(&first[..2], "15" | "16" | "18") && number.mark(0) == "-",
        [10 | 11] => {
            ["010", "011", "016", "017", "018", "019"].iter().any(|a| first.starts_with(a))
        }
        _ => false,
    };
    let is_exchange = |index: usize| (200..1000).contains(&number.value(index));
    let is_american = lengths[..] == [3, 3, 4]
        && is_marked
        && (is_tight || number.mark(country).starts_with(')'))
        && is_exchange(country)
        && is_exchange(country + 1);
    let before = &number.text[..number.start()];
    let open = before.len() - before.trim_end_matches(['+', '(']).len();
    (is_korean || is_american).then_some((number.start() - open, number.end()))
}

/// An area or a network of Korea; abroad the leading zero is left out.
fn is_korean_area(area: &str, is_abroad: bool) -> bool {
    let area = if is_abroad { area } else { area.strip_prefix('0').unwrap_or("9") };
    matches!(area, "2" | "10" | "11" | "16" | "17" | "18" | "19" | "70" | "80")
        || (area.len() == 2 && area.starts_with(['3', '4', '5', '6']))
}

fn is_card(number: &Number<'_>) -> bool {
    let is_grouped = ["-", " "]
        .iter()
        .any(|mark| number.has(&[4, 4, 4, 4], mark) || number.has(&[4, 6, 5], mark));
    let is_card = is_grouped || number.has(&[16], "") || number.has(&[15], "");
    is_card && is_luhn(number)
}

/// Luhn's check: every second digit from the right doubled, the sum of all digits a multiple of 10.
fn is_luhn(number: &Number<'_>) -> bool {
    let digits: Vec<u32> = number.digits().collect();
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match digit * 2 {
            _ if place % 2 == 0 => *digit,
            double if double > 9 => double - 9,
            double => double,
        })
        .sum();
    digits.len() >= 15 && sum > 0 && sum.is_multiple_of(10)
}

/// Four numbers up to 255; numbers of sections (`4.2.1.3`) have shorter ones.
fn is_ip_address(number: &Number<'_>) -> bool {
    let is_dotted = number.num_groups == 4 && (0..3).all(|index| number.mark(index) == ".");
    let is_byte = |index| number.length(index) <= 3 && number.value(index) <= 255;
    is_dotted && (0..4).all(is_byte) && (0..4).any(|index| number.length(index) == 3)
}

fn is_year(value: u32) -> bool {
    (1900..2100).contains(&value)
}

fn is_month(value: u32) -> bool {
    (1..=12).contains(&value)
}

fn is_day(value: u32) -> bool {
    (1..=31).contains(&value)
}

/// The range of a date: `2024-01-15`, `01/15/2024`, `24.01.15`, `20240115`.
fn date(number: &Number<'_>) -> Option<(usize, usize)> {
    if number.num_groups == 1 {
        let all = number.group(0);
        let parts = (all.len() == 8).then(|| (&all[..4], &all[4..6], &all[6..]))?;
        let (year, month, day) =
            (parts.0.parse().ok()?, parts.1.parse().ok()?, parts.2.parse().ok()?);
        let is_date = is_year(year) && is_month(month) && is_day(day);
        return is_date.then_some(number.groups[0]);
    }
    if number.num_groups < 3 {
        return None;
    }
    let mark = number.mark(0).trim_end();
    let is_marked = matches!(mark, "-" | "." | "/") && number.mark(1).trim_end() == mark;
    let (first, second, third) = (number.value(0), number.value(1), number.value(2));
    let is_short = |index| number.length(index) <= 2;
    let year_first = (is_year(first) || (number.length(0) == 2 && mark != "-"))
        && is_month(second)
        && is_day(third)
        && is_short(1)
        && is_short(2);
    let year_last = is_year(third)
        && is_short(0)
        && is_short(1)
        && ((is_month(first) && is_day(second)) || (is_day(first) && is_month(second)));
    let is_date = is_marked && (year_first || year_last);
    is_date.then_some((number.start(), number.groups[2].1))
}

/// The date around the name of a month: `2024년 1월 15일`, `Jan 15, 2024`, `15 January 2024`.
pub(super) fn month(text: &str, start: usize, end: usize, found: &mut Vec<Identifier>) {
    let range = if text.as_bytes()[start].is_ascii() {
        english_date(text, start, end)
    } else {
        korean_date(text, start, end)
    };
    if let Some((start, end)) = range {
        found.push(Identifier { class: IdentifierClass::Date, start, end });
    }
}

fn korean_date(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let before = text[..start].trim_end_matches(' ');
    let month = digits_before(before);
    let rest = text[end..].trim_start_matches(' ');
    let day = digits_after(rest);
    let is_date = is_month(month.parse().ok()?)
        && is_day(day.parse().ok()?)
        && rest[day.len()..].trim_start_matches(' ').starts_with('일');
    let at = text.len() - rest.len() + day.len();
    let stop = at + text[at..].find('일')? + '일'.len_utf8();
    let mut from = before.len() - month.len();
    if let Some(year) = text[..from].trim_end_matches(' ').strip_suffix('년') {
        let digits = digits_before(year.trim_end_matches(' '));
        if matches!(digits.len(), 2 | 4) {
            from = year.trim_end_matches(' ').len() - digits.len();
        }
    }
    is_date.then_some((from, stop))
}

fn english_date(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let is_capital = text.as_bytes()[start].is_ascii_uppercase();
    if !is_capital || !begins_word(text, start) {
        return None;
    }
    let before = text[..start].trim_end_matches([' ', '-']);
    let leading = digits_before(before);
    let rest = text[end..].trim_start_matches(['.', ' ', '-']);
    let trailing = digits_after(rest);
    let after = rest[trailing.len()..].trim_start_matches(',').trim_start_matches([' ', '-']);
    let year = digits_after(after);
    let place = |tail: &str| text.len() - tail.len();
    let is_day_of = |digits: &str| digits.parse().is_ok_and(is_day);
    let is_year_of = |digits: &str| digits.len() == 4 && digits.parse().is_ok_and(is_year);
    if is_day_of(trailing) && is_year_of(year) {
        return Some((start, place(after) + 4));
    }
    if is_day_of(leading) && is_year_of(trailing) && begins_word(text, before.len() - leading.len())
    {
        return Some((before.len() - leading.len(), place(rest) + 4));
    }
    None
}

fn digits_before(text: &str) -> &str {
    &text[text.trim_end_matches(|c: char| c.is_ascii_digit()).len()..]
}

fn digits_after(text: &str) -> &str {
    &text[..text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len()]
}
