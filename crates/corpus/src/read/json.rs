//! JSON: a value a line, an array a file, or an object a file; fields by paths with dots.

use serde_json::Value;

use super::{FileRecords, RawRecord};
use crate::decode::Decoded;
use crate::{Reason, SourceConfig};

pub(super) fn read(decoded: &Decoded, source: &SourceConfig, out: &mut FileRecords) {
    out.extractor = "json";
    let mut values = Values { source, out, fields: Vec::new() };
    // Lines of values of their own end a whole parse at the second line.
    match serde_json::from_str::<Value>(&decoded.text) {
        Ok(value) => values.file(value),
        Err(_) if is_lines(&decoded.text, source) => {
            let lines = decoded.text.split('\n').enumerate();
            values.lines(lines.map(|(number, line)| (number as u64, line)), decoded.partial);
        }
        Err(_) => {
            let reason = if decoded.partial { Reason::Truncated } else { Reason::BadRecord };
            values.out.faults.push((0, reason));
        }
    }
    values.finish();
}

/// Lines that are looked at; some of them may be broken.
const PROBED_LINES: usize = 100;

/// Whether lines are values of their own.
fn is_lines(text: &str, source: &SourceConfig) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(PROBED_LINES);
    let is_object = |line| matches!(serde_json::from_str::<Value>(line), Ok(Value::Object(_)));
    source.record.is_none() && lines.into_iter().any(is_object)
}

struct Values<'a> {
    source: &'a SourceConfig,
    out: &'a mut FileRecords,
    /// The fields of the first record without text.
    fields: Vec<String>,
}

/// Reads lines that are values of their own; `is_cut` where the last ends with its file.
pub(crate) fn lines<'t>(
    lines: impl IntoIterator<Item = (u64, &'t str)>,
    is_cut: bool,
    source: &SourceConfig,
    out: &mut FileRecords,
) {
    let mut values = Values { source, out, fields: Vec::new() };
    values.lines(lines, is_cut);
    values.finish();
}

impl Values<'_> {
    fn finish(self) {
        let missing = self.out.faults.iter().any(|fault| fault.1 == Reason::MissingField);
        if missing && self.out.records.is_empty() {
            self.out.without_fields = Some(self.fields);
        }
    }

    fn lines<'t>(&mut self, lines: impl IntoIterator<Item = (u64, &'t str)>, is_cut: bool) {
        let mut lines = lines.into_iter().peekable();
        while let Some((number, line)) = lines.next() {
            if line.trim().is_empty() {
                continue;
            }
            match serde_json::from_str::<Value>(line) {
                Ok(value) => self.record(number, None, &value),
                Err(_) if is_cut && lines.peek().is_none() => {
                    self.out.faults.push((number, Reason::Truncated));
                }
                Err(_) => self.out.faults.push((number, Reason::BadRecord)),
            }
        }
    }

    fn file(&mut self, value: Value) {
        let inner = match self.source.record.as_deref() {
            None => Some(&value),
            Some(".") => Some(&value),
            Some(path) => lookup(&value, path),
        };
        match inner {
            None => {
                self.fields = names(&value);
                self.out.faults.push((0, Reason::MissingField));
            }
            Some(Value::Array(items)) => {
                for (number, item) in items.iter().enumerate() {
                    self.record(number as u64, None, item);
                }
            }
            Some(Value::Object(items)) if self.source.record.is_some() => {
                for (number, (key, item)) in items.iter().enumerate() {
                    self.record(number as u64, Some(key), item);
                }
            }
            Some(value) => self.record(0, None, value),
        }
    }

    fn record(&mut self, record: u64, key: Option<&String>, value: &Value) {
        let mut parts = Vec::new();
        let mut found = false;
        for path in &self.source.text {
            if let Some(field) = lookup(value, path) {
                found = true;
                strings(field, &mut parts);
            }
        }
        if !found {
            if self.fields.is_empty() {
                self.fields = names(value);
            }
            self.out.faults.push((record, Reason::MissingField));
            return;
        }
        let scalar = |path: &Option<String>| {
            let path = path.as_deref().filter(|path| !path.starts_with('@'))?;
            match lookup(value, path)? {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        };
        self.out.records.push(RawRecord {
            record,
            id: scalar(&self.source.id).or_else(|| key.cloned()),
            group: scalar(&self.source.group),
            time: scalar(&self.source.time),
            text: parts.join(&self.source.separator),
        });
    }
}

fn names(value: &Value) -> Vec<String> {
    // Long keys of an object are identifiers or text, not field names.
    let keys = value.as_object().into_iter().flat_map(|fields| fields.keys());
    keys.filter(|key| key.len() <= 40).take(20).cloned().collect()
}

fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    path.split('.').try_fold(value, |value, name| value.get(name))
}

fn strings<'a>(value: &'a Value, parts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if !text.trim().is_empty() => parts.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, parts)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, parts)),
        _ => {}
    }
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

    fn source(text: &[&str], record: Option<&str>) -> SourceConfig {
        SourceConfig {
            text: text.iter().map(|path| (*path).to_owned()).collect(),
            record: record.map(str::to_owned),
            id: Some("id".into()),
            ..SourceConfig::default()
        }
    }

    fn check(text: &str, source: &SourceConfig, expected: &[(Option<&str>, &str)]) {
        let out = read_text(text, source);
        let found: Vec<_> =
            out.records.iter().map(|record| (record.id.as_deref(), record.text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_arrays_and_objects_are_read() {
        let plain = source(&["t"], None);
        check(
            "{\"t\":\"폐렴\",\"id\":3}\n\n{\"t\":\"CT\"}\n",
            &plain,
            &[(Some("3"), "폐렴"), (None, "CT")],
        );
        check(
            "[\n {\"t\": \"폐렴\"},\n {\"t\": \"CT\"}\n]",
            &plain,
            &[(None, "폐렴"), (None, "CT")],
        );
        check("{\n \"t\": \"폐렴\"\n}", &plain, &[(None, "폐렴")]);
        let keyed = source(&["q", "c"], Some("."));
        check(
            "{\"7\": {\"q\": \"왜?\", \"c\": [\"CT\", \"상\"]}}",
            &keyed,
            &[(Some("7"), "왜?\nCT\n상")],
        );
        let inner = source(&["a.b"], Some("data.rows"));
        check("{\"data\": {\"rows\": [{\"a\": {\"b\": \"폐\"}}]}}", &inner, &[(None, "폐")]);
    }

    #[test]
    fn faults_name_records_and_never_text() {
        let lines = "{\"t\":\"폐렴\"}\n{\"t\":\"홍\n{\"x\":1}\n";
        let out = read_text(lines, &source(&["t"], None));
        assert_eq!(out.faults, [(1, Reason::BadRecord), (2, Reason::MissingField)]);
        assert_eq!(out.without_fields, None);
        let out = read_text("{\"note\":\"secret\"}\n", &source(&["t"], None));
        assert_eq!(out.without_fields, Some(vec!["note".to_owned()]));
    }
}
