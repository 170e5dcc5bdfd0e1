//! Where each row of a new vocabulary comes from in an old one.
//!
//! It knows no weights: the map is applied elsewhere. Invariant: every new row has one method; no
//! row is ever made of `[UNK]`, but the new `[UNK]` itself.

use std::collections::BTreeMap;

use bimed_checkpoint::{Row, RowMap};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::focus::Anchors;
use crate::pieces::surface;
use crate::provenance::{Provenance, RowOrigin};
use crate::tokenizer::Tokenizer;
use crate::vectors::TokenVectors;
use crate::vocabulary::{CONTINUATION, Vocab};
use crate::words::Splitter;
use crate::{Error, Result};

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
    ///
    /// Source: fast vocabulary transfer (Gee et al. 2022). Differs from its code, which strips `##`.
    Fvt,
    /// A mixture of the old rows of tokens that both vocabularies have and that stand in like company
    /// in the text. Passes on where the token occurs too rarely to have a vector.
    ///
    /// Source: FOCUS (Dobler and de Melo 2023).
    Focus,
    /// The mean of all old rows.
    Mean,
    /// A draw from the old rows' distribution.
    Draw,
    /// A draw around zero, as for a model that starts from nothing.
    Random,
}

impl Init {
    /// Whether it fills any row, so that nothing after it is ever tried.
    fn fills_all(self) -> bool {
        matches!(self, Self::Mean | Self::Draw | Self::Random)
    }

    /// What is wrong with `chain`.
    pub fn fault(chain: &[Self]) -> Option<String> {
        let ends = chain.iter().position(|init| init.fills_all());
        match ends {
            None => Some(
                "does not end in `mean`, `draw` or `random`, which fill what is left".to_owned(),
            ),
            Some(at) if at + 1 < chain.len() => {
                Some(format!("has {} ways after one that fills every row", chain.len() - at - 1))
            }
            Some(_) => None,
        }
    }
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
    /// [`Init::Focus`].
    Focus,
    /// [`Init::Mean`].
    Mean,
    /// [`Init::Draw`].
    Draw,
    /// [`Init::Random`].
    Random,
}

impl Method {
    /// The name as it stands in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Special => "special",
            Self::Copy => "copy",
            Self::CaseVariant => "case_variant",
            Self::Fvt => "fvt",
            Self::Focus => "focus",
            Self::Mean => "mean",
            Self::Draw => "draw",
            Self::Random => "random",
        }
    }
}

/// What new rows are filled from, beside the old vocabulary.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filling<'a> {
    /// The ways, in the order in which they are tried.
    pub init: &'a [Init],
    /// The seed of what is drawn.
    pub seed: u64,
    /// A vector for each new row; [`Init::Focus`] needs them.
    pub vectors: Option<&'a TokenVectors>,
    /// How often each new token occurs, for the decoder's bias.
    pub counts: Option<&'a [u64]>,
}

/// Fills the map from the rows of `old` to those of `new`.
///
/// Specials go by their role. Where `new` begins with the whole of `old`, those rows are copied
/// whatever the chain: the vocabulary was extended.
///
/// # Errors
/// When the chain leaves rows unfilled, or needs vectors that are not there or not of `new`.
pub fn fill_row_map(
    old: &Tokenizer,
    new: &Vocab,
    filling: &Filling<'_>,
) -> Result<(RowMap, Provenance)> {
    let wrong = |message: String| Err(Error::Config(vec![("init".into(), message)]));
    if let Some(message) = Init::fault(filling.init) {
        return wrong(message);
    }
    let mut filler = Filler::new(old, new);
    let anchors = match filling.vectors.filter(|_| filling.init.contains(&Init::Focus)) {
        Some(vectors) if vectors.vectors.shape[0] != new.len() => {
            let (found, expected) = (vectors.vectors.shape[0], new.len());
            return wrong(format!("has vectors of {found} rows, expected {expected}"));
        }
        Some(vectors) => Some(Anchors::new(vectors, &filler.shared())),
        None if filling.init.contains(&Init::Focus) => {
            return wrong("has `focus`, which needs vectors of the tokens".into());
        }
        None => None,
    };
    let plan: Vec<(Method, Vec<u32>)> =
        (0..new.len() as u32).map(|row| filler.plan(row, filling.init, anchors.as_ref())).collect();
    let made: Vec<(Row, RowOrigin)> = (0_u32..new.len() as u32)
        .into_par_iter()
        .zip(plan)
        .map(|(row, (method, ids))| {
            let mixture = match (&anchors, method) {
                (Some(anchors), Method::Focus) => anchors.mixture(row).unwrap_or_default(),
                _ => Vec::new(),
            };
            let origin = RowOrigin::new(row, new.token(row), method, old.vocab(), &ids, &mixture);
            (row_of(method, &ids, mixture), origin)
        })
        .collect();
    let (rows, origins): (Vec<Row>, Vec<RowOrigin>) = made.into_iter().unzip();
    let old_rows = old.vocab().len();
    let provenance = Provenance::new(origins, unused(&rows, old_rows));
    let counts = filling.counts.map(<[u64]>::to_vec);
    Ok((RowMap { old_rows, rows, seed: filling.seed, counts }, provenance))
}

