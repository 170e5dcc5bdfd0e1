//! Writes what a model computes on texts, for `scripts/verify_hf.py`.
//!
//! `cargo run --release --example dump_reference -- MODEL_DIR TEXTS.json OUT.safetensors`

use std::path::Path;

use bimed_eval::reference_dump;
use bimed_ops::Reference;
use burn::tensor::Device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, texts, out] = &arguments[..] else {
        return Err("expected MODEL_DIR TEXTS.json OUT.safetensors".into());
    };
    let texts: Vec<String> = serde_json::from_slice(&fs_err::read(texts)?)?;
    reference_dump(Path::new(model), &texts, Path::new(out), &Reference, &Device::flex())?;
    Ok(())
}
