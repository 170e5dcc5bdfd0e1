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
