//! Words of private documents, which count from a number of distinct groups (patients) on.
//!
//! Invariant: no word below the floor leaves this module; only how many there are.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::document::InputDocument;
use crate::word_counts::WordCounts;

/// No link follows.
const END: u32 = u32::MAX;

/// Words, and of each the groups that have it, up to the floor.
#[derive(Debug, Default)]
pub(crate) struct PrivateWords {
    words: WordCounts,
    groups: Vec<Groups>,
    /// Groups of all words, chained by word: most words have one or two.
    links: Vec<Link>,
}

#[derive(Debug, Clone, Copy)]
struct Groups {
    known: u32,
    newest: u32,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    group: u64,
    older: u32,
}

impl PrivateWords {
    /// Adds an occurrence of `word` in a document of `group`.
    pub(crate) fn add(&mut self, word: &str, group: u64, floor: usize) {
        let index = self.add_word(word, 1);
        self.add_group(index, group, floor);
    }

    fn add_word(&mut self, word: &str, count: u64) -> usize {
        let index = self.words.add(word, count);
        if index == self.groups.len() {
            self.groups.push(Groups { known: 0, newest: END });
        }
        index
    }

    fn add_group(&mut self, index: usize, group: u64, floor: usize) {
        let Groups { known, newest } = self.groups[index];
        if known as usize >= floor || self.of(index).any(|other| other == group) {
            return;
        }
        self.groups[index] = Groups { known: known + 1, newest: self.links.len() as u32 };
        self.links.push(Link { group, older: newest });
    }

    /// The groups known to have the word `index`.
    fn of(&self, index: usize) -> impl Iterator<Item = u64> {
        let link = |at: u32| self.links.get(at as usize);
        std::iter::successors(link(self.groups[index].newest), move |last| link(last.older))
            .map(|link| link.group)
    }

    /// Adds all words of `other` with their groups.
    pub(crate) fn merge(mut self, other: Self, floor: usize) -> Self {
        for index in 0..other.words.len() {
            let to = self.add_word(other.words.word(index), other.words.count(index));
            for group in other.of(index) {
                self.add_group(to, group, floor);
            }
        }
        self
    }

    /// Gives the words that reach the floor to `words`. Returns how many do not, and their
    /// occurrences.
    pub(crate) fn release(self, floor: usize, words: &mut WordCounts) -> (u64, u64) {
        let (mut types, mut occurrences) = (0, 0);
        for (index, groups) in self.groups.iter().enumerate() {
            let count = self.words.count(index);
            if groups.known as usize >= floor {
                words.add(self.words.word(index), count);
            } else {
                types += 1;
                occurrences += count;
            }
        }
        (types, occurrences)
    }
}

/// Whom a private document is about. Without a group, equal texts are one: a copied document is not
/// another patient.
pub(crate) fn group_of(document: &InputDocument) -> u64 {
    let mut hasher = DefaultHasher::new();
    match &document.group {
        Some(group) => (0u8, group).hash(&mut hasher),
        None => (1u8, &document.text).hash(&mut hasher),
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_needs_distinct_groups_wherever_they_were_counted() {
        let count = |groups: &[u64]| {
            let mut words = PrivateWords::default();
            for &group in groups {
                words.add("환자", group, 3);
                words.add("lung", 7, 3);
            }
            words
        };
        let mut released = WordCounts::default();
        let below = count(&[1, 1, 2]).merge(count(&[2, 1]), 3).release(3, &mut released);
        assert_eq!((released.len(), below), (0, (2, 10)));
        let below = count(&[1, 1, 2]).merge(count(&[2, 3]), 3).release(3, &mut released);
        assert_eq!((released.word(0), released.count(0), below), ("환자", 5, (1, 5)));
    }
}
