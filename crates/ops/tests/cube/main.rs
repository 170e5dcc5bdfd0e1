//! CubeCL's kernels against the reference on the processor: values and gradients, dropout on.
//!
//! They run on the device that `BIMED_TEST_DEVICE` names; where it names none they try wgpu, and are
//! skipped with the reason where it cannot be opened. Mesa's software Vulkan is enough:
//! `.ci/gpu-software` sets what it needs.
#![cfg(all(feature = "flex", feature = "gpu"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and shows its figures"
)]

mod attention;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bimed_ops::{
    AdamWParameters, AdamWState, Attention, BertOps, DeviceFault, DeviceKind, Dropout,
    EmbeddingTables, FusedCube, Norm, Precision, Reference, RowIndex, TokenIds, Tuning, philox4x32,
    profile,
};
use burn::tensor::{Device, Int, Tensor, TensorData};

const CUBE: FusedCube = FusedCube::new(Precision::F32, Attention::Flash);

/// One test at a time: memory and what tuning chose are the device's, not a test's.
static ALONE: Mutex<()> = Mutex::new(());

/// The device, or nothing, said, where none was asked for and there is none.
fn device() -> Option<(Device, MutexGuard<'static, ()>)> {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let device = match std::env::var("BIMED_TEST_DEVICE") {
        Ok(name) => Some(name.parse::<DeviceKind>().unwrap().open().unwrap()),
        Err(_) => DeviceKind::Wgpu.open().map_err(|error| eprintln!("skipped: {error}")).ok(),
    };
    device.map(|device| (device, alone))
}

/// Numbers of about unit size, a function of (`seed`, index).
fn numbers(elements: usize, seed: u32) -> Vec<f32> {
    let draw = |index: usize| philox4x32([index as u32, seed, 0, 0], [1, 2])[0];
    (0..elements).map(|index| (draw(index) as f32 / 2f32.powi(31) - 1.0) * 1.7).collect()
}

/// The shapes of an operation's inputs.
struct Inputs<'a> {
    matrices: &'a [[usize; 2]],
    vectors: &'a [usize],
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

/// What is computed from matrices and vectors.
type Forward<'a> = dyn Fn(&dyn BertOps, &[Tensor<2>], &[Tensor<1>]) -> Tensor<2> + 'a;

/// The output and the gradients of `Σ output · cotangent`.
fn run(
    ops: &dyn BertOps,
    device: &Device,
    inputs: &Inputs<'_>,
    forward: &Forward<'_>,
) -> Vec<Vec<f32>> {
    let device = device.clone().autodiff();
    let matrices: Vec<Tensor<2>> = (1..)
        .zip(inputs.matrices)
        .map(|(seed, &shape)| matrix(shape, seed, &device).require_grad())
        .collect();
    let vectors: Vec<Tensor<1>> = (31..)
        .zip(inputs.vectors)
        .map(|(seed, &size)| vector(size, seed, &device).require_grad())
        .collect();
    let output = forward(ops, &matrices, &vectors);
    let cotangent = matrix(output.dims(), 99, &device);
    let grads = (output.clone() * cotangent).sum().backward();
    let mut all = vec![host(output.inner())];
    all.extend(matrices.iter().map(|input| host(input.grad(&grads).unwrap())));
    all.extend(vectors.iter().map(|input| host(input.grad(&grads).unwrap())));
    all
}

/// The kernels give what the reference gives, within `tolerance` of the largest element.
fn check(
    inputs: Inputs<'_>,
    tolerance: f32,
    forward: impl Fn(&dyn BertOps, &[Tensor<2>], &[Tensor<1>]) -> Tensor<2>,
) {
    check_of([&Reference, &CUBE], inputs, tolerance, forward);
}

/// The tolerance of a product: on CUDA, tuning may choose tensor cores, whose factors have TF32's ten bits.
fn of_products(tolerance: f32) -> f32 {
    let is_cuda = std::env::var("BIMED_TEST_DEVICE").is_ok_and(|name| name.starts_with("cuda"));
    if is_cuda { tolerance.max(1e-3) } else { tolerance }
}

