//! Ids agree with Hugging Face `tokenizers`, to the last one.

#![expect(clippy::unwrap_used, reason = "a test")]

use bimed_vocab::{
    SPECIAL_TOKENS, SpecialTokens, Tokenizer, TokenizerOptions, Vocab, save_tokenizer,
};
use proptest::prelude::*;
use std::sync::LazyLock;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

const WORDS: &[&str] = &[
    "폐렴",
    "폐",
    "##렴",
    "CT",
    "##상",
    "소견",
    "보임",
    "lung",
    "##에",
    "chest",
    "Chest",
    "##s",
    "환자",
    "##는",
    "mg",
    "##mg",
    "##g",
    "肺",
    "炎",
    "°",
    "##C",
    "°C",
    "μg",
    "É",
    "é",
    "##é",
    "e",
    "##e",
    "i",
    "##i",
    "ㅋ",
    "##ㅋ",
    "😀",
    "##😀",
    "3",
    "##개월",
    "[DATE]",
    "[",
    "]",
    "(",
    ")",
    ",",
    ".",
    "-",
    "%",
    "/",
    "ß",
    "ss",
    "##ss",
    "ﬁ",
    "ñ",
    "n",
    "##n",
    "Ω",
    "ω",
    "İ",
    "x",
    "##x",
    "·",
    "\u{1111}",
    "##\u{1168}",
    "##\u{1105}",
    "##\u{1167}",
    "##\u{11b7}",
    "\u{110f}",
    "\u{302e}",
    "##\u{302e}",
    "##\u{20dd}",
    "豈",
    "##豈",
    "_",
    "#",
    "##",
    "###",
    "à",
    "\u{300}",
    "##\u{300}",
];

fn vocab() -> Vocab {
    let letters = ('a'..='z').chain('A'..='D').chain('0'..='9').map(|c| c.to_string());
    let mut tokens: Vec<String> =
        SPECIAL_TOKENS.iter().chain(WORDS).map(|t| t.to_string()).collect();
    for token in letters.flat_map(|c| [c.clone(), format!("##{c}")]) {
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    Vocab::new(tokens).unwrap()
}

type Pair = (Tokenizer, tokenizers::Tokenizer);

fn plain(options: TokenizerOptions) -> Pair {
    let ours = Tokenizer::new(vocab(), options);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), ours.vocab().to_text()).unwrap();
    let model = WordPiece::from_file(&file.path().to_string_lossy()).unk_token("[UNK]".into());
    let mut theirs = tokenizers::Tokenizer::new(model.build().unwrap());
    let _ = theirs.with_normalizer(Some(BertNormalizer::new(
        true,
        options.tokenize_chinese_chars,
        Some(options.strip_accents),
        options.lowercase,
    )));
    theirs.with_pre_tokenizer(Some(BertPreTokenizer));
    (ours, theirs)
}

/// Through the files that we write, with the corpus's mask tokens; special tokens that a text spells
/// out are text.
fn saved(options: TokenizerOptions) -> Pair {
    let (ours, mut theirs) = saved_with_ids(options);
    theirs.set_encode_special_tokens(true);
    (ours.with_special_tokens(SpecialTokens::Text), theirs)
}

/// The same, where they are ids: Hugging Face's own way.
fn saved_with_ids(options: TokenizerOptions) -> Pair {
    let dir = tempfile::tempdir().unwrap();
    // Whole syllables beside a tokenizer that takes them apart are refused.
    let is_whole = |token: &&String| !token.contains(|c| ('가'..='힣').contains(&c));
    let vocab = match options.strip_accents {
        true => Vocab::new(vocab().tokens().iter().filter(is_whole).cloned().collect()).unwrap(),
        false => vocab(),
    };
    let (ours, missing) = Tokenizer::new(vocab, options).with_added_tokens(&["[DATE]".into()]);
    assert!(missing.is_empty());
    save_tokenizer(dir.path(), &ours, 512).unwrap();
    let theirs = tokenizers::Tokenizer::from_file(dir.path().join("tokenizer.json")).unwrap();
    let back = Tokenizer::from_dir(dir.path()).unwrap();
    assert_eq!(back.options(), options);
    (back.with_special_tokens(SpecialTokens::Ids), theirs)
}

static PAIRS: LazyLock<Vec<(&str, Pair)>> = LazyLock::new(|| {
    let (cased, uncased) = (TokenizerOptions::cased(), TokenizerOptions::uncased());
    vec![
        ("cased", plain(cased)),
        ("uncased", plain(uncased)),
        ("lower with accents", plain(TokenizerOptions { strip_accents: false, ..uncased })),
        ("cased without accents", plain(TokenizerOptions { strip_accents: true, ..cased })),
        ("Han not isolated", plain(TokenizerOptions { tokenize_chinese_chars: false, ..uncased })),
        ("saved", saved(TokenizerOptions::default())),
        ("saved cased", saved(cased)),
        ("saved uncased", saved(uncased)),
        (
            "saved uncased, NFC, folded",
            saved(TokenizerOptions { nfc: true, fold: true, ..uncased }),
        ),
        ("saved NFC", saved(TokenizerOptions { nfc: true, ..cased })),
        ("saved, special tokens as ids", saved_with_ids(TokenizerOptions::default())),
        ("saved uncased, special tokens as ids", saved_with_ids(uncased)),
    ]
});

