//! What is known of a document beside its text: fixed in size, so that it is read by place.

use bimed_text::ScriptCounts;

/// The bytes of [`Keys`] in a unit.
pub(crate) const KEYS_BYTES: usize = 96;
/// The bytes of a [`Segment`] in a unit.
pub(crate) const SEGMENT_BYTES: usize = 16;
/// The bytes of a [`WithdrawnKey`] in a unit.
pub(crate) const WITHDRAWN_BYTES: usize = 16;

/// What is said of a document in one bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It holds a sentence of an evaluation file.
    Contaminated = 1,
    /// It is in validation.
    Valid = 2,
    /// Its time was there and could not be read.
    TimeUnknown = 4,
}

/// A document's keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The hash of its group (patient, book or file).
    pub group: u64,
    /// The hash of its identifier, or of its place where it has none.
    pub identity: u64,
    /// What it is drawn by.
    pub draw: u64,
    /// Its time as digits, `YYYYMMDDhhmmss`; 0 without one.
    pub time: u64,
    /// The frame that holds its line, the line's first byte in the frame, and its bytes.
    pub frame: u32,
    pub line_begin: u32,
    pub line_bytes: u32,
    /// Its text's bytes, characters and words.
    pub bytes: u32,
    pub chars: u32,
    pub words: u32,
    /// The first of its segments in the unit, and how many.
    pub segment: u32,
    pub segments: u32,
    /// Its characters by script: Hangul, Latin, digits, signs, other letters.
    pub scripts: [u32; 5],
    /// The record in its file; of more than 2^32 the lower half.
    pub record: u32,
    /// Its language's place in [`bimed_text`]'s tags.
    pub language: u8,
    /// [`Mark`]s.
    pub marks: u8,
}

impl Keys {
    pub(crate) fn has(&self, mark: Mark) -> bool {
        self.marks & mark as u8 != 0
    }

    /// The counts of its characters, without white space.
    pub(crate) fn script_counts(&self) -> ScriptCounts {
        let [hangul, latin, digit, symbol, other] = self.scripts.map(u64::from);
        ScriptCounts { hangul, latin, digit, symbol, other, ..ScriptCounts::default() }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        for value in [self.group, self.identity, self.draw, self.time] {
            out.extend(value.to_le_bytes());
        }
        for value in [
            self.frame,
            self.line_begin,
            self.line_bytes,
            self.bytes,
            self.chars,
            self.words,
            self.segment,
            self.segments,
        ]
        .into_iter()
        .chain(self.scripts)
        {
            out.extend(value.to_le_bytes());
        }
        out.extend([self.language, self.marks, 0, 0]);
        out.extend(self.record.to_le_bytes());
        out.resize(begin + KEYS_BYTES, 0);
    }

    /// The keys in a row of [`KEYS_BYTES`].
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let long = |at: usize| number::<8>(bytes, at * 8);
        let short = |at: usize| number::<4>(bytes, 32 + at * 4) as u32;
        Self {
            group: long(0),
            identity: long(1),
            draw: long(2),
            time: long(3),
            frame: short(0),
            line_begin: short(1),
            line_bytes: short(2),
            bytes: short(3),
            chars: short(4),
            words: short(5),
            segment: short(6),
            segments: short(7),
            scripts: std::array::from_fn(|script| short(8 + script)),
            language: bytes[84],
            marks: bytes[85],
            record: short(14),
        }
    }
}

/// A sentence of a document, for what a later note repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The hash of its text without white space at the ends.
    pub hash: u64,
    /// Its characters.
    pub chars: u32,
    /// Its words.
    pub words: u16,
    /// Line ends in it.
    pub lines: u16,
}

impl Segment {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.hash.to_le_bytes());
        out.extend(self.chars.to_le_bytes());
        out.extend(self.words.to_le_bytes());
        out.extend(self.lines.to_le_bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Self {
        Self {
            hash: number::<8>(bytes, 0),
            chars: number::<4>(bytes, 8) as u32,
            words: number::<2>(bytes, 12) as u16,
            lines: number::<2>(bytes, 14) as u16,
        }
    }
}

/// Whose a record without a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WithdrawnKey {
    /// The hash of its group.
    pub group: u64,
    /// The hash of its identifier.
    pub identity: u64,
}

impl WithdrawnKey {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.group.to_le_bytes());
        out.extend(self.identity.to_le_bytes());
    }

    pub(super) fn read(bytes: &[u8]) -> Self {
        Self { group: number::<8>(bytes, 0), identity: number::<8>(bytes, 8) }
    }
}

/// The little-endian number of `N` bytes at `at`.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_segments_are_read_as_they_were_written() {
        let keys = Keys {
            group: u64::MAX,
            identity: 2,
            draw: 3,
            time: 20_261_231_235_959,
            frame: 5,
            line_begin: 6,
            line_bytes: 7,
            bytes: 8,
            chars: 9,
            words: u32::MAX,
            segment: 11,
            segments: 12,
            scripts: [13, 14, 15, 16, 17],
            record: 18,
            language: 3,
            marks: Mark::Contaminated as u8 | Mark::TimeUnknown as u8,
        };
        let mut bytes = Vec::new();
        keys.write(&mut bytes);
        assert_eq!((bytes.len(), Keys::read(&bytes)), (KEYS_BYTES, keys));
        assert!(keys.has(Mark::Contaminated) && !keys.has(Mark::Valid));
        let segment = Segment { hash: 1 << 60, chars: 200, words: 30, lines: 2 };
        bytes.clear();
        segment.write(&mut bytes);
        assert_eq!((bytes.len(), Segment::read(&bytes)), (SEGMENT_BYTES, segment));
    }
}
