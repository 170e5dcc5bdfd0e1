//! Trains on plain text files, one document a line, and says what it took.
//!
//! `cargo run --release -p bimed-vocab --example train -- OUT SIZE FILE…` writes `OUT/vocab.txt`.
//! `scripts/compare_vocab.py` compares it with Hugging Face `tokenizers`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program to run by hand")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use bimed_artifact::{Cancel, Context, Silent};
use bimed_vocab::{InputDocument, VocabConfig, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, size, files @ ..] = &arguments[..] else {
        return Err("expected OUT SIZE FILE…".into());
    };
    let mut documents: Box<dyn Iterator<Item = std::io::Result<InputDocument>>> =
        Box::new(std::iter::empty());
    for file in files {
        let lines = BufReader::with_capacity(1 << 20, std::fs::File::open(file)?).lines();
        let document = |text| InputDocument { text, ..InputDocument::default() };
        documents = Box::new(documents.chain(lines.map(move |line| line.map(document))));
    }
    let config = VocabConfig { size: size.parse()?, ..VocabConfig::default() };
    let cancel = Cancel::new();
    let start = Instant::now();
    let (vocab, summary) = train(documents, &config, &Context::new(&Silent, &cancel))?;
    println!("{}", serde_json::to_string_pretty(&summary)?);
    let (words, seconds) = (summary.counts.word_types, start.elapsed());
    println!("{words} distinct words; trained in {seconds:.2?}; vocab.txt {}", vocab.hash());
    std::fs::create_dir_all(out)?;
    std::fs::write(Path::new(out).join("vocab.txt"), vocab.to_text())?;
    Ok(())
}
