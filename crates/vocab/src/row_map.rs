//! Where each row of a new vocabulary comes from in an old one, and why.
//!
//! It knows no weights: the map is applied elsewhere. Invariant: every new row has one method; no
//! row is ever made of `[UNK]`, but the new `[UNK]` itself.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use bimed_artifact::AtomicFile;
use bimed_checkpoint::{Row, RowMap};
use serde::{Deserialize, Serialize};

use crate::pieces::{surface, token_script};
use crate::script::Script;
use crate::tokenizer::Tokenizer;
use crate::vocabulary::{CONTINUATION, Vocab};
use crate::words::Splitter;
use crate::{Error, Result};

/// The most weights that rows of [`Init::Mean`] may take together: 8 bytes each.
const MAX_MEAN_WEIGHTS: usize = 100_000_000;

/// A way to fill a new row; a chain tries each in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// The old row of the same string.
    Copy,
    /// The old row of the string as the old tokenizer normalises it, or in another case.
    CaseVariant,
    /// The mean of the old rows that the old tokenizer splits the string into; a `##` token is split
    /// as the inside of a word. Passes on where that gives `[UNK]`.
    /// Source: fast vocabulary transfer. Differs from its code, which strips `##`.
    Fvt,
    /// The mean of all old rows.
    Mean,
    /// A draw from the old rows' distribution.
    Draw,
}

/// How a row was filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The old special of the same role.
    Special,
    /// [`Init::Copy`].
    Copy,
    /// [`Init::CaseVariant`].
    CaseVariant,
    /// [`Init::Fvt`].
    Fvt,
    /// [`Init::Mean`].
    Mean,
    /// [`Init::Draw`].
    Draw,
}

/// Where one new row comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowOrigin {
    /// The new row.
    pub row: u32,
    /// Its token.
    pub token: String,
    /// How it was filled.
    pub method: Method,
    /// The old tokens it is made of; none for `mean` and `draw`.
    pub pieces: Vec<String>,
}

/// Where all new rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Rows by method and script of the new token.
    pub counts: BTreeMap<Method, BTreeMap<Script, usize>>,
    /// Old rows that no new row uses.
    pub unused_old_rows: usize,
    /// One entry a new row, in order.
    #[serde(skip)]
    pub rows: Vec<RowOrigin>,
}

impl Provenance {
    /// Writes one JSON object a row.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_jsonl(&self, path: &Path) -> Result<()> {
        let mut file = AtomicFile::create(path)?;
        for row in &self.rows {
            let line = serde_json::to_string(row).map_err(std::io::Error::from)?;
            writeln!(file, "{line}")?;
        }
        file.commit()?;
        Ok(())
    }
}

/// Fills the map from the rows of `old` to those of `new` by the chain `init`.
///
/// # Errors
/// When `init` leaves rows unfilled (it does not end in `mean` or `draw`), or the mean would take
/// too much memory.
pub fn fill_row_map(
    old: &Tokenizer,
    new: &Vocab,
    init: &[Init],
    seed: u64,
) -> Result<(RowMap, Provenance)> {
    if !matches!(init.last(), Some(Init::Mean | Init::Draw)) {
        let message = "does not end in `mean` or `draw`, which fill what is left";
        return Err(Error::Config(vec![("init".into(), message.into())]));
    }
    let old_rows = old.vocab().len();
    // A base that was extended keeps its rows, whatever the chain does with new ones.
    let extends = new.tokens().starts_with(old.vocab().tokens());
    let roles: BTreeMap<u32, u32> =
        new.specials().rows().into_iter().zip(old.vocab().specials().rows()).collect();
    let mut filler = Filler { old, splitter: Splitter::default() };
    let mut rows = Vec::with_capacity(new.len());
    let mut origins = Vec::with_capacity(new.len());
    let mut counts: BTreeMap<Method, BTreeMap<Script, usize>> = BTreeMap::new();
    let mut used = vec![false; old_rows];
    let mut mean_rows = 0usize;
    for (row, token) in (0u32..).zip(new.tokens()) {
        let (method, ids) = match roles.get(&row) {
            Some(&id) => (Method::Special, vec![id]),
            None if extends && (row as usize) < old_rows => (Method::Copy, vec![row]),
            None => filler.fill(token, init),
        };
        for &id in &ids {
            used[id as usize] = true;
        }
        *counts.entry(method).or_default().entry(token_script(token)).or_default() += 1;
        mean_rows += usize::from(method == Method::Mean);
        if mean_rows.saturating_mul(old_rows) > MAX_MEAN_WEIGHTS {
            let message = format!("leaves over {mean_rows} rows to `mean`, expected `draw` there");
            return Err(Error::Config(vec![("init".into(), message)]));
        }
        let pieces = ids.iter().map(|&id| old.vocab().token(id).to_owned()).collect();
        rows.push(row_of(method, &ids, old_rows));
        origins.push(RowOrigin { row, token: token.clone(), method, pieces });
    }
    let unused_old_rows = used.into_iter().filter(|used| !used).count();
    let provenance = Provenance { counts, unused_old_rows, rows: origins };
    Ok((RowMap { old_rows, rows, seed }, provenance))
}

