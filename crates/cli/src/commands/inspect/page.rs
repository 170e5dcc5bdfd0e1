//! What is shown of an artifact: a headline, facts, tables, and the same as JSON.

use std::path::Path;

use bimed_eval::Table;
use serde::Serialize;
use serde_json::{Map, Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::commands::recognise::Kind;
use crate::output::{printable, titled};
use crate::paths::shown;

/// Everything that is shown of one path.
#[derive(Debug)]
pub(super) struct Page {
    headline: String,
    facts: Vec<(String, String)>,
    tables: Vec<Table>,
    value: Map<String, Value>,
}

impl Page {
    /// An empty page of `path`, which is `name`.
    pub(super) fn new(path: &Path, kind: Kind, name: &str) -> Self {
        let mut value = Map::new();
        value.insert("event".into(), "result".into());
        value.insert("path".into(), json!(path));
        value.insert("kind".into(), json!(kind));
        let headline = format!("{}: {name}", shown(path));
        Self { headline, facts: Vec::new(), tables: Vec::new(), value }
    }

    /// A line of the text.
    pub(super) fn fact(&mut self, name: &str, text: impl Into<String>) {
        self.facts.push((name.to_owned(), text.into()));
    }

    /// A table of the text.
    pub(super) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// A key of the JSON.
    pub(super) fn put<T: Serialize>(&mut self, key: &str, value: T) -> anyhow::Result<()> {
        self.value.insert(key.to_owned(), serde_json::to_value(value)?);
        Ok(())
    }

    /// For a terminal.
    pub(super) fn to_text(&self) -> String {
        let width = self.facts.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
        let mut text = format!("{}\n", printable(&self.headline));
        for (name, fact) in &self.facts {
            let padding = " ".repeat(width - name.width());
            text += &format!("  {name}{padding}  {}\n", printable(fact));
        }
        for table in &self.tables {
            text += &format!("\n{}", titled(table).trim_end());
            text.push('\n');
        }
        text
    }

    /// For a program.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.value)
    }
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: usize, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {one}{plural}", crate::output::grouped(count as u64))
}
