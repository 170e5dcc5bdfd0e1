//! The vocabulary trainer as a [`Trainer`] of Hugging Face `tokenizers`, for its WordPiece model.
//!
//! Owns the way between the two; how a vocabulary is trained is `bimed-vocab`'s affair. Here the
//! tokenizer normalises and splits the text, so that the config's `lowercase`, `strip_accents`, `nfc`
//! and `fold` have no say, and no text is private.
//!
//! Invariant: the same sequences give the same model, whatever their order and the number of
//! threads.

use ahash::AHashMap;
use bimed_artifact::{Cancel, Context, Silent};
use bimed_vocab::{
    CONTINUATION, MAX_WORD_CHARS, SPECIAL_TOKENS, VocabConfig, WordCounts, train_words,
};
use rayon::prelude::*;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{AddedToken, Result, Trainer};

/// Sequences that are split together.
const BATCH: usize = 8192;

/// Trains the vocabulary of a [`WordPiece`] model.
///
/// ```
/// use bimed_trainer::WordPieceTrainer;
/// use bimed_vocab::VocabConfig;
/// use tokenizers::decoders::wordpiece::WordPiece as Decoder;
/// use tokenizers::models::wordpiece::WordPiece;
/// use tokenizers::normalizers::bert::BertNormalizer;
/// use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
/// use tokenizers::processors::bert::BertProcessing;
/// use tokenizers::{Result, TokenizerImpl};
///
/// type Bert = TokenizerImpl<WordPiece, BertNormalizer, BertPreTokenizer, BertProcessing, Decoder>;
///
/// # fn main() -> Result<()> {
/// let mut tokenizer: Bert = TokenizerImpl::new(WordPiece::default());
/// tokenizer.with_normalizer(Some(BertNormalizer::new(true, true, Some(false), false)))?;
/// tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
/// let config = VocabConfig { size: 100, seed_hangul: false, ..VocabConfig::default() };
/// let texts = ["흉부 CT상 폐렴 소견", "chest CT: pneumonia", "폐렴, pneumonia"];
/// tokenizer.train(&mut WordPieceTrainer::new(config), texts.into_iter())?;
/// let encoding = tokenizer.encode("폐렴 pneumonia", false)?;
/// assert_eq!(encoding.get_tokens(), ["폐렴", "pneumonia"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct WordPieceTrainer {
    config: VocabConfig,
    words: WordCounts,
}

impl WordPieceTrainer {
    /// A trainer by `config`.
    pub fn new(config: VocabConfig) -> Self {
        Self { config, words: WordCounts::default() }
    }
}

impl Trainer for WordPieceTrainer {
    type Model = WordPiece;

    fn should_show_progress(&self) -> bool {
        false
    }

    /// Replaces the model's vocabulary; its other settings stay. Returns the special tokens and the
    /// mask tokens.
    fn train(&self, model: &mut WordPiece) -> Result<Vec<AddedToken>> {
        if model.continuing_subword_prefix != CONTINUATION {
            let found = &model.continuing_subword_prefix;
            return Err(
                format!("the model's prefix is `{found}`, expected `{CONTINUATION}`").into()
            );
        }
        let cancel = Cancel::new();
        let context = Context::new(&Silent, &cancel);
        let (vocab, _) = train_words(self.words.clone(), &self.config, &context)?;
        let rows = vocab.tokens().iter().cloned().zip(0..);
        *model = WordPiece::builder()
            .vocab(rows.collect::<AHashMap<String, u32>>())
            .unk_token(model.unk_token.clone())
            .continuing_subword_prefix(model.continuing_subword_prefix.clone())
            .max_input_chars_per_word(model.max_input_chars_per_word)
            .build()?;
        let masks = self.config.mask_tokens.iter().map(String::as_str);
        let specials = SPECIAL_TOKENS.into_iter().chain(masks);
        Ok(specials.map(|token| AddedToken::from(token, true)).collect())
    }

    fn feed<I, S, F>(&mut self, iterator: I, process: F) -> Result<()>
    where
        I: Iterator<Item = S> + Send,
        S: AsRef<str> + Send,
        F: Fn(&str) -> Result<Vec<String>> + Sync,
    {
        let mut shards = vec![WordCounts::default(); rayon::current_num_threads()];
        let mut iterator = iterator;
        loop {
            let batch: Vec<String> =
                iterator.by_ref().take(BATCH).map(|text| text.as_ref().to_owned()).collect();
            if batch.is_empty() {
                break;
            }
            let size = batch.len().div_ceil(shards.len());
            let pairs = shards.par_iter_mut().zip(batch.par_chunks(size));
            pairs.try_for_each(|(shard, texts)| count(shard, texts, &process))?;
        }
        let known = std::mem::take(&mut self.words);
        self.words = shards.into_iter().fold(known, WordCounts::merge);
        Ok(())
    }
}

/// Counts the words of `texts`; those that are too long for a token are left aside.
fn count<F>(words: &mut WordCounts, texts: &[String], process: &F) -> Result<()>
where
    F: Fn(&str) -> Result<Vec<String>>,
{
    for text in texts {
        for word in process(text)? {
            if word.chars().count() <= MAX_WORD_CHARS {
                words.add(&word, 1);
            }
        }
    }
    Ok(())
}
