//! Counts → a vocabulary of exactly the size and split that was asked for.
//!
//! Source: byte-pair frequencies, as in the WordPiece trainer of Hugging Face `tokenizers`. Differs
//! from it: ties fall on the text, no token crosses scripts, quotas by script, rows that the longest
//! match never uses are pruned and refilled, a character has a row only in the places it occurs in.

use std::collections::{BTreeMap, BTreeSet};

use bimed_artifact::{Context, Unit};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::config::{OnShortfall, Policy, VocabConfig};
use crate::count::{CountSummary, Segment, count};
use crate::document::InputDocument;
use crate::merge::{Limits, Merger, Room};
use crate::pieces::{RowsByScript, ks_x_1001_syllables, token_script};
use crate::script::Script;
use crate::trie::{ROOT, Trie};
use crate::vocabulary::{CONTINUATION, SPECIAL_TOKENS, Vocab};
use crate::{Error, Result};

/// What [`train`] did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocabSummary {
    /// What was read.
    pub counts: CountSummary,
    /// Rows, all kinds.
    pub rows: usize,
    /// Specials and mask tokens.
    pub special_rows: usize,
    /// All other rows by script.
    pub rows_by_script: RowsByScript,
    /// Rows of one character: the alphabet.
    pub alphabet_rows: usize,
    /// Characters that the coverage leaves out, and their occurrences.
    pub dropped_chars: u64,
    /// Occurrences of these.
    pub dropped_char_occurrences: u64,
    /// Distinct runs of one script with such a character, left out of the merges.
    pub dropped_segments: u64,
    /// Occurrences of these.
    pub dropped_segment_occurrences: u64,
    /// Merges done.
    pub merges: u64,
    /// Occurrences of the rarest merged pair.
    pub lowest_merge_count: u64,
    /// Rows that the longest match never used, replaced by others.
    pub pruned_rows: usize,
    /// Rows given beyond the quotas because other scripts ran dry.
    pub refilled_rows: usize,
    /// Rows that the text could not fill.
    pub missing_rows: usize,
}

/// Trains a vocabulary on the documents of the training side.
///
/// # Errors
/// When the config or the documents fail, the alphabet needs more rows than there are, the text
/// gives fewer tokens than asked for under `on_shortfall = "error"`, or the step is cancelled.
pub fn train<E>(
    documents: impl IntoIterator<Item = Result<InputDocument, E>>,
    config: &VocabConfig,
    context: &Context<'_>,
) -> Result<(Vocab, VocabSummary)>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let mut faults = config.faults();
    if config.policy == Policy::Keep {
        faults.push(("policy".into(), "is `keep`, expected `replace` to train".into()));
    }
    if !faults.is_empty() {
        return Err(Error::Config(faults));
    }
    let (segments, counts) = count(documents, config, context)?;
    let alphabet = alphabet(&segments, config);
    let special_rows = SPECIAL_TOKENS.len() + config.mask_tokens.len();
    let room = room(config, special_rows);
    let alphabet_rows = alphabet.tokens.len();
    check_alphabet(&alphabet.tokens, room, config)?;
    let limits = Limits {
        min_frequency: config.min_frequency,
        max_chars: config.max_token_chars,
        max_digits: config.max_token_digits,
    };
    let (mut merger, dropped_segments, dropped_segment_occurrences) =
        Merger::new(alphabet.tokens, &segments, limits);
    context.progress.begin("merge pairs", Some(room.total as u64), Unit::Merges);
    let (pruned_rows, refilled_rows) =
        merge(&mut merger, &segments, alphabet_rows, room, config, context)?;
    context.progress.end();
    let rows_left = room.total - merger.rows().iter().sum::<usize>();
    if rows_left > 0 && config.on_shortfall == OnShortfall::Error {
        return Err(Error::Shortfall {
            what: "vocabulary",
            found: config.size - rows_left,
            expected: config.size,
        });
    }
    let vocab = assemble(&merger, config)?;
    let mut rows_by_script = RowsByScript::default();
    for token in &vocab.tokens()[special_rows..] {
        *rows_by_script.of(token_script(token)) += 1;
    }
    let summary = VocabSummary {
        counts,
        rows: vocab.len(),
        special_rows,
        rows_by_script,
        alphabet_rows,
        dropped_chars: alphabet.dropped_chars,
        dropped_char_occurrences: alphabet.dropped_occurrences,
        dropped_segments,
        dropped_segment_occurrences,
        merges: merger.merges,
        lowest_merge_count: merger.lowest_count,
        pruned_rows,
        refilled_rows,
        missing_rows: rows_left,
    };
    Ok((vocab, summary))
}

struct Alphabet {
    tokens: Vec<String>,
    dropped_chars: u64,
    dropped_occurrences: u64,
}

