//! TensorFlow 1 checkpoints, "bundles": an `.index` and its `.data-NNNNN-of-NNNNN`.
//!
//! Owns the bytes: the index's entries, the places of tensors in the data, every checksum. It knows
//! nothing of BERT or of names' meanings.
//!
//! Invariant: a tensor that is listed lies inside its file, and no two overlap.
//!
//! Source: `tensorflow/core/util/tensor_bundle/tensor_bundle.{h,cc}` and
//! `tensorflow/core/protobuf/tensor_bundle.proto` of TensorFlow 1.15.

mod table;
mod varint;

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;

use crate::elements::{Dtype, read_elements};
use crate::error::clipped;
use crate::source::{Source, TensorInfo};
use crate::{Error, Result};
use table::masked_crc32c;
use varint::{Bytes, Field};

/// The longest index that is read: some 1,000 times that of BERT with its optimizer.
const MAX_INDEX_BYTES: u64 = 64 << 20;
/// The most data files.
const MAX_SHARDS: u64 = 1024;
/// The most axes of a tensor.
const MAX_AXES: usize = 16;

/// What is wrong with a checkpoint of TensorFlow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorflowFault {
    /// A file that does not end as an index does.
    #[error("not the index of a TensorFlow checkpoint: it does not end in the number of one")]
    NotAnIndex,
    /// An index longer than any of a model.
    #[error("found {found} bytes, expected an index of at most {MAX_INDEX_BYTES}")]
    TooLong {
        /// Its length.
        found: u64,
    },
    /// A block that does not lie in the file.
    #[error("the block at byte {begin} reaches past the end of the file")]
    BlockOutside {
        /// Where it begins.
        begin: u64,
    },
    /// A block that was changed since it was written.
    #[error("the checksum of the block at byte {begin} differs: it is damaged")]
    BlockChecksum {
        /// Where it begins.
        begin: u64,
    },
    /// A compression that is none of the format's.
    #[error("a block has the compression `{found}`, expected 0 or 1")]
    Compression {
        /// Its number.
        found: u8,
    },
    /// A compressed block that does not unpack.
    #[error("the block at byte {begin} does not unpack")]
    Snappy {
        /// Where it begins.
        begin: u64,
    },
    /// Blocks that unpack to more than an index holds.
    #[error("its blocks unpack to more than any index holds")]
    BlockTooLong,
    /// A block that does not follow its own lengths.
    #[error("a block of the index is not sound")]
    Block,
    /// Keys out of order, or one twice.
    #[error("the names of its tensors are not in order, or one is there twice")]
    Order,
    /// A message that does not follow its own lengths.
    #[error("an entry of the index does not parse")]
    Proto,
    /// Data of a machine with the other byte order.
    #[error("its numbers are not little-endian")]
    BigEndian,
    /// More data files than any model has.
    #[error("found {found} data files, expected 1 to {MAX_SHARDS}")]
    Shards {
        /// Their number.
        found: u64,
    },
    /// An element type that a checkpoint of weights does not have.
    #[error("`{name}` has the unknown element type {found}")]
    UnknownType {
        /// The tensor.
        name: String,
        /// The number of the type.
        found: u64,
    },
    /// A tensor in parts.
    #[error("`{name}` is saved in slices, which are not read")]
    Sliced {
        /// The tensor.
        name: String,
    },
    /// An extent that is not the size of the shape.
    #[error("`{name}` takes {found} bytes, expected {expected} by its shape and type")]
    Extent {
        /// The tensor.
        name: String,
        /// The length of its extent.
        found: u64,
        /// The size of its shape.
        expected: String,
    },
    /// A tensor that does not lie in its file.
    #[error("`{name}` reaches past the end of its file: the data is cut short")]
    Truncated {
        /// The tensor.
        name: String,
    },
    /// Two tensors in one place.
    #[error("`{name}` overlaps another tensor")]
    Overlap {
        /// The tensor.
        name: String,
    },
    /// Elements that were changed since they were written.
    #[error("the checksum of `{name}` differs: its data is damaged")]
    Checksum {
        /// The tensor.
        name: String,
    },
}

