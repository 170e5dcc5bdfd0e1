//! The safetensors format, read and written as a stream.
//!
//! Owns the bytes: header, offsets, element types. It knows nothing of BERT or of names' meanings.
//! The file is read tensor by tensor, because a map would need `unsafe` and a whole-file read twice
//! the memory; the tests hold it against the `safetensors` crate.
//!
//! Invariant: nothing is allocated for a tensor before its extent is known to lie inside the file.
//!
//! Source: <https://github.com/huggingface/safetensors#format>

mod header;

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::path::Path;

use bimed_artifact::AtomicFile;

use crate::{HostTensor, Result, Weights};
use header::{Dtype, MAX_NAME_BYTES, Opened, open};

/// Bytes converted at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// What is wrong with a safetensors file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Fewer bytes than the length of a header takes.
    #[error("not a safetensors file: found {found} bytes, expected at least 8")]
    TooShort {
        /// The file's length.
        found: u64,
    },
    /// A header longer than the file or than any sound header.
    #[error(
        "not a safetensors file: its header is said to be {found} bytes, expected at most {expected}"
    )]
    HeaderTooLong {
        /// The length in the file.
        found: u64,
        /// The longest possible.
        expected: u64,
    },
    /// A header that is not JSON of the format's form.
    #[error("the header does not parse at line {line}, column {column}")]
    Header {
        /// The line in the header, from 1.
        line: usize,
        /// The column in the header, from 1.
        column: usize,
    },
    /// A name that is there twice.
    #[error("tensor `{name}` is there twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A name that no model has.
    #[error("a tensor's name has {found} bytes, expected at most {MAX_NAME_BYTES}")]
    NameTooLong {
        /// Its length.
        found: usize,
    },
    /// An element type that the format does not have.
    #[error("tensor `{name}` has an unknown element type")]
    UnknownType {
        /// The tensor.
        name: String,
    },
    /// An extent that is not the size of the shape.
    #[error("tensor `{name}` takes {found} bytes, expected {expected} by its shape and type")]
    Extent {
        /// The tensor.
        name: String,
        /// The length of its extent.
        found: String,
        /// The size of its shape.
        expected: String,
    },
    /// A tensor that overlaps the one before it, or leaves a gap.
    #[error("tensor `{name}` begins at byte {found} of the data, expected {expected}")]
    Place {
        /// The tensor.
        name: String,
        /// Where it begins.
        found: u64,
        /// Where the one before it ends.
        expected: u64,
    },
    /// Fewer bytes than the header names.
    #[error("found {found} bytes of data, expected {expected}")]
    Truncated {
        /// The bytes after the header.
        found: u64,
        /// The end of the last tensor.
        expected: u64,
    },
    /// More bytes than the header names.
    #[error("found {found} bytes of data, expected {expected}: the rest belongs to no tensor")]
    Trailing {
        /// The bytes after the header.
        found: u64,
        /// The end of the last tensor.
        expected: u64,
    },
}

/// A tensor that is not of floating point, or is of a kind that is not read: listed, never loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherTensor {
    /// The name as in the file.
    pub name: String,
    /// The element type as in the file, e.g. `I64`.
    pub dtype: &'static str,
    /// The length of each axis.
    pub shape: Vec<usize>,
}

/// A safetensors file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TensorFile {
    /// The tensors of type `F32`, `F16` and `BF16`, by their names as in the file, as `f32`.
    pub weights: Weights,
    /// The tensors of any other type.
    pub others: Vec<OtherTensor>,
    /// The file's `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

/// A tensor as the header of its file describes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TensorInfo {
    /// The name as in the file.
    pub name: String,
    /// The element type as in the file, e.g. `F32`.
    pub dtype: &'static str,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// The bytes of its elements.
    pub bytes: u64,
}

/// The tensors of the safetensors file at `path`, by their names, without reading their elements.
///
/// # Errors
/// As [`read_safetensors`].
pub fn list_safetensors(path: &Path) -> Result<Vec<TensorInfo>> {
    let mut tensors: Vec<TensorInfo> = open(path)?
        .places
        .into_iter()
        .map(|place| TensorInfo {
            name: place.name,
            dtype: place.dtype.name(),
            shape: place.shape,
            bytes: place.bytes,
        })
        .collect();
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tensors)
}

/// Reads the safetensors file at `path`; half precision widens to `f32` without loss.
///
/// # Errors
/// [`crate::Error::Safetensors`] when the file is not sound, [`crate::Error::Io`] when it cannot be read.
pub fn read_safetensors(path: &Path) -> Result<TensorFile> {
    let Opened { file, metadata, places } = open(path)?;
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, file);
    let mut read = TensorFile { metadata, ..TensorFile::default() };
    for place in places {
        if !place.dtype.is_weight() {
            reader.seek_relative(place.bytes as i64)?;
            let (name, dtype, shape) = (place.name, place.dtype.name(), place.shape);
            read.others.push(OtherTensor { name, dtype, shape });
            continue;
        }
        let data = read_elements(&mut reader, place.dtype, place.bytes as usize)?;
        read.weights.insert(place.name, HostTensor::new(place.shape, data));
    }
    Ok(read)
}

/// Writes `weights` to `path` atomically: `F32`, in the order of their names, `format` `pt`.
///
/// The metadata is what `transformers` asks for: a file whose `format` is another is refused by
/// its 4.x versions.
///
/// # Errors
/// When the file system refuses.
pub fn write_safetensors(path: &Path, weights: &Weights) -> Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), serde_json::json!({ "format": "pt" }));
    let mut end = 0;
    for (name, tensor) in &weights.tensors {
        let begin = end;
        end += tensor.data.len() * 4;
        let entry = serde_json::json!({
            "dtype": "F32", "shape": tensor.shape, "data_offsets": [begin, end],
        });
        header.insert(name.clone(), entry);
    }
    let mut header = serde_json::Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');

    let mut file = AtomicFile::create(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    let mut bytes = Vec::with_capacity(CHUNK_BYTES);
    for tensor in weights.tensors.values() {
        for chunk in tensor.data.chunks(CHUNK_BYTES / 4) {
            bytes.clear();
            bytes.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
            file.write_all(&bytes)?;
        }
    }
    file.commit()?;
    Ok(())
}

fn read_elements(reader: &mut impl Read, dtype: Dtype, bytes: usize) -> std::io::Result<Vec<f32>> {
    let size = dtype.bytes() as usize;
    let mut data = Vec::with_capacity(bytes / size);
    let mut buffer = vec![0_u8; CHUNK_BYTES.min(bytes)];
    let mut left = bytes;
    while left > 0 {
        let chunk = &mut buffer[..left.min(CHUNK_BYTES)];
        reader.read_exact(chunk)?;
        left -= chunk.len();
        match dtype.name() {
            "F32" => data.extend(
                chunk.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            ),
            "F16" => data.extend(
                chunk.chunks_exact(2).map(|b| f32_from_f16(u16::from_le_bytes([b[0], b[1]]))),
            ),
            _ => data.extend(
                chunk
                    .chunks_exact(2)
                    .map(|b| f32::from_bits(u32::from_le_bytes([0, 0, b[0], b[1]]))),
            ),
        }
    }
    Ok(data)
}

/// The `f32` of a half-precision number (IEEE 754 binary16), exactly.
fn f32_from_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half & 0x3ff);
    let magnitude = match exponent {
        0 => (fraction as f32 * (-24_f32).exp2()).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests;
