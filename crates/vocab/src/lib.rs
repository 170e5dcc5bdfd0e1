//! WordPiece training, encoding, tokenizer files, the token store.
//!
//! Owns the way from text to rows of an embedding: training a vocabulary, splitting text exactly as
//! Hugging Face `tokenizers` does, the files both sides read, the tokens on disk, and where each row
//! of a new vocabulary comes from in an old one. It knows nothing of models or of training.
//!
//! Invariant: the same documents and config give the same bytes, whatever their order and the
//! number of threads; no message holds text of a document.

mod characters;
mod config;
mod count;
mod document;
mod encode;
mod error;
mod files;
mod merge;
mod normalize;
mod options;
mod pieces;
mod report;
mod row_map;
mod script;
mod store;
mod tokenizer;
mod train;
mod trie;
mod vocabulary;
mod words;

pub use config::{OnShortfall, Policy, Quota, VocabConfig};
pub use count::CountSummary;
pub use document::{InputDocument, Split};
pub use encode::{EncodeConfig, EncodeCounts, EncodeSummary, encode};
pub use error::{Error, Result};
pub use files::{BERT_MAX_LENGTH, save_tokenizer};
pub use options::{MAX_WORD_CHARS, TokenizerOptions};
pub use pieces::{Composition, RowsByScript};
pub use report::{Overlap, TextMeasures, VocabReport, VocabularyReport, report};
pub use row_map::{Init, Method, Provenance, RowOrigin, fill_row_map};
pub use script::Script;
pub use store::{DocumentEntry, SENTENCE_START, TokenStore, WORD_START};
pub use tokenizer::{Encoding, Tokenizer};
pub use train::{VocabSummary, train};
pub use vocabulary::{CONTINUATION, SPECIAL_TOKENS, Specials, Vocab};
