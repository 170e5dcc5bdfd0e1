//! What a run asks of its device: memory for a micro-batch, batches ahead, few reads.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bimed_artifact::{Cancel, Context, Progress, Silent, Unit, hash_bytes};
use bimed_bert::{BertConfig, BertForPreTraining, fill_missing};
use bimed_checkpoint::{ModelCard, Weights, save_model_dir};
use bimed_ops::{BertOps, DeviceFault, Dropout, EmbeddingTables, FusedCpu, Norm, TokenIds};
use bimed_train::{
    Cursor, Error, Length, Loader, PretrainConfig, PretrainRun, PretrainSummary, SampleSet, Scope,
    StepData, mask_vocabulary, pretrain,
};
use bimed_vocab::{
    EncodeConfig, InputDocument, Split, TokenStore, Tokenizer, TokenizerOptions, Vocab, encode,
    save_tokenizer,
};
use burn::tensor::{Device, Tensor};
use fs_err as fs;

/// The reference's operations on a device that holds so many tokens, and counts what is read.
#[derive(Debug)]
struct Small {
    holds: usize,
    is_full: AtomicBool,
    reads: AtomicUsize,
    /// Panics instead, as a kernel's tuning does.
    panics: bool,
}

impl Small {
    fn new(holds: usize) -> Self {
        Self { holds, is_full: AtomicBool::new(false), reads: AtomicUsize::new(0), panics: false }
    }
}

impl BertOps for Small {
    fn name(&self) -> &'static str {
        "small"
    }

    fn embed(
        &self,
        tables: EmbeddingTables,
        ids: &TokenIds,
        norm: Norm,
        dropout: Option<Dropout>,
    ) -> Tensor<2> {
        let is_full = ids.ids.dims()[0] > self.holds;
        assert!(!(is_full && self.panics), "out of device memory allocating 99 bytes\n0: main");
        self.is_full.store(is_full, Ordering::Relaxed);
        FusedCpu.embed(tables, ids, norm, dropout)
    }

    fn read(&self, tensor: Tensor<1>) -> Result<Vec<f32>, DeviceFault> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.is_full.load(Ordering::Relaxed) {
            return Err(DeviceFault::OutOfMemory { bytes: Some(99) });
        }
        FusedCpu.read(tensor)
    }
}

fn tokenizer() -> Tokenizer {
    let mut tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from).into();
    for unit in ('가'..='힣').step_by(28).chain('a'..='z') {
        tokens.push(unit.to_string());
        tokens.push(format!("##{unit}"));
    }
    tokens.extend([".", "환자", "소견", "nodule"].map(String::from));
    Tokenizer::new(Vocab::new(tokens).unwrap(), TokenizerOptions::cased())
}

fn documents() -> Vec<Result<InputDocument, std::convert::Infallible>> {
    let findings = ["환자는 기침이 심해져 내원함. ", "chest CT nodule 소견. ", "no fever today. "];
    let document = |index: usize| {
        let text: String = (0..6).map(|at| findings[(index + at * at) % 3]).collect();
        Ok(InputDocument {
            text,
            source: "notes".into(),
            language: "mixed".into(),
            domain: "medical".into(),
            split: if index % 8 == 7 { Split::Valid } else { Split::Train },
            group: None,
            private: false,
            sentences: vec![],
        })
    };
    (0..40).map(document).collect()
}

fn config() -> PretrainConfig {
    PretrainConfig {
        length: Length::Steps(8),
        sequence_length: 32,
        tokens_per_step: 512,
        micro_batch_tokens: 256,
        log_every_steps: 4,
        validate_every_steps: 100,
        checkpoint_every_steps: 100,
        validation_chars: 200,
        ..PretrainConfig::default()
    }
}

fn prepare(dir: &Path) {
    let tokenizer = tokenizer();
    let (silent, cancel) = (Silent, Cancel::new());
    let context = Context::new(&silent, &cancel);
    let store = dir.join("store");
    fs::create_dir(&store).unwrap();
    encode(documents(), &tokenizer, &EncodeConfig::default(), &store, &context).unwrap();
    let bert = BertConfig {
        vocab_size: tokenizer.vocab().len(),
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 32,
        max_position_embeddings: 32,
        ..BertConfig::default()
    };
    let mut weights = Weights::default();
    let zeros = BertForPreTraining::zeros(&bert, &Device::flex());
    fill_missing(&zeros, &mut weights, 0.02, 1);
    let base = dir.join("base");
    save_model_dir(&base, &bert.to_hugging_face(), &weights, &ModelCard::default()).unwrap();
    save_tokenizer(&base, &tokenizer, 512).unwrap();
}

