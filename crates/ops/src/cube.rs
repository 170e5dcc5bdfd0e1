//! [`BertOps`] on CubeCL's devices: CUDA and wgpu, with kernels and gradients of its own.
//!
//! Parameters, moments, statistics, softmax, losses and norms are f32; activations and the products'
//! factors have the type of [`FusedCube::activations`]. There are no atomics: every sum has an order
//! that shapes alone decide.

mod attention;
mod embed;
mod entropy;
mod gelu;
mod launch;
mod norm;
mod optimizer;
mod product;
mod random;
mod reduce;
mod steps;
mod tensors;
mod vectors;

use burn::backend::{Cube, Dispatch};
use burn::tensor::{DType, Int, Tensor};
use burn_cubecl::tensor::CubeTensor;

use crate::{
    AdamWParameters, AdamWState, Attention, BertOps, CrossEntropy, Dropout, EmbeddingTables, Norm,
    Packing, Precision, RowIndex, TokenIds,
};
use attention::AttentionShape;
use norm::{NormScalars, Place};
use steps::{CubeSteps, Indices, Tables};

/// [`BertOps`] for burn's CubeCL backend.
///
/// # Panics
/// On tensors of any other backend.
#[derive(Debug, Clone, Copy)]
pub struct FusedCube {
    /// The type of activations and of the products' factors.
    pub activations: Precision,
    /// How attention is computed.
    pub attention: Attention,
    /// Rows of logits that are there at a time.
    pub logit_rows: usize,
}

impl FusedCube {
    /// Activations and attention as given, and 4,096 rows of logits at a time.
    pub const fn new(activations: Precision, attention: Attention) -> Self {
        Self { activations, attention, logit_rows: 4096 }
    }

    fn dtype(self) -> DType {
        match self.activations {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        }
    }
}

fn scalars(norm: &Norm, place: Place, dropout: Option<Dropout>, has_residual: bool) -> NormScalars {
    NormScalars { epsilon: norm.epsilon, place, dropout, has_residual }
}

#[expect(clippy::expect_used, reason = "`FusedCube` is for tensors of CubeCL alone")]
fn primitive(tensor: &Tensor<1>) -> CubeTensor {
    tensor.clone().try_into_primitive::<Cube>().expect("a tensor on a CubeCL device")
}

impl BertOps for FusedCube {
    fn name(&self) -> &'static str {
        match (self.activations, self.attention) {
            (Precision::F32, Attention::Flash) => "fused-cube",
            (Precision::Bf16, Attention::Flash) => "fused-cube-bf16",
            (Precision::F32, Attention::Scores) => "fused-cube-scores",
            (Precision::Bf16, Attention::Scores) => "fused-cube-bf16-scores",
        }
    }

    fn activations(&self) -> Precision {
        self.activations
    }

    fn embed(
        &self,
        tables: EmbeddingTables,
        ids: &TokenIds,
        norm: Norm,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        let scalars = scalars(&norm, Place::Output, dropout, false);
        let tables = Tables {
            word: tables.word.into_dispatch(),
            position: tables.position.into_dispatch(),
            token_type: tables.token_type.into_dispatch(),
            gain: norm.weight.into_dispatch(),
            bias: norm.bias.into_dispatch(),
        };
        let [by_id, by_position, by_type] = ids.orders().map(Tensor::into_dispatch);
        let indices = Indices {
            ids: ids.ids.clone().into_dispatch(),
            positions: ids.positions.clone().into_dispatch(),
            types: ids.types.clone().into_dispatch(),
            by_id,
            by_position,
            by_type,
        };
        let embedded = <Dispatch as CubeSteps>::step_embed(tables, indices, scalars, self.dtype());
        Tensor::from_dispatch(embedded)
    }

    fn linear(&self, input: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as CubeSteps>::step_linear(
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
        let scalars = scalars(&norm, Place::Input, dropout, residual.is_some());
        let (input, gain) = (input.into_dispatch(), norm.weight.into_dispatch());
        let bias = norm.bias.into_dispatch();
        Tensor::from_dispatch(match residual {
            Some(residual) => {
                let residual = residual.into_dispatch();
                <Dispatch as CubeSteps>::step_add_norm(input, residual, gain, bias, scalars)
            }
            None => <Dispatch as CubeSteps>::step_norm(input, gain, bias, scalars),
        })
    }

    fn gelu(&self, input: Tensor<2>) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as CubeSteps>::step_gelu(input.into_dispatch()))
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
        let shape = AttentionShape {
            bins: packing.bins,
            bin_length: packing.bin_length,
            heads: num_heads,
            head_size: width / 3 / num_heads,
            dropout,
            attention: self.attention,
        };
        let [starts, ends] = packing.bounds().map(Tensor::into_dispatch);
        Tensor::from_dispatch(<Dispatch as CubeSteps>::step_attention(
            qkv.into_dispatch(),
            starts,
            ends,
            shape,
        ))
    }

    fn gather_rows(&self, input: Tensor<2>, rows: &RowIndex) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as CubeSteps>::step_gather(
            input.into_dispatch(),
            rows.rows.clone().into_dispatch(),
            rows.order().into_dispatch(),
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
        let (loss_sum, nll, correct) = <Dispatch as CubeSteps>::step_entropy(
            rows.into_dispatch(),
            decoder.into_dispatch(),
            bias.into_dispatch(),
            labels.into_dispatch(),
            weights.into_dispatch(),
            self.logit_rows,
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
        if states.is_empty() {
            return Vec::new();
        }
        let all = |of: fn(&(AdamWState, Tensor<1>)) -> &Tensor<1>| {
            states.iter().map(|state| primitive(of(state))).collect()
        };
        let old = [
            all(|(state, _)| &state.parameter),
            all(|(state, _)| &state.exp_avg),
            all(|(state, _)| &state.exp_avg_sq),
            all(|(_, gradient)| gradient),
        ];
        drop(states);
        let scale = primitive(&step.gradient_scale);
        let [parameters, exp_avgs, exp_avg_sqs] = optimizer::adamw(old, scale, &step.scalars(1.0))
            .map(|tensors| tensors.into_iter().map(Tensor::from_primitive::<Cube>));
        let new = parameters.zip(exp_avgs).zip(exp_avg_sqs);
        new.map(|((parameter, exp_avg), exp_avg_sq)| AdamWState { parameter, exp_avg, exp_avg_sq })
            .collect()
    }

    fn grad_norm(&self, gradients: &[Tensor<1>]) -> Tensor<1> {
        assert!(!gradients.is_empty(), "the norm of no gradients");
        let squares = optimizer::sum_of_squares(gradients.iter().map(primitive).collect());
        Tensor::from_primitive::<Cube>(squares).sqrt()
    }
}
