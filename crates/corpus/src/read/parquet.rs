//! Parquet: columns by name, a stretch of rows at a time, so that a file is never held whole.

mod values;

use std::fs::File;
use std::path::Path;

use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;

use super::csv::{Columns, columns, raw};
use super::foreign::{Found, Stretch};
use crate::stream::RECORD_BYTES;
use crate::{Error, Reason, SourceConfig};
use values::{Kind, Values};

/// Rows that are decoded at once.
const BATCH_ROWS: u64 = 256;

/// Rows of the file at `path`, from row `from` on, until they weigh `max_bytes`.
pub(super) fn read(
    path: &Path,
    source: &SourceConfig,
    from: u64,
    max_bytes: u64,
) -> Result<Found, Reason> {
    let (file, _) = fs_err::File::open(path).map_err(|_| Reason::ReaderFailed)?.into_parts();
    let is_whole = ends_with_mark(&file);
    let reader = SerializedFileReader::new(file)
        .map_err(|_| if is_whole { Reason::BadRecord } else { Reason::Truncated })?;
    let packed = packed(source, reader.metadata());
    if !packed.is_empty() {
        return Ok(Found::UnreadColumns(packed));
    }
    let schema = reader.metadata().file_metadata().schema_descr();
    let taken = match Taken::of(path, source, schema) {
        Ok(taken) => taken,
        Err(refused) => return Ok(refused),
    };
    let mut stretch = Stretch::default();
    if let Err(record) = taken.read(&reader, source, from, max_bytes, &mut stretch) {
        stretch.faults.push((record, Reason::BadRecord));
        stretch.is_partial = true;
    }
    Ok(Found::Stretch(stretch))
}

/// What a file of Parquet holds is said at its end, behind which stands its mark.
fn ends_with_mark(mut file: &File) -> bool {
    use std::io::{Read, Seek, SeekFrom};
    let mut mark = [0; 4];
    let read = file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut mark));
    read.is_ok() && (&mark == b"PAR1" || &mark == b"PARE")
}

/// What a source takes of a file.
struct Taken {
    /// Columns by their place in the file.
    columns: Vec<(usize, Kind)>,
    /// Which of them is the text, the identifier and so on.
    roles: Columns,
}

impl Taken {
    fn of(path: &Path, source: &SourceConfig, schema: &SchemaDescriptor) -> Result<Self, Found> {
        let all: Vec<String> =
            schema.columns().iter().map(|column| column.path().string()).collect();
        let names = named(source);
        let unread: Vec<(String, String)> =
            names.iter().filter_map(|name| unread(name, source, schema)).collect();
        if !unread.is_empty() {
            return Err(Found::UnreadColumns(unread));
        }
        let missing = |names: &[String]| match columns(path, source, names) {
            Err(Error::MissingFields { needed, .. }) => {
                Err(Found::MissingColumns { found: all.clone(), needed })
            }
            Err(_) => Err(Found::MissingColumns { found: all.clone(), needed: Vec::new() }),
            Ok(columns) => Ok(columns),
        };
        missing(&all)?;
        if source.text.is_empty() {
            return Err(Found::MissingColumns { found: all, needed: vec!["text".into()] });
        }
        let place = |name: &String| {
            let place = all.iter().position(|one| one == name)?;
            Some((place, Kind::of(&schema.column(place)).ok()?))
        };
        Ok(Self { columns: names.iter().filter_map(place).collect(), roles: missing(&names)? })
    }

    /// Fills `out`; the error is the first row that cannot be read.
    fn read(
        &self,
        reader: &SerializedFileReader<File>,
        source: &SourceConfig,
        from: u64,
        max_bytes: u64,
        out: &mut Stretch,
    ) -> Result<(), u64> {
        let is_full = |row: u64, bytes: u64| bytes + RECORD_BYTES * (row - from) >= max_bytes;
        let mut first = 0;
        for number in 0..reader.num_row_groups() {
            let rows = reader.metadata().row_group(number).num_rows();
            let end = first + u64::try_from(rows).map_err(|_| first)?;
            let mut row = from.max(first);
            if row < end && !is_full(row, out.bytes) {
                let group = reader.get_row_group(number).map_err(|_| row)?;
                let mut values = self.open(group.as_ref(), row - first).map_err(|_| row)?;
                while row < end && !is_full(row, out.bytes) {
                    let length = BATCH_ROWS.min(end - row);
                    self.batch(&mut values, row..row + length, source, out).map_err(|_| row)?;
                    row += length;
                }
            }
            if row < end {
                out.next = Some(row);
                return Ok(());
            }
            first = end;
        }
        Ok(())
    }

    fn open(&self, group: &dyn RowGroupReader, skipped: u64) -> Result<Vec<Values>, ParquetError> {
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let open = |(place, kind): &(usize, Kind)| {
            let column = group.metadata().column(*place).column_descr_ptr();
            let mut values = Values::new(group.get_column_reader(*place)?, *kind, &column);
            values.skip(skipped).map(|()| values)
        };
        self.columns.iter().map(open).collect()
    }

    fn batch(
        &self,
        values: &mut [Values],
        rows: std::ops::Range<u64>,
        source: &SourceConfig,
        out: &mut Stretch,
    ) -> Result<(), ParquetError> {
        let length = (rows.end - rows.start) as usize;
        let columns: Vec<Vec<Vec<u8>>> =
            values.iter_mut().map(|column| column.take(length)).collect::<Result<_, _>>()?;
        for (place, row) in rows.enumerate() {
            let cells = columns.iter().map(|column| column[place].as_slice()).collect();
            let record = raw(row, &cells, &self.roles, source);
            out.bytes += record.text.len() as u64;
            out.records.push(record);
        }
        Ok(())
    }
}

/// The columns that `source` names, each once.
fn named(source: &SourceConfig) -> Vec<String> {
    let group = source.group.iter().filter(|name| !name.starts_with('@'));
    let mut names: Vec<String> = Vec::new();
    for name in source.text.iter().chain(&source.id).chain(group).chain(&source.time) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The columns that are packed by what is not unpacked.
fn packed(source: &SourceConfig, metadata: &ParquetMetaData) -> Vec<(String, String)> {
    let names = named(source);
    let columns = metadata.row_groups().first().map_or(&[][..], |group| group.columns());
    let packed = columns.iter().filter_map(|column| {
        let name = column.column_path().string();
        let codec = column.compression();
        (codec == Compression::LZO && names.contains(&name))
            .then(|| (name, format!("packed by {codec:?}")))
    });
    packed.collect()
}

/// The column `name` with its type, where it is there and is not read.
fn unread(
    name: &str,
    source: &SourceConfig,
    schema: &SchemaDescriptor,
) -> Option<(String, String)> {
    let below = format!("{name}.");
    let is_of = |path: &str| path == name || path.starts_with(&below);
    let column = schema.columns().iter().find(|column| is_of(&column.path().string()))?;
    let kind = match column.path().string() == name {
        true => Kind::of(column),
        false if column.max_rep_level() > 0 => Err("a list or a map".into()),
        false => Err("a group".into()),
    };
    let is_text = source.text.iter().any(|one| one == name);
    match kind {
        Ok(kind) if is_text && kind != Kind::Text => Some((name.into(), format!("{kind:?}"))),
        Ok(_) => None,
        Err(kind) => Some((name.into(), kind)),
    }
}

#[cfg(test)]
mod tests;
