//! Loads the model in a directory and says how long that took and how much memory it needed at most.
//!
//! ```sh
//! cargo run --release -p bimed-checkpoint --example load -- MODEL_DIR
//! ```

#![expect(clippy::print_stdout, reason = "a program of its own")]
#![expect(clippy::unwrap_used, reason = "what fails here is told by its message")]

use std::path::Path;
use std::time::Instant;

fn main() {
    let dir = std::env::args().nth(1).expect("usage: load MODEL_DIR");
    let begin = Instant::now();
    let model = bimed_checkpoint::load_model_dir(Path::new(&dir)).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown");
    let bytes = 4 * model.weights.num_parameters();
    println!(
        "{seconds:.2} s, peak {}, {:.0} MB of weights, {} parameters",
        peak.trim(),
        bytes as f64 / 1e6,
        model.weights.num_parameters()
    );
}
