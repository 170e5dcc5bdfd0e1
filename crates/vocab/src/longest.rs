//! Words → the longest tokens they are made of, from the left.

use crate::trie::{ROOT, Trie};
use crate::vocabulary::CONTINUATION;

/// A vocabulary as the greedy longest match sees it.
#[derive(Debug, Clone)]
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

    /// Splits a segment, in which `##` marks the inside of a word: calls `sink` with the token of each
    /// piece; whether they make up the whole segment.
    pub(crate) fn split(&self, segment: &str, mut sink: impl FnMut(u32)) -> bool {
        match segment.strip_prefix(CONTINUATION) {
            Some(text) if !text.is_empty() => self.split_word(text, true, &mut |id, _| sink(id)),
            _ => self.split_word(segment, false, &mut |id, _| sink(id)),
        }
    }

    /// Splits a word, or the inside of one: calls `sink` with the token and the end of each piece;
    /// whether they make up the whole word, whatever was given to `sink` before.
    #[inline]
    pub(crate) fn split_word(
        &self,
        word: &str,
        inside: bool,
        sink: &mut impl FnMut(u32, usize),
    ) -> bool {
        let bytes = word.as_bytes();
        let mut from = if inside { self.inside } else { Some(ROOT) };
        let mut at = 0;
        while at < bytes.len() {
            let found = from.and_then(|node| self.trie.longest(node, &bytes[at..]));
            let Some((id, len)) = found else { return false };
            at += len;
            sink(id, at);
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
