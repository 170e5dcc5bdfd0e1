//! The AdamW step and the squares of gradients, several tensors a launch.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, empty_f32};
use super::reduce::{sum_of, total};
use super::tensors::joined;
use super::vectors::vector_of;

/// Units a cube; each takes vectors by strides.
const UNITS: usize = 256;
/// Vectors of a unit, where a tensor has fewer cubes than [`MOST_CUBES`].
const VECTORS_EACH: usize = 4;
/// Cubes of a tensor at most.
const MOST_CUBES: usize = 1024;
/// Tensors of a launch at most: their addresses and lengths are arguments of the kernel, of which CUDA
/// takes 4 KiB.
const MOST_TENSORS: usize = 16;

/// The scalars of one step; `adamw::Scalars` on the device.
#[derive(CubeLaunch, CubeType)]
struct Step {
    beta_1: f32,
    beta_2: f32,
    complement_1: f32,
    complement_2: f32,
    epsilon: f32,
    root_correction: f32,
    step_size: f32,
    kept: f32,
}

/// One vector of a parameter, of its two means and of its gradient → the first three, anew.
#[cube]
fn updated<N: Size>(
    parameter: Vector<f32, N>,
    exp_avg: Vector<f32, N>,
    exp_avg_sq: Vector<f32, N>,
    gradient: Vector<f32, N>,
    gradient_scale: f32,
    step: &Step,
) -> (Vector<f32, N>, Vector<f32, N>, Vector<f32, N>) {
    let mut new_parameter = Vector::<f32, N>::empty();
    let mut new_avg = Vector::<f32, N>::empty();
    let mut new_avg_sq = Vector::<f32, N>::empty();
    #[unroll]
    for lane in 0..N::value() {
        let gradient = gradient.extract(lane) * gradient_scale;
        let first = exp_avg.extract(lane) * step.beta_1 + gradient * step.complement_1;
        let second =
            exp_avg_sq.extract(lane) * step.beta_2 + gradient * gradient * step.complement_2;
        let denominator = second.sqrt() * step.root_correction + step.epsilon;
        let kept = parameter.extract(lane) * step.kept;
        new_parameter.insert(lane, kept - first / denominator * step.step_size);
        new_avg.insert(lane, first);
        new_avg_sq.insert(lane, second);
    }
    (new_parameter, new_avg, new_avg_sq)
}

/// A tensor's vectors, and its cubes: from `first` on, and before `end`.
#[derive(CubeType)]
struct Part {
    vectors: u32,
    first: u32,
    end: u32,
}

/// The first vector of this unit.
#[cube]
fn first_of_unit(part: &Part) -> usize {
    (CUBE_POS as u32 - part.first) as usize * UNITS + UNIT_POS as usize
}

/// From one vector of a unit to its next.
#[cube]
fn stride_of(part: &Part) -> usize {
    (part.end - part.first) as usize * UNITS
}

#[cube]
fn update_tensor<N: Size>(
    parameter: &[Vector<f32, N>],
    exp_avg: &[Vector<f32, N>],
    exp_avg_sq: &[Vector<f32, N>],
    gradient: &[Vector<f32, N>],
    new_parameter: &mut [Vector<f32, N>],
    new_avg: &mut [Vector<f32, N>],
    new_avg_sq: &mut [Vector<f32, N>],
    gradient_scale: f32,
    part: &Part,
    step: &Step,
) {
    let mut at = first_of_unit(part);
    while at < part.vectors as usize {
        let (new, avg, avg_sq) = updated::<N>(
            parameter[at],
            exp_avg[at],
            exp_avg_sq[at],
            gradient[at],
            gradient_scale,
            step,
        );
        new_parameter[at] = new;
        new_avg[at] = avg;
        new_avg_sq[at] = avg_sq;
        at += stride_of(part);
    }
}

