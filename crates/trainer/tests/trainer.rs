//! The trainer behind `TokenizerImpl::train`.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::convert::Infallible;

use bimed_artifact::{Cancel, Context, Silent};
use bimed_trainer::WordPieceTrainer;
use bimed_vocab::{InputDocument, VocabConfig, train};
use tokenizers::decoders::wordpiece::WordPiece as Decoder;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{Model, TokenizerImpl};

type Bert = TokenizerImpl<WordPiece, BertNormalizer, BertPreTokenizer, BertProcessing, Decoder>;

const TEXTS: [&str; 4] = [
    "흉부 CT상 폐렴 소견 보임. 폐렴 의심.",
    "chest CT shows pneumonia; pneumonia was suspected.",
    "lung에 nodule 소견이 있어 chest CT 추적 검사.",
    "[DATE]에 폐렴으로 입원한 환자, pneumonia 호전.",
];

fn texts() -> Vec<String> {
    (0..60).map(|n| format!("{} {n}", TEXTS[n % 4])).collect()
}

fn config() -> VocabConfig {
    VocabConfig {
        size: 100,
        seed_hangul: false,
        coverage: 1.0,
        nfc: false,
        fold: false,
        mask_tokens: vec!["[DATE]".into()],
        ..VocabConfig::default()
    }
}

fn tokenizer() -> Bert {
    let mut tokenizer = TokenizerImpl::new(WordPiece::default());
    tokenizer.with_normalizer(Some(BertNormalizer::new(true, true, Some(false), false))).unwrap();
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer
}

fn trained(texts: Vec<String>) -> Vec<(String, u32)> {
    let mut tokenizer = tokenizer();
    tokenizer.train(&mut WordPieceTrainer::new(config()), texts.into_iter()).unwrap();
    let mut rows: Vec<(String, u32)> = tokenizer.get_model().get_vocab().into_iter().collect();
    rows.sort_by_key(|(_, row)| *row);
    rows
}

#[test]
fn the_same_text_gives_the_rows_of_the_trainer_itself() {
    let document = |text: String| InputDocument {
        // The tokenizer knows no mask token before it is trained.
        text: text.replace("[DATE]", "[ DATE ]"),
        ..InputDocument::default()
    };
    let documents = texts().into_iter().map(document).map(Ok::<_, Infallible>);
    let cancel = Cancel::new();
    let (vocab, _) = train(documents, &config(), &Context::new(&Silent, &cancel)).unwrap();
    let expected: Vec<(String, u32)> = vocab.tokens().iter().cloned().zip(0..).collect();
    assert_eq!(trained(texts()), expected);
    assert_eq!(expected.len(), 100);
}

#[test]
fn order_and_threads_do_not_matter() {
    let expected = trained(texts());
    for threads in [1, 2, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let reversed = texts().into_iter().rev().collect();
        assert_eq!(pool.install(|| trained(reversed)), expected, "{threads} threads");
    }
}

#[test]
fn what_was_trained_encodes_and_knows_its_specials() {
    let mut tokenizer = tokenizer();
    let mut trainer = WordPieceTrainer::new(config());
    tokenizer.train(&mut trainer, texts().into_iter()).unwrap();
    let encoding = tokenizer.encode("[CLS] CT상 폐렴 [DATE]에 pneumonia", false).unwrap();
    let expected = ["[CLS]", "CT", "##상", "폐렴", "[DATE]", "에", "pneumonia"];
    assert_eq!(encoding.get_tokens(), expected);
}

#[test]
fn no_text_and_another_prefix_are_refused() {
    let refused = |mut tokenizer: Bert, texts: Vec<String>| {
        let mut trainer = WordPieceTrainer::new(config());
        tokenizer.train(&mut trainer, texts.into_iter()).err().unwrap().to_string()
    };
    assert!(refused(tokenizer(), Vec::new()).contains("no word to train on"));
    let model = WordPiece::builder().continuing_subword_prefix("@@".into()).build().unwrap();
    let mut other: Bert = TokenizerImpl::new(model);
    other.with_pre_tokenizer(Some(BertPreTokenizer));
    assert!(refused(other, texts()).contains("prefix is `@@`"));
}
