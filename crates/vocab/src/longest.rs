//! Segments → the longest tokens they are made of.

use crate::trie::{ROOT, Trie};
use crate::vocabulary::CONTINUATION;

/// Splits segments, in which `##` marks the inside of a word, as the tokenizer will.
pub(crate) struct LongestMatch {
    trie: Trie,
    inside: Option<u32>,
}

impl LongestMatch {
    /// Over tokens and their ids.
    pub(crate) fn new<'a>(tokens: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let trie = Trie::new(tokens);
        let inside = trie.node(CONTINUATION.as_bytes());
        Self { trie, inside }
    }

    /// Calls `sink` with the token of each piece; whether they make up the whole segment.
    pub(crate) fn split(&self, segment: &str, mut sink: impl FnMut(u32)) -> bool {
        let (mut from, mut rest) = match segment.strip_prefix(CONTINUATION) {
            Some(text) if !text.is_empty() => (self.inside, text.as_bytes()),
            _ => (Some(ROOT), segment.as_bytes()),
        };
        while !rest.is_empty() {
            let Some((id, len)) = from.and_then(|node| self.trie.longest(node, rest)) else {
                return false;
            };
            sink(id);
            rest = &rest[len..];
            from = self.inside;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_split_as_words_or_as_the_inside_of_one() {
        let tokens = ["폐", "##폐렴", "##렴", "CT"];
        let longest = LongestMatch::new(tokens.into_iter().zip(0..));
        let split = |segment: &str| {
            let mut ids = Vec::new();
            longest.split(segment, |id| ids.push(id)).then_some(ids)
        };
        assert_eq!(split("폐렴"), Some(vec![0, 2]));
        assert_eq!(split("##폐렴"), Some(vec![1]));
        assert_eq!([split("렴"), split("CTx"), split("##CT")], [None, None, None]);
    }
}
