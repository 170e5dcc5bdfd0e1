//! A vocabulary in another order gives the same model: logits agree up to the order of the rows.

#![expect(clippy::unwrap_used, reason = "a test")]

use bimed_bert::{BertConfig, BertForPreTraining, Pass, fill_missing, load_weights, to_host};
use bimed_checkpoint::{Row, RowMap, Weights, apply_row_map};
use bimed_ops::{BertOps, FusedCpu, Packing, Reference, RowIndex, TokenIds};
use burn::tensor::Device;

const ROWS: usize = 40;
/// [CLS], two words, [MASK], [SEP] of the old vocabulary.
const IDS: [i32; 6] = [2, 17, 31, 4, 38, 3];

fn config() -> BertConfig {
    BertConfig {
        vocab_size: ROWS,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 32,
        max_position_embeddings: 8,
        ..BertConfig::default()
    }
}

/// One row a token of `ids`.
fn logits(weights: &Weights, ids: &[i32], ops: &dyn BertOps, device: &Device) -> Vec<f32> {
    let model = load_weights(BertForPreTraining::zeros(&config(), device), weights).unwrap();
    let positions: Vec<i32> = (0..ids.len() as i32).collect();
    let ids = TokenIds::upload(ids, &positions, &vec![0; ids.len()], device);
    let packing = Packing::upload(1, IDS.len(), vec![(0, IDS.len())], device);
    let pass = Pass::evaluate(ops);
    let hidden = model.bert.forward(&ids, &packing, pass);
    let all = RowIndex::upload(&positions, device);
    let rows = model.predictions.transform(hidden, &all, pass);
    let logits = model.predictions.logits(rows, model.decoder());
    let elements = logits.dims().iter().product::<usize>();
    to_host(logits.inner().reshape([elements]))
}

#[test]
fn a_permuted_vocabulary_gives_the_same_logits_up_to_the_order() {
    let device = Device::flex().autodiff();
    let mut old = Weights::default();
    fill_missing(&BertForPreTraining::zeros(&config(), &device), &mut old, 0.2, 7);
    // Biases are drawn too, for zeros would hide one that stays behind.
    let bias = old.tensors.get_mut("cls.predictions.bias").unwrap();
    bias.data.iter_mut().enumerate().for_each(|(row, value)| *value = row as f32 / 10.0 - 2.0);

    // New row r is old row 7 r + 3, modulo the rows.
    let source = |row: usize| (7 * row + 3) % ROWS;
    let map = RowMap {
        rows: (0..ROWS).map(|row| Row::Copy(source(row) as u32)).collect(),
        ..RowMap::identity(ROWS)
    };
    let mut new = old.clone();
    apply_row_map(&map, &mut new).unwrap();
    let place = |id: i32| (0..ROWS).find(|row| source(*row) == id as usize).unwrap() as i32;

    for ops in [&Reference as &dyn BertOps, &FusedCpu] {
        let before = logits(&old, &IDS, ops, &device);
        let after = logits(&new, &IDS.map(place), ops, &device);
        for (token, (before, after)) in before.chunks(ROWS).zip(after.chunks(ROWS)).enumerate() {
            for (row, after) in after.iter().enumerate() {
                // `f32`: the order of the rows changes how products are grouped.
                let difference = (before[source(row)] - after).abs();
                assert!(difference < 1e-5, "token {token}, row {row}: {difference}");
            }
        }
    }
}
