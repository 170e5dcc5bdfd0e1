//! What each row of a transplanted embedding is made of, and how long it is.
//!
//! Invariant: one entry a row, in order.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use bimed_artifact::AtomicFile;
use bimed_checkpoint::HostTensor;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::pieces::token_script;
use crate::row_map::Method;
use crate::script::Script;
use crate::vocabulary::Vocab;

/// The lengths that are not remarkable, as shares of the old rows' median.
const USUAL_NORMS: std::ops::RangeInclusive<f32> = 0.3..=2.0;

/// Where one new row comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowOrigin {
    /// The new row.
    pub row: u32,
    /// Its token.
    pub token: String,
    /// How it was filled.
    pub method: Method,
    /// The old tokens it is made of; none for `mean`, `draw` and `random`.
    pub pieces: Vec<String>,
    /// The pieces' weights, the largest first; absent where all are equal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f32>,
    /// Its Euclidean length, once it is made.
    pub norm: f32,
}

impl RowOrigin {
    /// Made of the old rows `ids`, or of those of `mixture` by their weights.
    pub(crate) fn new(
        row: u32,
        token: &str,
        method: Method,
        old: &Vocab,
        ids: &[u32],
        mixture: &[(u32, f32)],
    ) -> Self {
        let mut mixture = mixture.to_vec();
        mixture.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let sources = ids.iter().copied().chain(mixture.iter().map(|(id, _)| *id));
        Self {
            row,
            token: token.to_owned(),
            method,
            pieces: sources.map(|id| old.token(id).to_owned()).collect(),
            weights: mixture.iter().map(|(_, weight)| *weight).collect(),
            norm: 0.0,
        }
    }
}

/// The lengths of some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct NormCounts {
    /// Their median, as a share of the median of all old rows.
    pub median: f32,
    /// Rows shorter than 0.3 times the median of all old rows.
    pub short: usize,
    /// Rows longer than twice it.
    pub long: usize,
}

/// Where all new rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Rows by method and script of the new token.
    pub counts: BTreeMap<Method, BTreeMap<Script, usize>>,
    /// Old rows that no new row uses.
    pub unused_old_rows: usize,
    /// The median length of the old rows.
    pub old_norm: f32,
    /// The lengths of the new rows by method.
    pub norms: BTreeMap<Method, NormCounts>,
    /// One entry a new row, in order.
    #[serde(skip)]
    pub rows: Vec<RowOrigin>,
}

impl Provenance {
    pub(crate) fn new(rows: Vec<RowOrigin>, unused_old_rows: usize) -> Self {
        let mut counts: BTreeMap<Method, BTreeMap<Script, usize>> = BTreeMap::new();
        for row in &rows {
            *counts.entry(row.method).or_default().entry(token_script(&row.token)).or_default() +=
                1;
        }
        Self { counts, unused_old_rows, old_norm: 0.0, norms: BTreeMap::new(), rows }
    }

    /// Takes in how long the rows of the new embedding are, beside those of the old one.
    ///
    /// # Panics
    /// When `new` is not the embedding that the rows are of.
    pub fn measure(&mut self, old: &HostTensor, new: &HostTensor) {
        assert_eq!(new.shape[0], self.rows.len(), "one origin a row");
        self.old_norm = median((0..old.shape[0]).map(|row| norm(old.row(row))).collect());
        let mut by_method: BTreeMap<Method, Vec<f32>> = BTreeMap::new();
        for (index, row) in self.rows.iter_mut().enumerate() {
            row.norm = norm(new.row(index));
            by_method.entry(row.method).or_default().push(row.norm / self.old_norm);
        }
        let counts = |norms: Vec<f32>| NormCounts {
            short: norms.iter().filter(|norm| *norm < USUAL_NORMS.start()).count(),
            long: norms.iter().filter(|norm| *norm > USUAL_NORMS.end()).count(),
            median: median(norms),
        };
        self.norms = by_method.into_iter().map(|(method, norms)| (method, counts(norms))).collect();
    }

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

    /// The rows by method and script, with their lengths, as a Markdown table.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from("| method |");
        for script in Script::ALL {
            let _ = write!(text, " {} |", script.name());
        }
        let _ = writeln!(text, " all | median norm | below 0.3 | above 2 |");
        let _ = writeln!(text, "|---|{}", "--:|".repeat(Script::ALL.len() + 4));
        for (method, by_script) in &self.counts {
            let _ = write!(text, "| {} |", method.name());
            for script in Script::ALL {
                let _ = write!(text, " {} |", by_script.get(&script).unwrap_or(&0));
            }
            let norms = self.norms.get(method).copied().unwrap_or_default();
            let _ = writeln!(
                text,
                " {} | {:.2} | {} | {} |",
                by_script.values().sum::<usize>(),
                norms.median,
                norms.short,
                norms.long
            );
        }
        let _ = writeln!(
            text,
            "\nNorms are shares of {:.3}, the median of the old rows. {} old rows are used by none.",
            self.old_norm, self.unused_old_rows
        );
        text
    }
}

fn norm(row: &[f32]) -> f32 {
    row.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt() as f32
}

/// The middle of `values`, the upper one of two; 0 for none.
fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SPECIAL_TOKENS;

    #[test]
    fn remarkable_lengths_are_counted_by_method_and_each_row_tells_its_own() {
        let old = SPECIAL_TOKENS.iter().map(ToString::to_string).collect();
        let old = Vocab::new(old).unwrap();
        let origin = |row, token: &str, method, mixture: &[(u32, f32)]| {
            RowOrigin::new(row, token, method, &old, &[], mixture)
        };
        let mut provenance = Provenance::new(
            vec![
                origin(0, "폐렴", Method::Focus, &[(1, 0.25), (0, 0.75)]),
                origin(1, "##상", Method::Focus, &[]),
                origin(2, "CT", Method::Draw, &[]),
            ],
            3,
        );
        let before = HostTensor::new([3, 2], vec![1.0, 0.0, 0.0, 2.0, 3.0, 0.0]);
        provenance.measure(&before, &HostTensor::new([3, 2], vec![0.0, 0.5, 2.0, 0.0, 3.0, 4.0]));
        assert_eq!(provenance.old_norm, 2.0);
        assert_eq!(provenance.rows.iter().map(|row| row.norm).collect::<Vec<_>>(), [0.5, 2.0, 5.0]);
        let focus = NormCounts { median: 1.0, short: 1, long: 0 };
        let draw = NormCounts { median: 2.5, short: 0, long: 1 };
        assert_eq!(provenance.norms, [(Method::Focus, focus), (Method::Draw, draw)].into());
        assert_eq!(provenance.rows[0].pieces, ["[PAD]", "[UNK]"]);
        assert_eq!(provenance.rows[0].weights, [0.75, 0.25]);
        let text = provenance.to_markdown();
        assert!(text.contains("| focus | 2 | 0 | 0 | 0 | 0 | 2 | 1.00 | 1 | 0 |"), "{text}");
    }
}
