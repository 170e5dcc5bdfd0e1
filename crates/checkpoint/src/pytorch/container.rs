//! The two containers of `torch.save`: where the pickle is, and where each storage.
//!
//! Owns offsets and checks. Invariant: a storage that is given lies inside the file and has the size
//! that the pickle says.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use fs_err as fs;
use rawzip::{CompressionMethod, ZipArchive};

use super::PytorchFault as Fault;
use super::objects::{Heap, Storage, Value};
use super::pickle::{self, MAX_PICKLE_BYTES};
use crate::error::clipped;

type Result<T> = std::result::Result<T, Fault>;

/// Where a storage lies in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) begin: u64,
    pub(super) bytes: u64,
    /// Of all its bytes, where the container has one.
    pub(super) crc32: Option<u32>,
}

/// The first pickle of a legacy file, `0x1950a86a20f9469cfc6c`, in protocol 2.
const LEGACY_MAGIC: &[u8] =
    &[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
/// The second one.
const LEGACY_PROTOCOL: i64 = 1001;

/// A file's object, and where its storages are, by key.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) root: Value,
    pub(super) heap: Heap,
    pub(super) places: BTreeMap<String, Place>,
}

/// Reads the pickle of `file`, and finds its storages.
pub(super) fn open(file: &fs::File) -> Result<Contents> {
    let mut start = Vec::new();
    let mut reader = BufReader::new(file);
    reader.by_ref().take(LEGACY_MAGIC.len() as u64).read_to_end(&mut start).map_err(Fault::read)?;
    reader.rewind().map_err(Fault::read)?;
    match start.as_slice() {
        start if start.starts_with(b"PK\x03\x04") => zip(reader),
        start if start == LEGACY_MAGIC => legacy(reader),
        _ => Err(Fault::NotPytorch),
    }
}

fn zip(reader: BufReader<&fs::File>) -> Result<Contents> {
    let file: &fs::File = reader.get_ref();
    let entries = entries(reader, file.metadata().map_err(Fault::read)?.len())?;
    let mut pickles = entries.keys().filter_map(|name| name.strip_suffix("data.pkl"));
    let (Some(folder), None) = (pickles.next(), pickles.next()) else {
        return Err(Fault::NoPickle);
    };
    let order = entries.get(&format!("{folder}byteorder"));
    let order = order.map(|place| read_entry(file, "byteorder", *place)).transpose()?;
    if order.is_some_and(|order| order.trim_ascii() != b"little") {
        return Err(Fault::BigEndian);
    }
    let pickled = read_entry(file, "data.pkl", entries[&format!("{folder}data.pkl")])?;
    let mut heap = Heap::default();
    let root = pickle::read(&mut pickled.as_slice(), &mut heap)?;
    let mut places = BTreeMap::new();
    for storage in &heap.storages {
        let key = heap.key(storage);
        match entries.get(&format!("{folder}data/{key}")) {
            Some(place) => places.insert(key.to_owned(), *place),
            None => return Err(Fault::NoStorage { key: clipped(key) }),
        };
    }
    Ok(Contents { root, heap, places })
}

/// Every entry of a zip archive, each stored as it is.
fn entries(reader: BufReader<&fs::File>, file_bytes: u64) -> Result<BTreeMap<String, Place>> {
    let broken = |error: rawzip::Error| Fault::Zip { reason: clipped(&error.to_string()) };
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_seekable(reader, &mut buffer).map_err(broken)?;
    let mut listed = archive.entries(&mut buffer);
    let mut entries = BTreeMap::new();
    while let Some(entry) = listed.next_entry().map_err(broken)? {
        let name = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        let bytes = entry.uncompressed_size_hint();
        let is_stored = entry.compression_method() == CompressionMethod::STORE;
        if !is_stored || entry.flags().is_encrypted() || entry.compressed_size_hint() != bytes {
            return Err(Fault::Compressed { entry: clipped(&name) });
        }
        // PyTorch writes 0 where it was told to compute none.
        let crc32 = Some(entry.crc32()).filter(|&crc32| crc32 != 0);
        let (begin, end) =
            archive.get_entry(entry.wayfinder()).map_err(broken)?.compressed_data_range();
        if end > file_bytes || end.checked_sub(begin) != Some(bytes) {
            return Err(Fault::EntryOutside { entry: clipped(&name) });
        }
        if entries.insert(name.clone(), Place { begin, bytes, crc32 }).is_some() {
            return Err(Fault::DuplicateName { name: clipped(&name) });
        }
    }
    Ok(entries)
}

