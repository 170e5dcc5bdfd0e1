//! Three AdamW steps against `torch.optim.AdamW`: the golden fixtures of `scripts/make_fixtures.py`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows its figures"
)]

use std::path::PathBuf;

use bimed_bert::{
    BertConfig, BertForPreTraining, Pass, load_weights, take_gradients, to_host, to_weights,
};
use bimed_checkpoint::{Weights, load_model_dir, read_safetensors};
use bimed_ops::{BertOps, FusedCpu, Reference};
use bimed_train::{AdamW, BatchCapacity, Masked, OptimizerConfig, PackedBatch, Sample};
use burn::tensor::Device;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../bert/fixtures")
}

/// The fixture's padded rows as samples, one to a bin.
fn batch(golden: &Weights) -> PackedBatch {
    let row = |name: &str, row: usize| golden.get(name).unwrap().row(row).to_vec();
    let labels = &golden.get("next_sentence_label").unwrap().data;
    let mut masked_rows = 0;
    let bins: Vec<Vec<Sample>> = (0..4)
        .map(|index| {
            let length = row("attention_mask", index).iter().sum::<f32>() as usize;
            let mut masked = Masked::default();
            for (position, &label) in row("labels", index)[..length].iter().enumerate() {
                if label >= 0.0 {
                    masked.positions.push(position);
                    masked.labels.push(label as u32);
                }
            }
            masked_rows += masked.positions.len();
            vec![Sample {
                ids: row("input_ids", index)[..length].iter().map(|&id| id as u32).collect(),
                types: row("token_type_ids", index)[..length].iter().map(|&t| t as u8).collect(),
                masked,
                next_sentence: Some(labels[index] as u8),
            }]
        })
        .collect();
    // More room than is needed: padding rows must change nothing.
    let capacity = BatchCapacity { bins: 5, bin_length: 24, masked: masked_rows + 3, samples: 6 };
    PackedBatch::new(&bins, capacity, 0)
}

#[test]
fn three_steps_agree_with_torch() {
    for ops in [&Reference as &dyn BertOps, &FusedCpu] {
        check(ops);
    }
}

fn check(ops: &dyn BertOps) {
    let golden = read_safetensors(&fixtures().join("golden.safetensors")).unwrap().weights;
    let base = load_model_dir(&fixtures().join("model")).unwrap();
    let config = BertConfig::from_hugging_face(&base.config).unwrap();
    let device = Device::flex().autodiff();
    let zeros = BertForPreTraining::zeros(&config, &device);
    let mut model = load_weights(zeros, &base.weights).unwrap();
    let batch = batch(&golden);
    let mut optimizer = AdamW::new(OptimizerConfig::default());
    for step in 0..3 {
        let on_device = batch.upload(&device);
        let pass = Pass::evaluate(ops);
        let hidden = model.bert.forward(&on_device.ids, &on_device.packing, pass);
        let rows = model.predictions.transform(hidden.clone(), &on_device.masked_rows, pass);
        let (labels, weights) = (on_device.labels, on_device.label_weights);
        let mlm = model.predictions.loss(rows, model.decoder(), labels, weights, pass);
        let pooled = model.bert.pooler.forward(hidden, &on_device.first_tokens, pass);
        let (labels, weights) = (on_device.sample_labels, on_device.sample_weights);
        let nsp = model.seq_relationship.loss(pooled, labels, weights, pass);
        let loss = mlm.loss_sum / batch.num_masked as f64 + nsp.loss_sum / 4.0;
        let expected = golden.get("step_losses").unwrap().data[step];
        let found = to_host(loss.clone().inner())[0];
        assert!((found - expected).abs() < 1e-4, "step {step}: loss {found}, torch {expected}");
        let gradients = take_gradients(&model, &mut loss.backward());
        let norm;
        (model, norm) = optimizer.step(model, gradients, 1e-3, ops);
        let expected = golden.get("grad_norms").unwrap().data[step];
        let found = to_host(norm)[0];
        assert!((found / expected - 1.0).abs() < 1e-4, "step {step}: {found}, torch {expected}");
    }
    let mut worst = (0.0f64, String::new());
    for (name, found) in to_weights(&model).tensors {
        // Its gradient is zero by theory: what AdamW makes of the rounding is noise.
        if name.ends_with("key.bias") {
            continue;
        }
        let expected = golden.get(&format!("adamw3.{name}")).unwrap();
        let square = |x: f32| f64::from(x).powi(2);
        let difference: f64 =
            found.data.iter().zip(&expected.data).map(|(a, b)| square(a - b)).sum();
        let reference: f64 = expected.data.iter().copied().map(square).sum();
        let relative = (difference / reference).sqrt();
        if relative > worst.0 {
            worst = (relative, name);
        }
    }
    println!("{}: worst ‖Δ‖/‖ref‖ after three steps: {worst:?}", ops.name());
    assert!(worst.0 <= 1e-4, "{worst:?}");
}
