//! What stands for a masked identifier, from the corpus to the batches and to the model's tokenizer;
//! and special tokens that a document spells out.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test may use the standard file functions, and fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use bimed_train::{Cursor, Loader, PretrainConfig, SampleSet, mask_vocabulary};
use bimed_vocab::{Split, TokenStore, Tokenizer};

const EXPERIMENT: &str = r#"
[experiment]
name = "masks"
output = "out"
store = "store"

[[corpus.source]]
name = "notes"
path = "notes.jsonl"
format = "jsonl"
text = ["text"]
id = "id"
licence = "MIT"
identifiers = "mask"

[vocab]
size = 300
seed_hangul = false
on_shortfall = "error"
quota = { hangul = 60, latin = 50 }

[encode]

[transplant]
base = "random"

[transplant.model]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 64
max_position_embeddings = 64
"#;

const SENTENCES: [&str; 5] = [
    "환자는 어제부터 심한 기침과 발열을 호소하였다",
    "chest CT상 both lung에 작은 nodule 소견이 관찰됨",
    "no evidence of pneumonia was seen on the follow up film",
    "혈압은 안정적이어서 약물 용량을 유지하기로 하였다",
    "the patient was discharged home in a stable condition",
];

fn bimed(directory: &Path, stage: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_bimed"))
        .args([stage, "masks.toml"])
        .current_dir(directory)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{shown}");
}

/// The one directory of a stage in the store.
fn artifact(directory: &Path, stage: &str) -> PathBuf {
    let entries = std::fs::read_dir(directory.join("store").join(stage)).unwrap();
    let folders = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let [found] = &folders.collect::<Vec<_>>()[..] else { panic!("one {stage}") };
    found.clone()
}

#[test]
fn a_masked_number_is_one_token_that_is_never_predicted_and_a_spelled_mask_is_text() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let sentence = |at: usize| SENTENCES[at % SENTENCES.len()];
    let note = |index: usize| {
        let number = format!("010-{:04}-{:04}", 2345 + index * 37, 6789 - index * 53);
        let text = format!("{} {index}. 연락처 {number}. ", sentence(index));
        format!("{text}[MASK] {} {}. [CLS] {number}", sentence(index / 5 + 1), index * 7)
    };
    let line = |index| format!("{{\"id\": {index}, \"text\": \"{}\"}}\n", note(index));
    let lines: String = (0..60).map(line).collect();
    std::fs::write(directory.join("notes.jsonl"), lines).unwrap();
    std::fs::write(directory.join("masks.toml"), EXPERIMENT).unwrap();
    bimed(directory, "transplant");
    bimed(directory, "encode");

    let tokenizer = Tokenizer::from_dir(&artifact(directory, "transplant")).unwrap();
    let vocab = tokenizer.vocab();
    assert_eq!((vocab.len(), vocab.id("[PHONE]")), (300, Some(5)));
    assert_eq!(tokenizer.added_tokens().collect::<Vec<_>>(), ["[PHONE]"]);
    assert_eq!(tokenizer.encode("연락처[PHONE]")[1..], [5]);

    let store = TokenStore::open(&artifact(directory, "encode")).unwrap();
    let mut ids = Vec::new();
    store.read_ids(0..store.documents().last().unwrap().end, &mut ids);
    let count = |row: u32| ids.iter().filter(|id| **id == row).count();
    assert_eq!(count(5), 2 * store.documents().len());
    let specials = vocab.specials();
    assert_eq!([specials.mask, specials.cls, specials.unk].map(count), [0; 3]);

    let masks = mask_vocabulary(&tokenizer);
    let reserved = vocab.tokens().iter().filter(|token| token.starts_with("[unused")).count();
    assert!(reserved > 0 && masks.never.len() == 6 + reserved && masks.never.contains(&5));
    let config =
        PretrainConfig { sequence_length: 64, tokens_per_step: 512, ..PretrainConfig::default() };
    let config = PretrainConfig { micro_batch_tokens: 512, next_sentence: false, ..config };
    let samples = SampleSet::new(&store, Split::Train, 62);
    let mut loader = Loader::new(&store, &samples, &masks, &config, 3);
    let (mut predicted, mut kept, mut cursor) = (0, 0, Cursor::default());
    for _ in 0..20 {
        let step = loader.step(cursor);
        for batch in &step.batches {
            let labels = &batch.labels[..batch.num_masked];
            assert!(labels.iter().all(|label| !masks.never.contains(&(*label as u32))));
            predicted += labels.len();
            kept += batch.ids.iter().filter(|id| **id == 5).count();
            let masked = batch.ids.iter().filter(|id| **id == specials.mask as i32).count();
            assert!(0 < masked && masked <= batch.num_masked);
        }
        cursor = step.next;
    }
    assert!(predicted > 500 && kept > 100, "{predicted} predictions, {kept} masks");
}
