//! Tables: columns by name, quoted text over several lines.

use std::path::Path;

use super::{FileRecords, RawRecord};
use crate::decode::Decoded;
use crate::{Error, Reason, Result, SourceConfig};

/// Where a row has what is taken.
pub(crate) struct Columns {
    text: Vec<usize>,
    id: Option<usize>,
    group: Option<usize>,
    time: Option<usize>,
}

pub(super) fn read(
    path: &Path,
    decoded: &Decoded,
    source: &SourceConfig,
    out: &mut FileRecords,
) -> Result<()> {
    out.extractor = "csv";
    let mut reader = builder(path, source).from_reader(decoded.text.as_bytes());
    let mut row = csv::ByteRecord::new();
    let mut is_there = reader.read_byte_record(&mut row).map_err(std::io::Error::from)?;
    let names = names(&row, source);
    let columns = columns(path, source, &names)?;
    let mut last_start = 0;
    if source.header {
        last_start = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        is_there = reader.read_byte_record(&mut row).map_err(std::io::Error::from)?;
    }
    for record in 0.. {
        if !is_there {
            break;
        }
        if row.len() == names.len() {
            out.records.push(raw(record, &row, &columns, source));
        } else {
            out.faults.push((record, Reason::BadRecord));
        }
        let start = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
        is_there = reader.read_byte_record(&mut row).map_err(std::io::Error::from)?;
        if is_there {
            last_start = start;
        }
    }
    let tail = decoded.text.get(last_start..).unwrap_or_default();
    let unclosed = source.quote && tail.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
    if unclosed || decoded.partial {
        drop_last(out, if decoded.partial { Reason::Truncated } else { Reason::UnclosedQuote });
    }
    Ok(())
}

/// How the source's tables are read; rows of every length are passed on.
pub(crate) fn builder(path: &Path, source: &SourceConfig) -> csv::ReaderBuilder {
    let mut builder = csv::ReaderBuilder::new();
    builder
        .delimiter(delimiter(path, source))
        .quoting(source.quote)
        .has_headers(false)
        .flexible(true);
    builder
}

/// The names of the columns, by the first row: their numbers from 1 where it names none.
pub(crate) fn names(first: &csv::ByteRecord, source: &SourceConfig) -> Vec<String> {
    let name = |field: &[u8]| String::from_utf8_lossy(field).trim().to_owned();
    if source.header {
        first.iter().map(name).collect()
    } else {
        (1..=first.len()).map(|number| number.to_string()).collect()
    }
}

/// The last row ends with the file, not where it should.
fn drop_last(out: &mut FileRecords, reason: Reason) {
    out.partial = true;
    let read = out.records.last().map(|record| record.record);
    let failed = out.faults.last().map(|fault| fault.0);
    if failed > read {
        out.faults.pop();
    } else {
        out.records.pop();
    }
    out.faults.push((read.max(failed).unwrap_or(0), reason));
}

fn delimiter(path: &Path, source: &SourceConfig) -> u8 {
    let name = path.to_string_lossy();
    let is_tsv = [".tsv", ".tsv.gz", ".tsv.zst"].iter().any(|end| name.ends_with(end));
    let default = if is_tsv { b'\t' } else { b',' };
    source.delimiter.as_ref().and_then(|text| text.bytes().next()).unwrap_or(default)
}

pub(crate) fn columns(path: &Path, source: &SourceConfig, names: &[String]) -> Result<Columns> {
    let mut needed = Vec::new();
    let mut find = |name: &String| {
        let found = names.iter().position(|column| column == name);
        if found.is_none() {
            needed.push(name.clone());
        }
        found
    };
    let text = source.text.iter().filter_map(&mut find).collect();
    let id = source.id.as_ref().and_then(&mut find);
    let group = source.group.as_ref().filter(|name| !name.starts_with('@')).and_then(&mut find);
    let time = source.time.as_ref().and_then(&mut find);
    if needed.is_empty() {
        return Ok(Columns { text, id, group, time });
    }
    let path = path.to_path_buf();
    Err(Error::missing_fields(path, "columns", names.to_vec(), needed, source))
}

/// The record that a row is.
pub(crate) fn raw(
    record: u64,
    row: &csv::ByteRecord,
    columns: &Columns,
    source: &SourceConfig,
) -> RawRecord {
    let value = |column: Option<usize>| {
        let field = row.get(column?).filter(|field| !field.is_empty())?;
        Some(String::from_utf8_lossy(field))
    };
    let parts: Vec<_> = columns.text.iter().filter_map(|column| value(Some(*column))).collect();
    RawRecord {
        record,
        id: value(columns.id).map(Into::into),
        group: value(columns.group).map(Into::into),
        time: value(columns.time).map(Into::into),
        text: parts.join(&source.separator),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, source: &SourceConfig) -> Result<FileRecords> {
        let decoded = Decoded {
            text: text.to_owned(),
            encoding: "UTF-8",
            partial: false,
            replaced: 0,
            unreadable: false,
        };
        let mut out = FileRecords::default();
        read(Path::new("notes.csv"), &decoded, source, &mut out).map(|()| out)
    }

    fn source() -> SourceConfig {
        SourceConfig {
            text: vec!["note".into(), "plan".into()],
            id: Some("id".into()),
            group: Some("patient".into()),
            ..SourceConfig::default()
        }
    }

    #[test]
    fn quoted_text_spans_lines_and_columns_are_found_by_name() {
        let text = "plan,id,patient,note\n항생제,1,p1,\"폐렴\n\"\"CT\"\"상 확인\"\n,2,,stable\n";
        let out = read_text(text, &source()).unwrap();
        assert_eq!(out.records[0].text, "폐렴\n\"CT\"상 확인\n항생제");
        assert_eq!(out.records[0].group.as_deref(), Some("p1"));
        assert_eq!(
            (out.records[1].text.as_str(), out.records[1].group.as_deref()),
            ("stable", None)
        );
        assert!(out.faults.is_empty() && !out.partial);
    }

    #[test]
    fn a_missing_column_lists_found_and_needed() {
        let error = read_text("id,patient,text\n1,p,secret\n", &source()).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains("[\"id\", \"patient\", \"text\"]"), "{shown}");
        assert!(shown.contains("[\"note\", \"plan\"]") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn an_unclosed_quote_keeps_the_rows_before_it() {
        for tail in ["b,c,d,\"폐렴\nrest,1,2,3\n", "b,\"c,d,폐렴\nrest,1,2,3\n"] {
            let out = read_text(&format!("plan,id,patient,note\nx,1,2,stable\n{tail}"), &source());
            let out = out.unwrap();
            assert_eq!(out.records.len(), 1);
            assert_eq!(out.faults, [(1, Reason::UnclosedQuote)]);
            assert!(out.partial);
        }
    }

    #[test]
    fn tables_without_quoting_or_header_are_read() {
        let source = SourceConfig {
            text: vec!["2".into()],
            quote: false,
            header: false,
            delimiter: Some("\t".into()),
            ..SourceConfig::default()
        };
        let out = read_text("1\t\"열린 인용 open quote\t3\n2\t둘\t5\n3\tshort\n", &source).unwrap();
        let texts: Vec<_> = out.records.iter().map(|record| record.text.as_str()).collect();
        assert_eq!(texts, ["\"열린 인용 open quote", "둘"]);
        assert_eq!(out.faults, [(2, Reason::BadRecord)]);
    }
}
