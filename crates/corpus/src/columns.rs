//! `shard-NNNNN.parquet`: the documents of a shard as columns, for Spark and other readers of tables.
//!
//! Owns the schema, which `docs/FORMATS.md` describes. The shards stay what every stage reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bimed_artifact::{AtomicFile, Context};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;

use crate::card::tier;
use crate::shard::{ShardReader, shard_paths};
use crate::{Document, Error, Quality, Result, ShardConfig};

/// Bytes of text in a group of rows.
const GROUP_BYTES: usize = 32 << 20;

const SCHEMA: &str = "
message document {
  REQUIRED BYTE_ARRAY doc_id (STRING);
  REQUIRED BYTE_ARRAY source (STRING);
  REQUIRED BYTE_ARRAY access_tier (STRING);
  REQUIRED BYTE_ARRAY split (STRING);
  REQUIRED BYTE_ARRAY split_group (STRING);
  REQUIRED BYTE_ARRAY text (STRING);
  REQUIRED BYTE_ARRAY language (STRING);
  REQUIRED BYTE_ARRAY domain (STRING);
  REQUIRED BYTE_ARRAY genre (STRING);
  REQUIRED DOUBLE hangul_ratio;
  REQUIRED DOUBLE hangul_word_ratio;
  REQUIRED DOUBLE switch_points;
  REQUIRED INT64 num_chars;
  REQUIRED INT64 num_words;
  REQUIRED INT64 duplicates;
  REQUIRED GROUP sentences (LIST) {
    REPEATED GROUP list {
      REQUIRED GROUP element { REQUIRED INT64 start; REQUIRED INT64 end; }
    }
  }
  REQUIRED GROUP sections (LIST) {
    REPEATED GROUP list {
      REQUIRED GROUP element {
        REQUIRED BYTE_ARRAY name (STRING); REQUIRED INT64 start; REQUIRED INT64 end;
      }
    }
  }
  REQUIRED GROUP quality {
    REQUIRED DOUBLE letter_share;
    REQUIRED DOUBLE digit_share;
    REQUIRED DOUBLE mean_word_chars;
    REQUIRED DOUBLE top_line_share;
    REQUIRED DOUBLE repeated_line_share;
    REQUIRED DOUBLE ended_line_share;
    REQUIRED DOUBLE page_number_share;
  }
  REQUIRED GROUP identifiers (MAP) {
    REPEATED GROUP key_value { REQUIRED BYTE_ARRAY key (STRING); REQUIRED INT64 value; }
  }
  REQUIRED GROUP provenance {
    REQUIRED BYTE_ARRAY file (STRING);
    REQUIRED BYTE_ARRAY file_blake3 (STRING);
    REQUIRED INT64 record;
    REQUIRED INT32 chunk;
    REQUIRED BYTE_ARRAY extractor (STRING);
    REQUIRED BYTE_ARRAY encoding (STRING);
    REQUIRED BOOLEAN partial;
  }
}";

/// Writes the documents of every shard in `dir` as columns beside it.
///
/// # Errors
/// When a shard cannot be read, the disk is full, or the step is cancelled.
pub(crate) fn write(dir: &Path, config: &ShardConfig, context: &Context<'_>) -> Result<()> {
    shard_paths(dir)?.into_par_iter().try_for_each(|path| {
        context.cancel.check()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let target = dir.join(name.replace(".jsonl.zst", ".parquet"));
        let mut file = AtomicFile::create(&target)?;
        write_shard(path, &mut file, config, context)?;
        Ok(file.commit_watched(context.progress)?)
    })
}

fn write_shard(
    path: PathBuf,
    file: &mut AtomicFile,
    config: &ShardConfig,
    context: &Context<'_>,
) -> Result<()> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties(config)?))?;
    let mut documents: Vec<Document> = Vec::new();
    let mut bytes = 0;
    let mut flush = |documents: &mut Vec<Document>| -> Result<()> {
        context.cancel.check()?;
        let mut group = writer.next_row_group()?;
        write_group(&mut Columns(&mut group), documents)?;
        group.close()?;
        documents.clear();
        Ok(())
    };
    for document in ShardReader::open(path)? {
        let document = document?;
        bytes += document.text.len();
        documents.push(document);
        if bytes >= GROUP_BYTES {
            flush(&mut documents)?;
            bytes = 0;
        }
    }
    if !documents.is_empty() {
        flush(&mut documents)?;
    }
    writer.close()?;
    Ok(())
}

fn properties(config: &ShardConfig) -> Result<WriterProperties> {
    let text = ColumnPath::from("text");
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(config.level)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // The least and the greatest text tell a reader nothing, and no text repeats.
        .set_column_statistics_enabled(text.clone(), EnabledStatistics::None)
        .set_column_dictionary_enabled(text, false)
        .set_column_dictionary_enabled(ColumnPath::from("doc_id"), false)
        .build())
}

