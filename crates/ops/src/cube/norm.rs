//! Dropout, residual and layer norm in one pass over the rows, and their gradients in another.

use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::launch::{contiguous, cubes, elem, empty, empty_f32};
use super::random::{Draws, draws, fill_mask};
use super::reduce::{column_sums, total};
use super::vectors::{read_quad, vector_of, write_quad};
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
fn load<I: Float, R: Float, N: Size>(
    values: &mut Array<f32>,
    input: &[Vector<I, N>],
    residual: &[Vector<R, N>],
    draws: &Draws,
    row: usize,
    #[comptime] form: Form,
) {
    let mut mask = Array::<f32>::new(4usize);
    let mut quad = Array::<f32>::new(4usize);
    let first = row * form.hidden;
    #[unroll]
    for turn in 0..comptime!(form.quads_each()) {
        let block = turn * UNITS + UNIT_POS as usize;
        fill_mask(&mut mask, draws, row as u32, block as u32, comptime!(form.drops_input));
        read_quad::<I, N>(&mut quad, input, first, block * 4, form.hidden);
        #[unroll]
        for lane in 0..4usize {
            values[turn * 4 + lane] = quad[lane] * mask[lane];
        }
        if comptime!(form.has_residual) {
            read_quad::<R, N>(&mut quad, residual, first, block * 4, form.hidden);
            #[unroll]
            for lane in 0..4usize {
                values[turn * 4 + lane] += quad[lane];
            }
        }
    }
}

#[cube(launch)]
fn forward_kernel<I: Float, R: Float, O: Float, N: Size>(
    input: &[Vector<I, N>],
    residual: &[Vector<R, N>],
    gain: &[Vector<f32, N>],
    bias: &[Vector<f32, N>],
    output: &mut [Vector<O, N>],
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
    let mut gains = Array::<f32>::new(4usize);
    let mut biases = Array::<f32>::new(4usize);
    let mut outputs = Array::<f32>::new(4usize);
    let width = comptime!(form.hidden as f32);
    let mut row = CUBE_POS;
    while row < rows {
        load::<I, R, N>(&mut values, input, residual, &draws, row, form);
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
            read_quad::<f32, N>(&mut gains, gain, 0usize, quad * 4, form.hidden);
            read_quad::<f32, N>(&mut biases, bias, 0usize, quad * 4, form.hidden);
            #[unroll]
            for lane in 0..4usize {
                let normal = (values[turn * 4 + lane] - mean) * inverse;
                outputs[lane] = (normal * gains[lane] + biases[lane]) * mask[lane];
            }
            write_quad::<O, N>(&outputs, output, row * form.hidden, quad * 4, form.hidden);
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
fn backward_kernel<G: Float, I: Float, R: Float, N: Size>(
    gradient: &[Vector<G, N>],
    input: &[Vector<I, N>],
    residual: &[Vector<R, N>],
    gain: &[Vector<f32, N>],
    statistics: &[f32],
    of_input: &mut [Vector<I, N>],
    of_residual: &mut [Vector<R, N>],
    shares: &mut [Vector<f32, N>],
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
    let mut gains = Array::<f32>::new(4usize);
    let mut four = Array::<f32>::new(4usize);
    let width = comptime!(form.hidden as f32);
    #[unroll]
    for at in 0..each {
        of_gain[at] = 0.0f32;
        of_bias[at] = 0.0f32;
    }
    let mut row = CUBE_POS;
    while row < rows {
        load::<I, R, N>(&mut normals, input, residual, &draws, row, form);
        let mean = statistics[2 * row];
        let inverse = statistics[2 * row + 1];
        let mut sum = 0.0f32;
        let mut product = 0.0f32;
        #[unroll]
        for turn in 0..comptime!(form.quads_each()) {
            let quad = turn * UNITS + UNIT_POS as usize;
            fill_mask(&mut mask, &draws, row as u32, quad as u32, comptime!(form.drops_output));
            read_quad::<G, N>(&mut four, gradient, row * form.hidden, quad * 4, form.hidden);
            read_quad::<f32, N>(&mut gains, gain, 0usize, quad * 4, form.hidden);
            // Beyond the row the gradient is 0, and so is what it gives.
            #[unroll]
            for lane in 0..4usize {
                let at = turn * 4 + lane;
                let normal = (normals[at] - mean) * inverse;
                let dy = four[lane] * mask[lane];
                of_gain[at] += dy * normal;
                of_bias[at] += dy;
                let of_normal = dy * gains[lane];
                normals[at] = normal;
                scaled[at] = of_normal;
                sum += of_normal;
                product += of_normal * normal;
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
                let at = turn * 4 + lane;
                four[lane] = inverse * (scaled[at] - sum - normals[at] * product);
                gains[lane] = four[lane] * mask[lane];
            }
            write_quad::<I, N>(&gains, of_input, row * form.hidden, quad * 4, form.hidden);
            if comptime!(form.has_residual) {
                write_quad::<R, N>(&four, of_residual, row * form.hidden, quad * 4, form.hidden);
            }
        }
        row += CUBE_COUNT;
    }
    let base = CUBE_POS * comptime!(2 * form.hidden);
    #[unroll]
    for turn in 0..comptime!(form.quads_each()) {
        let column = (turn * UNITS + UNIT_POS as usize) * 4;
        #[unroll]
        for lane in 0..4usize {
            gains[lane] = of_gain[turn * 4 + lane];
            four[lane] = of_bias[turn * 4 + lane];
        }
        write_quad::<f32, N>(&gains, shares, base, column, form.hidden);
        write_quad::<f32, N>(&four, shares, base + form.hidden, column, form.hidden);
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
        vector_of(hidden, &[DType::F32]),
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
        vector_of(hidden, &[DType::F32]),
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