fn row_of(method: Method, ids: &[u32], old_rows: usize) -> Row {
    match (method, ids) {
        (Method::Draw, _) => Row::Draw,
        (Method::Mean, _) => {
            Row::Mix((0..old_rows as u32).map(|id| (id, 1.0 / old_rows as f32)).collect())
        }
        (_, [id]) => Row::Copy(*id),
        (_, ids) => {
            let mut weights: BTreeMap<u32, f32> = BTreeMap::new();
            for id in ids {
                *weights.entry(*id).or_default() += 1.0 / ids.len() as f32;
            }
            Row::Mix(weights.into_iter().collect())
        }
    }
}

struct Filler<'a> {
    old: &'a Tokenizer,
    splitter: Splitter,
}

impl Filler<'_> {
    fn fill(&mut self, token: &str, init: &[Init]) -> (Method, Vec<u32>) {
        for step in init {
            let found = match step {
                Init::Copy => self.usable(token).map(|id| (Method::Copy, vec![id])),
                Init::CaseVariant => {
                    self.case_variant(token).map(|id| (Method::CaseVariant, vec![id]))
                }
                Init::Fvt => self.split(token).map(|ids| (Method::Fvt, ids)),
                Init::Mean => Some((Method::Mean, Vec::new())),
                Init::Draw => Some((Method::Draw, Vec::new())),
            };
            if let Some(found) = found {
                return found;
            }
        }
        (Method::Draw, Vec::new())
    }

    /// The old row of `token`, unless it is a special.
    fn usable(&self, token: &str) -> Option<u32> {
        self.old.vocab().id(token).filter(|&id| !self.old.vocab().specials().contains(id))
    }

    /// The words that the old tokenizer makes of `text`.
    fn words(&mut self, text: &str) -> Vec<String> {
        let mut words = Vec::new();
        let options = self.old.options();
        self.splitter.run::<false>(text, 0, &options, &mut |word, _| words.push(word.to_owned()));
        words
    }

    fn case_variant(&mut self, token: &str) -> Option<u32> {
        let (inside, text) = surface(token);
        let prefix = if inside { CONTINUATION } else { "" };
        let normalized = match &self.words(text)[..] {
            [word] => word.clone(),
            _ => text.to_owned(),
        };
        let mut letters = text.chars();
        let title: String = letters
            .next()
            .into_iter()
            .flat_map(char::to_uppercase)
            .chain(letters.flat_map(char::to_lowercase))
            .collect();
        [normalized, text.to_lowercase(), title, text.to_uppercase()]
            .iter()
            .filter(|variant| *variant != text)
            .find_map(|variant| self.usable(&format!("{prefix}{variant}")))
    }

    fn split(&mut self, token: &str) -> Option<Vec<u32>> {
        let (inside, text) = surface(token);
        let words = self.words(text);
        let mut ids = Vec::new();
        for (index, word) in words.iter().enumerate() {
            ids.extend(self.old.pieces(word, inside && index == 0)?);
        }
        let specials = self.old.vocab().specials();
        (!ids.is_empty() && !ids.iter().any(|&id| specials.contains(id))).then_some(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SPECIAL_TOKENS, TokenizerOptions};

    const CHAIN: &[Init] = &[Init::Copy, Init::CaseVariant, Init::Fvt, Init::Draw];

    /// Specials on the rows of BioBERT and M-BERT: 0, 100 to 103.
    fn old(words: &[&str], options: TokenizerOptions) -> Tokenizer {
        let mut tokens: Vec<String> = (0..99).map(|n| format!("[unused{n}]")).collect();
        tokens.insert(0, "[PAD]".into());
        tokens.extend(SPECIAL_TOKENS[1..].iter().chain(words).map(ToString::to_string));
        Tokenizer::new(Vocab::new(tokens).unwrap(), options)
    }

    fn new(words: &[&str]) -> Vocab {
        let tokens = SPECIAL_TOKENS.iter().chain(words).map(ToString::to_string).collect();
        Vocab::new(tokens).unwrap()
    }

    fn check(old: &Tokenizer, token: &str, method: Method, pieces: &[&str]) {
        let (map, provenance) = fill_row_map(old, &new(&[token]), CHAIN, 7).unwrap();
        let origin = &provenance.rows[5];
        assert_eq!(
            (origin.method, &origin.pieces[..]),
            (method, &pieces.map_owned()[..]),
            "{token}"
        );
        assert_eq!(map.rows.len(), 6);
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn each_token_takes_the_first_method_that_fits() {
        let words =
            ["폐렴", "소", "##견", "##소", "견", "chest", "##C", "##T", "C", "肺", "炎", "##상"];
        let cased = old(&words, TokenizerOptions::cased());
        check(&cased, "폐렴", Method::Copy, &["폐렴"]);
        check(&cased, "Chest", Method::CaseVariant, &["chest"]);
        check(&cased, "##t", Method::CaseVariant, &["##T"]);
        check(&cased, "소견상", Method::Fvt, &["소", "##견", "##상"]);
        // Inside a word from the first piece on: never `소`, `C`.
        check(&cased, "##소견", Method::Fvt, &["##소", "##견"]);
        check(&cased, "##CT", Method::Fvt, &["##C", "##T"]);
        check(&cased, "肺炎", Method::Fvt, &["肺", "炎"]);
        check(&cased, "소x", Method::Draw, &[]);
        check(&cased, "[CLS]x", Method::Draw, &[]);
    }

    #[test]
    fn an_uncased_base_lends_its_jamo_and_small_letters() {
        let words = ["chest", "cafe", "\u{1111}", "##\u{1168}", "##\u{1105}"];
        let uncased = old(&words, TokenizerOptions::uncased());
        check(&uncased, "CHEST", Method::CaseVariant, &["chest"]);
        check(&uncased, "Café", Method::CaseVariant, &["cafe"]);
        check(&uncased, "폐", Method::Fvt, &["\u{1111}", "##\u{1168}"]);
    }

    #[test]
    fn specials_go_by_role() {
        let (map, provenance) =
            fill_row_map(&old(&[], TokenizerOptions::cased()), &new(&[]), CHAIN, 7).unwrap();
        let rows: Vec<Row> = [0, 100, 101, 102, 103].into_iter().map(Row::Copy).collect();
        assert_eq!((map.rows, map.old_rows, map.seed), (rows, 104, 7));
        assert_eq!(provenance.unused_old_rows, 99);
    }

    #[test]
    fn weights_of_equal_pieces_add_up_and_the_mean_takes_all() {
        let base = old(&["하", "##하"], TokenizerOptions::cased());
        let (map, _) = fill_row_map(&base, &new(&["하하하"]), CHAIN, 7).unwrap();
        assert_eq!(map.rows[5], Row::Mix(vec![(104, 1.0 / 3.0), (105, 2.0 / 3.0)]));
        let (map, _) = fill_row_map(&base, &new(&["x"]), &[Init::Mean], 7).unwrap();
        assert!(matches!(&map.rows[5], Row::Mix(weights) if weights.len() == 106));
    }

    #[test]
    fn the_same_vocabulary_gives_the_identity() {
        let base = old(&["폐렴", "chest"], TokenizerOptions::cased());
        let (map, _) = fill_row_map(&base, base.vocab(), CHAIN, 0).unwrap();
        assert_eq!(map, RowMap::identity(106));
    }

    #[test]
    fn an_extended_base_keeps_every_row_whatever_the_chain_is() {
        let base = old(&["폐렴", "chest"], TokenizerOptions::cased());
        let mut tokens = base.vocab().tokens().to_vec();
        tokens.push("흉부".into());
        let extended = Vocab::new(tokens).unwrap();
        let (map, provenance) = fill_row_map(&base, &extended, &[Init::Draw], 0).unwrap();
        assert_eq!(map.rows[..106], RowMap::identity(106).rows);
        assert_eq!(map.rows[106], Row::Draw);
        assert_eq!(provenance.rows[105].method, Method::Copy);
    }

    #[test]
    fn a_chain_without_an_end_is_refused() {
        let base = old(&[], TokenizerOptions::cased());
        assert!(matches!(fill_row_map(&base, &new(&[]), &[Init::Copy], 0), Err(Error::Config(_))));
    }
}
