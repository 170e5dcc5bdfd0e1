//! The name table: every tensor of a BERT, and the other names it goes by.
//!
//! Owns the one list of names, Hugging Face's and TensorFlow's, with their shapes, as data. It knows
//! nothing of files.
//!
//! Invariant: a name is canonical exactly when [`expected_tensors`] gives it.
//!
//! Sources: `BertForPreTraining` and `BertForSequenceClassification` of transformers 4.57.1,
//! `models/bert/modeling_bert.py`; `gamma` and `beta` are the names of its first releases; the
//! variables of google-research/bert, `modeling.py` and `run_pretraining.py`.

use std::collections::BTreeMap;

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
    /// The name in a TensorFlow 1 checkpoint, where a `/kernel` lies transposed, `[in, out]`.
    pub tensorflow_name: String,
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

/// Hugging Face's name, TensorFlow's, the axes in Hugging Face's order, the part.
type Table = &'static [(&'static str, &'static str, &'static [Axis], Part)];

const EMBEDDINGS: Table = &[
    (WORD_EMBEDDINGS, "bert/embeddings/word_embeddings", &[Vocab, Hidden], Encoder),
    (
        "bert.embeddings.position_embeddings.weight",
        "bert/embeddings/position_embeddings",
        &[Position, Hidden],
        Encoder,
    ),
    (
        "bert.embeddings.token_type_embeddings.weight",
        "bert/embeddings/token_type_embeddings",
        &[TokenType, Hidden],
        Encoder,
    ),
    ("bert.embeddings.LayerNorm.weight", "bert/embeddings/LayerNorm/gamma", &[Hidden], Encoder),
    ("bert.embeddings.LayerNorm.bias", "bert/embeddings/LayerNorm/beta", &[Hidden], Encoder),
];

/// The tensors of one layer, after `bert.encoder.layer.N.` and `bert/encoder/layer_N/`.
const LAYER: Table = &[
    ("attention.self.query.weight", "attention/self/query/kernel", &[Hidden, Hidden], Encoder),
    ("attention.self.query.bias", "attention/self/query/bias", &[Hidden], Encoder),
    ("attention.self.key.weight", "attention/self/key/kernel", &[Hidden, Hidden], Encoder),
    ("attention.self.key.bias", "attention/self/key/bias", &[Hidden], Encoder),
    ("attention.self.value.weight", "attention/self/value/kernel", &[Hidden, Hidden], Encoder),
    ("attention.self.value.bias", "attention/self/value/bias", &[Hidden], Encoder),
    ("attention.output.dense.weight", "attention/output/dense/kernel", &[Hidden, Hidden], Encoder),
    ("attention.output.dense.bias", "attention/output/dense/bias", &[Hidden], Encoder),
    ("attention.output.LayerNorm.weight", "attention/output/LayerNorm/gamma", &[Hidden], Encoder),
    ("attention.output.LayerNorm.bias", "attention/output/LayerNorm/beta", &[Hidden], Encoder),
    ("intermediate.dense.weight", "intermediate/dense/kernel", &[Intermediate, Hidden], Encoder),
    ("intermediate.dense.bias", "intermediate/dense/bias", &[Intermediate], Encoder),
    ("output.dense.weight", "output/dense/kernel", &[Hidden, Intermediate], Encoder),
    ("output.dense.bias", "output/dense/bias", &[Hidden], Encoder),
    ("output.LayerNorm.weight", "output/LayerNorm/gamma", &[Hidden], Encoder),
    ("output.LayerNorm.bias", "output/LayerNorm/beta", &[Hidden], Encoder),
];

