//! One stretch of text without white space → the characters that words are made of.
//!
//! Each character keeps the bytes of the text it came from, how many NFC characters of the text it
//! stands for, and whether a word begins with it; words are a matter of the text alone.
//!
//! Source: `BertNormalizer` of Hugging Face `tokenizers` 0.23.2, behind the folding
//! table and NFC.

use unicode_normalization_alignments::char::{
    canonical_combining_class, compose, decompose_canonical,
};

use crate::characters::{
    CHINESE, COMPOSES, Class, DROPPED, FOLDS, MARK, PUNCTUATION, SPACE, class, is_accent,
};
use crate::options::TokenizerOptions;
use crate::script::{Script, fold};

/// A character on its way into a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) c: char,
    /// Bytes of the text.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// NFC characters of the text that this one stands for: 0 or 1.
    pub(crate) weight: u8,
    /// A word of the text begins here.
    pub(crate) starts_word: bool,
    /// A token begins here whatever stands before: white space or Han separates.
    pub(crate) isolated: bool,
}

/// Where words of the text begin: a change of script, punctuation, and what follows punctuation.
#[derive(Debug, Default)]
pub(crate) struct WordBounds {
    previous: Option<Script>,
}

impl WordBounds {
    /// Forgets what stood before: white space.
    pub(crate) fn space(&mut self) {
        self.previous = None;
    }

    /// Whether a word begins with a character of this class.
    #[inline]
    pub(crate) fn starts(&mut self, class: Class) -> bool {
        if class.is(PUNCTUATION) {
            self.previous = None;
            return true;
        }
        if class.is(MARK) && self.previous.is_some() {
            return false;
        }
        let starts = self.previous != Some(class.script);
        self.previous = Some(class.script);
        starts
    }
}

/// The class that decides on words: of what `c` folds to, whether or not the tokenizer folds.
#[inline]
pub(crate) fn word_class(c: char, own: Class) -> Class {
    if own.is(FOLDS) { fold(c).and_then(|to| to.chars().next()).map_or(own, class) } else { own }
}

/// Turns stretches of text into items; holds what it needs again and again.
#[derive(Debug, Default)]
pub(crate) struct Normalizer {
    composed: Vec<Item>,
    decomposed: Vec<Item>,
    pub(crate) items: Vec<Item>,
}

impl Normalizer {
    /// Fills `items` from `text`, which begins at byte `offset` of the whole.
    pub(crate) fn run(&mut self, text: &str, offset: usize, options: &TokenizerOptions) {
        self.read(text, offset);
        if options.fold {
            self.fold();
        }
        if options.nfc {
            self.compose();
        }
        self.clean(options);
        if options.strip_accents {
            self.strip_accents();
        }
        if options.lowercase {
            self.lowercase();
        }
    }

    /// The characters of `text`, with the words of the text and weighted by its NFC characters.
    fn read(&mut self, text: &str, offset: usize) {
        let mut bounds = WordBounds::default();
        self.items.clear();
        for (at, c) in text.char_indices() {
            let own = class(c);
            let word = word_class(c, own);
            let mut starts_word = false;
            if word.is(SPACE) {
                bounds.space();
            } else if !own.is(DROPPED) {
                starts_word = bounds.starts(word);
            }
            let (start, end) = (offset + at, offset + at + c.len_utf8());
            self.items.push(Item { c, start, end, weight: 1, starts_word, isolated: false });
        }
        if self.items.iter().all(|item| !class(item.c).is(COMPOSES)) {
            return;
        }
        decompose(&self.items, &mut self.decomposed);
        compose_into(&self.decomposed, &mut self.composed);
        let mut heads = self.composed.iter().map(|item| item.start).peekable();
        for item in &mut self.items {
            item.weight = 0;
            // In order of their starts, but for reordered marks.
            while heads.next_if(|&head| head <= item.start).is_some() {
                item.weight = item.weight.saturating_add(1);
            }
        }
    }

