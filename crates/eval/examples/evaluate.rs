//! Evaluates models on the tasks of a JSON file in the form of `[eval]`, on the processor.
//!
//! `cargo run --release --example evaluate -- CONFIG.json OUT STORE|- NAME=MODEL_DIR…`

#![allow(clippy::print_stdout, reason = "an example prints what it does")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use bimed_artifact::{Cancel, Context, Progress, Unit};
use bimed_eval::{EvalConfig, evaluate};
use bimed_ops::Reference;
use burn::tensor::Device;

/// Prints steps as they begin and their figures.
struct Lines(Instant);

impl Progress for Lines {
    fn begin(&self, step: &str, total: Option<u64>, unit: Unit) {
        let total = total.map_or(String::new(), |total| format!(" of {total} {}", unit.name()));
        println!("{:8.1} s  {step}{total}", self.0.elapsed().as_secs_f64());
    }
    fn advance(&self, _amount: u64) {}
    fn status(&self, figures: &str) {
        println!("{:8.1} s    {figures}", self.0.elapsed().as_secs_f64());
    }
    fn note(&self, line: &str) {
        println!("{line}");
    }
    fn end(&self) {
        println!("{:8.1} s    done", self.0.elapsed().as_secs_f64());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, out, store, models @ ..] = &arguments[..] else {
        return Err("expected CONFIG.json OUT STORE|- NAME=MODEL_DIR…".into());
    };
    let config: EvalConfig = serde_json::from_slice(&fs_err::read(config)?)?;
    let store = (store != "-").then(|| PathBuf::from(store));
    let models: Vec<(&str, &Path)> = models
        .iter()
        .map(|model| model.split_once('=').map(|(name, dir)| (name, Path::new(dir))))
        .collect::<Option<_>>()
        .ok_or("expected NAME=MODEL_DIR")?;
    let (lines, cancel) = (Lines(Instant::now()), Cancel::new());
    let context = Context::new(&lines, &cancel);
    let device = Device::flex();
    let out = Path::new(out);
    let results = evaluate(&models, &config, store.as_deref(), &Reference, &device, &context, out)?;
    println!("{}", results.to_markdown());
    Ok(())
}
