//! The name table: every tensor of a BERT, and the other names it goes by.
//!
//! Owns the one list of Hugging Face names with their shapes, as data. It knows nothing of files.
//!
//! Invariant: a name is canonical exactly when [`expected_tensors`] gives it.
//!
//! Source: `BertForPreTraining` and `BertForSequenceClassification` of transformers 4.57.1,
//! `models/bert/modeling_bert.py`; `gamma` and `beta` are the names of its first releases.

use crate::Dimensions;

/// The part of a model that a tensor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Embeddings and layers: no model is without them.
    Encoder,
    /// The dense layer over `[CLS]`.
    Pooler,
    /// The masked-language-modelling head; its decoder is the word embeddings.
    MlmHead,
    /// The next-sentence head.
    NspHead,
    /// The classifier of a fine-tuned model.
    Classifier,
}

/// A tensor that a model of given dimensions has, or may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// The Hugging Face name.
    pub name: String,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// Where it belongs; all but [`Part::Encoder`] are optional, each as a whole.
    pub part: Part,
}

/// The word embeddings: one row a token.
pub const WORD_EMBEDDINGS: &str = "bert.embeddings.word_embeddings.weight";
/// The decoder's bias: one element a token.
pub const DECODER_BIAS: &str = "cls.predictions.bias";

#[derive(Debug, Clone, Copy)]
enum Axis {
    Vocab,
    Hidden,
    Intermediate,
    Position,
    TokenType,
    Label,
    Two,
}
use Axis::{Hidden, Intermediate, Label, Position, TokenType, Two, Vocab};
use Part::{Classifier, Encoder, MlmHead, NspHead, Pooler};

type Table = &'static [(&'static str, &'static [Axis], Part)];

const EMBEDDINGS: Table = &[
    (WORD_EMBEDDINGS, &[Vocab, Hidden], Encoder),
    ("bert.embeddings.position_embeddings.weight", &[Position, Hidden], Encoder),
    ("bert.embeddings.token_type_embeddings.weight", &[TokenType, Hidden], Encoder),
    ("bert.embeddings.LayerNorm.weight", &[Hidden], Encoder),
    ("bert.embeddings.LayerNorm.bias", &[Hidden], Encoder),
];

/// The tensors of one layer, after `bert.encoder.layer.N.`.
const LAYER: Table = &[
    ("attention.self.query.weight", &[Hidden, Hidden], Encoder),
    ("attention.self.query.bias", &[Hidden], Encoder),
    ("attention.self.key.weight", &[Hidden, Hidden], Encoder),
    ("attention.self.key.bias", &[Hidden], Encoder),
    ("attention.self.value.weight", &[Hidden, Hidden], Encoder),
    ("attention.self.value.bias", &[Hidden], Encoder),
    ("attention.output.dense.weight", &[Hidden, Hidden], Encoder),
    ("attention.output.dense.bias", &[Hidden], Encoder),
    ("attention.output.LayerNorm.weight", &[Hidden], Encoder),
    ("attention.output.LayerNorm.bias", &[Hidden], Encoder),
    ("intermediate.dense.weight", &[Intermediate, Hidden], Encoder),
    ("intermediate.dense.bias", &[Intermediate], Encoder),
    ("output.dense.weight", &[Hidden, Intermediate], Encoder),
    ("output.dense.bias", &[Hidden], Encoder),
    ("output.LayerNorm.weight", &[Hidden], Encoder),
    ("output.LayerNorm.bias", &[Hidden], Encoder),
];

const HEADS: Table = &[
    ("bert.pooler.dense.weight", &[Hidden, Hidden], Pooler),
    ("bert.pooler.dense.bias", &[Hidden], Pooler),
    ("cls.predictions.transform.dense.weight", &[Hidden, Hidden], MlmHead),
    ("cls.predictions.transform.dense.bias", &[Hidden], MlmHead),
    ("cls.predictions.transform.LayerNorm.weight", &[Hidden], MlmHead),
    ("cls.predictions.transform.LayerNorm.bias", &[Hidden], MlmHead),
    (DECODER_BIAS, &[Vocab], MlmHead),
    ("cls.seq_relationship.weight", &[Two, Hidden], NspHead),
    ("cls.seq_relationship.bias", &[Two], NspHead),
    ("classifier.weight", &[Label, Hidden], Classifier),
    ("classifier.bias", &[Label], Classifier),
];

/// Beginnings that other writers leave out or put before a name, and what they become; the first
/// that fits is taken, then the next.
const PREFIXES: &[(&str, &str)] = &[
    ("module.", ""),
    ("embeddings.", "bert.embeddings."),
    ("encoder.", "bert.encoder."),
    ("pooler.", "bert.pooler."),
];

/// Endings of old names.
const SUFFIXES: &[(&str, &str)] =
    &[("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")];

