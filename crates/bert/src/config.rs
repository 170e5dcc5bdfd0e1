//! `config.json` of a BERT, in Hugging Face's keys.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A BERT's shape. Defaults are BERT-base's.
///
/// Source: Devlin et al. 2019 §3 and Hugging Face's `BertConfig`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BertConfig {
    /// Rows of the word embedding.
    pub vocab_size: usize,
    /// Width of the activations; a multiple of the number of heads.
    pub hidden_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads a layer.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Only `gelu`, the exact one.
    pub hidden_act: String,
    /// Dropout after the embeddings and each sublayer, 0 to 1 (exclusive).
    pub hidden_dropout_prob: f64,
    /// Dropout of the attention weights, 0 to 1 (exclusive).
    pub attention_probs_dropout_prob: f64,
    /// Rows of the position embedding: the longest sample in tokens.
    pub max_position_embeddings: usize,
    /// Rows of the token-type embedding.
    pub type_vocab_size: usize,
    /// Standard deviation of a random start.
    pub initializer_range: f64,
    /// Epsilon of every layer norm.
    pub layer_norm_eps: f64,
    /// The padding token's row.
    pub pad_token_id: usize,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30_522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3_072,
            hidden_act: "gelu".into(),
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            pad_token_id: 0,
        }
    }
}

/// A `config.json` that is not of a BERT that this model computes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A key has a value that would change what the model computes.
    #[error("config.json: `{key}` is `{found}`, expected {expected}")]
    Unsupported {
        /// The key.
        key: String,
        /// Its value.
        found: String,
        /// What this model computes.
        expected: String,
    },
    /// A key has the wrong type.
    #[error("config.json: {0}")]
    Type(#[from] serde_json::Error),
}

/// Keys that must have one value where they are present.
const FIXED: [(&str, &[&str]); 5] = [
    ("model_type", &["bert"]),
    ("position_embedding_type", &["absolute"]),
    ("is_decoder", &["false"]),
    ("add_cross_attention", &["false"]),
    ("tie_word_embeddings", &["true"]),
];

impl BertConfig {
    /// Reads Hugging Face's `config.json`: keys that do not change the computation are passed over,
    /// values that this model does not compute are refused by name.
    ///
    /// # Errors
    /// The first unsupported value, or value of a wrong type.
    pub fn from_hugging_face(json: &Map<String, Value>) -> Result<Self, ConfigError> {
        for (key, allowed) in FIXED {
            let Some(value) = json.get(key) else { continue };
            let found = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if found != "null" && !allowed.contains(&found.as_str()) {
                return Err(unsupported(key, &found, &format!("`{}`", allowed.join("` or `"))));
            }
        }
        let known = match serde_json::to_value(Self::default())? {
            Value::Object(known) => known,
            _ => Map::new(),
        };
        let kept = json.iter().filter(|(key, value)| known.contains_key(*key) && !value.is_null());
        let kept = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
        let config: Self = serde_json::from_value(Value::Object(kept))?;
        match config.faults().into_iter().next() {
            Some((key, message)) => Err(ConfigError::Unsupported {
                found: json.get(&key).map_or_else(String::new, Value::to_string),
                key,
                expected: message,
            }),
            None => Ok(config),
        }
    }

    /// Hugging Face's `config.json` of this shape.
    pub fn to_hugging_face(&self) -> Map<String, Value> {
        let mut json = Map::new();
        json.insert("architectures".into(), serde_json::json!(["BertForPreTraining"]));
        json.insert("model_type".into(), "bert".into());
        json.insert("position_embedding_type".into(), "absolute".into());
        if let Ok(Value::Object(own)) = serde_json::to_value(self) {
            json.extend(own);
        }
        json
    }

    /// Every value out of range: the key and what was expected of it.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        let mut fault = |key: &str, message: String| faults.push((key.to_owned(), message));
        let positive = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        for (key, value) in positive {
            if value == 0 {
                fault(key, "is `0`, expected 1 or more".into());
            }
        }
        if self.num_attention_heads > 0
            && !self.hidden_size.is_multiple_of(self.num_attention_heads)
        {
            let heads = self.num_attention_heads;
            fault(
                "hidden_size",
                format!("is `{}`, expected a multiple of the {heads} heads", self.hidden_size),
            );
        }
        for (key, value) in [
            ("hidden_dropout_prob", self.hidden_dropout_prob),
            ("attention_probs_dropout_prob", self.attention_probs_dropout_prob),
        ] {
            if !(0.0..1.0).contains(&value) {
                fault(key, format!("is `{value}`, expected 0 to below 1"));
            }
        }
        if self.hidden_act != "gelu" {
            fault("hidden_act", format!("is `{}`, expected `gelu`", self.hidden_act));
        }
        if self.layer_norm_eps <= 0.0 {
            fault("layer_norm_eps", format!("is `{}`, expected above 0", self.layer_norm_eps));
        }
        faults
    }
}

fn unsupported(key: &str, found: &str, expected: &str) -> ConfigError {
    ConfigError::Unsupported { key: key.into(), found: found.into(), expected: expected.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: Value) -> Result<BertConfig, ConfigError> {
        BertConfig::from_hugging_face(json.as_object().unwrap())
    }

    #[test]
    fn a_config_survives_the_round_trip() {
        let config = BertConfig { vocab_size: 45_000, ..BertConfig::default() };
        assert_eq!(BertConfig::from_hugging_face(&config.to_hugging_face()).unwrap(), config);
    }

    #[test]
    fn keys_of_other_tools_are_passed_over() {
        let config = read(serde_json::json!({
            "vocab_size": 119_547, "directionality": "bidi", "pooler_num_fc_layers": 3,
            "classifier_dropout": null,
        }));
        assert_eq!(config.unwrap().vocab_size, 119_547);
    }

    #[test]
    fn what_would_compute_something_else_is_refused_by_name() {
        for json in [
            serde_json::json!({"hidden_act": "gelu_new"}),
            serde_json::json!({"position_embedding_type": "relative_key"}),
            serde_json::json!({"model_type": "roberta"}),
            serde_json::json!({"hidden_size": 100, "num_attention_heads": 3}),
            serde_json::json!({"is_decoder": true}),
        ] {
            let key = json.as_object().unwrap().keys().next().unwrap().clone();
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(&key), "{error}");
        }
    }
}
