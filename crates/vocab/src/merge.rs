//! Byte-pair merges over segments: the pair that occurs most often becomes a token, and again. A
//! character without a row takes one when it occurs as often as the next pair.
//!
//! It knows nothing of documents. Invariant: which merge comes next depends on the counts and the
//! tokens' texts alone; of equal counts, the text that sorts first wins.

use std::collections::{BTreeSet, BinaryHeap};

use bimed_artifact::Context;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::Result;
use crate::alphabet::Alphabet;
use crate::longest::LongestMatch;
use crate::pairs::{Neighbours, Pair, PairInfo, Segment};
use crate::pieces::{surface, token_script};
use crate::room::{Room, pool};
use crate::script::Script;
use crate::vocabulary::CONTINUATION;
use crate::word_counts::WordCounts;

/// A symbol of the merge table: a token, or what was one.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    /// With its `##`.
    pub(crate) token: String,
    chars: usize,
    script: Script,
    /// Whether it has a row of the new ones. A pruned symbol still takes part in merges.
    pub(crate) row: bool,
}

/// What no token may exceed, or be.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) min_frequency: u64,
    pub(crate) max_chars: usize,
    pub(crate) max_digits: usize,
    /// Texts, without `##`, that no merge may make.
    pub(crate) denied: FxHashSet<String>,
}

/// The state of the merges.
pub(crate) struct Merger {
    /// The base's, the alphabet, rare characters, then one for each merge.
    pub(crate) symbols: Vec<Symbol>,
    /// How many of them are the base's.
    pub(crate) base_rows: usize,
    /// How many are the base's and the alphabet's, whose rows stay.
    pub(crate) fixed_rows: usize,
    /// Rare characters that were not pruned, with their occurrences, the most frequent first.
    rare: Vec<(u64, u32)>,
    ids: FxHashMap<String, u32>,
    /// The symbols of all segments.
    flat: Vec<u32>,
    segments: Vec<Segment>,
    pairs: FxHashMap<Pair, PairInfo>,
    heap: BinaryHeap<(u64, Pair)>,
    /// Pairs of the highest count, by the text they make.
    ties: BTreeSet<(String, Pair)>,
    tie_count: u64,
    rows: [usize; 3],
    limits: Limits,
    left: Neighbours,
    right: Neighbours,
    pub(crate) merges: u64,
    /// The count of the rarest merge.
    pub(crate) lowest_count: u64,
}

impl Merger {
    /// Starts from symbols that segments are split into, longest first; those of `base` have a row
    /// already, those of the alphabet take new ones, its rare characters when their turn comes.
    pub(crate) fn new(
        base: &[String],
        alphabet: &Alphabet,
        segments: &WordCounts,
        limits: Limits,
    ) -> Self {
        let mut merger = Self {
            symbols: Vec::new(),
            base_rows: base.len(),
            fixed_rows: base.len() + alphabet.tokens.len(),
            rare: Vec::new(),
            ids: FxHashMap::default(),
            flat: Vec::new(),
            segments: Vec::new(),
            pairs: FxHashMap::default(),
            heap: BinaryHeap::new(),
            ties: BTreeSet::new(),
            tie_count: 0,
            rows: [0; 3],
            limits,
            left: Neighbours::default(),
            right: Neighbours::default(),
            merges: 0,
            lowest_count: 0,
        };
        for token in base {
            merger.add_symbol(token.clone(), false);
        }
        for token in &alphabet.tokens {
            merger.add_symbol(token.clone(), true);
        }
        for (token, count) in &alphabet.rare {
            let id = merger.add_symbol(token.clone(), false);
            merger.rare.push((*count, id));
        }
        merger.add_segments(segments);
        merger.pairs = merger.count_pairs();
        merger
    }

    fn add_symbol(&mut self, token: String, row: bool) -> u32 {
        let (chars, script) = (surface(&token).1.chars().count(), token_script(&token));
        let id = self.symbols.len() as u32;
        self.rows[pool(script)] += usize::from(row);
        self.ids.insert(token.clone(), id);
        self.symbols.push(Symbol { token, chars, script, row });
        id
    }

    fn add_segments(&mut self, words: &WordCounts) {
        let symbols = self.symbols.iter().zip(0u32..);
        let longest = LongestMatch::new(symbols.map(|(symbol, id)| (symbol.token.as_str(), id)));
        for (word, count) in words.iter().filter(|(_, count)| *count > 0) {
            let from = self.flat.len();
            let is_whole = longest.split(word, |id| self.flat.push(id));
            // Of one symbol there is nothing to merge.
            if !is_whole || self.flat.len() - from == 1 {
                self.flat.truncate(from);
                continue;
            }
            let len = (self.flat.len() - from) as u32;
            self.segments.push(Segment { count, from: from as u32, len });
        }
        self.flat.shrink_to_fit();
        self.segments.shrink_to_fit();
    }

    fn count_pairs(&self) -> FxHashMap<Pair, PairInfo> {
        let size = self.segments.len().div_ceil(rayon::current_num_threads()).max(1);
        let parts: Vec<FxHashMap<Pair, PairInfo>> = self
            .segments
            .par_chunks(size)
            .enumerate()
            .map(|(chunk, segments)| {
                let mut pairs: FxHashMap<Pair, PairInfo> = FxHashMap::default();
                for (segment, id) in segments.iter().zip((chunk * size) as u32..) {
                    for window in segment.of(&self.flat).windows(2) {
                        pairs.entry((window[0], window[1])).or_default().add(segment.count, id);
                    }
                }
                pairs
            })
            .collect();
        let add = |mut all: FxHashMap<Pair, PairInfo>, part: FxHashMap<Pair, PairInfo>| {
            for (pair, info) in part {
                all.entry(pair).or_default().append(info);
            }
            all
        };
        parts.into_iter().reduce(add).unwrap_or_default()
    }

