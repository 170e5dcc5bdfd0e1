//! BERT's tokenizer: text → ids, with what each token covers.
//!
//! Ids are exactly those of Hugging Face `tokenizers` 0.23.2 with `BertNormalizer`,
//! `BertPreTokenizer` and `WordPiece`, optionally behind NFC and the folding table. Differs from it
//! in one thing: a special token that stands literally in a text is text, never a special token.
//! Added tokens (the corpus's masks) are matched in the text before anything else.

use std::path::Path;

use crate::Result;
use crate::characters::{CHINESE, COMPOSES, DROPPED, FOLDS, PUNCTUATION, SPACE, class};
use crate::normalize::{Item, Normalizer, WordBounds, word_class};
use crate::trie::{ROOT, Trie};
use crate::vocabulary::{CONTINUATION, Vocab};

/// Words of more characters are `[UNK]`, as in BERT.
pub const MAX_WORD_CHARS: usize = 100;

/// How text is normalised before it is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerOptions {
    /// Lower-case every character.
    pub lowercase: bool,
    /// Decompose (NFD) and remove nonspacing marks. Hangul becomes jamo.
    pub strip_accents: bool,
    /// Compose (NFC) first.
    pub nfc: bool,
    /// Apply the folding table after composition: `㎎` → `mg`, full-width → ASCII.
    pub fold: bool,
    /// Han characters are words of their own.
    pub tokenize_chinese_chars: bool,
}

impl Default for TokenizerOptions {
    fn default() -> Self {
        Self {
            lowercase: false,
            strip_accents: false,
            nfc: true,
            fold: true,
            tokenize_chinese_chars: true,
        }
    }
}

impl TokenizerOptions {
    /// The cased tokenizer of BERT: nothing in front.
    pub fn cased() -> Self {
        Self { nfc: false, fold: false, ..Self::default() }
    }

    /// The uncased tokenizer of BERT: lower case, no accents, Hangul as jamo.
    pub fn uncased() -> Self {
        Self { lowercase: true, strip_accents: true, ..Self::cased() }
    }
}

/// A text as tokens. All vectors have one entry a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The rows.
    pub ids: Vec<u32>,
    /// The bytes of the text that a token covers.
    pub offsets: Vec<(usize, usize)>,
    /// Whether a word begins with the token: an eojeol's run of one script, or one punctuation
    /// character. Words are a matter of the text alone; where one begins inside a token, the two
    /// words count as one.
    pub word_starts: Vec<bool>,
    /// NFC characters of the text that a token covers, at most 255. White space and the format
    /// characters that BERT removes belong to no token. An `[UNK]` covers its whole word.
    pub chars: Vec<u8>,
    /// Characters above 255 in one token, not in `chars`.
    pub saturated_chars: u64,
}

impl Encoding {
    fn clear(&mut self) {
        self.ids.clear();
        self.offsets.clear();
        self.word_starts.clear();
        self.chars.clear();
        self.saturated_chars = 0;
    }
}

/// A vocabulary with the rules that lead a text to it.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocab: Vocab,
    options: TokenizerOptions,
    trie: Trie,
    continuation: Option<u32>,
    added: Vec<(String, u32)>,
}

/// What encoding needs again and again; one a thread.
#[derive(Debug, Default)]
struct Scratch {
    normalizer: Normalizer,
    word: String,
    /// Of each character of `word`: its first byte in `word` and where it came from.
    spans: Vec<(usize, Item)>,
}

impl Tokenizer {
    /// The tokenizer of `vocab`.
    pub fn new(vocab: Vocab, options: TokenizerOptions) -> Self {
        let rows = vocab.tokens().iter().zip(0u32..).map(|(token, id)| (token.as_str(), id));
        let trie = Trie::new(rows);
        let continuation = trie.node(CONTINUATION.as_bytes());
        Self { vocab, options, trie, continuation, added: Vec::new() }
    }

    /// Matches `tokens` literally in a text before anything else. Those that the vocabulary lacks
    /// are returned.
    pub fn with_added_tokens(mut self, tokens: &[String]) -> (Self, Vec<String>) {
        let mut missing = Vec::new();
        self.added.clear();
        for token in tokens {
            match self.vocab.id(token) {
                Some(id) if !token.is_empty() => self.added.push((token.clone(), id)),
                _ => missing.push(token.clone()),
            }
        }
        self.added.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        self.added.dedup();
        (self, missing)
    }

