//! Compares ids with Hugging Face `tokenizers`, line by line of text files, with special tokens that a
//! line spells out as text and as ids.
//!
//! `cargo run --release -p bimed-vocab --example parity -- TOKENIZER_DIR IDS FILE…`
//!
//! Ours come from the directory's files by our reader, theirs from its `tokenizer.json` by theirs.
//! Ours are written too, for `scripts/compare_tokenizer.py`, to IDS.text and IDS.ids: of each line the
//! number of its ids, then the ids, as little-endian `u32`.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program to run by hand")]

use std::collections::HashSet;
use std::io::{BufWriter, Write};
use std::path::Path;

use bimed_vocab::{SpecialTokens, Tokenizer};
use rayon::prelude::*;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Lines that are compared together.
const BATCH_LINES: usize = 4096;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("no tokenizer")?;
    let out = arguments.next().ok_or("no file for the ids")?;
    let files: Vec<String> = arguments.collect();
    for (special_tokens, name) in [(SpecialTokens::Text, "text"), (SpecialTokens::Ids, "ids")] {
        let ours = Tokenizer::from_dir(Path::new(&dir))?.with_special_tokens(special_tokens);
        let mut theirs = tokenizers::Tokenizer::from_file(Path::new(&dir).join("tokenizer.json"))?;
        theirs.set_encode_special_tokens(special_tokens == SpecialTokens::Text);
        let mut out = BufWriter::new(std::fs::File::create(format!("{out}.{name}"))?);
        println!("special tokens as {name}");
        for path in &files {
            compare_file(&ours, &theirs, path, &mut out)?;
        }
        out.flush()?;
    }
    Ok(())
}

fn compare_file(
    ours: &Tokenizer,
    theirs: &tokenizers::Tokenizer,
    path: &str,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path)?;
    let lines: Vec<&str> = text.lines().collect();
    let distinct = lines.iter().collect::<HashSet<_>>().len();
    let (mut ids, mut differing) = (0, 0);
    for batch in lines.chunks(BATCH_LINES) {
        let compared: Vec<(Vec<u32>, bool)> =
            batch.par_iter().map(|line| compare(ours, theirs, line)).collect::<Result<_, _>>()?;
        for (found, agrees) in compared {
            ids += found.len();
            differing += usize::from(!agrees);
            out.write_all(&(found.len() as u32).to_le_bytes())?;
            for id in found {
                out.write_all(&id.to_le_bytes())?;
            }
        }
    }
    println!(
        "{path}: {} lines ({distinct} distinct), {ids} ids, {differing} lines differ",
        lines.len()
    );
    Ok(())
}

/// Our ids of `line`, and whether they are theirs, with and without what each token covers.
fn compare(
    ours: &Tokenizer,
    theirs: &tokenizers::Tokenizer,
    line: &str,
) -> Result<(Vec<u32>, bool), Failure> {
    let expected = theirs.encode_fast(line, false)?;
    let found = ours.encode(line);
    let agrees = found == expected.get_ids() && ours.encode_with_words(line).ids == found;
    Ok((found, agrees))
}
