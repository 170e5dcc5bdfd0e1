//! Builds a corpus from the `[[source]]` tables of a JSON file, to look at by hand:
//! `build_corpus SOURCES.json DATA_ROOT OUT [EVALUATION_FILE…]`. Prints counts; no document text.
#![allow(clippy::print_stdout, reason = "an example to run by hand")]

use std::path::Path;
use std::time::Instant;

use bimed_artifact::{Cancel, Context, Silent};
use bimed_corpus::{CorpusConfig, SourceConfig, build};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, sources, root, out, evaluation @ ..] = arguments.as_slice() else {
        return Err("expected SOURCES.json DATA_ROOT OUT".into());
    };
    let mut sources: Vec<SourceConfig> = serde_json::from_str(&fs_err::read_to_string(sources)?)?;
    for source in &mut sources {
        source.path = Path::new(root).join(&source.path);
    }
    fs_err::create_dir_all(out)?;
    let start = Instant::now();
    let mut config = CorpusConfig::default();
    config.decontaminate.extend(evaluation.iter().map(Into::into));
    let context = Context { progress: &Silent, cancel: &Cancel::new() };
    let units = Path::new(out).with_extension("units");
    let summary = build(&sources, &config, &units, Path::new(out), &context)?;
    let bytes: u64 = summary.sources.iter().map(|source| source.bytes).sum();
    let seconds = start.elapsed().as_secs_f64();
    println!("{}", serde_json::to_string_pretty(&summary)?);
    println!(
        "{:.1} MB in {seconds:.1} s: {:.1} MB/s",
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / seconds
    );
    Ok(())
}
