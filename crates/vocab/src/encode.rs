//! Documents → token store.
//!
//! Documents keep their order. Invariant: every token is accounted for, by source and language.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use bimed_artifact::{AtomicFile, Context, Unit, write_json_atomic};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::document::InputDocument;
use crate::store::{
    DocumentEntry, SENTENCE_START, STORE_VERSION, StoreIndex, WORD_START, id_bytes,
};
use crate::tokenizer::{Encoding, Tokenizer};
use crate::{Error, Result};

/// The `[encode]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncodeConfig {
    /// Documents encoded together, 1 to 65,536. It does not change the result.
    pub batch_documents: usize,
}

impl Default for EncodeConfig {
    fn default() -> Self {
        Self { batch_documents: 1024 }
    }
}

impl EncodeConfig {
    /// Everything out of range: key and message.
    pub fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if !(1..=65_536).contains(&self.batch_documents) {
            let message = format!("is `{}`, expected 1 to 65536", self.batch_documents);
            faults.push(("batch_documents".into(), message));
        }
        faults
    }
}

/// What became of the documents of one source and language.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeCounts {
    /// Documents.
    pub documents: u64,
    /// Documents without a single token; they keep an empty entry.
    pub empty_documents: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// NFC characters that tokens cover.
    pub chars: u64,
    /// Words: runs of one script in an eojeol, and punctuation characters.
    pub words: u64,
    /// Sentences that begin with a token.
    pub sentences: u64,
    /// Tokens.
    pub tokens: u64,
    /// Tokens that are `[UNK]`.
    pub unk_tokens: u64,
    /// Characters under `[UNK]`.
    pub unk_chars: u64,
    /// Characters beyond 255 in one token, which `chars.bin` cannot hold.
    pub saturated_chars: u64,
}

impl EncodeCounts {
    fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.empty_documents += other.empty_documents;
        self.bytes += other.bytes;
        self.chars += other.chars;
        self.words += other.words;
        self.sentences += other.sentences;
        self.tokens += other.tokens;
        self.unk_tokens += other.unk_tokens;
        self.unk_chars += other.unk_chars;
        self.saturated_chars += other.saturated_chars;
    }
}

/// What [`encode`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeSummary {
    /// The rows of the vocabulary.
    pub vocab_size: usize,
    /// The hash of `vocab.txt`.
    pub vocab_hash: String,
    /// Everything.
    pub total: EncodeCounts,
    /// By source, then language.
    pub by_source: BTreeMap<String, BTreeMap<String, EncodeCounts>>,
}

/// One document, encoded.
struct Encoded {
    ids: Vec<u8>,
    flags: Vec<u8>,
    chars: Vec<u8>,
    counts: EncodeCounts,
}

/// Encodes `documents` into the directory `out`, which must exist.
///
/// # Errors
/// When the documents, the config or the disk fail, or the step is cancelled.
pub fn encode<E>(
    documents: impl IntoIterator<Item = Result<InputDocument, E>>,
    tokenizer: &Tokenizer,
    config: &EncodeConfig,
    out: &Path,
    context: &Context<'_>,
) -> Result<EncodeSummary>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(Error::Config(faults));
    }
    context.progress.begin("encode", None, Unit::Documents);
    let mut writer = Writer::create(out, tokenizer)?;
    let mut documents = documents.into_iter();
    loop {
        context.cancel.check()?;
        let batch: Vec<InputDocument> = documents
            .by_ref()
            .take(config.batch_documents)
            .collect::<Result<_, E>>()
            .map_err(|error| Error::Documents(Box::new(error)))?;
        if batch.is_empty() {
            break;
        }
        let encoded: Vec<Encoded> = batch
            .par_iter()
            .map_init(Encoding::default, |encoding, document| {
                encode_document(tokenizer, document, encoding)
            })
            .collect();
        for (document, encoded) in batch.iter().zip(&encoded) {
            writer.push(document, encoded)?;
        }
        context.progress.advance(batch.len() as u64);
    }
    let summary = writer.finish(out)?;
    context.progress.end();
    Ok(summary)
}

