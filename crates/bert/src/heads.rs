//! The pooler, the two pretraining heads and the task head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use bimed_ops::{CrossEntropy, RowIndex};

use crate::{BertConfig, LayerNorm, Linear, Pass, site};

/// `bert.pooler`: the first token of each sample, through a layer and tanh.
#[derive(Module, Debug)]
pub struct BertPooler {
    /// `dense`: `[hidden, hidden]`.
    pub dense: Linear,
}

impl BertPooler {
    /// A pooler of zeros.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        Self { dense: Linear::zeros(config.hidden_size, config.hidden_size, device) }
    }

    /// # Shapes
    /// `hidden`: `[tokens, hidden]`, `samples` first tokens → `[samples, hidden]`
    pub fn forward(&self, hidden: Tensor<2>, first_tokens: &RowIndex, pass: Pass<'_>) -> Tensor<2> {
        self.dense.forward(pass.ops.gather_rows(hidden, first_tokens), pass).tanh()
    }
}

/// `cls.predictions`: a layer, GELU, a norm, and the tied decoder with a bias of its own.
#[derive(Module, Debug)]
pub struct MaskedLanguageModelHead {
    /// `transform.dense`: `[hidden, hidden]`.
    pub dense: Linear,
    /// `transform.LayerNorm`
    pub layer_norm: LayerNorm,
    /// `[vocab]`
    pub bias: Param<Tensor<1>>,
}

impl MaskedLanguageModelHead {
    /// A head of zeros.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        Self {
            dense: Linear::zeros(hidden, hidden, device),
            layer_norm: LayerNorm::identity(hidden, config.layer_norm_eps, device),
            bias: Param::from_tensor(Tensor::zeros([config.vocab_size], device)),
        }
    }

    /// The decoder's input of the rows `masked_rows`.
    ///
    /// # Shapes
    /// `hidden`: `[tokens, hidden]`, `masked` rows → `[masked, hidden]`
    pub fn transform(
        &self,
        hidden: Tensor<2>,
        masked_rows: &RowIndex,
        pass: Pass<'_>,
    ) -> Tensor<2> {
        let rows = pass.ops.gather_rows(hidden, masked_rows);
        let inner = pass.ops.gelu(self.dense.forward(rows, pass));
        pass.ops.add_norm_dropout(inner, None, self.layer_norm.parameters(), None)
    }

    /// The loss of `labels`, decoded by `decoder`.
    ///
    /// # Shapes
    /// `rows`: `[masked, hidden]` of [`Self::transform`], `decoder`: `[vocab, hidden]`, `labels` and
    /// `weights`: `[masked]`
    pub fn loss(
        &self,
        rows: Tensor<2>,
        decoder: Tensor<2>,
        labels: Tensor<1, Int>,
        weights: Tensor<1>,
        pass: Pass<'_>,
    ) -> CrossEntropy {
        pass.ops.masked_cross_entropy(rows, decoder, self.bias.val(), labels, weights)
    }

    /// All logits.
    ///
    /// # Shapes
    /// `rows`: `[masked, hidden]`, `decoder`: `[vocab, hidden]` → `[masked, vocab]`
    pub fn logits(&self, rows: Tensor<2>, decoder: Tensor<2>) -> Tensor<2> {
        rows.matmul(decoder.transpose()) + self.bias.val().unsqueeze::<2>()
    }
}

/// `cls.seq_relationship`: whether the second segment follows the first.
#[derive(Module, Debug)]
pub struct NextSentenceHead {
    /// `[hidden, 2]`; class 0 is "follows".
    pub dense: Linear,
}

impl NextSentenceHead {
    /// A head of zeros.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        Self { dense: Linear::zeros(config.hidden_size, 2, device) }
    }

    /// `Σ weight · nll` over the samples, decoded as a vocabulary of two.
    ///
    /// # Shapes
    /// `pooled`: `[samples, hidden]`, `labels` and `weights`: `[samples]`
    pub fn loss(
        &self,
        pooled: Tensor<2>,
        labels: Tensor<1, Int>,
        weights: Tensor<1>,
        pass: Pass<'_>,
    ) -> CrossEntropy {
        let decoder = self.dense.weight.val().transpose();
        pass.ops.masked_cross_entropy(pooled, decoder, self.dense.bias.val(), labels, weights)
    }
}

/// `classifier`: a task's linear layer over the pooled sample, behind dropout.
#[derive(Module, Debug)]
pub struct Classifier {
    /// `[hidden, labels]`
    pub dense: Linear,
    /// The probability of dropout.
    pub dropout: f64,
}

impl Classifier {
    /// A head of zeros with `num_labels` outputs.
    pub fn zeros(config: &BertConfig, num_labels: usize, device: &Device) -> Self {
        Self {
            dense: Linear::zeros(config.hidden_size, num_labels, device),
            dropout: config.hidden_dropout_prob,
        }
    }

    /// # Shapes
    /// `[samples, hidden]` → `[samples, labels]`
    pub fn forward(&self, pooled: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let pooled = match pass.dropout(site::CLASSIFIER, self.dropout) {
            Some(dropout) => pass.ops.dropout(pooled, dropout),
            None => pooled,
        };
        self.dense.forward(pooled, pass)
    }
}