/// The characters that cover the text, each in the places it occurs in, and the seeds in both.
fn alphabet(segments: &[Segment], config: &VocabConfig) -> Alphabet {
    // Of each character: occurrences at a word's start, and inside.
    let mut counts: BTreeMap<char, [u64; 2]> = BTreeMap::new();
    for segment in segments {
        for (index, c) in segment.text.chars().enumerate() {
            let inside = usize::from(segment.continues || index > 0);
            counts.entry(c).or_default()[inside] += segment.count;
        }
    }
    let total: u64 = counts.values().flatten().sum();
    let mut ranked: Vec<(u64, char)> =
        counts.iter().map(|(&c, [first, inside])| (first + inside, c)).collect();
    ranked.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let seeds: BTreeSet<char> = if config.seed_hangul {
        ks_x_1001_syllables().into_iter().collect()
    } else {
        BTreeSet::new()
    };
    let enough = (total as f64 * config.coverage).ceil() as u64;
    let (mut covered, mut dropped_chars, mut dropped_occurrences) = (0, 0, 0);
    let mut tokens = BTreeSet::new();
    for (count, c) in ranked {
        let keep = covered < enough;
        covered += count;
        if keep {
            let [first, inside] = counts[&c];
            tokens.extend((first > 0).then_some((false, c)));
            tokens.extend((inside > 0).then_some((true, c)));
        } else if !seeds.contains(&c) {
            dropped_chars += 1;
            dropped_occurrences += count;
        }
    }
    tokens.extend(seeds.into_iter().flat_map(|c| [(false, c), (true, c)]));
    let token = |(inside, c): (bool, char)| {
        if inside { format!("{CONTINUATION}{c}") } else { c.to_string() }
    };
    let taken = |token: &String| config.mask_tokens.contains(token);
    let tokens = tokens.into_iter().map(token).filter(|token| !taken(token)).collect();
    Alphabet { tokens, dropped_chars, dropped_occurrences }
}

/// The rows that scripts may take, without specials and mask tokens.
fn room(config: &VocabConfig, special_rows: usize) -> Room {
    let total = config.size - special_rows;
    match config.quota {
        None => Room { hangul: total, latin: total, other: total, total },
        Some(quota) => {
            let other = total - quota.hangul - quota.latin;
            Room { hangul: quota.hangul, latin: quota.latin, other, total }
        }
    }
}

fn check_alphabet(tokens: &[String], room: Room, config: &VocabConfig) -> Result<()> {
    let mut rows = [0; 3];
    for token in tokens {
        rows[match token_script(token) {
            Script::Hangul => 0,
            Script::Latin => 1,
            _ => 2,
        }] += 1;
    }
    let required = rows.iter().sum();
    if required > room.total {
        return Err(Error::TooSmall { what: "vocabulary", required, size: config.size });
    }
    let pools = [("hangul", room.hangul), ("latin", room.latin), ("other", room.other)];
    for ((what, size), required) in pools.into_iter().zip(rows) {
        if required > size {
            return Err(Error::TooSmall { what, required, size });
        }
    }
    Ok(())
}

/// Merges, prunes and refills. Returns the rows pruned, and those given beyond the quotas.
fn merge(
    merger: &mut Merger,
    segments: &[Segment],
    alphabet_rows: usize,
    room: Room,
    config: &VocabConfig,
    context: &Context<'_>,
) -> Result<(usize, usize)> {
    let mut pruned = 0;
    merger.run(room, context)?;
    for _ in 0..config.prune_rounds {
        let unused = unused(merger, segments, alphabet_rows);
        if unused.is_empty() {
            break;
        }
        pruned += unused.len();
        merger.prune(&unused);
        merger.run(room, context)?;
    }
    let [hangul, latin, _] = merger.rows();
    if config.on_shortfall == OnShortfall::Error && config.quota.is_some() {
        for (what, found, expected) in
            [("hangul", hangul, room.hangul), ("latin", latin, room.latin)]
        {
            if found < expected {
                return Err(Error::Shortfall { what, found, expected });
            }
        }
    }
    let before: usize = merger.rows().iter().sum();
    if before < room.total && config.on_shortfall == OnShortfall::Refill {
        let total = room.total;
        merger.run(Room { hangul: total, latin: total, other: total, total }, context)?;
    }
    Ok((pruned, merger.rows().iter().sum::<usize>() - before))
}

/// Rows of more than one character that the longest match of the counted text never uses.
fn unused(merger: &Merger, segments: &[Segment], alphabet_rows: usize) -> Vec<u32> {
    let rows = || merger.symbols.iter().zip(0u32..).filter(|(symbol, _)| symbol.row);
    let trie = Trie::new(rows().map(|(symbol, id)| (symbol.token.as_str(), id)));
    let Some(inside) = trie.node(CONTINUATION.as_bytes()) else { return Vec::new() };
    let count = merger.symbols.len();
    let used = segments
        .par_chunks(4096)
        .map(|chunk| {
            let mut used = vec![false; count];
            for segment in chunk {
                let mut rest = segment.text.as_bytes();
                let mut from = if segment.continues { inside } else { ROOT };
                while let Some((id, len)) = trie.longest(from, rest) {
                    used[id as usize] = true;
                    rest = &rest[len..];
                    from = inside;
                }
            }
            used
        })
        .reduce(|| vec![false; count], |a, b| a.into_iter().zip(b).map(|(a, b)| a || b).collect());
    rows()
        .filter(|(_, id)| *id as usize >= alphabet_rows && !used[*id as usize])
        .map(|r| r.1)
        .collect()
}

/// Specials, mask tokens, alphabet, merges.
fn assemble(merger: &Merger, config: &VocabConfig) -> Result<Vocab> {
    let specials = SPECIAL_TOKENS.iter().map(ToString::to_string);
    let rows = merger.symbols.iter().filter(|symbol| symbol.row);
    let tokens = rows.map(|symbol| symbol.token.clone());
    Vocab::new(specials.chain(config.mask_tokens.iter().cloned()).chain(tokens).collect())
}
