//! The device's memory: what is allocated, how much there is, and what was asked for at most.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const ALIGN: usize = 512;

/// The allocations at one moment, sorted.
#[derive(Clone)]
pub struct Ranges(Arc<Vec<(u64, u64)>>);

impl Ranges {
    #[cfg(test)]
    pub fn of(ranges: Vec<(u64, u64)>) -> Self {
        Ranges(Arc::new(ranges))
    }

    /// The allocation that holds all of `size` bytes at `address`.
    pub fn find(&self, address: u64, size: u64) -> Option<(u64, u64)> {
        let after = self.0.partition_point(|range| range.0 <= address);
        let range = *self.0.get(after.checked_sub(1)?)?;
        (address.checked_add(size)? <= range.1).then_some(range)
    }

    /// In words, what lies below an address.
    pub fn nearest(&self, address: u64) -> String {
        let after = self.0.partition_point(|range| range.0 <= address);
        match after.checked_sub(1).and_then(|below| self.0.get(below)) {
            Some((from, to)) => format!(
                "it is {} bytes after {from:#x}, where {} are allocated",
                address - from,
                to - from
            ),
            None => "nothing is allocated below it".into(),
        }
    }
}

#[derive(Default)]
struct State {
    live: BTreeMap<u64, usize>,
    sorted: Option<Ranges>,
    used: usize,
    peak: usize,
    allocations: usize,
}

static STATE: Mutex<State> =
    Mutex::new(State { live: BTreeMap::new(), sorted: None, used: 0, peak: 0, allocations: 0 });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes that the device has: `CUDA_SOFTWARE_MEMORY`, else 4 GiB.
pub fn total() -> usize {
    let said = std::env::var("CUDA_SOFTWARE_MEMORY").ok().and_then(|bytes| bytes.parse().ok());
    said.unwrap_or(4 << 30)
}

/// Bytes in use, bytes in use at most, allocations made.
pub fn used() -> (usize, usize, usize) {
    let state = state();
    (state.used, state.peak, state.allocations)
}

/// What is allocated now.
pub fn ranges() -> Ranges {
    let mut state = state();
    if state.sorted.is_none() {
        let ranges = state.live.iter().map(|(&at, &size)| (at, at + size as u64)).collect();
        state.sorted = Some(Ranges(Arc::new(ranges)));
    }
    state.sorted.clone().expect("just made")
}

/// `size` bytes that hold no numbers, unless the device has fewer.
pub fn allocate(size: usize) -> Option<u64> {
    let mut state = state();
    if size == 0 || state.used + size > total() {
        return None;
    }
    let layout = Layout::from_size_align(size, ALIGN).ok()?;
    // SAFETY: the size is not zero.
    let at = unsafe { alloc(layout) };
    if at.is_null() {
        return None;
    }
    // SAFETY: `size` bytes were allocated.
    unsafe { at.write_bytes(0xFF, size) };
    state.live.insert(at as u64, size);
    state.sorted = None;
    state.used += size;
    state.allocations += 1;
    state.peak = state.peak.max(state.used);
    Some(at as u64)
}

/// Gives back what `allocate` gave; false for anything else.
pub fn free(at: u64) -> bool {
    let mut state = state();
    let Some(size) = state.live.remove(&at) else { return false };
    state.sorted = None;
    state.used -= size;
    let layout = Layout::from_size_align(size, ALIGN).expect("as it was allocated");
    // SAFETY: `allocate` made it with this layout.
    unsafe { dealloc(at as *mut u8, layout) };
    true
}
