//! XML, streamed: the text of named elements, a document per record element.

use std::collections::BTreeSet;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::entity::character;
use super::markup::is_block;
use super::{FileRecords, RawRecord};
use crate::decode::Decoded;
use crate::{Reason, SourceConfig};

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

struct Walk<'a> {
    source: &'a SourceConfig,
    out: &'a mut FileRecords,
    /// The local names of the open elements.
    stack: Vec<String>,
    /// The depths at which a record, a taken element and a skipped element were opened.
    record: Option<usize>,
    take: Option<usize>,
    skip: Option<usize>,
    parts: Vec<String>,
    id: Option<String>,
    group: Option<String>,
    next: u64,
    /// Elements taken.
    seen: u64,
    /// The names of elements met, at most [`MAX_NAMES`].
    names: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn new(source: &'a SourceConfig, out: &'a mut FileRecords) -> Self {
        Self {
            source,
            out,
            stack: Vec::new(),
            record: None,
            take: None,
            skip: None,
            parts: Vec::new(),
            id: None,
            group: None,
            next: 0,
            seen: 0,
            names: BTreeSet::new(),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) {
        let local = start.local_name();
        let name: &str = local.as_ref();
        let depth = self.stack.len();
        let is = |list: &[String]| list.iter().any(|one| one == name);
        if self.record.is_none() && self.source.record.as_deref().is_none_or(|one| one == name) {
            self.record = Some(depth);
            self.id = attribute(start, self.source.id.as_deref());
            self.group = attribute(start, self.source.group.as_deref());
        }
        if self.skip.is_none() && is(&self.source.skip) {
            self.skip = Some(depth);
        }
        let free = self.record.is_some() && self.skip.is_none() && self.take.is_none();
        if free && (self.source.text.is_empty() || is(&self.source.text)) {
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
        if self.record == depth {
            self.record = None;
            let parts: Vec<_> = self.parts.iter().map(|part| part.trim()).collect();
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            self.out.records.push(RawRecord {
                record: self.next,
                id: self.id.take(),
                group: self.group.take(),
                text: parts.join(&self.source.separator),
                ..RawRecord::default()
            });
            self.parts.clear();
            self.next += 1;
        }
    }

    fn text(&mut self, text: &str) {
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

fn is_cell(name: &str) -> bool {
    matches!(name, "entry" | "td" | "th")
}

fn attribute(start: &BytesStart<'_>, name: Option<&str>) -> Option<String> {
    let name = name.filter(|name| !name.starts_with('@'))?;
    let found = start.attributes().flatten().find(|one| {
        let local = one.key.local_name();
        let local: &str = local.as_ref();
        local == name
    })?;
    Some(String::from_utf8_lossy(found.value.as_ref().as_ref()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, source: &SourceConfig) -> FileRecords {
        let decoded = Decoded {
            text: text.to_owned(),
            encoding: "UTF-8",
            partial: false,
            replaced: 0,
            unreadable: false,
        };
        let mut out = FileRecords::default();
        read(&decoded, source, &mut out);
        out
    }

    fn source(record: Option<&str>) -> SourceConfig {
        SourceConfig {
            text: vec!["title".into(), "body".into()],
            skip: vec!["ref-list".into()],
            record: record.map(str::to_owned),
            id: Some("pid".into()),
            ..SourceConfig::default()
        }
    }

    const ARTICLES: &str = "<set xmlns:m='u'><a pid='1'><m:title>폐렴 &amp; CT</m:title><meta>x</meta>\
        <body><p>하나 <b>굵은</b>글</p><p>2 &#xB3; &alpha;</p><ref-list><p>ref</p></ref-list></body></a>\
        <a pid='2'><title>둘째</title></a></set>";

    #[test]
    fn named_elements_are_taken_and_skipped() {
        let out = read_text(ARTICLES, &source(Some("a")));
        assert_eq!(out.records[0].text, "폐렴 & CT\n하나 굵은글\n\n2 ³ α");
        assert_eq!(out.records[0].id.as_deref(), Some("1"));
        assert_eq!((out.records.len(), out.records[1].text.as_str()), (2, "둘째"));
        let whole = read_text(ARTICLES, &source(None));
        assert_eq!(whole.records.len(), 1);
        assert!(whole.records[0].text.ends_with("α\n둘째"));
    }

    #[test]
    fn a_cut_file_keeps_its_complete_records() {
        let cut = &ARTICLES[..ARTICLES.len() - 14];
        let out = read_text(cut, &source(Some("a")));
        assert_eq!(out.records.len(), 1);
        assert_eq!(out.faults, [(1, Reason::BadRecord)]);
        assert!(out.partial);
    }

    #[test]
    fn a_file_without_the_elements_names_what_it_has() {
        let out = read_text("<x><y>폐렴 secret</y></x>", &source(None));
        assert_eq!(out.without_fields, Some(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(out.faults, [(0, Reason::MissingField)]);
    }
}