/// Each tensor has cubes of its own: `ends` are the cubes after their last.
#[cube(launch)]
fn adamw_kernel<N: Size>(
    parameters: &Sequence<Box<[Vector<f32, N>]>>,
    exp_avgs: &Sequence<Box<[Vector<f32, N>]>>,
    exp_avg_sqs: &Sequence<Box<[Vector<f32, N>]>>,
    gradients: &Sequence<Box<[Vector<f32, N>]>>,
    gradient_scale: &[f32],
    new_parameters: &mut Sequence<Box<[Vector<f32, N>]>>,
    new_avgs: &mut Sequence<Box<[Vector<f32, N>]>>,
    new_avg_sqs: &mut Sequence<Box<[Vector<f32, N>]>>,
    vectors: Sequence<u32>,
    ends: Sequence<u32>,
    step: Step,
) {
    let cube = CUBE_POS as u32;
    let mut first = 0u32;
    #[unroll]
    for tensor in 0..comptime!(ends.len()) {
        let end = ends[tensor];
        if cube >= first && cube < end {
            update_tensor::<N>(
                parameters.index(tensor),
                exp_avgs.index(tensor),
                exp_avg_sqs.index(tensor),
                gradients.index(tensor),
                new_parameters.index_mut(tensor),
                new_avgs.index_mut(tensor),
                new_avg_sqs.index_mut(tensor),
                gradient_scale[0],
                &Part { vectors: vectors[tensor], first, end },
                &step,
            );
        }
        first = end;
    }
}

/// This unit's share of the squares of a tensor.
#[cube]
fn squares_of<N: Size>(tensor: &[Vector<f32, N>], part: &Part) -> f32 {
    let mut sum = 0.0f32;
    let mut at = first_of_unit(part);
    while at < part.vectors as usize {
        let values = tensor[at];
        #[unroll]
        for lane in 0..N::value() {
            let value = values.extract(lane);
            sum += value * value;
        }
        at += stride_of(part);
    }
    sum
}

/// Each cube's share of the squares of its tensor; cubes are as in [`adamw_kernel`].
#[cube(launch)]
fn squares_kernel<N: Size>(
    tensors: &Sequence<Box<[Vector<f32, N>]>>,
    shares: &mut [f32],
    vectors: Sequence<u32>,
    ends: Sequence<u32>,
) {
    let mut lanes = Shared::<[f32]>::new_slice(UNITS);
    let cube = CUBE_POS as u32;
    let mut sum = 0.0f32;
    let mut first = 0u32;
    #[unroll]
    for tensor in 0..comptime!(ends.len()) {
        let end = ends[tensor];
        if cube >= first && cube < end {
            sum = squares_of::<N>(
                tensors.index(tensor),
                &Part { vectors: vectors[tensor], first, end },
            );
        }
        first = end;
    }
    let sum = total(&mut lanes, sum, UNITS);
    if UNIT_POS == 0 {
        shares[CUBE_POS] = sum;
    }
}

/// Tensors of one launch.
struct Group {
    /// Elements that divide every tensor.
    vector: usize,
    /// The vectors of each tensor.
    vectors: Vec<u32>,
    /// The cube after each tensor's last.
    ends: Vec<u32>,
}

impl Group {
    fn of(tensors: &[CubeTensor]) -> Self {
        let elements = |tensor: &CubeTensor| tensor.meta.num_elements();
        let vector = |tensor| vector_of(elements(tensor), &[DType::F32]);
        let vector = tensors.iter().map(vector).min().unwrap_or(1);
        let vectors: Vec<u32> =
            tensors.iter().map(|tensor| (elements(tensor) / vector) as u32).collect();
        let ends = vectors.iter().scan(0, |end, &vectors| {
            let wanted = (vectors as usize).div_ceil(VECTORS_EACH * UNITS);
            *end += wanted.clamp(1, MOST_CUBES) as u32;
            Some(*end)
        });
        Self { vector, ends: ends.collect(), vectors }
    }

