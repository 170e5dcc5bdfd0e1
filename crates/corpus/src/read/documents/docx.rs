//! Word documents: paragraphs, tables as `a | b | c`, notes at the end; heads and feet are left out.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::super::entity::character;
use super::super::xml::MAX_DEPTH;
use super::container::Container;
use crate::Reason;

/// The parts that are read, in order.
const PARTS: [&str; 3] = ["word/document.xml", "word/footnotes.xml", "word/endnotes.xml"];

/// The text of the document in `bytes`.
pub(super) fn text(bytes: &[u8]) -> Result<String, Reason> {
    let mut container = Container::open(bytes)?;
    let mut out = String::new();
    for part in PARTS {
        let xml = container.text(part)?;
        if !xml.is_empty() {
            out.push_str(&part_text(&xml)?);
        }
    }
    Ok(out)
}

/// What is open while a part is read.
#[derive(Default)]
struct Walk {
    /// The text under way: of the part, and of each open cell.
    buffers: Vec<String>,
    /// The cells of each open row.
    rows: Vec<Vec<String>>,
    depth: usize,
    /// The depth of the element that is left out, and what it holds.
    skip: Option<usize>,
    is_text: bool,
}

fn part_text(xml: &str) -> Result<String, Reason> {
    let mut walk = Walk { buffers: vec![String::new()], ..Walk::default() };
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().map_err(|_| Reason::BadRecord)? {
            Event::Start(start) => walk.open(&start),
            Event::Empty(start) => {
                walk.open(&start);
                walk.close(start.local_name().as_ref());
            }
            Event::End(end) => walk.close(end.local_name().as_ref()),
            Event::Text(text) => walk.text(&text.xml10_content()),
            Event::CData(text) => walk.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                if let Some(found) = character(&reference.xml10_content()) {
                    walk.text(found.encode_utf8(&mut [0; 4]));
                }
            }
            Event::Eof => break,
            _ => {}
        }
        if walk.depth > MAX_DEPTH {
            return Err(Reason::BadRecord);
        }
    }
    // An end that is missing has cut the document.
    if walk.depth > 0 { Err(Reason::Truncated) } else { Ok(walk.buffers.remove(0)) }
}

impl Walk {
    fn open(&mut self, start: &BytesStart<'_>) {
        let local = start.local_name();
        let name: &str = local.as_ref();
        self.depth += 1;
        if self.skip.is_some() {
            return;
        }
        match name {
            // The same text again for old programs; the numbers of separators.
            "Fallback" | "instrText" | "delText" => self.skip = Some(self.depth),
            "footnote" | "endnote" if is_separator(start) => self.skip = Some(self.depth),
            "t" => self.is_text = true,
            "tab" | "noBreakHyphen" => self.push(if name == "tab" { " " } else { "-" }),
            "br" | "cr" => self.push("\n"),
            "tr" => self.rows.push(Vec::new()),
            "tc" => self.buffers.push(String::new()),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) {
        let is_skipped = self.skip.is_some();
        if self.skip == Some(self.depth) {
            self.skip = None;
        }
        self.depth = self.depth.saturating_sub(1);
        if is_skipped {
            return;
        }
        match name {
            "t" => self.is_text = false,
            "p" => self.push("\n"),
            "tc" if self.buffers.len() > 1 => {
                let cell = self.buffers.pop().unwrap_or_default();
                let cell: Vec<&str> = cell.split_whitespace().collect();
                if let Some(row) = self.rows.last_mut() {
                    row.push(cell.join(" "));
                }
            }
            "tr" => {
                let row = self.rows.pop().unwrap_or_default().join(" | ");
                self.push(&row);
                self.push("\n");
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.is_text && self.skip.is_none() {
            self.push(text);
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(buffer) = self.buffers.last_mut() {
            buffer.push_str(text);
        }
    }
}

fn is_separator(start: &BytesStart<'_>) -> bool {
    start.attributes().flatten().any(|one| {
        let local = one.key.local_name();
        let key: &str = local.as_ref();
        key == "type"
    })
}

#[cfg(test)]
mod tests {
    use super::super::container::tests::{bomb, zipped};
    use super::*;

    const BODY: &str = "<w:document xmlns:w='u'><w:body><w:p><w:r><w:t>폐렴 &amp; </w:t></w:r><w:r><w:t>CT상\
        </w:t><w:tab/><w:t>확인</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:t>항목</w:t></w:p></w:tc>\
        <w:tc><w:p><w:t>Na</w:t></w:p><w:p><w:t>138</w:t></w:p></w:tc></w:tr></w:tbl>\
        <w:p><w:delText>지움</w:delText><w:instrText>PAGE</w:instrText><w:t>끝</w:t></w:p></w:body></w:document>";
    const NOTES: &str = "<w:footnotes xmlns:w='u'><w:footnote w:type='separator'><w:p><w:t>-</w:t></w:p>\
        </w:footnote><w:footnote w:id='1'><w:p><w:t>각주 note</w:t></w:p></w:footnote></w:footnotes>";

    #[test]
    fn paragraphs_tables_and_notes_are_read() {
        let bytes = zipped(&[("word/document.xml", BODY), ("word/footnotes.xml", NOTES)]);
        assert_eq!(text(&bytes).unwrap(), "폐렴 & CT상 확인\n항목 | Na 138\n끝\n각주 note\n");
    }

    #[test]
    fn cut_deep_and_large_documents_are_refused() {
        let cut = BODY.strip_suffix("</w:body></w:document>").unwrap();
        assert_eq!(text(&zipped(&[("word/document.xml", cut)])), Err(Reason::Truncated));
        let torn = zipped(&[("word/document.xml", &BODY[..BODY.len() - 4])]);
        assert_eq!(text(&torn), Err(Reason::BadRecord));
        let deep = format!("<w:document xmlns:w='u'>{}", "<w:p>".repeat(MAX_DEPTH + 1));
        assert_eq!(text(&zipped(&[("word/document.xml", &deep)])), Err(Reason::BadRecord));
        assert_eq!(text(&bomb("word/document.xml")), Err(Reason::TooLarge));
    }
}
