//! Attention, sample by sample and head by head; scores are made again in the backward pass.

use rayon::prelude::*;

use super::product::{Left, TILE_COLUMNS, product};
use super::vector::{dot, exp, maximum, sum_of, vectorised};
use crate::Dropout;

/// The shape of a packed attention.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// The first token and the length of each sample, in order.
    pub(crate) samples: Vec<(usize, usize)>,
    /// All tokens, padding included.
    pub(crate) tokens: usize,
    /// Tokens a bin.
    pub(crate) bin_length: usize,
    /// Heads.
    pub(crate) heads: usize,
    /// Width of the activations.
    pub(crate) hidden: usize,
    /// Dropout of the weights.
    pub(crate) dropout: Option<Dropout>,
}

/// The matrices of one head of one sample, padded for [`product`].
struct Head {
    /// Tokens of the sample.
    length: usize,
    /// `length`, padded.
    keys: usize,
    /// Width of a head, padded.
    width: usize,
    /// `[length, width]` each.
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// `[width, keys]`.
    transposed: Vec<f32>,
    /// `[length, keys]`.
    weights: Vec<f32>,
    /// The row of the dropout mask, `[bin_length]`.
    mask: Vec<f32>,
}

impl Shape {
    fn head_size(&self) -> usize {
        self.hidden / self.heads
    }

    /// Splits `[tokens, width]` into the rows of each sample.
    fn split<'a>(&self, mut data: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
        let mut at = 0;
        let mut parts = Vec::with_capacity(self.samples.len());
        for &(start, length) in &self.samples {
            let (_, rest) = data.split_at_mut((start - at) * width);
            let (part, rest) = rest.split_at_mut(length * width);
            parts.push(part);
            data = rest;
            at = start + length;
        }
        parts
    }

    /// Row (token, head) of the dropout mask from the sample's first key on.
    fn mask_row(&self, dropout: &Dropout, token: usize, head: usize, mask: &mut [f32]) {
        let first_row = dropout.first_row * self.heads as u64;
        let row = (token * self.heads + head) as u64;
        Dropout { first_row, ..*dropout }.fill_row(row, mask);
    }
}

impl Head {
    fn new(shape: &Shape, length: usize) -> Self {
        let keys = length.next_multiple_of(TILE_COLUMNS);
        let width = shape.head_size().next_multiple_of(TILE_COLUMNS);
        Self {
            length,
            keys,
            width,
            query: vec![0.0; length * width],
            key: vec![0.0; length * width],
            value: vec![0.0; length * width],
            transposed: vec![0.0; width * keys],
            weights: vec![0.0; length * keys],
            mask: vec![0.0; shape.bin_length],
        }
    }

    /// Reads the head's queries (scaled), keys and values.
    #[inline(always)]
    fn load(&mut self, shape: &Shape, qkv: &[f32], start: usize, head: usize) {
        let size = shape.head_size();
        let scale = 1.0 / (size as f32).sqrt();
        for at in 0..self.length {
            let row = &qkv[(start + at) * 3 * shape.hidden..];
            let part = |index: usize| {
                let first = index * shape.hidden + head * size;
                &row[first..first + size]
            };
            let span = at * self.width..at * self.width + size;
            for (to, from) in self.query[span.clone()].iter_mut().zip(part(0)) {
                *to = from * scale;
            }
            self.key[span.clone()].copy_from_slice(part(1));
            self.value[span].copy_from_slice(part(2));
        }
    }

    #[inline(always)]
    fn transpose(from: &[f32], to: &mut [f32], width: usize, keys: usize) {
        for (row, values) in from.chunks_exact(width).enumerate() {
            for (column, &value) in values.iter().enumerate() {
                to[column * keys + row] = value;
            }
        }
    }

    /// Softmax of queries · keysᵀ into `weights`; columns of padding stay 0.
    #[inline(always)]
    fn attend(&mut self) {
        Self::transpose(&self.key, &mut self.transposed, self.width, self.keys);
        let query = rows(&self.query, self.width);
        let (length, width, keys) = (self.length, self.width, self.keys);
        product(query, &self.transposed, &mut self.weights, length, width, keys);
        for row in self.weights.chunks_exact_mut(keys) {
            let (row, padding) = row.split_at_mut(length);
            padding.fill(0.0);
            let largest = maximum(row);
            for x in row.iter_mut() {
                *x = exp(*x - largest);
            }
            let inverse = 1.0 / sum_of(row, |x| x);
            for x in row.iter_mut() {
                *x *= inverse;
            }
        }
    }

    /// Multiplies the rows of `values`, `[length, keys]`, by the dropout mask.
    #[inline(always)]
    fn drop_out(
        values: &mut [f32],
        mask: &mut [f32],
        shape: &Shape,
        start: usize,
        head: usize,
        length: usize,
        keys: usize,
    ) {
        let Some(dropout) = &shape.dropout else { return };
        let offset = start % shape.bin_length;
        for (at, row) in values.chunks_exact_mut(keys).enumerate() {
            // The column is the key's place in the bin.
            shape.mask_row(dropout, start + at, head, &mut mask[..offset + length]);
            for (x, m) in row.iter_mut().zip(&mask[offset..offset + length]) {
                *x *= m;
            }
        }
    }
}

/// A row-major matrix as a left-hand side.
fn rows(data: &[f32], width: usize) -> Left<'_> {
    Left { data, row_stride: width, column_stride: 1 }
}

/// The transpose of a row-major matrix as a left-hand side.
fn columns(data: &[f32], width: usize) -> Left<'_> {
    Left { data, row_stride: 1, column_stride: width }
}

