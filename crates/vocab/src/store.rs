//! A corpus as tokens on disk.
//!
//! Four arrays with one entry a token, and an index. All files are little-endian:
//! `ids.bin` (`u16` up to 65,536 rows, else `u32`), `flags.bin` (`u8`), `chars.bin` (`u8`),
//! `documents.bin` (24 bytes a document), `index.json`. The index is written last.
//!
//! Invariant of an open store: the lengths agree, and documents lie one after another from 0 to
//! the end.

use std::ops::Range;
use std::path::{Path, PathBuf};

use fs_err as fs;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};

use crate::document::Split;
use crate::{Error, Result};

/// A word begins with the token.
pub const WORD_START: u8 = 1;
/// A sentence begins with the token.
pub const SENTENCE_START: u8 = 2;

/// The largest vocabulary whose rows fit `u16`.
const U16_ROWS: u64 = 1 << 16;
/// Bytes of a document's entry: start `u64`, end `u64`, source, language, domain, split `u16`.
pub(crate) const DOCUMENT_BYTES: usize = 24;
/// The revision of the form.
pub(crate) const STORE_VERSION: u32 = 1;

/// Where a document's tokens lie and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentEntry {
    /// Its first token.
    pub start: u64,
    /// One past its last token.
    pub end: u64,
    /// Its source, in [`TokenStore::sources`].
    pub source: u16,
    /// Its language, in [`TokenStore::languages`].
    pub language: u16,
    /// Its domain, in [`TokenStore::domains`].
    pub domain: u16,
    /// Its side of the split.
    pub split: Split,
}

impl DocumentEntry {
    pub(crate) fn to_bytes(self) -> [u8; DOCUMENT_BYTES] {
        let mut bytes = [0; DOCUMENT_BYTES];
        bytes[..8].copy_from_slice(&self.start.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.end.to_le_bytes());
        bytes[16..18].copy_from_slice(&self.source.to_le_bytes());
        bytes[18..20].copy_from_slice(&self.language.to_le_bytes());
        bytes[20..22].copy_from_slice(&self.domain.to_le_bytes());
        bytes[22..].copy_from_slice(&u16::from(self.split == Split::Valid).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| (0..8).rev().fold(0, |n, i| n << 8 | u64::from(bytes[at + i]));
        let split = if short(22) == 0 { Split::Train } else { Split::Valid };
        Self {
            start: long(0),
            end: long(8),
            source: short(16),
            language: short(18),
            domain: short(20),
            split,
        }
    }
}

/// `index.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreIndex {
    pub(crate) version: u32,
    pub(crate) vocab_size: u64,
    pub(crate) vocab_hash: String,
    pub(crate) tokens: u64,
    pub(crate) documents: u64,
    pub(crate) sources: Vec<String>,
    pub(crate) languages: Vec<String>,
    pub(crate) domains: Vec<String>,
}

/// The bytes of an id in `ids.bin`.
pub(crate) fn id_bytes(vocab_size: u64) -> usize {
    if vocab_size <= U16_ROWS { 2 } else { 4 }
}

/// A token store that is open for reading, mapped into memory.
#[derive(Debug)]
pub struct TokenStore {
    index: StoreIndex,
    documents: Vec<DocumentEntry>,
    ids: Option<Mmap>,
    flags: Option<Mmap>,
    chars: Option<Mmap>,
}

impl TokenStore {
    /// Opens the store in `dir`.
    ///
    /// # Errors
    /// When a file is missing, of another version, or of a length that disagrees with the index.
    pub fn open(dir: &Path) -> Result<Self> {
        let index_path = dir.join("index.json");
        let bytes = fs::read(&index_path)?;
        let index: StoreIndex = serde_json::from_slice(&bytes).map_err(|error| Error::Format {
            path: index_path.clone(),
            found: format!("{:?} fault at line {}", error.classify(), error.line()),
            expected: "the index of a token store".into(),
        })?;
        if index.version != STORE_VERSION {
            return Err(Error::Format {
                path: index_path,
                found: format!("version {}", index.version),
                expected: format!("version {STORE_VERSION}"),
            });
        }
        let width = id_bytes(index.vocab_size) as u64;
        let ids = map(dir.join("ids.bin"), index.tokens, width)?;
        let flags = map(dir.join("flags.bin"), index.tokens, 1)?;
        let chars = map(dir.join("chars.bin"), index.tokens, 1)?;
        let path = dir.join("documents.bin");
        let entries = fs::read(&path)?;
        check_len(&path, entries.len() as u64, index.documents, DOCUMENT_BYTES as u64)?;
        let documents: Vec<DocumentEntry> =
            entries.chunks_exact(DOCUMENT_BYTES).map(DocumentEntry::from_bytes).collect();
        let store = Self { index, documents, ids, flags, chars };
        store.check_documents(&path)?;
        Ok(store)
    }

