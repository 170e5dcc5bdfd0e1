//! Writes a text of a given size whose words follow Zipf's law: those of the given files, most
//! frequent first, then compounds of them. The same arguments give the same bytes.
//!
//! `cargo run --release -p bimed-vocab --example generate -- OUT BYTES WORDS FILE…`, where WORDS is
//! how many different words there are to draw from.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program to run by hand")]

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};

const PARTICLES: &str = "은 는 이 가 을 를 에 의 로 와 과 도 에서 으로 이며 하고 에게 부터 까지 \
                         이라고 입니다 하였다 되었다 하는 했던 한다 보다 처럼 만 들";
const SUFFIXES: &str = "s ed ing er ly al ic ity ness tion ism ist able oma itis emia osis";

/// A function of the state alone. Source: Vigna, `splitmix64`.
struct Draws(u64);

impl Draws {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.word()) * limit as u128) >> 64) as usize
    }

    /// A rank below `limit`, with a probability of 1 / rank.
    fn rank(&mut self, limit: usize) -> usize {
        let share = (self.word() >> 11) as f64 / (1u64 << 53) as f64;
        ((limit as f64).powf(share) as usize).clamp(1, limit) - 1
    }
}

/// The words of one script, most frequent first.
struct Lexicon {
    words: Vec<String>,
    endings: Vec<&'static str>,
}

impl Lexicon {
    fn new(texts: &[String], is_letter: fn(char) -> bool, endings: &'static str) -> Self {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for word in texts.iter().flat_map(|text| text.split(|c| !is_letter(c))) {
            if (2..=8).contains(&word.chars().count()) {
                *counts.entry(word).or_default() += 1;
            }
        }
        let mut ranked: Vec<(&str, u64)> = counts.into_iter().collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let words = ranked.into_iter().map(|(word, _)| word.to_owned()).collect();
        Self { words, endings: endings.split_whitespace().collect() }
    }

    /// The word of this rank: beyond the list, two of it and an ending.
    fn push(&self, rank: usize, line: &mut String) {
        if let Some(word) = self.words.get(rank) {
            line.push_str(word);
            return;
        }
        let mut draws = Draws(rank as u64);
        for _ in 0..2 {
            line.push_str(&self.words[draws.rank(self.words.len())]);
        }
        line.push_str(self.endings[draws.below(self.endings.len())]);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out, bytes, words, files @ ..] = &arguments[..] else {
        return Err("expected OUT BYTES WORDS FILE…".into());
    };
    let (bytes, words): (usize, usize) = (bytes.parse()?, words.parse()?);
    let texts: Vec<String> =
        files.iter().map(std::fs::read_to_string).collect::<Result<_, std::io::Error>>()?;
    let korean = Lexicon::new(&texts, |c| ('가'..='힣').contains(&c), PARTICLES);
    let english = Lexicon::new(&texts, |c| c.is_ascii_alphabetic(), SUFFIXES);
    println!("{} Korean and {} English words", korean.words.len(), english.words.len());
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(out)?);
    let mut draws = Draws(7);
    let (mut written, mut line) = (0, String::new());
    while written < bytes {
        line.clear();
        for _ in 0..4 + draws.below(16) {
            match draws.below(100) {
                0..60 => korean.push(draws.rank(words / 10 * 7), &mut line),
                60..95 => english.push(draws.rank(words / 10 * 3), &mut line),
                _ => line.push_str(&draws.rank(1_000_000).to_string()),
            }
            line.push_str(if draws.below(12) == 0 { ", " } else { " " });
        }
        line.truncate(line.trim_end_matches([',', ' ']).len());
        line.push_str(".\n");
        file.write_all(line.as_bytes())?;
        written += line.len();
    }
    file.flush()?;
    Ok(())
}
