//! How fast identifiers are looked for: megabytes a second of the files that are named, one thread.
//!
//! `cargo run --release -p bimed-text --example identifier_speed -- FILE …`

#![expect(clippy::disallowed_methods, reason = "a program to run by hand")]

use std::io::Write;
use std::time::Instant;

use bimed_text::{IdentifierCounts, IdentifierScanner};

/// Passes over the files; the fastest counts.
const PASSES: usize = 5;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let texts: Vec<String> =
        std::env::args_os().skip(1).map(std::fs::read_to_string).collect::<Result<_, _>>()?;
    let bytes: usize = texts.iter().map(String::len).sum();
    let scanner = IdentifierScanner::new(&[])?;
    let mut fastest = f64::INFINITY;
    let mut counts = IdentifierCounts::default();
    for _ in 0..PASSES {
        counts = IdentifierCounts::default();
        let start = Instant::now();
        for text in &texts {
            scanner.mask(text, &[], &mut counts);
        }
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:.0} MB/s over {bytes} bytes", bytes as f64 / 1e6 / fastest)?;
    for (class, count) in &counts.0 {
        writeln!(out, "{} {count}", class.name())?;
    }
    Ok(())
}
