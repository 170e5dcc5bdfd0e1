//! bfloat16 activations over f32 parameters, composed of burn's operations, on any device.
//!
//! Owns [`Mixed`] and the one product that burn does not have: factors in the type of the
//! activations, the gradients of weight and bias in f32. Statistics, softmax, losses and the
//! embeddings' sum are f32 too; casts carry gradients between the two types.
//!
//! A weight is cast within each product, never once for several: a tape is consumed by its backward
//! pass, and a cast that two micro-batches shared would be on the first one's alone.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{DType, FloatDType, Int, Tensor};

use crate::record::record;
use crate::{
    BertOps, CrossEntropy, Dropout, EmbeddingTables, Norm, Packing, Precision, TokenIds, attention,
    entropy, reference,
};

/// What activations and the factors of products are held in.
const HALF: FloatDType = FloatDType::BF16;

/// [`BertOps`] with bfloat16 activations, for devices that compute them at speed; on the processor
/// it is slow, and serves to test the recipe.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mixed;

/// A product of activations with an f32 parameter.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "gpu"),
    Autodiff
)]
pub(crate) trait MixedProduct: Backend {
    /// `input · weight`, or `input · weightᵀ`, in the type of `input` or in f32.
    fn mixed_product(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;

    /// `input + bias` on every row, the bias f32.
    fn mixed_bias(input: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// How a product is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// Whether the weight is `[out, in]`.
    pub(crate) is_transposed: bool,
    /// Whether the product leaves in f32, as logits do.
    pub(crate) is_wide: bool,
}

fn cast<B: Backend>(tensor: FloatTensor<B>, dtype: FloatDType) -> FloatTensor<B> {
    if tensor.dtype() == DType::from(dtype) { tensor } else { B::float_cast(tensor, dtype) }
}

fn turned<B: Backend>(tensor: FloatTensor<B>, is_transposed: bool) -> FloatTensor<B> {
    if is_transposed { B::float_transpose(tensor) } else { tensor }
}

/// `left · right` of bf16 factors in f32: the factors widened, which is exact.
fn wide<B: Backend>(left: FloatTensor<B>, right: FloatTensor<B>) -> FloatTensor<B> {
    B::float_matmul(cast::<B>(left, FloatDType::F32), cast::<B>(right, FloatDType::F32))
}

fn product<B: Backend>(
    input: FloatTensor<B>,
    weight: FloatTensor<B>,
    form: Form,
) -> FloatTensor<B> {
    let weight = turned::<B>(cast::<B>(weight, HALF), form.is_transposed);
    match form.is_wide {
        true => wide::<B>(input, weight),
        false => B::float_matmul(input, weight),
    }
}

fn add_bias<B: Backend>(input: FloatTensor<B>, bias: FloatTensor<B>) -> FloatTensor<B> {
    let columns = bias.shape()[0];
    let dtype = FloatDType::from(input.dtype());
    B::float_add(input, B::float_reshape(cast::<B>(bias, dtype), [1, columns].into()))
}

/// The product and its bias of one concrete backend.
macro_rules! on {
    ($backend:ty) => {
        impl MixedProduct for $backend {
            fn mixed_product(
                input: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                form: Form,
            ) -> FloatTensor<Self> {
                product::<Self>(input, weight, form)
            }

            fn mixed_bias(input: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
                add_bias::<Self>(input, bias)
            }
        }
    };
}

#[cfg(feature = "flex")]
on!(burn::backend::Flex);
#[cfg(feature = "gpu")]
on!(burn::backend::Cube);

impl<B: Backend + MixedProduct, C: CheckpointStrategy> MixedProduct for Autodiff<B, C> {
    fn mixed_product(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self> {
        record::<B, C, 2>([input, weight], |[input, weight]| {
            let output = B::mixed_product(input.clone(), weight.clone(), form);
            let pull_back = move |gradient: FloatTensor<B>, wanted: [bool; 2]| {
                let gradient = cast::<B>(gradient, HALF);
                let of_input = wanted[0].then(|| {
                    let weight = cast::<B>(weight.clone(), HALF);
                    let back = turned::<B>(weight, !form.is_transposed);
                    B::float_matmul(gradient.clone(), back)
                });
                let of_weight = wanted[1].then(|| match form.is_transposed {
                    true => wide::<B>(B::float_transpose(gradient.clone()), input.clone()),
                    false => wide::<B>(B::float_transpose(input.clone()), gradient.clone()),
                });
                [of_input, of_weight]
            };
            (output, Arc::new(pull_back))
        })
    }

    fn mixed_bias(input: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<B, C, 2>([input, bias], |[input, bias]| {
            let columns = bias.shape()[0];
            let output = B::mixed_bias(input, bias);
            let pull_back = move |gradient: FloatTensor<B>, wanted: [bool; 2]| {
                // Summed in bf16, a column would stand still once it is 256 times a row's share.
                let of_bias = wanted[1].then(|| {
                    let wide = cast::<B>(gradient.clone(), FloatDType::F32);
                    B::float_reshape(B::float_sum_dim(wide, 0), [columns].into())
                });
                [Some(gradient), of_bias]
            };
            (output, Arc::new(pull_back))
        })
    }
}

fn widened(tensor: Tensor<2>) -> Tensor<2> {
    tensor.cast(FloatDType::F32)
}

fn halved(tensor: Tensor<2>) -> Tensor<2> {
    tensor.cast(HALF)
}

fn mixed_product(input: Tensor<2>, weight: Tensor<2>, form: Form) -> Tensor<2> {
    let (input, weight) = (input.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(<Dispatch as MixedProduct>::mixed_product(input, weight, form))
}

impl BertOps for Mixed {
    fn name(&self) -> &'static str {
        "mixed-bf16"
    }

    fn activations(&self) -> Precision {
        Precision::Bf16
    }

    fn embed(
        &self,
        tables: EmbeddingTables,
        ids: &TokenIds,
        norm: Norm,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        halved(reference::embed(tables, ids, norm, dropout))
    }

    fn linear(&self, input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
        let form = Form { is_transposed: false, is_wide: false };
        let output = mixed_product(input, weight, form).into_dispatch();
        let bias = bias.into_dispatch();
        Tensor::from_dispatch(<Dispatch as MixedProduct>::mixed_bias(output, bias))
    }

    fn add_norm_dropout(
        &self,
        input: Tensor<2>,
        residual: Option<Tensor<2>>,
        norm: Norm,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        let residual = residual.map(widened);
        halved(reference::add_norm_dropout(widened(input), residual, norm, dropout))
    }

    fn dropout(&self, input: Tensor<2>, dropout: Dropout) -> Tensor<2> {
        halved(dropout.apply(widened(input)))
    }

    fn gelu(&self, input: Tensor<2>) -> Tensor<2> {
        halved(reference::gelu(widened(input)))
    }

    fn packed_attention(
        &self,
        qkv: Tensor<2>,
        num_heads: usize,
        packing: &Packing,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        attention::packed_attention_in(HALF, qkv, num_heads, packing, dropout)
    }

    fn masked_cross_entropy(
        &self,
        rows: Tensor<2>,
        decoder: Tensor<2>,
        bias: Tensor<1>,
        labels: Tensor<1, Int>,
        weights: Tensor<1>,
    ) -> CrossEntropy {
        let form = Form { is_transposed: true, is_wide: true };
        let logits = mixed_product(rows, decoder, form) + bias.unsqueeze::<2>();
        entropy::of_logits(logits, labels, weights)
    }
}
