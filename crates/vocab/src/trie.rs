//! A double-array trie over bytes: from a prefix of a word to the longest token.
//!
//! A child of node `n` on byte `b` lies at `base[n] ^ b`, and its `parent` is `n`. It knows nothing
//! of characters; since tokens and words are both UTF-8, a match ends at a character's end.

/// The root, where words begin.
pub(crate) const ROOT: u32 = 0;
const FREE: u32 = u32::MAX;
const NONE: u32 = u32::MAX;
/// How many blocks stay open for placing; older ones are full enough.
const OPEN_BLOCKS: usize = 32;

#[derive(Debug, Clone, Copy)]
struct Node {
    base: u32,
    parent: u32,
    value: u32,
}

const EMPTY: Node = Node { base: 0, parent: FREE, value: NONE };

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
        let mut builder = Builder { nodes: vec![EMPTY; 256], free: vec![255], first_open: 0 };
        // The root takes slot 0 and is nobody's child.
        builder.nodes[0].parent = FREE - 1;
        builder.place(ROOT, &sorted, 0);
        Self { nodes: builder.nodes }
    }

    /// The child of `node` on `byte`.
    #[inline]
    pub(crate) fn child(&self, node: u32, byte: u8) -> Option<u32> {
        let at = self.nodes[node as usize].base ^ u32::from(byte);
        let child = self.nodes.get(at as usize)?;
        (child.parent == node).then_some(at)
    }

    /// The node of `prefix`.
    pub(crate) fn node(&self, prefix: &[u8]) -> Option<u32> {
        prefix.iter().try_fold(ROOT, |node, &byte| self.child(node, byte))
    }

    /// The longest token that begins at `from` (a node) and is a prefix of `bytes`: value, length.
    #[inline]
    pub(crate) fn longest(&self, from: u32, bytes: &[u8]) -> Option<(u32, usize)> {
        let mut node = from;
        let mut base = self.nodes[node as usize].base;
        let mut best = None;
        for (index, &byte) in bytes.iter().enumerate() {
            let at = base ^ u32::from(byte);
            let Some(child) = self.nodes.get(at as usize) else { break };
            if child.parent != node {
                break;
            }
            node = at;
            base = child.base;
            if child.value != NONE {
                best = Some((child.value, index + 1));
            }
        }
        best
    }
}

/// A key's bytes and its value.
type Entry<'a> = (&'a [u8], u32);

struct Builder {
    nodes: Vec<Node>,
    /// Free slots by block of 256.
    free: Vec<u16>,
    first_open: usize,
}

impl Builder {
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
        self.nodes[node as usize].base = base;
        for (byte, _) in &groups {
            self.nodes[(base ^ u32::from(*byte)) as usize].parent = node;
            self.free[base as usize / 256] -= 1;
        }
        for (byte, group) in groups {
            self.place(base ^ u32::from(byte), group, depth + 1);
        }
    }

    /// A base at which every byte of `groups` falls on a free slot.
    fn find_base(&mut self, groups: &[(u8, &[Entry<'_>])]) -> u32 {
        let blocks = self.nodes.len() / 256;
        for block in self.first_open..blocks {
            if usize::from(self.free[block]) < groups.len() {
                continue;
            }
            let start = block * 256;
            for low in 0..256 {
                let base = (start + low) as u32;
                let free = |byte: u8| self.nodes[(base ^ u32::from(byte)) as usize].parent == FREE;
                if groups.iter().all(|(byte, _)| free(*byte)) {
                    return base;
                }
            }
        }
        self.nodes.resize(self.nodes.len() + 256, EMPTY);
        self.free.push(256);
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
    fn the_longest_of_several_prefixes_wins() {
        let trie = Trie::new([("CT", 1), ("C", 0), ("CT상", 2)].into_iter());
        assert_eq!(trie.longest(ROOT, "CT상에".as_bytes()), Some((2, 5)));
        assert_eq!(trie.longest(ROOT, "CT소견".as_bytes()), Some((1, 2)));
    }
}
