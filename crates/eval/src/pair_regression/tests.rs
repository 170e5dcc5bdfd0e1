use std::path::PathBuf;

use bimed_bert::{BertConfig, load_weights, parameter_names};
use bimed_checkpoint::{Weights, load_model_dir, read_safetensors};
use bimed_ops::Reference;
use bimed_vocab::{TokenizerOptions, Vocab};

use super::*;

fn check(first: usize, second: usize, room: usize, expected: (usize, usize)) {
    assert_eq!(longest_first(first, second, room), expected, "{first} and {second} in {room}");
}

#[test]
fn the_longer_text_is_cut_first() {
    check(4, 5, 9, (4, 5));
    check(4, 20, 9, (4, 5));
    check(20, 4, 9, (5, 4));
    // Both too long: the longer one gets the odd token, the second one of equals.
    check(20, 30, 9, (4, 5));
    check(30, 20, 9, (5, 4));
    check(30, 30, 9, (4, 5));
}

#[test]
fn a_pair_is_two_segments_and_a_cut_is_told() {
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "폐렴", "lung", "상", "CT", "없음"];
    let vocab = Vocab::new(tokens.map(String::from).into()).unwrap();
    let tokenizer = Tokenizer::new(vocab, TokenizerOptions::cased());
    let pair = |max_length| pair_sample(&tokenizer, "lung CT 상", "폐렴 없음", max_length, 1);
    let (whole, is_truncated) = pair(8);
    assert_eq!(whole.ids, [2, 6, 8, 7, 3, 5, 9, 3]);
    assert_eq!(whole.types, [0, 0, 0, 0, 0, 1, 1, 1]);
    assert!(!is_truncated);
    let (cut, is_truncated) = pair(7);
    assert_eq!(cut.ids, [2, 6, 8, 3, 5, 9, 3]);
    assert_eq!(cut.types, [0, 0, 0, 0, 1, 1, 1]);
    assert!(is_truncated);
}

/// The fixture's padded rows as samples, packed.
fn batch(golden: &Weights) -> ItemBatch {
    let row = |name: &str, row: usize| golden.get(name).unwrap().row(row).to_vec();
    let sample = |index: usize| {
        let length = row("attention_mask", index).iter().sum::<f32>() as usize;
        Sample {
            ids: row("input_ids", index)[..length].iter().map(|&id| id as u32).collect(),
            types: row("token_type_ids", index)[..length].iter().map(|&t| t as u8).collect(),
            ..Sample::default()
        }
    };
    let samples: Vec<Sample> = (0..4).map(sample).collect();
    let mut batches = pack_step(&[0, 1, 2, 3], &samples, 4_096, 0);
    // Two of the four share a bin, so that agreement also shows that no pair sees another.
    assert_eq!((batches.len(), batches[0].batch.capacity.bins), (1, 3));
    batches.remove(0)
}

#[test]
fn the_first_loss_and_its_gradients_agree_with_transformers() {
    let fixture = |path: &str| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    let golden = read_safetensors(&fixture("tests/fixtures/pair.safetensors")).unwrap().weights;
    let mut base = load_model_dir(&fixture("../bert/fixtures/model")).unwrap();
    for name in ["classifier.weight", "classifier.bias"] {
        base.weights.insert(name, golden.get(name).unwrap().clone());
    }
    let config = BertConfig::from_hugging_face(&base.config).unwrap();
    let device = Device::flex().autodiff();
    let zeros = BertForSequence::zeros(&config, 1, &device);
    let model = load_weights(zeros, &base.weights).unwrap();
    let batch = batch(&golden);
    let scores = &golden.get("scores").unwrap().data;
    let targets: Vec<f32> = batch.items.iter().map(|&item| scores[item]).collect();
    let pass = Pass::evaluate(&Reference);
    let sum = squared_errors(&model, &batch, &targets, [pass, pass], &device);
    let loss = sum / 4.0;
    let expected = golden.get("loss").unwrap().data[0];
    let found = to_host(loss.clone().inner())[0];
    assert!((found - expected).abs() <= 1e-4, "loss {found}, transformers {expected}");
    let gradients = take_gradients(&model, &mut loss.backward());
    let mut worst = (0.0f64, String::new());
    for parameter in parameter_names(&model) {
        let found = to_host(gradients[&parameter.path].clone());
        for (name, found) in parameter.split(&found) {
            let expected = golden.get(&format!("grad.{name}")).unwrap();
            assert_eq!(found.shape, expected.shape, "{name}");
            if name.ends_with("key.bias") {
                // Softmax does not feel a constant added to every score: zero by theory.
                assert!(found.data.iter().all(|x| x.abs() <= 1e-6), "{name}");
                continue;
            }
            let norm = |values: &mut dyn Iterator<Item = f32>| {
                values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
            };
            let difference = norm(&mut found.data.iter().zip(&expected.data).map(|(a, b)| a - b));
            let relative = difference / norm(&mut expected.data.iter().copied());
            if relative > worst.0 {
                worst = (relative, name);
            }
        }
    }
    println!("loss Δ {:.1e}, worst ‖Δ‖/‖ref‖ of a gradient: {worst:?}", (found - expected).abs());
    assert!(worst.0 <= 1e-4, "{worst:?}");
}
