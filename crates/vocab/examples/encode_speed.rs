//! Times encoding on one core, beside Hugging Face `tokenizers` on the same text in the same run.
//!
//! `cargo run --release -p bimed-vocab --example encode_speed -- TOKENIZER_DIR ROUNDS FILE…`
//!
//! Each line is a text, as both sides are used; white space at line ends counts as text. The sides
//! take turns; the best round of each is shown, in megabytes (10⁶ bytes) of text a second.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program to run by hand")]

use std::path::Path;
use std::time::Instant;

use bimed_vocab::{Encoding, Tokenizer};

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("no tokenizer")?;
    let rounds: usize = arguments.next().ok_or("no number of rounds")?.parse()?;
    let ours = Tokenizer::from_dir(Path::new(&dir))?;
    let theirs = tokenizers::Tokenizer::from_file(Path::new(&dir).join("tokenizer.json"))?;
    for path in arguments {
        let text = std::fs::read_to_string(&path)?;
        let lines: Vec<&str> = text.lines().collect();
        let megabytes = text.len() as f64 / 1e6;
        let (mut ids_only, mut with_words, mut other) = (f64::MAX, f64::MAX, f64::MAX);
        let (mut ids, mut other_ids) = (0, 0);
        for _ in 0..rounds {
            let start = Instant::now();
            ids = lines.iter().map(|line| ours.encode(line).len()).sum();
            ids_only = ids_only.min(start.elapsed().as_secs_f64());
            let mut encoding = Encoding::default();
            let start = Instant::now();
            for line in &lines {
                ours.encode_into(line, &mut encoding);
            }
            with_words = with_words.min(start.elapsed().as_secs_f64());
            // Their speed is far from ours: a tenth of the lines is enough of a sample.
            let sample = &lines[..lines.len().div_ceil(10)];
            let bytes: usize = sample.iter().map(|line| line.len() + 1).sum();
            let start = Instant::now();
            other_ids = 0;
            for line in sample {
                other_ids += theirs.encode_fast(*line, false)?.len();
            }
            other = other.min(start.elapsed().as_secs_f64() * text.len() as f64 / bytes as f64);
        }
        let sampled: usize =
            lines[..lines.len().div_ceil(10)].iter().map(|line| ours.encode(line).len()).sum();
        println!(
            "{path}: {megabytes:.1} MB, {ids} ids; ids only {:.1} MB/s, with offsets {:.1} MB/s, \
             tokenizers {:.2} MB/s ({} ids of a tenth, ours {sampled})",
            megabytes / ids_only,
            megabytes / with_words,
            megabytes / other,
            other_ids,
        );
    }
    Ok(())
}