fn check(text: &str) {
    for (name, (ours, theirs)) in PAIRS.iter() {
        let expected = theirs.encode(text, false).unwrap();
        assert_eq!(ours.encode(text), expected.get_ids(), "{name}: {text:?}");
        let encoding = ours.encode_with_words(text);
        assert_eq!(encoding.ids, expected.get_ids(), "{name}, with words: {text:?}");
        for (start, end) in encoding.offsets {
            assert!(
                text.get(start..end).is_some_and(|piece| !piece.is_empty()),
                "{name}: {text:?}"
            );
        }
    }
}

#[test]
fn ids_agree_on_what_breaks_tokenizers() {
    let long = |count: usize| "ab".repeat(count / 2) + if count % 2 == 1 { "폐" } else { "" };
    for text in [
        "",
        " ",
        "\n\t\r",
        "폐렴 CT상 소견 보임",
        "lung에 chest CT.",
        "Chest CT: 폐렴(肺炎) 소견",
        "폐렴",
        "\u{1111}\u{1168}\u{1105}\u{1167}\u{11b7}",
        "환자\u{200b}는",
        "\u{feff}환자는",
        "환자\u{0}는\u{fffd}",
        "8㎎ 3㎍ 36.5℃ ５％（ＣＴ）",
        "e\u{301} É é e\u{323}\u{302} e\u{302}\u{323}",
        "ㅋㅋㅋ ㅠㅠ",
        "😀😀👩‍⚕️",
        "[DATE]에 CT[DATE]상",
        "#hash ##s ### [UNK",
        "[CLS] 폐렴[SEP]CT[MASK]상 [PAD][UNK] [cls] [MASK",
        "[[MASK]] [MASK][DATE][CL[SEP]S] [ＭASK] [MA\u{200b}SK]",
        "a\u{300}\u{ad}b",
        "İstanbul ıİ",
        "ﬁbrosis ½ ² ß SS ΑΣ",
        "豈豈 \u{2f800}肺",
        "한\u{302e}글\u{302f}",
        "x\u{302e}\u{300}\u{302e}x",
        "\u{300}\u{301}",
        "가\u{11a8}ᄀ가ᅡ",
        "3개월 전 CT상",
        "폐\u{3000}렴\u{a0}CT\u{2028}x\u{85}y\u{b}z",
        "\u{2000}\u{2001}x",
        "Å Å K ℓ µg μg",
        "\u{20dd}a\u{20dd}",
        "·ㆍ‧",
        "\u{37e}\u{1fef}\u{387}",
        "肺\u{301}肺e\u{301}",
        "CT\u{e000}상 \u{f0000}x \u{378}y",
        "\u{1f1f0}\u{1f1f7} \u{2b820}\u{2b920}\u{2a6d6}",
        "\u{11131}\u{11127}\u{11935}\u{11930}",
        "_a_ $5 a+b=c ~x^",
        "Œdème naïve ñandú",
    ] {
        check(text);
    }
    for count in [99, 100, 101, 250] {
        check(&format!("CT {} 소견", long(count)));
        check(&"폐".repeat(count));
        check(&"e\u{301}".repeat(count));
    }
}

#[test]
fn a_text_puts_in_special_tokens_only_where_that_is_asked_for() {
    let vocab = vocab();
    let (text, _) = Tokenizer::new(vocab, Default::default()).with_added_tokens(&["[DATE]".into()]);
    let ids = text.clone().with_special_tokens(SpecialTokens::Ids);
    let tokens = |tokenizer: &Tokenizer, text: &str| -> Vec<String> {
        let ids = tokenizer.encode(text).into_iter();
        ids.map(|id| tokenizer.vocab().token(id).to_owned()).collect()
    };
    let sample = "폐렴 [MASK][DATE] CT";
    assert_eq!(tokens(&ids, sample), ["폐렴", "[MASK]", "[DATE]", "CT"]);
    let found = tokens(&text, sample);
    assert!(found.contains(&"[DATE]".into()) && !found.contains(&"[MASK]".into()), "{found:?}");
    assert_eq!(ids.encode_with_words(sample).offsets[1], (7, 13));
    // Mask tokens that are named later change nothing for the special ones.
    let again = ids.with_added_tokens(&[]).0;
    assert_eq!(again.encode("[SEP]"), [again.vocab().specials().sep]);
    assert_eq!(again.added_tokens().count(), 0);
}

const PIECES: &[&str] = &[
    "폐렴", "CT", "상", "소견 ", " ", "\n", "lung", "에", "É", "e\u{301}", "\u{301}", "\u{1111}",
    "\u{1168}", "\u{11b7}", "肺", "豈", "㎎", "℃", "，", "\u{200b}", "\u{3000}", "[DATE]",
    "[MASK]", "[CLS]", "[SEP]", "[UNK]", "[PAD]", "[", "]", "#", "##", "😀", "\u{302e}", "\u{323}",
    "\u{20dd}", "İ", "3", ".", "·", "\u{378}", "ß", "Σ", "µ", "가", "\u{11a8}", "ab", "x",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn ids_agree_on_mixtures(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..30)) {
        check(&pieces.concat());
    }

    #[test]
    fn ids_agree_on_any_characters(text in "\\PC{0,40}|[\\u{0}-\\u{3ff}가-힣ᄀ-ᇿ]{0,40}|.{0,40}") {
        check(&text);
    }
}
