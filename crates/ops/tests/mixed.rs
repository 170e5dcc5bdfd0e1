//! bfloat16 activations over f32 parameters: what is rounded, and what is not.
#![cfg(feature = "flex")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bimed_ops::{
    BertOps, DeviceKind, Dropout, EmbeddingTables, Mixed, Norm, Packing, Reference, TokenIds,
    philox4x32,
};
use burn::tensor::{DType, Device, FloatDType, Gradients, Int, Tensor, TensorData};

/// Half a unit in the last place of bfloat16, relative.
const HALF_UNIT: f32 = 1.0 / 256.0;

/// The processor, or what `BIMED_TEST_DEVICE` names.
fn device() -> Device {
    let name = std::env::var("BIMED_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    name.parse::<DeviceKind>().unwrap().open().unwrap().autodiff()
}

/// Numbers of about unit size, a function of (`seed`, index).
fn numbers(elements: usize, seed: u32) -> Vec<f32> {
    let draw = |index: usize| philox4x32([index as u32, seed, 0, 0], [1, 2])[0];
    (0..elements).map(|index| (draw(index) as f32 / 2f32.powi(31) - 1.0) * 1.7).collect()
}

fn matrix(rows: usize, columns: usize, seed: u32) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers(rows * columns, seed), [rows, columns]), &device())
}

fn vector(elements: usize, seed: u32) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers(elements, seed), [elements]), &device())
}

fn halved(tensor: Tensor<2>) -> Tensor<2> {
    tensor.cast(FloatDType::BF16)
}

fn widened<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.cast(FloatDType::F32)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The gradients of `Σ output · cotangent`.
fn backward(output: &Tensor<2>, cotangent: Tensor<2>) -> Gradients {
    (widened(output.clone()) * cotangent).sum().backward()
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |a, b| a.max(b.abs()))
}

fn assert_near(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let scale = largest(expected);
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance * scale, "{found}, expected {expected}");
    }
}

#[test]
fn a_weights_gradient_is_not_rounded() {
    let rows = 512;
    let input = halved(matrix(rows, 8, 1));
    let weight = matrix(8, 6, 2).require_grad();
    let cotangent = matrix(rows, 6, 3);
    let output = Mixed.linear(input.clone(), weight.clone(), Tensor::zeros([6], &device()));
    assert_eq!(output.dtype(), DType::BF16);
    let gradient = weight.grad(&backward(&output, cotangent.clone())).unwrap();
    assert_eq!(gradient.dtype(), DType::F32);
    // The factors are rounded; their products and sums are not.
    let factors = (host(input), host(halved(cotangent)));
    let sum = |from: usize, to: usize| -> f64 {
        let product = |row: usize| f64::from(factors.0[row * 8 + from] * factors.1[row * 6 + to]);
        (0..rows).map(product).sum()
    };
    let expected: Vec<f32> = (0..48).map(|at| sum(at / 6, at % 6) as f32).collect();
    assert_near(&host(gradient.clone()), &expected, 1e-5);
    let rounded = host(halved(gradient));
    let off = rounded.iter().zip(&expected).map(|(a, b)| (a - b).abs()).collect::<Vec<_>>();
    assert!(largest(&off) > 1e-4 * largest(&expected), "the test would not see a rounded one");
}

#[test]
fn a_biass_gradient_counts_every_row() {
    // In bfloat16, 256 + 1 is 256: a sum of ones stands still there.
    let bias = vector(3, 1).require_grad();
    let output = Mixed.linear(halved(matrix(4096, 4, 2)), matrix(4, 3, 3), bias.clone());
    let gradient = bias.grad(&backward(&output, Tensor::ones([4096, 3], &device()))).unwrap();
    assert_eq!(host(gradient), [4096.0; 3]);
}

#[test]
fn statistics_of_a_norm_are_f32() {
    // Means far from zero, deviations of one: their squares' difference is lost in bfloat16.
    let input = halved(matrix(40, 64, 1) + 200.0);
    let norm = || Norm { weight: vector(64, 2), bias: vector(64, 3), epsilon: 1e-12 };
    let expected = Reference.add_norm_dropout(widened(input.clone()), None, norm(), None);
    let found = Mixed.add_norm_dropout(input.clone(), None, norm(), None);
    assert_eq!(found.dtype(), DType::BF16);
    assert_near(&host(found), &host(expected.clone()), HALF_UNIT);
    let half_norm = Norm {
        weight: norm().weight.cast(FloatDType::BF16),
        bias: norm().bias.cast(FloatDType::BF16),
        epsilon: 1e-12,
    };
    let worse = host(Reference.add_norm_dropout(input, None, half_norm, None));
    let off = worse.iter().zip(host(expected.clone())).map(|(a, b)| (a - b).abs());
    assert!(largest(&off.collect::<Vec<_>>()) > 4.0 * HALF_UNIT * largest(&host(expected)));
}

