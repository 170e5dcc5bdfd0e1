//! Identifiers of people by rule: what they look like, where they are, and what takes their place.
//!
//! Owns the classes, the rules of Korea and the United States, and masking. It knows nothing of
//! documents or policies.
//!
//! A scan is no proof: what no rule describes is not found (names without a title or a label, for
//! one). Published rule sets of this kind leave 4 to 6 of 100 behind.
//!
//! Invariant: identifiers are ascending and do not overlap; masking twice gives what masking once
//! gives.

mod address;
mod labelled;
mod name;
mod number;
mod online;

use std::borrow::Cow;
use std::collections::BTreeMap;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde::{Deserialize, Serialize};

/// What kind of identifier a stretch of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdentifierClass {
    /// Korean resident and foreigner numbers (주민등록번호), also with a missing dash or stars.
    ResidentNumber,
    /// United States social security numbers.
    SocialSecurityNumber,
    /// Numbers of payment cards that satisfy Luhn's check.
    Card,
    /// Telephone numbers of Korea and the United States.
    Phone,
    /// E-mail addresses.
    Email,
    /// Addresses of web pages.
    Url,
    /// Internet addresses, version 4.
    IpAddress,
    /// Passport numbers.
    Passport,
    /// Driving and professional licences.
    Licence,
    /// Numbers of patients, charts and examinations, after their label.
    RecordNumber,
    /// Postal addresses.
    Address,
    /// Names after a label, beside a title, or of the user's list.
    Name,
    /// Dates.
    Date,
    /// What another has already taken out (`___`).
    Removed,
}

impl IdentifierClass {
    /// Every class.
    pub const ALL: [Self; 14] = [
        Self::ResidentNumber,
        Self::SocialSecurityNumber,
        Self::Card,
        Self::Phone,
        Self::Email,
        Self::Url,
        Self::IpAddress,
        Self::Passport,
        Self::Licence,
        Self::RecordNumber,
        Self::Address,
        Self::Name,
        Self::Date,
        Self::Removed,
    ];

    /// The name, as configs spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResidentNumber => "resident_number",
            Self::SocialSecurityNumber => "social_security_number",
            Self::Card => "card",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Url => "url",
            Self::IpAddress => "ip_address",
            Self::Passport => "passport",
            Self::Licence => "licence",
            Self::RecordNumber => "record_number",
            Self::Address => "address",
            Self::Name => "name",
            Self::Date => "date",
            Self::Removed => "removed",
        }
    }

    /// The token that takes its place.
    pub fn mask_token(self) -> &'static str {
        match self {
            Self::ResidentNumber => "[RRN]",
            Self::SocialSecurityNumber => "[SSN]",
            Self::Card => "[CARD]",
            Self::Phone => "[PHONE]",
            Self::Email => "[EMAIL]",
            Self::Url => "[URL]",
            Self::IpAddress => "[IP]",
            Self::Passport => "[PASSPORT]",
            Self::Licence => "[LICENCE]",
            Self::RecordNumber => "[ID]",
            Self::Address => "[ADDRESS]",
            Self::Name => "[NAME]",
            Self::Date => "[DATE]",
            Self::Removed => "[DEID]",
        }
    }
}

/// A stretch of text that identifies someone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identifier {
    /// Its kind.
    pub class: IdentifierClass,
    /// Its first byte.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// How many identifiers of each class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentifierCounts(pub BTreeMap<IdentifierClass, u64>);

impl IdentifierCounts {
    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        for (class, count) in &other.0 {
            *self.0.entry(*class).or_default() += count;
        }
    }

    /// Adds one of `class`.
    pub fn count(&mut self, class: IdentifierClass) {
        *self.0.entry(class).or_default() += 1;
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sum over all classes.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// What a word found in the text gives reason to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// A label before a name; whether it stands for a name even without a colon.
    NameLabel,
    /// A label before the number of a patient, a chart, an examination.
    RecordLabel,
    /// A label before a passport's, a licence's number.
    NumberLabel(IdentifierClass),
    /// A label before a postal address.
    AddressLabel,
    /// A province or a city, which may begin a postal address.
    Region,
    /// A word for a street, which may end one.
    Street,
    /// A title before a name.
    TitleBefore,
    /// A title after a Korean name.
    KoreanTitleAfter,
    /// A degree after a name in Latin letters.
    DegreeAfter,
    /// `http`, `www.`.
    Url,
    /// `@`.
    At,
    /// `월`, or the name of a month.
    Month,
    /// An entry of the user's list.
    Listed,
}

/// Finds and masks identifiers; made once, used from any thread.
#[derive(Debug)]
pub struct IdentifierScanner {
    words: AhoCorasick,
    triggers: Vec<Trigger>,
}

/// Above this many patterns the automaton is kept small instead of fast.
const MAX_DFA_PATTERNS: usize = 2000;