/// Encodes `document`; `encoding` is room that is used again.
fn encode_document(
    tokenizer: &Tokenizer,
    document: &InputDocument,
    encoding: &mut Encoding,
) -> Encoded {
    tokenizer.encode_into(&document.text, encoding);
    let Encoding { ids, offsets, word_starts, chars, saturated_chars } = encoding;
    let saturated_chars = *saturated_chars;
    let wide = id_bytes(tokenizer.vocab().len() as u64) == 4;
    let unk = tokenizer.vocab().specials().unk;
    let mut bytes = Vec::with_capacity(ids.len() * if wide { 4 } else { 2 });
    for id in ids.iter() {
        let id = id.to_le_bytes();
        bytes.extend_from_slice(if wide { &id } else { &id[..2] });
    }
    let mut flags: Vec<u8> = word_starts.iter().map(|&start| u8::from(start)).collect();
    let mut sentences = 0;
    for &(start, end) in &document.sentences {
        let token = offsets.partition_point(|&(at, _)| at < start);
        if offsets.get(token).is_some_and(|&(at, _)| at < end) && flags[token] & SENTENCE_START == 0
        {
            flags[token] |= SENTENCE_START;
            sentences += 1;
        }
    }
    let covered: u64 = chars.iter().map(|&n| u64::from(n)).sum();
    let unknown = || ids.iter().zip(chars.iter()).filter(|(id, _)| **id == unk);
    let counts = EncodeCounts {
        documents: 1,
        empty_documents: u64::from(ids.is_empty()),
        bytes: document.text.len() as u64,
        chars: covered + saturated_chars,
        words: flags.iter().filter(|&&flags| flags & WORD_START != 0).count() as u64,
        sentences,
        tokens: ids.len() as u64,
        unk_tokens: unknown().count() as u64,
        // Only an `[UNK]` can cover more than 255 characters, for a word's pieces are at most 100.
        unk_chars: unknown().map(|(_, &n)| u64::from(n)).sum::<u64>() + saturated_chars,
        saturated_chars,
    };
    Encoded { ids: bytes, flags, chars: chars.clone(), counts }
}

struct Writer<'a> {
    tokenizer: &'a Tokenizer,
    ids: AtomicFile,
    flags: AtomicFile,
    chars: AtomicFile,
    documents: AtomicFile,
    names: [Names; 3],
    total: EncodeCounts,
    by_source: BTreeMap<String, BTreeMap<String, EncodeCounts>>,
}

/// Names in the order in which they were met.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn number(&mut self, name: &str) -> Result<u16> {
        let at = self.0.iter().position(|known| known == name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        u16::try_from(at).map_err(|_| {
            let message = format!("has more than {} names", u16::MAX);
            Error::Config(vec![("source".into(), message)])
        })
    }
}

impl<'a> Writer<'a> {
    fn create(out: &Path, tokenizer: &'a Tokenizer) -> Result<Self> {
        Ok(Self {
            tokenizer,
            ids: AtomicFile::create(&out.join("ids.bin"))?,
            flags: AtomicFile::create(&out.join("flags.bin"))?,
            chars: AtomicFile::create(&out.join("chars.bin"))?,
            documents: AtomicFile::create(&out.join("documents.bin"))?,
            names: Default::default(),
            total: EncodeCounts::default(),
            by_source: BTreeMap::new(),
        })
    }

    fn push(&mut self, document: &InputDocument, encoded: &Encoded) -> Result<()> {
        let [sources, languages, domains] = &mut self.names;
        let entry = DocumentEntry {
            start: self.total.tokens,
            end: self.total.tokens + encoded.counts.tokens,
            source: sources.number(&document.source)?,
            language: languages.number(&document.language)?,
            domain: domains.number(&document.domain)?,
            split: document.split,
        };
        self.ids.write_all(&encoded.ids)?;
        self.flags.write_all(&encoded.flags)?;
        self.chars.write_all(&encoded.chars)?;
        self.documents.write_all(&entry.to_bytes())?;
        self.total.add(&encoded.counts);
        let languages = self.by_source.entry(document.source.clone()).or_default();
        languages.entry(document.language.clone()).or_default().add(&encoded.counts);
        Ok(())
    }