#[test]
fn both_gradients_of_the_tied_embedding_are_f32() {
    let word = matrix(30, 16, 1).require_grad();
    let ids: Vec<i32> = (0..40).map(|at| at * 7 % 30).collect();
    let tokens = TokenIds::upload(&ids, &[0; 40], &[0; 40], &device());
    let tables = || EmbeddingTables {
        word: word.clone(),
        position: Tensor::zeros([1, 16], &device()),
        token_type: Tensor::zeros([1, 16], &device()),
    };
    let norm = || Norm { weight: vector(16, 2), bias: vector(16, 3), epsilon: 1e-12 };
    let labels = || Tensor::<1, Int>::from_data(TensorData::new(ids.clone(), [40]), &device());
    let loss = |rows: Tensor<2>, decoder: Tensor<2>| {
        let (bias, weights) = (vector(30, 4), Tensor::ones([40], &device()));
        Mixed.masked_cross_entropy(rows, decoder, bias, labels(), weights).loss_sum
    };
    let rows = Mixed.embed(tables(), &tokens, norm(), None);
    assert_eq!(rows.dtype(), DType::BF16);
    let gradient = |loss: Tensor<1>| word.grad(&loss.backward()).unwrap();
    let decoder_alone = gradient(loss(rows.clone().detach(), word.clone()));
    let rows_again = Mixed.embed(tables(), &tokens, norm(), None);
    let embedding_alone = gradient(loss(rows_again, word.clone().detach()));
    let both = gradient(loss(rows, word.clone()));
    assert_eq!(both.dtype(), DType::F32);
    let expected = host(decoder_alone + embedding_alone);
    assert_near(&host(both.clone()), &expected, 1e-6);
    assert_ne!(host(halved(both)), expected, "nothing here would be rounded");
}

#[test]
fn two_micro_batches_share_a_weight() {
    // One cast for both would be on the tape that the first backward pass consumes.
    let weight = matrix(8, 6, 2).require_grad();
    let mut sum = vec![0.0f32; 48];
    for seed in [3, 4] {
        let input = halved(matrix(20, 8, seed));
        let output = Mixed.linear(input, weight.clone(), Tensor::zeros([6], &device()));
        let gradient = weight.grad(&backward(&output, matrix(20, 6, 9))).unwrap();
        for (sum, value) in sum.iter_mut().zip(host(gradient)) {
            *sum += value;
        }
    }
    let whole = Tensor::cat(vec![matrix(20, 8, 3), matrix(20, 8, 4)], 0);
    let output = Mixed.linear(halved(whole), weight.clone(), Tensor::zeros([6], &device()));
    let cotangent = Tensor::cat(vec![matrix(20, 6, 9), matrix(20, 6, 9)], 0);
    assert_near(&sum, &host(weight.grad(&backward(&output, cotangent)).unwrap()), 1e-6);
}

#[test]
fn attention_and_gelu_are_those_of_f32_but_for_rounding() {
    let input = halved(matrix(80, 96, 1)).require_grad();
    let packing = Packing::upload(2, 40, vec![(0, 20), (20, 20), (40, 40)], &device());
    let dropout = Some(Dropout { probability: 0.1, seed: 5, step: 3, site: 4, first_row: 64 });
    let exact = widened(input.clone()).detach().require_grad();
    let expected = Reference.packed_attention(exact.clone(), 4, &packing, dropout);
    let found = Mixed.packed_attention(input.clone(), 4, &packing, dropout);
    assert_near(&host(found.clone()), &host(expected.clone()), 4.0 * HALF_UNIT);
    let cotangent = matrix(80, 32, 7);
    let expected = exact.grad(&backward(&expected, cotangent.clone())).unwrap();
    let found = input.grad(&backward(&found, cotangent)).unwrap();
    assert_eq!(found.dtype(), DType::BF16);
    assert_near(&host(found), &host(expected), 8.0 * HALF_UNIT);
    let expected = Reference.gelu(exact);
    assert_near(&host(Mixed.gelu(input)), &host(expected), HALF_UNIT);
}
