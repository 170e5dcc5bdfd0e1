//! Element types, and their way into `f32`.
//!
//! Owns the one list of types, by the names of safetensors, which every reader uses.

use std::io::{self, Read};

/// Bytes converted at a time.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// An element type: its name and its size in bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dtype(&'static (&'static str, u64));

const DTYPES: &[(&str, u64)] = &[
    ("F32", 32),
    ("F16", 16),
    ("BF16", 16),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
    ("I32", 32),
    ("U32", 32),
    ("I16", 16),
    ("U16", 16),
    ("I8", 8),
    ("U8", 8),
    ("BOOL", 8),
    ("F8_E4M3", 8),
    ("F8_E5M2", 8),
    ("F8_E8M0", 8),
    ("C64", 64),
];

impl Dtype {
    /// The type that safetensors calls `name`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        DTYPES.iter().find(|dtype| dtype.0 == name).map(Self)
    }

    pub(crate) fn name(self) -> &'static str {
        self.0.0
    }

    pub(crate) fn bytes(self) -> u64 {
        self.0.1 / 8
    }
}

/// Whether a tensor of this type can be a model's: one that widens to `f32` without loss.
pub(crate) fn is_weight(dtype: &str) -> bool {
    matches!(dtype, "F32" | "F16" | "BF16")
}

/// Reads `bytes` bytes of little-endian elements as `f32`; `see` is shown every byte in order.
///
/// The extent must be known to lie inside the file, for that much is allocated at once. What is `f32`
/// in the file is read to where it stays: no second copy is made of it.
pub(crate) fn read_elements(
    reader: &mut impl Read,
    dtype: Dtype,
    bytes: u64,
    mut see: impl FnMut(&[u8]),
) -> io::Result<Vec<f32>> {
    let mut data = vec![0.0_f32; (bytes / dtype.bytes()) as usize];
    let mut read = |bytes: &mut [u8]| reader.read_exact(bytes).map(|()| see(bytes));
    if dtype.name() == "F32" {
        for chunk in data.chunks_mut(CHUNK_BYTES / 4) {
            read(bytemuck::cast_slice_mut(chunk))?;
            chunk.iter_mut().for_each(|value| *value = from_le(*value));
        }
        return Ok(data);
    }
    let widen = if dtype.name() == "F16" { f32_from_f16 } else { f32_from_bf16 };
    let mut halves = vec![0_u16; data.len().min(CHUNK_BYTES / 2)];
    for chunk in data.chunks_mut(CHUNK_BYTES / 2) {
        let halves = &mut halves[..chunk.len()];
        read(bytemuck::cast_slice_mut(halves))?;
        chunk.iter_mut().zip(halves).for_each(|(value, half)| *value = widen(u16::from_le(*half)));
    }
    Ok(data)
}

/// A number whose bytes were read as they lie in a little-endian file.
fn from_le(raw: f32) -> f32 {
    f32::from_bits(u32::from_le(raw.to_bits()))
}

/// The `f32` of a `bfloat16`, exactly: its upper half.
fn f32_from_bf16(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
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
mod tests {
    use super::*;

    #[test]
    fn every_half_is_the_number_that_the_standard_defines() {
        for half in 0..=u16::MAX {
            let (exponent, fraction) = (i32::from(half >> 10 & 0x1f), f64::from(half & 0x3ff));
            let sign = if half & 0x8000 == 0 { 1.0 } else { -1.0 };
            let found = f64::from(f32_from_f16(half));
            let expected = match exponent {
                0 => sign * fraction * 2_f64.powi(-24),
                31 if fraction == 0.0 => sign * f64::INFINITY,
                31 => {
                    assert!(found.is_nan(), "{half:#x}");
                    continue;
                }
                _ => sign * (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
            };
            assert_eq!(found.to_bits(), expected.to_bits(), "{half:#x}");
        }
    }
}
