//! Plain text: a file, its paragraphs, its lines, or the matches of a pattern.

use regex::Regex;

use super::{FileRecords, RawRecord};
use crate::decode::Decoded;
use crate::{Reason, RecordUnit, SourceConfig};

pub(super) fn read(decoded: &Decoded, source: &SourceConfig, out: &mut FileRecords) {
    out.extractor = "txt";
    let text = decoded.text.replace("\r\n", "\n");
    // The source's faults name a pattern that does not compile before any file is read.
    let mut texts = match source.pattern.as_ref().and_then(|pattern| Regex::new(pattern).ok()) {
        Some(pattern) => matches(&text, &pattern, source),
        None => match source.unit {
            RecordUnit::File => vec![text],
            RecordUnit::Line => text.lines().map(str::to_owned).collect(),
            RecordUnit::Paragraph => paragraphs(&text),
        },
    };
    if decoded.partial {
        let last = texts.len().saturating_sub(1);
        texts.truncate(last);
        out.faults.push((last as u64, Reason::Truncated));
    }
    let records = texts.into_iter().enumerate().filter(|(_, text)| !text.trim().is_empty());
    out.records.extend(records.map(|(record, text)| RawRecord {
        record: record as u64,
        text,
        ..RawRecord::default()
    }));
    if out.records.is_empty() && out.faults.is_empty() {
        out.faults.push((0, Reason::Empty));
    }
}

fn matches(text: &str, pattern: &Regex, source: &SourceConfig) -> Vec<String> {
    let parts = pattern.captures_iter(text).map(|captures| {
        let groups: Vec<_> =
            captures.iter().skip(1).flatten().map(|group| group.as_str()).collect();
        if captures.len() > 1 { groups.join(&source.separator) } else { captures[0].to_owned() }
    });
    match source.unit {
        RecordUnit::File => vec![parts.collect::<Vec<_>>().join(&source.separator)],
        _ => parts.collect(),
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines() {
        match paragraphs.last_mut() {
            Some(last) if !line.trim().is_empty() => {
                last.push_str(line);
                last.push('\n');
            }
            Some(last) if !last.is_empty() => paragraphs.push(String::new()),
            _ => {}
        }
    }
    paragraphs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &SourceConfig, partial: bool, expected: &[&str]) {
        let text = "# text = 폐렴 CT\nx\n\n\n# text = no acute finding\r\nlast".to_owned();
        let decoded = Decoded { text, encoding: "UTF-8", partial, replaced: 0, unreadable: false };
        let mut out = FileRecords::default();
        read(&decoded, source, &mut out);
        let texts: Vec<_> = out.records.iter().map(|record| record.text.trim_end()).collect();
        assert_eq!(texts, expected);
        assert_eq!(out.faults.len(), usize::from(partial));
    }

    #[test]
    fn units_and_patterns_cut_the_file() {
        let mut source = SourceConfig { unit: RecordUnit::Paragraph, ..SourceConfig::default() };
        let paragraphs = ["# text = 폐렴 CT\nx", "# text = no acute finding\nlast"];
        check(&source, false, &paragraphs);
        source.pattern = Some("(?m)^# text = (.*)$".into());
        source.unit = RecordUnit::File;
        check(&source, false, &["폐렴 CT\nno acute finding"]);
        source.unit = RecordUnit::Line;
        check(&source, false, &["폐렴 CT", "no acute finding"]);
        check(&source, true, &["폐렴 CT"]);
    }
}
