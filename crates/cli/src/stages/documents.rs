//! A corpus as the stages of the vocabulary take it.

use std::path::Path;

use bimed_artifact::AccessTier;
use bimed_corpus::{Document, Error, read_documents};
use bimed_vocab::{InputDocument, Split};

/// The documents of the corpus in `dir`.
///
/// # Errors
/// As [`read_documents`].
pub(crate) fn documents(
    dir: &Path,
) -> Result<impl Iterator<Item = Result<InputDocument, Error>> + use<>, Error> {
    Ok(read_documents(dir)?.map(|document| document.map(input)))
}

fn input(document: Document) -> InputDocument {
    InputDocument {
        text: document.text,
        source: document.source,
        language: document.language,
        domain: document.domain,
        split: match document.split {
            bimed_corpus::Split::Train => Split::Train,
            bimed_corpus::Split::Valid => Split::Valid,
        },
        group: Some(document.split_group),
        private: document.access_tier == AccessTier::Private,
        sentences: document.sentences,
    }
}