/// The second operations give on the device what the first give on the processor.
fn check_of(
    [expected, found]: [&dyn BertOps; 2],
    inputs: Inputs<'_>,
    tolerance: f32,
    forward: impl Fn(&dyn BertOps, &[Tensor<2>], &[Tensor<1>]) -> Tensor<2>,
) {
    let Some((device, _alone)) = device() else { return };
    let expected = run(expected, &Device::flex(), &inputs, &forward);
    let found = run(found, &device, &inputs, &forward);
    for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let largest = expected.iter().fold(1e-3f32, |a, b| a.max(b.abs()));
        let worst = found.iter().zip(expected).fold(0f32, |a, (b, c)| a.max((b - c).abs()));
        eprintln!("part {index}: off by {:.1e} of the largest", worst / largest);
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().all(|value| value.is_finite()), "part {index}");
        assert!(worst <= tolerance * largest, "part {index}: {worst} of {largest}");
    }
}

fn dropout(site: u32) -> Option<Dropout> {
    Some(Dropout { probability: 0.1, seed: 0x1234_5678_9abc_def0, step: 3, site, first_row: 64 })
}

fn norm(vectors: &[Tensor<1>]) -> Norm {
    Norm { weight: vectors[0].clone(), bias: vectors[1].clone(), epsilon: 1e-12 }
}

#[test]
fn dropout_draws_the_masks_of_the_processor() {
    // A norm of gain 0 and bias 1 leaves the mask alone; 300 columns are more than a unit's share.
    let mask = dropout(7).unwrap();
    let [rows, columns] = [37, 300];
    let Some((device, _alone)) = device() else { return };
    let ids = TokenIds::upload(&[0; 37], &[0; 37], &[0; 37], &device);
    let table = || matrix([1, columns], 1, &device);
    let tables = EmbeddingTables { word: table(), position: table(), token_type: table() };
    let weight = Tensor::zeros([columns], &device);
    let bias = Tensor::ones([columns], &device);
    let norm = Norm { weight, bias, epsilon: 1e-12 };
    let found = host(CUBE.embed(tables, &ids, norm, Some(mask)));
    assert_eq!(found, mask.mask(rows, columns));
}

#[test]
fn linear_agrees() {
    let inputs = Inputs { matrices: &[[70, 24], [24, 40]], vectors: &[40] };
    check(inputs, of_products(1e-5), |ops, m, v| {
        ops.linear(m[0].clone(), m[1].clone(), v[0].clone())
    });
}

#[test]
fn gelu_agrees() {
    // Elements one at a time, and four.
    for shape in [[37, 53], [36, 53]] {
        let inputs = Inputs { matrices: &[shape], vectors: &[] };
        check(inputs, 3e-6, |ops, m, _| ops.gelu(m[0].clone() * 3.0));
    }
}

#[test]
fn add_norm_dropout_agrees() {
    // 600 rows are more than the backward pass has cubes; 300 columns fill no whole group of units; 45
    // and 46 are read one and two at a time.
    for (rows, columns) in [(600, 40), (70, 300), (7, 45), (7, 46)] {
        let shape = [rows, columns];
        for dropout in [dropout(7), None] {
            let inputs = Inputs { matrices: &[shape, shape], vectors: &[columns, columns] };
            check(inputs, 2e-5, |ops, m, v| {
                ops.add_norm_dropout(m[0].clone(), Some(m[1].clone()), norm(v), dropout)
            });
        }
        let inputs = Inputs { matrices: &[shape], vectors: &[columns, columns] };
        check(inputs, 2e-5, |ops, m, v| ops.add_norm_dropout(m[0].clone(), None, norm(v), None));
    }
}

