//! The parameters that every part of BERT is made of.

use bimed_ops::Norm;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::Pass;

/// A linear layer.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`: burn's layout, the transpose of PyTorch's.
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// A layer of zeros.
    pub fn zeros(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros([inputs, outputs], device)),
            bias: Param::from_tensor(Tensor::zeros([outputs], device)),
        }
    }

    /// `input · weight + bias`.
    ///
    /// # Shapes
    /// `[rows, in]` → `[rows, out]`
    pub fn forward(&self, input: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        pass.ops.linear(input, self.weight.val(), self.bias.val())
    }
}

/// A layer normalisation.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// `[hidden]`
    pub weight: Param<Tensor<1>>,
    /// `[hidden]`
    pub bias: Param<Tensor<1>>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// The normalisation without gain or bias.
    pub fn identity(hidden: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::ones([hidden], device)),
            bias: Param::from_tensor(Tensor::zeros([hidden], device)),
            epsilon,
        }
    }

    /// Its parameters as the operations take them.
    pub fn parameters(&self) -> Norm {
        Norm { weight: self.weight.val(), bias: self.bias.val(), epsilon: self.epsilon }
    }
}

/// A table of rows.
#[derive(Module, Debug)]
pub struct Embedding {
    /// `[rows, hidden]`
    pub weight: Param<Tensor<2>>,
}

impl Embedding {
    /// A table of zeros.
    pub fn zeros(rows: usize, hidden: usize, device: &Device) -> Self {
        Self { weight: Param::from_tensor(Tensor::zeros([rows, hidden], device)) }
    }
}
