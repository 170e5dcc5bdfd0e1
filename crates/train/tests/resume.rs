//! A run that is killed and resumed is the run that was not: bit for bit, masking and dropout on.
//!
//! The test runs itself as a child process, kills the child with SIGKILL, and lets a second child
//! go on. `BIMED_RESUME_REPEATS` sets how often (1 in the ordinary test run), `BIMED_TEST_DEVICE` on
//! what (the processor, unless it names another). What a device's tuning chooses is kept in a folder
//! that the first children share; a resumed one has an empty folder, and knows what its checkpoint
//! carries.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking and shows its figures"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bimed_artifact::{Cancel, Context, Silent, hash_bytes, hash_file};
use bimed_bert::{BertConfig, BertForPreTraining, fill_missing};
use bimed_checkpoint::{ModelCard, Weights, save_model_dir};
use bimed_ops::DeviceKind;
use bimed_train::{Length, PretrainConfig, PretrainRun, Scope, pretrain};
use bimed_vocab::{
    EncodeConfig, InputDocument, Split, Tokenizer, TokenizerOptions, Vocab, encode, save_tokenizer,
};
use burn::tensor::Device;
use fs_err as fs;

const STEPS: u64 = 6;
/// 45,000 rows of 128: 5.76 M elements, above the 4,194,304 from which burn's own CPU sum is not
/// reproducible.
const ROWS: usize = 45_000;

fn vocabulary() -> Vocab {
    let mut tokens: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from).into();
    tokens.extend(('가'..='힣').map(String::from));
    tokens.extend(('가'..='힣').map(|syllable| format!("##{syllable}")));
    tokens.extend(('a'..='z').map(String::from));
    tokens.extend(('a'..='z').map(|letter| format!("##{letter}")));
    tokens.push(".".into());
    let filler = ROWS - tokens.len();
    tokens.extend((0..filler).map(|index| format!("q{index}")));
    Vocab::new(tokens).unwrap()
}

/// Notes of our own, varied by number so that an epoch is longer than the run.
fn documents() -> Vec<Result<InputDocument, std::convert::Infallible>> {
    let findings = [
        "환자는 어제부터 dyspnea 악화되어 내원함.",
        "chest CT상 both lung에 nodule 소견 보임.",
        "no evidence of pneumonia was seen today.",
        "혈압은 안정적이며 medication 유지하기로 함.",
        "the patient was discharged without fever.",
    ];
    let document = |index: usize| {
        let text: Vec<&str> = (0..9).map(|at| findings[(index * 7 + at * at) % 5]).collect();
        Ok(InputDocument {
            text: text.join(" "),
            source: "notes".into(),
            language: "mixed".into(),
            domain: "medical".into(),
            split: if index % 10 == 9 { Split::Valid } else { Split::Train },
            group: None,
            private: false,
            sentences: vec![],
        })
    };
    (0..60).map(document).collect()
}

fn config() -> PretrainConfig {
    PretrainConfig {
        length: Length::Steps(STEPS),
        sequence_length: 64,
        tokens_per_step: 512,
        micro_batch_tokens: 256,
        whole_word_masking: true,
        next_sentence: true,
        checkpoint_every_steps: 1,
        log_every_steps: 1,
        validate_every_steps: 3,
        validation_chars: 500,
        ..PretrainConfig::default()
    }
}

fn prepare(dir: &Path) {
    let tokenizer = Tokenizer::new(vocabulary(), TokenizerOptions::cased());
    let context = (Silent, Cancel::new());
    let context = Context::new(&context.0, &context.1);
    let store = dir.join("store");
    fs::create_dir(&store).unwrap();
    encode(documents(), &tokenizer, &EncodeConfig::default(), &store, &context).unwrap();
    let bert = BertConfig {
        vocab_size: ROWS,
        hidden_size: 128,
        num_hidden_layers: 1,
        num_attention_heads: 4,
        intermediate_size: 256,
        max_position_embeddings: 64,
        ..BertConfig::default()
    };
    let mut weights = Weights::default();
    let zeros = BertForPreTraining::zeros(&bert, &Device::flex());
    fill_missing(&zeros, &mut weights, 0.02, 1);
    let base = dir.join("base");
    save_model_dir(&base, &bert.to_hugging_face(), &weights, &ModelCard::default()).unwrap();
    save_tokenizer(&base, &tokenizer, 512).unwrap();
}

