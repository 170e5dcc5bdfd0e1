//! Faults of an experiment file: collected, then shown together.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::tree::Origin;

/// One thing that is wrong with an experiment file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    /// Where it was written.
    pub(crate) origin: Origin,
    /// What was found and what was expected.
    pub(crate) message: String,
    /// What to do, where there is something to do.
    pub(crate) hint: Option<String>,
}

/// Every fault of one experiment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Faults {
    /// The experiment file.
    pub(crate) file: PathBuf,
    /// In the order of the file, then the environment, then `--set`; each one once.
    pub(crate) faults: Vec<Fault>,
}

impl Faults {
    /// Sorts the faults and removes those that several arms share.
    pub(crate) fn new(file: &Path, mut faults: Vec<Fault>) -> Self {
        faults.sort();
        faults.dedup();
        Self { file: file.to_path_buf(), faults }
    }
}

impl std::fmt::Display for Faults {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        let (count, noun) =
            (self.faults.len(), if self.faults.len() == 1 { "fault" } else { "faults" });
        write!(text, "`{}` has {count} {noun}", self.file.display())?;
        for fault in &self.faults {
            write!(text, "\n  {}: {}", fault.origin.place(&self.file), fault.message)?;
            if let Some(hint) = &fault.hint {
                write!(text, "\n    hint: {hint}")?;
            }
        }
        formatter.write_str(&text)
    }
}

impl std::error::Error for Faults {}

/// The name nearest to `found`, if one is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(
    found: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let limit = (found.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(found, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions, substitutions and swaps of neighbours between `a` and `b` (the optimal
/// string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let substituted = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = substituted.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_key_and_a_strange_word_finds_none() {
        let known = ["min_chars", "max_chars", "fold", "quota"];
        let check = |found, expected| assert_eq!(nearest(found, known), expected, "{found}");
        check("min_char", Some("min_chars"));
        check("mni_chars", Some("min_chars"));
        check("flod", Some("fold"));
        check("learning_rate", None);
        check("환자", None);
    }
}