#[test]
fn embed_agrees_where_ids_repeat() {
    // Runs within a chunk of sorted tokens, across two, and across many.
    let ids: Vec<i32> = (0..300).map(|at| if at % 3 == 0 { 7 } else { at * at % 29 }).collect();
    let positions: Vec<i32> = (0..300).map(|at| at % 16).collect();
    let types: Vec<i32> = (0..300).map(|at| i32::from(at > 280)).collect();
    let inputs = Inputs { matrices: &[[30, 40], [16, 40], [2, 40]], vectors: &[40, 40] };
    check(inputs, 2e-5, |ops, m, v| {
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
fn gathered_rows_add_up_where_they_repeat() {
    let rows = [3, 0, 69, 3, 0, 0, 12];
    let inputs = Inputs { matrices: &[[70, 40]], vectors: &[] };
    check(inputs, 1e-6, |ops, m, _| {
        ops.gather_rows(m[0].clone(), &RowIndex::upload(&rows, &m[0].device()))
    });
}

#[test]
fn cross_entropy_agrees() {
    let labels: Vec<i32> = (0..19).map(|at| at * 7 % 300).collect();
    let weights: Vec<f32> = (0..19).map(|at| if at > 15 { 0.0 } else { 1.0 }).collect();
    let inputs = Inputs { matrices: &[[19, 24], [300, 24]], vectors: &[300] };
    check(inputs, of_products(2e-5), |ops, m, v| {
        let device = m[0].device();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), [19]), &device);
        let weights = Tensor::from_data(TensorData::new(weights.clone(), [19]), &device);
        let entropy =
            ops.masked_cross_entropy(m[0].clone(), m[1].clone(), v[0].clone(), labels, weights);
        entropy.loss_sum.unsqueeze::<2>()
    });
}

#[test]
fn cross_entropy_is_the_same_in_blocks() {
    // Three blocks, the last of them not full: near enough the others' size to have their tuned products.
    let rows = 90;
    let blocks = FusedCube { logit_rows: 32, ..CUBE };
    let labels: Vec<i32> = (0..rows).map(|at| at * 7 % 11).collect();
    let inputs = Inputs { matrices: &[[rows as usize, 8], [11, 8]], vectors: &[11] };
    check_of([&Reference, &blocks], inputs, 2e-5, |ops, m, v| {
        let device = m[0].device();
        let count = [rows as usize];
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels.clone(), count), &device);
        let weights = Tensor::ones(count, &device);
        let entropy =
            ops.masked_cross_entropy(m[0].clone(), m[1].clone(), v[0].clone(), labels, weights);
        entropy.loss_sum.unsqueeze::<2>()
    });
}

#[test]
fn an_optimizer_step_and_a_norm_agree() {
    // More tensors than one launch takes, of sizes from one element to many cubes.
    let sizes = |each: usize| (0..each).map(|at| [40_000, 3, 1, 770, 4_099][at % 5]);
    let results = |ops: &dyn BertOps, device: &Device| {
        let step = AdamWParameters {
            learning_rate: 1e-2,
            betas: [0.9, 0.999],
            epsilon: 1e-6,
            weight_decay: 0.01,
            update: 3,
            gradient_scale: Tensor::from_floats([0.3], device),
        };
        let seeds = (1u32..).step_by(4);
        let states = sizes(20).zip(seeds.clone()).map(|(size, seed)| {
            let [parameter, exp_avg, exp_avg_sq, gradient] =
                [0, 1, 2, 3].map(|part| vector(size, seed + part, device));
            let exp_avg_sq = exp_avg_sq.square();
            (AdamWState { parameter, exp_avg, exp_avg_sq }, gradient)
        });
        let states = ops.adamw_steps(states.collect(), &step);
        let gradients: Vec<_> =
            sizes(18).zip(seeds).map(|(size, seed)| vector(size, seed, device)).collect();
        let mut all = vec![host(ops.grad_norm(&gradients))];
        for AdamWState { parameter, exp_avg, exp_avg_sq } in states {
            all.extend([parameter, exp_avg, exp_avg_sq].map(host));
        }
        all
    };
    let Some((device, _alone)) = device() else { return };
    let expected = results(&Reference, &Device::flex());
    let (found, times) = profile(&device, || results(&CUBE, &device));
    for (kernel, tensors) in [("AdamwKernel", 20), ("SquaresKernel", 18)] {
        let of_kernel = times.iter().filter(|time| time.kernel.contains(kernel));
        let launches: u64 = of_kernel.map(|time| time.launches).sum();
        eprintln!("{launches} launches for {tensors} tensors: {kernel}");
        assert!((1..tensors).contains(&launches), "{launches}");
    }
    assert_eq!(found.len(), 61);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let off = (found - expected).abs();
            assert!(off <= 2e-6 * expected.abs().max(1.0), "{found}, {expected}");
        }
    }
}

