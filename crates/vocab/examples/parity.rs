//! Compares ids with Hugging Face `tokenizers`, line by line of text files.
//!
//! `cargo run --release -p bimed-vocab --example parity -- VOCAB.txt FILE…`

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program to run by hand")]

use std::path::Path;

use bimed_vocab::{Tokenizer, TokenizerOptions, Vocab};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("no vocabulary")?;
    let files: Vec<String> =
        arguments.map(std::fs::read_to_string).collect::<Result<_, std::io::Error>>()?;
    for options in [TokenizerOptions::cased(), TokenizerOptions::uncased()] {
        let ours = Tokenizer::new(Vocab::from_file(Path::new(&path))?, options);
        let model = WordPiece::from_file(&path).unk_token("[UNK]".into()).build();
        let mut theirs = tokenizers::Tokenizer::new(model.map_err(|error| error.to_string())?);
        let normalizer =
            BertNormalizer::new(true, true, Some(options.strip_accents), options.lowercase);
        theirs.with_normalizer(Some(normalizer)).map_err(|error| error.to_string())?;
        theirs.with_pre_tokenizer(Some(BertPreTokenizer));
        let (mut lines, mut ids, mut differing) = (0u64, 0u64, 0u64);
        for line in files.iter().flat_map(|text| text.lines()) {
            let expected = theirs.encode_fast(line, false).map_err(|error| error.to_string())?;
            let found = ours.encode(line);
            lines += 1;
            ids += found.len() as u64;
            differing +=
                u64::from(found != expected.get_ids() || ours.encode_with_words(line).ids != found);
        }
        println!("{path} {options:?}: {lines} lines, {ids} ids, {differing} lines differ");
    }
    Ok(())
}
