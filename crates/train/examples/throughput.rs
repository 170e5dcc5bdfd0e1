//! Tokens a second of a training step on this machine, fused operations beside the reference.
//!
//! `cargo run --release --workspace --example throughput -- LAYERS HIDDEN HEADS VOCAB BINS LENGTH STEPS`
//! (defaults: 6 384 12 30522 16 128 5). Random ids in full bins, dropout 0.1, 15 % masked.
//! Implementations take turns; the median step of each is shown.

#![allow(clippy::print_stderr, clippy::expect_used, reason = "an example prints what it finds")]

use std::time::Instant;

use bimed_bert::{
    BertConfig, BertForPreTraining, Counters, Pass, fill_missing, load_weights, take_gradients,
    to_host,
};
use bimed_checkpoint::Weights;
use bimed_ops::{BertOps, FusedCpu, Reference, philox4x32};
use bimed_train::{AdamW, BatchCapacity, Masked, OptimizerConfig, PackedBatch, Sample};
use burn::tensor::Device;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn batch(vocab: usize, bins: usize, length: usize) -> PackedBatch {
    let count = length * 15 / 100;
    let sample = |bin: usize| {
        let id = |at: usize| {
            5 + philox4x32([bin as u32, at as u32, 0, 0], [1, 1])[0] as usize % (vocab - 5)
        };
        let masked = Masked {
            positions: (0..count).map(|at| 1 + at * length / (count + 1)).collect(),
            labels: (0..count).map(|at| id(at + 1_000) as u32).collect(),
        };
        let ids: Vec<u32> = (0..length).map(|at| id(at) as u32).collect();
        vec![Sample { types: vec![0; ids.len()], ids, masked, next_sentence: None }]
    };
    let bins: Vec<_> = (0..bins).map(sample).collect();
    let capacity = BatchCapacity {
        bins: bins.len(),
        bin_length: length,
        masked: bins.len() * count,
        samples: bins.len(),
    };
    PackedBatch::new(&bins, capacity, 0)
}

fn main() {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|argument| argument.parse().expect("a number")).collect();
    let at = |index: usize, default| arguments.get(index).copied().unwrap_or(default);
    let [layers, hidden, heads, vocab] = [at(0, 6), at(1, 384), at(2, 12), at(3, 30_522)];
    let [bins, length, steps] = [at(4, 16), at(5, 128), at(6, 5)];
    let config = BertConfig {
        vocab_size: vocab,
        hidden_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        intermediate_size: 4 * hidden,
        max_position_embeddings: length,
        ..BertConfig::default()
    };
    let device = Device::flex().autodiff();
    let mut weights = Weights::default();
    let zeros = BertForPreTraining::zeros(&config, &device);
    fill_missing(&zeros, &mut weights, 0.02, 1);
    let model = load_weights(zeros, &weights).expect("the weights were made for it");
    let batch = batch(vocab, bins, length);
    let implementations: [&dyn BertOps; 2] = [&FusedCpu, &Reference];
    let mut runs = implementations.map(|ops| {
        (ops, Some(model.clone()), AdamW::new(OptimizerConfig::default()), Vec::new(), 0.0)
    });
    for step in 0..=steps {
        for (ops, model, optimizer, times, loss) in &mut runs {
            let began = Instant::now();
            let current = model.take().expect("the model is put back");
            let on_device = batch.upload(&device);
            let counters = Counters { seed: 1, step: step as u64, first_row: 0 };
            let pass = Pass::train(*ops, counters);
            let hidden = current.bert.forward(&on_device.ids, &on_device.packing, pass);
            let rows = current.predictions.transform(hidden, on_device.masked_rows, pass);
            let (labels, weights) = (on_device.labels, on_device.label_weights);
            let entropy = current.predictions.loss(rows, current.decoder(), labels, weights, pass);
            let sum = entropy.loss_sum / batch.num_masked as f64;
            *loss = to_host(sum.clone().inner())[0];
            let gradients = take_gradients(&current, &mut sum.backward());
            let (updated, norm) = optimizer.step(current, gradients, 1e-4, *ops);
            let _ = to_host(norm);
            *model = Some(updated);
            if step > 0 {
                times.push(began.elapsed().as_secs_f64());
            }
        }
    }
    for (ops, _, _, mut times, loss) in runs {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let rate = (bins * length) as f64 / median;
        eprintln!("{:<10} {rate:8.0} tokens/s, {median:.3} s a step, loss {loss:.4}", ops.name());
    }
}
