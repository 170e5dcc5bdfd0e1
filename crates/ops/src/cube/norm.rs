//! Dropout, residual and layer norm in one pass over the rows, and their gradients in another.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, elem, empty, empty_f32};
use super::random::{Draws, draws, fill_mask};
use super::reduce::{column_sums, total};
use crate::Dropout;

/// Units a row.
const UNITS: usize = 64;
/// Cubes of the backward pass: each adds up its rows' share of the gradients of gain and bias.
const SHARES: usize = 512;

/// Where dropout acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// On the input, before the residual is added.
    Input,
    /// On the output.
    Output,
}

/// A layer norm's scalars.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NormScalars {
    pub(crate) epsilon: f64,
    pub(crate) place: Place,
    pub(crate) dropout: Option<Dropout>,
    /// Whether there is a residual; where not, the argument in its place is not read.
    pub(crate) has_residual: bool,
}

/// What the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Form {
    hidden: usize,
    drops_input: bool,
    drops_output: bool,
    has_residual: bool,
}

impl Form {
    fn new(hidden: usize, scalars: &NormScalars) -> Self {
        let drops = scalars.dropout.is_some_and(|dropout| dropout.probability > 0.0);
        Self {
            hidden,
            drops_input: drops && scalars.place == Place::Input,
            drops_output: drops && scalars.place == Place::Output,
            has_residual: scalars.has_residual,
        }
    }

    /// Groups of four columns that one unit has.
    fn quads_each(&self) -> usize {
        self.hidden.div_ceil(4 * UNITS)
    }
}

/// `x = mask · input + residual` of the unit's columns, into `values`; 0 beyond the row.
#[cube]
fn load<I: Float, R: Float>(
    values: &mut Array<f32>,
    input: &[I],
    residual: &[R],
    draws: &Draws,
    row: usize,
    #[comptime] form: Form,
) {
    let mut mask = Array::<f32>::new(4usize);
    #[unroll]
    for turn in 0..comptime!(form.quads_each()) {
        let quad = turn * UNITS + UNIT_POS as usize;
        fill_mask(&mut mask, draws, row as u32, quad as u32, comptime!(form.drops_input));
        #[unroll]
        for lane in 0..4usize {
            let column = quad * 4 + lane;
            let mut value = 0.0f32;
            if column < form.hidden {
                value = f32::cast_from(input[row * form.hidden + column]) * mask[lane];
                if comptime!(form.has_residual) {
                    value += f32::cast_from(residual[row * form.hidden + column]);
                }
            }
            values[turn * 4 + lane] = value;
        }
    }
}

#[cube(launch)]
fn forward_kernel<I: Float, R: Float, O: Float>(
    input: &[I],
    residual: &[R],
    gain: &[f32],
    bias: &[f32],
    output: &mut [O],
    statistics: &mut [f32],
    draws: Draws,
    rows: usize,
    epsilon: f32,
    #[comptime] form: Form,
    #[define(I, R, O)] _elems: [ElemType; 3],
) {
    let mut lanes = Shared::<[f32]>::new_slice(UNITS);
    let mut values = Array::<f32>::new(comptime!(4 * form.quads_each()));
    let mut mask = Array::<f32>::new(4usize);
    let width = comptime!(form.hidden as f32);
    let mut row = CUBE_POS;
    while row < rows {
        load::<I, R>(&mut values, input, residual, &draws, row, form);
        let mut sum = 0.0f32;
        #[unroll]
        for at in 0..comptime!(4 * form.quads_each()) {
            sum += values[at];
        }
        let mean = total(&mut lanes, sum, UNITS) / width;
        let mut squares = 0.0f32;
        #[unroll]
        for turn in 0..comptime!(form.quads_each()) {
            #[unroll]
            for lane in 0..4usize {
                if (turn * UNITS + UNIT_POS as usize) * 4 + lane < form.hidden {
                    let centred = values[turn * 4 + lane] - mean;
                    squares += centred * centred;
                }
            }
        }
        let variance = total(&mut lanes, squares, UNITS) / width;
        let inverse = 1.0f32 / (variance + epsilon).sqrt();
        #[unroll]
        for turn in 0..comptime!(form.quads_each()) {
            let quad = turn * UNITS + UNIT_POS as usize;
            fill_mask(&mut mask, &draws, row as u32, quad as u32, comptime!(form.drops_output));
            #[unroll]
            for lane in 0..4usize {
                let column = quad * 4 + lane;
                if column < form.hidden {
                    let normal = (values[turn * 4 + lane] - mean) * inverse;
                    let value = (normal * gain[column] + bias[column]) * mask[lane];
                    output[row * form.hidden + column] = O::cast_from(value);
                }
            }
        }
        if UNIT_POS == 0 {
            statistics[2 * row] = mean;
            statistics[2 * row + 1] = inverse;
        }
        row += CUBE_COUNT;
    }
}

