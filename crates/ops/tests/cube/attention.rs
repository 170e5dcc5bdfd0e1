//! Attention by tiles and by scores, against the processor's.

use bimed_ops::{
    Attention, BertOps, DeviceKind, Dropout, FusedCpu, FusedCube, Packing, Precision, Reference,
    profile,
};
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

use super::{CUBE, Inputs, check_of, device, dropout, host, matrix, run};

const SCORES: FusedCube = FusedCube { attention: Attention::Scores, ..CUBE };

/// By tensor cores.
const HALF: FusedCube = FusedCube { activations: Precision::Bf16, ..CUBE };

/// Whether there are tensor cores for bf16; said where not.
fn has_half(device: &Device) -> bool {
    let has_half = DeviceKind::Wgpu.ops_in(device, Precision::Bf16).activations();
    if has_half != Precision::Bf16 {
        eprintln!("skipped: no bf16 units");
    }
    has_half == Precision::Bf16
}

/// Bins of samples, and heads.
struct Batch {
    bins: usize,
    bin_length: usize,
    samples: Vec<(usize, usize)>,
    heads: usize,
    head_size: usize,
}

impl Batch {
    /// Three bins: samples of very different lengths, one of a token alone, one of a whole bin and one
    /// that ends before its bin does. No length is a multiple of a tile, nor the bin's of a counter.
    fn mixed(heads: usize, head_size: usize) -> Self {
        let samples = vec![(0, 41), (41, 1), (42, 19), (61, 9), (70, 70), (140, 3), (143, 37)];
        Self { bins: 3, bin_length: 70, samples, heads, head_size }
    }

    fn width(&self) -> usize {
        3 * self.heads * self.head_size
    }

    fn tokens(&self) -> usize {
        self.bins * self.bin_length
    }

    fn attention(&self, ops: &dyn BertOps, qkv: Tensor<2>, dropout: Option<Dropout>) -> Tensor<2> {
        let device = qkv.device();
        let packing = Packing::upload(self.bins, self.bin_length, self.samples.clone(), &device);
        ops.packed_attention(qkv, self.heads, &packing, dropout)
    }

    fn check(&self, operations: [&dyn BertOps; 2], dropout: Option<Dropout>) {
        let shape = [self.tokens(), self.width()];
        let inputs = Inputs { matrices: &[shape], vectors: &[] };
        check_of(operations, inputs, 5e-6, |ops, m, _| self.attention(ops, m[0].clone(), dropout));
    }
}

#[test]
fn tiles_agree_with_the_processor() {
    for (heads, head_size) in [(3, 32), (2, 64), (1, 128), (2, 16), (1, 48)] {
        for dropout in [None, dropout(4)] {
            Batch::mixed(heads, head_size).check([&FusedCpu, &CUBE], dropout);
        }
    }
}

#[test]
fn tensor_cores_agree_with_the_processor() {
    let wants = device().is_some_and(|(device, _)| has_half(&device));
    if !wants {
        return;
    }
    for (heads, head_size) in [(3, 32), (2, 64), (1, 128)] {
        for dropout in [None, dropout(4)] {
            let batch = Batch::mixed(heads, head_size);
            let inputs = Inputs { matrices: &[[batch.tokens(), batch.width()]], vectors: &[] };
            // The processor's in f32, of the same rounded queries, keys and values. Weights, output and
            // gradients are rounded to 8 bits.
            check_of([&FusedCpu, &HALF], inputs, 2e-2, |ops, m, _| {
                let qkv = m[0].clone().cast(FloatDType::BF16);
                let qkv = match ops.activations() {
                    Precision::Bf16 => qkv,
                    Precision::F32 => qkv.cast(FloatDType::F32),
                };
                batch.attention(ops, qkv, dropout).cast(FloatDType::F32)
            });
        }
    }
}

#[test]
fn scores_agree_with_the_processor() {
    for dropout in [None, dropout(4)] {
        Batch::mixed(2, 32).check([&FusedCpu, &SCORES], dropout);
    }
}

#[test]
fn long_bins_agree_with_the_reference() {
    // Full bins, so that no row is padding; one sample of several tiles.
    let samples = vec![(0, 131), (131, 69), (200, 200)];
    let batch = Batch { bins: 2, bin_length: 200, samples, heads: 1, head_size: 32 };
    batch.check([&Reference, &CUBE], dropout(4));
    batch.check([&Reference, &SCORES], dropout(4));
}

#[test]
fn heads_that_tiles_do_not_take_have_scores() {
    for head_size in [8, 24, 144] {
        let samples = vec![(0, 20), (20, 13), (33, 7), (40, 1), (41, 39)];
        let batch = Batch { bins: 2, bin_length: 40, samples, heads: 2, head_size };
        batch.check([&Reference, &CUBE], dropout(4));
    }
}