    fn cubes(&self) -> u32 {
        self.ends.last().copied().unwrap_or(0)
    }
}

/// Tensors of a launch with `each` buffers a tensor.
fn most_tensors(tensor: &CubeTensor, each: usize) -> usize {
    // One more is the scale or the shares, and one the device's own.
    let bindings = tensor.client.properties().hardware.max_bindings as usize;
    (bindings.saturating_sub(2) / each).clamp(1, MOST_TENSORS)
}

fn buffers<N: Size>(tensors: &[CubeTensor]) -> SequenceArg<Box<[Vector<f32, N>]>> {
    tensors.iter().map(|tensor| tensor.clone().into_buffer_arg()).collect()
}

/// Parameters and their two means after a step, from the same and the gradients.
pub(crate) fn adamw(
    tensors: [Vec<CubeTensor>; 4],
    gradient_scale: CubeTensor,
    scalars: &crate::adamw::Scalars,
) -> [Vec<CubeTensor>; 3] {
    let tensors = tensors.map(|each| each.into_iter().map(contiguous).collect::<Vec<_>>());
    let gradient_scale = contiguous(gradient_scale);
    let mut new = [(); 3].map(|()| Vec::new());
    let most = tensors[0].first().map_or(1, |first| most_tensors(first, 7));
    for first in (0..tensors[0].len()).step_by(most) {
        let end = (first + most).min(tensors[0].len());
        let old = tensors.each_ref().map(|each| &each[first..end]);
        let updated = adamw_group(old, gradient_scale.clone(), scalars);
        for (all, of_group) in new.iter_mut().zip(updated) {
            all.extend(of_group);
        }
    }
    new
}

fn adamw_group(
    old: [&[CubeTensor]; 4],
    gradient_scale: CubeTensor,
    scalars: &crate::adamw::Scalars,
) -> [Vec<CubeTensor>; 3] {
    let [parameters, exp_avgs, exp_avg_sqs, gradients] = old;
    let group = Group::of(parameters);
    let like = |tensor: &CubeTensor| empty_f32(tensor, [tensor.meta.num_elements()]);
    let new = [(); 3].map(|()| parameters.iter().map(like).collect::<Vec<_>>());
    let [betas, complements] = [scalars.betas, scalars.complements];
    adamw_kernel::launch(
        &gradient_scale.client.clone(),
        CubeCount::Static(group.cubes(), 1, 1),
        CubeDim::new_1d(UNITS as u32),
        group.vector,
        buffers(parameters),
        buffers(exp_avgs),
        buffers(exp_avg_sqs),
        buffers(gradients),
        gradient_scale.into_buffer_arg(),
        buffers(&new[0]),
        buffers(&new[1]),
        buffers(&new[2]),
        group.vectors.into_iter().collect(),
        group.ends.into_iter().collect(),
        StepLaunch::new(
            betas[0],
            betas[1],
            complements[0],
            complements[1],
            scalars.epsilon,
            scalars.root_correction,
            scalars.step_size,
            scalars.kept,
        ),
    );
    new
}

/// `Σ values²` of all tensors together, `[1]`.
pub(crate) fn sum_of_squares(tensors: Vec<CubeTensor>) -> CubeTensor {
    let tensors: Vec<CubeTensor> = tensors.into_iter().map(contiguous).collect();
    let most = most_tensors(&tensors[0], 1);
    let shares = tensors.chunks(most).map(|tensors| {
        let group = Group::of(tensors);
        let shares = empty_f32(&tensors[0], [group.cubes() as usize]);
        squares_kernel::launch(
            &shares.client,
            CubeCount::Static(group.cubes(), 1, 1),
            CubeDim::new_1d(UNITS as u32),
            group.vector,
            buffers(tensors),
            shares.clone().into_buffer_arg(),
            group.vectors.into_iter().collect(),
            group.ends.into_iter().collect(),
        );
        shares
    });
    sum_of(joined(shares.collect()))
}
