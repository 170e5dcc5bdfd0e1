//! `sts.embed`: how alike two sentences are by the cosine of their mean token vectors.
//!
//! Owns the zero-shot protocol. Nothing is trained, and no gradient is kept.

use bimed_artifact::{Context, Unit};
use bimed_bert::{BertModel, Pass, to_host};
use bimed_ops::BertOps;
use bimed_train::Sample;
use bimed_vocab::Tokenizer;
use burn::tensor::Device;

use crate::Result;
use crate::batch::{ItemBatch, pack};
use crate::data::TextPair;
use crate::metrics::cosine;

/// What the protocol computes with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Embedder<'a> {
    pub(crate) encoder: &'a BertModel,
    pub(crate) tokenizer: &'a Tokenizer,
    /// The longest sentence in tokens, special tokens included.
    pub(crate) max_length: usize,
    pub(crate) micro_batch_tokens: usize,
    pub(crate) ops: &'a dyn BertOps,
    /// Without autodiff.
    pub(crate) device: &'a Device,
}

/// The cosine of each pair, and the sentences that were cut.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cosines {
    /// `None` where a vector is zero or not finite.
    pub(crate) values: Vec<Option<f64>>,
    pub(crate) num_truncated: u64,
}

impl Embedder<'_> {
    /// The cosine of the two sentences of each pair.
    ///
    /// # Errors
    /// When asked to stop.
    pub(crate) fn cosines(&self, pairs: &[TextPair], context: &Context<'_>) -> Result<Cosines> {
        let mut num_truncated = 0;
        let texts = pairs.iter().flat_map(|pair| [&pair.s1, &pair.s2]);
        let samples: Vec<Sample> =
            texts.map(|text| self.sample(text, &mut num_truncated)).collect();
        let vectors = self.vectors(&samples, context)?;
        let values = vectors.chunks_exact(2).map(|of_pair| cosine(&of_pair[0], &of_pair[1]));
        Ok(Cosines { values: values.collect(), num_truncated })
    }

    fn sample(&self, text: &str, num_truncated: &mut u64) -> Sample {
        let (ids, is_truncated) = single(self.tokenizer, text, self.max_length);
        *num_truncated += u64::from(is_truncated);
        Sample { types: vec![0; ids.len()], ids, ..Sample::default() }
    }

    /// The mean of each sample's token vectors, `[CLS]` and `[SEP]` included.
    ///
    /// Source: the mean pooling of sentence-transformers (Reimers and Gurevych 2019, §3), which
    /// averages over the attention mask.
    fn vectors(&self, samples: &[Sample], context: &Context<'_>) -> Result<Vec<Vec<f32>>> {
        let items: Vec<usize> = (0..samples.len()).collect();
        let pad = self.tokenizer.vocab().specials().pad;
        let mut vectors = vec![Vec::new(); samples.len()];
        context.progress.begin("embed sentences", Some(samples.len() as u64), Unit::Items);
        for ItemBatch { batch, items } in pack(&items, samples, self.micro_batch_tokens, pad) {
            context.cancel.check()?;
            let on_device = batch.upload(self.device);
            let pass = Pass::evaluate(self.ops);
            let hidden = self.encoder.forward(&on_device.ids, &on_device.packing, pass);
            let [tokens, width] = hidden.dims();
            let hidden = to_host(hidden.reshape([tokens * width]));
            for (item, &(start, length)) in items.iter().zip(&batch.samples) {
                vectors[*item] = mean_row(&hidden[start * width..(start + length) * width], width);
            }
            context.progress.advance(items.len() as u64);
        }
        context.progress.end();
        Ok(vectors)
    }
}

/// `[CLS] text [SEP]` in at most `max_length` tokens, and whether the text was cut.
pub(crate) fn single(tokenizer: &Tokenizer, text: &str, max_length: usize) -> (Vec<u32>, bool) {
    let specials = tokenizer.vocab().specials();
    let mut ids = vec![specials.cls];
    ids.extend(tokenizer.encode(text));
    let is_truncated = ids.len() + 1 > max_length;
    ids.truncate(max_length - 1);
    ids.push(specials.sep);
    (ids, is_truncated)
}

/// The mean of rows of `width`, summed in f64.
fn mean_row(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; width];
    for row in rows.chunks_exact(width) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    let count = (rows.len() / width) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    use bimed_artifact::{Cancel, Silent};
    use bimed_bert::{BertConfig, BertForPreTraining, load_weights};
    use bimed_checkpoint::load_model_dir;
    use bimed_ops::{Packing, Reference, TokenIds};
    use bimed_vocab::{TokenizerOptions, Vocab};

    /// As many words as the fixture's model has rows.
    fn tokenizer() -> Tokenizer {
        let specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from);
        let words = ('가'..'힣').take(115).map(String::from);
        let vocab = Vocab::new(specials.into_iter().chain(words).collect()).unwrap();
        Tokenizer::new(vocab, TokenizerOptions::cased())
    }

    #[test]
    fn packed_sentences_have_the_vectors_of_sentences_alone_in_their_order() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../bert/fixtures/model");
        let base = load_model_dir(&dir).unwrap();
        let config = BertConfig::from_hugging_face(&base.config).unwrap();
        let device = Device::flex();
        let zeros = BertForPreTraining::zeros(&config, &device);
        let encoder = load_weights(zeros, &base.weights).unwrap().bert;
        let tokenizer = tokenizer();
        let word = |at: usize| tokenizer.vocab().token(5 + (at * 31 % 115) as u32).to_owned();
        let text = |index: usize| -> String {
            let words = (0..1 + index * 7 % 20).map(|at| word(index * 13 + at));
            words.collect::<Vec<_>>().join(" ")
        };
        let texts: Vec<String> = (0..24).map(text).collect();
        let embedder = Embedder {
            encoder: &encoder,
            tokenizer: &tokenizer,
            max_length: 16,
            micro_batch_tokens: 64,
            ops: &Reference,
            device: &device,
        };
        let mut num_truncated = 0;
        let samples: Vec<Sample> =
            texts.iter().map(|text| embedder.sample(text, &mut num_truncated)).collect();
        let is_long = |text: &&String| text.split(' ').count() > 14;
        assert_eq!(num_truncated, texts.iter().filter(is_long).count() as u64);
        let (silent, cancel) = (Silent, Cancel::new());
        let vectors = embedder.vectors(&samples, &Context::new(&silent, &cancel)).unwrap();
        for (sample, found) in samples.iter().zip(&vectors) {
            let ids: Vec<i32> = sample.ids.iter().map(|&id| id as i32).collect();
            let (length, places) = (ids.len(), (0..ids.len() as i32).collect::<Vec<_>>());
            let ids = TokenIds::upload(&ids, &places, &vec![0; length], &device);
            let packing = Packing::upload(1, length, vec![(0, length)], &device);
            let hidden = encoder.forward(&ids, &packing, Pass::evaluate(&Reference));
            let mean = to_host(hidden.mean_dim(0).reshape([config.hidden_size]));
            for (a, b) in found.iter().zip(&mean) {
                assert!((a - b).abs() < 1e-5, "{a}, alone {b}"); // f32 sums in another order
            }
        }
    }
}
