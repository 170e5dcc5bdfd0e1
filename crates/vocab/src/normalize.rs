//! One stretch of text without white space → the characters that words are made of.
//!
//! Each character keeps the bytes of the text it came from, how many NFC characters of the text it
//! stands for, and whether a word begins with it; words are a matter of the text alone.
//!
//! Source: `BertNormalizer` of Hugging Face `tokenizers` 0.23.2, behind NFC and the folding table.

use unicode_normalization_alignments::char::{
    canonical_combining_class, compose, decompose_canonical,
};

use crate::characters::{
    CHINESE, COMPOSES, Class, DROPPED, FOLDS, MARK, PUNCTUATION, SPACE, class, is_accent,
};
use crate::script::{Script, fold};
use crate::tokenizer::TokenizerOptions;

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
        self.read(text, offset, options);
        self.mark_words();
        if options.fold {
            self.fold();
        }
        self.clean(options);
        if options.strip_accents {
            self.strip_accents();
        }
        if options.lowercase {
            self.lowercase();
        }
    }

    /// `composed` = the characters of `text`, NFC where asked, weighted by NFC.
    fn read(&mut self, text: &str, offset: usize, options: &TokenizerOptions) {
        self.items.clear();
        self.items.extend(text.char_indices().map(|(at, c)| Item {
            c,
            start: offset + at,
            end: offset + at + c.len_utf8(),
            weight: 1,
            starts_word: false,
            isolated: false,
        }));
        self.composed.clear();
        if self.items.iter().all(|item| !class(item.c).is(COMPOSES)) {
            self.composed.append(&mut self.items);
            return;
        }
        decompose(&self.items, &mut self.decomposed);
        compose_into(&self.decomposed, &mut self.composed);
        if !options.nfc {
            let mut heads = self.composed.iter().map(|item| item.start).peekable();
            for item in &mut self.items {
                // Composed items are in order of their starts but for reordered marks.
                item.weight = 0;
                while heads.next_if(|&head| head <= item.start).is_some() {
                    item.weight = item.weight.saturating_add(1);
                }
            }
            std::mem::swap(&mut self.items, &mut self.composed);
        }
    }

    fn mark_words(&mut self) {
        let mut bounds = WordBounds::default();
        for item in &mut self.composed {
            let own = class(item.c);
            if own.is(SPACE) {
                bounds.space();
            } else if !own.is(DROPPED) {
                item.starts_word = bounds.starts(word_class(item.c, own));
            }
        }
    }

    fn fold(&mut self) {
        if self.composed.iter().all(|item| !class(item.c).is(FOLDS)) {
            return;
        }
        self.items.clear();
        for item in &self.composed {
            match fold(item.c) {
                None => self.items.push(*item),
                Some(to) => self.items.extend(to.chars().enumerate().map(|(index, c)| {
                    if index == 0 {
                        Item { c, ..*item }
                    } else {
                        Item { c, weight: 0, starts_word: false, ..*item }
                    }
                })),
            }
        }
        std::mem::swap(&mut self.items, &mut self.composed);
    }

    /// `items` = `composed` without what BERT drops; Han marked where it is isolated.
    fn clean(&mut self, options: &TokenizerOptions) {
        self.items.clear();
        for item in &self.composed {
            let class = class(item.c);
            if class.is(DROPPED) {
                continue;
            }
            let isolated = options.tokenize_chinese_chars && class.is(CHINESE);
            let weight = if class.is(SPACE) { 0 } else { item.weight };
            self.items.push(Item { isolated, weight, ..*item });
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
            for (index, c) in item.c.to_lowercase().enumerate() {
                let (weight, starts_word) =
                    if index == 0 { (item.weight, item.starts_word) } else { (0, false) };
                self.decomposed.push(Item { c, weight, starts_word, ..*item });
            }
        }
        std::mem::swap(&mut self.items, &mut self.decomposed);
    }
}

/// Canonical decomposition in canonical order.
fn decompose(from: &[Item], into: &mut Vec<Item>) {
    into.clear();
    for item in from {
        let mut first = true;
        decompose_canonical(item.c, |c| {
            into.push(if first {
                Item { c, ..*item }
            } else {
                Item { c, weight: 0, starts_word: false, ..*item }
            });
            first = false;
        });
    }
    let mut at = 0;
    while at < into.len() {
        let run = into[at..].iter().take_while(|i| canonical_combining_class(i.c) != 0).count();
        into[at..at + run].sort_by_key(|item| canonical_combining_class(item.c));
        at += run.max(1);
    }
}

/// Canonical composition of what [`decompose`] gives. Each result has weight 1.
fn compose_into(from: &[Item], into: &mut Vec<Item>) {
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
                    ..head
                };
                continue;
            }
        }
        into.push(Item { weight: 1, ..*item });
        if combining == 0 {
            starter = Some(into.len() - 1);
            last_class = None;
        } else {
            last_class = Some(combining);
        }
    }
}
