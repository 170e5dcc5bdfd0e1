//! Streams, each a thread that does what it was given in order, and the events between them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::Instant;

use crate::program::Program;
use crate::warp::{Launch, Worker};

type Job = Box<dyn FnOnce() + Send>;

/// A queue of work.
pub struct Stream(Mutex<Sender<Job>>);

impl Stream {
    pub fn new() -> Self {
        let (sender, jobs) = channel::<Job>();
        std::thread::spawn(move || jobs.iter().for_each(|job| job()));
        Stream(Mutex::new(sender))
    }

    /// Does `job` after all that came before.
    pub fn push(&self, job: impl FnOnce() + Send + 'static) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sender.send(Box::new(job)).expect("a stream's thread lives as long as its stream");
    }

    /// Returns when all is done.
    pub fn wait(&self) {
        let (done, wait) = channel();
        self.push(move || done.send(()).expect("it is waited for"));
        wait.recv().expect("a stream does all that it is given");
    }
}

/// A place in a stream.
#[derive(Default)]
pub struct Event {
    /// How often it was recorded, how often reached, and when last.
    state: Mutex<(u64, u64, Option<Instant>)>,
    reached: Condvar,
}

impl Event {
    pub fn record(self: &Arc<Self>, stream: &Stream) {
        let number = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 += 1;
            state.0
        };
        let event = Arc::clone(self);
        stream.push(move || {
            let mut state = event.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.1, state.2) = (number, Some(Instant::now()));
            event.reached.notify_all();
        });
    }

    /// The record to wait for.
    pub fn recorded(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub fn wait(&self, number: u64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _reached = self.reached.wait_while(state, |state| state.1 < number);
    }

    pub fn time(&self) -> Option<Instant> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).2
    }
}

/// The first fault of a kernel: every later call fails with it, as on a card.
pub static FAULT: AtomicI32 = AtomicI32::new(0);
pub const ILLEGAL_ADDRESS: i32 = 700;

/// One kernel at a time has all cores.
static DEVICE: Mutex<()> = Mutex::new(());

fn threads() -> usize {
    let said = std::env::var("CUDA_SOFTWARE_THREADS").ok().and_then(|count| count.parse().ok());
    said.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Launches, blocks and seconds of each kernel, for `CUDA_SOFTWARE_REPORT`.
static DONE: Mutex<BTreeMap<String, (u64, u64, f64)>> = Mutex::new(BTreeMap::new());

/// Writes, when the process ends, what ran and what memory was asked for.
extern "C" fn report() {
    let Some(path) = std::env::var_os("CUDA_SOFTWARE_REPORT") else { return };
    let (used, peak, allocations) = crate::memory::used();
    let mut text = format!(
        "bytes held {used}, at most {peak}, allocations {allocations}\nkernel\tlaunches\tblocks\tseconds\n"
    );
    for (name, (launches, blocks, seconds)) in
        DONE.lock().unwrap_or_else(PoisonError::into_inner).iter()
    {
        text += &format!("{name}\t{launches}\t{blocks}\t{seconds:.3}\n");
    }
    if std::fs::write(&path, text).is_err() {
        eprintln!("cuda-software: {} cannot be written", path.display());
    }
}

/// Asks for the report at the process's end.
pub fn report_at_end() {
    unsafe extern "C" {
        fn atexit(at_end: extern "C" fn()) -> i32;
    }
    static ONCE: Once = Once::new();
    // SAFETY: the C library calls `report` once, at the end.
    ONCE.call_once(|| assert_eq!(unsafe { atexit(report) }, 0, "the C library remembers it"));
}

/// Runs every block of a launch.
pub fn launch(
    program: &Program,
    params: &[u8],
    grid: [u32; 3],
    block: [u32; 3],
    dynamic_shared: usize,
) {
    let _device = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    if FAULT.load(Ordering::SeqCst) != 0 {
        return;
    }
    let began = Instant::now();
    let memory = crate::memory::ranges();
    let launch = Launch { program, params, grid, block, dynamic_shared, memory };
    let blocks: u32 = grid.iter().product();
    let next = AtomicU32::new(0);
    let run = || {
        let mut worker = Worker::new(&launch);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= blocks || FAULT.load(Ordering::Relaxed) != 0 {
                return;
            }
            let index = [index % grid[0], index / grid[0] % grid[1], index / grid[0] / grid[1]];
            if let Err(fault) = worker.run(index) {
                eprintln!("cuda-software: kernel `{}`: {fault}", program.name);
                FAULT.store(ILLEGAL_ADDRESS, Ordering::SeqCst);
            }
        }
    };
    let count = threads().min(blocks as usize);
    std::thread::scope(|scope| {
        for _ in 1..count {
            scope.spawn(run);
        }
        run();
    });
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let of = done.entry(program.name.clone()).or_default();
    *of = (of.0 + 1, of.1 + u64::from(blocks), of.2 + began.elapsed().as_secs_f64());
}
