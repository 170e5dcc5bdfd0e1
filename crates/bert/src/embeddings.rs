//! Word, position and token-type embeddings.

use bimed_ops::{EmbeddingTables, TokenIds};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{BertConfig, Embedding, LayerNorm, Pass, site};

/// `bert.embeddings`.
#[derive(Module, Debug)]
pub struct BertEmbeddings {
    /// `[vocab, hidden]`, also the decoder.
    pub word_embeddings: Embedding,
    /// `[max_positions, hidden]`
    pub position_embeddings: Embedding,
    /// `[types, hidden]`
    pub token_type_embeddings: Embedding,
    /// After the sum.
    pub layer_norm: LayerNorm,
    /// The probability of dropout.
    pub dropout: f64,
}

impl BertEmbeddings {
    /// Tables of zeros.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        Self {
            word_embeddings: Embedding::zeros(config.vocab_size, hidden, device),
            position_embeddings: Embedding::zeros(config.max_position_embeddings, hidden, device),
            token_type_embeddings: Embedding::zeros(config.type_vocab_size, hidden, device),
            layer_norm: LayerNorm::identity(hidden, config.layer_norm_eps, device),
            dropout: config.hidden_dropout_prob,
        }
    }

    /// The encoder's input.
    ///
    /// # Shapes
    /// `tokens` ids → `[tokens, hidden]`
    pub fn forward(&self, ids: &TokenIds, pass: Pass<'_>) -> Tensor<2> {
        let tables = EmbeddingTables {
            word: self.word_embeddings.weight.val(),
            position: self.position_embeddings.weight.val(),
            token_type: self.token_type_embeddings.weight.val(),
        };
        let dropout = pass.dropout(site::EMBEDDINGS, self.dropout);
        pass.ops.embed(tables, ids, self.layer_norm.parameters(), dropout)
    }
}
