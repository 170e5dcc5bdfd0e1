//! Sections of the tree to typed configs, every fault of a section at once.
//!
//! Knows nothing of any stage: it reads whatever `Deserialize` struct a stage owns. After a fault the
//! offending key is taken out (or stands as absent) and the section is read again, so that the next
//! fault shows; the struct's own range checks come last.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::faults::{Fault, nearest};
use super::read::{ReadError, ReadErrorKind, Reader, list};
use super::tree::{KeyPath, Node, Value};

/// The range checks of a config: key path relative to the struct, and what is wrong with its value.
pub(crate) type RangeFaults = Vec<(String, String)>;

/// Reads the sections of one arm and collects their faults.
#[derive(Debug)]
pub(crate) struct Composer<'a> {
    tree: &'a Node,
    directory: &'a Path,
    shared: Option<&'a Node>,
    faults: Vec<Fault>,
}

impl<'a> Composer<'a> {
    /// Over `tree`; relative paths begin at `directory`.
    pub(crate) fn new(tree: &'a Node, directory: &'a Path) -> Self {
        Self { tree, directory, shared: None, faults: Vec::new() }
    }

    /// With the file as it is without its arms.
    pub(crate) fn with_shared(self, shared: &'a Node) -> Self {
        Self { shared: Some(shared), ..self }
    }

    /// Reads the file as it is without its arms. Its faults count for nothing.
    pub(crate) fn shared(&self) -> Option<Self> {
        self.shared.map(|tree| Self::new(tree, self.directory))
    }

