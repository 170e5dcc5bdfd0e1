//! Bits per character against what they must be by hand.

use bimed_artifact::{Cancel, Context, Silent};
use bimed_bert::{BertConfig, BertForPreTraining};
use bimed_ops::Reference;
use bimed_train::{
    UNKNOWN_CHARACTER_BITS, ValidationShape, mask_vocabulary, validate, validation_sets,
    validation_sets_by,
};
use bimed_vocab::{
    EncodeConfig, InputDocument, Split, TokenStore, Tokenizer, TokenizerOptions, Vocab, encode,
};
use burn::tensor::Device;

fn tokenizer() -> Tokenizer {
    let mut tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from).into();
    for piece in ["환자", "##는", "chest", "CT", "상", "폐렴", "소견", "보임", "no", "fever", "."]
    {
        tokens.push(piece.into());
    }
    Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::cased())
}

fn store(dir: &std::path::Path) -> TokenStore {
    let document = |index: usize| {
        Ok::<_, std::convert::Infallible>(InputDocument {
            text: "환자는 chest CT상 폐렴 소견 보임. no 鬱血 fever. ".repeat(3 + index),
            source: ["notes", "textbook"][index % 2].into(),
            language: ["ko", "mixed", "en"][index % 3].into(),
            domain: "medical".into(),
            split: Split::Valid,
            group: None,
            private: false,
            sentences: vec![],
        })
    };
    let (silent, cancel) = (Silent, Cancel::new());
    let context = Context::new(&silent, &cancel);
    encode((0..30).map(document), &tokenizer(), &EncodeConfig::default(), dir, &context).unwrap();
    TokenStore::open(dir).unwrap()
}

const SHAPE: ValidationShape =
    ValidationShape { sequence_length: 32, micro_batch_tokens: 128, chars: 100_000, seed: 7 };

#[test]
fn a_uniform_model_costs_log_v_bits_for_each_token_over_the_characters_masked() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let config = BertConfig {
        vocab_size: store.vocab_size(),
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 16,
        max_position_embeddings: 32,
        ..BertConfig::default()
    };
    let device = Device::flex().autodiff();
    // All logits of a model of zeros are equal.
    let model = BertForPreTraining::zeros(&config, &device);
    let vocabulary = mask_vocabulary(&tokenizer());
    let by_language = validation_sets(&store, &vocabulary, SHAPE);
    let by_source = validation_sets_by(&store, &vocabulary, SHAPE, 0.15, |document| {
        store.sources()[usize::from(document.source)].clone()
    });
    let cancel = Cancel::new();
    let mut totals = Vec::new();
    for sets in [by_language, by_source] {
        let figures = validate(&model, &sets, &Reference, &device, &cancel).unwrap();
        let mut total = (0, 0, 0);
        for (group, figures) in figures {
            let known = figures.predictions as f64 * (store.vocab_size() as f64).log2();
            let unknown = figures.unknown_chars as f64 * UNKNOWN_CHARACTER_BITS;
            let expected = (known + unknown) / figures.chars as f64;
            let found = figures.bits_per_character;
            assert!((found - expected).abs() <= 1e-6, "{group}: {found}, expected {expected}");
            assert!(figures.predictions > 50 && figures.unknown_chars > 0, "{group}: {figures:?}");
            total.0 += figures.predictions;
            total.1 += figures.chars;
            total.2 += figures.documents;
        }
        totals.push(total);
    }
    // The same words are masked however the documents are grouped.
    assert_eq!(totals[0], totals[1]);
    assert_eq!(totals[0].2, 30);
}
