//! The header of a safetensors file: what is in it and where.
//!
//! Owns the checks that make a place in the file safe to read. Reads no element.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use fs_err as fs;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::SafetensorsFault as Fault;
use crate::elements::Dtype;
use crate::error::clipped;
use crate::{Error, Result};

/// The longest header that is read, in bytes; as the reference implementation's.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// The longest tensor name that is read, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 1024;

/// A file whose header was read and found sound.
#[derive(Debug)]
pub(super) struct Opened {
    /// After the header.
    pub(super) file: fs::File,
    /// `__metadata__`.
    pub(super) metadata: BTreeMap<String, String>,
    /// The tensors in the order of the file, without a gap.
    pub(super) places: Vec<Place>,
}

/// Reads the header of the file at `path`.
pub(super) fn open(path: &Path) -> Result<Opened> {
    let wrap = |fault| Error::Safetensors { path: path.to_path_buf(), fault };
    let mut file = fs::File::open(path)?;
    let file_bytes = file.metadata()?.len();
    let mut length = [0_u8; 8];
    if file_bytes < 8 {
        return Err(wrap(Fault::TooShort { found: file_bytes }));
    }
    file.read_exact(&mut length)?;
    let header_bytes = u64::from_le_bytes(length);
    let most = (file_bytes - 8).min(MAX_HEADER_BYTES);
    if header_bytes > most {
        return Err(wrap(Fault::HeaderTooLong { found: header_bytes, expected: most }));
    }
    let mut header = vec![0_u8; header_bytes as usize];
    file.read_exact(&mut header)?;
    let header = parse_header(&header).map_err(wrap)?;
    let data_start = 8 + header_bytes;
    let data_bytes = file_bytes - data_start;
    let places = check_places(header.entries, data_start, data_bytes).map_err(wrap)?;
    Ok(Opened { file, metadata: header.metadata, places })
}

#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header, with repeated keys kept so that they can be refused.
#[derive(Debug, Default)]
struct Header {
    metadata: BTreeMap<String, String>,
    entries: Vec<(String, Entry)>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = Header;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a safetensors header")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.metadata = map.next_value()?;
                    } else {
                        header.entries.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(HeaderVisitor)
    }
}

fn parse_header(bytes: &[u8]) -> Result<Header, Fault> {
    serde_json::from_slice(bytes)
        .map_err(|error| Fault::Header { line: error.line(), column: error.column() })
}

/// A tensor whose extent is known to be sound.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Where it begins in the file.
    pub(super) begin: u64,
    pub(super) bytes: u64,
}

/// Sorts the tensors by place and checks that they fill the data exactly.
fn check_places(
    mut entries: Vec<(String, Entry)>,
    data_start: u64,
    data_bytes: u64,
) -> Result<Vec<Place>, Fault> {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Fault::DuplicateName { name: clipped(&pair[0].0) });
    }
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut expected = 0;
    let mut places = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        if name.len() > MAX_NAME_BYTES {
            return Err(Fault::NameTooLong { found: name.len() });
        }
        let (begin, end) = entry.data_offsets;
        if begin != expected {
            return Err(Fault::Place { name: clipped(&name), found: begin, expected });
        }
        let Some(dtype) = Dtype::parse(&entry.dtype) else {
            return Err(Fault::UnknownType { name: clipped(&name) });
        };
        let size = entry.shape.iter().try_fold(dtype.bytes(), |size, &axis| size.checked_mul(axis));
        let extent = end.checked_sub(begin);
        let (Some(bytes), true) = (extent, extent == size) else {
            let shown = |bytes: Option<u64>, otherwise: &str| {
                bytes.map_or_else(|| otherwise.to_owned(), |bytes| bytes.to_string())
            };
            return Err(Fault::Extent {
                name: clipped(&name),
                found: shown(extent, "less than 0"),
                expected: shown(size, "more than 2^64"),
            });
        };
        if end > data_bytes {
            return Err(Fault::Truncated { found: data_bytes, expected: end });
        }
        expected = end;
        let shape = entry.shape.iter().map(|&axis| axis as usize).collect();
        places.push(Place { name, dtype, shape, begin: data_start + begin, bytes });
    }
    if expected != data_bytes {
        return Err(Fault::Trailing { found: data_bytes, expected });
    }
    Ok(places)
}
