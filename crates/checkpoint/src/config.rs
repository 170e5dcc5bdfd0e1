//! What a model's config says of its shapes, and whether this version can follow it.
//!
//! Knows Hugging Face's keys and no behaviour: what a value means for the computation is `bert`'s.

use serde_json::{Map, Value};

use crate::error::ConfigFault;

/// The sizes that decide every tensor's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// `vocab_size`: rows of the word embeddings.
    pub vocab_size: usize,
    /// `hidden_size`.
    pub hidden_size: usize,
    /// `num_hidden_layers`.
    pub num_hidden_layers: usize,
    /// `num_attention_heads`; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// `intermediate_size`.
    pub intermediate_size: usize,
    /// `max_position_embeddings`: rows of the position embeddings.
    pub max_position_embeddings: usize,
    /// `type_vocab_size`: rows of the token type embeddings.
    pub type_vocab_size: usize,
    /// The classifier's outputs: entries of `id2label`, else `num_labels`, else 2 where
    /// `architectures` has a classifier (Hugging Face's default, which it does not write).
    pub num_labels: Option<usize>,
}

/// The largest value of a size; the product of two still fits 64 bits.
const MAX_SIZE: u64 = 1 << 30;
/// The largest number of layers, so that a wrong config cannot ask for a table without end.
const MAX_LAYERS: u64 = 1 << 10;

/// Keys that have one supported value, and that value; an absent key is Hugging Face's default,
/// which is the supported value too.
const ONLY: &[(&str, &str)] =
    &[("model_type", "bert"), ("hidden_act", "gelu"), ("position_embedding_type", "absolute")];

/// Switches that must be off.
const OFF: &[&str] = &["is_decoder", "add_cross_attention", "is_encoder_decoder"];

impl Dimensions {
    /// The sizes in `config`.
    ///
    /// # Errors
    /// Every fault at once: a size missing or out of range, an activation, position embedding or
    /// architecture that is not BERT's.
    pub fn from_config(config: &Map<String, Value>) -> Result<Self, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        for &(key, expected) in ONLY {
            match config.get(key) {
                None => {}
                Some(Value::String(found)) if found == expected => {}
                Some(found) => fault(&mut faults, key, found, &format!("`{expected}`")),
            }
        }
        for &key in OFF {
            match config.get(key) {
                None | Some(Value::Bool(false) | Value::Null) => {}
                Some(found) => fault(&mut faults, key, found, "`false`"),
            }
        }
        let mut size = |key, most| match config.get(key).map(|value| (value, value.as_u64())) {
            Some((_, Some(found))) if (1..=most).contains(&found) => found as usize,
            Some((found, _)) => {
                fault(&mut faults, key, found, &format!("1 to {most}"));
                0
            }
            None => {
                let message = "is missing, expected a number".into();
                faults.push(ConfigFault { key, message });
                0
            }
        };
        let dimensions = Self {
            vocab_size: size("vocab_size", MAX_SIZE),
            hidden_size: size("hidden_size", MAX_SIZE),
            num_hidden_layers: size("num_hidden_layers", MAX_LAYERS),
            num_attention_heads: size("num_attention_heads", MAX_SIZE),
            intermediate_size: size("intermediate_size", MAX_SIZE),
            max_position_embeddings: size("max_position_embeddings", MAX_SIZE),
            type_vocab_size: size("type_vocab_size", MAX_SIZE),
            num_labels: num_labels(config),
        };
        let (hidden, heads) = (dimensions.hidden_size, dimensions.num_attention_heads);
        if heads > 0 && hidden % heads != 0 {
            let message = format!("is `{heads}`, expected a divisor of hidden_size `{hidden}`");
            faults.push(ConfigFault { key: "num_attention_heads", message });
        }
        if faults.is_empty() { Ok(dimensions) } else { Err(faults) }
    }
}

fn num_labels(config: &Map<String, Value>) -> Option<usize> {
    let labels = match config.get("id2label") {
        Some(Value::Object(labels)) => Some(labels.len() as u64),
        _ => config.get("num_labels").and_then(Value::as_u64),
    };
    let architectures = config.get("architectures").and_then(Value::as_array);
    let classifies = architectures.is_some_and(|list| {
        list.iter().any(|class| class.as_str() == Some("BertForSequenceClassification"))
    });
    let labels = labels.or(classifies.then_some(2));
    labels.filter(|labels| (1..=MAX_SIZE).contains(labels)).map(|labels| labels as usize)
}

fn fault(faults: &mut Vec<ConfigFault>, key: &'static str, found: &Value, expected: &str) {
    let found = match found {
        Value::String(text) => text.chars().take(60).flat_map(char::escape_debug).collect(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        scalar => scalar.to_string(),
    };
    faults.push(ConfigFault { key, message: format!("is `{found}`, expected {expected}") });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(changes: Value, expected: &[&str]) {
        let mut config = crate::tests::tiny_config();
        for (key, value) in changes.as_object().unwrap() {
            config.insert(key.clone(), value.clone());
        }
        let faults = Dimensions::from_config(&config).err().unwrap_or_default();
        let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_plain_bert_is_accepted_and_every_other_thing_is_refused_by_name_at_once() {
        check(serde_json::json!({}), &[]);
        check(
            serde_json::json!({
                "model_type": "roberta", "hidden_act": "gelu_new", "is_decoder": true,
                "position_embedding_type": "relative_key", "vocab_size": -3,
                "num_hidden_layers": 1_000_000_000_000_u64, "num_attention_heads": 3,
                "type_vocab_size": 0,
            }),
            &[
                "model_type is `roberta`, expected `bert`",
                "hidden_act is `gelu_new`, expected `gelu`",
                "position_embedding_type is `relative_key`, expected `absolute`",
                "is_decoder is `true`, expected `false`",
                "vocab_size is `-3`, expected 1 to 1073741824",
                "num_hidden_layers is `1000000000000`, expected 1 to 1024",
                "type_vocab_size is `0`, expected 1 to 1073741824",
                "num_attention_heads is `3`, expected a divisor of hidden_size `8`",
            ],
        );
    }

    #[test]
    fn a_missing_size_is_named() {
        let mut config = crate::tests::tiny_config();
        config.remove("intermediate_size");
        let faults = Dimensions::from_config(&config).unwrap_err();
        assert_eq!(faults[0].to_string(), "intermediate_size is missing, expected a number");
    }
}