    fn finish(self, out: &Path) -> Result<EncodeSummary> {
        for file in [self.ids, self.flags, self.chars, self.documents] {
            file.commit()?;
        }
        let vocab = self.tokenizer.vocab();
        let [sources, languages, domains] = self.names;
        let index = StoreIndex {
            version: STORE_VERSION,
            vocab_size: vocab.len() as u64,
            vocab_hash: vocab.hash().to_string(),
            tokens: self.total.tokens,
            documents: self.total.documents,
            sources: sources.0,
            languages: languages.0,
            domains: domains.0,
        };
        write_json_atomic(&out.join("index.json"), &index)?;
        Ok(EncodeSummary {
            vocab_size: vocab.len(),
            vocab_hash: index.vocab_hash,
            total: self.total,
            by_source: self.by_source,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bimed_artifact::{Cancel, Silent};
    use fs_err as fs;

    use super::*;
    use crate::{SPECIAL_TOKENS, Split, TokenStore, TokenizerOptions, Vocab};

    fn tokenizer(rows: usize) -> Tokenizer {
        let words = ["폐렴", "CT", "##상", "소견", ".", "chest"];
        let mut tokens: Vec<String> =
            SPECIAL_TOKENS.iter().chain(&words).map(ToString::to_string).collect();
        tokens.extend((tokens.len()..rows).map(|row| format!("[unused{row}]")));
        Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::default())
    }

    fn documents() -> Vec<InputDocument> {
        let new =
            |text: &str, language: &str, sentences: Vec<(usize, usize)>, split| InputDocument {
                text: text.into(),
                source: "notes".into(),
                language: language.into(),
                domain: "medical".into(),
                split,
                sentences,
                ..InputDocument::default()
            };
        vec![
            new("폐렴 소견. CT상 폐렴.", "ko", vec![(0, 14), (15, 28)], Split::Train),
            new("", "ko", vec![], Split::Train),
            new("chest 미지 chest", "mixed", vec![(0, 18)], Split::Valid),
        ]
    }

    fn build(dir: &Path, rows: usize) -> EncodeSummary {
        let documents = documents().into_iter().map(Ok::<_, Infallible>);
        let (cancel, config) = (Cancel::new(), EncodeConfig { batch_documents: 2 });
        let context = Context::new(&Silent, &cancel);
        encode(documents, &tokenizer(rows), &config, dir, &context).unwrap()
    }

    #[test]
    fn what_was_encoded_is_read_back_with_narrow_and_wide_ids() {
        for rows in [11, 65_536, 65_537] {
            let dir = tempfile::tempdir().unwrap();
            build(dir.path(), rows);
            let store = TokenStore::open(dir.path()).unwrap();
            let bytes = fs::metadata(dir.path().join("ids.bin")).unwrap().len();
            assert_eq!(bytes, 10 * if rows > 65_536 { 4 } else { 2 });
            let mut ids = vec![];
            store.read_ids(0..10, &mut ids);
            assert_eq!(ids, [5, 8, 9, 6, 7, 5, 9, 10, 1, 10]);
            // CT|상 are two words.
            assert_eq!(store.flags(0..10), [3, 1, 1, 3, 1, 1, 1, 3, 1, 1]);
            assert_eq!(store.chars(0..10), [2, 2, 1, 2, 1, 2, 1, 5, 2, 5]);
            let ends: Vec<_> =
                store.documents().iter().map(|d| (d.start, d.end, d.split)).collect();
            use Split::{Train, Valid};
            assert_eq!(ends, [(0, 7, Train), (7, 7, Train), (7, 10, Valid)]);
            assert_eq!(store.languages(), ["ko", "mixed"]);
        }
    }

    #[test]
    fn every_token_and_unknown_character_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let summary = build(dir.path(), 11);
        let mixed = &summary.by_source["notes"]["mixed"];
        assert_eq!((mixed.tokens, mixed.unk_tokens, mixed.unk_chars), (3, 1, 2));
        assert_eq!((summary.total.tokens, summary.total.empty_documents), (10, 1));
        assert_eq!((summary.total.chars, summary.total.sentences), (23, 3));
    }

    #[test]
    fn a_document_cannot_put_in_special_tokens_but_mask_tokens_are_one_id() {
        let mut tokens: Vec<String> = SPECIAL_TOKENS.map(str::to_owned).to_vec();
        let words = ["[NAME]", "[", "]", "##]", "MASK", "CLS", "SEP", "님", "의", "폐렴", "of"];
        tokens.extend(words.map(str::to_owned));
        let vocab = Vocab::new(tokens).unwrap();
        let (tokenizer, missing) = Tokenizer::new(vocab, TokenizerOptions::default())
            .with_added_tokens(&["[NAME]".into()]);
        assert!(missing.is_empty());
        let text = "[NAME]님의 폐렴 [MASK] of [CLS][NAME][SEP]";
        let document = InputDocument { text: text.into(), ..InputDocument::default() };
        let dir = tempfile::tempdir().unwrap();
        let cancel = Cancel::new();
        let documents = [Ok::<_, Infallible>(document)];
        let context = Context::new(&Silent, &cancel);
        encode(documents, &tokenizer, &EncodeConfig::default(), dir.path(), &context).unwrap();
        let store = TokenStore::open(dir.path()).unwrap();
        let mut ids = vec![];
        store.read_ids(0..store.documents()[0].end, &mut ids);
        let tokens: Vec<&str> = ids.iter().map(|&id| tokenizer.vocab().token(id)).collect();
        let expected = [
            "[NAME]", "[UNK]", "폐렴", "[", "MASK", "]", "of", "[", "CLS", "]", "[NAME]", "[",
            "SEP", "]",
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn a_shortened_file_is_refused() {
        for name in ["ids.bin", "flags.bin", "chars.bin", "documents.bin"] {
            let dir = tempfile::tempdir().unwrap();
            build(dir.path(), 11);
            let path = dir.path().join(name);
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
            let error = TokenStore::open(dir.path()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
