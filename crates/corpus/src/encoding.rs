//! Which encoding a text without a mark is in: UTF-8, UTF-16, cp949, windows-1252, or none that is
//! read.
//!
//! A wrong guess shows no error: nearly all bytes are Korean in cp949, and all are Latin in
//! windows-1252 (`37 °C` of the one is `37 캜` of the other). So the text must be what two guesses
//! say, one without a prejudice and one for Korean; where they differ, the file is refused.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{EUC_KR, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes by which an encoding is told, from the first one on that is not ASCII.
pub(crate) const SAMPLE_BYTES: usize = 256 << 10;
/// What is said of an encoding about which the guesses differ.
const UNKNOWN: &str = "unknown";
/// With a larger share of bytes in lines that are not Korean, a text is not Korean with faults.
const MAX_FAULTY_SHARE: f64 = 0.02;
/// In UTF-16, at least this share of characters is ASCII: spaces and ends of lines, if no more.
const MIN_ASCII_SHARE: f64 = 0.02;

/// The encoding of the text that begins with `bytes`; the error is the name of one that is not read.
/// `is_end` says that there is no more of the text.
pub(crate) fn tell(bytes: &[u8], is_end: bool) -> Result<&'static Encoding, &'static str> {
    if let Some(encoding) = utf16(bytes) {
        return Ok(encoding);
    }
    let Some(first) = bytes.iter().position(|byte| !byte.is_ascii()) else { return Ok(UTF_8) };
    let end = bytes.len().min(first + SAMPLE_BYTES);
    let (sample, is_end) = (&bytes[first..end], is_end && end == bytes.len());
    if is_utf8(sample, is_end) {
        return Ok(UTF_8);
    }
    let lines = korean_lines(sample);
    let faulty = (sample.len() - lines.len()) as f64;
    let is_nearly_korean = faulty <= MAX_FAULTY_SHARE * sample.len() as f64;
    let sample = if is_nearly_korean { lines.as_slice() } else { sample };
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, is_end);
    let guess = |domain| detector.guess(domain, Utf8Detection::Deny);
    let (plain, korean) = (guess(None), guess(Some(b"kr".as_slice())));
    match plain == korean {
        true if plain == EUC_KR || plain == WINDOWS_1252 => Ok(plain),
        true => Err(plain.name()),
        false => Err(UNKNOWN),
    }
}

/// UTF-16 without a mark: of each ASCII character one byte is NUL, and always the same one. The
/// other is of a few Korean characters, `가` and `였` among them.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(4096) & !1];
    let nuls = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (nuls(0), nuls(1));
    let (encoding, ascii, others) =
        if even < odd { (UTF_16LE, odd, even) } else { (UTF_16BE, even, odd) };
    let characters = head.len() / 2;
    if ascii <= 2 * others || (ascii as f64) < MIN_ASCII_SHARE * characters as f64 {
        return None;
    }
    let text = encoding.decode_without_bom_handling(head).0;
    // The head may end within a pair.
    let is_text = |at: char| !at.is_control() || at.is_ascii_whitespace();
    let is_whole = !text.trim_end_matches(char::REPLACEMENT_CHARACTER).contains('\u{FFFD}');
    (is_whole && text.chars().all(is_text)).then_some(encoding)
}

/// Whether the text is UTF-8, be it with a fault here and there.
fn is_utf8(sample: &[u8], is_end: bool) -> bool {
    match std::str::from_utf8(sample) {
        Ok(_) => return true,
        Err(error) if error.error_len().is_none() && !is_end => return true,
        Err(_) => {}
    }
    let text = String::from_utf8_lossy(sample);
    let faults = text.matches(char::REPLACEMENT_CHARACTER).count();
    let others = text.chars().filter(|character| !character.is_ascii()).count() - faults;
    // Bytes of other encodings are hardly ever UTF-8 by chance.
    others > faults
}

/// The lines that are cp949 without a fault; the last, which may be cut, is left out where it is not.
fn korean_lines(sample: &[u8]) -> Vec<u8> {
    let is_korean = |line: &&[u8]| !EUC_KR.decode_without_bom_handling(line).1;
    sample.split_inclusive(|byte| *byte == b'\n').filter(is_korean).flatten().copied().collect()
}

#[cfg(test)]
mod tests;