/// The child: one run in the directory that the environment names.
#[test]
fn child() {
    let Some(run_dir) = std::env::var_os("BIMED_RESUME_CHILD").map(PathBuf::from) else { return };
    let dir = run_dir.parent().unwrap();
    fs::create_dir_all(&run_dir).unwrap();
    let run = PretrainRun {
        store: &dir.join("store"),
        base: &dir.join("base"),
        run_dir: &run_dir,
        config: &config(),
        seed: 17,
        scope: Scope::Model,
        key: &hash_bytes(b"resume"),
        may_start_at_random: false,
        card: ModelCard::default(),
    };
    let (silent, cancel) = (Silent, Cancel::new());
    let context = Context::new(&silent, &cancel);
    let name = std::env::var("BIMED_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    let kind: DeviceKind = name.parse().unwrap();
    pretrain(&run, kind.ops(), &kind.open().unwrap(), &context).unwrap();
}

/// A child that keeps what is tuned in the folder `choices` beside the run.
fn start(run_dir: &Path, threads: usize, choices: &str) -> Child {
    let choices = run_dir.with_file_name(choices);
    fs::create_dir_all(&choices).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .current_dir(&choices)
        .env("XDG_CACHE_HOME", &choices)
        .env("BIMED_RESUME_CHILD", run_dir)
        .env("RAYON_NUM_THREADS", threads.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// The hashes of the last checkpoint's weights, moments and state.
fn fingerprint(run_dir: &Path) -> Vec<String> {
    let last = run_dir.join(format!("checkpoints/step-{STEPS}"));
    let hash = |file: &str| hash_file(&last.join(file)).unwrap().to_string();
    ["model.safetensors", "optimizer.safetensors", "state.json"].map(hash).into()
}

/// Starts a run and kills it `delay` after the checkpoint of `step` is there.
fn kill_after(run_dir: &Path, threads: usize, step: u64, delay: Duration) -> bool {
    let mut child = start(run_dir, threads, "choices");
    let checkpoint = run_dir.join(format!("checkpoints/step-{step}"));
    let begun = Instant::now();
    while !checkpoint.exists() && begun.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(delay);
    child.kill().unwrap(); // SIGKILL
    !child.wait().unwrap().success()
}

#[test]
fn a_killed_run_resumes_to_the_same_bits() {
    let repeats: u64 =
        std::env::var("BIMED_RESUME_REPEATS").map_or(1, |repeats| repeats.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let straight = dir.path().join("straight");
    assert!(start(&straight, 2, "choices").wait().unwrap().success());
    let expected = fingerprint(&straight);
    let mut killed = 0;
    for repeat in 0..repeats {
        for threads in [1, 2] {
            let run_dir = dir.path().join(format!("killed-{repeat}-{threads}"));
            // Different steps and moments, writes of a checkpoint among them.
            let (step, delay) = (1 + repeat % (STEPS - 2), 13 * (repeat % 16));
            let delay = Duration::from_millis(delay);
            killed += u64::from(kill_after(&run_dir, threads, step, delay));
            let none = format!("no-choices-{repeat}-{threads}");
            assert!(start(&run_dir, threads, &none).wait().unwrap().success());
            assert_eq!(fingerprint(&run_dir), expected, "repeat {repeat}, {threads} threads");
            fs::remove_dir_all(&run_dir).unwrap();
        }
    }
    println!("{killed} of {} runs were killed before their end; all agree", 2 * repeats);
    assert!(killed > 0, "no run was killed before its end");
}

/// Raises the flag at the second record of the log.
struct StopAfter(Cancel, std::sync::atomic::AtomicU32);

impl bimed_artifact::Progress for StopAfter {
    fn begin(&self, _step: &str, _total: Option<u64>, _unit: bimed_artifact::Unit) {}
    fn advance(&self, _amount: u64) {}
    fn status(&self, _figures: &str) {
        if self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            self.0.cancel();
        }
    }
    fn note(&self, _line: &str) {}
    fn end(&self) {}
}

#[test]
fn a_run_that_is_asked_to_stop_saves_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    prepare(dir.path());
    let config = PretrainConfig { checkpoint_every_steps: 100, ..config() };
    let run_in = |name: &str, cancel: &Cancel, progress: &dyn bimed_artifact::Progress| {
        let run_dir = dir.path().join(name);
        fs::create_dir_all(&run_dir).unwrap();
        let run = PretrainRun {
            store: &dir.path().join("store"),
            base: &dir.path().join("base"),
            run_dir: &run_dir,
            config: &config,
            seed: 17,
            scope: Scope::Model,
            key: &hash_bytes(b"resume"),
            may_start_at_random: false,
            card: ModelCard::default(),
        };
        let context = Context::new(progress, cancel);
        pretrain(&run, DeviceKind::Cpu.ops(), &Device::flex(), &context)
    };
    run_in("straight", &Cancel::new(), &Silent).unwrap();
    let cancel = Cancel::new();
    let stop = StopAfter(cancel.clone(), Default::default());
    let stopped = run_in("stopped", &cancel, &stop);
    assert!(matches!(stopped, Err(bimed_train::Error::Cancelled(_))));
    assert!(dir.path().join("stopped/checkpoints/step-2/state.json").exists());
    let resumed = run_in("stopped", &Cancel::new(), &Silent).unwrap();
    assert_eq!(resumed.resumed_from, 2);
    let last = |name: &str| fingerprint(&dir.path().join(name));
    assert_eq!(last("stopped"), last("straight"));
}
