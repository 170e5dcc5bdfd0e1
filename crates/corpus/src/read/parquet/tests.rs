//! Tables written here, read in stretches; and what is no table.

use std::path::PathBuf;
use std::sync::Arc;

use bimed_artifact::{Cancel, Context, Silent};
use fs_err as fs;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use tempfile::TempDir;

use super::super::foreign::read_stretch;
use super::*;
use crate::{CorpusConfig, Format, ReaderConfig, Result as Read, build, read_documents};

const SCHEMA: &str = "message notes {
    REQUIRED INT64 id; OPTIONAL BYTE_ARRAY note (STRING);
    REQUIRED GROUP visit { OPTIONAL INT64 at (TIMESTAMP_MILLIS); OPTIONAL BYTE_ARRAY patient (UTF8); }
    OPTIONAL FLOAT dose; OPTIONAL GROUP tags (LIST) { REPEATED GROUP list { OPTIONAL BYTE_ARRAY element (STRING); } }
}";

/// One row: its note, and the patient where there is one.
type Row = (Option<String>, Option<&'static str>);

fn rows(count: usize) -> Vec<Row> {
    let note = |number| format!("환자 {number}번, chest CT상 결절 nodule {number}개가 보였다.");
    let row = |number| match number % 7 {
        3 => (None, None),
        _ => (Some(note(number)), Some("p1")),
    };
    (0..count).map(row).collect()
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) {
    let mut column = group.next_column().unwrap().unwrap();
    // The last column is the only list; no row has one.
    let repeated = column.typed::<T>().get_descriptor().max_rep_level() > 0;
    let none = vec![0; levels.map_or(0, <[i16]>::len)];
    column.typed::<T>().write_batch(values, levels, repeated.then_some(&none)).unwrap();
    column.close().unwrap();
}

fn table(rows: &[Row], group_rows: usize) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
    for (number, rows) in rows.chunks(group_rows).enumerate() {
        let mut group = writer.next_row_group().unwrap();
        let ids: Vec<i64> = (0..rows.len()).map(|at| (number * group_rows + at) as i64).collect();
        column::<Int64Type>(&mut group, &ids, None);
        let level = |there: bool| i16::from(there);
        let notes: Vec<ByteArray> =
            rows.iter().filter_map(|row| Some(row.0.as_deref()?.into())).collect();
        let levels: Vec<i16> = rows.iter().map(|row| level(row.0.is_some())).collect();
        column::<ByteArrayType>(&mut group, &notes, Some(&levels));
        // 2180-05-06 09:30:00 and a minute a row.
        let times: Vec<i64> = ids.iter().map(|id| 6_637_887_000_000 + id * 60_000).collect();
        column::<Int64Type>(&mut group, &times, Some(&vec![1; rows.len()]));
        let patients: Vec<ByteArray> = rows.iter().filter_map(|row| Some(row.1?.into())).collect();
        let levels: Vec<i16> = rows.iter().map(|row| level(row.1.is_some())).collect();
        column::<ByteArrayType>(&mut group, &patients, Some(&levels));
        column::<FloatType>(&mut group, &[], Some(&vec![0; rows.len()]));
        column::<ByteArrayType>(&mut group, &[], Some(&vec![0; rows.len()]));
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

struct Table {
    dir: TempDir,
    source: SourceConfig,
}

impl Table {
    fn new(bytes: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("notes"), bytes).unwrap();
        let source = SourceConfig {
            name: "기록".into(),
            path: dir.path().into(),
            licence: "none".into(),
            format: Format::Parquet,
            text: vec!["note".into()],
            id: Some("id".into()),
            group: Some("visit.patient".into()),
            time: Some("visit.at".into()),
            ..SourceConfig::default()
        };
        Self { dir, source }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("notes")
    }

    fn stretch(&self, from: u64, max_bytes: u64) -> Read<Stretch> {
        read_stretch(&self.path(), &self.source, &ReaderConfig::default(), from, max_bytes)
    }
}

#[test]
fn stretches_of_any_size_join_and_values_are_text() {
    let rows = rows(1000);
    let table = Table::new(&table(&rows, 300));
    let whole = table.stretch(0, u64::MAX).unwrap();
    assert_eq!((whole.records.len(), whole.next, whole.faults.len()), (1000, None, 0));
    for (record, (note, patient)) in whole.records.iter().zip(&rows) {
        assert_eq!(record.text, note.clone().unwrap_or_default());
        assert_eq!(record.group.as_deref(), *patient);
    }
    let last = &whole.records[999];
    assert_eq!(
        (last.id.as_deref(), last.time.as_deref()),
        (Some("999"), Some("2180-05-07 02:09:00"))
    );
    let (mut from, mut joined, mut parts) = (Some(0), Vec::new(), 0);
    while let Some(row) = from {
        let stretch = table.stretch(row, 2_000).unwrap();
        joined.extend(stretch.records);
        (from, parts) = (stretch.next, parts + 1);
    }
    assert_eq!(joined, whole.records);
    assert!(parts >= 4, "{parts}");
}

#[test]
fn columns_that_are_not_read_or_not_there_are_named() {
    let check = |text: &str, expected: &[&str]| {
        let mut table = Table::new(&table(&rows(3), 3));
        table.source.text = vec![text.into()];
        let error = table.stretch(0, u64::MAX).unwrap_err();
        let shown = format!("{error} {:?}", error.hint());
        for expected in expected {
            assert!(shown.contains(expected), "{shown}");
        }
        assert!(!shown.contains("결절"), "{shown}");
    };
    check("tags", &["column `tags` of type `a list or a map`", "expected text"]);
    check("dose", &["column `dose` of type `FLOAT`"]);
    check("id", &["column `id` of type `Number`"]);
    check("visit", &["column `visit` of type `a group`"]);
    check("소견", &["[\"소견\"]", "\"visit.patient\""]);
}

#[test]
fn what_is_cut_or_broken_is_refused_and_rows_before_it_stay() {
    let bytes = table(&rows(900), 300);
    let stretch = Table::new(&bytes[..bytes.len() / 2]).stretch(0, u64::MAX).unwrap();
    assert_eq!(stretch.faults, [(0, Reason::Truncated)]);
    let mut broken = bytes.clone();
    let end = broken.len();
    broken[end - 12] ^= 0xFF;
    broken[end - 40..end - 20].fill(0xFF);
    let stretch = Table::new(&broken).stretch(0, u64::MAX).unwrap();
    assert_eq!(stretch.faults, [(0, Reason::BadRecord)]);
    // The pages of the second group of rows are overwritten.
    let mut broken = bytes.clone();
    let middle = end / 2;
    broken[middle - 2_000..middle + 2_000].fill(0xFF);
    let stretch = Table::new(&broken).stretch(0, u64::MAX).unwrap();
    assert!(stretch.is_partial && stretch.next.is_none());
    let read = stretch.records.len() as u64;
    assert!((300..900).contains(&read), "{read}");
    assert_eq!(stretch.faults, [(read, Reason::BadRecord)]);
}

#[test]
fn a_corpus_of_columns_is_written_as_columns_again() {
    let table = Table::new(&table(&rows(900), 300));
    let mut config = CorpusConfig::default();
    (config.deduplicate.near, config.shard.parquet) = (false, true);
    config.shard.shard_bytes = 60_000;
    let (units, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let context = Context { progress: &Silent, cancel: &Cancel::default() };
    let sources = [table.source.clone()];
    let summary = build(&sources, &config, units.path(), out.path(), &context).unwrap();
    let documents: Vec<_> = read_documents(out.path()).unwrap().map(Read::unwrap).collect();
    assert_eq!(documents.len(), rows(900).iter().filter(|row| row.0.is_some()).count());
    assert!(summary.shards > 2);
    let columns = |name: &str| SourceConfig {
        text: vec!["text".into()],
        id: Some(name.into()),
        group: Some("split_group".into()),
        time: Some("provenance.record".into()),
        ..table.source.clone()
    };
    let mut read = Vec::new();
    for number in 0..summary.shards {
        let path = out.path().join(format!("shard-{number:05}.parquet"));
        let readers = ReaderConfig::default();
        let stretch = read_stretch(&path, &columns("doc_id"), &readers, 0, u64::MAX).unwrap();
        assert_eq!(stretch.faults, []);
        let numbers = read_stretch(&path, &columns("num_chars"), &readers, 0, u64::MAX).unwrap();
        read.extend(stretch.records.into_iter().zip(numbers.records));
    }
    assert_eq!(read.len(), documents.len());
    for ((record, numbers), document) in read.into_iter().zip(&documents) {
        assert_eq!(record.text, document.text);
        assert_eq!(record.id.as_ref(), Some(&document.doc_id));
        assert_eq!(record.group.as_ref(), Some(&document.split_group));
        assert_eq!(record.time, Some(document.provenance.record.to_string()));
        assert_eq!(numbers.id, Some(document.num_chars.to_string()));
    }
}
