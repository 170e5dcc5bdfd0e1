//! XML, streamed: the text of named elements, a document per record element.

mod path;

use std::collections::BTreeSet;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::entity::character;
use super::markup::is_block;
use super::{FileRecords, RawRecord};
use crate::decode::Decoded;
use crate::{Reason, SourceConfig};
pub(crate) use path::is_path;
use path::{ElementPath, parse_all};

/// Deeper nesting is refused.
pub(super) const MAX_DEPTH: usize = 1000;
/// Names of elements listed where none is the one looked for.
const MAX_NAMES: usize = 30;

pub(super) fn read(decoded: &Decoded, source: &SourceConfig, out: &mut FileRecords) {
    out.extractor = "xml";
    let mut walk = Walk::new(source, out);
    let mut reader = Reader::from_str(&decoded.text);
    let complete = loop {
        match reader.read_event() {
            Ok(Event::Start(start)) => walk.open(&start),
            Ok(Event::End(_)) => walk.close(),
            Ok(Event::Empty(start)) => {
                walk.open(&start);
                walk.close();
            }
            Ok(Event::Text(text)) => walk.text(&text.xml10_content()),
            Ok(Event::CData(text)) => walk.text(&text.xml10_content()),
            Ok(Event::GeneralRef(reference)) => walk.entity(&reference.xml10_content()),
            Ok(Event::Eof) => break walk.stack.is_empty(),
            Ok(_) => {}
            Err(_) => break false,
        }
        if walk.stack.len() > MAX_DEPTH {
            break false;
        }
    };
    let (next, seen, names) = (walk.next, walk.seen, walk.names);
    if !complete {
        let reason = if decoded.partial { Reason::Truncated } else { Reason::BadRecord };
        out.partial = true;
        out.faults.push((next, reason));
    } else if seen == 0 {
        out.records.clear();
        out.faults.push((0, Reason::MissingField));
        out.without_fields = Some(names.into_iter().collect());
    }
}

/// What a source takes of a file: its own paths, or those of its schema.
struct Rules {
    record: Option<ElementPath>,
    text: Vec<ElementPath>,
    skip: Vec<ElementPath>,
    /// An attribute of the record's element, or an element below it.
    id: Option<(String, ElementPath)>,
    group: Option<(String, ElementPath)>,
}

impl Rules {
    fn of(source: &SourceConfig) -> Self {
        let schema = source.schema.map(|schema| schema.paths()).unwrap_or_default();
        let list = |own: &[String], schema: &[&str]| match own.is_empty() {
            true => schema.iter().filter_map(|text| ElementPath::parse(text)).collect(),
            false => parse_all(own),
        };
        let value = |own: &Option<String>, schema: Option<&str>| {
            let name = own.as_deref().or(schema).filter(|name| !name.starts_with('@'))?;
            Some((name.to_owned(), ElementPath::parse(name)?))
        };
        Self {
            record: source.record.as_deref().or(schema.record).and_then(ElementPath::parse),
            text: list(&source.text, schema.text),
            skip: list(&source.skip, schema.skip),
            id: value(&source.id, schema.id),
            group: value(&source.group, None),
        }
    }
}

/// The value of `id` or `group` of the record that is open.
#[derive(Default)]
struct Value {
    text: Option<String>,
    /// The depth at which the element that holds it was opened.
    open: Option<usize>,
}

