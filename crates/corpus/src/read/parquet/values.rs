//! A column's values as text.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    ByteArrayType, DataType, DoubleType, Int32Type, Int64Type, Int96, Int96Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescriptor;

/// What a column's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// Numbers.
    Number,
    /// Days since 1970.
    Date,
    /// So many parts of a second since 1970.
    Time(i64),
}

impl Kind {
    /// The kind of `column`; its type's name where that is not read.
    pub(super) fn of(column: &ColumnDescriptor) -> std::result::Result<Self, String> {
        let (logical, converted) = (column.logical_type_ref(), column.converted_type());
        let physical = column.physical_type();
        if column.max_rep_level() > 0 {
            return Err("a list or a map".into());
        }
        let kind = match (physical, logical) {
            (Physical::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum)) => Self::Text,
            (Physical::BYTE_ARRAY, Some(LogicalType::Json)) => Self::Text,
            // Old writers do not say that bytes are text; each value shows whether it is.
            (Physical::BYTE_ARRAY, None) if is_text(converted) => Self::Text,
            (Physical::INT32, Some(LogicalType::Date)) => Self::Date,
            (Physical::INT32, None) if converted == ConvertedType::DATE => Self::Date,
            (Physical::INT64, Some(LogicalType::Timestamp(time))) => Self::Time(parts(&time.unit)),
            (Physical::INT64, None) if converted == ConvertedType::TIMESTAMP_MILLIS => {
                Self::Time(1_000)
            }
            (Physical::INT64, None) if converted == ConvertedType::TIMESTAMP_MICROS => {
                Self::Time(1_000_000)
            }
            (Physical::INT96, _) => Self::Time(1_000_000),
            (Physical::INT32 | Physical::INT64, Some(LogicalType::Integer(_))) => Self::Number,
            (Physical::INT32 | Physical::INT64, None) if is_whole(converted) => Self::Number,
            (Physical::DOUBLE, None) => Self::Number,
            (_, Some(logical)) => return Err(format!("{logical:?}")),
            (_, None) => return Err(physical.to_string()),
        };
        Ok(kind)
    }

    fn show(self, value: i64) -> Vec<u8> {
        match self {
            Self::Text | Self::Number => value.to_string(),
            Self::Date => day(value),
            Self::Time(parts) => {
                let seconds = value.div_euclid(parts);
                let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
                let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
                format!("{} {hour:02}:{minute:02}:{second:02}", day(days))
            }
        }
        .into_bytes()
    }
}

fn is_text(converted: ConvertedType) -> bool {
    use ConvertedType::{ENUM, JSON, NONE, UTF8};
    matches!(converted, NONE | UTF8 | ENUM | JSON)
}

fn is_whole(converted: ConvertedType) -> bool {
    use ConvertedType::{INT_8, INT_16, INT_32, INT_64, NONE, UINT_8, UINT_16, UINT_32, UINT_64};
    matches!(
        converted,
        NONE | INT_8 | INT_16 | INT_32 | INT_64 | UINT_8 | UINT_16 | UINT_32 | UINT_64
    )
}

fn parts(unit: &TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

/// The day of the calendar, so many days after 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn day(days: i64) -> String {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The values of a column in one group of rows, read on.
pub(super) struct Values {
    reader: ColumnReader,
    kind: Kind,
    /// The level of a value that is there.
    level: i16,
}

impl Values {
    pub(super) fn new(reader: ColumnReader, kind: Kind, column: &ColumnDescriptor) -> Self {
        Self { reader, kind, level: column.max_def_level() }
    }

    pub(super) fn skip(&mut self, rows: usize) -> Result<()> {
        let skipped = match &mut self.reader {
            ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::Int96ColumnReader(reader) => reader.skip_records(rows),
            ColumnReader::DoubleColumnReader(reader) => reader.skip_records(rows),
            _ => return Err(unread()),
        };
        if skipped? == rows { Ok(()) } else { Err(cut()) }
    }

    /// The next `rows`, as text; nothing where there is no value.
    pub(super) fn take(&mut self, rows: usize) -> Result<Vec<Vec<u8>>> {
        let (kind, level) = (self.kind, self.level);
        match &mut self.reader {
            ColumnReader::ByteArrayColumnReader(reader) => {
                take::<ByteArrayType>(reader, level, rows, |value| value.data().to_vec())
            }
            ColumnReader::Int32ColumnReader(reader) => {
                take::<Int32Type>(reader, level, rows, |value| kind.show(i64::from(*value)))
            }
            ColumnReader::Int64ColumnReader(reader) => {
                take::<Int64Type>(reader, level, rows, |value| kind.show(*value))
            }
            ColumnReader::Int96ColumnReader(reader) => {
                take::<Int96Type>(reader, level, rows, |value: &Int96| kind.show(value.to_micros()))
            }
            // Numbers with gaps are often written so; whole ones are shown whole.
            ColumnReader::DoubleColumnReader(reader) => {
                take::<DoubleType>(reader, level, rows, |value| value.to_string().into_bytes())
            }
            _ => Err(unread()),
        }
    }
}

fn take<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    level: i16,
    rows: usize,
    show: impl Fn(&T::T) -> Vec<u8>,
) -> Result<Vec<Vec<u8>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let read = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if read.0 != rows {
        return Err(cut());
    }
    let mut values = values.iter();
    if level == 0 {
        return Ok(values.map(show).collect());
    }
    let cell = |found: &i16| match *found == level {
        true => values.next().map(&show).unwrap_or_default(),
        false => Vec::new(),
    };
    Ok(levels.iter().map(cell).collect())
}

fn cut() -> ParquetError {
    ParquetError::EOF("fewer rows than the file says".into())
}

fn unread() -> ParquetError {
    ParquetError::NYI("a column of a type that is not read".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_those_of_the_calendar() {
        assert_eq!(day(0), "1970-01-01");
        assert_eq!(day(19_782), "2024-02-29");
        assert_eq!(day(-1), "1969-12-31");
        assert_eq!(day(65_743), "2149-12-31");
        assert_eq!(Kind::Time(1000).show(1_709_164_799_999), b"2024-02-28 23:59:59");
        assert_eq!(Kind::Time(1_000_000).show(-1), b"1969-12-31 23:59:59");
    }
}
