//! Extending a base: its rows stay, new ones come from text or from a list of words.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::convert::Infallible;

use bimed_artifact::{Cancel, Context, Silent};
use bimed_vocab::{
    Error, InputDocument, Policy, SPECIAL_TOKENS, Tokenizer, TokenizerOptions, Vocab, VocabConfig,
    extend, extend_by_words,
};

const TEXTS: &[&str] = &[
    "흉부 CT상 폐렴 소견 보임. pneumonia in the right lung.",
    "폐렴 환자의 chest CT: consolidation, 폐렴 의심.",
    "pneumonia 환자에서 consolidation 소견과 흉부 통증.",
];

fn base() -> Tokenizer {
    let letters = ('a'..='z').flat_map(|c| [c.to_string(), format!("##{c}")]);
    let words = ["[unused0]", "CT", "pneu", "##mon", "##ia", ".", ":", ",", "폐", "상", "##상"];
    let mut tokens = vec!["[PAD]".to_owned()];
    tokens.extend(words.into_iter().map(str::to_owned));
    tokens.extend(SPECIAL_TOKENS[1..].iter().map(ToString::to_string));
    tokens.extend(letters);
    Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::cased())
}

fn config(add_rows: Option<usize>) -> VocabConfig {
    VocabConfig {
        policy: Policy::Extend,
        add_rows,
        coverage: 1.0,
        mask_tokens: vec!["[DATE]".into()],
        ..VocabConfig::default()
    }
}

fn from_text(config: &VocabConfig) -> Result<(Tokenizer, bimed_vocab::VocabSummary), Error> {
    let text = |text: &&str| InputDocument { text: (*text).into(), ..InputDocument::default() };
    let documents = TEXTS.iter().cycle().take(12).map(text).map(Ok::<_, Infallible>);
    let cancel = Cancel::new();
    extend(documents, &base(), config, &Context::new(&Silent, &cancel))
}

#[test]
fn the_bases_rows_stay_and_the_text_gives_the_rest() {
    let (tokenizer, summary) = from_text(&config(Some(32))).unwrap();
    let (base, vocab) = (base(), tokenizer.vocab());
    assert_eq!(vocab.tokens()[..base.vocab().len()], *base.vocab().tokens());
    assert_eq!(vocab.len(), base.vocab().len() + 32);
    assert_eq!(tokenizer.options(), base.options());
    assert_eq!(vocab.id("[DATE]"), Some(base.vocab().len() as u32));
    assert_eq!(
        (summary.base_rows, summary.special_rows, summary.dead_rows),
        (base.vocab().len(), 1, 0)
    );
    // Built from the base's pieces, and on characters that it lacks.
    for token in ["pneumonia", "폐렴", "흉부", "소견"] {
        assert!(vocab.id(token).is_some_and(|id| id as usize >= base.vocab().len()), "{token}");
    }
    let unk = base.vocab().specials().unk;
    assert!(
        base.encode("흉부 폐렴").contains(&unk) && !tokenizer.encode("흉부 폐렴").contains(&unk)
    );
    assert_eq!(tokenizer.encode("pneumonia"), [vocab.id("pneumonia").unwrap()]);
}

#[test]
fn too_few_rows_for_the_missing_characters_are_refused() {
    let error = from_text(&config(Some(4))).unwrap_err();
    assert!(matches!(error, Error::TooSmall { size: 4, .. }), "{error}");
    let error = from_text(&config(None)).unwrap_err();
    assert!(error.to_string().contains("add_rows is absent"), "{error}");
}

#[test]
fn a_list_gives_whole_words_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("words.txt");
    let list =
        "# 병명\n간경변증\ngastric cancer\nCT\n간경변증\nT세포\n123456\n홍길동\n위암\n대장암\n";
    fs_err::write(&path, list).unwrap();
    let config = VocabConfig { deny: vec!["홍길동".into()], ..config(Some(6)) };
    let (tokenizer, summary) = extend_by_words(&path, &base(), &config).unwrap();
    let first = base().vocab().len();
    let expected = ["[DATE]", "간경변증", "gastric", "cancer", "T세포", "위암"];
    assert_eq!(tokenizer.vocab().tokens()[first..], expected);
    assert_eq!((summary.entries, summary.words, summary.added), (9, 10, 5));
    assert_eq!((summary.known, summary.repeated, summary.too_long), (1, 1, 1));
    assert_eq!((summary.denied, summary.beyond), (1, 1));
    let ids = tokenizer.encode("T세포 위암 [DATE]");
    let tokens: Vec<&str> = ids.iter().map(|&id| tokenizer.vocab().token(id)).collect();
    assert_eq!(tokens, ["T세포", "위암", "[DATE]"]);
}

#[test]
fn a_list_without_a_new_word_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("words.txt");
    fs_err::write(&path, "CT\n폐\n").unwrap();
    let error = extend_by_words(&path, &base(), &config(Some(5))).unwrap_err();
    assert!(error.to_string().contains("no new word in 2 entries"), "{error}");
    fs_err::write(&path, b"\xc6\xf3\xb7\xc5\n").unwrap();
    let error = extend_by_words(&path, &base(), &config(Some(5))).unwrap_err();
    assert!(error.to_string().contains("not UTF-8 at 0"), "{error}");
}