struct Walk<'a> {
    rules: Rules,
    separator: &'a str,
    out: &'a mut FileRecords,
    /// The local names of the open elements.
    stack: Vec<String>,
    /// The depths at which a record, a taken element and a skipped element were opened.
    record: Option<usize>,
    take: Option<usize>,
    skip: Option<usize>,
    parts: Vec<String>,
    id: Value,
    group: Value,
    next: u64,
    /// Elements taken.
    seen: u64,
    /// The names of elements met, at most [`MAX_NAMES`].
    names: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn new(source: &'a SourceConfig, out: &'a mut FileRecords) -> Self {
        Self {
            rules: Rules::of(source),
            separator: &source.separator,
            out,
            stack: Vec::new(),
            record: None,
            take: None,
            skip: None,
            parts: Vec::new(),
            id: Value::default(),
            group: Value::default(),
            next: 0,
            seen: 0,
            names: BTreeSet::new(),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) {
        let local = start.local_name();
        let name: &str = local.as_ref();
        let depth = self.stack.len();
        let rules = &self.rules;
        let is = |list: &[ElementPath]| list.iter().any(|one| one.is_at(name, &self.stack));
        let values = [(&rules.id, &mut self.id), (&rules.group, &mut self.group)];
        if self.record.is_none()
            && rules.record.as_ref().is_none_or(|one| one.is_at(name, &self.stack))
        {
            self.record = Some(depth);
            for (rule, value) in values {
                let name = rule.as_ref().map(|(name, _)| name.as_str());
                *value = Value { text: attribute(start, name), open: None };
            }
        } else if self.record.is_some() {
            for (rule, value) in values {
                let is_here = |(_, path): &(String, ElementPath)| path.is_at(name, &self.stack);
                if value.text.is_none() && rule.as_ref().is_some_and(is_here) {
                    *value = Value { text: Some(String::new()), open: Some(depth) };
                }
            }
        }
        if self.skip.is_none() && is(&rules.skip) {
            self.skip = Some(depth);
        }
        let free = self.record.is_some() && self.skip.is_none() && self.take.is_none();
        if free && (rules.text.is_empty() || is(&rules.text)) {
            self.take = Some(depth);
            self.seen += 1;
            self.parts.push(String::new());
        }
        if is_block(name) {
            self.text("\n");
        }
        if self.names.len() < MAX_NAMES && !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
        self.stack.push(name.to_owned());
    }

    fn close(&mut self) {
        let Some(name) = self.stack.pop() else { return };
        let depth = Some(self.stack.len());
        if is_block(&name) {
            self.text("\n");
        } else if is_cell(&name) {
            self.text(" ");
        }
        if self.take == depth {
            self.take = None;
        }
        if self.skip == depth {
            self.skip = None;
        }
        for value in [&mut self.id, &mut self.group] {
            if value.open == depth {
                value.open = None;
            }
        }
        if self.record == depth {
            self.record = None;
            let parts: Vec<_> = self.parts.iter().map(|part| part.trim()).collect();
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            self.out.records.push(RawRecord {
                record: self.next,
                id: std::mem::take(&mut self.id).known(),
                group: std::mem::take(&mut self.group).known(),
                text: parts.join(self.separator),
                ..RawRecord::default()
            });
            self.parts.clear();
            self.next += 1;
        }
    }

    fn text(&mut self, text: &str) {
        for value in [&mut self.id, &mut self.group] {
            if let (Some(_), Some(held)) = (value.open, &mut value.text) {
                held.push_str(text);
            }
        }
        if self.take.is_some()
            && self.skip.is_none()
            && let Some(part) = self.parts.last_mut()
        {
            part.push_str(text);
        }
    }

    fn entity(&mut self, name: &str) {
        match character(name) {
            Some(character) => self.text(character.encode_utf8(&mut [0; 4])),
            // An entity of the file's own: its name is all that is known.
            None => self.text(&format!("&{name};")),
        }
    }
}

impl Value {
    fn known(self) -> Option<String> {
        self.text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

fn is_cell(name: &str) -> bool {
    matches!(name, "entry" | "td" | "th")
}

fn attribute(start: &BytesStart<'_>, name: Option<&str>) -> Option<String> {
    let name = name?;
    let found = start.attributes().flatten().find(|one| {
        let local = one.key.local_name();
        let local: &str = local.as_ref();
        local == name
    })?;
    Some(String::from_utf8_lossy(found.value.as_ref().as_ref()).into_owned())
}

#[cfg(test)]
mod tests;