    /// Reads a Hugging Face tokenizer directory, ours or another's.
    ///
    /// # Errors
    /// When files are missing, are not of a BERT WordPiece tokenizer, or disagree.
    pub fn from_dir(dir: &Path) -> Result<Self> {
        crate::files::read_tokenizer(dir)
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// How text is normalised.
    pub fn options(&self) -> TokenizerOptions {
        self.options
    }

    /// The tokens that are matched literally, longest first.
    pub fn added_tokens(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|(token, _)| token.as_str())
    }

    /// The rows of `text`, without `[CLS]` and `[SEP]`.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 4);
        let mut scratch = Scratch::default();
        let mut sink = |id: u32, _: &[(usize, Item)]| ids.push(id);
        self.split_added(text, |part, offset, added| match added {
            Some(id) => sink(id, &[]),
            None => self.encode_part::<false>(part, offset, &mut scratch, &mut sink),
        });
        ids
    }

    /// The tokens of `text` with what they cover, without `[CLS]` and `[SEP]`.
    pub fn encode_with_words(&self, text: &str) -> Encoding {
        let mut encoding = Encoding::default();
        self.encode_into(text, &mut encoding);
        encoding
    }

    /// As [`Tokenizer::encode_with_words`], into an encoding that is reused.
    pub fn encode_into(&self, text: &str, encoding: &mut Encoding) {
        encoding.clear();
        let mut scratch = Scratch::default();
        self.split_added(text, |part, offset, added| match added {
            Some(id) => {
                encoding.ids.push(id);
                encoding.offsets.push((offset, offset + part.len()));
                encoding.word_starts.push(true);
                let chars = part.chars().count();
                encoding.chars.push(chars.min(255) as u8);
                encoding.saturated_chars += chars.saturating_sub(255) as u64;
            }
            None => {
                let mut sink = |id: u32, spans: &[(usize, Item)]| {
                    encoding.ids.push(id);
                    let start = spans.iter().map(|(_, item)| item.start).min().unwrap_or(offset);
                    let end = spans.iter().map(|(_, item)| item.end).max().unwrap_or(offset);
                    encoding.offsets.push((start, end));
                    encoding.word_starts.push(spans.first().is_some_and(|(_, i)| i.starts_word));
                    let chars: usize = spans.iter().map(|(_, i)| usize::from(i.weight)).sum();
                    encoding.chars.push(chars.min(255) as u8);
                    encoding.saturated_chars += chars.saturating_sub(255) as u64;
                };
                self.encode_part::<true>(part, offset, &mut scratch, &mut sink);
            }
        });
    }

    /// Calls `part` with each stretch between added tokens, and each added token.
    fn split_added(&self, text: &str, mut part: impl FnMut(&str, usize, Option<u32>)) {
        if self.added.is_empty() {
            part(text, 0, None);
            return;
        }
        let bytes = text.as_bytes();
        let (mut from, mut at) = (0, 0);
        while at < bytes.len() {
            let here = &bytes[at..];
            let found = self.added.iter().find(|(token, _)| here.starts_with(token.as_bytes()));
            let Some((token, id)) = found else {
                at += 1;
                continue;
            };
            if from < at {
                part(&text[from..at], from, None);
            }
            part(token, at, Some(*id));
            at += token.len();
            from = at;
        }
        if from < text.len() {
            part(&text[from..], from, None);
        }
    }

    /// Encodes a text without added tokens, stretch by stretch between ASCII white space.
    fn encode_part<const SPANS: bool>(
        &self,
        text: &str,
        offset: usize,
        scratch: &mut Scratch,
        sink: &mut impl FnMut(u32, &[(usize, Item)]),
    ) {
        let bytes = text.as_bytes();
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\t' | b'\r');
        let mut at = 0;
        while at < bytes.len() {
            if is_space(&bytes[at]) {
                at += 1;
                continue;
            }
            let len = bytes[at..].iter().position(is_space).unwrap_or(bytes.len() - at);
            self.encode_stretch::<SPANS>(&text[at..at + len], offset + at, scratch, sink);
            at += len;
        }
    }

    fn encode_stretch<const SPANS: bool>(
        &self,
        stretch: &str,
        offset: usize,
        scratch: &mut Scratch,
        sink: &mut impl FnMut(u32, &[(usize, Item)]),
    ) {
        let options = &self.options;
        let ascii = stretch.is_ascii();
        let mut hard = DROPPED | SPACE;
        if options.nfc || (SPANS && !ascii) {
            hard |= COMPOSES;
        }
        if options.fold {
            hard |= FOLDS;
        }
        let plain = !options.lowercase
            && (!options.strip_accents || ascii)
            && stretch.chars().all(|c| !class(c).is(hard));
        if plain {
            self.encode_plain::<SPANS>(stretch, offset, scratch, sink);
            return;
        }
        let mut normalizer = std::mem::take(&mut scratch.normalizer);
        normalizer.run(stretch, offset, options);
        scratch.word.clear();
        scratch.spans.clear();
        for item in &normalizer.items {
            let flags = class(item.c);
            let space = item.c.is_whitespace();
            let alone = item.isolated || flags.is(PUNCTUATION);
            if space || alone {
                self.end_word(scratch, sink);
            }
            if !space {
                scratch.spans.push((scratch.word.len(), *item));
                scratch.word.push(item.c);
            }
            if alone {
                self.end_word(scratch, sink);
            }
        }
        self.end_word(scratch, sink);
        scratch.normalizer = normalizer;
    }

    /// A stretch that normalisation leaves as it is.
    fn encode_plain<const SPANS: bool>(
        &self,
        stretch: &str,
        offset: usize,
        scratch: &mut Scratch,
        sink: &mut impl FnMut(u32, &[(usize, Item)]),
    ) {
        let chinese = if self.options.tokenize_chinese_chars { CHINESE } else { 0 };
        let mut bounds = WordBounds::default();
        let mut from = 0;
        scratch.spans.clear();
        for (at, c) in stretch.char_indices() {
            let own = class(c);
            let alone = own.is(PUNCTUATION | chinese);
            let end = at + c.len_utf8();
            if alone && from < at {
                self.word_pieces(&stretch[from..at], &scratch.spans, sink);
                scratch.spans.clear();
            }
            if alone {
                from = at;
            }
            if SPANS {
                let item = Item {
                    c,
                    start: offset + at,
                    end: offset + end,
                    weight: 1,
                    starts_word: bounds.starts(word_class(c, own)),
                    isolated: false,
                };
                scratch.spans.push((at - from, item));
            }
            if alone {
                self.word_pieces(&stretch[at..end], &scratch.spans, sink);
                scratch.spans.clear();
                from = end;
            }
        }
        if from < stretch.len() {
            self.word_pieces(&stretch[from..], &scratch.spans, sink);
        }
    }

    fn end_word(&self, scratch: &mut Scratch, sink: &mut impl FnMut(u32, &[(usize, Item)])) {
        if !scratch.word.is_empty() {
            self.word_pieces(&scratch.word, &scratch.spans, sink);
            scratch.word.clear();
            scratch.spans.clear();
        }
    }

    /// Greedy longest match; a word that does not split whole is one `[UNK]`.
    fn word_pieces(
        &self,
        word: &str,
        spans: &[(usize, Item)],
        sink: &mut impl FnMut(u32, &[(usize, Item)]),
    ) {
        let unk = self.vocab.specials().unk;
        let bytes = word.as_bytes();
        if word.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS {
            sink(unk, spans);
            return;
        }
        // A word has at most 100 characters, so at most 100 pieces.
        let mut pieces = [(0u32, 0usize); MAX_WORD_CHARS];
        let (mut count, mut at) = (0, 0);
        while at < bytes.len() {
            let from = if at == 0 { Some(ROOT) } else { self.continuation };
            let found = from.and_then(|from| self.trie.longest(from, &bytes[at..]));
            let Some((id, len)) = found else {
                sink(unk, spans);
                return;
            };
            at += len;
            pieces[count] = (id, at);
            count += 1;
        }
        let mut first = 0;
        for &(id, end) in &pieces[..count] {
            let last = first + spans[first..].partition_point(|(byte, _)| *byte < end);
            sink(id, &spans[first..last]);
            first = last;
        }
    }
}