/// Keeps the notes.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn begin(&self, _step: &str, _total: Option<u64>, _unit: Unit) {}
    fn advance(&self, _amount: u64) {}
    fn status(&self, _figures: &str) {}
    fn note(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
    fn end(&self) {}
}

fn run(
    dir: &Path,
    config: &PretrainConfig,
    ops: &dyn BertOps,
    notes: &Notes,
) -> Result<PretrainSummary, Error> {
    let run_dir = dir.join("run");
    fs::create_dir_all(&run_dir).unwrap();
    let run = PretrainRun {
        store: &dir.join("store"),
        base: &dir.join("base"),
        run_dir: &run_dir,
        config,
        seed: 5,
        scope: Scope::Model,
        key: &hash_bytes(b"device"),
        may_start_at_random: false,
        card: ModelCard::default(),
    };
    let cancel = Cancel::new();
    pretrain(&run, ops, &Device::flex(), &Context::new(notes, &cancel))
}

#[test]
fn out_of_memory_names_the_micro_batch_that_fits() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let notes = Notes::default();
    let error = run(dir.path(), &config(), &Small::new(64), &notes).unwrap_err();
    assert!(
        matches!(error, Error::OutOfMemory { found: 256, fits: Some(64), .. }),
        "{error}: {:?}",
        error.hint()
    );
    let said = "`pretrain.micro_batch_tokens` is `256`: the device has no memory left: 99 bytes \
                more were asked for";
    assert_eq!(error.to_string(), said);
    assert!(error.hint().unwrap().starts_with("`pretrain.micro_batch_tokens = 64` was tried"));
    let tried = notes.0.lock().unwrap().join("\n");
    assert!(tried.contains("= 128") && tried.contains("= 64") && !tried.contains("= 32"));
    // With what was named the run goes through.
    let config = PretrainConfig { micro_batch_tokens: 64, ..config() };
    run(dir.path(), &config, &Small::new(64), &notes).unwrap();
}

#[test]
fn a_panic_of_memory_is_the_same_error_and_less_than_a_sample_fits_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let ops = Small { panics: true, ..Small::new(31) };
    let error = run(dir.path(), &config(), &ops, &Notes::default()).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { fits: None, .. }), "{error}");
    assert!(error.hint().unwrap().contains("pretrain.sequence_length"));
}

#[test]
fn losses_and_norms_are_read_where_they_are_logged() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let ops = Small::new(usize::MAX);
    run(dir.path(), &config(), &ops, &Notes::default()).unwrap();
    let reads = ops.reads.load(Ordering::Relaxed);
    // Two validations of one batch read two sums each; the first three steps are awaited; two
    // records read loss, accuracy and norm. Sixteen micro-batches read nothing.
    assert_eq!(reads, 2 * 2 + 3 + 2 * 3);
}

#[test]
fn batches_that_are_uploaded_ahead_are_those_uploaded_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let store = TokenStore::open(&dir.path().join("store")).unwrap();
    let config = config();
    let samples = SampleSet::new(&store, Split::Train, 30);
    let vocabulary = mask_vocabulary(&tokenizer());
    let device = Device::flex().autodiff();
    let bytes = |data: &StepData| -> Vec<Vec<u8>> {
        let of = |tensor: Tensor<1>| tensor.into_data().as_bytes().to_vec();
        let uploaded = data.batches.iter().map(|batch| batch.upload(&device));
        uploaded
            .flat_map(|batch| {
                let rows = batch.masked_rows.rows;
                let ids = [batch.ids.ids, batch.ids.positions, rows, batch.labels];
                let ids = ids.map(|ids| ids.into_data().as_bytes().to_vec());
                ids.into_iter().chain([of(batch.label_weights)])
            })
            .collect()
    };
    let mut loader = Loader::new(&store, &samples, &vocabulary, &config, 3);
    let mut cursor = Cursor::default();
    let mut asked = Vec::new();
    for _ in 0..6 {
        let data = loader.step(cursor);
        cursor = data.next;
        asked.push((bytes(&data), data.next));
    }
    let prepare = |data: StepData| (bytes(&data), data.next);
    let ahead: Vec<_> = loader.ahead(Cursor::default(), 6, prepare, |steps| steps.collect());
    assert_eq!(ahead, asked);
    assert!(asked[0].0 != asked[1].0, "steps differ");
}