#[test]
fn the_same_step_gives_the_same_bits() {
    let inputs = Inputs { matrices: &[[600, 40], [600, 40]], vectors: &[40, 40] };
    let Some((device, _alone)) = device() else { return };
    let once = || {
        run(&CUBE, &device, &inputs, &|ops, m, v| {
            ops.add_norm_dropout(m[0].clone(), Some(m[1].clone()), norm(v), dropout(7))
        })
    };
    assert_eq!(once(), once());
}

#[test]
fn what_another_thread_uploads_is_computed_with() {
    let Some((device, _alone)) = device() else { return };
    let values = numbers(4_000, 3);
    let doubled = |upload: &dyn Fn() -> Tensor<1>| host(upload() * 2.0);
    let here = doubled(&|| Tensor::from_data(TensorData::new(values.clone(), [4_000]), &device));
    let there = doubled(&|| {
        let upload = || Tensor::from_data(TensorData::new(values.clone(), [4_000]), &device);
        std::thread::scope(|scope| scope.spawn(upload).join().unwrap())
    });
    assert_eq!(here, there);
}

#[test]
fn memory_that_cannot_be_had_is_a_fault_of_what_needs_it_alone() {
    let Some((device, _alone)) = device() else { return };
    // A terabyte.
    let large = Tensor::<1>::empty([1usize << 38], &device);
    let fault = CUBE.read((large * 2.0).slice(0..4));
    assert!(matches!(fault, Err(DeviceFault::OutOfMemory { .. })), "{fault:?}");
    let small = Tensor::<1>::ones([4], &device) * 2.0;
    assert_eq!(CUBE.read(small), Ok(vec![2.0; 4]));
}

#[test]
fn memory_does_not_grow_over_steps() {
    let Some((device, _alone)) = device() else { return };
    let shape = [64, 96];
    let inputs = Inputs { matrices: &[shape, shape], vectors: &[96, 96] };
    let held = |steps: usize| {
        for _ in 0..steps {
            run(&CUBE, &device, &inputs, &|ops, m, v| {
                let normal =
                    ops.add_norm_dropout(m[0].clone(), Some(m[1].clone()), norm(v), dropout(7));
                ops.gelu(normal)
            });
        }
        device.memory_pool_usage().unwrap().bytes_reserved
    };
    let (early, late) = (held(20), held(200));
    assert!(late <= early, "{early} bytes after 20 steps, {late} after 220");
}

#[test]
fn what_tuning_chose_goes_from_run_to_run() {
    let Some((device, _alone)) = device() else { return };
    let dir = tempfile::tempdir().unwrap();
    let product = || {
        let product = matrix([96, 160], 1, &device).matmul(matrix([160, 224], 2, &device));
        host(product)
    };
    let expected = product();
    let choices = |file: &str| -> Vec<(String, u64)> {
        let file = dir.path().join(file);
        Tuning::save(&device, &file).unwrap();
        let summary = cubecl::bundle::SqliteBundle::open(&file).unwrap().summary();
        let tuned = summary.into_iter().filter(|part| part.namespace.contains("autotune"));
        tuned.map(|part| (part.namespace, part.entries)).collect()
    };
    let saved = choices("saved.db");
    assert!(!saved.is_empty(), "nothing was tuned");
    let run = format!("test-{}", std::process::id());
    let tuning = Tuning::resume(&device, &dir.path().join("saved.db"), &run).unwrap();
    assert!(tuning.is_some());
    // They are there before anything is computed, and computing chooses nothing anew.
    assert_eq!(choices("resumed.db"), saved);
    assert_eq!(product(), expected);
    assert_eq!(choices("computed.db"), saved);
    drop(tuning);
    assert_eq!(choices("after.db"), saved);
    let none = Tuning::resume(&device, &dir.path().join("none.db"), &run);
    assert!(none.unwrap().is_none());
}
