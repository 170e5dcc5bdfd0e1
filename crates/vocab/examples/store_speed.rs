//! Times the writing of a token store, from a plain text file of one document a line.
//!
//! `cargo run --release -p bimed-vocab --example store_speed -- TOKENIZER_DIR OUT FILE`
//!
//! OUT is an empty directory. The file is read as a stream, as a corpus is. On Linux the peak memory
//! is shown too.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program to run by hand")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use bimed_artifact::{Cancel, Context, Silent};
use bimed_vocab::{EncodeConfig, InputDocument, TokenStore, Tokenizer, encode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, out, file] = &arguments[..] else {
        return Err("expected TOKENIZER_DIR OUT FILE".into());
    };
    let tokenizer = Tokenizer::from_dir(Path::new(dir))?;
    let document = |line: std::io::Result<String>| {
        line.map(|text| InputDocument {
            sentences: vec![(0, text.len())],
            text,
            source: "lines".into(),
            language: "ko".into(),
            domain: "medical".into(),
            ..InputDocument::default()
        })
    };
    let documents = BufReader::with_capacity(1 << 20, std::fs::File::open(file)?).lines();
    let cancel = Cancel::new();
    let start = Instant::now();
    let summary = encode(
        documents.map(document),
        &tokenizer,
        &EncodeConfig::default(),
        Path::new(out),
        &Context::new(&Silent, &cancel),
    )?;
    let seconds = start.elapsed().as_secs_f64();
    let megabytes = summary.total.bytes as f64 / 1e6;
    let threads = rayon::current_num_threads();
    println!(
        "{megabytes:.0} MB, {} documents, {} tokens in {seconds:.1} s on {threads} threads: {:.1} MB/s",
        summary.total.documents,
        summary.total.tokens,
        megabytes / seconds
    );
    let start = Instant::now();
    let store = TokenStore::open(Path::new(out))?;
    println!("opened {} documents in {:.2?}", store.documents().len(), start.elapsed());
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find(|line| line.starts_with("VmHWM"));
        println!("peak memory: {}", peak.unwrap_or("not known"));
    }
    Ok(())
}
