//! The report as Markdown tables.

use std::fmt::Write;

use super::{Overlap, TextMeasures, VocabReport, VocabularyReport};
use crate::pieces::RowsByScript;

impl VocabReport {
    /// The report as Markdown tables.
    pub fn to_markdown(&self) -> String {
        let mut text = String::from("# Vocabulary report\n");
        self.rows(&mut text);
        self.text(&mut text);
        self.code_mix(&mut text);
        self.terms(&mut text);
        self.frequencies(&mut text);
        self.shared(&mut text);
        text
    }

    fn rows(&self, text: &mut String) {
        let note = "By the first script of Hangul, Latin, digits, Han of which a token holds any \
                    letter; `##` continues a word. Unused: by this text.";
        let scripts = ["Hangul", "##", "Latin", "##", "digit", "##", "Han", "##", "other", "##"];
        let columns = ["rows"].into_iter().chain(scripts).chain(["reserved", "unused"]);
        head(text, "Rows", note, 1, &["Vocabulary"], columns);
        for entry in &self.vocabularies {
            let found = both(entry.initial, entry.continuation);
            let after = [entry.reserved_rows, entry.unused_rows];
            line(text, &[&entry.name], [entry.rows].into_iter().chain(found).chain(after));
        }
        let note = "As above, where all characters are of the script; mixed ones are `other`.";
        head(text, "Rows of one script", note, 1, &["Vocabulary"], scripts);
        for entry in &self.vocabularies {
            line(text, &[&entry.name], both(entry.initial_whole, entry.continuation_whole));
        }
    }

    fn text(&self, text: &mut String) {
        let note = "Words are runs of one script in an eojeol, and punctuation characters: the same \
                    for every vocabulary. Fertility is tokens a word.";
        let keys = ["Vocabulary", "source", "language"];
        let columns = ["words", "pieces", "fertility", "per eojeol", "continued", "UNK words"];
        let columns = columns.into_iter().chain(["bytes/token"]);
        head(text, "Text", note, 3, &keys, columns);
        for entry in &self.vocabularies {
            let mut push = |source: &str, language: &str, measures: &TextMeasures| {
                line(text, &[&entry.name, source, language], figures(measures));
            };
            for (source, languages) in &entry.by_source {
                for (language, measures) in languages {
                    push(source, language, measures);
                }
            }
            for (language, measures) in &entry.by_language {
                push("all", language, measures);
            }
            push("all", "all", &entry.total);
        }
        let note = "Of the tokens' frequencies, α = 2.5; 1 where all rows are equally frequent.";
        head(text, "Rényi efficiency", note, 1, &["Vocabulary"], ["efficiency"]);
        for entry in &self.vocabularies {
            line(text, &[&entry.name], [format!("{:.4}", entry.renyi_efficiency)]);
        }
    }

    fn code_mix(&self, text: &mut String) {
        let note = "Two or more Latin letters with a Hangul ending, such as `CT상`. Aligned: a token \
                    begins where Hangul begins.";
        let columns = ["words", "tokens a word", "aligned", "UNK words"];
        head(text, "Code-mixed words", note, 1, &["Vocabulary"], columns);
        for VocabularyReport { name, code_mix: found, .. } in &self.vocabularies {
            let rates = [
                format!("{:.3}", found.pieces_per_word),
                percent(found.alignment_rate, 1),
                percent(found.unk_word_rate, 3),
            ];
            line(text, &[name], [found.words.to_string()].into_iter().chain(rates));
        }
    }

    fn terms(&self, text: &mut String) {
        if self.vocabularies.iter().all(|entry| entry.terms.is_empty()) {
            return;
        }
        let columns = ["terms", "single token", "tokens a term", "with UNK"];
        head(text, "Terms", "Lists of terms.", 2, &["Vocabulary", "list"], columns);
        for entry in &self.vocabularies {
            for found in &entry.terms {
                let rates = [
                    percent(found.single_token_rate, 1),
                    format!("{:.3}", found.pieces_per_term),
                    percent(found.unk_term_rate, 2),
                ];
                let figures = [found.terms.to_string()].into_iter().chain(rates);
                line(text, &[&entry.name, &found.list], figures);
            }
        }
    }

    fn frequencies(&self, text: &mut String) {
        let Some(first) = self.vocabularies.first() else { return };
        let classes = first.document_frequency.iter().map(|class| match class.to {
            Some(to) if to == class.from => to.to_string(),
            Some(to) => format!("{} to {to}", class.from),
            None => format!("from {}", class.from),
        });
        let note = "Rows by the number of documents of this text that hold them, specials aside.";
        head(text, "Document frequency", note, 1, &["Vocabulary"], classes);
        for entry in &self.vocabularies {
            line(text, &[&entry.name], entry.document_frequency.iter().map(|class| class.rows));
        }
    }

    fn shared(&self, text: &mut String) {
        let columns = ["all", "Hangul", "Latin", "digit", "Han", "other"];
        let note = "Equal strings, special tokens and reserved rows aside.";
        head(text, "Shared tokens", note, 2, &["Vocabulary", "with"], columns);
        for entry in &self.vocabularies {
            for Overlap { with, shared } in &entry.overlap {
                let RowsByScript { hangul, latin, digit, han, other } = *shared;
                let rows = [shared.total(), hangul, latin, digit, han, other];
                line(text, &[&entry.name, with], rows);
            }
        }
    }
}

/// A heading, a note and the head of a table whose first `keys` columns are names.
fn head<T: AsRef<str>>(
    text: &mut String,
    title: &str,
    note: &str,
    num_keys: usize,
    keys: &[&str],
    columns: impl IntoIterator<Item = T>,
) {
    let columns: Vec<T> = columns.into_iter().collect();
    let names = keys.iter().copied().chain(columns.iter().map(AsRef::as_ref));
    let names: Vec<&str> = names.collect();
    let rule = "|---".repeat(num_keys) + &"|--:".repeat(columns.len());
    let _ = write!(text, "\n## {title}\n\n{note}\n\n| {} |\n{rule}|\n", names.join(" | "));
}

fn line<T: ToString>(text: &mut String, keys: &[&str], figures: impl IntoIterator<Item = T>) {
    let keys = keys.iter().map(|key| key.replace('|', "\\|"));
    let cells: Vec<String> =
        keys.chain(figures.into_iter().map(|figure| figure.to_string())).collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn both(a: RowsByScript, b: RowsByScript) -> [usize; 10] {
    [a.hangul, b.hangul, a.latin, b.latin, a.digit, b.digit, a.han, b.han, a.other, b.other]
}

fn figures(m: &TextMeasures) -> [String; 7] {
    [
        m.words.to_string(),
        m.pieces.to_string(),
        format!("{:.3}", m.fertility),
        format!("{:.3}", m.pieces_per_eojeol),
        percent(m.continued_word_rate, 1),
        percent(m.unk_word_rate, 3),
        format!("{:.2}", m.bytes_per_token),
    ]
}

fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$}%", 100.0 * share)
}
