//! Trains on plain text files (one document a line), then times encoding.
//!
//! `cargo run --release -p bimed-vocab --example measure -- SIZE FILE…`

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program to run by hand")]

use std::convert::Infallible;
use std::time::Instant;

use bimed_artifact::{Cancel, Context, Silent};
use bimed_vocab::{InputDocument, Tokenizer, VocabConfig, save_tokenizer, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let size = arguments.next().ok_or("no size")?.parse()?;
    let files: Vec<String> =
        arguments.map(std::fs::read_to_string).collect::<Result<_, std::io::Error>>()?;
    let bytes: usize = files.iter().map(String::len).sum();
    let documents = files.iter().flat_map(|text| text.lines()).map(|line| {
        Ok::<_, Infallible>(InputDocument { text: line.into(), ..InputDocument::default() })
    });
    let config = VocabConfig { size, ..VocabConfig::default() };
    let cancel = Cancel::new();
    let start = Instant::now();
    let (vocab, summary) = train(documents, &config, &Context::new(&Silent, &cancel))?;
    println!("trained on {:.1} MB in {:.2?}", bytes as f64 / 1e6, start.elapsed());
    println!("{summary:#?}\nvocab.txt {}", vocab.hash());
    let start = Instant::now();
    let tokenizer = Tokenizer::new(vocab, config.tokenizer_options());
    println!("tokenizer built in {:.2?}", start.elapsed());
    if let Ok(dir) = std::env::var("OUT") {
        save_tokenizer(dir.as_ref(), &tokenizer, 512)?;
    }
    let rate = |start: Instant| bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
    for _ in 0..2 {
        let start = Instant::now();
        let tokens: usize = files.iter().map(|text| tokenizer.encode(text).len()).sum();
        println!("ids only: {:.1} MB/s, {tokens} tokens", rate(start));
        let start = Instant::now();
        for text in &files {
            text.lines().for_each(|line| drop(tokenizer.encode_with_words(line)));
        }
        println!("with words: {:.1} MB/s", rate(start));
    }
    Ok(())
}
