//! CubeCL's kernels in bfloat16 against the same recipe on the processor: values and gradients.
//!
//! They run on the device that `BIMED_TEST_DEVICE` names, and are skipped where none is named or it has
//! no bf16 units: WGSL has no bf16. `.ci/cuda-software` runs them without a card.
#![cfg(all(feature = "flex", feature = "gpu"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and shows its figures"
)]

use bimed_ops::{
    Attention, BertOps, DeviceKind, Dropout, EmbeddingTables, FusedCube, Mixed, Norm, Packing,
    Precision, RowIndex, TokenIds, philox4x32,
};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};

/// Roundings to bf16 differ where sums do: four units in the last place of the largest element.
const TOLERANCE: f32 = 4.0 / 256.0;

/// The device and its operations in bf16, or nothing, said.
fn device(attention: Attention) -> Option<(Device, FusedCube)> {
    let Ok(name) = std::env::var("BIMED_TEST_DEVICE") else {
        eprintln!("skipped: no device is named");
        return None;
    };
    let kind = name.parse::<DeviceKind>().unwrap();
    let device = kind.open().unwrap();
    if kind.ops_in(&device, Precision::Bf16).activations() != Precision::Bf16 {
        eprintln!("skipped: {name} has no bf16 units");
        return None;
    }
    Some((device, FusedCube::new(Precision::Bf16, attention)))
}

/// Numbers of about unit size, a function of (`seed`, index).
fn numbers(elements: usize, seed: u32) -> Vec<f32> {
    let draw = |index: usize| philox4x32([index as u32, seed, 0, 0], [1, 2])[0];
    (0..elements).map(|index| (draw(index) as f32 / 2f32.powi(31) - 1.0) * 1.7).collect()
}

fn matrix([rows, columns]: [usize; 2], seed: u32, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(numbers(rows * columns, seed), [rows, columns]), device)
}

fn vector(elements: usize, seed: u32, device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(numbers(elements, seed), [elements]), device)
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// An activation.
fn halved(tensor: &Tensor<2>) -> Tensor<2> {
    tensor.clone().cast(FloatDType::BF16)
}

type Forward<'a> = dyn Fn(&dyn BertOps, &[Tensor<2>], &[Tensor<1>]) -> Tensor<2> + 'a;

/// The output and the gradients of `Σ output · cotangent`.
fn run(
    ops: &dyn BertOps,
    device: &Device,
    shapes: (&[[usize; 2]], &[usize]),
    forward: &Forward<'_>,
) -> Vec<Vec<f32>> {
    let device = device.clone().autodiff();
    let matrices: Vec<_> = (1..)
        .zip(shapes.0)
        .map(|(seed, &shape)| matrix(shape, seed, &device).require_grad())
        .collect();
    let vectors: Vec<_> = (31..)
        .zip(shapes.1)
        .map(|(seed, &size)| vector(size, seed, &device).require_grad())
        .collect();
    let output = forward(ops, &matrices, &vectors).cast(FloatDType::F32);
    let cotangent = matrix(output.dims(), 99, &device);
    let grads = (output.clone() * cotangent).sum().backward();
    let mut all = vec![host(output.inner())];
    all.extend(matrices.iter().map(|input| host(input.grad(&grads).unwrap())));
    all.extend(vectors.iter().map(|input| host(input.grad(&grads).unwrap())));
    all
}

fn check(
    shapes: (&[[usize; 2]], &[usize]),
    forward: impl Fn(&dyn BertOps, &[Tensor<2>], &[Tensor<1>]) -> Tensor<2>,
) {
    check_by(Attention::Scores, shapes, forward);
}

fn check_by(
    attention: Attention,
    shapes: (&[[usize; 2]], &[usize]),
    forward: impl Fn(&dyn BertOps, &[Tensor<2>], &[Tensor<1>]) -> Tensor<2>,
) {
    let Some((device, ops)) = device(attention) else { return };
    let expected = run(&Mixed, &Device::flex(), shapes, &forward);
    let found = run(&ops, &device, shapes, &forward);
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let largest = expected.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
        let worst = found.iter().zip(expected).fold(0f32, |a, (b, c)| a.max((b - c).abs()));
        eprintln!("part {index}: off by {:.1e} of the largest", worst / largest);
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().all(|value| value.is_finite()), "part {index}");
        assert!(worst <= TOLERANCE * largest, "part {index}: {worst} of {largest}");
    }
}

fn dropout(site: u32) -> Option<Dropout> {
    Some(Dropout { probability: 0.1, seed: 0x1234_5678_9abc_def0, step: 3, site, first_row: 64 })
}

fn norm(vectors: &[Tensor<1>]) -> Norm {
    Norm { weight: vectors[0].clone(), bias: vectors[1].clone(), epsilon: 1e-12 }
}

#[test]
fn linear_agrees() {
    for [rows, inner, columns] in [[70, 24, 40], [256, 128, 64]] {
        check((&[[rows, inner], [inner, columns]], &[columns]), |ops, m, v| {
            ops.linear(halved(&m[0]), m[1].clone(), v[0].clone())
        });
    }
}

#[test]
fn gelu_agrees() {
    check((&[[37, 53]], &[]), |ops, m, _| ops.gelu(halved(&m[0]) * 3.0));
}

#[test]
fn embed_and_add_norm_dropout_agree() {
    let ids: Vec<i32> = (0..300).map(|at| if at % 3 == 0 { 7 } else { at * at % 29 }).collect();
    let positions: Vec<i32> = (0..300).map(|at| at % 16).collect();
    let types: Vec<i32> = (0..300).map(|at| i32::from(at > 280)).collect();
    check((&[[30, 40], [16, 40], [2, 40]], &[40, 40]), |ops, m, v| {
        let ids = TokenIds::upload(&ids, &positions, &types, &m[0].device());
        let [word, position, token_type] = [0, 1, 2].map(|at| m[at].clone());
        ops.embed(EmbeddingTables { word, position, token_type }, &ids, norm(v), dropout(0))
    });
    for [rows, columns] in [[600, 40], [70, 300]] {
        let shape = [rows, columns];
        check((&[shape, shape], &[columns, columns]), |ops, m, v| {
            ops.add_norm_dropout(halved(&m[0]), Some(halved(&m[1])), norm(v), dropout(7))
        });
    }
}

#[test]
fn attention_agrees_within_samples() {
    let samples = vec![(0, 20), (20, 13), (33, 7), (40, 1), (41, 39)];
    for attention in [Attention::Scores, Attention::Flash] {
        for heads in [1, 2, 4] {
            check_by(attention, (&[[80, 3 * 64]], &[]), |ops, m, _| {
                let packing = Packing::upload(2, 40, samples.clone(), &m[0].device());
                ops.packed_attention(halved(&m[0]), heads, &packing, dropout(4))
            });
        }
    }
}

#[test]
fn masked_positions_and_their_cross_entropy_agree() {
    let rows = [3, 0, 69, 3, 0, 0, 12];
    let labels: Vec<i32> = (0..7).map(|at| at * 7 % 300).collect();
    check((&[[70, 24], [300, 24]], &[300]), |ops, m, v| {
        let device = m[0].device();
        let rows = ops.gather_rows(halved(&m[0]), &RowIndex::upload(&rows, &device));
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), [7]), &device);
        let weights = Tensor::ones([7], &device);
        let entropy = ops.masked_cross_entropy(rows, m[1].clone(), v[0].clone(), labels, weights);
        entropy.loss_sum.unsqueeze::<2>()
    });
}