/// `dx = (dŷ − mean(dŷ) − x̂ · mean(dŷ x̂)) / deviation` with `dŷ = dy · gain`; and this cube's share
/// of `Σ dy x̂` and `Σ dy`.
#[cube(launch)]
fn backward_kernel<G: Float, I: Float, R: Float>(
    gradient: &[G],
    input: &[I],
    residual: &[R],
    gain: &[f32],
    statistics: &[f32],
    of_input: &mut [I],
    of_residual: &mut [R],
    shares: &mut [f32],
    draws: Draws,
    rows: usize,
    #[comptime] form: Form,
    #[define(G, I, R)] _elems: [ElemType; 3],
) {
    let each = comptime!(4 * form.quads_each());
    let mut lanes = Shared::<[f32]>::new_slice(UNITS);
    let mut normals = Array::<f32>::new(each);
    let mut scaled = Array::<f32>::new(each);
    let mut of_gain = Array::<f32>::new(each);
    let mut of_bias = Array::<f32>::new(each);
    let mut mask = Array::<f32>::new(4usize);
    let width = comptime!(form.hidden as f32);
    #[unroll]
    for at in 0..each {
        of_gain[at] = 0.0f32;
        of_bias[at] = 0.0f32;
    }
    let mut row = CUBE_POS;
    while row < rows {
        load::<I, R>(&mut normals, input, residual, &draws, row, form);
        let mean = statistics[2 * row];
        let inverse = statistics[2 * row + 1];
        let mut sum = 0.0f32;
        let mut product = 0.0f32;
        #[unroll]
        for turn in 0..comptime!(form.quads_each()) {
            let quad = turn * UNITS + UNIT_POS as usize;
            fill_mask(&mut mask, &draws, row as u32, quad as u32, comptime!(form.drops_output));
            #[unroll]
            for lane in 0..4usize {
                let column = quad * 4 + lane;
                let at = turn * 4 + lane;
                if column < form.hidden {
                    let normal = (normals[at] - mean) * inverse;
                    let dy = f32::cast_from(gradient[row * form.hidden + column]) * mask[lane];
                    of_gain[at] += dy * normal;
                    of_bias[at] += dy;
                    let of_normal = dy * gain[column];
                    normals[at] = normal;
                    scaled[at] = of_normal;
                    sum += of_normal;
                    product += of_normal * normal;
                }
            }
        }
        let sum = total(&mut lanes, sum, UNITS) / width;
        let product = total(&mut lanes, product, UNITS) / width;
        #[unroll]
        for turn in 0..comptime!(form.quads_each()) {
            let quad = turn * UNITS + UNIT_POS as usize;
            fill_mask(&mut mask, &draws, row as u32, quad as u32, comptime!(form.drops_input));
            #[unroll]
            for lane in 0..4usize {
                let column = quad * 4 + lane;
                let at = turn * 4 + lane;
                if column < form.hidden {
                    let of_sum = inverse * (scaled[at] - sum - normals[at] * product);
                    of_input[row * form.hidden + column] = I::cast_from(of_sum * mask[lane]);
                    if comptime!(form.has_residual) {
                        of_residual[row * form.hidden + column] = R::cast_from(of_sum);
                    }
                }
            }
        }
        row += CUBE_COUNT;
    }
    #[unroll]
    for turn in 0..comptime!(form.quads_each()) {
        #[unroll]
        for lane in 0..4usize {
            let column = (turn * UNITS + UNIT_POS as usize) * 4 + lane;
            if column < form.hidden {
                let base = CUBE_POS * comptime!(2 * form.hidden);
                shares[base + column] = of_gain[turn * 4 + lane];
                shares[base + form.hidden + column] = of_bias[turn * 4 + lane];
            }
        }
    }
}

