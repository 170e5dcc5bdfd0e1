//! WordPiece training, encoding, tokenizer files, the token store.
//!
//! Owns the way from text to rows of an embedding: training a vocabulary, splitting text exactly as
//! Hugging Face `tokenizers` does, the files both sides read, the tokens on disk, and where each row
//! of a new vocabulary comes from in an old one. It knows nothing of models or of training.
//!
//! Invariant: the same documents and config give the same bytes, whatever their order and the
//! number of threads; no message holds text of a document.

mod characters;
mod document;
mod encode;
mod error;
mod files;
mod normalize;
mod script;
mod store;
mod tokenizer;
mod trie;
mod vocabulary;

pub use document::{InputDocument, Split};
pub use encode::{EncodeConfig, EncodeCounts, EncodeSummary, encode};
pub use error::{Error, Result};
pub use files::save_tokenizer;
pub use script::Script;
pub use store::{DocumentEntry, SENTENCE_START, TokenStore, WORD_START};
pub use tokenizer::{Encoding, MAX_WORD_CHARS, Tokenizer, TokenizerOptions};
pub use vocabulary::{CONTINUATION, SPECIAL_TOKENS, Specials, Vocab};
