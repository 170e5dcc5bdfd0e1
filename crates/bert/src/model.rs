//! Whole models.

use bimed_ops::{Packing, RowIndex, TokenIds};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::{
    BertConfig, BertEmbeddings, BertEncoder, BertPooler, Classifier, MaskedLanguageModelHead,
    NextSentenceHead, Pass,
};

/// `bert`: embeddings, encoder and pooler.
#[derive(Module, Debug)]
pub struct BertModel {
    /// `embeddings`
    pub embeddings: BertEmbeddings,
    /// `encoder`
    pub encoder: BertEncoder,
    /// `pooler`
    pub pooler: BertPooler,
}

impl BertModel {
    /// A model of zeros, for [`crate::load_weights`] to fill.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        Self {
            embeddings: BertEmbeddings::zeros(config, device),
            encoder: BertEncoder::zeros(config, device),
            pooler: BertPooler::zeros(config, device),
        }
    }

    /// The last layer's output.
    ///
    /// # Shapes
    /// `tokens` ids → `[tokens, hidden]`
    pub fn forward(&self, ids: &TokenIds, packing: &Packing, pass: Pass<'_>) -> Tensor<2> {
        let embedded = self.embeddings.forward(ids, pass);
        self.encoder.forward(embedded, packing, pass, |_, _| {})
    }
}

/// A BERT with both pretraining heads. The next-sentence head is carried even where it is not
/// trained, so that an export keeps what the base had.
#[derive(Module, Debug)]
pub struct BertForPreTraining {
    /// `bert`
    pub bert: BertModel,
    /// `cls.predictions`
    pub predictions: MaskedLanguageModelHead,
    /// `cls.seq_relationship`
    pub seq_relationship: NextSentenceHead,
}

impl BertForPreTraining {
    /// A model of zeros, for [`crate::load_weights`] to fill.
    pub fn zeros(config: &BertConfig, device: &Device) -> Self {
        Self {
            bert: BertModel::zeros(config, device),
            predictions: MaskedLanguageModelHead::zeros(config, device),
            seq_relationship: NextSentenceHead::zeros(config, device),
        }
    }

    /// The tied decoder: the word embedding itself.
    ///
    /// # Shapes
    /// `[vocab, hidden]`
    pub fn decoder(&self) -> Tensor<2> {
        self.bert.embeddings.word_embeddings.weight.val()
    }
}

/// A BERT with a task head over the pooled sample (Hugging Face's `BertForSequenceClassification`).
#[derive(Module, Debug)]
pub struct BertForSequence {
    /// `bert`
    pub bert: BertModel,
    /// `classifier`
    pub classifier: Classifier,
}

impl BertForSequence {
    /// A model of zeros with `num_labels` outputs, for [`crate::load_weights`] to fill.
    pub fn zeros(config: &BertConfig, num_labels: usize, device: &Device) -> Self {
        Self {
            bert: BertModel::zeros(config, device),
            classifier: Classifier::zeros(config, num_labels, device),
        }
    }

    /// One row of outputs a sample.
    ///
    /// # Shapes
    /// `tokens` ids, `samples` first tokens → `[samples, labels]`
    pub fn forward(
        &self,
        ids: &TokenIds,
        packing: &Packing,
        first_tokens: &RowIndex,
        pass: Pass<'_>,
    ) -> Tensor<2> {
        let hidden = self.bert.forward(ids, packing, pass);
        self.classifier.forward(self.bert.pooler.forward(hidden, first_tokens, pass), pass)
    }
}
