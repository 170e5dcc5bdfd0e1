//! The model against `transformers`: the golden fixtures of `scripts/make_fixtures.py`.
//!
//! The four samples of the fixture are padded there; here they are packed two to a bin where they
//! fit, so that agreement also shows that no sample sees its neighbour.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows its figures"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use bimed_bert::{
    BertConfig, BertForPreTraining, Pass, load_weights, parameter_names, take_gradients, to_host,
    to_weights,
};
use bimed_checkpoint::{HostTensor, Weights};
use bimed_ops::{
    BertOps, DeviceKind, FusedCpu, Mixed, Packing, Precision, Reference, RowIndex, TokenIds,
};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};

/// An implementation of the operations, on a device.
struct Side {
    ops: &'static dyn BertOps,
    device: Device,
    tolerance: Tolerance,
}

#[derive(Clone, Copy)]
struct Tolerance {
    /// Of activations and the loss, absolute, and of gradients, relative to their norm.
    near: f32,
    /// Of a gradient that is zero by theory, absolute.
    zero: f32,
}

/// `near` is the tolerance of transformers' own BERT tests.
const EXACT: Tolerance = Tolerance { near: 1e-4, zero: 1e-7 };
/// CubeCL multiplies f32 on TF32 units where it finds them faster: 10 bits.
const TF32: Tolerance = Tolerance { near: 1e-3, zero: 1e-4 };
/// 8 bits, rounded after every operation of two layers.
const BF16: Tolerance = Tolerance { near: 0.1, zero: 5e-4 };

/// Every implementation is held to the same fixtures: those of the processor, and those of the device
/// that `BIMED_TEST_DEVICE` names (`cuda`), where there is one.
fn sides() -> Vec<Side> {
    let side = |ops, tolerance| Side { ops, device: Device::flex(), tolerance };
    let mut sides = vec![side(&Reference, EXACT), side(&FusedCpu, EXACT), side(&Mixed, BF16)];
    if let Ok(name) = std::env::var("BIMED_TEST_DEVICE") {
        let kind: DeviceKind = name.parse().unwrap();
        let device = kind.open().unwrap();
        sides.push(Side { ops: kind.ops(), device: device.clone(), tolerance: TF32 });
        let ops = kind.ops_in(&device, Precision::Bf16);
        match ops.activations() {
            Precision::Bf16 => sides.push(Side { ops, device, tolerance: BF16 }),
            Precision::F32 => println!("{name} has no bf16 units: bf16 was not compared there"),
        }
    }
    sides
}

/// A tensor's elements, in whatever type.
fn elements<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let count = tensor.dims().iter().product::<usize>();
    to_host(tensor.cast(FloatDType::F32).reshape([count]))
}

const BIN_LENGTH: usize = 24;
/// (row of the fixture, bin, offset within the bin)
const PLACES: [(usize, usize, usize); 4] = [(0, 0, 0), (1, 1, 0), (3, 1, 7), (2, 2, 0)];

fn read(file: &str) -> Weights {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(file);
    let bytes = fs_err::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut weights = Weights::default();
    for (name, view) in tensors.tensors() {
        let data = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        weights.insert(name, HostTensor::new(view.shape(), data.collect()));
    }
    weights
}

fn config() -> BertConfig {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/model/config.json");
    let json: serde_json::Value = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    BertConfig::from_hugging_face(json.as_object().unwrap()).unwrap()
}

/// The fixture's batch, packed.
struct Batch {
    ids: TokenIds,
    packing: Packing,
    /// (row, position) of the fixture → token of the packed batch.
    tokens: BTreeMap<(usize, usize), usize>,
    masked_rows: Vec<i32>,
    labels: Vec<i32>,
    first_tokens: Vec<i32>,
    next_sentence: Vec<i32>,
}

fn batch(golden: &Weights, device: &Device) -> Batch {
    let cell = |name: &str, row: usize, at: usize| golden.get(name).unwrap().row(row)[at] as i32;
    let length = |row: usize| golden.get("attention_mask").unwrap().row(row).iter().sum::<f32>();
    let bins = 1 + PLACES.iter().map(|place| place.1).max().unwrap();
    let mut host = vec![[0i32; 3]; bins * BIN_LENGTH];
    let mut batch = (vec![], BTreeMap::new(), vec![], vec![], vec![], vec![]);
    for (row, bin, offset) in PLACES {
        let start = bin * BIN_LENGTH + offset;
        batch.0.push((start, length(row) as usize));
        batch.4.push(start as i32);
        batch.5.push(golden.get("next_sentence_label").unwrap().data[row] as i32);
        for at in 0..length(row) as usize {
            let (id, kind) = (cell("input_ids", row, at), cell("token_type_ids", row, at));
            host[start + at] = [id, at as i32, kind];
            batch.1.insert((row, at), start + at);
            let label = cell("labels", row, at);
            if label >= 0 {
                batch.2.push((start + at) as i32);
                batch.3.push(label);
            }
        }
    }
    let column = |index: usize| host.iter().map(|token| token[index]).collect::<Vec<_>>();
    Batch {
        ids: TokenIds::upload(&column(0), &column(1), &column(2), device),
        packing: Packing::upload(bins, BIN_LENGTH, batch.0, device),
        tokens: batch.1,
        masked_rows: batch.2,
        labels: batch.3,
        first_tokens: batch.4,
        next_sentence: batch.5,
    }
}

fn ints(values: &[i32], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
}

fn model(device: &Device) -> BertForPreTraining {
    load_weights(BertForPreTraining::zeros(&config(), device), &read("model/model.safetensors"))
        .unwrap()
}

