//! How often each word occurs: one text that holds all of them, and a table into it.
//!
//! A word costs its bytes and about 30 more, so that ten million fit into half a gigabyte. It knows
//! nothing of what a word is. Invariant: a word keeps its index, and indices follow first occurrence.

use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// Words and their occurrences.
#[derive(Debug, Clone)]
pub struct WordCounts {
    /// All words, one behind the other.
    text: String,
    /// Where each word begins in `text`, and where the last one ends.
    starts: Vec<u64>,
    counts: Vec<u64>,
    /// Hash and index of each word; the hash spares most looks at the text.
    table: HashTable<(u32, u32)>,
}

impl Default for WordCounts {
    fn default() -> Self {
        Self { text: String::new(), starts: vec![0], counts: Vec::new(), table: HashTable::new() }
    }
}

impl WordCounts {
    /// Adds `count` occurrences of `word` and returns its index.
    pub fn add(&mut self, word: &str, count: u64) -> usize {
        let hash = hash(word);
        let (text, starts) = (self.text.as_bytes(), &self.starts);
        let is_word = |&(other, index): &(u32, u32)| {
            let index = index as usize;
            other == hash
                && &text[starts[index] as usize..starts[index + 1] as usize] == word.as_bytes()
        };
        if let Some(&(_, index)) = self.table.find(spread(hash), is_word) {
            self.counts[index as usize] += count;
            return index as usize;
        }
        let index = self.counts.len();
        self.table.insert_unique(spread(hash), (hash, index as u32), |&(hash, _)| spread(hash));
        self.text.push_str(word);
        self.starts.push(self.text.len() as u64);
        self.counts.push(count);
        index
    }

    /// The number of distinct words.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The word with this index.
    ///
    /// # Panics
    /// When there is none.
    pub fn word(&self, index: usize) -> &str {
        &self.text[self.starts[index] as usize..self.starts[index + 1] as usize]
    }

    /// The occurrences of the word with this index.
    ///
    /// # Panics
    /// When there is none.
    pub fn count(&self, index: usize) -> u64 {
        self.counts[index]
    }

    /// All words with their occurrences.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        (0..self.len()).map(|index| (self.word(index), self.counts[index]))
    }

    /// Sets the occurrences of a word to 0; it keeps its index.
    pub(crate) fn clear(&mut self, index: usize) {
        self.counts[index] = 0;
    }

    /// Adds all words of `other`.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (mut larger, smaller) =
            if self.len() < other.len() { (other, self) } else { (self, other) };
        for index in 0..smaller.len() {
            larger.add(smaller.word(index), smaller.count(index));
        }
        larger
    }
}

fn hash(word: &str) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(word.as_bytes());
    hasher.finish() as u32
}

/// The table looks at the highest and the lowest bits of 64.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_indices_and_add_up() {
        let mut counts = WordCounts::default();
        let words: Vec<String> = (0..5000).map(|n| format!("폐{}렴{n}x", n * 7 % 11)).collect();
        for round in 0..3 {
            for (index, word) in words.iter().enumerate() {
                assert_eq!(counts.add(word, 1 + round), index);
            }
        }
        let mut other = WordCounts::default();
        other.add("소견", 4);
        other.add(&words[17], u64::from(u32::MAX));
        let merged = other.merge(counts);
        assert_eq!((merged.len(), merged.word(17)), (5001, words[17].as_str()));
        assert_eq!((merged.count(17), merged.count(18)), (6 + u64::from(u32::MAX), 6));
        assert_eq!((merged.word(5000), merged.count(5000)), ("소견", 4));
    }
}
