//! Vocabularies side by side: rows by script, shared tokens, special tokens, treatment of text.

use bimed_vocab::{Composition, SPECIAL_TOKENS, Script, TokenizerOptions};

use super::sheet::{Cell, Sheet};
use crate::commands::inspect::{Vocabulary, script_name};
use crate::commands::recognise::Found;

/// The vocabularies at the paths that were found.
pub(super) fn sheets(names: &[String], found: &[Found]) -> anyhow::Result<Vec<Sheet>> {
    let vocabularies = found
        .iter()
        .map(|found| Vocabulary::read(&found.path))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(side_by_side(names, &vocabularies.iter().collect::<Vec<_>>()))
}

/// Every table on `vocabularies`.
pub(super) fn side_by_side(names: &[String], vocabularies: &[&Vocabulary]) -> Vec<Sheet> {
    let mut sheets = vec![rows(names, vocabularies), shared(names, vocabularies)];
    sheets.push(specials(names, vocabularies));
    sheets.push(rules(names, vocabularies));
    sheets
}

fn rows(names: &[String], vocabularies: &[&Vocabulary]) -> Sheet {
    let all = |vocabulary: &Vocabulary| vocabulary.vocab.len() as u64;
    let of: Vec<(Composition, u64)> = vocabularies
        .iter()
        .map(|vocabulary| (vocabulary.vocab.composition(), all(vocabulary)))
        .collect();
    let mut sheet = Sheet::new("Rows", &["rows"], names).with_note(
        "By the first script of Hangul, Latin, digits, Han that a token holds; `##` continues a word.",
    );
    sheet.push(["all"], of.iter().map(|(_, all)| Cell::count(*all)));
    for script in Script::ALL {
        let cells = of.iter().map(|(found, all)| Cell::part(found.of(script) as u64, *all));
        sheet.push([script_name(script)], cells);
        let inside = of.iter().map(|(found, _)| {
            let mut continuation = found.continuation;
            Cell::count(*continuation.of(script) as u64)
        });
        sheet.push([format!("{}, ## alone", script_name(script))], inside);
    }
    let specials = of.iter().map(|(found, _)| Cell::count(found.specials as u64));
    sheet.push(["special tokens"], specials);
    let reserved = of.iter().map(|(found, _)| Cell::count(found.reserved as u64));
    sheet.push(["reserved ([unused…])"], reserved);
    sheet
}

/// One row for each pair.
fn shared(names: &[String], vocabularies: &[&Vocabulary]) -> Sheet {
    let columns =
        ["all", "Hangul", "Latin", "digits", "Han", "other", "of the first", "of the second"];
    let columns = columns.map(str::to_owned);
    let mut sheet = Sheet::new("Shared tokens", &["first", "second"], &columns).with_note(
        "Equal strings, special tokens and reserved rows aside; the last two are shares.",
    );
    for (at, first) in vocabularies.iter().enumerate() {
        for (to, second) in vocabularies.iter().enumerate().skip(at + 1) {
            let shared = first.vocab.shared_with(&second.vocab);
            let total = shared.total();
            let counts =
                [total, shared.hangul, shared.latin, shared.digit, shared.han, shared.other];
            let share = |of: &Vocabulary| {
                let found = of.vocab.composition();
                let tokens = of.vocab.len() - found.specials - found.reserved;
                Cell::share(total as f64 / tokens.max(1) as f64, 1)
            };
            let counts = counts.map(|count| Cell::count(count as u64));
            let cells = counts.into_iter().chain([share(first), share(second)]);
            sheet.push([names[at].clone(), names[to].clone()], cells);
        }
    }
    sheet
}

fn specials(names: &[String], vocabularies: &[&Vocabulary]) -> Sheet {
    let mut sheet = Sheet::new("Rows of the special tokens", &["token"], names);
    for (at, token) in SPECIAL_TOKENS.into_iter().enumerate() {
        let row = |vocabulary: &&Vocabulary| vocabulary.vocab.specials().rows()[at];
        sheet.push([token], vocabularies.iter().map(|one| Cell::count(row(one).into())));
    }
    sheet
}

fn rules(names: &[String], vocabularies: &[&Vocabulary]) -> Sheet {
    type Rule = (&'static str, fn(TokenizerOptions) -> bool);
    let options: [Rule; 5] = [
        ("lower-cases", |options| options.lowercase),
        ("removes accents", |options| options.strip_accents),
        ("composes to NFC", |options| options.nfc),
        ("folds variants of characters", |options| options.fold),
        ("sets Han characters apart", |options| options.tokenize_chinese_chars),
    ];
    let mut sheet = Sheet::new("Treatment of text", &["tokenizer"], names);
    for (name, option) in options {
        let cells = vocabularies.iter().map(|vocabulary| match &vocabulary.tokenizer {
            None => Cell::none(),
            Some(Err(_)) => Cell::text("not followed"),
            Some(Ok(rules)) => {
                let is_on = option(rules.options);
                Cell { text: if is_on { "yes" } else { "no" }.to_owned(), value: is_on.into() }
            }
        });
        sheet.push([name], cells);
    }
    let added = vocabularies.iter().map(|vocabulary| match &vocabulary.tokenizer {
        Some(Ok(rules)) => Cell::count(rules.added.len() as u64),
        _ => Cell::none(),
    });
    sheet.push(["tokens matched literally"], added);
    sheet
}
