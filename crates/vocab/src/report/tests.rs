use std::convert::Infallible;

use super::*;
use crate::{SPECIAL_TOKENS, TokenizerOptions, Vocab};

fn tokenizer(words: &[&str]) -> Tokenizer {
    let tokens = SPECIAL_TOKENS.iter().chain(words).map(ToString::to_string).collect();
    Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::default())
}

fn build(texts: &[&str], terms: &[TermList]) -> VocabReport {
    let vocabularies = [
        ("split".to_owned(), tokenizer(&["폐", "##렴", "CT", "##상", ".", "lung", "미"])),
        ("whole".to_owned(), tokenizer(&["폐렴", "CT", "##상", "CT상", "chest", "."])),
    ];
    let document = |text: &&str| InputDocument {
        text: (*text).into(),
        source: "notes".into(),
        language: "mixed".into(),
        ..InputDocument::default()
    };
    report(&vocabularies, terms, texts.iter().map(document).map(Ok::<_, Infallible>)).unwrap()
}

#[test]
fn words_are_the_same_for_every_vocabulary_and_pieces_are_not() {
    let report = build(&["폐렴 CT상 lung."], &[]);
    let totals: Vec<_> = report.vocabularies.iter().map(|entry| entry.total).collect();
    // 폐렴, CT, 상, lung and the stop.
    assert_eq!(totals.iter().map(|t| (t.words, t.eojeols)).collect::<Vec<_>>(), [(5, 3); 2]);
    let found: Vec<_> = totals.iter().map(|t| (t.pieces, t.continued_words, t.unk_words)).collect();
    assert_eq!(found, [(6, 1, 0), (4, 0, 1)]);
    let split = &report.vocabularies[0];
    assert_eq!((split.initial.hangul, split.continuation.hangul), (2, 2));
    assert_eq!((split.unused_rows, split.unused.hangul), (1, 1));
    let shared = &split.overlap[0].shared;
    assert_eq!((shared.hangul, shared.latin, shared.other), (1, 1, 1));
    assert!(report.to_markdown().contains("| split | notes | mixed | 5 | 6 | 1.200 |"));
}

#[test]
fn a_token_of_two_scripts_counts_for_the_first_or_for_none() {
    let whole = &build(&["폐렴"], &[]).vocabularies[1];
    assert_eq!((whole.initial.hangul, whole.initial_whole.hangul), (2, 1));
    assert_eq!((whole.initial_whole.latin, whole.initial_whole.other), (2, 2));
    assert_eq!(whole.continuation_whole.hangul, 1);
}

#[test]
fn code_mixed_words_are_aligned_where_a_token_begins_with_hangul() {
    let report = build(&["CT상 폐렴, CT상 lung에."], &[]);
    let found: Vec<_> = report
        .vocabularies
        .iter()
        .map(|entry| entry.code_mix)
        .map(|mix| (mix.words, mix.pieces, mix.aligned_words, mix.unk_words))
        .collect();
    // CT ##상 twice and an unknown lung에; CT상 twice and the same.
    assert_eq!(found, [(3, 5, 2, 1), (3, 3, 0, 1)]);
}

#[test]
fn rows_are_counted_by_the_documents_that_hold_them() {
    let texts: Vec<String> =
        (0..11).map(|n| if n < 4 { "폐렴 CT CT".into() } else { "CT".to_owned() }).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let classes = &build(&texts, &[]).vocabularies[0].document_frequency;
    let rows: Vec<_> = classes.iter().map(|class| class.rows).collect();
    // Four rows in no document, 폐 and ##렴 in four, CT in eleven.
    assert_eq!(rows, [4, 0, 2, 0, 1, 0, 0, 0]);
    assert_eq!((classes[2].from, classes[2].to, classes[7].to), (2, Some(4), None));
}

#[test]
fn terms_are_single_tokens_or_not() {
    let list = |terms: &[&str]| TermList {
        name: "병명".into(),
        terms: terms.iter().map(ToString::to_string).collect(),
    };
    let report = build(&["폐렴"], &[list(&["폐렴", "CT", "chest CT", "간암"])]);
    let of = |index: usize| {
        let found = &report.vocabularies[index].terms[0];
        (found.terms, found.single_token_terms, found.pieces, found.unk_terms)
    };
    // chest is unknown to the first; 간암 to both.
    assert_eq!([of(0), of(1)], [(4, 1, 6, 2), (4, 2, 5, 1)]);
    assert!(report.to_markdown().contains("| whole | 병명 | 4 | 50.0% | 1.250 | 25.00% |"));
}

#[test]
fn the_picture_has_a_bar_for_each_vocabulary_and_escapes_their_names() {
    let mut report = build(&["폐렴 CT상"], &[]);
    report.vocabularies[0].name = "a<b & c".into();
    let svg = report.to_svg();
    assert!(svg.contains("a&lt;b &amp; c") && !svg.contains("a<b"));
    assert!(svg.contains("Tokens a word: mixed") && svg.contains("code-mixed"));
    assert_eq!(svg.matches(">whole<").count(), 3);
}

#[test]
fn a_list_without_a_term_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("진단명.txt");
    fs_err::write(&path, "# 없음\n").unwrap();
    assert!(TermList::from_file(&path).unwrap_err().to_string().contains("no term"));
    fs_err::write(&path, "폐렴\n").unwrap();
    let list = TermList::from_file(&path).unwrap();
    assert_eq!((list.name.as_str(), list.terms.len()), ("진단명", 1));
}