impl IdentifierScanner {
    /// A scanner that knows the names of `listed` (a staff list) beside the rules.
    ///
    /// # Errors
    /// When the list is too large for an automaton (millions of names).
    pub fn new(listed: &[String]) -> Result<Self, ListTooLong> {
        let mut patterns: Vec<&str> = Vec::new();
        let mut triggers = Vec::new();
        let rules = labelled::WORDS.iter().chain(name::WORDS).chain(address::WORDS);
        for (trigger, words) in rules.chain(online::WORDS).chain(number::WORDS) {
            patterns.extend(*words);
            triggers.extend(words.iter().map(|_| *trigger));
        }
        let names = listed.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        for name in names {
            patterns.push(name);
            triggers.push(Trigger::Listed);
        }
        let kind = (patterns.len() <= MAX_DFA_PATTERNS).then_some(AhoCorasickKind::DFA);
        let words = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .kind(kind)
            .build(patterns)
            .map_err(|_| ListTooLong { names: listed.len() })?;
        Ok(Self { words, triggers })
    }

    /// The identifiers of `text`, in order.
    pub fn find(&self, text: &str) -> Vec<Identifier> {
        let mut found = Vec::new();
        number::find(text, &mut found);
        for hit in self.words.find_iter(text) {
            let (start, end) = (hit.start(), hit.end());
            match self.triggers[hit.pattern().as_usize()] {
                Trigger::NameLabel => labelled::name(text, start, end, &mut found),
                Trigger::RecordLabel => labelled::record(text, start, end, &mut found),
                Trigger::NumberLabel(class) => {
                    labelled::number(text, start, end, class, &mut found);
                }
                Trigger::AddressLabel => address::labelled(text, start, end, &mut found),
                Trigger::Region => address::korean(text, start, &mut found),
                Trigger::Street => address::street(text, start, end, &mut found),
                Trigger::TitleBefore => name::after_title(text, start, end, &mut found),
                Trigger::KoreanTitleAfter => name::before_title(text, start, end, &mut found),
                Trigger::DegreeAfter => name::before_degree(text, start, end, &mut found),
                Trigger::Url => online::url(text, start, &mut found),
                Trigger::At => online::email(text, start, &mut found),
                Trigger::Month => number::month(text, start, end, &mut found),
                Trigger::Listed => name::listed(text, start, end, &mut found),
            }
        }
        without_overlaps(found)
    }

    /// `text` with the token of its class in the place of each identifier but those of `keep`, and
    /// what was found, the kept ones included.
    pub fn mask<'a>(
        &self,
        text: &'a str,
        keep: &[IdentifierClass],
        counts: &mut IdentifierCounts,
    ) -> Cow<'a, str> {
        let found = self.find(text);
        found.iter().for_each(|one| counts.count(one.class));
        let masked = found.into_iter().filter(|one| !keep.contains(&one.class));
        replace(text, masked)
    }
}

/// A list of names that is too long to look for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found a list of {names} names, too many to look for at once")]
pub struct ListTooLong {
    /// Its names.
    pub names: usize,
}

/// `text` with `[DEID]` for each run of three or more `marker`s in a row.
///
/// MIMIC-IV has `___` where an identifier was; elsewhere it is a blank to fill in.
pub fn mask_removed<'a>(
    text: &'a str,
    marker: char,
    counts: &mut IdentifierCounts,
) -> Cow<'a, str> {
    const MIN_RUN: usize = 3;
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find(marker).map(|at| from + at) {
        let rest = &text[start..];
        let end = start + (rest.len() - rest.trim_start_matches(marker).len());
        if (end - start) / marker.len_utf8() >= MIN_RUN {
            found.push(Identifier { class: IdentifierClass::Removed, start, end });
            counts.count(IdentifierClass::Removed);
        }
        from = end;
    }
    replace(text, found.into_iter())
}

fn replace(text: &str, found: impl Iterator<Item = Identifier>) -> Cow<'_, str> {
    let mut found = found.peekable();
    if found.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for one in found {
        out.push_str(&text[at..one.start]);
        out.push_str(one.class.mask_token());
        at = one.end;
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}

/// Where two overlap, the one that begins first stays, and of two that begin together the longer.
fn without_overlaps(mut found: Vec<Identifier>) -> Vec<Identifier> {
    found.sort_by_key(|one| (one.start, std::cmp::Reverse(one.end), one.class));
    let mut end = 0;
    found.retain(|one| {
        let is_free = one.start >= end && one.end > one.start;
        if is_free {
            end = one.end;
        }
        is_free
    });
    found
}

/// Whether the character before `at` is no letter, digit or underscore, nor the end of a token.
fn begins_word(text: &str, at: usize) -> bool {
    text[..at]
        .chars()
        .next_back()
        .is_none_or(|before| !before.is_alphanumeric() && !matches!(before, '_' | ']'))
}

/// Whether no letter, digit or underscore follows `at`.
fn ends_word(text: &str, at: usize) -> bool {
    text[at..].chars().next().is_none_or(|after| !after.is_alphanumeric() && after != '_')
}

#[cfg(test)]
mod tests;