#[test]
fn tiles_drop_what_the_processor_drops() {
    // Queries and keys of zero, and key `j` of a sample has the value `e_j`: an output is its row of
    // the mask, divided by the sample's length.
    let batch = Batch::mixed(2, 128);
    let Batch { heads, head_size, .. } = batch;
    let Some((device, _alone)) = device() else { return };
    let mask = dropout(9).unwrap();
    let hidden = heads * head_size;
    let mut qkv = vec![0.0f32; batch.tokens() * 3 * hidden];
    for &(start, length) in &batch.samples {
        for at in 0..length {
            for head in 0..heads {
                qkv[(start + at) * 3 * hidden + 2 * hidden + head * head_size + at] = 1.0;
            }
        }
    }
    let qkv: Tensor<2> =
        Tensor::from_data(TensorData::new(qkv, [batch.tokens(), 3 * hidden]), &device);
    let found = host(batch.attention(&CUBE, qkv.clone(), Some(mask)));
    check_mask(&batch, mask, &found, 1e-5);
    if has_half(&device) {
        let qkv = qkv.cast(FloatDType::BF16);
        let found = host(batch.attention(&HALF, qkv, Some(mask)).cast(FloatDType::F32));
        check_mask(&batch, mask, &found, 1e-2);
    }
}

/// `found` are the rows of the mask, each divided by its sample's length.
fn check_mask(batch: &Batch, mask: Dropout, found: &[f32], tolerance: f32) {
    let &Batch { heads, head_size, bin_length, .. } = batch;
    let hidden = heads * head_size;
    let by_head = Dropout { first_row: mask.first_row * heads as u64, ..mask };
    let mut row = vec![0.0; bin_length];
    let mut dropped = 0;
    for &(start, length) in &batch.samples {
        for at in 0..length {
            for head in 0..heads {
                by_head.fill_row(((start + at) * heads + head) as u64, &mut row);
                let first = (start + at) * hidden + head * head_size;
                let place = start % bin_length;
                for (found, kept) in found[first..].iter().zip(&row[place..place + length]) {
                    assert_eq!(*found == 0.0, *kept == 0.0);
                    assert!((found * length as f32 - kept).abs() < tolerance, "{found} of {kept}");
                    dropped += usize::from(*kept == 0.0);
                }
            }
        }
    }
    assert!(dropped > 1_000, "{dropped}");
}

#[test]
fn tiles_give_the_same_bits_each_time() {
    let Some((device, _alone)) = device() else { return };
    let batch = Batch::mixed(2, 64);
    let inputs = Inputs { matrices: &[[batch.tokens(), batch.width()]], vectors: &[] };
    let once = || {
        run(&CUBE, &device, &inputs, &|ops, m, _| batch.attention(ops, m[0].clone(), dropout(4)))
    };
    assert_eq!(once(), once());
}

#[test]
fn no_token_sees_another_sample() {
    let Some((device, _alone)) = device() else { return };
    let batch = Batch::mixed(2, 32);
    let of = |changed: Option<(usize, usize)>| {
        let mut qkv = host(matrix([batch.tokens(), batch.width()], 1, &device));
        if let Some((start, length)) = changed {
            qkv[start * batch.width()..(start + length) * batch.width()].fill(1e3);
        }
        let shape = [batch.tokens(), batch.width()];
        let qkv = Tensor::from_data(TensorData::new(qkv, shape), &device);
        host(batch.attention(&CUBE, qkv, dropout(4)))
    };
    let (before, hidden) = (of(None), batch.width() / 3);
    for &(start, length) in &batch.samples {
        let after = of(Some((start, length)));
        let own = start * hidden..(start + length) * hidden;
        assert_eq!(after[..own.start], before[..own.start]);
        assert_eq!(after[own.end..], before[own.end..]);
    }
}

#[test]
fn tiles_are_three_launches_and_move_nothing() {
    let Some((device, _alone)) = device() else { return };
    let batch = Batch::mixed(2, 32);
    let launches = |ops: &dyn BertOps| {
        let device = device.clone().autodiff();
        let qkv = matrix([batch.tokens(), batch.width()], 1, &device).require_grad();
        let cotangent = matrix([batch.tokens(), batch.width() / 3], 2, &device);
        let packing = Packing::upload(batch.bins, batch.bin_length, batch.samples.clone(), &device);
        let step = || {
            let output = ops.packed_attention(qkv.clone(), batch.heads, &packing, dropout(4));
            (output * cotangent.clone()).sum().backward()
        };
        step();
        let (_, times) = profile(&device.clone().inner(), step);
        for time in &times {
            eprintln!("{} x {}", time.launches, time.kernel);
        }
        times
    };
    let tiles = launches(&CUBE);
    let of = |name: &str| tiles.iter().find(|time| time.kernel.contains(name)).map(|t| t.launches);
    for kernel in ["ForwardKernel", "QueriesKernel", "KeysKernel"] {
        assert_eq!(of(kernel), Some(1), "{kernel}");
    }
    let total =
        |times: &[bimed_ops::KernelTime]| times.iter().map(|time| time.launches).sum::<u64>();
    let (tiles, scores) = (total(&tiles), total(&launches(&SCORES)));
    eprintln!("{tiles} launches by tiles, {scores} by scores");
    assert!(tiles < scores);
}
