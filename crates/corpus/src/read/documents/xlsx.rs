//! Excel workbooks: each row of each sheet a record, columns by name as in a table of text.

use std::io::Cursor;
use std::path::Path;

use calamine::{Data, DataType, Reader, Xlsx, XlsxError};

use super::super::csv::{columns, raw};
use super::super::{FileRecords, RawRecord};
use super::container::Container;
use crate::{Reason, Result, SourceConfig};

/// Reads the workbook in `bytes`; without `text` in the config a row is its cells, `a | b | c`.
pub(super) fn read(
    path: &Path,
    bytes: &[u8],
    source: &SourceConfig,
    out: &mut FileRecords,
) -> Result<()> {
    let sheets = match sheets(bytes) {
        Ok(sheets) => sheets,
        Err(reason) => {
            out.faults.push((0, reason));
            return Ok(());
        }
    };
    let mut record = 0;
    for rows in sheets {
        let mut rows = rows.into_iter();
        let names: Vec<String> = match rows.len() {
            0 => continue,
            _ if source.header => rows.next().unwrap_or_default(),
            _ => (1..=rows.as_slice()[0].len()).map(|number| number.to_string()).collect(),
        };
        let chosen = match source.text.is_empty() {
            true => None,
            false => Some(columns(path, source, &names)?),
        };
        for row in rows {
            let found = match &chosen {
                Some(chosen) => raw(record, &row.into_iter().collect(), chosen, source),
                None => RawRecord { record, text: whole(&row), ..RawRecord::default() },
            };
            out.records.push(found);
            record += 1;
        }
    }
    Ok(())
}

fn whole(row: &[String]) -> String {
    let cells: Vec<&str> = row.iter().map(|cell| cell.trim()).collect();
    let filled = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
    cells[..filled].join(" | ")
}

fn sheets(bytes: &[u8]) -> Result<Vec<Vec<Vec<String>>>, Reason> {
    Container::open(bytes)?.check()?;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsxError::Password => Reason::Encrypted,
        _ => Reason::BadRecord,
    })?;
    let mut sheets = Vec::new();
    for name in book.sheet_names() {
        let range = book.worksheet_range(&name).map_err(|_| Reason::BadRecord)?;
        sheets.push(range.rows().map(|row| row.iter().map(cell).collect()).collect());
    }
    Ok(sheets)
}

fn cell(data: &Data) -> String {
    match data {
        Data::Empty | Data::Error(_) => String::new(),
        Data::String(text) => text.trim().to_owned(),
        other => other.as_string().unwrap_or_default(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::container::tests::zipped;
    use super::*;

    pub(crate) fn workbook(cells: &[&str; 2]) -> Vec<u8> {
        let [head, value] = cells;
        let sheet = format!(
            "<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'>\
            <sheetData><row r='1'><c r='A1' t='inlineStr'><is><t>id</t></is></c><c r='B1' t='inlineStr'>\
            <is><t>{head}</t></is></c></row><row r='2'><c r='A2'><v>7</v></c><c r='B2' t='s'><v>0</v></c></row>\
            <row r='3'><c r='A3'><v>8</v></c></row></sheetData></worksheet>"
        );
        let types = "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>";
        let book = "<workbook xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main' \
            xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'><sheets>\
            <sheet name='판독' sheetId='1' r:id='rId1'/></sheets></workbook>";
        let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let relations = format!(
            "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>\
             <Relationship Id='rId1' Type='{kind}/worksheet' Target='worksheets/sheet1.xml'/>\
             <Relationship Id='rId2' Type='{kind}/sharedStrings' Target='sharedStrings.xml'/>\
             </Relationships>"
        );
        let root = format!(
            "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'>\
             <Relationship Id='rId1' Type='{kind}/officeDocument' Target='xl/workbook.xml'/>\
             </Relationships>"
        );
        let strings = format!(
            "<sst xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'>\
            <si><t>{value}</t></si></sst>"
        );
        zipped(&[
            ("[Content_Types].xml", types),
            ("_rels/.rels", &root),
            ("xl/workbook.xml", book),
            ("xl/_rels/workbook.xml.rels", &relations),
            ("xl/worksheets/sheet1.xml", &sheet),
            ("xl/sharedStrings.xml", &strings),
        ])
    }

    #[test]
    fn rows_are_records_and_columns_have_names() {
        let mut source =
            SourceConfig {
                text: vec!["소견".into()], id: Some("id".into()), ..Default::default()
            };
        let mut out = FileRecords::default();
        read(Path::new("a.xlsx"), &workbook(&["소견", "폐렴, CT상 확인"]), &source, &mut out)
            .unwrap();
        let found: Vec<_> =
            out.records.iter().map(|one| (one.id.as_deref(), one.text.as_str())).collect();
        assert_eq!(found, [(Some("7"), "폐렴, CT상 확인"), (Some("8"), "")]);
        source.text = Vec::new();
        let mut out = FileRecords::default();
        read(Path::new("a.xlsx"), &workbook(&["소견", "폐렴, CT상 확인"]), &source, &mut out)
            .unwrap();
        assert_eq!(out.records[0].text, "7 | 폐렴, CT상 확인");
    }

    #[test]
    fn a_missing_column_is_named_and_a_broken_book_is_refused() {
        let source = SourceConfig { text: vec!["없음".into()], ..Default::default() };
        let mut out = FileRecords::default();
        let error =
            read(Path::new("a.xlsx"), &workbook(&["소견", "폐렴, CT상 확인"]), &source, &mut out)
                .unwrap_err();
        assert!(error.to_string().contains("소견"), "{error}");
        read(Path::new("a.xlsx"), &zipped(&[("x", "y")]), &source, &mut out).unwrap();
        assert_eq!(out.faults, [(0, Reason::BadRecord)]);
    }
}