    fn fold(&mut self) {
        if self.items.iter().all(|item| !class(item.c).is(FOLDS)) {
            return;
        }
        self.composed.clear();
        for item in &self.items {
            match fold(item.c) {
                None => self.composed.push(*item),
                Some(to) => self.composed.extend(parts(*item, to.chars())),
            }
        }
        std::mem::swap(&mut self.items, &mut self.composed);
    }

    fn compose(&mut self) {
        if self.items.iter().any(|item| class(item.c).is(COMPOSES)) {
            decompose(&self.items, &mut self.decomposed);
            compose_into(&self.decomposed, &mut self.items);
        }
    }

    /// Removes what BERT removes, and marks Han where it is isolated.
    fn clean(&mut self, options: &TokenizerOptions) {
        self.items.retain(|item| !class(item.c).is(DROPPED));
        for item in &mut self.items {
            let class = class(item.c);
            item.isolated = options.tokenize_chinese_chars && class.is(CHINESE);
            if class.is(SPACE) {
                item.weight = 0;
            }
        }
    }

    /// NFD without nonspacing marks. An isolated character has a space on either side, and so is
    /// not reordered with its neighbours.
    fn strip_accents(&mut self) {
        self.decomposed.clear();
        let items = std::mem::take(&mut self.items);
        let mut part = Vec::new();
        for run in items.chunk_by(|a, b| !a.isolated && !b.isolated) {
            decompose(run, &mut part);
            for item in &part {
                if !is_accent(item.c) {
                    self.decomposed.push(*item);
                } else if let Some(last) = self.decomposed.last_mut() {
                    last.weight = last.weight.saturating_add(item.weight);
                    last.end = last.end.max(item.end);
                }
            }
        }
        self.items = items;
        std::mem::swap(&mut self.items, &mut self.decomposed);
    }

    fn lowercase(&mut self) {
        self.decomposed.clear();
        for item in &self.items {
            self.decomposed.extend(parts(*item, item.c.to_lowercase()));
        }
        std::mem::swap(&mut self.items, &mut self.decomposed);
    }
}

/// What `item` becomes: the first character stands for it, the others for nothing.
fn parts(item: Item, to: impl Iterator<Item = char>) -> impl Iterator<Item = Item> {
    to.enumerate().map(move |(index, c)| match index {
        0 => Item { c, ..item },
        _ => Item { c, weight: 0, starts_word: false, ..item },
    })
}

/// Canonical decomposition in canonical order.
fn decompose(from: &[Item], into: &mut Vec<Item>) {
    into.clear();
    for item in from {
        let from = into.len();
        decompose_canonical(item.c, |c| into.push(Item { c, ..*item }));
        for rest in &mut into[from + 1..] {
            (rest.weight, rest.starts_word) = (0, false);
        }
    }
    let mut at = 0;
    while at < into.len() {
        let run = into[at..].iter().take_while(|i| canonical_combining_class(i.c) != 0).count();
        into[at..at + run].sort_by_key(|item| canonical_combining_class(item.c));
        at += run.max(1);
    }
}

/// Canonical composition of what [`decompose`] gives. Weights add up.
fn compose_into(from: &[Item], into: &mut Vec<Item>) {
    into.clear();
    let mut starter: Option<usize> = None;
    let mut last_class: Option<u8> = None;
    for item in from {
        let combining = canonical_combining_class(item.c);
        if let Some(at) = starter {
            let blocked = last_class.is_some_and(|last| last >= combining);
            if !blocked && let Some(c) = compose(into[at].c, item.c) {
                let head = into[at];
                into[at] = Item {
                    c,
                    start: head.start.min(item.start),
                    end: head.end.max(item.end),
                    weight: head.weight.saturating_add(item.weight),
                    ..head
                };
                continue;
            }
        }
        into.push(*item);
        if combining == 0 {
            starter = Some(into.len() - 1);
            last_class = None;
        } else {
            last_class = Some(combining);
        }
    }
}