/// The largest difference over the tokens that are not padding.
fn largest_difference(found: Tensor<2>, batch: &Batch, golden: &HostTensor) -> f32 {
    let width = found.dims()[1];
    let found = elements(found.inner());
    let mut largest = 0.0f32;
    for (&(row, at), &token) in &batch.tokens {
        let expected = &golden.row(row)[at * width..(at + 1) * width];
        let found = &found[token * width..(token + 1) * width];
        for (a, b) in found.iter().zip(expected) {
            largest = largest.max((a - b).abs());
        }
    }
    largest
}

#[test]
fn every_tensor_of_the_fixture_is_used_and_written_back_bit_for_bit() {
    let weights = read("model/model.safetensors");
    let device = Device::flex();
    let back = to_weights(&model(&device));
    for (name, tensor) in &back.tensors {
        assert_eq!(Some(tensor), weights.get(name), "{name}");
    }
    let tied = ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias"];
    let unused = weights.tensors.keys().filter(|name| back.get(name).is_none());
    let unused: Vec<_> = unused.filter(|name| !tied.contains(&name.as_str())).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn the_forward_pass_agrees_with_transformers() {
    sides().into_iter().for_each(check_forward);
}

fn check_forward(side: Side) {
    let Side { ops, device, tolerance } = side;
    let golden = read("golden.safetensors");
    let (model, batch) = (model(&device), batch(&golden, &device));
    let pass = Pass::evaluate(ops);
    let embedded = model.bert.embeddings.forward(&batch.ids, pass);
    let get = |name: &str| golden.get(name).unwrap();
    let mut differences =
        vec![("embeddings", largest_difference(embedded.clone(), &batch, get("embeddings")))];
    let hidden = model.bert.encoder.forward(embedded, &batch.packing, pass, |layer, hidden| {
        let name = ["hidden.0", "hidden.1"][layer];
        differences.push((name, largest_difference(hidden.clone(), &batch, get(name))));
    });
    let all: Vec<i32> = (0..batch.packing.tokens() as i32).collect();
    let rows = model.predictions.transform(hidden.clone(), &RowIndex::upload(&all, &device), pass);
    let rows = rows.cast(FloatDType::F32);
    let logits = model.predictions.logits(rows, model.decoder());
    differences.push(("logits", largest_difference(logits, &batch, get("prediction_logits"))));
    let pooled =
        model.bert.pooler.forward(hidden, &RowIndex::upload(&batch.first_tokens, &device), pass);
    let pooled = elements(pooled);
    let expected = PLACES.iter().flat_map(|place| get("pooler").row(place.0));
    let difference = pooled.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    differences.push(("pooler", difference));
    println!("{} on {device:?}: max |Δ|: {differences:?}", ops.name());
    let is_near = |&(_, difference): &(_, f32)| difference <= tolerance.near;
    assert!(differences.iter().all(is_near), "{}: {differences:?}", ops.name());
}

#[test]
fn the_gradients_agree_with_transformers() {
    sides().into_iter().for_each(check_gradients);
}

fn check_gradients(side: Side) {
    let Side { ops, device, tolerance } = side;
    let golden = read("golden.safetensors");
    let device = device.autodiff();
    let (model, batch) = (model(&device), batch(&golden, &device));
    let pass = Pass::evaluate(ops);
    let hidden = model.bert.forward(&batch.ids, &batch.packing, pass);
    let masked = RowIndex::upload(&batch.masked_rows, &device);
    let rows = model.predictions.transform(hidden.clone(), &masked, pass);
    let ones = |n: usize| Tensor::<1>::ones([n], &device);
    let labels = ints(&batch.labels, &device);
    let count = batch.labels.len();
    let mlm = model.predictions.loss(rows, model.decoder(), labels, ones(count), pass);
    let pooled =
        model.bert.pooler.forward(hidden, &RowIndex::upload(&batch.first_tokens, &device), pass);
    let labels = ints(&batch.next_sentence, &device);
    let nsp = model.seq_relationship.loss(pooled, labels, ones(PLACES.len()), pass);
    let loss = mlm.loss_sum / count as f64 + nsp.loss_sum / PLACES.len() as f64;
    let expected = golden.get("total_loss").unwrap().data[0];
    let found = to_host(loss.clone().inner())[0];
    assert!((found - expected).abs() <= tolerance.near, "loss {found}, expected {expected}");

    let mut gradients = loss.backward();
    let gradients = take_gradients(&model, &mut gradients);
    let mut worst = (0.0f64, String::new());
    for parameter in parameter_names(&model) {
        let found = to_host(gradients[&parameter.path].clone());
        for (name, found) in parameter.split(&found) {
            let expected = golden.get(&format!("grad.{name}")).unwrap();
            assert_eq!(found.shape, expected.shape, "{name}");
            let norm = |values: &mut dyn Iterator<Item = f32>| {
                values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt()
            };
            if name.ends_with("key.bias") {
                // Softmax does not feel a constant added to every score: zero by theory.
                let largest = found.data.iter().fold(0.0f32, |a, b| a.max(b.abs()));
                assert!(largest <= tolerance.zero, "{name}: {largest}");
                continue;
            }
            let difference = norm(&mut found.data.iter().zip(&expected.data).map(|(a, b)| a - b));
            let relative = difference / norm(&mut expected.data.iter().copied());
            if relative > worst.0 {
                worst = (relative, name);
            }
        }
    }
    println!("{}: worst ‖Δ‖/‖ref‖: {worst:?}", ops.name());
    assert!(worst.0 <= f64::from(tolerance.near), "{}: {worst:?}", ops.name());
}
