//! Numbers of 7 bits a byte, and the fields of a protocol buffer.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>

use super::TensorflowFault as Fault;

type Result<T> = std::result::Result<T, Fault>;

/// Bytes that are yet to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Bytes<'a> {
    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or(Fault::Proto)?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Fault::Proto)
    }

    pub(super) fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let count = usize::try_from(count).map_err(|_| Fault::Proto)?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Fault::Proto)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next field of a message: its number and value; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u64, Field<'a>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Bytes(self.take(8)?),
            2 => {
                let count = self.varint()?;
                Field::Bytes(self.take(count)?)
            }
            5 => {
                let bytes = self.take(4)?;
                let bytes = bytes.try_into().map_err(|_| Fault::Proto)?;
                Field::Fixed32(u32::from_le_bytes(bytes))
            }
            _ => return Err(Fault::Proto),
        };
        Ok(Some((tag >> 3, value)))
    }
}
