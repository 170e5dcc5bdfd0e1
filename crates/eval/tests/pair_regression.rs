//! Fine-tuning learns, and is a function of its arguments.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use bimed_artifact::{Cancel, Context, Silent, hash_bytes};
use bimed_eval::metrics::pearson;
use bimed_eval::{
    EvalModel, PairData, PairRegression, PairRegressionConfig, PairRun, Split, TaskConfig,
};
use burn::tensor::Device;
use support::{OPS, Parts, pairs, write_model, write_model_of};

fn task(pair_reg: PairRegressionConfig) -> TaskConfig {
    let mut task: TaskConfig = serde_json::from_str(
        r#"{"name": "sts", "protocol": "sts.pair_reg", "train": "a", "dev": "b"}"#,
    )
    .unwrap();
    task.pair_reg = pair_reg;
    task
}

fn run(dir: &Path, task: &TaskConfig, micro_batch_tokens: usize, seed: u64, n: usize) -> PairRun {
    let mut model = EvalModel::load("tiny", dir).unwrap();
    let data = PairData { train: pairs(n), dev: pairs(n), ..PairData::default() };
    let device = Device::flex();
    let protocol = PairRegression { task, micro_batch_tokens, ops: &OPS, device: &device };
    let (silent, cancel) = (Silent, Cancel::new());
    let rate = task.pair_reg.learning_rates[0];
    protocol.run(&mut model, &data, rate, seed, &Context::new(&silent, &cancel)).unwrap()
}

#[test]
fn a_tiny_model_learns_64_pairs_by_heart() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 1, 0.0, Parts::EncoderOnly);
    let task = task(PairRegressionConfig {
        learning_rates: vec![2e-3],
        batch_size: 16,
        epochs: 60,
        head_dropout_prob: 0.0,
        ..PairRegressionConfig::default()
    });
    let run = run(dir.path(), &task, 2_048, 3, 64);
    let gold: Vec<f64> = pairs(64).iter().map(|pair| pair.score).collect();
    let reached = pearson(&gold, &run.answers[&Split::Dev]).unwrap();
    println!("r {reached:.4} after {} steps, {:?}", run.steps, run.epochs.last());
    assert!(reached >= 0.99, "{reached}");
    // Answers are on the file's scale, not on that of the loss.
    assert!(run.answers[&Split::Dev].iter().any(|&answer| answer > 3.0));
    assert_eq!(run.started_at_random, ["bert.pooler.dense.bias", "bert.pooler.dense.weight"]);
}

fn short_task() -> TaskConfig {
    task(PairRegressionConfig {
        learning_rates: vec![1e-3],
        batch_size: 12,
        epochs: 2,
        ..PairRegressionConfig::default()
    })
}

/// The child: one run with dropout, its answers' hash in a file beside the model.
#[test]
fn child() {
    let Some(out) = std::env::var_os("BIMED_PAIR_CHILD").map(PathBuf::from) else { return };
    let run = run(out.parent().unwrap(), &short_task(), 1_024, 5, 40);
    let hash = hash_bytes(&serde_json::to_vec(&run).unwrap());
    fs_err::write(out, hash.as_str()).unwrap();
}

#[test]
fn one_thread_and_two_give_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    // Wide enough that its products are shared among threads.
    write_model_of(dir.path(), 256, 2, 0.1, Parts::All);
    let hashes = [1, 2].map(|threads| {
        let out = dir.path().join(format!("hash-{threads}"));
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child"])
            .env("BIMED_PAIR_CHILD", &out)
            .env("RAYON_NUM_THREADS", threads.to_string())
            .status();
        assert!(status.unwrap().success());
        fs_err::read_to_string(out).unwrap()
    });
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[0].len(), 64);
}

#[test]
fn the_device_batch_changes_no_more_than_rounding_and_the_seed_does() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), 2, 0.1, Parts::All);
    let answers = |tokens, seed| {
        run(dir.path(), &short_task(), tokens, seed, 40).answers.remove(&Split::Dev).unwrap()
    };
    let largest =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let (small, large) = (answers(64, 5), answers(4_096, 5));
    assert!(largest(&small, &large) < 1e-3, "{}", largest(&small, &large));
    let other = answers(4_096, 6);
    assert!(largest(&large, &other) > 1e-2, "{}", largest(&large, &other));
}