    /// Rows of Hangul, Latin, the rest.
    pub(crate) fn rows(&self) -> [usize; 3] {
        self.rows
    }

    /// Merges until every row is taken or nothing is left that has room.
    pub(crate) fn run(&mut self, room: Room, context: &Context<'_>) -> Result<()> {
        self.heap = self.pairs.iter().map(|(&pair, info)| (info.count, pair)).collect();
        self.ties.clear();
        self.tie_count = 0;
        let mut next_rare = 0;
        while self.rows.iter().sum::<usize>() < room.total {
            if self.merges.is_multiple_of(256) {
                context.cancel.check()?;
            }
            let next = self.next_pair(room);
            let count = next.as_ref().map_or(0, |_| self.tie_count);
            if self.take_rare(&mut next_rare, count, room) {
                context.progress.advance(1);
                // The pair waits; its room may be gone.
                self.ties.extend(next.map(|(pair, token)| (token, pair)));
                continue;
            }
            let Some((pair, token)) = next else { break };
            self.lowest_count = match self.merges {
                0 => self.tie_count,
                _ => self.lowest_count.min(self.tie_count),
            };
            self.merges += 1;
            let id = match self.ids.get(&token) {
                Some(&id) => id,
                None => {
                    context.progress.advance(1);
                    self.add_symbol(token, true)
                }
            };
            self.apply(pair, id);
        }
        Ok(())
    }

    /// Gives a row to the next rare character that occurs `count` times or more and has room;
    /// whether there is one. `next` counts those that had their turn.
    fn take_rare(&mut self, next: &mut usize, count: u64, room: Room) -> bool {
        while let Some(&(occurrences, id)) = self.rare.get(*next)
            && occurrences >= count
        {
            *next += 1;
            let symbol = &mut self.symbols[id as usize];
            let pool = pool(symbol.script);
            if !symbol.row && room.has(pool, self.rows) {
                symbol.row = true;
                self.rows[pool] += 1;
                return true;
            }
        }
        false
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
        chars <= longest
            && (self.ids.contains_key(token) || room.has(pool(script), self.rows))
            && !self.limits.denied.contains(surface(token).1)
    }

    /// Replaces `pair` by `id` in every segment that holds it.
    fn apply(&mut self, pair: Pair, id: u32) {
        let Some(info) = self.pairs.remove(&pair) else { return };
        let mut between = PairInfo::default();
        for segment in info.segments {
            self.replace(segment, pair, id, &mut between);
        }
        let (mut left, mut right) =
            (std::mem::take(&mut self.left), std::mem::take(&mut self.right));
        for (symbol, found) in left.drain() {
            self.exchange((symbol, pair.0), (symbol, id), found);
        }
        for (symbol, found) in right.drain() {
            self.exchange((pair.1, symbol), (id, symbol), found);
        }
        if between.count > 0 {
            self.exchange((pair.1, pair.0), (id, id), between);
        }
        (self.left, self.right) = (left, right);
    }

    /// Where `old` stood, `new` stands now. The merged pair itself is gone already.
    fn exchange(&mut self, old: Pair, new: Pair, found: PairInfo) {
        if let Some(info) = self.pairs.get_mut(&old) {
            info.count -= found.count;
            if info.count == 0 {
                self.pairs.remove(&old);
            }
        }
        let info = self.pairs.entry(new).or_default();
        info.append(found);
        self.heap.push((info.count, new));
    }

    /// Replaces `pair` by `id` in one segment, from the left, and notes what stood beside it.
    fn replace(&mut self, segment: u32, pair: Pair, id: u32, between: &mut PairInfo) {
        let Segment { count, from, len } = self.segments[segment as usize];
        let symbols = &mut self.flat[from as usize..(from + len) as usize];
        let (mut read, mut write) = (0, 0);
        let mut behind_new = false;
        while read < symbols.len() {
            let symbol = symbols[read];
            let merges = symbol == pair.0 && symbols.get(read + 1) == Some(&pair.1);
            if merges {
                match write {
                    0 => {}
                    _ if behind_new => between.add(count, segment),
                    _ => self.left.add(symbols[write - 1], count, segment),
                }
            } else if behind_new {
                self.right.add(symbol, count, segment);
            }
            symbols[write] = if merges { id } else { symbol };
            read += 1 + usize::from(merges);
            write += 1;
            behind_new = merges;
        }
        self.segments[segment as usize].len = write as u32;
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
        self.rare.retain(|(_, id)| !tokens.contains(id));
    }

    /// The tokens of the new rows: the alphabet, rare characters, then merges in their order.
    pub(crate) fn new_tokens(&self) -> Vec<String> {
        let rows = self.symbols.iter().filter(|symbol| symbol.row);
        rows.map(|symbol| symbol.token.clone()).collect()
    }

    /// What became of the rare characters.
    pub(crate) fn rare_chars(&self) -> RareChars {
        let mut found = RareChars::default();
        for (count, id) in &self.rare {
            if self.symbols[*id as usize].row {
                found.rows += 1;
            } else {
                found.dropped += 1;
                found.dropped_occurrences += count;
            }
        }
        found
    }
}

/// Rare characters: those with a row, and those that got none; pruned ones are neither.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RareChars {
    pub(crate) rows: usize,
    pub(crate) dropped: u64,
    pub(crate) dropped_occurrences: u64,
}
