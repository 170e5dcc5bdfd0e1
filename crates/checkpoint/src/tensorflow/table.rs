//! The table of keys and values that a TensorFlow checkpoint's index is, in LevelDB's format.
//!
//! Owns blocks, their checksums and their compression. It knows nothing of what the values mean.
//!
//! Invariant: keys come strictly ascending; what is taken in memory is bounded by the file's length
//! and [`MAX_BLOCK_BYTES`].
//!
//! Source: `doc/table_format.md` of LevelDB; `tensorflow/core/lib/io/format.cc` of TensorFlow 1.15.

use super::TensorflowFault as Fault;
use super::varint::Bytes;

type Result<T> = std::result::Result<T, Fault>;

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const FOOTER_BYTES: usize = 48;
/// The compression's number and the checksum.
const TRAILER_BYTES: usize = 5;
/// The longest block, unpacked.
const MAX_BLOCK_BYTES: usize = 64 << 20;

/// Where a block lies.
#[derive(Debug, Clone, Copy)]
struct Handle {
    begin: u64,
    bytes: u64,
}

/// Every key and value of the table in `file`, in order.
pub(super) fn entries(file: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let Some((_, footer)) = file.split_last_chunk::<FOOTER_BYTES>() else {
        return Err(Fault::NotAnIndex);
    };
    let mut footer = Bytes(footer);
    let _meta = handle(&mut footer)?;
    let index = handle(&mut footer)?;
    let magic = &file[file.len() - 8..];
    if magic != MAGIC.to_le_bytes() {
        return Err(Fault::NotAnIndex);
    }
    let mut all: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut unpacked = 0;
    for (_, place) in parse(&block(file, index)?)? {
        let data = block(file, handle(&mut Bytes(&place))?)?;
        unpacked += data.len();
        if unpacked > MAX_BLOCK_BYTES {
            return Err(Fault::BlockTooLong);
        }
        for entry in parse(&data)? {
            if all.last().is_some_and(|last| last.0 >= entry.0) {
                return Err(Fault::Order);
            }
            all.push(entry);
        }
    }
    Ok(all)
}

fn handle(bytes: &mut Bytes<'_>) -> Result<Handle> {
    let (begin, bytes) = (bytes.varint()?, bytes.varint()?);
    Ok(Handle { begin, bytes })
}

/// A block without its trailer, checked and unpacked.
fn block(file: &[u8], Handle { begin, bytes }: Handle) -> Result<Vec<u8>> {
    let end = begin.checked_add(bytes).and_then(|end| end.checked_add(TRAILER_BYTES as u64));
    let Some(end) = end.filter(|end| *end <= file.len() as u64) else {
        return Err(Fault::BlockOutside { begin });
    };
    let (body, checksum) = file[begin as usize..end as usize].split_at(bytes as usize + 1);
    let found = masked_crc32c(crc32c::crc32c(body));
    if checksum != found.to_le_bytes() {
        return Err(Fault::BlockChecksum { begin });
    }
    let (&compression, body) = body.split_last().ok_or(Fault::NotAnIndex)?;
    match compression {
        0 => Ok(body.to_vec()),
        1 => {
            let broken = |_| Fault::Snappy { begin };
            if snap::raw::decompress_len(body).map_err(broken)? > MAX_BLOCK_BYTES {
                return Err(Fault::BlockTooLong);
            }
            snap::raw::Decoder::new().decompress_vec(body).map_err(broken)
        }
        found => Err(Fault::Compression { found }),
    }
}

/// The entries of a block, each key written as what it adds to the one before.
fn parse(block: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let (rest, restarts) = block.split_last_chunk::<4>().ok_or(Fault::Block)?;
    let restarts = (u32::from_le_bytes(*restarts) as usize).checked_mul(4);
    let length = restarts.and_then(|restarts| rest.len().checked_sub(restarts));
    let mut bytes = Bytes(&rest[..length.ok_or(Fault::Block)?]);
    let mut entries = Vec::new();
    let mut key: Vec<u8> = Vec::new();
    let mut spent = 0;
    while !bytes.0.is_empty() {
        let (shared, added, value) = (bytes.varint()?, bytes.varint()?, bytes.varint()?);
        if shared > key.len() as u64 {
            return Err(Fault::Block);
        }
        key.truncate(shared as usize);
        key.extend_from_slice(bytes.take(added)?);
        // Shared beginnings unpack to more than the block holds.
        spent += key.len();
        if spent > MAX_BLOCK_BYTES {
            return Err(Fault::BlockTooLong);
        }
        entries.push((key.clone(), bytes.take(value)?.to_vec()));
    }
    Ok(entries)
}

/// A checksum as the format stores it, so that a checksum of checksums is no trap.
pub(super) fn masked_crc32c(crc32c: u32) -> u32 {
    crc32c.rotate_right(15).wrapping_add(0xa282_ead8)
}
