//! How fast a device trains: measured by an earlier run of the same shape, else assumed.

use std::path::Path;

use bimed_artifact::{Manifest, Store};
use bimed_checkpoint::{CONFIG_FILE, Dimensions};
use bimed_ops::DeviceKind;
use bimed_train::{LogRecord, Precision, PretrainConfig, read_log};
use fs_err as fs;
use serde::Serialize;

use super::cost::flops_per_token;
use crate::stages::{pretrain, training};

/// Operations a second that a thread reaches in training.
///
/// Source: ours. 6 layers, 384 wide, 30,522 rows train at 1,500 to 2,000 tokens/s on two cores with
/// AVX-512; a token is 78 MFLOP. Without AVX-512 it is less.
const CPU_THREAD: f64 = 65e9;
/// The peak of an NVIDIA A100, dense. Source: its data sheet: 312 TFLOP/s in bf16, 19.5 in f32.
const A100_BF16: f64 = 312e12;
const A100_F32: f64 = 19.5e12;
/// The peak of a desktop's GPU in f32: an order of magnitude, ours.
const DESKTOP_F32: f64 = 10e12;
/// The share of the peak that a training is taken to reach: ours. PaLM reached 46 % (Chowdhery et
/// al. 2022, table 3); smaller matrices and unfused operations reach less.
const CUDA_SHARE: f64 = 0.3;
const WGPU_SHARE: f64 = 0.2;

/// Operations a second, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Speed {
    /// Of those that [`flops_per_token`] counts.
    pub(crate) flops_per_second: f64,
    /// Whether an earlier run was measured.
    pub(crate) is_measured: bool,
    /// Where the number comes from.
    pub(crate) basis: String,
}

impl Speed {
    /// What `device` with `threads` is taken to reach.
    pub(crate) fn assumed(device: DeviceKind, threads: usize, precision: Precision) -> Self {
        let (flops_per_second, basis) = match (device, precision) {
            (DeviceKind::Cpu, _) => {
                (CPU_THREAD * threads as f64, format!("an assumed 65 GFLOP/s a thread × {threads}"))
            }
            (DeviceKind::Cuda(_), Precision::Bf16) => {
                (CUDA_SHARE * A100_BF16, "an assumed 30 % of an A100's 312 TFLOP/s (bf16)".into())
            }
            (DeviceKind::Cuda(_), Precision::F32) => {
                (CUDA_SHARE * A100_F32, "an assumed 30 % of an A100's 19.5 TFLOP/s (f32)".into())
            }
            (DeviceKind::Wgpu, _) => (
                WGPU_SHARE * DESKTOP_F32,
                "an assumed 20 % of a desktop GPU's 10 TFLOP/s (f32)".into(),
            ),
        };
        Self { flops_per_second, is_measured: false, basis }
    }

    /// What an unfinished run reached before it was interrupted, at `flops_per_token`.
    pub(crate) fn so_far(run: &Path, flops_per_token: f64) -> Option<Self> {
        let tokens_per_second = tokens_per_second(run)?;
        let basis = format!("this run so far at {tokens_per_second:.0} tokens/s");
        let flops_per_second = tokens_per_second * flops_per_token;
        Some(Self { flops_per_second, is_measured: true, basis })
    }

    /// What an earlier pretraining in `store` reached on `device` with a model of the same layers:
    /// the one whose vocabulary is nearest. Another vocabulary or length is counted by its
    /// operations.
    pub(crate) fn measured(
        store: &Store,
        device: DeviceKind,
        shape: &Dimensions,
        precision: Precision,
    ) -> Option<Self> {
        let runs = fs::read_dir(store.root().join(pretrain::STAGE)).ok()?;
        let runs = runs.flatten().filter_map(|entry| Run::read(&entry.path()));
        let like = |run: &Run| {
            run.device == device.to_string()
                && run.config.precision == precision
                && has_same_layers(&run.shape, shape)
        };
        let distance = |run: &Run| run.shape.vocab_size.abs_diff(shape.vocab_size);
        let run = runs.filter(like).min_by_key(|run| (distance(run), run.name.clone()))?;
        let basis = format!("run {} at {:.0} tokens/s", run.name, run.tokens_per_second);
        let flops_per_second = run.tokens_per_second * flops_per_token(&run.shape, &run.config);
        Some(Self { flops_per_second, is_measured: true, basis })
    }
}

/// A finished pretraining.
struct Run {
    name: String,
    device: String,
    shape: Dimensions,
    config: PretrainConfig,
    tokens_per_second: f64,
}

impl Run {
    /// The run in `dir`; nothing where it is not finished, or tells too little.
    fn read(dir: &Path) -> Option<Self> {
        let manifest = Manifest::read(dir).ok()?;
        let config = serde_json::from_value(manifest.config["pretrain"].clone()).ok()?;
        let model = training::trained_model(dir, &manifest).ok()?;
        let name = dir.file_name()?.to_string_lossy().into_owned();
        let device = manifest.summary["device"].as_str()?.to_owned();
        let shape = read_shape(&model)?;
        let tokens_per_second = tokens_per_second(dir)?;
        Some(Self { name, device, shape, config, tokens_per_second })
    }
}