    fn check_documents(&self, path: &Path) -> Result<()> {
        let mut at = 0;
        for (number, entry) in self.documents.iter().enumerate() {
            let named = usize::from(entry.source) < self.index.sources.len()
                && usize::from(entry.language) < self.index.languages.len()
                && usize::from(entry.domain) < self.index.domains.len();
            if entry.start != at || entry.end < entry.start || !named {
                return Err(Error::Format {
                    path: path.to_path_buf(),
                    found: format!("document {number} at {}..{}", entry.start, entry.end),
                    expected: format!("a document of a listed source from {at}"),
                });
            }
            at = entry.end;
        }
        if at != self.index.tokens {
            return Err(Error::Format {
                path: path.to_path_buf(),
                found: format!("documents up to token {at}"),
                expected: format!("up to token {}", self.index.tokens),
            });
        }
        Ok(())
    }

    /// The rows of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.index.vocab_size as usize
    }

    /// The hash of the vocabulary's `vocab.txt`.
    pub fn vocab_hash(&self) -> &str {
        &self.index.vocab_hash
    }

    /// The number of tokens.
    pub fn num_tokens(&self) -> u64 {
        self.index.tokens
    }

    /// The documents in order.
    pub fn documents(&self) -> &[DocumentEntry] {
        &self.documents
    }

    /// The names of the sources.
    pub fn sources(&self) -> &[String] {
        &self.index.sources
    }

    /// The names of the languages.
    pub fn languages(&self) -> &[String] {
        &self.index.languages
    }

    /// The names of the domains.
    pub fn domains(&self) -> &[String] {
        &self.index.domains
    }

    /// Appends the ids of the tokens `range` to `out`.
    ///
    /// # Panics
    /// When the range reaches beyond the store.
    pub fn read_ids(&self, range: Range<u64>, out: &mut Vec<u32>) {
        let width = id_bytes(self.index.vocab_size);
        let bytes = slice(&self.ids, range.start * width as u64..range.end * width as u64);
        if width == 2 {
            let (pairs, _) = bytes.as_chunks::<2>();
            out.extend(pairs.iter().map(|pair| u32::from(u16::from_le_bytes(*pair))));
        } else {
            let (quads, _) = bytes.as_chunks::<4>();
            out.extend(quads.iter().map(|quad| u32::from_le_bytes(*quad)));
        }
    }

    /// How often each row of the vocabulary occurs in the documents of `split`.
    pub fn count_ids(&self, split: Split) -> Vec<u64> {
        let mut counts = vec![0; self.vocab_size()];
        let mut ids = Vec::new();
        for document in self.documents.iter().filter(|document| document.split == split) {
            ids.clear();
            self.read_ids(document.start..document.end, &mut ids);
            ids.iter().for_each(|&id| counts[id as usize] += 1);
        }
        counts
    }

    /// The flags of the tokens `range`: [`WORD_START`], [`SENTENCE_START`].
    ///
    /// # Panics
    /// When the range reaches beyond the store.
    pub fn flags(&self, range: Range<u64>) -> &[u8] {
        slice(&self.flags, range)
    }

    /// The NFC characters that each of the tokens `range` covers.
    ///
    /// # Panics
    /// When the range reaches beyond the store.
    pub fn chars(&self, range: Range<u64>) -> &[u8] {
        slice(&self.chars, range)
    }
}

fn slice(map: &Option<Mmap>, range: Range<u64>) -> &[u8] {
    let bytes: &[u8] = map.as_deref().unwrap_or(&[]);
    &bytes[range.start as usize..range.end as usize]
}

fn check_len(path: &Path, found: u64, entries: u64, width: u64) -> Result<()> {
    if entries.checked_mul(width) == Some(found) {
        return Ok(());
    }
    Err(Error::Format {
        path: path.to_path_buf(),
        found: format!("{found} bytes"),
        expected: format!("{entries} entries of {width} bytes"),
    })
}

/// Maps a file of `entries` × `width` bytes; `None` for an empty one, which cannot be mapped.
fn map(path: PathBuf, entries: u64, width: u64) -> Result<Option<Mmap>> {
    let file = fs::File::open(&path)?;
    let found = file.metadata()?.len();
    check_len(&path, found, entries, width)?;
    if found == 0 {
        return Ok(None);
    }
    #[expect(unsafe_code, reason = "a committed store is never written to again")]
    let map = unsafe { Mmap::map(file.file()) }?;
    Ok(Some(map))
}
