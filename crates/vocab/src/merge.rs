//! Byte-pair merges over segments: the pair that occurs most often becomes a token, and again.
//!
//! It knows nothing of documents. Invariant: which merge comes next depends on the counts and the
//! tokens' texts alone; of equal counts, the text that sorts first wins.

use std::collections::{BTreeSet, BinaryHeap, HashMap};

use bimed_artifact::Context;

use crate::Result;
use crate::count::Segment;
use crate::pieces::token_script;
use crate::script::Script;
use crate::vocabulary::CONTINUATION;

type Pair = (u32, u32);

/// A symbol of the merge table: a token, or what was one.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    /// With its `##`.
    pub(crate) token: String,
    chars: usize,
    script: Script,
    /// Whether it has a row. A pruned symbol still takes part in merges.
    pub(crate) row: bool,
}

/// How many rows each script may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// Rows with Hangul.
    pub(crate) hangul: usize,
    /// Rows with Latin.
    pub(crate) latin: usize,
    /// All other rows.
    pub(crate) other: usize,
    /// All rows together.
    pub(crate) total: usize,
}

/// Which pool of [`Room`] a script draws on.
fn pool(script: Script) -> usize {
    match script {
        Script::Hangul => 0,
        Script::Latin => 1,
        _ => 2,
    }
}

impl Room {
    fn of(self, pool: usize) -> usize {
        [self.hangul, self.latin, self.other][pool]
    }
}

#[derive(Debug, Default)]
struct PairInfo {
    count: u64,
    /// Segments that hold or held the pair.
    segments: Vec<u32>,
}

/// The state of the merges.
pub(crate) struct Merger {
    pub(crate) symbols: Vec<Symbol>,
    ids: HashMap<String, u32>,
    flat: Vec<u32>,
    /// Of each segment: its first symbol in `flat`, and how many it has.
    segments: Vec<(u32, u32)>,
    counts: Vec<u64>,
    pairs: HashMap<Pair, PairInfo>,
    heap: BinaryHeap<(u64, Pair)>,
    /// Pairs of the highest count, by the text they make.
    ties: BTreeSet<(String, Pair)>,
    tie_count: u64,
    rows: [usize; 3],
    limits: Limits,
    pub(crate) merges: u64,
    /// The count of the rarest merge.
    pub(crate) lowest_count: u64,
}

/// What no token may exceed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) min_frequency: u64,
    pub(crate) max_chars: usize,
    pub(crate) max_digits: usize,
}

impl Merger {
    /// Starts from an alphabet (tokens of one character, in row order). Segments with any other
    /// character are left out; their number and occurrences are returned.
    pub(crate) fn new(
        alphabet: Vec<String>,
        segments: &[Segment],
        limits: Limits,
    ) -> (Self, u64, u64) {
        let mut merger = Self {
            symbols: Vec::new(),
            ids: HashMap::new(),
            flat: Vec::new(),
            segments: Vec::new(),
            counts: Vec::new(),
            pairs: HashMap::new(),
            heap: BinaryHeap::new(),
            ties: BTreeSet::new(),
            tie_count: 0,
            rows: [0; 3],
            limits,
            merges: 0,
            lowest_count: 0,
        };
        for token in alphabet {
            merger.add_symbol(token);
        }
        let (mut left_out, mut occurrences) = (0, 0);
        for segment in segments {
            if !merger.add_segment(segment) {
                left_out += 1;
                occurrences += segment.count;
            }
        }
        for index in 0..merger.segments.len() {
            let symbols = merger.symbols_of(index);
            let pairs: Vec<Pair> = symbols.windows(2).map(|w| (w[0], w[1])).collect();
            for pair in pairs {
                let info = merger.pairs.entry(pair).or_default();
                info.count += merger.counts[index];
                if info.segments.last() != Some(&(index as u32)) {
                    info.segments.push(index as u32);
                }
            }
        }
        (merger, left_out, occurrences)
    }

    fn add_symbol(&mut self, token: String) -> u32 {
        let text = token.strip_prefix(CONTINUATION).unwrap_or(&token);
        let (chars, script) = (text.chars().count(), token_script(&token));
        let id = self.symbols.len() as u32;
        self.rows[pool(script)] += 1;
        self.ids.insert(token.clone(), id);
        self.symbols.push(Symbol { token, chars, script, row: true });
        id
    }

    fn add_segment(&mut self, segment: &Segment) -> bool {
        let from = self.flat.len();
        let mut token = String::new();
        for (index, c) in segment.text.chars().enumerate() {
            token.clear();
            if segment.continues || index > 0 {
                token.push_str(CONTINUATION);
            }
            token.push(c);
            let Some(&id) = self.ids.get(&token) else {
                self.flat.truncate(from);
                return false;
            };
            self.flat.push(id);
        }
        self.segments.push((from as u32, (self.flat.len() - from) as u32));
        self.counts.push(segment.count);
        true
    }

    fn symbols_of(&self, segment: usize) -> &[u32] {
        let (from, len) = self.segments[segment];
        &self.flat[from as usize..(from + len) as usize]
    }

    /// Rows of Hangul, Latin, the rest.
    pub(crate) fn rows(&self) -> [usize; 3] {
        self.rows
    }

