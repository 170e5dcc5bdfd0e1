//! The model card: `README.md` with the YAML that the Hugging Face hub reads.
//!
//! Knows nothing of what was trained: it writes what it is given and invents nothing.
//!
//! Source: <https://huggingface.co/docs/hub/model-cards#model-card-metadata>

/// What a model card says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// Markdown after the heading.
    pub body: String,
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
        format!("---\n{yaml}---\n\n# {title}\n\n{}\n", self.body.trim()).trim_end().to_owned()
            + "\n"
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
            ..ModelCard::default()
        };
        assert_eq!(
            card.to_markdown(),
            "---\nlanguage:\n- \"ko\"\n- \"no\"\nlicense: \"x\\n---\\nevil: 1\"\n\
             base_model: \"someone/base\"\nbase_model_relation: finetune\nwidget:\n\
             - text: \"폐렴 [MASK]: \\\"both\\\" lung\"\nlibrary_name: transformers\n---\n\n# 이중언어 의료 BERT\n\n말뭉치와 corpus.\n"
        );
    }
}