/// The element types by their numbers in `tensorflow/core/framework/types.proto`; those that no
/// tensor of a model has are listed by their safetensors name all the same.
const DTYPES: &[(u64, &str)] = &[
    (1, "F32"),
    (2, "F64"),
    (3, "I32"),
    (4, "U8"),
    (5, "I16"),
    (6, "I8"),
    (9, "I64"),
    (10, "BOOL"),
    (14, "BF16"),
    (17, "U16"),
    (19, "F16"),
    (22, "U32"),
    (23, "U64"),
];

/// A checkpoint whose index was read.
#[derive(Debug)]
pub(crate) struct Bundle {
    shards: Vec<Shard>,
    tensors: Vec<TensorInfo>,
    places: Vec<Entry>,
}

/// A data file.
#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: fs::File,
    bytes: u64,
}

/// What the index says of a tensor.
#[derive(Debug, Clone)]
struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    shard: u64,
    begin: u64,
    bytes: u64,
    crc32c: u32,
}

impl Bundle {
    /// Reads the index at `path`, which ends in `.index`, and opens its data.
    ///
    /// # Errors
    /// [`Error::Tensorflow`] when the index is not sound, or the data shorter than it says.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let wrap = |fault| Error::Tensorflow { path: path.to_path_buf(), fault };
        let file = fs::File::open(path)?;
        let found = file.metadata()?.len();
        if found > MAX_INDEX_BYTES {
            return Err(wrap(TensorflowFault::TooLong { found }));
        }
        let mut index = Vec::new();
        file.take(MAX_INDEX_BYTES).read_to_end(&mut index)?;
        let (num_shards, mut entries) = parse(&index).map_err(wrap)?;
        let stem = path.to_string_lossy();
        let stem = stem.strip_suffix(".index").unwrap_or(&stem);
        let shards = (0..num_shards)
            .map(|shard| Shard::open(format!("{stem}.data-{shard:05}-of-{num_shards:05}").into()))
            .collect::<Result<Vec<_>>>()?;
        entries.sort_by_key(|entry| (entry.shard, entry.begin));
        check_places(&entries, &shards).map_err(wrap)?;
        let tensors = entries
            .iter()
            .map(|entry| TensorInfo {
                name: entry.name.clone(),
                dtype: entry.dtype.name(),
                shape: entry.shape.clone(),
                bytes: entry.bytes,
            })
            .collect();
        Ok(Self { shards, tensors, places: entries })
    }

    /// The files of the data.
    pub(crate) fn data_files(&self) -> impl Iterator<Item = &Path> {
        self.shards.iter().map(|shard| &*shard.path)
    }
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self> {
        let file = fs::File::open(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path, file, bytes })
    }
}

impl Source for Bundle {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn file_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes).sum()
    }

    fn read(&mut self, index: usize) -> Result<Vec<f32>> {
        let Entry { name, dtype, shard, begin, bytes, crc32c: expected, .. } = &self.places[index];
        let Shard { path, file, .. } = &mut self.shards[*shard as usize];
        file.seek(SeekFrom::Start(*begin))?;
        let mut found = 0;
        let data = read_elements(file, *dtype, *bytes, |chunk| {
            found = crc32c::crc32c_append(found, chunk);
        })?;
        if masked_crc32c(found) != *expected {
            let fault = TensorflowFault::Checksum { name: clipped(name) };
            return Err(Error::Tensorflow { path: path.clone(), fault });
        }
        Ok(data)
    }
}

type Parsed<T> = std::result::Result<T, TensorflowFault>;

/// The number of data files, and every tensor.
fn parse(index: &[u8]) -> Parsed<(u64, Vec<Entry>)> {
    let mut entries = table::entries(index)?.into_iter();
    // The header has the empty key, which comes first.
    let Some((_, header)) = entries.next().filter(|(key, _)| key.is_empty()) else {
        return Err(TensorflowFault::Order);
    };
    let num_shards = parse_header(Bytes(&header))?;
    let entries = entries.map(|(key, value)| {
        let name = String::from_utf8_lossy(&key).into_owned();
        parse_entry(name, Bytes(&value))
    });
    Ok((num_shards, entries.collect::<Parsed<_>>()?))
}

