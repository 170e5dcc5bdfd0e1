//! Tiny models and sentence pairs of our own.

use std::path::Path;

use bimed_bert::{BertConfig, BertForPreTraining, fill_missing};
use bimed_checkpoint::{ModelCard, Weights, save_model_dir};
use bimed_eval::TextPair;
use bimed_ops::Reference;
use bimed_vocab::{Tokenizer, TokenizerOptions, Vocab, save_tokenizer};
use burn::tensor::Device;

pub(crate) const OPS: Reference = Reference;

const WORDS: [&str; 40] = [
    "환자는",
    "어제부터",
    "호흡곤란",
    "악화되어",
    "내원함",
    "흉부",
    "CT",
    "상",
    "양측",
    "폐야에",
    "nodule",
    "소견",
    "보임",
    "폐렴",
    "의심",
    "혈압은",
    "안정적임",
    "fever",
    "없음",
    "chest",
    "pain",
    "호소함",
    "the",
    "patient",
    "was",
    "discharged",
    "without",
    "pleural",
    "effusion",
    "lung",
    "both",
    "normal",
    "findings",
    "경과",
    "관찰",
    "필요함",
    "MRI",
    "검사",
    "시행함",
    "today",
];

pub(crate) fn tokenizer() -> Tokenizer {
    let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let tokens = specials.iter().chain(&WORDS).map(ToString::to_string).collect();
    Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::cased())
}

/// The parts that a model is written with.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "not every test needs each")]
pub(crate) enum Parts {
    All,
    EncoderOnly,
}

/// Writes a random model of hidden 32 with two layers.
pub(crate) fn write_model(dir: &Path, seed: u64, dropout: f64, parts: Parts) {
    write_model_of(dir, 32, seed, dropout, parts);
}

/// Writes a random model of two layers of `hidden_size`.
pub(crate) fn write_model_of(
    dir: &Path,
    hidden_size: usize,
    seed: u64,
    dropout: f64,
    parts: Parts,
) {
    let tokenizer = tokenizer();
    let config = BertConfig {
        vocab_size: tokenizer.vocab().len(),
        hidden_size,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 2 * hidden_size,
        max_position_embeddings: 64,
        hidden_dropout_prob: dropout,
        attention_probs_dropout_prob: dropout,
        ..BertConfig::default()
    };
    let mut weights = Weights::default();
    fill_missing(&BertForPreTraining::zeros(&config, &Device::flex()), &mut weights, 0.1, seed);
    if parts == Parts::EncoderOnly {
        weights.tensors.retain(|name, _| !name.contains("pooler") && !name.starts_with("cls."));
    }
    save_model_dir(dir, &config.to_hugging_face(), &weights, &ModelCard::default()).unwrap();
    save_tokenizer(dir, &tokenizer, 512).unwrap();
}

/// `count` words of the list from `start`, every `step`th.
fn sentence(start: usize, step: usize, count: usize) -> String {
    let words: Vec<&str> = (0..count).map(|at| WORDS[(start + step * at) % 40]).collect();
    words.join(" ")
}

/// Different pairs, Korean, English and mixed, with scores that no rule gives.
pub(crate) fn pairs(count: usize) -> Vec<TextPair> {
    let pair = |index: usize| TextPair {
        row: index as u64 + 1,
        id: None,
        score: (index * 37 % 51) as f64 / 10.0,
        s1: sentence(index * 11, 1 + index % 3, 3 + index % 5),
        s2: sentence(index * 17 + 3, 1 + index % 7, 3 + index % 4),
    };
    (0..count).map(pair).collect()
}
