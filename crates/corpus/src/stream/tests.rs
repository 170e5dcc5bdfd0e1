//! Parts of a file, joined, are the file; a part is begun anywhere.

use std::io::Write;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// Records, faults and parts.
type Found = (Vec<(u64, String)>, Vec<(u64, Reason)>, usize);

struct File {
    dir: TempDir,
    source: SourceConfig,
}

impl File {
    fn new(format: Format) -> Self {
        let source = SourceConfig {
            format,
            text: vec!["note".into()],
            id: Some("id".into()),
            unit: RecordUnit::Line,
            ..SourceConfig::default()
        };
        Self { dir: tempfile::tempdir().unwrap(), source }
    }

    fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("file");
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// Number and text of every record; each part is read by a reader of its own.
    fn read(&self, bytes: &[u8], part_bytes: u64) -> Found {
        let path = self.write(bytes);
        let (mut records, mut faults, mut parts) = (Vec::new(), Vec::new(), 0);
        let readers = ReaderConfig::default();
        let mut cursor = Some(Cursor::default());
        while let Some(begin) = cursor {
            let part = Parts::open(&path, &self.source, &readers, &begin)
                .unwrap()
                .next(part_bytes)
                .unwrap();
            let lines = part.blocks.iter().flat_map(Block::lines);
            records.extend(lines.map(|(number, line)| (number, line.into_owned())));
            let read = part.records.records.into_iter();
            records.extend(read.map(|record| (record.record, record.text)));
            faults.extend(part.records.faults);
            parts += 1;
            cursor = part.next;
        }
        (records, faults, parts)
    }
}

fn table(rows: usize) -> String {
    let row = |number| format!("{number},\"환자 {number}번\n\"\"CT\"\"상 nodule\",x\n");
    format!("id,note,rest\n{}", (0..rows).map(row).collect::<String>())
}

#[test]
fn parts_of_a_table_join_whatever_their_size_and_compression() {
    let file = File::new(Format::Csv);
    let text = table(200);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let korean = encoding_rs::EUC_KR.encode(&text).0.into_owned();
    let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    for bytes in [text.clone().into_bytes(), gz.finish().unwrap(), korean, marked] {
        let (whole, faults, parts) = file.read(&bytes, u64::MAX);
        assert_eq!((whole.len(), faults.len(), parts), (200, 0, 1));
        assert_eq!(whole[7], (7, "환자 7번\n\"CT\"상 nodule".to_owned()));
        let (joined, _, parts) = file.read(&bytes, 500);
        assert_eq!(joined, whole);
        assert!(parts > 10);
    }
}

#[test]
fn parts_of_lines_and_paragraphs_join() {
    let mut file = File::new(Format::Txt);
    let text: String = (0..100).map(|number| format!("소견 {number} finding\r\n\n")).collect();
    for unit in [RecordUnit::Line, RecordUnit::Paragraph] {
        file.source.unit = unit;
        let (whole, _, _) = file.read(text.as_bytes(), u64::MAX);
        assert_eq!(whole.len(), 100);
        let (joined, _, parts) = file.read(text.as_bytes(), 300);
        assert_eq!(joined, whole);
        assert!(parts > 5);
    }
    let (joined, _, _) = File::new(Format::Jsonl).read(b"{\"a\": 1}\n\n{\"a\": 2}", 8);
    assert_eq!(joined, [(0, "{\"a\": 1}".to_owned()), (2, "{\"a\": 2}".to_owned())]);
}

#[test]
fn a_part_of_short_records_has_no_more_of_them_than_weigh_as_much() {
    for (format, text) in [
        (Format::Txt, "폐렴 CT\n".repeat(1000)),
        (Format::Jsonl, "{\"note\": \"폐렴 CT\"}\n".repeat(1000)),
        (Format::Csv, table(1000)),
    ] {
        let (records, _, parts) = File::new(format).read(text.as_bytes(), 100 * RECORD_BYTES);
        assert_eq!(records.len(), 1000);
        assert!((10..=14).contains(&parts), "{format:?}: {parts}");
    }
}

#[test]
fn a_cut_stream_loses_its_last_record_and_says_so() {
    let file = File::new(Format::Csv);
    let rows: String = (0..5000).map(|n| format!("{n},환자 {},x\n", n * 7919)).collect();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(format!("id,note,rest\n{rows}").as_bytes()).unwrap();
    let bytes = gz.finish().unwrap();
    let (records, faults, _) = file.read(&bytes[..bytes.len() / 2], 20_000);
    assert!(records.len() > 500 && records.len() < 4000);
    assert_eq!(faults, [(records.len() as u64, Reason::Truncated)]);
}

#[test]
fn an_open_quote_and_rows_of_another_width_are_told_apart() {
    let file = File::new(Format::Csv);
    let text = format!("{}7,short\n8,\"열린 인용 open,x\n9,다음,x\n", table(3));
    let (records, faults, _) = file.read(text.as_bytes(), 60);
    assert_eq!(records.len(), 3);
    assert_eq!(faults, [(3, Reason::BadRecord), (4, Reason::UnclosedQuote)]);
}

#[test]
fn a_line_that_does_not_end_is_refused_and_the_next_is_read() {
    let mut file = File::new(Format::Txt);
    let mut bytes = vec![b'x'; MAX_RECORD_BYTES + 10];
    bytes.extend("\n폐렴 CT\n".as_bytes());
    let (records, faults, _) = file.read(&bytes, u64::MAX);
    assert_eq!(records, [(1, "폐렴 CT".to_owned())]);
    assert_eq!(faults, [(0, Reason::TooLarge)]);
    file.source.unit = RecordUnit::Paragraph;
    let (records, faults, _) = file.read(&[&bytes, "\n\n다음".as_bytes()].concat(), u64::MAX);
    assert_eq!(records, [(1, "폐렴 CT\n".to_owned()), (2, "다음\n".to_owned())]);
    assert_eq!(faults, [(0, Reason::TooLarge)]);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let file = File::new(Format::Txt);
    let bytes: Vec<u8> = (0..4000u32).map(|number| (number % 7) as u8).collect();
    let (records, faults, _) = file.read(&bytes, u64::MAX);
    assert_eq!((records.len(), faults), (0, vec![(0, Reason::BadEncoding)]));
}

#[test]
fn an_encoding_is_told_by_the_bytes_behind_the_first_that_is_not_ascii() {
    let mut file = File::new(Format::Txt);
    file.source.unit = RecordUnit::Line;
    // ASCII for longer than a chunk, then Korean: the parts before and after are those of any size.
    let text =
        format!("{}{}", "No acute finding.\n".repeat(40_000), "흉부 CT상 폐렴\n".repeat(3000));
    let bytes = encoding_rs::EUC_KR.encode(&text).0.into_owned();
    let (whole, faults, _) = file.read(&bytes, u64::MAX);
    assert_eq!((whole.len(), faults.len()), (43_000, 0));
    assert_eq!(whole[42_999].1, "흉부 CT상 폐렴");
    for part_bytes in [100_000, 300_001] {
        assert_eq!(file.read(&bytes, part_bytes).0, whole);
    }
    let units =
        "환자는 CT\n".repeat(50).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    assert_eq!(file.read(&units, 200).0.len(), 50);
    let japanese = encoding_rs::SHIFT_JIS.encode("患者は胸痛で来院した。\n").0.repeat(50);
    assert_eq!(file.read(&japanese, 100), (Vec::new(), vec![(0, Reason::BadEncoding)], 1));
}
