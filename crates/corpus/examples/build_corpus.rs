//! Builds a corpus from the `[[source]]` tables of a JSON file, to look at by hand:
//! `build_corpus SOURCES.json DATA_ROOT OUT [EVALUATION_FILE…]`. Prints counts and the time of each
//! step; no document text.
#![allow(clippy::print_stdout, reason = "an example to run by hand")]

use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use bimed_artifact::{Cancel, Context, Progress, Unit};
use bimed_corpus::{CorpusConfig, SourceConfig, build};

// As in the program itself, which keeps pages that were freed: MIMALLOC_PURGE_DELAY=-1 does here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// When each step began, in seconds of the wall and of the processors.
struct Steps {
    start: Instant,
    began: Mutex<Vec<(String, f64, f64)>>,
}

impl Steps {
    fn mark(&self, name: &str) {
        let mark = (name.to_owned(), self.start.elapsed().as_secs_f64(), processor_seconds());
        if let Ok(mut began) = self.began.lock() {
            began.push(mark);
        }
    }

    fn print(&self) {
        let Ok(began) = self.began.lock() else { return };
        for pair in began.windows(2) {
            let [(name, wall, processor), (_, wall_end, processor_end)] = pair else { continue };
            let (wall, processor) = (wall_end - wall, processor_end - processor);
            println!("{name}: {wall:.2} s, {processor:.2} s of the processors");
        }
    }
}

impl Progress for Steps {
    fn begin(&self, step: &str, _total: Option<u64>, _unit: Unit) {
        self.mark(step);
    }
    fn advance(&self, _amount: u64) {}
    fn status(&self, _figures: &str) {}
    fn note(&self, _line: &str) {}
    fn end(&self) {
        self.mark("between");
    }
}

/// What the process has used of all processors; 0 where Linux does not say.
fn processor_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs_err::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}

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
    let steps = Steps { start: Instant::now(), began: Mutex::default() };
    steps.mark("scan");
    let mut config = CorpusConfig::default();
    config.decontaminate.extend(evaluation.iter().map(Into::into));
    let context = Context { progress: &steps, cancel: &Cancel::new() };
    let units = Path::new(out).with_extension("units");
    let summary = build(&sources, &config, &units, Path::new(out), &context)?;
    steps.mark("end");
    let bytes: u64 = summary.sources.iter().map(|source| source.bytes).sum();
    let seconds = steps.start.elapsed().as_secs_f64();
    println!("{}", serde_json::to_string_pretty(&summary)?);
    steps.print();
    println!(
        "{:.1} MB in {seconds:.1} s: {:.1} MB/s",
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / seconds
    );
    Ok(())
}