/// The shape that the `config.json` of a model's directory gives.
pub(crate) fn read_shape(model: &Path) -> Option<Dimensions> {
    let text = fs::read(model.join(CONFIG_FILE)).ok()?;
    Dimensions::from_config(&serde_json::from_slice(&text).ok()?).ok()
}

fn has_same_layers(a: &Dimensions, b: &Dimensions) -> bool {
    let layers =
        |shape: &Dimensions| [shape.num_hidden_layers, shape.hidden_size, shape.intermediate_size];
    layers(a) == layers(b)
}

/// The median of the log's records: a pause or a busy machine does not move it.
fn tokens_per_second(run: &Path) -> Option<f64> {
    let records = read_log(run).ok()?.into_iter();
    let mut rates: Vec<f64> = records
        .filter_map(|record| match record {
            LogRecord::Train(record) => Some(record.tokens_per_second),
            LogRecord::Validation(_) => None,
        })
        .filter(|rate| rate.is_finite() && *rate > 0.0)
        .collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use bimed_artifact::KeyBuilder;
    use bimed_train::{LOG_FILE, RunLog, TrainRecord};
    use serde_json::json;

    use super::*;

    const ROWS: usize = 100;

    fn shape(vocab_size: usize) -> Dimensions {
        Dimensions {
            vocab_size,
            hidden_size: 8,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 16,
            max_position_embeddings: 32,
            type_vocab_size: 2,
            num_labels: None,
        }
    }

    /// A finished run of [`shape`] that read `rates` tokens a second.
    fn write_run(store: &Store, name: &str, rates: &[f64]) {
        let key = KeyBuilder::new("pretrain", 1).part("name", name.as_bytes()).finish();
        let staging = store.stage("pretrain", &key).unwrap();
        let model = staging.dir().join("checkpoints/step-2");
        fs::create_dir_all(&model).unwrap();
        let config = json!({
            "vocab_size": ROWS, "hidden_size": 8, "num_hidden_layers": 2,
            "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32,
            "type_vocab_size": 2,
        });
        fs::write(model.join(CONFIG_FILE), config.to_string()).unwrap();
        let mut log = RunLog::open_at(staging.dir(), 0).unwrap();
        for (step, &tokens_per_second) in rates.iter().enumerate() {
            let record = json!({
                "step": step, "loss": 1.0, "accuracy": 0.0, "learning_rate": 0.1, "grad_norm": 1.0,
                "epoch": 0.0, "tokens": 1, "predictions": 1, "fill": 1.0,
                "tokens_per_second": tokens_per_second,
            });
            let record: TrainRecord = serde_json::from_value(record).unwrap();
            log.push(&LogRecord::Train(record)).unwrap();
        }
        assert!(staging.dir().join(LOG_FILE).is_file());
        let config = json!({ "pretrain": PretrainConfig::default() });
        let mut manifest = Manifest::new("pretrain", key, config);
        manifest.summary = json!({ "device": "cpu", "model": "checkpoints/step-2" });
        staging.commit(manifest).unwrap();
    }

    #[test]
    fn an_earlier_run_of_the_same_layers_is_taken_by_its_operations() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path());
        let measured =
            |device, shape: &Dimensions| Speed::measured(&store, device, shape, Precision::F32);
        assert_eq!(measured(DeviceKind::Cpu, &shape(ROWS)), None);
        write_run(&store, "first", &[40.0, 1_000.0, 900.0]);
        let found = measured(DeviceKind::Cpu, &shape(ROWS)).unwrap();
        let config = PretrainConfig::default();
        let tokens = |found: &Speed, rows: usize| {
            found.flops_per_second / flops_per_token(&shape(rows), &config)
        };
        assert_eq!(tokens(&found, ROWS).round(), 900.0);
        assert!(found.is_measured && found.basis.contains("900 tokens/s"), "{}", found.basis);
        // More rows cost more operations, so fewer tokens pass.
        let more = measured(DeviceKind::Cpu, &shape(2 * ROWS)).unwrap();
        assert!(tokens(&more, 2 * ROWS) < 900.0);
        assert_eq!(measured(DeviceKind::Cuda(0), &shape(ROWS)), None);
        let wider = Dimensions { hidden_size: 16, ..shape(ROWS) };
        assert_eq!(measured(DeviceKind::Cpu, &wider), None);
    }

    #[test]
    fn an_assumed_speed_says_so() {
        let cpu = Speed::assumed(DeviceKind::Cpu, 2, Precision::F32);
        assert_eq!(cpu.flops_per_second, 130e9);
        let cuda = Speed::assumed(DeviceKind::Cuda(0), 2, Precision::Bf16);
        assert_eq!(cuda.flops_per_second.round(), 93.6e12);
        for speed in [cpu, cuda, Speed::assumed(DeviceKind::Wgpu, 2, Precision::F32)] {
            assert!(speed.basis.contains("assumed") && !speed.is_measured, "{}", speed.basis);
        }
    }
}