/// Tensors that are another one by construction: the name and the one it equals.
pub(crate) const TIED: &[(&str, &str)] = &[
    ("cls.predictions.decoder.weight", WORD_EMBEDDINGS),
    ("cls.predictions.decoder.bias", DECODER_BIAS),
];

/// Constants that some versions of transformers saved: 0, 1, 2 … and zeros.
pub(crate) const BUFFERS: &[&str] =
    &["bert.embeddings.position_ids", "bert.embeddings.token_type_ids"];

/// Every tensor of a model of `dimensions`, in the table's order, layer by layer.
///
/// The classifier is there when the config says how many labels it has.
pub fn expected_tensors(dimensions: &Dimensions) -> Vec<ExpectedTensor> {
    let length = |axis: &Axis| match axis {
        Vocab => Some(dimensions.vocab_size),
        Hidden => Some(dimensions.hidden_size),
        Intermediate => Some(dimensions.intermediate_size),
        Position => Some(dimensions.max_position_embeddings),
        TokenType => Some(dimensions.type_vocab_size),
        Label => dimensions.num_labels,
        Two => Some(2),
    };
    let mut expected = Vec::new();
    let mut add = |prefix: &str, table: Table| {
        for &(name, axes, part) in table {
            if let Some(shape) = axes.iter().map(length).collect() {
                expected.push(ExpectedTensor { name: format!("{prefix}{name}"), shape, part });
            }
        }
    };
    add("", EMBEDDINGS);
    for layer in 0..dimensions.num_hidden_layers {
        add(&format!("bert.encoder.layer.{layer}."), LAYER);
    }
    add("", HEADS);
    expected
}

/// The Hugging Face name of a tensor that another writer called `name`.
pub(crate) fn canonical_name(name: &str) -> String {
    let mut canonical = name.to_owned();
    for (found, becomes) in PREFIXES {
        if let Some(rest) = canonical.strip_prefix(found) {
            canonical = format!("{becomes}{rest}");
        }
    }
    for (found, becomes) in SUFFIXES {
        if let Some(rest) = canonical.strip_suffix(found) {
            canonical = format!("{rest}{becomes}");
        }
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of BERT-base with a vocabulary of `vocab_size`.
    fn base(vocab_size: usize) -> Dimensions {
        Dimensions {
            vocab_size,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            num_labels: None,
        }
    }

    fn num_parameters(dimensions: &Dimensions, parts: &[Part]) -> usize {
        expected_tensors(dimensions)
            .iter()
            .filter(|tensor| parts.contains(&tensor.part))
            .map(|tensor| tensor.shape.iter().product::<usize>())
            .sum()
    }

    #[test]
    fn parameter_counts_are_those_of_the_published_models() {
        // KM-BERT, KM-BERT-vocab, BioBERT, M-BERT and the bilingual models: `BertModel`,
        // `BertForPreTraining`, and `BertForMaskedLM` without a pooler.
        for (vocab, model, pretraining, masked_lm) in [
            (16_424, 98_654_976, 99_265_066, 98_672_936),
            (26_986, 106_766_592, 107_387_244, 106_795_114),
            (28_996, 108_310_272, 108_932_934, 108_340_804),
            (119_547, 177_853_440, 178_566_653, 177_974_523),
            (45_000, 120_601_344, 121_240_010, 120_647_880),
        ] {
            let count = |parts: &[Part]| num_parameters(&base(vocab), parts);
            let all = [Encoder, Pooler, MlmHead, NspHead];
            let found = (count(&[Encoder, Pooler]), count(&all), count(&[Encoder, MlmHead]));
            assert_eq!(found, (model, pretraining, masked_lm), "{vocab}");
        }
    }

    #[test]
    fn there_are_sixteen_tensors_a_layer_and_fourteen_others() {
        assert_eq!(expected_tensors(&base(45_000)).len(), 16 * 12 + 14);
        let with_labels = Dimensions { num_labels: Some(3), ..base(45_000) };
        let classifier: Vec<_> = expected_tensors(&with_labels)
            .into_iter()
            .filter(|tensor| tensor.part == Classifier)
            .map(|tensor| tensor.shape)
            .collect();
        assert_eq!(classifier, [vec![3, 768], vec![3]]);
    }

    #[test]
    fn other_writers_names_become_canonical_and_canonical_ones_stay() {
        for (found, expected) in [
            ("embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
            (
                "encoder.layer.11.output.LayerNorm.beta",
                "bert.encoder.layer.11.output.LayerNorm.bias",
            ),
            ("module.bert.pooler.dense.bias", "bert.pooler.dense.bias"),
            ("module.pooler.dense.bias", "bert.pooler.dense.bias"),
            (
                "cls.predictions.transform.LayerNorm.gamma",
                "cls.predictions.transform.LayerNorm.weight",
            ),
        ] {
            assert_eq!(canonical_name(found), expected);
        }
        for tensor in expected_tensors(&base(8)) {
            assert_eq!(canonical_name(&tensor.name), tensor.name);
        }
    }
}
