//! Bytes of a file to text: decompression by magic bytes, then the encoding.

use std::io::Read;
use std::path::Path;

use encoding_rs::{EUC_KR, Encoding, UTF_8};
use fs_err as fs;

use crate::Result;
use crate::encoding::tell;

/// Above this share of unreadable characters a file is refused.
const MAX_REPLACED_SHARE: f64 = 0.001;

/// A file's text.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The text, without byte order mark.
    pub text: String,
    /// The encoding's name; of one that is not read, what it seems to be.
    pub encoding: &'static str,
    /// Whether the compressed stream ended before its end.
    pub partial: bool,
    /// Characters that could not be read and are U+FFFD.
    pub replaced: u64,
    /// Whether too many could not be read, or the encoding is none that is read.
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
    let (text, encoding, replaced) = match decode(&bytes, label(encoding).flatten(), partial) {
        Ok((text, encoding, replaced)) => (text, encoding.name(), replaced),
        Err(encoding) => {
            let text = String::new();
            return Ok(Decoded { text, encoding, partial, replaced: 0, unreadable: true });
        }
    };
    let characters = text.chars().count().max(1);
    let unreadable = replaced as f64 > MAX_REPLACED_SHARE * characters as f64
        || text.as_bytes().iter().take(1 << 16).filter(|byte| **byte == 0).count() > 16;
    Ok(Decoded { text, encoding, partial, replaced, unreadable })
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

/// The text, its encoding, and how many characters could not be read.
type Text = (String, &'static Encoding, u64);

/// The text; the error is the name of an encoding that is not read.
fn decode(
    bytes: &[u8],
    encoding: Option<&'static Encoding>,
    partial: bool,
) -> Result<Text, &'static str> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return Ok(lossy(&bytes[length..], encoding));
    }
    if let Some(encoding) = encoding {
        return Ok(lossy(bytes, encoding));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok((text.to_owned(), UTF_8, 0)),
        // The end of a cut stream may cut a character.
        Err(error) if partial && bytes.len() - error.valid_up_to() < 4 => {
            Ok(lossy(&bytes[..error.valid_up_to()], UTF_8))
        }
        _ => tell(bytes, !partial).map(|encoding| lossy(bytes, encoding)),
    }
}

fn lossy(bytes: &[u8], encoding: &'static Encoding) -> Text {
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

    use encoding_rs::{SHIFT_JIS, WINDOWS_1252};

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
        check(&marked[2..], "auto", text, "UTF-16LE");
        check("\u{FEFF}열 name".as_bytes(), "auto", "열 name", "UTF-8");
        let degrees = "The fever reached 38.5 °C and fell to 37 °C – “no acute finding”, café.\n";
        let degrees = degrees.repeat(9);
        check(&WINDOWS_1252.encode(&degrees).0, "auto", &degrees, "windows-1252");
    }

    #[test]
    fn other_encodings_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let text = "患者は胸痛で来院した。肺炎の所見があり、抗生剤を投与した。";
        fs::write(&path, SHIFT_JIS.encode(text).0).unwrap();
        let decoded = read_text(&path, "auto").unwrap();
        assert_eq!((decoded.encoding, decoded.unreadable), ("Shift_JIS", true));
        check(&SHIFT_JIS.encode(text).0, "shift_jis", text, "Shift_JIS");
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
