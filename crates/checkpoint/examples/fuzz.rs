//! Loads mutated copies of real checkpoints for so many seconds of the processor, and says what became
//! of them.
//!
//! ```sh
//! cargo run --release -p bimed-checkpoint --example fuzz -- crates/checkpoint/fixtures/legacy 600
//! ```
//!
//! A mutated file may load or be refused; a panic, a load of more than [`MAX_SECONDS`] of the processor or more memory
//! than [`MAX_PEAK_BYTES`] fails the run, which keeps the file. Checksums are made good again in half
//! of the files, for else they would hide what lies behind them.

#![expect(clippy::print_stdout, reason = "a program of its own")]
#![expect(clippy::unwrap_used, reason = "what fails here is no input's fault")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bimed_checkpoint::{Error, WeightFormat, is_weights_file, list_weights, load_model_dir};
use fs_err as fs;

/// The longest that one file of a few kilobytes may take.
const MAX_SECONDS: u64 = 5;
/// The most that all of them together may ever hold.
const MAX_PEAK_BYTES: u64 = 2 << 30;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Numbers at the edges of types.
const EDGES: [u64; 9] =
    [0, 1, 0x7f, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

fn mutate(bytes: &mut Vec<u8>, random: &mut Random, keeps_length: bool) {
    for _ in 0..=random.below(6) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        let length = (1 + random.below(16)).min(bytes.len() - at);
        match random.below(if keeps_length { 4 } else { 7 }) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => {
                let edge = EDGES[random.below(EDGES.len())].to_le_bytes();
                let length = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
                bytes[at..at + length].copy_from_slice(&edge[..length]);
            }
            3 => {
                let from = random.below(bytes.len() - length + 1);
                bytes.copy_within(from..from + length, at);
            }
            4 => drop(bytes.drain(at..at + length)),
            5 => {
                let copy = bytes[at..at + length].repeat(1 + random.below(40));
                bytes.splice(at..at, copy);
            }
            _ => bytes.truncate(at),
        }
    }
}

fn varint(bytes: &[u8], at: &mut usize) -> usize {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

/// Places and lengths of an index's blocks: the one of its entries and the one of its blocks.
fn blocks(index: &[u8]) -> Vec<(usize, usize)> {
    let mut at = index.len() - 48;
    let handles: Vec<usize> = (0..4).map(|_| varint(index, &mut at)).collect();
    vec![(0, handles[0] - 5), (handles[2], handles[3])]
}

fn mend_index(bytes: &mut [u8], blocks: &[(usize, usize)]) {
    for &(begin, length) in blocks {
        let end = begin + length + 1;
        let crc = crc32c::crc32c(&bytes[begin..end]);
        let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
        bytes[end..end + 4].copy_from_slice(&masked.to_le_bytes());
    }
}

/// Sets every checksum of a zip's directory to 0, which means none.
fn mend_zip(bytes: &mut [u8]) {
    for at in 0..bytes.len().saturating_sub(30) {
        if bytes[at..].starts_with(b"PK\x01\x02") {
            bytes[at + 16..at + 20].fill(0);
        }
    }
}

fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// The processor's time of this process, which no pause of it adds to.
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks =
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

/// What became of a file, without what differs from file to file.
fn outcome(error: &Error) -> String {
    let text = format!("{error:?}");
    let text = text.split("fault: ").nth(1).unwrap_or(&text);
    text.split([' ', '(', '{', '}']).next().unwrap_or_default().to_owned()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, seconds, rest @ ..] = arguments.as_slice() else {
        println!("usage: fuzz DIR SECONDS [SEED]");
        std::process::exit(2);
    };
    let (dir, seconds) = (PathBuf::from(dir), seconds.parse::<u64>().unwrap());
    let mut random = Random(rest.first().map_or(1, |seed| seed.parse().unwrap()));
    let format = list_weights(&dir).unwrap().format;
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let mut originals = BTreeMap::new();
    for entry in fs::read_dir(&dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        fs::copy(entry.path(), scratch.path().join(&name)).unwrap();
        if is_weights_file(&name) {
            originals.insert(name, fs::read(entry.path()).unwrap());
        }
    }
    let names: Vec<&String> = originals.keys().collect();
    let (mut counts, mut runs, mut slowest) = (BTreeMap::new(), 0_u64, Duration::ZERO);
    while cpu_time() < Duration::from_secs(seconds) {
        let name = names[random.below(names.len())];
        let original = &originals[name];
        let mut bytes = original.clone();
        let mends = random.below(2) == 0;
        let is_index = name.ends_with(".index");
        if format == WeightFormat::Pytorch && mends {
            mend_zip(&mut bytes);
        }
        mutate(&mut bytes, &mut random, mends);
        if mends && is_index {
            mend_index(&mut bytes, &blocks(original));
        }
        let path = scratch.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let begin = cpu_time();
        let result = catch_unwind(AssertUnwindSafe(|| load_model_dir(scratch.path())));
        let took = cpu_time().saturating_sub(begin);
        slowest = slowest.max(took);
        runs += 1;
        let kind = match &result {
            Ok(Ok(_)) => "loads".to_owned(),
            Ok(Err(error)) => outcome(error),
            Err(_) => "PANIC".to_owned(),
        };
        *counts.entry(kind).or_insert(0_u64) += 1;
        let is_slow = took > Duration::from_secs(MAX_SECONDS);
        if result.is_err() || is_slow || peak_bytes() > MAX_PEAK_BYTES {
            keep(&bytes, name, runs);
        }
        fs::write(&path, original).unwrap();
    }
    println!(
        "{}: {runs} files in {seconds} s of the processor, the slowest {:.3} s, peak memory {} MB",
        dir.display(),
        slowest.as_secs_f64(),
        peak_bytes() >> 20
    );
    for (kind, count) in counts {
        println!("  {count:>9} {kind}");
    }
}

/// Puts a file that should not be possible aside, and ends.
fn keep(bytes: &[u8], name: &str, runs: u64) {
    let path = std::env::temp_dir().join(format!("bimed-fuzz-{runs}-{name}"));
    fs::write(Path::new(&path), bytes).unwrap();
    println!("FAULT at file {runs}, peak {} MB: {}", peak_bytes() >> 20, path.display());
    std::process::exit(1);
}
