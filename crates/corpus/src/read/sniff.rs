//! What a file is, by its first bytes and by what its container holds; its name is not asked.

/// The kinds of files that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "documents"),
    expect(dead_code, reason = "without their readers, containers are not told apart")
)]
pub(crate) enum Kind {
    /// PDF.
    Pdf,
    /// Hangul 5 (an OLE container).
    Hwp,
    /// Hangul in XML (a ZIP container).
    Hwpx,
    /// Word in XML.
    Docx,
    /// Excel in XML.
    Xlsx,
    /// A book in HTML.
    Epub,
    /// Parquet.
    Parquet,
    /// Office documents under a password.
    Encrypted,
    /// What is known and not read, by name.
    Refused(&'static str),
    /// No known mark: text, or nothing that is read.
    Text,
}

/// How an OLE container begins.
pub(super) const OLE: &[u8] = &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];

/// How a ZIP container begins.
pub(super) const ZIP: &[u8] = b"PK\x03\x04";

/// Marks at the start of files that are not read.
const REFUSED: [(&[u8], &str); 12] = [
    (b"HWP Document File V", "HWP 3"),
    (b"{\\rtf", "RTF"),
    (b"\x89PNG", "PNG"),
    (b"\xFF\xD8\xFF", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"7z\xBC\xAF\x27\x1C", "7-Zip"),
    (b"Rar!", "RAR"),
    (b"\x7FELF", "a program"),
    (b"SQLite format 3", "SQLite"),
    (b"BZh", "bzip2"),
];

/// The kind of the file that holds `bytes`.
pub(crate) fn sniff(bytes: &[u8]) -> Kind {
    // A PDF may have rubbish before its mark.
    let head = &bytes[..bytes.len().min(1024)];
    if head.windows(5).any(|window| window == b"%PDF-") {
        return Kind::Pdf;
    }
    if bytes.starts_with(OLE) {
        return ole_kind(bytes);
    }
    if bytes.starts_with(ZIP) {
        return zip_kind(bytes);
    }
    if bytes.starts_with(b"PAR1") {
        return Kind::Parquet;
    }
    // Parquet under a key.
    if bytes.starts_with(b"PARE") {
        return Kind::Encrypted;
    }
    let refused = REFUSED.iter().find(|(mark, _)| bytes.starts_with(mark));
    refused.map_or(Kind::Text, |(_, name)| Kind::Refused(name))
}

#[cfg(feature = "documents")]
use super::documents::{ole_kind, zip_kind};

#[cfg(not(feature = "documents"))]
fn ole_kind(_: &[u8]) -> Kind {
    Kind::Refused("OLE container, which this build does not read")
}

#[cfg(not(feature = "documents"))]
fn zip_kind(_: &[u8]) -> Kind {
    Kind::Refused("ZIP container, which this build does not read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Kind) {
        assert_eq!(sniff(bytes), expected);
    }

    #[test]
    fn marks_decide_and_names_do_not() {
        check(b"\n%PDF-1.7 ...", Kind::Pdf);
        check("환자는 CT를".as_bytes(), Kind::Text);
        check(b"{\\rtf1 x}", Kind::Refused("RTF"));
        check(b"PAR1", Kind::Parquet);
    }

    #[cfg(not(feature = "documents"))]
    #[test]
    fn containers_are_refused_by_name() {
        check(b"PK\x03\x04", Kind::Refused("ZIP container, which this build does not read"));
        check(OLE, Kind::Refused("OLE container, which this build does not read"));
    }

    #[cfg(feature = "documents")]
    #[test]
    fn what_a_container_holds_decides() {
        use super::super::documents::tests::{hwp5, zipped};

        check(&zipped(&[("word/document.xml", "<w/>")]), Kind::Docx);
        check(&zipped(&[("xl/workbook.xml", "<w/>")]), Kind::Xlsx);
        check(&zipped(&[("mimetype", "application/epub+zip")]), Kind::Epub);
        check(&zipped(&[("mimetype", "application/hwp+zip")]), Kind::Hwpx);
        check(&zipped(&[("readme.txt", "폐렴")]), Kind::Refused("ZIP archive"));
        check(b"PK\x03\x04 cut", Kind::Refused("broken ZIP"));
        check(&hwp5(&["폐렴"], 0), Kind::Hwp);
        check(OLE, Kind::Refused("broken OLE container"));
        let ole = |name: &str| {
            let file = cfb::CompoundFile::create(std::io::Cursor::new(Vec::new()));
            let mut file = file.unwrap();
            file.create_stream(name).unwrap();
            file.into_inner().into_inner()
        };
        check(&ole("/EncryptedPackage"), Kind::Encrypted);
        check(&ole("/WordDocument"), Kind::Refused("Word before 2007"));
    }
}