/// The rows' norms, and each row's mean and inverse deviation, `[rows, 2]`.
pub(crate) fn forward(
    input: CubeTensor,
    residual: CubeTensor,
    gain: CubeTensor,
    bias: CubeTensor,
    scalars: &NormScalars,
    out: DType,
) -> (CubeTensor, CubeTensor) {
    let [input, residual, gain, bias] = [input, residual, gain, bias].map(contiguous);
    let hidden = gain.meta.num_elements();
    let rows = input.meta.num_elements() / hidden;
    let output = empty(&input, [rows, hidden], out);
    let statistics = empty_f32(&input, [rows, 2]);
    let elems = [input.dtype, residual.dtype, out].map(elem);
    forward_kernel::launch(
        &input.client.clone(),
        cubes(rows),
        CubeDim::new_1d(UNITS as u32),
        input.into_buffer_arg(),
        residual.into_buffer_arg(),
        gain.into_buffer_arg(),
        bias.into_buffer_arg(),
        output.clone().into_buffer_arg(),
        statistics.clone().into_buffer_arg(),
        draws(scalars.dropout, first_row(scalars)),
        rows,
        scalars.epsilon as f32,
        Form::new(hidden, scalars),
        elems,
    );
    (output, statistics)
}

/// The gradients of the input and of the residual, and those of gain and bias, `[2 · hidden]`.
pub(crate) fn backward(
    gradient: CubeTensor,
    input: CubeTensor,
    residual: CubeTensor,
    gain: CubeTensor,
    statistics: CubeTensor,
    scalars: &NormScalars,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let [gradient, input, residual, gain] = [gradient, input, residual, gain].map(contiguous);
    let hidden = gain.meta.num_elements();
    let rows = input.meta.num_elements() / hidden;
    let form = Form::new(hidden, scalars);
    let of_input = empty(&input, [rows, hidden], input.dtype);
    let residual_rows = if form.has_residual { rows } else { 1 };
    let of_residual = empty(&input, [residual_rows, hidden], residual.dtype);
    let num_shares = rows.clamp(1, SHARES);
    let shares = empty_f32(&input, [num_shares, 2 * hidden]);
    let elems = [gradient.dtype, input.dtype, residual.dtype].map(elem);
    backward_kernel::launch(
        &input.client.clone(),
        cubes(num_shares),
        CubeDim::new_1d(UNITS as u32),
        gradient.into_buffer_arg(),
        input.into_buffer_arg(),
        residual.into_buffer_arg(),
        gain.into_buffer_arg(),
        statistics.into_buffer_arg(),
        of_input.clone().into_buffer_arg(),
        of_residual.clone().into_buffer_arg(),
        shares.clone().into_buffer_arg(),
        draws(scalars.dropout, first_row(scalars)),
        rows,
        form,
        elems,
    );
    (of_input, of_residual, column_sums(shares))
}

fn first_row(scalars: &NormScalars) -> u64 {
    scalars.dropout.map_or(0, |dropout| dropout.first_row)
}
