//! A vocabulary: its rows, its special tokens, how its tokenizer treats text.

use std::path::Path;

use anyhow::Context as _;
use bimed_eval::{Cell, Table, TableColumn};
use bimed_vocab::{Error, SPECIAL_TOKENS, Script, Tokenizer, TokenizerOptions, Vocab};
use serde_json::{Map, Value, json};

use super::known;
use super::page::Page;
use crate::output::grouped;

/// A vocabulary as it was found.
#[derive(Debug)]
pub(in crate::commands) struct Vocabulary {
    /// The rows.
    pub(in crate::commands) vocab: Vocab,
    /// How text is normalised and which tokens are matched literally; none for a lone `vocab.txt`.
    pub(in crate::commands) tokenizer: Option<Result<Rules, String>>,
}

/// Files that say what a tokenizer does to text.
const SAY_RULES: [&str; 2] = ["tokenizer.json", "tokenizer_config.json"];

/// What a tokenizer does to text before it looks rows up.
#[derive(Debug)]
pub(in crate::commands) struct Rules {
    /// Case, accents, NFC, folding.
    pub(in crate::commands) options: TokenizerOptions,
    /// Matched literally.
    pub(in crate::commands) added: Vec<String>,
    /// Whether no file says so, and the rows had to.
    is_inferred: bool,
}

impl Vocabulary {
    /// Of a tokenizer's directory or of a `vocab.txt`.
    ///
    /// # Errors
    /// When there is no BERT vocabulary at `path`. A tokenizer that is not followed is no error.
    pub(in crate::commands) fn read(path: &Path) -> anyhow::Result<Self> {
        let wrong = |error: Error| match error {
            // A line of a file that is no vocabulary may be text of a document.
            Error::DuplicateToken { first, second, .. } => {
                anyhow::anyhow!("rows {first} and {second} hold the same token")
            }
            other => other.into(),
        };
        let no_vocabulary = || format!("`{}` has no BERT vocabulary", path.display());
        if path.is_file() {
            let vocab = Vocab::from_file(path).map_err(wrong).with_context(no_vocabulary)?;
            return Ok(Self { vocab, tokenizer: None });
        }
        let vocab = Vocab::from_dir(path).map_err(wrong).with_context(no_vocabulary)?;
        let rules = |tokenizer: Tokenizer| Rules {
            options: tokenizer.options(),
            added: tokenizer.added_tokens().map(str::to_owned).collect(),
            is_inferred: !SAY_RULES.iter().any(|name| path.join(name).is_file()),
        };
        let rules = Tokenizer::from_dir(path).map(rules);
        let tokenizer = Some(rules.map_err(|error| wrong(error).to_string()));
        Ok(Self { vocab, tokenizer })
    }

    /// Puts it on a page.
    pub(super) fn show(&self, page: &mut Page) -> anyhow::Result<()> {
        page.fact("vocabulary", self.rows_text());
        page.fact("special tokens", self.specials_text());
        page.fact("tokenizer", self.rules_text());
        let like = known::vocabularies(&self.vocab);
        if !like.is_empty() {
            let like = like.join(" or ");
            let certainty = known::certainty(Some(&self.vocab));
            page.fact("looks like", format!("that of {like}; {certainty}"));
        }
        page.put("vocabulary", self.to_value())
    }

    /// Rows by script.
    pub(super) fn rows_text(&self) -> String {
        let composition = self.vocab.composition();
        let count = |script| grouped(composition.of(script) as u64);
        format!(
            "{} rows, {} Hangul, {} Latin",
            grouped(self.vocab.len() as u64),
            count(Script::Hangul),
            count(Script::Latin)
        )
    }

    /// Special tokens and their rows.
    pub(super) fn specials_text(&self) -> String {
        let rows = self.vocab.specials().rows();
        let shown: Vec<String> =
            SPECIAL_TOKENS.iter().zip(rows).map(|(token, row)| format!("{token} {row}")).collect();
        shown.join(", ")
    }

