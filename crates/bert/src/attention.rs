//! Self-attention with its output sublayer.

use bimed_ops::Packing;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{BertConfig, LayerNorm, Linear, Pass, site};

/// `bert.encoder.layer.N.attention`.
#[derive(Module, Debug)]
pub struct BertAttention {
    /// `self.query`, `self.key` and `self.value` side by side: `[hidden, 3 · hidden]`.
    pub qkv: Linear,
    /// `output.dense`
    pub dense: Linear,
    /// `output.LayerNorm`
    pub layer_norm: LayerNorm,
    /// The number of heads.
    pub num_heads: usize,
    /// The probability of dropping an attention weight.
    pub attention_dropout: f64,
    /// The probability of dropout of the output.
    pub hidden_dropout: f64,
}

impl BertAttention {
    /// A sublayer of zeros.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        Self {
            qkv: Linear::zeros(hidden, 3 * hidden, device),
            dense: Linear::zeros(hidden, hidden, device),
            layer_norm: LayerNorm::identity(hidden, config.layer_norm_eps, device),
            num_heads: config.num_attention_heads,
            attention_dropout: config.attention_probs_dropout_prob,
            hidden_dropout: config.hidden_dropout_prob,
        }
    }

    /// Attention within each sample, then dropout, residual and norm.
    ///
    /// # Shapes
    /// `[tokens, hidden]` → `[tokens, hidden]`
    pub fn forward(
        &self,
        input: Tensor<2>,
        packing: &Packing,
        layer: usize,
        pass: Pass<'_>,
    ) -> Tensor<2> {
        let qkv = self.qkv.forward(input.clone(), pass); // [tokens, 3 · hidden]
        let dropout = pass.dropout(site::attention(layer), self.attention_dropout);
        let context = pass.ops.packed_attention(qkv, self.num_heads, packing, dropout);
        let output = self.dense.forward(context, pass); // [tokens, hidden]
        let dropout = pass.dropout(site::attention_output(layer), self.hidden_dropout);
        pass.ops.add_norm_dropout(output, Some(input), self.layer_norm.parameters(), dropout)
    }
}
