//! Tokens a second, memory and MFU of a training step, beside `scripts/bench_pytorch.py`.
//!
//! `cargo run --release --workspace --example throughput -- [--device cpu] [--precision f32]
//! [--layers 6 --hidden 384 --heads 12 --vocab 30522 --bins 16 --length 128 --steps 5 --warmup 1]
//! [--scores] [--reference] [--whole] [--profile] [--peak-tflops 989] [--json FILE]`
//!
//! Random ids in full bins, several samples a bin (`--whole`: one), dropout 0.1, 15 % masked, AdamW,
//! clipping at 1. The first step's duration, which compiles and tunes kernels on a GPU, is shown apart.
//! `--scores` lets attention by matrices of scores take turns with attention by tiles, `--reference` the
//! composed operations with the fused ones; `--profile` takes one more step and gives each kernel's time
//! on a GPU.

#![allow(clippy::print_stderr, clippy::expect_used, reason = "an example prints what it finds")]

use std::collections::BTreeMap;
use std::time::Instant;

use bimed_bert::{
    BertConfig, BertForPreTraining, Counters, Pass, fill_missing, load_weights, take_gradients,
    to_host,
};
use bimed_checkpoint::Weights;
use bimed_ops::{
    Attention, BertOps, DeviceKind, KernelTime, Mixed, Precision, Reference, philox4x32, profile,
};
use bimed_train::{AdamW, BatchCapacity, Masked, OptimizerConfig, PackedBatch, Sample};
use burn::tensor::Device;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `--key value` and `--flag`.
struct Options(BTreeMap<String, String>);

impl Options {
    fn read() -> Self {
        let mut found = BTreeMap::new();
        let mut words = std::env::args().skip(1).peekable();
        while let Some(word) = words.next() {
            let key = word.strip_prefix("--").expect("options begin with `--`").to_owned();
            let value = words.next_if(|next| !next.starts_with("--")).unwrap_or_default();
            found.insert(key, value);
        }
        Self(found)
    }

    fn text(&self, key: &str, default: &str) -> String {
        self.0.get(key).map_or(default, String::as_str).to_owned()
    }

    fn number(&self, key: &str, default: usize) -> usize {
        self.0.get(key).map_or(default, |value| value.parse().expect("a number"))
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
}

/// The samples of a bin, together `length` tokens: as in `scripts/bench_pytorch.py`.
fn lengths_of(bin: usize, length: usize, is_whole: bool) -> Vec<usize> {
    if is_whole {
        return vec![length];
    }
    let (mut found, mut left) = (Vec::new(), length);
    let mut draw = (bin as u64 * 2_654_435_761) % (1 << 32);
    while left > 0 {
        draw = (draw * 1_664_525 + 1_013_904_223) % (1 << 32);
        let size = left.min(8 + (draw / 65_536) as usize % length.saturating_sub(8).max(1));
        found.push(size);
        left -= size;
    }
    found
}

/// Full bins: as many masked tokens in every one.
fn batch(vocab: usize, bins: usize, length: usize, is_whole: bool) -> PackedBatch {
    let count = length * 15 / 100;
    let id = |bin: usize, at: usize| {
        (5 + philox4x32([bin as u32, at as u32, 0, 0], [1, 1])[0] as usize % (vocab - 5)) as u32
    };
    let bin = |bin: usize| {
        let chosen: Vec<usize> = (0..count).map(|at| at * length / count).collect();
        let mut start = 0;
        let samples = lengths_of(bin, length, is_whole).into_iter().map(|size| {
            let own = chosen.iter().filter(|&&at| (start..start + size).contains(&at));
            let positions: Vec<usize> = own.map(|at| at - start).collect();
            let labels = positions.iter().map(|&at| id(bin, at + 1_000)).collect();
            let ids: Vec<u32> = (0..size).map(|at| id(bin, start + at)).collect();
            start += size;
            let masked = Masked { positions, labels };
            Sample { types: vec![0; size], ids, masked, next_sentence: None }
        });
        samples.collect::<Vec<_>>()
    };
    let all: Vec<_> = (0..bins).map(bin).collect();
    let samples = all.iter().map(Vec::len).sum();
    let capacity = BatchCapacity { bins, bin_length: length, masked: bins * count, samples };
    PackedBatch::new(&all, capacity, 0)
}

/// `3 · [tokens · L · 24 h² + L · 4 h · Σ length² + masked · 2 (h² + h V)]`: what has to be computed.
fn flops(config: &BertConfig, batch: &PackedBatch) -> f64 {
    let hidden = config.hidden_size as f64;
    let squares: f64 = batch.samples.iter().map(|&(_, length)| (length * length) as f64).sum();
    let encoder = config.num_hidden_layers as f64
        * (batch.num_tokens as f64 * 24.0 * hidden * hidden + 4.0 * hidden * squares);
    let vocab = config.vocab_size as f64;
    3.0 * (encoder + batch.num_masked as f64 * 2.0 * (hidden * hidden + hidden * vocab))
}

/// An implementation and what it trains.
struct Run {
    ops: &'static dyn BertOps,
    model: Option<BertForPreTraining>,
    optimizer: AdamW,
    first: f64,
    times: Vec<f64>,
    loss: f32,
    bytes: u64,
    kernels: Vec<KernelTime>,
}

impl Run {
    fn step(&mut self, batch: &PackedBatch, device: &Device, step: usize, warmup: usize) {
        let began = Instant::now();
        let model = self.model.take().expect("the model is put back");
        let on_device = batch.upload(device);
        let pass = Pass::train(self.ops, Counters { seed: 1, step: step as u64, first_row: 0 });
        let hidden = model.bert.forward(&on_device.ids, &on_device.packing, pass);
        let rows = model.predictions.transform(hidden, &on_device.masked_rows, pass);
        let (labels, weights) = (on_device.labels, on_device.label_weights);
        let entropy = model.predictions.loss(rows, model.decoder(), labels, weights, pass);
        let loss = entropy.loss_sum / batch.num_masked as f64;
        let gradients = take_gradients(&model, &mut loss.clone().backward());
        let (model, norm) = self.optimizer.step(model, gradients, 1e-4, self.ops);
        // Reading both waits for the device.
        let _ = to_host(norm);
        self.loss = to_host(loss.inner())[0];
        self.model = Some(model);
        let seconds = began.elapsed().as_secs_f64();
        match step {
            0 => self.first = seconds,
            _ if step >= warmup => self.times.push(seconds),
            _ => {}
        }
        let held = device.clone().inner().memory_pool_usage();
        self.bytes = self.bytes.max(held.map_or(0, |held| held.bytes_reserved));
    }