/// `BundleHeaderProto`: 1 the number of shards, 2 the byte order (0 little).
fn parse_header(mut message: Bytes<'_>) -> Parsed<u64> {
    let mut found = 0;
    while let Some(field) = message.field()? {
        match field {
            (1, Field::Varint(count)) => found = count,
            (2, Field::Varint(1..)) => return Err(TensorflowFault::BigEndian),
            _ => {}
        }
    }
    match found {
        1..=MAX_SHARDS => Ok(found),
        _ => Err(TensorflowFault::Shards { found }),
    }
}

/// `BundleEntryProto`: 1 type, 2 shape, 3 shard, 4 offset, 5 size, 6 checksum, 7 slices.
fn parse_entry(name: String, mut message: Bytes<'_>) -> Parsed<Entry> {
    let (mut kind, mut shape) = (0, Vec::new());
    let (mut shard, mut begin, mut bytes, mut crc32c) = (0, 0, 0, 0);
    while let Some(field) = message.field()? {
        match field {
            (1, Field::Varint(found)) => kind = found,
            (2, Field::Bytes(found)) => shape = parse_shape(Bytes(found))?,
            (3, Field::Varint(found)) => shard = found,
            (4, Field::Varint(found)) => begin = found,
            (5, Field::Varint(found)) => bytes = found,
            (6, Field::Fixed32(found)) => crc32c = found,
            (7, _) => return Err(TensorflowFault::Sliced { name: clipped(&name) }),
            _ => {}
        }
    }
    let dtype = DTYPES.iter().find(|known| known.0 == kind).and_then(|known| Dtype::parse(known.1));
    let Some(dtype) = dtype else {
        return Err(TensorflowFault::UnknownType { name: clipped(&name), found: kind });
    };
    let expected = shape.iter().try_fold(dtype.bytes(), |size, &axis| size.checked_mul(axis));
    if expected != Some(bytes) {
        let expected = expected.map_or("more than 2^64".into(), |expected| expected.to_string());
        return Err(TensorflowFault::Extent { name: clipped(&name), found: bytes, expected });
    }
    let shape = shape.into_iter().map(|axis| axis as usize).collect();
    Ok(Entry { name, dtype, shape, shard, begin, bytes, crc32c })
}

/// `TensorShapeProto`: 2 an axis, of which 1 is the length.
fn parse_shape(mut message: Bytes<'_>) -> Parsed<Vec<u64>> {
    let mut shape = Vec::new();
    while let Some(field) = message.field()? {
        if let (2, Field::Bytes(axis)) = field {
            let (mut axis, mut length) = (Bytes(axis), 0);
            while let Some(field) = axis.field()? {
                if let (1, Field::Varint(found)) = field {
                    length = found;
                }
            }
            shape.push(length);
        }
        if shape.len() > MAX_AXES {
            return Err(TensorflowFault::Proto);
        }
    }
    Ok(shape)
}

/// Checks entries that are sorted by place.
fn check_places(entries: &[Entry], shards: &[Shard]) -> Parsed<()> {
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    for Entry { name, shard, begin, bytes, .. } in entries {
        let held = usize::try_from(*shard).ok().and_then(|shard| shards.get(shard));
        let end = begin.checked_add(*bytes);
        let fits = |held: &&Shard| end.is_some_and(|end| end <= held.bytes);
        let (Some(_), Some(end)) = (held.filter(fits), end) else {
            return Err(TensorflowFault::Truncated { name: clipped(name) });
        };
        if ends.insert(*shard, end).is_some_and(|before| before > *begin) {
            return Err(TensorflowFault::Overlap { name: clipped(name) });
        }
    }
    Ok(())
}