/// A short entry, whole.
fn read_entry(mut file: &fs::File, name: &str, place: Place) -> Result<Vec<u8>> {
    if place.bytes > MAX_PICKLE_BYTES {
        return Err(Fault::PickleTooLong);
    }
    let mut bytes = vec![0; place.bytes as usize];
    file.seek(SeekFrom::Start(place.begin)).map_err(Fault::read)?;
    file.read_exact(&mut bytes).map_err(Fault::read)?;
    if place.crc32.is_some_and(|expected| expected != crc32fast::hash(&bytes)) {
        return Err(Fault::Checksum { of: name.to_owned() });
    }
    Ok(bytes)
}

fn legacy(mut reader: BufReader<&fs::File>) -> Result<Contents> {
    let file_bytes = reader.get_ref().metadata().map_err(Fault::read)?.len();
    let mut heap = Heap::default();
    pickle::read(&mut reader, &mut heap)?;
    if pickle::read(&mut reader, &mut heap)? != Value::Int(LEGACY_PROTOCOL) {
        return Err(Fault::NotPytorch);
    }
    let system = pickle::read(&mut reader, &mut heap)?;
    if !is_little_endian(system, &heap) {
        return Err(Fault::BigEndian);
    }
    let root = pickle::read(&mut reader, &mut heap)?;
    let Value::List(keys) = pickle::read(&mut reader, &mut heap)? else {
        return Err(Fault::NotPytorch);
    };
    let declared: BTreeMap<&str, &Storage> =
        heap.storages.iter().map(|storage| (heap.key(storage), storage)).collect();
    let mut places = BTreeMap::new();
    let mut begin = reader.stream_position().map_err(Fault::read)?;
    for key in &heap.items[keys] {
        let Value::Text(key) = key else { return Err(Fault::NotPytorch) };
        let key = &heap.texts[*key];
        let Some(storage) = declared.get(&**key) else {
            return Err(Fault::NoStorage { key: clipped(key) });
        };
        let mut count = [0; 8];
        reader.seek(SeekFrom::Start(begin)).map_err(Fault::read)?;
        reader.read_exact(&mut count).map_err(Fault::read)?;
        let found = u64::from_le_bytes(count);
        let expected = storage.num_elements;
        if found != expected {
            return Err(Fault::StorageSize { key: clipped(key), found, expected });
        }
        begin += 8;
        let bytes = expected.checked_mul(storage.dtype.bytes());
        let end = bytes.and_then(|bytes| begin.checked_add(bytes));
        let (Some(bytes), Some(end)) = (bytes, end.filter(|end| *end <= file_bytes)) else {
            return Err(Fault::Truncated);
        };
        if places.insert(key.clone(), Place { begin, bytes, crc32: None }).is_some() {
            return Err(Fault::DuplicateName { name: clipped(key) });
        }
        begin = end;
    }
    Ok(Contents { root, heap, places })
}

fn is_little_endian(system: Value, heap: &Heap) -> bool {
    let Value::Dict(entries) = system else { return false };
    heap.dicts[entries].iter().any(|(key, value)| {
        matches!(key, Value::Text(key) if heap.texts[*key] == "little_endian")
            && *value == Value::Bool(true)
    })
}
