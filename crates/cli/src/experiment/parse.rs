//! TOML text to a tree. Every syntax fault is found, not the first alone.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::faults::Fault;
use super::tree::{Node, Origin, Value};

/// Reads an experiment file; what cannot be read is left out and listed.
pub(crate) fn parse_file(text: &str) -> (Node, Vec<Fault>) {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Fault> = errors
        .iter()
        .map(|error| Fault {
            origin: lines.origin(error.span().map_or(0, |span| span.start)),
            message: error.message().lines().collect::<Vec<_>>().join(", "),
            hint: None,
        })
        .collect();
    let mut reader = Reader { place: &|offset| lines.origin(offset), faults: &mut faults };
    let mut root = Node::empty_table(lines.origin(0));
    root.value = reader.table(table.get_ref());
    (root, faults)
}

/// Reads the value of an environment variable or of `--set`: TOML where it parses, else text.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Node {
    let node = |value| Node { value, key_origin: origin.clone(), origin: origin.clone() };
    let Ok(value) = DeValue::parse(text.trim()) else {
        return node(Value::String(text.to_owned()));
    };
    let mut faults = Vec::new();
    let mut reader = Reader { place: &|_| origin.clone(), faults: &mut faults };
    let parsed = reader.value(&value);
    if faults.is_empty() { node(parsed) } else { node(Value::String(text.to_owned())) }
}

struct Reader<'a> {
    place: &'a dyn Fn(usize) -> Origin,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Value {
        let mut entries: Vec<(usize, String, Node)> = table
            .iter()
            .map(|(key, value)| {
                let node = Node {
                    value: self.value(value),
                    key_origin: (self.place)(key.span().start),
                    origin: (self.place)(value.span().start),
                };
                (key.span().start, key.get_ref().to_string(), node)
            })
            .collect();
        entries.sort_by_key(|(start, _, _)| *start);
        Value::Table(entries.into_iter().map(|(_, key, node)| (key, node)).collect())
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> Value {
        let start = value.span().start;
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(date) => Value::String(date.to_string()),
            DeValue::Table(table) => self.table(table),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                parsed
                    .map(Value::Integer)
                    .unwrap_or_else(|_| self.too_large(start, number.as_str()))
            }
            DeValue::Float(number) => {
                let parsed = number.as_str().parse();
                parsed.map(Value::Float).unwrap_or_else(|_| self.too_large(start, number.as_str()))
            }
            DeValue::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| {
                        let origin = (self.place)(item.span().start);
                        Node { value: self.value(item), key_origin: origin.clone(), origin }
                    })
                    .collect(),
            ),
        }
    }

    fn too_large(&mut self, start: usize, number: &str) -> Value {
        self.faults.push(Fault {
            origin: (self.place)(start),
            message: format!("found `{number}`, expected a number of 64 bits"),
            hint: None,
        });
        Value::Absent
    }
}

/// Byte offsets to lines and columns.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(position, _)| position + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    fn origin(&self, offset: usize) -> Origin {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        Origin::File { line, column: before.chars().count() + 1 }
    }
}
