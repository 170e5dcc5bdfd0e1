//! WordPiece training, encoding, tokenizer files, the token store.
//!
//! Owns the way from text to rows of an embedding: training a vocabulary, splitting text exactly as
//! Hugging Face `tokenizers` does, the files both sides read, the tokens on disk, and where each row
//! of a new vocabulary comes from in an old one. It knows nothing of models or of training.
//!
//! Invariant: the same documents and config give the same bytes, whatever their order and the
//! number of threads; no message holds text of a document.

mod alphabet;
mod characters;
mod config;
mod count;
mod deny;
mod document;
mod encode;
mod error;
mod extend;
mod files;
mod focus;
mod growth;
mod longest;
mod merge;
mod normalize;
mod options;
mod pairs;
mod pieces;
mod private_words;
mod provenance;
mod report;
mod room;
mod row_map;
mod script;
mod seeds;
mod spectrum;
mod store;
mod summary;
mod tokenizer;
mod train;
mod trie;
mod vectors;
mod vocabulary;
mod word_counts;
mod word_list;
mod words;

pub use config::{OnShortfall, Policy, Quota, VocabConfig};
pub use count::CountSummary;
pub use document::{InputDocument, Split};
pub use encode::{EncodeConfig, EncodeCounts, EncodeSummary, encode};
pub use error::{Error, Result};
pub use extend::{WordListSummary, extend, extend_by_words};
pub use files::{BERT_MAX_LENGTH, save_tokenizer};
pub use options::{MAX_WORD_CHARS, TokenizerOptions};
pub use pieces::{Composition, RowsByScript};
pub use provenance::{NormCounts, Provenance, RowOrigin};
pub use report::{
    CodeMix, ComparedVocabulary, DocumentFrequency, Overlap, ReportConfig, TermList, TermMeasures,
    TextMeasures, VocabReport, VocabularyReport, report,
};
pub use room::Refilled;
pub use row_map::{Filling, Init, Method, fill_row_map};
pub use script::Script;
pub use store::{DocumentEntry, SENTENCE_START, TokenStore, WORD_START};
pub use summary::VocabSummary;
pub use tokenizer::{Encoding, SpecialTokens, Tokenizer};
pub use train::{train, train_words};
pub use vectors::{TokenVectors, VectorSummary};
pub use vocabulary::{CONTINUATION, SPECIAL_TOKENS, Specials, Vocab};
pub use word_counts::WordCounts;
