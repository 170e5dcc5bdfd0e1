//! A small BERT trained in bfloat16 beside the same in f32.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and shows its figures"
)]

use std::collections::BTreeMap;

use bimed_bert::{
    BertConfig, BertForPreTraining, Counters, Pass, fill_missing, load_weights, take_gradients,
    to_host,
};
use bimed_checkpoint::Weights;
use bimed_ops::{BertOps, DeviceKind, FusedCpu, Mixed, Precision};
use bimed_train::{AdamW, BatchCapacity, Masked, OptimizerConfig, PackedBatch, Sample};
use burn::tensor::{DType, Device, Tensor};

const VOCAB: usize = 80;
const LENGTH: usize = 16;
const BINS: usize = 8;
/// High enough to learn the rule, low enough that rounding does not decide when it is learned.
const RATE: f64 = 2e-3;

/// Sentences in which each word says the next: a rule to be learned. Four in sixteen are masked.
fn batch(number: usize) -> PackedBatch {
    let sample = |bin: usize| {
        let start = (number * BINS + bin) * 7;
        let word = |at: usize| (5 + (start + at * 3) % (VOCAB - 5)) as u32;
        let positions = vec![2, 6, 9, 13];
        let labels = positions.iter().map(|&at| word(at)).collect();
        let masked: Vec<u32> =
            (0..LENGTH).map(|at| if positions.contains(&at) { 4 } else { word(at) }).collect();
        let types = vec![0; LENGTH];
        vec![Sample {
            ids: masked,
            types,
            masked: Masked { positions, labels },
            next_sentence: None,
        }]
    };
    let bins: Vec<_> = (0..BINS).map(sample).collect();
    let capacity =
        BatchCapacity { bins: BINS, bin_length: LENGTH, masked: 4 * BINS, samples: BINS };
    PackedBatch::new(&bins, capacity, 0)
}

/// The losses of `steps` steps of two micro-batches.
fn losses(ops: &dyn BertOps, device: &Device, steps: usize) -> Vec<f64> {
    let config = BertConfig {
        vocab_size: VOCAB,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 64,
        max_position_embeddings: LENGTH,
        ..BertConfig::default()
    };
    let device = device.clone().autodiff();
    let mut weights = Weights::default();
    let zeros = BertForPreTraining::zeros(&config, &device);
    fill_missing(&zeros, &mut weights, 0.05, 1);
    let mut model = load_weights(zeros, &weights).unwrap();
    let mut optimizer = AdamW::new(OptimizerConfig::default());
    let mut losses = Vec::new();
    for step in 0..steps {
        let mut gradients: BTreeMap<String, Tensor<1>> = BTreeMap::new();
        let mut sum = 0.0;
        for part in 0..2 {
            let batch = batch(2 * step + part);
            let on_device = batch.upload(&device);
            let first_row = (part * BINS * LENGTH) as u64;
            let pass = Pass::train(ops, Counters { seed: 1, step: step as u64, first_row });
            let hidden = model.bert.forward(&on_device.ids, &on_device.packing, pass);
            let rows = model.predictions.transform(hidden, &on_device.masked_rows, pass);
            let (labels, weights) = (on_device.labels, on_device.label_weights);
            let entropy = model.predictions.loss(rows, model.decoder(), labels, weights, pass);
            let loss = entropy.loss_sum / (2 * batch.num_masked) as f64;
            sum += f64::from(to_host(loss.clone().inner())[0]);
            for (path, gradient) in take_gradients(&model, &mut loss.backward()) {
                assert_eq!(gradient.dtype(), DType::F32, "{path}");
                let total = gradients.remove(&path).map(|total| total + gradient.clone());
                gradients.insert(path, total.unwrap_or(gradient));
            }
        }
        losses.push(sum);
        (model, _) = optimizer.step(model, gradients, RATE, ops);
    }
    losses
}

#[test]
fn bf16_trains_as_f32_does() {
    // On the processor a step in bf16 is slow; elsewhere there is time for more of them.
    let named = std::env::var("BIMED_TEST_DEVICE").ok();
    let steps = if named.is_some() { 200 } else { 100 };
    let kind: DeviceKind = named.as_deref().unwrap_or("cpu").parse().unwrap();
    let exact = losses(&FusedCpu, &Device::flex(), steps);
    let device = kind.open().unwrap();
    let ops = match kind.ops_in(&device, Precision::Bf16) {
        ops if ops.activations() == Precision::Bf16 => ops,
        _ => &Mixed,
    };
    let mixed = losses(ops, &device, steps);
    let mean = |losses: &[f64], from: usize| losses[from..from + 20].iter().sum::<f64>() / 20.0;
    for from in [0, 40, steps - 20] {
        let (exact, mixed) = (mean(&exact, from), mean(&mixed, from));
        eprintln!("steps {from} to {}: f32 {exact:.4}, bf16 {mixed:.4}", from + 20);
        assert!((mixed / exact - 1.0).abs() < 0.01, "f32 {exact}, bf16 {mixed}");
    }
    assert!(mean(&exact, steps - 20) < 0.85 * mean(&exact, 0), "nothing was learned");
}