    fn figures(mut self, tokens: usize, flops: f64, peak_tflops: f64) -> Value {
        self.times.sort_by(f64::total_cmp);
        let median = self.times[self.times.len() / 2];
        let tflops = flops / median / 1e12;
        let gib = self.bytes as f64 / f64::from(1 << 30);
        eprintln!(
            "{:<12} {:8.0} tokens/s, {median:.4} s a step ({:.4} to {:.4}), first {:.2} s, {tflops:.2} \
             TFLOP/s, {gib:.2} GiB held, loss {:.4}",
            self.ops.name(),
            tokens as f64 / median,
            self.times[0],
            self.times[self.times.len() - 1],
            self.first,
            self.loss,
        );
        let kernel = |time: &KernelTime| {
            let microseconds = (time.seconds * 1e6).round();
            eprintln!("  {microseconds:9.0} us {:5} x {}", time.launches, time.kernel);
            json!({ "kernel": time.kernel, "microseconds": microseconds, "launches": time.launches })
        };
        let kernels: Vec<Value> = self.kernels.iter().take(40).map(kernel).collect();
        json!({
            "form": self.ops.name(), "tokens_per_second": tokens as f64 / median,
            "seconds": median, "fastest": self.times[0], "first_step_seconds": self.first,
            "slowest": self.times[self.times.len() - 1], "loss": self.loss, "tflops": tflops,
            "mfu": tflops / peak_tflops, "peak_gib": gib, "kernels": kernels,
        })
    }
}

fn config_of(options: &Options, length: usize) -> BertConfig {
    let hidden = options.number("hidden", 384);
    BertConfig {
        vocab_size: options.number("vocab", 30_522),
        hidden_size: hidden,
        num_hidden_layers: options.number("layers", 6),
        num_attention_heads: options.number("heads", 12),
        intermediate_size: 4 * hidden,
        max_position_embeddings: length,
        ..BertConfig::default()
    }
}

fn main() {
    let options = Options::read();
    let kind: DeviceKind = options.text("device", "cpu").parse().expect("a device");
    let wanted = match options.text("precision", "f32").as_str() {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        other => panic!("found the precision `{other}`, expected `f32` or `bf16`"),
    };
    let inner = kind.open().unwrap_or_else(|error| panic!("{error}"));
    let ops = kind.ops_in(&inner, wanted);
    let device = inner.clone().autodiff();
    let (bins, length) = (options.number("bins", 16), options.number("length", 128));
    let config = config_of(&options, length);
    let mut weights = Weights::default();
    let zeros = BertForPreTraining::zeros(&config, &device);
    fill_missing(&zeros, &mut weights, 0.02, 1);
    let model = load_weights(zeros, &weights).expect("the weights were made for it");
    let batch = batch(config.vocab_size, bins, length, options.has("whole"));
    let mut implementations = vec![ops];
    if options.has("scores") {
        implementations.push(kind.ops_by(&inner, wanted, Attention::Scores));
    }
    if options.has("reference") {
        let is_mixed = ops.activations() == Precision::Bf16;
        implementations.push(if is_mixed { &Mixed } else { &Reference });
    }
    let run = |ops| Run {
        ops,
        model: Some(model.clone()),
        optimizer: AdamW::new(OptimizerConfig::default()),
        first: 0.0,
        times: Vec::new(),
        loss: 0.0,
        bytes: 0,
        kernels: Vec::new(),
    };
    let mut runs: Vec<Run> = implementations.into_iter().map(run).collect();
    let warmup = options.number("warmup", 1).max(1);
    for step in 0..warmup + options.number("steps", 5) {
        runs.iter_mut().for_each(|run| run.step(&batch, &device, step, warmup));
    }
    if options.has("profile") {
        for run in &mut runs {
            let step = || run.step(&batch, &device, 1, usize::MAX);
            run.kernels = profile(&device.clone().inner(), step).1;
        }
    }
    let peak: f64 = options.text("peak-tflops", "989").parse().expect("a number");
    let flops = flops(&config, &batch);
    let results: Vec<Value> =
        runs.into_iter().map(|run| run.figures(batch.num_tokens, flops, peak)).collect();
    if options.has("json") {
        let card = DeviceKind::describe(&device.clone().inner());
        let found = json!({ "on": card, "options": options.0, "results": results });
        fs_err::write(options.text("json", ""), found.to_string()).expect("the file is written");
    }
}
