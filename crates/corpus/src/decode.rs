//! Bytes of a file to text: decompression by magic bytes, then the encoding.

use std::io::Read;
use std::path::Path;

use encoding_rs::{EUC_KR, Encoding, UTF_8};
use fs_err as fs;

use crate::Result;

/// Above this share of unreadable characters a file is refused.
const MAX_REPLACED_SHARE: f64 = 0.001;

/// A file's text.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The text, without byte order mark.
    pub text: String,
    /// The encoding's name.
    pub encoding: &'static str,
    /// Whether the compressed stream ended before its end.
    pub partial: bool,
    /// Characters that could not be read and are U+FFFD.
    pub replaced: u64,
    /// Whether too many could not be read.
    pub unreadable: bool,
}

/// How `encoding` of a source is read: `Some(None)` is automatic, `None` is unknown.
pub(crate) fn label(encoding: &str) -> Option<Option<&'static Encoding>> {
    match encoding.to_ascii_lowercase().as_str() {
        "auto" => Some(None),
        // The Encoding Standard's EUC-KR is windows-949, which holds every modern syllable.
        "cp949" | "uhc" | "ms949" => Some(Some(EUC_KR)),
        other => Encoding::for_label(other.as_bytes()).map(Some),
    }
}

/// Reads, decompresses and decodes `path`.
pub(crate) fn read_text(path: &Path, encoding: &str) -> Result<Decoded> {
    let (bytes, partial) = decompress(path, fs::read(path)?)?;
    let (text, used, replaced) = decode(&bytes, label(encoding).flatten(), partial);
    let characters = text.chars().count().max(1);
    let unreadable = replaced as f64 > MAX_REPLACED_SHARE * characters as f64
        || text.as_bytes().iter().take(1 << 16).filter(|byte| **byte == 0).count() > 16;
    Ok(Decoded { text, encoding: used.name(), partial, replaced, unreadable })
}

/// The content, and whether it ends early. What was read before a fault is kept.
fn decompress(path: &Path, bytes: Vec<u8>) -> Result<(Vec<u8>, bool)> {
    let mut out = Vec::new();
    let ended = if bytes.starts_with(&[0x1F, 0x8B]) {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut out)
    } else if bytes.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
        zstd::Decoder::new(bytes.as_slice())
            .map_err(|error| std::io::Error::new(error.kind(), format!("{}", path.display())))?
            .read_to_end(&mut out)
    } else {
        return Ok((bytes, false));
    };
    Ok((out, ended.is_err()))
}

fn decode(
    bytes: &[u8],
    encoding: Option<&'static Encoding>,
    partial: bool,
) -> (String, &'static Encoding, u64) {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return lossy(&bytes[length..], encoding);
    }
    if let Some(encoding) = encoding {
        return lossy(bytes, encoding);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => return (text.to_owned(), UTF_8, 0),
        // The end of a cut stream may cut a character.
        Err(error) if partial && bytes.len() - error.valid_up_to() < 4 => {
            return lossy(&bytes[..error.valid_up_to()], UTF_8);
        }
        Err(_) => {}
    }
    let korean = lossy(bytes, EUC_KR);
    if korean.2 == 0 {
        return korean;
    }
    let unicode = lossy(bytes, UTF_8);
    if unicode.2 <= korean.2 { unicode } else { korean }
}

fn lossy(bytes: &[u8], encoding: &'static Encoding) -> (String, &'static Encoding, u64) {
    let (text, had_errors) = encoding.decode_without_bom_handling(bytes);
    let replaced = if had_errors {
        text.chars().filter(|character| *character == char::REPLACEMENT_CHARACTER).count()
    } else {
        0
    };
    (text.into_owned(), encoding, replaced as u64)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn check(bytes: &[u8], encoding: &str, expected: &str, name: &str) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, bytes).unwrap();
        let decoded = read_text(&path, encoding).unwrap();
        assert_eq!((decoded.text.as_str(), decoded.encoding), (expected, name));
        assert!(!decoded.unreadable && !decoded.partial);
    }

    #[test]
    fn encodings_are_told_apart() {
        let text = "폐렴 CT상 똠방각하, 펲시";
        check(text.as_bytes(), "auto", text, "UTF-8");
        check(&EUC_KR.encode(text).0, "auto", text, "EUC-KR");
        check(&EUC_KR.encode(text).0, "cp949", text, "EUC-KR");
        let mut marked = vec![0xFF, 0xFE];
        marked.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        check(&marked, "auto", text, "UTF-16LE");
        check("\u{FEFF}열 name".as_bytes(), "auto", "열 name", "UTF-8");
    }

    #[test]
    fn compressed_files_are_read_by_their_magic_bytes() {
        let text = "흉부 CT\n".repeat(50);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        let mut twice = gz.finish().unwrap();
        twice.extend(twice.clone());
        check(&twice, "auto", &text.repeat(2), "UTF-8");
        check(&zstd::encode_all(text.as_bytes(), 3).unwrap(), "auto", &text, "UTF-8");
    }

    #[test]
    fn a_cut_stream_keeps_what_was_read() {
        let text: String =
            (0..20_000).map(|number| format!("환자 {} CT\n", number * 7919)).collect();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text.as_bytes()).unwrap();
        let bytes = gz.finish().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.gz");
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let decoded = read_text(&path, "auto").unwrap();
        assert!(decoded.partial && !decoded.unreadable);
        assert!(decoded.text.len() > 1000 && text.starts_with(&decoded.text));
    }

    #[test]
    fn binary_files_are_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, (0..4000u32).map(|n| (n * 37 % 251) as u8).collect::<Vec<_>>()).unwrap();
        assert!(read_text(&path, "auto").unwrap().unreadable);
    }
}
