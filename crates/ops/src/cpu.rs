//! [`BertOps`] on the processor: fused, vectorised, parallel, and the same bits for any number of
//! threads.

mod attention;
mod embed;
mod entropy;
mod flex;
mod gelu;
mod norm;
mod optimizer;
mod product;
mod vector;

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor, TensorData};

use crate::{
    AdamWParameters, AdamWState, BertOps, CrossEntropy, Dropout, EmbeddingTables, Norm, Packing,
    TokenIds,
};
use flex::{FusedBackend, NormScalars};

/// [`BertOps`] for burn's Flex backend, with gradients of its own.
///
/// # Panics
/// On tensors of any other backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct FusedCpu;

impl BertOps for FusedCpu {
    fn name(&self) -> &'static str {
        "fused-cpu"
    }

    fn embed(
        &self,
        tables: EmbeddingTables,
        ids: &TokenIds,
        norm: Norm,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        let EmbeddingTables { word, position, token_type } = tables;
        Tensor::from_dispatch(<Dispatch as FusedBackend>::fused_embed(
            word.into_dispatch(),
            position.into_dispatch(),
            token_type.into_dispatch(),
            norm.weight.into_dispatch(),
            norm.bias.into_dispatch(),
            Arc::clone(&ids.host),
            NormScalars { epsilon: norm.epsilon, dropout },
        ))
    }

    fn linear(&self, input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as FusedBackend>::fused_linear(
            input.into_dispatch(),
            weight.into_dispatch(),
            bias.into_dispatch(),
        ))
    }

    fn add_norm_dropout(
        &self,
        input: Tensor<2>,
        residual: Option<Tensor<2>>,
        norm: Norm,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        let Some(residual) = residual else {
            return crate::reference::add_norm_dropout(input, None, norm, dropout);
        };
        Tensor::from_dispatch(<Dispatch as FusedBackend>::fused_add_norm(
            input.into_dispatch(),
            residual.into_dispatch(),
            norm.weight.into_dispatch(),
            norm.bias.into_dispatch(),
            NormScalars { epsilon: norm.epsilon, dropout },
        ))
    }

    fn gelu(&self, input: Tensor<2>) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as FusedBackend>::fused_gelu(input.into_dispatch()))
    }

    fn packed_attention(
        &self,
        qkv: Tensor<2>,
        num_heads: usize,
        packing: &Packing,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        let [tokens, width] = qkv.dims();
        assert_eq!(tokens, packing.tokens(), "the packing is of another batch");
        let shape = attention::Shape {
            samples: packing.samples.clone(),
            tokens,
            bin_length: packing.bin_length,
            heads: num_heads,
            hidden: width / 3,
            dropout: dropout.filter(|dropout| dropout.probability > 0.0),
        };
        Tensor::from_dispatch(<Dispatch as FusedBackend>::fused_attention(
            qkv.into_dispatch(),
            shape,
        ))
    }

    fn masked_cross_entropy(
        &self,
        rows: Tensor<2>,
        decoder: Tensor<2>,
        bias: Tensor<1>,
        labels: Tensor<1, Int>,
        weights: Tensor<1>,
    ) -> CrossEntropy {
        let labels = labels.into_data().iter::<i64>().map(|label| label as usize).collect();
        let weights = weights.into_data().iter::<f32>().collect();
        let (loss_sum, nll, correct) = <Dispatch as FusedBackend>::fused_cross_entropy(
            rows.into_dispatch(),
            decoder.into_dispatch(),
            bias.into_dispatch(),
            labels,
            weights,
        );
        CrossEntropy {
            loss_sum: Tensor::from_dispatch(loss_sum),
            nll: Tensor::<1>::from_dispatch(nll).inner(),
            correct: Tensor::<1>::from_dispatch(correct).inner(),
        }
    }

    fn adamw_steps(
        &self,
        states: Vec<(AdamWState, Tensor<1>)>,
        step: &AdamWParameters,
    ) -> Vec<AdamWState> {
        let gradient_scale: f32 = step.gradient_scale.clone().into_scalar();
        let scalars = step.scalars(gradient_scale);
        let one = |(state, gradient): (AdamWState, Tensor<1>)| {
            let (parameter, exp_avg, exp_avg_sq) = <Dispatch as FusedBackend>::fused_adamw(
                state.parameter.into_dispatch(),
                state.exp_avg.into_dispatch(),
                state.exp_avg_sq.into_dispatch(),
                gradient.into_dispatch(),
                scalars,
            );
            AdamWState {
                parameter: Tensor::from_dispatch(parameter),
                exp_avg: Tensor::from_dispatch(exp_avg),
                exp_avg_sq: Tensor::from_dispatch(exp_avg_sq),
            }
        };
        states.into_iter().map(one).collect()
    }

    fn grad_norm(&self, gradients: &[Tensor<1>]) -> Tensor<1> {
        assert!(!gradients.is_empty(), "the norm of no gradients");
        let squares = gradients.iter().map(|gradient| {
            let square = <Dispatch as FusedBackend>::fused_square(gradient.clone().into_dispatch());
            f64::from(Tensor::<1>::from_dispatch(square).into_scalar::<f32>())
        });
        let norm = squares.sum::<f64>().sqrt() as f32;
        Tensor::from_data(TensorData::new(vec![norm], [1]), &gradients[0].device())
    }
}
