//! What the loader reads: every token once, whatever the batches.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows its figures"
)]

use std::collections::BTreeMap;

use bimed_artifact::{Cancel, Context, Silent};
use bimed_train::{
    Cursor, Loader, MaskVocabulary, PackedBatch, PretrainConfig, SampleSet, ValidationShape,
    mask_vocabulary, validation_sets,
};
use bimed_vocab::{
    EncodeConfig, InputDocument, Split, TokenStore, Tokenizer, TokenizerOptions, Vocab, encode,
};

/// Syllables, letters and a few words, so that words have one to several pieces.
fn tokenizer() -> Tokenizer {
    let mut tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from).into();
    for unit in ('가'..='힣').chain('a'..='z') {
        tokens.push(unit.to_string());
        tokens.push(format!("##{unit}"));
    }
    tokens.extend([".", ",", "환자", "chest", "CT", "nodule", "소견"].map(String::from));
    Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::cased())
}

fn store(dir: &std::path::Path, tokenizer: &Tokenizer) -> TokenStore {
    let sentences = [
        "환자는 어제부터 기침이 심해졌다고 함. ",
        "chest CT상 both lung에 nodule 소견 보임. ",
        "no evidence of pneumonia was seen. ",
        "혈압은 안정적이며 약을 유지하기로 함. ",
    ];
    let document = |index: usize| -> Result<InputDocument, std::convert::Infallible> {
        let (mut text, mut bounds) = (String::new(), Vec::new());
        for at in 0..1 + index * 5 % 23 {
            let start = text.len();
            text.push_str(sentences[(index + at * at) % 4]);
            bounds.push((start, text.len()));
        }
        Ok(InputDocument {
            text,
            source: "notes".into(),
            language: ["ko", "en", "mixed"][index % 3].into(),
            domain: "medical".into(),
            split: if index % 5 == 4 { Split::Valid } else { Split::Train },
            group: None,
            private: false,
            sentences: bounds,
        })
    };
    let (silent, cancel) = (Silent, Cancel::new());
    let context = Context::new(&silent, &cancel);
    let config = EncodeConfig::default();
    encode((0..80).map(document), tokenizer, &config, dir, &context).unwrap();
    TokenStore::open(dir).unwrap()
}

struct Fixture {
    _dir: tempfile::TempDir,
    store: TokenStore,
    vocabulary: MaskVocabulary,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = tokenizer();
    let store = store(dir.path(), &tokenizer);
    Fixture { _dir: dir, store, vocabulary: mask_vocabulary(&tokenizer) }
}

fn config(next_sentence: bool, micro_batch_tokens: usize) -> PretrainConfig {
    PretrainConfig {
        sequence_length: 64,
        tokens_per_step: 512,
        micro_batch_tokens,
        next_sentence,
        ..PretrainConfig::default()
    }
}

/// All batches of the first pass.
fn epoch(fixture: &Fixture, config: &PretrainConfig) -> Vec<PackedBatch> {
    let max = config.sequence_length - config.num_specials();
    let samples = SampleSet::new(&fixture.store, Split::Train, max);
    let mut loader = Loader::new(&fixture.store, &samples, &fixture.vocabulary, config, 3);
    let (mut cursor, mut batches) = (Cursor::default(), Vec::new());
    let bins = loader.bins_per_epoch();
    // Steps whose bins all lie within the first pass, and what is left of it counted below.
    while cursor.bin + config.bins_per_step() <= bins && cursor.epoch == 0 {
        let step = loader.step(cursor);
        batches.extend(step.batches);
        cursor = step.next;
    }
    batches
}

#[test]
fn a_pass_reads_every_token_once_with_its_mask_undone() {
    let fixture = fixture();
    let config = PretrainConfig { tokens_per_step: 64, ..config(false, 64) };
    let mut found: BTreeMap<u32, i64> = BTreeMap::new();
    for batch in epoch(&fixture, &config) {
        let mut ids = batch.ids.clone();
        for at in 0..batch.num_masked {
            ids[batch.masked_rows[at] as usize] = batch.labels[at];
        }
        for &(start, length) in &batch.samples {
            assert_eq!(ids[start], fixture.vocabulary.cls as i32);
            assert_eq!(ids[start + length - 1], fixture.vocabulary.sep as i32);
            for &id in &ids[start + 1..start + length - 1] {
                *found.entry(id as u32).or_default() += 1;
            }
        }
    }
    for document in fixture.store.documents() {
        if document.split == Split::Train {
            let mut ids = Vec::new();
            fixture.store.read_ids(document.start..document.end, &mut ids);
            for id in ids {
                *found.entry(id).or_default() -= 1;
            }
        }
    }
    assert!(found.values().all(|&count| count == 0), "{found:?}");
}

