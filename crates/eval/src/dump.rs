//! What a model computes, as a file that another implementation is held against: `bimed inspect
//! --dump-reference`.
//!
//! Owns the form that `scripts/verify_hf.py` reads: `ids.N`, `hidden.N`, `pooler.N`, `logits.N` of
//! text number N, all `f32`. No text is written.

use std::path::Path;

use bimed_bert::{Pass, to_host};
use bimed_checkpoint::{HostTensor, Part, Weights, write_safetensors};
use bimed_ops::{BertOps, RowIndex};
use bimed_train::{BatchCapacity, PackedBatch, Sample};
use bimed_vocab::SpecialTokens;
use burn::tensor::{Device, Tensor};

use crate::embed::single;
use crate::{EvalModel, Result};

/// Positions of a text whose logits are written, from `[CLS]` on.
const LOGIT_POSITIONS: usize = 16;

/// Writes the states of `model_dir` on each of `texts` to the safetensors file `out`; heads that the
/// model lacks are left out, and of the texts after the first `num_states` all but the ids.
///
/// # Errors
/// When the model cannot be read or the file cannot be written.
pub fn reference_dump(
    model_dir: &Path,
    texts: &[String],
    num_states: usize,
    out: &Path,
    ops: &dyn BertOps,
    device: &Device,
) -> Result<()> {
    let mut model = EvalModel::load("", model_dir)?;
    let (network, _) = model.pretraining(0, device)?;
    // As `transformers` reads a text: `[MASK]` in it is the mask.
    let tokenizer = model.tokenizer.clone().with_special_tokens(SpecialTokens::Ids);
    let pad = tokenizer.vocab().specials().pad;
    let pass = Pass::evaluate(ops);
    let mut dump = Weights::default();
    for (number, text) in texts.iter().enumerate() {
        let (ids, _) = single(&tokenizer, text, model.config.max_position_embeddings);
        let length = ids.len();
        let as_floats = ids.iter().map(|&id| id as f32).collect();
        dump.insert(format!("ids.{number}"), HostTensor::new([length], as_floats));
        if number >= num_states {
            continue;
        }
        let sample = Sample { types: vec![0; length], ids, ..Sample::default() };
        let capacity = BatchCapacity { bins: 1, bin_length: length, masked: 1, samples: 1 };
        let batch = PackedBatch::new(&[vec![sample]], capacity, pad).upload(device);
        let hidden = network.bert.forward(&batch.ids, &batch.packing, pass);
        dump.insert(format!("hidden.{number}"), host(hidden.clone()));
        if model.has(Part::Pooler) {
            let pooled = network.bert.pooler.forward(hidden.clone(), &batch.first_tokens, pass);
            let mut pooled = host(pooled);
            pooled.shape.remove(0);
            dump.insert(format!("pooler.{number}"), pooled);
        }
        if model.has(Part::MlmHead) {
            let positions = length.min(LOGIT_POSITIONS);
            let rows: Vec<i32> = (0..positions as i32).collect();
            let rows = RowIndex::upload(&rows, device);
            let rows = network.predictions.transform(hidden, &rows, pass);
            let logits = network.predictions.logits(rows, network.decoder());
            dump.insert(format!("logits.{number}"), host(logits));
        }
    }
    Ok(write_safetensors(out, &dump)?)
}

fn host(tensor: Tensor<2>) -> HostTensor {
    let [rows, columns] = tensor.dims();
    HostTensor::new([rows, columns], to_host(tensor.reshape([rows * columns])))
}