/// The columns in the order of [`SCHEMA`].
fn write_group(
    columns: &mut Columns<'_, '_, '_>,
    documents: &[Document],
) -> Result<(), ParquetError> {
    columns.texts(documents, |document| &document.doc_id)?;
    columns.texts(documents, |document| &document.source)?;
    columns.texts(documents, |document| tier(document.access_tier))?;
    columns.texts(documents, |document| document.split.name())?;
    columns.texts(documents, |document| &document.split_group)?;
    columns.texts(documents, |document| &document.text)?;
    columns.texts(documents, |document| &document.language)?;
    columns.texts(documents, |document| &document.domain)?;
    columns.texts(documents, |document| &document.genre)?;
    columns.values::<DoubleType>(documents, |document| document.hangul_ratio)?;
    columns.values::<DoubleType>(documents, |document| document.hangul_word_ratio)?;
    columns.values::<DoubleType>(documents, |document| document.switch_points)?;
    columns.values::<Int64Type>(documents, |document| number(document.num_chars))?;
    columns.values::<Int64Type>(documents, |document| number(document.num_words))?;
    columns.values::<Int64Type>(documents, |document| number(document.duplicates))?;
    write_lists(columns, documents)?;
    columns.texts(documents, |document| &document.provenance.file)?;
    columns.texts(documents, |document| &document.provenance.file_blake3)?;
    columns.values::<Int64Type>(documents, |document| number(document.provenance.record))?;
    columns.values::<Int32Type>(documents, |document| document.provenance.chunk as i32)?;
    columns.texts(documents, |document| &document.provenance.extractor)?;
    columns.texts(documents, |document| &document.provenance.encoding)?;
    columns.values::<BoolType>(documents, |document| document.provenance.partial)
}

/// The columns whose values are lists, and between them `quality`.
fn write_lists(
    columns: &mut Columns<'_, '_, '_>,
    documents: &[Document],
) -> Result<(), ParquetError> {
    columns
        .lists::<Int64Type, _>(documents, |one| one.sentences.iter().map(|part| place(part.0)))?;
    columns
        .lists::<Int64Type, _>(documents, |one| one.sentences.iter().map(|part| place(part.1)))?;
    columns.lists::<ByteArrayType, _>(documents, |one| {
        one.sections.iter().map(|part| part.0.as_str().into())
    })?;
    columns
        .lists::<Int64Type, _>(documents, |one| one.sections.iter().map(|part| place(part.1)))?;
    columns
        .lists::<Int64Type, _>(documents, |one| one.sections.iter().map(|part| place(part.2)))?;
    let signals: [fn(&Quality) -> f64; 7] = [
        |quality| quality.letter_share,
        |quality| quality.digit_share,
        |quality| quality.mean_word_chars,
        |quality| quality.top_line_share,
        |quality| quality.repeated_line_share,
        |quality| quality.ended_line_share,
        |quality| quality.page_number_share,
    ];
    for signal in signals {
        columns.values::<DoubleType>(documents, |document| signal(&document.quality))?;
    }
    columns.lists::<ByteArrayType, _>(documents, |one| {
        one.identifiers.0.keys().map(|class| class.name().into())
    })?;
    columns.lists::<Int64Type, _>(documents, |one| {
        one.identifiers.0.values().map(|count| number(*count))
    })
}

fn place(byte: usize) -> i64 {
    number(byte as u64)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The columns of a group of rows, written one after the other.
struct Columns<'group, 'file, 'atomic>(
    &'group mut SerializedRowGroupWriter<'file, &'atomic mut AtomicFile>,
);

impl Columns<'_, '_, '_> {
    fn texts<'d>(
        &mut self,
        documents: &'d [Document],
        text: impl Fn(&'d Document) -> &'d str,
    ) -> Result<(), ParquetError> {
        self.values::<ByteArrayType>(documents, |document| ByteArray::from(text(document)))
    }

    fn values<'d, T: DataType>(
        &mut self,
        documents: &'d [Document],
        value: impl Fn(&'d Document) -> T::T,
    ) -> Result<(), ParquetError> {
        let values: Vec<T::T> = documents.iter().map(value).collect();
        self.write::<T>(&values, None, None)
    }

    /// A column of lists: the definition level says whether a list has an element, the repetition
    /// level whether an element goes on with the list before it.
    fn lists<'d, T: DataType, L: Iterator<Item = T::T>>(
        &mut self,
        documents: &'d [Document],
        list: impl Fn(&'d Document) -> L,
    ) -> Result<(), ParquetError> {
        let (mut values, mut has_one, mut goes_on) = (Vec::new(), Vec::new(), Vec::new());
        for elements in documents.iter().map(list) {
            let before = values.len();
            values.extend(elements);
            let length = values.len() - before;
            has_one.extend(std::iter::repeat_n(i16::from(length > 0), length.max(1)));
            goes_on.push(0);
            goes_on.extend(std::iter::repeat_n(1, length.saturating_sub(1)));
        }
        self.write::<T>(&values, Some(&has_one), Some(&goes_on))
    }

    fn write<T: DataType>(
        &mut self,
        values: &[T::T],
        definition: Option<&[i16]>,
        repetition: Option<&[i16]>,
    ) -> Result<(), ParquetError> {
        let missing = || ParquetError::General("more columns than the schema has".into());
        let mut column = self.0.next_column()?.ok_or_else(missing)?;
        column.typed::<T>().write_batch(values, definition, repetition)?;
        column.close()
    }
}

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
                Ok(error) => Self::Io(*error),
                Err(inner) => Self::Parquet(ParquetError::External(inner)),
            },
            other => Self::Parquet(other),
        }
    }
}