#[test]
fn long_documents_fill_their_bins() {
    let fixture = fixture();
    let config = config(false, 512);
    let most = config.sequence_length - config.num_specials();
    let samples = SampleSet::new(&fixture.store, Split::Train, most);
    assert!(samples.lengths.iter().all(|&length| 0 < length && usize::from(length) <= most));
    let mut loader = Loader::new(&fixture.store, &samples, &fixture.vocabulary, &config, 3);
    let tokens = samples.num_tokens as usize + samples.spans.len() * config.num_specials();
    let fill = tokens as f64 / (loader.bins_per_epoch() * config.sequence_length) as f64;
    println!("fill {fill:.3}");
    assert!(fill > 0.95, "{fill}");
}

#[test]
fn passes_are_counted_in_part() {
    let fixture = fixture();
    let config = config(false, 512);
    let samples = SampleSet::new(&fixture.store, Split::Train, config.sequence_length - 2);
    let mut loader = Loader::new(&fixture.store, &samples, &fixture.vocabulary, &config, 3);
    let bins = loader.bins_per_epoch();
    assert!(bins > config.bins_per_step(), "{bins} bins");
    let first = loader.step(Cursor::default());
    assert_eq!(first.epochs, config.bins_per_step() as f64 / bins as f64);
    let after = loader.step(Cursor { epoch: 0, bin: bins - 1 });
    assert!(after.epochs > 1.0 && after.epochs < 2.0, "{}", after.epochs);
    assert_eq!((after.next.epoch, after.next.bin), (1, config.bins_per_step() - 1));
}

#[test]
fn smaller_micro_batches_hold_the_same_bins() {
    let fixture = fixture();
    let bins = |micro: usize| -> Vec<i32> {
        epoch(&fixture, &config(false, micro)).iter().flat_map(|batch| batch.ids.clone()).collect()
    };
    assert_eq!(bins(512), bins(128));
}

#[test]
fn half_of_the_pairs_go_on_and_half_do_not() {
    let fixture = fixture();
    let (mut labels, mut weights) = (0.0f32, 0.0f32);
    for batch in epoch(&fixture, &config(true, 512)) {
        for (at, &(start, length)) in batch.samples.iter().enumerate() {
            let types = &batch.types[start..start + length];
            assert!(types.is_sorted());
            let has_two = types.contains(&1);
            assert_eq!(has_two, batch.sample_weights[at] == 1.0);
            if has_two {
                let second = types.iter().position(|&kind| kind == 1).unwrap();
                assert_eq!(batch.ids[start + second - 1], fixture.vocabulary.sep as i32);
                labels += batch.sample_labels[at] as f32;
                weights += 1.0;
            }
        }
    }
    assert!(weights > 60.0, "{weights} pairs");
    assert!((labels / weights - 0.5).abs() < 0.15, "{labels} of {weights}");
}

#[test]
fn a_vocabulary_with_longer_pieces_is_asked_for_the_same_characters() {
    let fixture = fixture();
    let shape =
        ValidationShape { sequence_length: 64, micro_batch_tokens: 512, chars: 2_000, seed: 1 };
    let short = validation_sets(&fixture.store, &fixture.vocabulary, shape);
    let mut tokens = tokenizer().vocab().tokens().to_vec();
    tokens.extend(["환자는", "pneumonia", "기침이", "##에", "evidence"].map(String::from));
    let mut seen = std::collections::BTreeSet::new();
    tokens.retain(|token| seen.insert(token.clone()));
    let other = Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::cased());
    let dir = tempfile::tempdir().unwrap();
    let long = validation_sets(&store(dir.path(), &other), &mask_vocabulary(&other), shape);
    assert_eq!(short.keys().collect::<Vec<_>>(), ["en", "ko", "mixed"]);
    for (language, set) in &short {
        let other = &long[language];
        assert_eq!(set.masked_chars, other.masked_chars, "{language}");
        let predictions = |batches: &[PackedBatch]| -> usize {
            batches.iter().map(|batch| batch.num_masked).sum()
        };
        assert!(predictions(&other.batches) < predictions(&set.batches), "{language}");
    }
}
