//! The fused operations against the reference: values and gradients, dropout on.
#![cfg(feature = "flex")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows its figures"
)]

use bimed_ops::{
    AdamWParameters, AdamWState, BertOps, Dropout, EmbeddingTables, FusedCpu, Norm, Packing,
    Reference, TokenIds, philox4x32,
};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Numbers of about unit size, a function of (`seed`, index).
fn numbers(elements: usize, seed: u32) -> Vec<f32> {
    let draw = |index: usize| philox4x32([index as u32, seed, 0, 0], [1, 2])[0];
    (0..elements).map(|index| (draw(index) as f32 / 2f32.powi(31) - 1.0) * 1.7).collect()
}

fn matrix(rows: usize, columns: usize, seed: u32) -> Tensor<2> {
    let data = TensorData::new(numbers(rows * columns, seed), [rows, columns]);
    Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
}

fn vector(elements: usize, seed: u32) -> Tensor<1> {
    let data = TensorData::new(numbers(elements, seed), [elements]);
    Tensor::from_data(data, &Device::flex().autodiff()).require_grad()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// What is computed from matrices and vectors.
type Forward<'a> = dyn Fn(&dyn BertOps, &[Tensor<2>], &[Tensor<1>]) -> Tensor<2> + 'a;

/// The output and the gradients of `Σ output · cotangent`.
fn run(
    ops: &dyn BertOps,
    inputs: (&[Tensor<2>], &[Tensor<1>]),
    forward: &Forward<'_>,
) -> Vec<Vec<f32>> {
    let output = forward(ops, inputs.0, inputs.1);
    let [rows, columns] = output.dims();
    let cotangent = matrix(rows, columns, 99).inner();
    let grads = (output.clone() * Tensor::from_inner(cotangent)).sum().backward();
    let mut all = vec![host(output.inner())];
    all.extend(inputs.0.iter().map(|input| host(input.grad(&grads).unwrap())));
    all.extend(inputs.1.iter().map(|input| host(input.grad(&grads).unwrap())));
    all
}

/// Both implementations give the same, within `tolerance` of the largest element.
fn check(
    matrices: &[Tensor<2>],
    vectors: &[Tensor<1>],
    tolerance: f32,
    forward: impl Fn(&dyn BertOps, &[Tensor<2>], &[Tensor<1>]) -> Tensor<2>,
) {
    let expected = run(&Reference, (matrices, vectors), &forward);
    let found = run(&FusedCpu, (matrices, vectors), &forward);
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= tolerance * largest, "part {index}: {a}, expected {b}");
        }
    }
}

fn dropout(site: u32) -> Option<Dropout> {
    Some(Dropout { probability: 0.1, seed: 5, step: 3, site, first_row: 64 })
}

fn norm(vectors: &[Tensor<1>]) -> Norm {
    Norm { weight: vectors[0].clone(), bias: vectors[1].clone(), epsilon: 1e-12 }
}

#[test]
fn linear_agrees() {
    check(&[matrix(70, 24, 1), matrix(24, 40, 2)], &[vector(40, 3)], 2e-6, |ops, m, v| {
        ops.linear(m[0].clone(), m[1].clone(), v[0].clone())
    });
}

#[test]
fn gelu_agrees() {
    check(&[matrix(37, 53, 1)], &[], 2e-6, |ops, m, _| ops.gelu(m[0].clone() * 3.0));
}

#[test]
fn add_norm_dropout_agrees() {
    let inputs = [matrix(70, 40, 1), matrix(70, 40, 2)];
    check(&inputs, &[vector(40, 3), vector(40, 4)], 5e-6, |ops, m, v| {
        ops.add_norm_dropout(m[0].clone(), Some(m[1].clone()), norm(v), dropout(7))
    });
    check(&inputs, &[vector(40, 3), vector(40, 4)], 5e-6, |ops, m, v| {
        ops.add_norm_dropout(m[0].clone(), Some(m[1].clone()), norm(v), None)
    });
}

#[test]
fn embed_agrees_where_ids_repeat() {
    let ids: Vec<i32> = (0..70).map(|at| (at * at) % 11).collect();
    let positions: Vec<i32> = (0..70).map(|at| at % 16).collect();
    let types: Vec<i32> = (0..70).map(|at| at % 2).collect();
    let inputs = [matrix(30, 40, 1), matrix(16, 40, 2), matrix(2, 40, 3)];
    check(&inputs, &[vector(40, 4), vector(40, 5)], 5e-6, |ops, m, v| {
        let ids = TokenIds::upload(&ids, &positions, &types, &m[0].device());
        let tables = EmbeddingTables {
            word: m[0].clone(),
            position: m[1].clone(),
            token_type: m[2].clone(),
        };
        ops.embed(tables, &ids, norm(v), dropout(0))
    });
}

#[test]
fn attention_agrees_within_samples() {
    // Full bins, so that no row is padding; a sample of one token among them.
    let samples = vec![(0, 20), (20, 13), (33, 7), (40, 1), (41, 39)];
    for probability in [None, dropout(4)] {
        check(&[matrix(80, 3 * 32, 1)], &[], 5e-6, |ops, m, _| {
            let packing = Packing::upload(2, 40, samples.clone(), &m[0].device());
            ops.packed_attention(m[0].clone(), 4, &packing, probability)
        });
    }
}

#[test]
fn cross_entropy_agrees() {
    let labels: Vec<i32> = (0..19).map(|at| at * 7 % 50).collect();
    let weights: Vec<f32> = (0..19).map(|at| if at > 15 { 0.0 } else { 1.0 }).collect();
    check(&[matrix(19, 24, 1), matrix(50, 24, 2)], &[vector(50, 3)], 5e-6, |ops, m, v| {
        let device = m[0].device();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), [19]), &device);
        let weights = Tensor::from_data(TensorData::new(weights.clone(), [19]), &device);
        let entropy =
            ops.masked_cross_entropy(m[0].clone(), m[1].clone(), v[0].clone(), labels, weights);
        entropy.loss_sum.unsqueeze::<2>()
    });
}

#[test]
fn an_optimizer_step_and_a_norm_agree() {
    let plain = |seed| vector(40_000, seed).inner();
    let step = |scale: f32| AdamWParameters {
        learning_rate: 1e-2,
        betas: [0.9, 0.999],
        epsilon: 1e-6,
        weight_decay: 0.01,
        update: 3,
        gradient_scale: Tensor::from_floats([scale], &Device::flex()),
    };
    let state =
        || AdamWState { parameter: plain(1), exp_avg: plain(2), exp_avg_sq: plain(3).square() };
    let expected = Reference.adamw_steps(vec![(state(), plain(4))], &step(0.3)).remove(0);
    let found = FusedCpu.adamw_steps(vec![(state(), plain(4))], &step(0.3)).remove(0);
    for (found, expected) in [
        (found.parameter, expected.parameter),
        (found.exp_avg, expected.exp_avg),
        (found.exp_avg_sq, expected.exp_avg_sq),
    ] {
        for (a, b) in host(found).iter().zip(host(expected)) {
            assert!((a - b).abs() <= 1e-6, "{a}, expected {b}");
        }
    }
    let gradients = [plain(5), plain(6)];
    let expected = host(Reference.grad_norm(&gradients))[0];
    let found = host(FusedCpu.grad_norm(&gradients))[0];
    assert!((found / expected - 1.0).abs() < 1e-6, "{found}, expected {expected}");
}
