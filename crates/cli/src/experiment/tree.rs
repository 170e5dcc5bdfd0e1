//! The experiment file as a tree in which every key and value knows where it was written.
//!
//! Owns the values and their origins; it does not know which keys exist.

use std::fmt;
use std::path::Path;

/// Where a key or a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Origin {
    /// In the experiment file; lines and columns count from 1, columns in characters.
    File {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In an environment variable of this name.
    Environment(String),
    /// In a `--set` argument.
    Set(String),
}

impl Origin {
    /// The place as a message begins with it: `quickstart.toml:3:1`.
    pub(crate) fn place(&self, file: &Path) -> String {
        match self {
            Self::File { line, column } => format!("{}:{line}:{column}", file.display()),
            Self::Environment(name) => format!("environment variable `{name}`"),
            Self::Set(argument) => format!("--set {argument}"),
        }
    }
}

/// One step of a path through the tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// A key of a table.
    Key(String),
    /// An element of an array, from 0.
    Index(usize),
}

/// A path through the tree, shown as `corpus.source[0].path`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct KeyPath(pub(crate) Vec<Segment>);

impl KeyPath {
    /// Reads `a.b[0].c`; a segment of digits alone is an index too.
    pub(crate) fn parse(text: &str) -> Self {
        let mut segments = Vec::new();
        for part in text.split('.').filter(|part| !part.is_empty()) {
            let (key, indices) = part.split_once('[').unwrap_or((part, ""));
            match key.parse() {
                Ok(index) => segments.push(Segment::Index(index)),
                Err(_) if key.is_empty() => {}
                Err(_) => segments.push(Segment::Key(key.to_owned())),
            }
            let indices = indices.split(['[', ']']).filter_map(|index| index.parse().ok());
            segments.extend(indices.map(Segment::Index));
        }
        Self(segments)
    }

    /// This path, then `rest`.
    pub(crate) fn join(&self, rest: &KeyPath) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// This path, then the key `name`.
    pub(crate) fn child(&self, name: &str) -> Self {
        self.join(&Self(vec![Segment::Key(name.to_owned())]))
    }

    /// Whether `other` lies at or under this path.
    pub(crate) fn covers(&self, other: &KeyPath) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if position == 0 => formatter.write_str(key)?,
                Segment::Key(key) => write!(formatter, ".{key}")?,
                Segment::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    /// The value.
    pub(crate) value: Value,
    /// Where its key is; for an element of an array, where the element is.
    pub(crate) key_origin: Origin,
    /// Where the value is.
    pub(crate) origin: Origin,
}

/// A value of the tree.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Stands where a faulty or missing value was, so that reading can go on to the next fault.
    Absent,
    /// Text; dates are kept as text too.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    Array(Vec<Node>),
    /// Keys in the order in which they were written.
    Table(Vec<(String, Node)>),
}

impl Node {
    /// An empty table.
    pub(crate) fn empty_table(origin: Origin) -> Self {
        Self { value: Value::Table(Vec::new()), key_origin: origin.clone(), origin }
    }

    /// The value of `key`, if this is a table that has it.
    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Table(entries) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
            }
            _ => None,
        }
    }

    /// The node at `path`.
    pub(crate) fn get(&self, path: &KeyPath) -> Option<&Node> {
        path.0.iter().try_fold(self, |node, segment| match (segment, &node.value) {
            (Segment::Key(key), _) => node.child(key),
            (Segment::Index(index), Value::Array(items)) => items.get(*index),
            _ => None,
        })
    }

    /// The node at `path`, to change.
    pub(crate) fn get_mut(&mut self, path: &KeyPath) -> Option<&mut Node> {
        path.0.iter().try_fold(self, |node, segment| match (segment, &mut node.value) {
            (Segment::Key(key), Value::Table(entries)) => {
                entries.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node)
            }
            (Segment::Index(index), Value::Array(items)) => items.get_mut(*index),
            _ => None,
        })
    }

    /// Takes `key` out of this table.
    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        let Value::Table(entries) = &mut self.value else { return None };
        let position = entries.iter().position(|(name, _)| name == key)?;
        Some(entries.remove(position).1)
    }

    /// Sets `key` of this table.
    pub(crate) fn put(&mut self, key: &str, node: Node) {
        let Value::Table(entries) = &mut self.value else { return };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = node,
            None => entries.push((key.to_owned(), node)),
        }
    }

    /// Where `path` was written, or the nearest table above it that was.
    pub(crate) fn origin_of(&self, path: &KeyPath) -> &Origin {
        let mut node = self;
        for length in 1..=path.0.len() {
            let prefix = KeyPath(path.0.iter().take(length).cloned().collect());
            match self.get(&prefix) {
                Some(found) => node = found,
                None => return &node.key_origin,
            }
        }
        &node.origin
    }

    /// Sets the value at `path`, making tables on the way. An element of an array of tables is
    /// named by its index or by its `name`.
    ///
    /// # Errors
    /// The part of the path that is not a table, and what it is.
    pub(crate) fn set(&mut self, path: &KeyPath, new: Node) -> Result<(), (KeyPath, String)> {
        let mut node = self;
        for (depth, segment) in path.0.iter().enumerate() {
            let here = KeyPath(path.0.iter().take(depth).cloned().collect());
            let found = node.kind();
            node = match (&mut node.value, segment) {
                (Value::Table(entries), Segment::Key(key)) => {
                    let position = entries.iter().position(|(name, _)| name == key);
                    let position = position.unwrap_or_else(|| {
                        entries.push((key.clone(), Node::empty_table(new.origin.clone())));
                        entries.len() - 1
                    });
                    &mut entries[position].1
                }
                (Value::Array(items), segment) => {
                    let length = items.len();
                    element(items, segment).ok_or_else(|| {
                        (here, format!("an array of {length} without {}", described(segment)))
                    })?
                }
                _ => return Err((here, found.to_owned())),
            };
        }
        *node = new;
        Ok(())
    }

    /// What kind of value this is, with its article.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Absent => "nothing",
            Value::String(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Array(_) => "an array",
            Value::Table(_) => "a table",
        }
    }

    /// The tree as plain TOML values: the resolved experiment file.
    pub(crate) fn to_toml(&self) -> toml::Value {
        match &self.value {
            Value::Absent => toml::Value::String(String::new()),
            Value::String(text) => toml::Value::String(text.clone()),
            Value::Integer(number) => toml::Value::Integer(*number),
            Value::Float(number) => toml::Value::Float(*number),
            Value::Boolean(flag) => toml::Value::Boolean(*flag),
            Value::Array(items) => toml::Value::Array(items.iter().map(Node::to_toml).collect()),
            Value::Table(entries) => toml::Value::Table(
                entries.iter().map(|(key, node)| (key.clone(), node.to_toml())).collect(),
            ),
        }
    }
}

/// The element of an array that an index or the `name` of a table points at.
fn element<'n>(items: &'n mut [Node], segment: &Segment) -> Option<&'n mut Node> {
    match segment {
        Segment::Index(index) => items.get_mut(*index),
        Segment::Key(name) => items.iter_mut().find(|item| {
            let value = item.child("name").map(|node| &node.value);
            matches!(value, Some(Value::String(text)) if text == name)
        }),
    }
}

fn described(segment: &Segment) -> String {
    match segment {
        Segment::Index(index) => format!("an element {index}"),
        Segment::Key(name) => format!("an element named `{name}`"),
    }
}
