//! The stack of layers.

use bimed_ops::Packing;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{BertAttention, BertConfig, LayerNorm, Linear, Pass, site};

/// `bert.encoder.layer.N`: attention, then the feed-forward sublayer, each with its norm after it.
#[derive(Module, Debug)]
pub struct BertLayer {
    /// `attention`
    pub attention: BertAttention,
    /// `intermediate.dense`: `[hidden, intermediate]`.
    pub intermediate: Linear,
    /// `output.dense`: `[intermediate, hidden]`.
    pub output: Linear,
    /// `output.LayerNorm`
    pub layer_norm: LayerNorm,
    /// The probability of dropout.
    pub dropout: f64,
}

impl BertLayer {
    /// A layer of zeros.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        Self {
            attention: BertAttention::zeros(config, device),
            intermediate: Linear::zeros(hidden, intermediate, device),
            output: Linear::zeros(intermediate, hidden, device),
            layer_norm: LayerNorm::identity(hidden, config.layer_norm_eps, device),
            dropout: config.hidden_dropout_prob,
        }
    }

    /// # Shapes
    /// `[tokens, hidden]` → `[tokens, hidden]`
    pub fn forward(
        &self,
        input: Tensor<2>,
        packing: &Packing,
        layer: usize,
        pass: Pass<'_>,
    ) -> Tensor<2> {
        let attended = self.attention.forward(input, packing, layer, pass);
        let inner = self.intermediate.forward(attended.clone(), pass); // [tokens, intermediate]
        let output = self.output.forward(pass.ops.gelu(inner), pass); // [tokens, hidden]
        let dropout = pass.dropout(site::output(layer), self.dropout);
        pass.ops.add_norm_dropout(output, Some(attended), self.layer_norm.parameters(), dropout)
    }
}

/// `bert.encoder`.
#[derive(Module, Debug)]
pub struct BertEncoder {
    /// The layers, input side first.
    pub layer: Vec<BertLayer>,
}

impl BertEncoder {
    /// A stack of zeros.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        let layer = (0..config.num_hidden_layers).map(|_| BertLayer::zeros(config, device));
        Self { layer: layer.collect() }
    }

    /// The output of the last layer; `observe` sees every layer's.
    ///
    /// # Shapes
    /// `[tokens, hidden]` → `[tokens, hidden]`
    pub fn forward(
        &self,
        embedded: Tensor<2>,
        packing: &Packing,
        pass: Pass<'_>,
        mut observe: impl FnMut(usize, &Tensor<2>),
    ) -> Tensor<2> {
        self.layer.iter().enumerate().fold(embedded, |hidden, (index, layer)| {
            let hidden = layer.forward(hidden, packing, index, pass);
            observe(index, &hidden);
            hidden
        })
    }
}