/// The number of old rows that no new row is made of.
fn unused(rows: &[Row], old_rows: usize) -> usize {
    let mut used = vec![false; old_rows];
    for row in rows {
        match row {
            Row::Copy(source) => used[*source as usize] = true,
            Row::Mix(sources) => sources.iter().for_each(|(id, _)| used[*id as usize] = true),
            Row::Mean | Row::Draw | Row::Random => {}
        }
    }
    used.into_iter().filter(|used| !used).count()
}

fn row_of(method: Method, ids: &[u32], mixture: Vec<(u32, f32)>) -> Row {
    match (method, ids) {
        (Method::Draw, _) => Row::Draw,
        (Method::Mean, _) => Row::Mean,
        (Method::Random, _) => Row::Random,
        (Method::Focus, _) => Row::Mix(mixture),
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
    new: &'a Vocab,
    /// The new rows that are the old ones of the same number.
    num_kept: u32,
    /// New special → old special.
    roles: BTreeMap<u32, u32>,
    splitter: Splitter,
}

impl<'a> Filler<'a> {
    fn new(old: &'a Tokenizer, new: &'a Vocab) -> Self {
        let is_extended = new.tokens().starts_with(old.vocab().tokens());
        let num_kept = if is_extended { old.vocab().len() as u32 } else { 0 };
        let roles = new.specials().rows().into_iter().zip(old.vocab().specials().rows()).collect();
        Self { old, new, num_kept, roles, splitter: Splitter::default() }
    }

    /// How the new row `row` is filled, and of which old rows where it is no mixture.
    fn plan(
        &mut self,
        row: u32,
        init: &[Init],
        anchors: Option<&Anchors<'_>>,
    ) -> (Method, Vec<u32>) {
        if let Some(&id) = self.roles.get(&row) {
            return (Method::Special, vec![id]);
        }
        if row < self.num_kept {
            return (Method::Copy, vec![row]);
        }
        let token = self.new.token(row);
        let found = init.iter().find_map(|step| match step {
            Init::Copy => self.usable(token).map(|id| (Method::Copy, vec![id])),
            Init::CaseVariant => self.case_variant(token).map(|id| (Method::CaseVariant, vec![id])),
            Init::Fvt => self.split(token).map(|ids| (Method::Fvt, ids)),
            Init::Focus => anchors?.reach(row).then(|| (Method::Focus, Vec::new())),
            Init::Mean => Some((Method::Mean, Vec::new())),
            Init::Draw => Some((Method::Draw, Vec::new())),
            Init::Random => Some((Method::Random, Vec::new())),
        });
        found.unwrap_or((Method::Draw, Vec::new()))
    }

    /// New and old rows of the tokens that both vocabularies have, in whatever case.
    fn shared(&mut self) -> Vec<(u32, u32)> {
        let rows = (0..self.new.len() as u32).filter(|row| !self.new.specials().contains(*row));
        let rows: Vec<u32> = rows.collect();
        let shared = |row: u32| {
            let token = self.new.token(row);
            Some((row, self.usable(token).or_else(|| self.case_variant(token))?))
        };
        rows.into_iter().filter_map(shared).collect()
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
    use bimed_checkpoint::HostTensor;

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

    fn fill(old: &Tokenizer, new: &Vocab, init: &[Init]) -> (RowMap, Provenance) {
        fill_row_map(old, new, &Filling { init, seed: 7, ..Filling::default() }).unwrap()
    }

    fn check(old: &Tokenizer, token: &str, method: Method, pieces: &[&str]) {
        let (map, provenance) = fill(old, &new(&[token]), CHAIN);
        let origin = &provenance.rows[5];
        let pieces: Vec<String> = pieces.iter().map(ToString::to_string).collect();
        assert_eq!((origin.method, &origin.pieces), (method, &pieces), "{token}");
        assert_eq!(map.rows.len(), 6);
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
        let (map, provenance) = fill(&old(&[], TokenizerOptions::cased()), &new(&[]), CHAIN);
        let rows: Vec<Row> = [0, 100, 101, 102, 103].into_iter().map(Row::Copy).collect();
        assert_eq!((map.rows, map.old_rows, map.seed), (rows, 104, 7));
        assert_eq!(provenance.unused_old_rows, 99);
    }

    #[test]
    fn weights_of_equal_pieces_add_up_and_the_mean_takes_all() {
        let base = old(&["하", "##하"], TokenizerOptions::cased());
        let (map, _) = fill(&base, &new(&["하하하"]), CHAIN);
        assert_eq!(map.rows[5], Row::Mix(vec![(104, 1.0 / 3.0), (105, 2.0 / 3.0)]));
        for (init, row) in
            [(Init::Mean, Row::Mean), (Init::Draw, Row::Draw), (Init::Random, Row::Random)]
        {
            let (map, _) = fill(&base, &new(&["하하하"]), &[init]);
            assert_eq!(map.rows[5], row);
        }
    }

    #[test]
    fn the_same_vocabulary_gives_the_identity() {
        let base = old(&["폐렴", "chest"], TokenizerOptions::cased());
        for init in [CHAIN, &[Init::Mean]] {
            let (map, _) = fill(&base, base.vocab(), init);
            assert_eq!(map.rows, RowMap::identity(106).rows);
        }
    }

    #[test]
    fn an_extended_vocabulary_keeps_every_old_row_and_fills_the_rest_by_the_chain() {
        let base = old(&["폐렴", "소", "##견"], TokenizerOptions::cased());
        let mut tokens = base.vocab().tokens().to_vec();
        tokens.extend(["소견".into(), "무릎".into()]);
        let (map, provenance) = fill(&base, &Vocab::new(tokens).unwrap(), &[Init::Fvt, Init::Mean]);
        assert_eq!(map.rows[..107], RowMap::identity(107).rows);
        assert_eq!(map.rows[107..], [Row::Mix(vec![(105, 0.5), (106, 0.5)]), Row::Mean]);
        assert_eq!(provenance.unused_old_rows, 0);
    }

    #[test]
    fn focus_takes_shared_tokens_in_like_company_and_leaves_rare_ones_to_the_next() {
        let base = old(&["lung", "movie", "CT"], TokenizerOptions::cased());
        let vocab = new(&["lung", "movie", "폐렴", "무릎", "ct"]);
        // Beside the axes of `lung` and `movie`; `무릎` has none. `ct` is `CT` in another case.
        let mut data = vec![0.0; 5 * 2];
        data.extend([2.0, 0.0, 0.0, 1.0, 0.9, 0.1, 0.0, 0.0, 1.0, 1.0]);
        let vectors = TokenVectors { vectors: HostTensor::new([10, 2], data) };
        let init = [Init::Copy, Init::Focus, Init::Draw];
        let filling = Filling { init: &init, vectors: Some(&vectors), ..Filling::default() };
        let (map, provenance) = fill_row_map(&base, &vocab, &filling).unwrap();
        let Row::Mix(sources) = &map.rows[7] else { panic!("{:?}", map.rows[7]) };
        let weight: f32 = sources.iter().map(|(_, weight)| weight).sum();
        assert!(
            (weight - 1.0).abs() < 1e-6 && sources.iter().all(|(id, _)| [104, 106].contains(id))
        );
        assert_eq!(provenance.rows[7].pieces, ["lung", "CT"]);
        assert!(provenance.rows[7].weights.is_sorted_by(|a, b| a >= b));
        assert_eq!((map.rows[8].clone(), provenance.rows[9].method), (Row::Draw, Method::Focus));
        let without = Filling { init: &init, ..Filling::default() };
        assert!(fill_row_map(&base, &vocab, &without).is_err());
        assert!(fill_row_map(&base, &new(&["lung"]), &filling).is_err());
    }

    #[test]
    fn a_chain_without_an_end_or_with_more_behind_it_is_refused() {
        let base = old(&[], TokenizerOptions::cased());
        for init in [&[Init::Copy][..], &[], &[Init::Draw, Init::Fvt]] {
            let filling = Filling { init, ..Filling::default() };
            let result = fill_row_map(&base, &new(&[]), &filling);
            assert!(matches!(result, Err(Error::Config(_))), "{init:?}");
        }
    }
}
