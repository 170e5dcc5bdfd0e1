//! A double-array trie over bytes: from a prefix of a word to the longest token.
//!
//! A child of node `n` on byte `b` lies at `base[n] ^ b` and bears the label `b`; no two nodes have
//! the same base, so that the label is proof enough. It knows nothing of characters; since tokens and
//! words are both UTF-8, a match ends at a character's end.
//!
//! Source: Aoe 1989, "An efficient digital search algorithm by using a double-array structure"; labels
//! in place of parents as in Yata's darts-clone.

/// The root, where words begin.
pub(crate) const ROOT: u32 = 0;
const NONE: u32 = u32::MAX;
/// How many blocks stay open for placing; older ones are full enough.
const OPEN_BLOCKS: usize = 32;
/// The bits of `link` that hold the base; the label lies above them.
const BASE_BITS: u32 = 24;
const BASE: u32 = (1 << BASE_BITS) - 1;
/// The label of a free slot, a byte that no UTF-8 text has.
const FREE: u32 = 0xFF;

/// Eight bytes, so that a step is one load.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// The label, and the base of the children.
    link: u32,
    value: u32,
}

const EMPTY: Node = Node { link: FREE << BASE_BITS, value: NONE };

impl Node {
    #[inline]
    fn base(self) -> u32 {
        self.link & BASE
    }

    #[inline]
    fn label(self) -> u32 {
        self.link >> BASE_BITS
    }
}

/// Tokens by their bytes.
#[derive(Debug, Clone)]
pub(crate) struct Trie {
    nodes: Vec<Node>,
}

impl Trie {
    /// A trie of `entries`; a token that is there twice keeps the value of its last place.
    pub(crate) fn new<'a>(entries: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let mut sorted: Vec<Entry<'_>> = entries.map(|(key, id)| (key.as_bytes(), id)).collect();
        sorted.sort();
        let mut builder = Builder::default();
        builder.grow();
        // The root takes slot 0 and is nobody's child: no token has the byte 0xFE. A node without
        // children has base 0, which must be no other's.
        builder.take(ROOT, 0xFE);
        builder.is_base[0] = true;
        builder.place(ROOT, &sorted, 0);
        Self { nodes: builder.nodes }
    }

    /// The child of `node` on `byte`.
    #[inline]
    fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let at = self.nodes[node as usize].base() ^ u32::from(byte);
        let child = self.nodes.get(at as usize)?;
        (child.label() == u32::from(byte)).then_some(at)
    }

    /// The node of `prefix`.
    pub(crate) fn node(&self, prefix: &[u8]) -> Option<u32> {
        prefix.iter().try_fold(ROOT, |node, &byte| self.child(node, byte))
    }

    /// The longest token that begins at `from` (a node) and is a prefix of `bytes`: value, length.
    #[inline]
    pub(crate) fn longest(&self, from: u32, bytes: &[u8]) -> Option<(u32, usize)> {
        let mut base = self.nodes[from as usize].base();
        let mut best = None;
        for (index, &byte) in bytes.iter().enumerate() {
            let at = base ^ u32::from(byte);
            let Some(child) = self.nodes.get(at as usize) else { break };
            if child.label() != u32::from(byte) {
                break;
            }
            base = child.base();
            if child.value != NONE {
                best = Some((child.value, index + 1));
            }
        }
        best
    }
}

/// A key's bytes and its value.
type Entry<'a> = (&'a [u8], u32);

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    /// Bases that a node has.
    is_base: Vec<bool>,
    /// Free slots by block of 256.
    free: Vec<u16>,
    first_open: usize,
}

impl Builder {
    /// Another block.
    fn grow(&mut self) {
        self.nodes.resize(self.nodes.len() + 256, EMPTY);
        self.is_base.resize(self.nodes.len(), false);
        self.free.push(256);
        debug_assert!(self.nodes.len() <= BASE as usize, "a vocabulary has at most 4 million rows");
    }

    /// Puts a node with `label` on the free slot `at`.
    fn take(&mut self, at: u32, label: u32) {
        self.nodes[at as usize].link = label << BASE_BITS;
        self.free[at as usize / 256] -= 1;
    }

    /// Places the children of `node`, whose keys are `keys`, all equal in their first `depth` bytes.
    fn place(&mut self, node: u32, mut keys: &[Entry<'_>], depth: usize) {
        while let Some(((key, value), rest)) = keys.split_first() {
            if key.len() > depth {
                break;
            }
            if depth > 0 {
                self.nodes[node as usize].value = *value;
            }
            keys = rest;
        }
        let mut groups: Vec<(u8, &[Entry<'_>])> = Vec::new();
        while let Some((first, _)) = keys.first() {
            let byte = first[depth];
            let (group, rest) = keys.split_at(keys.partition_point(|(key, _)| key[depth] <= byte));
            groups.push((byte, group));
            keys = rest;
        }
        if groups.is_empty() {
            return;
        }
        let base = self.find_base(&groups);
        self.is_base[base as usize] = true;
        self.nodes[node as usize].link |= base;
        for (byte, _) in &groups {
            self.take(base ^ u32::from(*byte), u32::from(*byte));
        }
        for (byte, group) in groups {
            self.place(base ^ u32::from(byte), group, depth + 1);
        }
    }

    /// A base of its own, at which every byte of `groups` falls on a free slot.
    fn find_base(&mut self, groups: &[(u8, &[Entry<'_>])]) -> u32 {
        let blocks = self.nodes.len() / 256;
        for block in self.first_open..blocks {
            if usize::from(self.free[block]) < groups.len() {
                continue;
            }
            let start = block * 256;
            for low in 0..256 {
                let base = (start + low) as u32;
                let free = |byte: u8| self.nodes[(base ^ u32::from(byte)) as usize].label() == FREE;
                if !self.is_base[base as usize] && groups.iter().all(|(byte, _)| free(*byte)) {
                    return base;
                }
            }
        }
        self.grow();
        self.first_open = (blocks + 1).saturating_sub(OPEN_BLOCKS);
        (blocks * 256) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_only_whole_keys_match() {
        let keys: Vec<String> = (0..3000u32)
            .map(|number| format!("{}폐{:x}", "##".repeat((number % 2) as usize), number * 7919))
            .collect();
        let trie = Trie::new(keys.iter().enumerate().map(|(id, key)| (key.as_str(), id as u32)));
        for (id, key) in keys.iter().enumerate() {
            assert_eq!(trie.longest(ROOT, key.as_bytes()), Some((id as u32, key.len())));
        }
        assert_eq!(trie.longest(ROOT, "폐".as_bytes()), None);
        assert_eq!(trie.longest(ROOT, b""), None);
    }

    #[test]
    fn a_leaf_has_no_children_of_another_node() {
        let letters: Vec<String> = ('!'..='~').chain('가'..='갿').map(|c| c.to_string()).collect();
        let trie = Trie::new(letters.iter().map(|letter| (letter.as_str(), 7)));
        for first in &letters {
            for second in &letters {
                let word = format!("{first}{second}");
                assert_eq!(trie.longest(ROOT, word.as_bytes()), Some((7, first.len())), "{word}");
            }
        }
    }

    #[test]
    fn the_longest_of_several_prefixes_wins() {
        let trie = Trie::new([("CT", 1), ("C", 0), ("CT상", 2)].into_iter());
        assert_eq!(trie.longest(ROOT, "CT상에".as_bytes()), Some((2, 5)));
        assert_eq!(trie.longest(ROOT, "CT소견".as_bytes()), Some((1, 2)));
    }
}
