//! BERT's tokenizer: text → ids, with what each token covers.
//!
//! Ids are exactly those of Hugging Face `tokenizers` 0.23.2 with `BertNormalizer`,
//! `BertPreTokenizer` and `WordPiece`, optionally behind the folding table and NFC, in either mode of
//! [`SpecialTokens`]. Added tokens (the corpus's masks) are matched in the text before anything else.

use std::ops::Range;

use crate::longest::LongestMatch;
use crate::options::{MAX_WORD_CHARS, TokenizerOptions};
use crate::vocabulary::{SPECIAL_TOKENS, Vocab};
use crate::words::{Origin, Splitter, split_added};

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
    /// Keeps the first `len` tokens, which have `saturated_chars`.
    fn truncate(&mut self, len: usize, saturated_chars: u64) {
        self.ids.truncate(len);
        self.offsets.truncate(len);
        self.word_starts.truncate(len);
        self.chars.truncate(len);
        self.saturated_chars = saturated_chars;
    }

    /// Adds the token `id`, which is the bytes `range` of `word`.
    #[inline]
    fn push(&mut self, id: u32, word: &str, range: Range<usize>, origin: Origin<'_>) {
        let (offsets, starts_word, chars) = match origin {
            Origin::Text { start, at, starts } => (
                (start + range.start, start + range.end),
                starts.contains(&(at + range.start)),
                num_chars(&word.as_bytes()[range]),
            ),
            Origin::Items(spans) => {
                let first = spans.partition_point(|(byte, _)| *byte < range.start);
                let last = spans.partition_point(|(byte, _)| *byte < range.end);
                let spans = &spans[first..last];
                let start = spans.iter().map(|(_, item)| item.start).min().unwrap_or(0);
                let end = spans.iter().map(|(_, item)| item.end).max().unwrap_or(0);
                let starts_word = spans.first().is_some_and(|(_, item)| item.starts_word);
                ((start, end), starts_word, spans.iter().map(|(_, i)| usize::from(i.weight)).sum())
            }
        };
        self.add(id, offsets, starts_word, chars);
    }

    #[inline]
    fn add(&mut self, id: u32, offsets: (usize, usize), starts_word: bool, chars: usize) {
        self.ids.push(id);
        self.offsets.push(offsets);
        self.word_starts.push(starts_word);
        self.chars.push(chars.min(255) as u8);
        self.saturated_chars += chars.saturating_sub(255) as u64;
    }
}

/// The characters of UTF-8 text.
#[inline]
fn num_chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

/// What a special token is that a text spells out, such as `[MASK]`. The corpus's mask tokens are
/// one token in either case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpecialTokens {
    /// Text like any other, so that no document puts in a special token. What documents and
    /// evaluation sets are read with; `split_special_tokens=True` in `transformers`.
    #[default]
    Text,
    /// Its own row: what `transformers` does unless it is told otherwise, and what a prompt with
    /// `[MASK]` in it needs.
    Ids,
}

fn sort_longest_first(tokens: &mut Vec<(String, u32)>) {
    tokens.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
    tokens.dedup();
}

/// A vocabulary with the rules that lead a text to it.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    vocab: Vocab,
    options: TokenizerOptions,
    longest: LongestMatch,
    /// The mask tokens, longest first.
    added: Vec<(String, u32)>,
    /// What is matched literally: the mask tokens, and the special ones where they are ids.
    literal: Vec<(String, u32)>,
    special_tokens: SpecialTokens,
}

impl Tokenizer {
    /// The tokenizer of `vocab`.
    pub fn new(vocab: Vocab, options: TokenizerOptions) -> Self {
        let rows = vocab.tokens().iter().zip(0u32..).map(|(token, id)| (token.as_str(), id));
        let longest = LongestMatch::new(rows);
        let (added, literal) = (Vec::new(), Vec::new());
        Self { vocab, options, longest, added, literal, special_tokens: SpecialTokens::Text }
    }

    /// With another rule for special tokens that a text spells out.
    pub fn with_special_tokens(self, special_tokens: SpecialTokens) -> Self {
        Self { special_tokens, ..self }.with_literals()
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
        sort_longest_first(&mut self.added);
        (self.with_literals(), missing)
    }

    fn with_literals(mut self) -> Self {
        self.literal = self.added.clone();
        if self.special_tokens == SpecialTokens::Ids {
            let specials = SPECIAL_TOKENS.map(str::to_owned).into_iter();
            self.literal.extend(specials.zip(self.vocab.specials().rows()));
        }
        sort_longest_first(&mut self.literal);
        self
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// How text is normalised.
    pub fn options(&self) -> TokenizerOptions {
        self.options
    }

    /// The mask tokens, longest first.
    pub fn added_tokens(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(|(token, _)| token.as_str())
    }

    /// The rows of `text`, without `[CLS]` and `[SEP]`.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 4);
        let mut splitter = Splitter::default();
        split_added(text, &self.literal, |part, offset, added| match added {
            Some(id) => ids.push(id),
            None => splitter.run::<false>(part, offset, &self.options, &mut |word, _| {
                self.push_pieces(word, &mut ids);
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
        encoding.truncate(0, 0);
        let mut splitter = Splitter::default();
        split_added(text, &self.literal, |part, offset, added| match added {
            Some(id) => {
                let covered = (offset, offset + part.len());
                encoding.add(id, covered, true, num_chars(part.as_bytes()));
            }
            None => {
                splitter.run::<true>(part, offset, &self.options, &mut |word, origin| {
                    self.push_word(word, origin, encoding);
                });
            }
        });
    }

    /// Greedy longest match; a word that does not split whole is one `[UNK]`.
    #[inline]
    fn push_pieces(&self, word: &str, ids: &mut Vec<u32>) {
        let begin = ids.len();
        if !self.split(word, false, &mut |id, _| ids.push(id)) {
            ids.truncate(begin);
            ids.push(self.vocab.specials().unk);
        }
    }

    /// As [`Self::push_pieces`], with what each piece covers.
    #[inline]
    fn push_word(&self, word: &str, origin: Origin<'_>, encoding: &mut Encoding) {
        let (begin, saturated, mut from) = (encoding.ids.len(), encoding.saturated_chars, 0);
        let is_known = self.split(word, false, &mut |id, to| {
            encoding.push(id, word, from..to, origin);
            from = to;
        });
        if !is_known {
            encoding.truncate(begin, saturated);
            encoding.push(self.vocab.specials().unk, word, 0..word.len(), origin);
        }
    }

    /// The pieces of `word`, as the inside of a longer one where `inside`; `None` for `[UNK]`.
    pub(crate) fn pieces(&self, word: &str, inside: bool) -> Option<Vec<u32>> {
        let mut ids = Vec::new();
        self.split(word, inside, &mut |id, _| ids.push(id)).then_some(ids)
    }

    /// As [`LongestMatch::split_word`]; a word that is too long does not split.
    #[inline]
    fn split(&self, word: &str, inside: bool, sink: &mut impl FnMut(u32, usize)) -> bool {
        let is_long = word.len() > MAX_WORD_CHARS && num_chars(word.as_bytes()) > MAX_WORD_CHARS;
        !is_long && self.longest.split_word(word, inside, sink)
    }
}
