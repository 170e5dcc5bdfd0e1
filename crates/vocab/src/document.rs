//! A document as this crate takes it.

/// What the stages of the vocabulary need to know of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputDocument {
    /// The text.
    pub text: String,
    /// The name of its source.
    pub source: String,
    /// `ko`, `en`, `mixed`, `other` or `num`.
    pub language: String,
    /// The domain: `medical`, `general`, …
    pub domain: String,
    /// Which side of the split it is on.
    pub split: Split,
    /// Whom the document is about, as an opaque key; the document itself where this is `None`.
    pub group: Option<String>,
    /// Whether words need a floor of distinct groups before they may reach the vocabulary.
    pub private: bool,
    /// The sentences, as byte ranges of the text in order.
    pub sentences: Vec<(usize, usize)>,
}

/// A side of the split of the documents.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Trained on.
    #[default]
    Train,
    /// Held out.
    Valid,
}
