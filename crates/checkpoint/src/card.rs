//! The model card: `README.md` with the YAML that the Hugging Face hub reads.
//!
//! Knows nothing of what was trained: it writes what it is given and invents nothing.
//!
//! Source: <https://huggingface.co/docs/hub/model-cards#model-card-metadata>

use std::collections::BTreeSet;

/// The file of a model's card.
pub const CARD_FILE: &str = "README.md";

/// What a model card says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelCard {
    /// The heading.
    pub title: String,
    /// ISO 639-1 codes, e.g. `ko`, `en`.
    pub languages: Vec<String>,
    /// The licence's identifier on the hub, e.g. `apache-2.0`.
    pub license: Option<String>,
    /// The hub's name of the model that this one was continued from.
    pub base_model: Option<String>,
    /// Texts that the hub's page offers to try.
    pub widget: Vec<String>,
    /// The hub's task, e.g. `fill-mask`.
    pub pipeline_tag: Option<String>,
    /// Free tags.
    pub tags: Vec<String>,
    /// The hub's names of data sets that it was trained on.
    pub datasets: Vec<String>,
    /// What was measured, for the `model-index`.
    pub results: Vec<CardResult>,
    /// Markdown after the heading.
    pub body: String,
}

/// A figure of the `model-index`.
///
/// Source: <https://huggingface.co/docs/hub/model-cards#evaluation-results>
#[derive(Debug, Clone, PartialEq)]
pub struct CardResult {
    /// The hub's task, e.g. `sentence-similarity`.
    pub task: String,
    /// What it was measured on, by its name here and, for want of another, as the hub's identifier.
    pub dataset: String,
    /// The split, e.g. `test`.
    pub split: Option<String>,
    /// The metric's identifier, e.g. `pearsonr`.
    pub metric: String,
    /// The metric's name here.
    pub metric_name: String,
    /// The figure.
    pub value: f64,
}

impl CardResult {
    fn to_yaml(&self) -> String {
        let [task, dataset, metric, name] =
            [&self.task, &self.dataset, &self.metric, &self.metric_name].map(|text| quoted(text));
        let split = self
            .split
            .as_ref()
            .map_or(String::new(), |split| format!("      split: {}\n", quoted(split)));
        let value = serde_json::Value::from(self.value);
        format!(
            "  - task:\n      type: {task}\n    dataset:\n      name: {dataset}\n      type: {dataset}\n\
             {split}    metrics:\n    - type: {metric}\n      name: {name}\n      value: {value}\n"
        )
    }
}

impl ModelCard {
    /// The file's content.
    pub fn to_markdown(&self) -> String {
        let mut yaml = String::new();
        let mut list = |key: &str, items: &[String]| {
            if !items.is_empty() {
                yaml.push_str(&format!("{key}:\n"));
                yaml.extend(items.iter().map(|item| format!("- {}\n", quoted(item))));
            }
        };
        list("language", &self.languages);
        list("tags", &self.tags);
        list("datasets", &self.datasets);
        list("metrics", &self.metrics());
        let scalars = [
            ("license", &self.license),
            ("base_model", &self.base_model),
            ("pipeline_tag", &self.pipeline_tag),
        ];
        for (key, value) in scalars {
            if let Some(value) = value {
                yaml.push_str(&format!("{key}: {}\n", quoted(value)));
            }
        }
        if self.base_model.is_some() {
            yaml.push_str("base_model_relation: finetune\n");
        }
        if !self.widget.is_empty() {
            yaml.push_str("widget:\n");
            yaml.extend(self.widget.iter().map(|text| format!("- text: {}\n", quoted(text))));
        }
        yaml.push_str("library_name: transformers\n");
        let title = if self.title.is_empty() { "Model" } else { &self.title };
        if !self.results.is_empty() {
            yaml.push_str(&format!("model-index:\n- name: {}\n  results:\n", quoted(title)));
            yaml.extend(self.results.iter().map(CardResult::to_yaml));
        }
        format!("---\n{yaml}---\n\n# {title}\n\n{}\n", self.body.trim()).trim_end().to_owned()
            + "\n"
    }

    /// The identifiers of the metrics that were measured, each once.
    fn metrics(&self) -> Vec<String> {
        let metrics: BTreeSet<&String> = self.results.iter().map(|one| &one.metric).collect();
        metrics.into_iter().cloned().collect()
    }
}

/// A YAML scalar that reads back as the same text: JSON strings are YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_has_metadata_that_no_value_can_break_out_of() {
        let card = ModelCard {
            title: "이중언어 의료 BERT".into(),
            languages: vec!["ko".into(), "no".into()],
            license: Some("x\n---\nevil: 1".into()),
            base_model: Some("someone/base".into()),
            widget: vec!["폐렴 [MASK]: \"both\" lung".into()],
            body: "말뭉치와 corpus.".into(),
            results: vec![CardResult {
                task: "sentence-similarity".into(),
                dataset: "임상 STS: \"ko\"".into(),
                split: Some("test".into()),
                metric: "pearsonr".into(),
                metric_name: "pearson".into(),
                value: 0.8125,
            }],
            ..ModelCard::default()
        };
        assert_eq!(
            card.to_markdown(),
            "---\nlanguage:\n- \"ko\"\n- \"no\"\nmetrics:\n- \"pearsonr\"\nlicense: \"x\\n---\\nevil: 1\"\n\
             base_model: \"someone/base\"\nbase_model_relation: finetune\nwidget:\n\
             - text: \"폐렴 [MASK]: \\\"both\\\" lung\"\nlibrary_name: transformers\n\
             model-index:\n- name: \"이중언어 의료 BERT\"\n  results:\n  - task:\n      type: \"sentence-similarity\"\n    \
             dataset:\n      name: \"임상 STS: \\\"ko\\\"\"\n      type: \"임상 STS: \\\"ko\\\"\"\n      \
             split: \"test\"\n    metrics:\n    - type: \"pearsonr\"\n      name: \"pearson\"\n      value: 0.8125\n---\n\n# 이중언어 의료 BERT\n\n말뭉치와 corpus.\n"
        );
    }
}
