//! The reference: every operation composed of burn's own, differentiated by burn's autodiff.

use burn::tensor::Tensor;

use crate::{BertOps, Dropout, EmbeddingTables, Norm, TokenIds};

/// [`BertOps`] as burn's operations give it, on any device.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference;

impl BertOps for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }
}

pub(crate) fn embed(
    tables: EmbeddingTables,
    ids: &TokenIds,
    norm: Norm,
    dropout: Option<Dropout>,
) -> Tensor<2> {
    let embedded = tables.word.select(0, ids.ids.clone())
        + tables.position.select(0, ids.positions.clone())
        + tables.token_type.select(0, ids.types.clone());
    let normal = layer_norm(embedded, norm);
    match dropout {
        Some(dropout) => dropout.apply(normal),
        None => normal,
    }
}

pub(crate) fn add_norm_dropout(
    input: Tensor<2>,
    residual: Option<Tensor<2>>,
    norm: Norm,
    dropout: Option<Dropout>,
) -> Tensor<2> {
    let input = match dropout {
        Some(dropout) => dropout.apply(input),
        None => input,
    };
    let sum = match residual {
        Some(residual) => input + residual,
        None => input,
    };
    layer_norm(sum, norm)
}

/// `(x − mean) / √(variance + ε) · weight + bias` over the last axis, with the biased variance.
fn layer_norm(input: Tensor<2>, norm: Norm) -> Tensor<2> {
    let mean = input.clone().mean_dim(1);
    let centred = input - mean;
    let variance = centred.clone().square().mean_dim(1);
    let normal = centred / (variance + norm.epsilon).sqrt();
    normal * norm.weight.unsqueeze::<2>() + norm.bias.unsqueeze::<2>()
}

pub(crate) fn gelu(input: Tensor<2>) -> Tensor<2> {
    let phi = ((input.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
    input * phi
}

/// Elements that burn sums in one go. Its CPU backend sums 4,194,304 and more in an order that
/// changes from run to run.
const FIXED_ORDER_ELEMENTS: usize = 1 << 20;

pub(crate) fn grad_norm(gradients: &[Tensor<1>]) -> Tensor<1> {
    let mut squares = Vec::new();
    for gradient in gradients {
        let elements = gradient.dims()[0];
        for start in (0..elements).step_by(FIXED_ORDER_ELEMENTS) {
            let length = FIXED_ORDER_ELEMENTS.min(elements - start);
            squares.push(gradient.clone().narrow(0, start, length).square().sum());
        }
    }
    assert!(!squares.is_empty(), "the norm of no gradients");
    Tensor::cat(squares, 0).sum().sqrt()
}