/// The context of every token, `[tokens, hidden]`; padding rows are 0.
pub(crate) fn forward(qkv: &[f32], shape: &Shape) -> Vec<f32> {
    let mut output = vec![0.0; shape.tokens * shape.hidden];
    let size = shape.head_size();
    let parts = shape.split(&mut output, shape.hidden);
    parts.into_par_iter().zip(&shape.samples).for_each(|(output, &(start, length))| {
        let mut head = Head::new(shape, length);
        let mut context = vec![0.0; length * head.width];
        for index in 0..shape.heads {
            let place = Place { shape, qkv, start, index };
            forward_head(place, &mut head, &mut context[..]);
            let from = context.chunks_exact(head.width);
            for (to, from) in output.chunks_exact_mut(shape.hidden).zip(from) {
                to[index * size..(index + 1) * size].copy_from_slice(&from[..size]);
            }
        }
    });
    output
}

/// A head of a sample.
#[derive(Clone, Copy)]
struct Place<'a> {
    shape: &'a Shape,
    /// `[tokens, 3 · hidden]`
    qkv: &'a [f32],
    /// The sample's first token.
    start: usize,
    /// The head.
    index: usize,
}

vectorised! {
    fn forward_head<'a>(place: Place<'a>, head: &'a mut Head, context: &'a mut [f32]) {
        let Place { shape, qkv, start, index } = place;
        head.load(shape, qkv, start, index);
        head.attend();
        let Head { weights, mask, keys, width, value, length, .. } = head;
        Head::drop_out(weights, mask, shape, start, index, *length, *keys);
        product(rows(weights, *keys), value, context, *length, *length, *width);
    }
}

vectorised! {
    fn backward_head<'a>(place: Place<'a>, head: &'a mut Head, grads: &'a mut HeadGradients, gradient: &'a [f32]) {
        let Place { shape, qkv, start, index } = place;
        head.load(shape, qkv, start, index);
        head.attend();
        grads.load(shape, gradient, start, index, head.width);
        grads.compute(head, shape, start, index);
    }
}

/// Buffers of one head's gradients.
struct HeadGradients {
    /// `[length, width]` each.
    output: Vec<f32>,
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// `[length, keys]` each.
    dropped: Vec<f32>,
    scores: Vec<f32>,
}

/// The gradient of the queries, keys and values, `[tokens, 3 · hidden]`.
pub(crate) fn backward(qkv: &[f32], gradient: &[f32], shape: &Shape) -> Vec<f32> {
    let mut output = vec![0.0; shape.tokens * 3 * shape.hidden];
    let parts = shape.split(&mut output, 3 * shape.hidden);
    parts.into_par_iter().zip(&shape.samples).for_each(|(output, &(start, length))| {
        let mut head = Head::new(shape, length);
        let matrix = |columns: usize| vec![0.0; length * columns];
        let mut grads = HeadGradients {
            output: matrix(head.width),
            query: matrix(head.width),
            key: matrix(head.width),
            value: matrix(head.width),
            dropped: matrix(head.keys),
            scores: matrix(head.keys),
        };
        for index in 0..shape.heads {
            let place = Place { shape, qkv, start, index };
            backward_head(place, &mut head, &mut grads, gradient);
            grads.store(shape, output, index, head.width);
        }
    });
    output
}

impl HeadGradients {
    #[inline(always)]
    fn load(&mut self, shape: &Shape, gradient: &[f32], start: usize, head: usize, width: usize) {
        let size = shape.head_size();
        for (at, to) in self.output.chunks_exact_mut(width).enumerate() {
            let first = (start + at) * shape.hidden + head * size;
            to[..size].copy_from_slice(&gradient[first..first + size]);
        }
    }

    /// With P the weights, M the mask and O = (P ∘ M) V: dV = (P ∘ M)ᵀ dO, dP = (dO Vᵀ) ∘ M,
    /// dS = P ∘ (dP − Σ dP ∘ P), dQ = dS K, dK = dSᵀ Q.
    #[inline(always)]
    fn compute(&mut self, head: &mut Head, shape: &Shape, start: usize, index: usize) {
        let (length, keys, width) = (head.length, head.keys, head.width);
        self.dropped.copy_from_slice(&head.weights);
        Head::drop_out(&mut self.dropped, &mut head.mask, shape, start, index, length, keys);
        let dropped = columns(&self.dropped, keys);
        product(dropped, &self.output, &mut self.value, length, length, width);
        Head::transpose(&head.value, &mut head.transposed, width, keys);
        let output = rows(&self.output, width);
        product(output, &head.transposed, &mut self.scores, length, width, keys);
        Head::drop_out(&mut self.scores, &mut head.mask, shape, start, index, length, keys);
        for (ds, p) in self.scores.chunks_exact_mut(keys).zip(head.weights.chunks_exact(keys)) {
            let total = dot(ds, p);
            for (ds, p) in ds.iter_mut().zip(p) {
                *ds = p * (*ds - total);
            }
        }
        product(rows(&self.scores, keys), &head.key, &mut self.query, length, length, width);
        product(columns(&self.scores, keys), &head.query, &mut self.key, length, length, width);
    }

    /// Writes the head's gradients; the queries were scaled, so theirs is too.
    #[inline(always)]
    fn store(&self, shape: &Shape, output: &mut [f32], head: usize, width: usize) {
        let size = shape.head_size();
        let scale = 1.0 / (size as f32).sqrt();
        for (at, row) in output.chunks_exact_mut(3 * shape.hidden).enumerate() {
            let span = at * width..at * width + size;
            for (index, (from, factor)) in
                [(&self.query, scale), (&self.key, 1.0), (&self.value, 1.0)].into_iter().enumerate()
            {
                let first = index * shape.hidden + head * size;
                for (to, from) in row[first..first + size].iter_mut().zip(&from[span.clone()]) {
                    *to = from * factor;
                }
            }
        }
    }
}
