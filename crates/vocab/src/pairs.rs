//! Pairs of neighbouring symbols: how often each occurs, and the segments that hold it.
//!
//! It knows nothing of what a symbol is.

/// Two symbols, one behind the other.
pub(crate) type Pair = (u32, u32);

/// How often a pair occurs, and where.
#[derive(Debug, Default)]
pub(crate) struct PairInfo {
    pub(crate) count: u64,
    /// Segments that hold or held the pair.
    pub(crate) segments: Vec<u32>,
}

impl PairInfo {
    pub(crate) fn add(&mut self, count: u64, segment: u32) {
        self.count += count;
        if self.segments.last() != Some(&segment) {
            self.segments.push(segment);
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        self.count += other.count;
        if self.segments.is_empty() {
            self.segments = other.segments;
        } else {
            self.segments.extend(other.segments);
        }
    }
}

/// The symbols that stand on one side of a merged pair.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    /// By symbol.
    found: Vec<PairInfo>,
    symbols: Vec<u32>,
}

impl Neighbours {
    pub(crate) fn add(&mut self, symbol: u32, count: u64, segment: u32) {
        let at = symbol as usize;
        if at >= self.found.len() {
            self.found.resize_with(at + 1, PairInfo::default);
        }
        if self.found[at].count == 0 {
            self.symbols.push(symbol);
        }
        self.found[at].add(count, segment);
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (u32, PairInfo)> {
        let found = &mut self.found;
        self.symbols.drain(..).map(|symbol| (symbol, std::mem::take(&mut found[symbol as usize])))
    }
}

/// A segment: a stretch of the symbols, and how often it occurs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) count: u64,
    pub(crate) from: u32,
    pub(crate) len: u32,
}

impl Segment {
    /// Its symbols, out of those of all segments.
    pub(crate) fn of(self, symbols: &[u32]) -> &[u32] {
        &symbols[self.from as usize..(self.from + self.len) as usize]
    }
}