    /// Merges until every row is taken or no pair is left that has room.
    pub(crate) fn run(&mut self, room: Room, context: &Context<'_>) -> Result<()> {
        self.heap = self.pairs.iter().map(|(&pair, info)| (info.count, pair)).collect();
        self.ties.clear();
        self.tie_count = 0;
        while self.rows.iter().sum::<usize>() < room.total {
            if self.merges.is_multiple_of(256) {
                context.cancel.check()?;
            }
            let Some((pair, token)) = self.next_pair(room) else { break };
            self.lowest_count = self.tie_count;
            self.merges += 1;
            let id = match self.ids.get(&token) {
                Some(&id) => id,
                None => {
                    context.progress.advance(1);
                    self.add_symbol(token)
                }
            };
            self.apply(pair, id);
        }
        Ok(())
    }

    /// The most frequent pair that may merge, and the token it makes.
    fn next_pair(&mut self, room: Room) -> Option<(Pair, String)> {
        loop {
            self.collect_ties();
            let (token, pair) = self.ties.pop_first()?;
            let live = self.pairs.get(&pair).map_or(0, |info| info.count);
            if live != self.tie_count {
                if live < self.tie_count && live >= self.limits.min_frequency {
                    self.heap.push((live, pair));
                }
                continue;
            }
            if self.may_merge(pair, &token, room) {
                return Some((pair, token));
            }
        }
    }

    /// Moves every pair of the highest count from the heap to the ties.
    fn collect_ties(&mut self) {
        while let Some(&(count, pair)) = self.heap.peek() {
            if !self.ties.is_empty() && count < self.tie_count {
                return;
            }
            if count < self.limits.min_frequency {
                self.heap.clear();
                return;
            }
            self.heap.pop();
            let live = self.pairs.get(&pair).map_or(0, |info| info.count);
            if live != count {
                // A higher count has an entry of its own.
                if live < count && live >= self.limits.min_frequency {
                    self.heap.push((live, pair));
                }
                continue;
            }
            if count > self.tie_count {
                // A token made in two ways raised an old pair above the ties.
                let ties = std::mem::take(&mut self.ties);
                self.heap.extend(ties.into_iter().map(|(_, pair)| (self.tie_count, pair)));
            }
            self.tie_count = count;
            self.ties.insert((self.joined(pair), pair));
        }
    }

    fn joined(&self, (left, right): Pair) -> String {
        let right = &self.symbols[right as usize].token;
        let mut token = self.symbols[left as usize].token.clone();
        token.push_str(right.strip_prefix(CONTINUATION).unwrap_or(right));
        token
    }

    fn may_merge(&self, (left, right): Pair, token: &str, room: Room) -> bool {
        let (left, right) = (&self.symbols[left as usize], &self.symbols[right as usize]);
        let chars = left.chars + right.chars;
        let script = left.script.min(right.script);
        let longest =
            if script == Script::Digit { self.limits.max_digits } else { self.limits.max_chars };
        let pool = pool(script);
        chars <= longest && (self.ids.contains_key(token) || self.rows[pool] < room.of(pool))
    }

    /// Replaces `pair` by `id` in every segment that holds it.
    fn apply(&mut self, pair: Pair, id: u32) {
        let Some(info) = self.pairs.remove(&pair) else { return };
        let mut added: HashMap<Pair, PairInfo> = HashMap::new();
        for &segment in &info.segments {
            self.replace(segment, pair, id, &mut added);
        }
        for (pair, more) in added {
            let info = self.pairs.entry(pair).or_default();
            info.count += more.count;
            info.segments.extend(more.segments);
            self.heap.push((info.count, pair));
        }
    }

    fn replace(&mut self, segment: u32, pair: Pair, id: u32, added: &mut HashMap<Pair, PairInfo>) {
        let (from, len) = self.segments[segment as usize];
        let count = self.counts[segment as usize];
        let (from, len) = (from as usize, len as usize);
        let symbols = &mut self.flat[from..from + len];
        if !symbols.windows(2).any(|w| (w[0], w[1]) == pair) {
            return;
        }
        for window in symbols.windows(2) {
            let old = (window[0], window[1]);
            if old != pair
                && let Some(info) = self.pairs.get_mut(&old)
            {
                info.count -= count;
            }
        }
        let (mut read, mut write) = (0, 0);
        while read < len {
            if read + 1 < len && (symbols[read], symbols[read + 1]) == pair {
                symbols[write] = id;
                read += 2;
            } else {
                symbols[write] = symbols[read];
                read += 1;
            }
            write += 1;
        }
        self.segments[segment as usize].1 = write as u32;
        for window in symbols[..write].windows(2) {
            let new = (window[0], window[1]);
            let info = match self.pairs.get_mut(&new) {
                Some(info) if new.0 != id && new.1 != id => {
                    info.count += count;
                    continue;
                }
                _ => added.entry(new).or_default(),
            };
            info.count += count;
            if info.segments.last() != Some(&segment) {
                info.segments.push(segment);
            }
        }
    }

    /// Takes the rows of `tokens` away; they are not given again.
    pub(crate) fn prune(&mut self, tokens: &[u32]) {
        for &id in tokens {
            let symbol = &mut self.symbols[id as usize];
            if symbol.row {
                symbol.row = false;
                self.rows[pool(symbol.script)] -= 1;
            }
        }
    }
}
