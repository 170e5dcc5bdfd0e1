//! Schemas of XML that need no paths of their own in a config.

use serde::{Deserialize, Serialize};

/// Schemas of XML that are known: which elements are records, text, and neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XmlSchema {
    /// Articles of journals, as PubMed Central has them.
    Jats,
    /// Sets of PubMed's abstracts.
    Pubmed,
    /// Questions with answers.
    Medquad,
    /// Modules of OpenStax's textbooks.
    Cnxml,
}

/// The paths of a schema, which those of a source replace one by one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SchemaPaths {
    pub record: Option<&'static str>,
    pub text: &'static [&'static str],
    pub skip: &'static [&'static str],
    pub id: Option<&'static str>,
}

impl XmlSchema {
    pub(crate) fn paths(self) -> SchemaPaths {
        match self {
            Self::Jats => SchemaPaths {
                record: Some("article"),
                // Journals give titles and abstracts in two languages.
                text: &[
                    "title-group/article-title",
                    "trans-title-group/trans-title",
                    "article-meta/abstract",
                    "article-meta/trans-abstract",
                    "article/body",
                ],
                skip: &[
                    "ref-list",
                    "tex-math",
                    "math",
                    "object-id",
                    "supplementary-material",
                    "sub-article",
                    "response",
                ],
                id: Some("article-meta/article-id"),
            },
            Self::Pubmed => SchemaPaths {
                record: Some("PubmedArticle"),
                text: &["ArticleTitle", "VernacularTitle", "AbstractText"],
                skip: &["ReferenceList", "math"],
                id: Some("MedlineCitation/PMID"),
            },
            Self::Medquad => SchemaPaths {
                record: Some("QAPair"),
                text: &["Question", "Answer"],
                ..SchemaPaths::default()
            },
            Self::Cnxml => SchemaPaths {
                record: Some("document"),
                text: &["document/title", "content", "glossary"],
                skip: &["media", "iframe", "math"],
                id: Some("metadata/content-id"),
            },
        }
    }
}