    /// Case, accents, normalisation.
    pub(super) fn rules_text(&self) -> String {
        let rules = match &self.tokenizer {
            None => return "not said: no `tokenizer_config.json` beside it".to_owned(),
            Some(Err(fault)) => return format!("cannot be used: {fault}"),
            Some(Ok(rules)) => rules,
        };
        let options = rules.options;
        let mut parts = vec![if options.lowercase { "lower case" } else { "cased" }.to_owned()];
        if rules.is_inferred {
            parts.push("by its rows, for no `tokenizer_config.json` says so".into());
        }
        if options.strip_accents {
            parts.push("accents removed".into());
        }
        if options.nfc {
            parts.push("NFC".into());
        }
        if options.fold {
            parts.push("variants of characters folded".into());
        }
        if !options.tokenize_chinese_chars {
            parts.push("Han characters not set apart".into());
        }
        if !rules.added.is_empty() {
            parts.push(format!("{} tokens matched literally", rules.added.len()));
        }
        parts.join(", ")
    }

    /// Rows by script and place in the word.
    pub(super) fn table(&self) -> Table {
        let composition = self.vocab.composition();
        let all = self.vocab.len();
        let mut table = Table {
            title: "Rows".to_owned(),
            note: "By the first script of Hangul, Latin, digits, Han that a token holds.".into(),
            columns: vec![
                TableColumn::left("script"),
                TableColumn::right("begin a word"),
                TableColumn::right("continue one"),
                TableColumn::right("all"),
                TableColumn::right("share"),
            ],
            rows: Vec::new(),
        };
        let (mut initial, mut continuation) = (composition.initial, composition.continuation);
        let mut row = |name: &str, begin: Option<usize>, inside: Option<usize>, sum: usize| {
            let number =
                |count: Option<usize>| count.map_or(String::new(), |count| grouped(count as u64));
            let share = format!("{:.2}%", 100.0 * sum as f64 / all as f64);
            let cells = [name.to_owned(), number(begin), number(inside), number(Some(sum)), share];
            table.rows.push(cells.into_iter().map(Cell::plain).collect());
        };
        for script in Script::ALL {
            let (begin, inside) = (*initial.of(script), *continuation.of(script));
            row(script_name(script), Some(begin), Some(inside), begin + inside);
        }
        row("special tokens", None, None, composition.specials);
        if composition.reserved > 0 {
            row("reserved ([unused…])", None, None, composition.reserved);
        }
        row("all", None, None, all);
        table
    }

    /// For a program.
    pub(super) fn to_value(&self) -> Value {
        let specials: Map<String, Value> = SPECIAL_TOKENS
            .iter()
            .zip(self.vocab.specials().rows())
            .map(|(token, row)| ((*token).to_owned(), row.into()))
            .collect();
        let tokenizer = match &self.tokenizer {
            None => Value::Null,
            Some(Err(fault)) => json!({ "fault": fault }),
            Some(Ok(rules)) => json!({
                "lowercase": rules.options.lowercase,
                "strip_accents": rules.options.strip_accents,
                "nfc": rules.options.nfc,
                "fold": rules.options.fold,
                "tokenize_chinese_chars": rules.options.tokenize_chinese_chars,
                "added_tokens": rules.added,
            }),
        };
        json!({
            "rows": self.vocab.len(),
            "blake3": self.vocab.hash(),
            "composition": self.vocab.composition(),
            "special_tokens": specials,
            "tokenizer": tokenizer,
            "looks_like": known::vocabularies(&self.vocab),
        })
    }
}

/// A script's name in tables.
pub(in crate::commands) fn script_name(script: Script) -> &'static str {
    match script {
        Script::Hangul => "Hangul",
        Script::Latin => "Latin",
        Script::Digit => "digits",
        Script::Han => "Han",
        Script::Other => "other",
    }
}