const HEADS: Table = &[
    ("bert.pooler.dense.weight", "bert/pooler/dense/kernel", &[Hidden, Hidden], Pooler),
    ("bert.pooler.dense.bias", "bert/pooler/dense/bias", &[Hidden], Pooler),
    (
        "cls.predictions.transform.dense.weight",
        "cls/predictions/transform/dense/kernel",
        &[Hidden, Hidden],
        MlmHead,
    ),
    (
        "cls.predictions.transform.dense.bias",
        "cls/predictions/transform/dense/bias",
        &[Hidden],
        MlmHead,
    ),
    (
        "cls.predictions.transform.LayerNorm.weight",
        "cls/predictions/transform/LayerNorm/gamma",
        &[Hidden],
        MlmHead,
    ),
    (
        "cls.predictions.transform.LayerNorm.bias",
        "cls/predictions/transform/LayerNorm/beta",
        &[Hidden],
        MlmHead,
    ),
    (DECODER_BIAS, "cls/predictions/output_bias", &[Vocab], MlmHead),
    ("cls.seq_relationship.weight", "cls/seq_relationship/output_weights", &[Two, Hidden], NspHead),
    ("cls.seq_relationship.bias", "cls/seq_relationship/output_bias", &[Two], NspHead),
    ("classifier.weight", "output_weights", &[Label, Hidden], Classifier),
    ("classifier.bias", "output_bias", &[Label], Classifier),
];

/// Beginnings that other writers leave out or put before a name, and what they become; the first
/// that fits is taken, then the next.
const PREFIXES: &[(&str, &str)] = &[
    ("state_dict.", ""),
    ("model_state_dict.", ""),
    ("model.", ""),
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

/// Beginnings of a name's parts, between `/` and `.`, that say a tensor is an optimizer's.
const OPTIMIZER: &[&str] = &[
    "adam_m",
    "adam_v",
    "Adam",
    "AdamWeightDecayOptimizer",
    "BERTAdam",
    "LAMB",
    "global_step",
    "beta1_power",
    "beta2_power",
    "optimizer",
];

/// Whether `name` is of an optimizer's state, not of a model.
pub(crate) fn is_optimizers(name: &str) -> bool {
    name.split(['/', '.']).any(|part| OPTIMIZER.iter().any(|begin| part.starts_with(begin)))
}

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
    let mut add = |prefix: &str, tensorflow_prefix: &str, table: Table| {
        for &(name, tensorflow_name, axes, part) in table {
            if let Some(shape) = axes.iter().map(length).collect() {
                let name = format!("{prefix}{name}");
                let tensorflow_name = format!("{tensorflow_prefix}{tensorflow_name}");
                expected.push(ExpectedTensor { name, tensorflow_name, shape, part });
            }
        }
    };
    add("", "", EMBEDDINGS);
    for layer in 0..dimensions.num_hidden_layers {
        let (prefix, tensorflow_prefix) =
            (format!("bert.encoder.layer.{layer}."), format!("bert/encoder/layer_{layer}/"));
        add(&prefix, &tensorflow_prefix, LAYER);
    }
    add("", "", HEADS);
    expected
}

/// How the tensors of a file are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As PyTorch's modules, of any version of transformers or its forerunners.
    PyTorch,
    /// As the variables of google-research/bert.
    TensorFlow,
}

/// From the names of a file to the names of the table.
#[derive(Debug)]
pub(crate) enum Names {
    /// By rules.
    PyTorch,
    /// By the table: the Hugging Face names by TensorFlow's.
    TensorFlow(BTreeMap<String, String>),
}

impl Names {
    /// For a file that is called `naming`, of a model of `dimensions`.
    pub(crate) fn new(naming: Naming, dimensions: &Dimensions) -> Self {
        match naming {
            Naming::PyTorch => Self::PyTorch,
            Naming::TensorFlow => Self::TensorFlow(
                expected_tensors(dimensions)
                    .into_iter()
                    .map(|tensor| (tensor.tensorflow_name, tensor.name))
                    .collect(),
            ),
        }
    }

    /// The Hugging Face name of a tensor that a file calls `name`, and whether it lies transposed
    /// there; a name that is not in the table stays as it is.
    pub(crate) fn canonical(&self, name: &str) -> (String, bool) {
        match self {
            Self::PyTorch => (canonical_name(name), false),
            Self::TensorFlow(table) => match table.get(name) {
                Some(canonical) => (canonical.clone(), name.ends_with("/kernel")),
                None => (name.to_owned(), false),
            },
        }
    }
}

/// The Hugging Face name of a tensor that another writer called `name`.
fn canonical_name(name: &str) -> String {
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
