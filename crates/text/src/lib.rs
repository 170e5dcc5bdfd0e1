//! Normalisation, the structure of pages, script classes, words, sentence bounds, languages and
//! identifiers.
//!
//! Owns what a character, a word and a sentence are for every stage. It knows nothing of files,
//! documents or vocabularies.
//!
//! Invariant: every range is a byte range of the given text, on character bounds, ascending;
//! normalising twice gives what normalising once gives.

mod fold;
mod identifiers;
mod language;
mod script;
mod sentence;
mod structure;
mod word;

pub use fold::normalize_counting;
pub use fold::{FOLD_TABLE, FoldCounts, FoldOptions, FoldRule, fold_table, normalize};
pub use identifiers::{
    Identifier, IdentifierClass, IdentifierCounts, IdentifierScanner, ListTooLong, mask_removed,
};
pub use language::{
    LANGUAGES, Language, LanguageInfo, hangul_ratio, language, language_of, language_tag,
};
pub use script::{Script, ScriptCounts};
pub use sentence::sentences;
pub use structure::{Section, StructureCounts, StructureOptions, sections, structure};
pub use word::{ScriptRun, Word, script_runs, words};
