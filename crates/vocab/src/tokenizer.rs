//! BERT's tokenizer: text → ids, with what each token covers.
//!
//! Ids are exactly those of Hugging Face `tokenizers` 0.23.2 with `BertNormalizer`,
//! `BertPreTokenizer` and `WordPiece`, optionally behind the folding table and NFC. Differs from it
//! in one thing: a special token that stands literally in a text is text, never a special token.
//! Added tokens (the corpus's masks) are matched in the text before anything else.

use crate::options::{MAX_WORD_CHARS, TokenizerOptions};
use crate::trie::{ROOT, Trie};
use crate::vocabulary::{CONTINUATION, Vocab};
use crate::words::{Spans, Splitter, split_added};

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
        let mut splitter = Splitter::default();
        split_added(text, &self.added, |part, offset, added| match added {
            Some(id) => ids.push(id),
            None => splitter.run::<false>(part, offset, &self.options, &mut |word, spans| {
                self.word_pieces(word, spans, &mut |id, _| ids.push(id));
            }),
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
        let mut splitter = Splitter::default();
        split_added(text, &self.added, |part, offset, added| match added {
            Some(id) => {
                encoding.ids.push(id);
                encoding.offsets.push((offset, offset + part.len()));
                encoding.word_starts.push(true);
                let chars = part.chars().count();
                encoding.chars.push(chars.min(255) as u8);
                encoding.saturated_chars += chars.saturating_sub(255) as u64;
            }
            None => {
                let mut sink = |id: u32, spans: &Spans| {
                    encoding.ids.push(id);
                    let start = spans.iter().map(|(_, item)| item.start).min().unwrap_or(offset);
                    let end = spans.iter().map(|(_, item)| item.end).max().unwrap_or(offset);
                    encoding.offsets.push((start, end));
                    encoding.word_starts.push(spans.first().is_some_and(|(_, i)| i.starts_word));
                    let chars: usize = spans.iter().map(|(_, i)| usize::from(i.weight)).sum();
                    encoding.chars.push(chars.min(255) as u8);
                    encoding.saturated_chars += chars.saturating_sub(255) as u64;
                };
                splitter.run::<true>(part, offset, &self.options, &mut |word, spans| {
                    self.word_pieces(word, spans, &mut sink);
                });
            }
        });
    }

    /// Greedy longest match; a word that does not split whole is one `[UNK]`.
    fn word_pieces(&self, word: &str, spans: &Spans, sink: &mut impl FnMut(u32, &Spans)) {
        // A word has at most 100 characters, so at most 100 pieces.
        let mut pieces = [(0u32, 0usize); MAX_WORD_CHARS];
        let Some(count) = self.longest_match(word, false, &mut pieces) else {
            sink(self.vocab.specials().unk, spans);
            return;
        };
        let mut first = 0;
        for &(id, end) in &pieces[..count] {
            let last = first + spans[first..].partition_point(|(byte, _)| *byte < end);
            sink(id, &spans[first..last]);
            first = last;
        }
    }

    /// The pieces of `word`, as the inside of a longer one where `inside`; `None` for `[UNK]`.
    pub(crate) fn pieces(&self, word: &str, inside: bool) -> Option<Vec<u32>> {
        let mut pieces = [(0u32, 0usize); MAX_WORD_CHARS];
        let count = self.longest_match(word, inside, &mut pieces)?;
        Some(pieces[..count].iter().map(|(id, _)| *id).collect())
    }

    /// Rows and ends of the pieces of `word`, and how many there are.
    #[inline]
    fn longest_match(
        &self,
        word: &str,
        inside: bool,
        pieces: &mut [(u32, usize); MAX_WORD_CHARS],
    ) -> Option<usize> {
        let bytes = word.as_bytes();
        if bytes.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS {
            return None;
        }
        let (mut count, mut at) = (0, 0);
        while at < bytes.len() {
            let from = if at == 0 && !inside { ROOT } else { self.continuation? };
            let (id, len) = self.trie.longest(from, &bytes[at..])?;
            at += len;
            pieces[count] = (id, at);
            count += 1;
        }
        Some(count)
    }
}