    /// The string at `path`, as it is written.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        match &self.tree.get(&KeyPath::parse(path))?.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Every fault so far.
    pub(crate) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    /// Whether `path` is written anywhere.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.tree.get(&KeyPath::parse(path)).is_some()
    }

    /// How many elements the array at `path` has.
    pub(crate) fn count(&self, path: &str) -> usize {
        match self.tree.get(&KeyPath::parse(path)).map(|node| &node.value) {
            Some(Value::Array(items)) => items.len(),
            _ => 0,
        }
    }

    /// Adds a fault at `path`: for checks that concern several sections.
    pub(crate) fn fault(&mut self, path: &str, message: &str, hint: Option<&str>) {
        let origin = self.tree.origin_of(&KeyPath::parse(path)).clone();
        let message = format!("`{path}` {message}");
        self.faults.push(Fault { origin, message, hint: hint.map(str::to_owned) });
    }

    /// Checks that the top level has no key outside `known`.
    pub(crate) fn sections(&mut self, known: &[&str]) {
        let Value::Table(entries) = &self.tree.value else { return };
        for (key, node) in entries.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            self.faults.push(unknown_key(&KeyPath::default(), key, node, known.iter().copied()));
        }
    }

    /// Reads every element of the array of tables at `path`.
    pub(crate) fn read_each<T: DeserializeOwned>(
        &mut self,
        path: &str,
        check: impl Fn(&T) -> RangeFaults,
    ) -> Vec<T> {
        let key = KeyPath::parse(path);
        match self.tree.get(&key).map(|node| (&node.value, node.kind())) {
            None => {}
            Some((Value::Array(_), _)) => {
                return (0..self.count(path))
                    .filter_map(|index| self.read(&format!("{path}[{index}]"), &[], &check))
                    .collect();
            }
            Some((_, kind)) => {
                self.fault(path, &format!("is {kind}, expected tables `[[{path}]]`"), None);
            }
        }
        Vec::new()
    }

    /// Reads the table at `path`, or an empty one where it is not written. Its keys `elsewhere` are
    /// read by another call. `None` when it has a fault.
    pub(crate) fn read<T: DeserializeOwned>(
        &mut self,
        path: &str,
        elsewhere: &[&str],
        check: impl Fn(&T) -> RangeFaults,
    ) -> Option<T> {
        let section = KeyPath::parse(path);
        let origin = self.tree.origin_of(&section).clone();
        let mut node =
            self.tree.get(&section).cloned().unwrap_or_else(|| Node::empty_table(origin));
        for key in elsewhere {
            node.take(key);
        }
        let mut silenced: Vec<KeyPath> = Vec::new();
        loop {
            let reader = Reader { node: &node, directory: self.directory };
            match T::deserialize(reader) {
                Ok(value) => {
                    self.range_faults(&section, &silenced, check(&value));
                    return silenced.is_empty().then_some(value);
                }
                Err(error) => {
                    let again =
                        self.take_fault(&section, elsewhere, &mut node, error, &mut silenced);
                    if !again {
                        return None;
                    }
                }
            }
        }
    }

    fn range_faults(&mut self, section: &KeyPath, silenced: &[KeyPath], found: RangeFaults) {
        for (key, message) in found {
            let path = KeyPath::parse(&key);
            if silenced.iter().any(|silent| silent.covers(&path)) {
                continue;
            }
            let full = section.join(&path);
            let origin = self.tree.origin_of(&full).clone();
            self.faults.push(Fault { origin, message: format!("`{full}` {message}"), hint: None });
        }
    }

    /// Records the fault and takes it out of `node`. False when reading again would find it again.
    fn take_fault(
        &mut self,
        section: &KeyPath,
        elsewhere: &[&str],
        node: &mut Node,
        error: ReadError,
        silenced: &mut Vec<KeyPath>,
    ) -> bool {
        let path = error.path();
        let full = section.join(&path);
        let value = |message: String, hint: Option<String>| Fault {
            origin: self.tree.origin_of(&full).clone(),
            message: format!("`{full}`: {message}"),
            hint,
        };
        let fault = match error.kind {
            ReadErrorKind::UnknownKey { key, known } => {
                let Some(table) = node.get_mut(&path) else { return false };
                let Some(removed) = table.take(&key) else {
                    let message =
                        format!("found the unknown key `{key}`, expected {}", list(known));
                    self.faults.push(value(message, None));
                    return false;
                };
                let also = if path.0.is_empty() { elsewhere } else { &[] };
                let known = known.iter().chain(also).copied();
                silenced.push(path.child(&key));
                self.faults.push(unknown_key(&full, &key, &removed, known));
                return true;
            }
            ReadErrorKind::MissingKey(key) => {
                let missing = path.child(key);
                let fault = Fault {
                    origin: self.tree.origin_of(&full).clone(),
                    message: format!("`{}` is missing", section.join(&missing)),
                    hint: None,
                };
                self.faults.push(fault);
                let Some(table) = node.get_mut(&path) else { return false };
                if !matches!(table.value, Value::Table(_)) || silenced.contains(&missing) {
                    return false;
                }
                let mut absent = Node::empty_table(table.origin.clone());
                absent.value = Value::Absent;
                table.put(key, absent);
                silenced.push(missing);
                return true;
            }
            ReadErrorKind::UnknownWord { word, known } => {
                let hint = nearest(&word, known.iter().copied())
                    .map(|word| format!("did you mean `{word}`?"));
                value(format!("found `{word}`, expected {}", list(known)), hint)
            }
            ReadErrorKind::Value(message) => value(message, None),
        };
        // A value that stands as absent already has its fault; what is made of it has none.
        let fresh = !silenced.iter().any(|silent| silent.covers(&path));
        if fresh {
            self.faults.push(fault);
        }
        match node.get_mut(&path) {
            Some(found) if fresh && !path.0.is_empty() => {
                found.value = Value::Absent;
                silenced.push(path);
                true
            }
            _ => false,
        }
    }
}

fn unknown_key<'k>(
    table: &KeyPath,
    key: &str,
    node: &Node,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Fault {
    let hint = match nearest(key, known.clone()) {
        Some(near) => format!("did you mean `{}`?", table.child(near)),
        None => {
            let mut known: Vec<&str> = known.into_iter().collect();
            known.sort_unstable();
            format!("the keys here are {}", list(&known).replace(" or ", " and "))
        }
    };
    Fault {
        origin: node.key_origin.clone(),
        message: format!("unknown key `{}`", table.child(key)),
        hint: Some(hint),
    }
}
