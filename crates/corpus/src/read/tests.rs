//! Formats side by side: what is expected, what is refused, and that nothing planted comes out.

use std::io::Write;
use std::path::Path;

use bimed_artifact::{AccessTier, Cancel, Context, Silent};
use fs_err as fs;

#[cfg(feature = "documents")]
use super::documents::tests::{book, hwp5, workbook, zipped};
use super::*;
use crate::{CorpusConfig, ReaderConfig, build};

/// A PDF that shows each text on a page of its own, in the encoding UniKS-UCS2.
pub(crate) fn pdf(pages: &[&str]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|n| format!("{} 0 R", 6 + 2 * n)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        "<< /Type /Font /Subtype /Type0 /BaseFont /HYSMyeongJo-Medium /Encoding /UniKS-UCS2-H \
         /DescendantFonts [4 0 R] >>"
            .to_owned(),
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HYSMyeongJo-Medium /DW 1000 /W [1 [250]] \
         /CIDSystemInfo << /Registry (Adobe) /Ordering (Korea1) /Supplement 1 >> \
         /FontDescriptor 5 0 R >>"
            .to_owned(),
        "<< /Type /FontDescriptor /FontName /HYSMyeongJo-Medium /Flags 6 /FontBBox [0 0 1000 900] \
         /ItalicAngle 0 /Ascent 900 /Descent 0 /CapHeight 700 /StemV 80 >>"
            .to_owned(),
    ];
    for (number, page) in pages.iter().enumerate() {
        let hex: String = page.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
        let content = format!("BT /F1 8 Tf 20 700 Td <{hex}> Tj ET");
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 1200 800] /Contents {} 0 R /Resources << \
             /Font << /F1 3 0 R >> >> >>",
            7 + 2 * number
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let mut out = "%PDF-1.5\n".to_owned();
    let mut offsets = String::new();
    for (number, object) in (1..).zip(&objects) {
        offsets += &format!("{:010} 00000 n \n", out.len());
        out += &format!("{number} 0 obj\n{object}\nendobj\n");
    }
    let (start, size) = (out.len(), objects.len() + 1);
    out += &format!("xref\n0 {size}\n0000000000 65535 f \n{offsets}");
    out += &format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    out.into_bytes()
}

/// PDFium or poppler, where this machine has one; else the test says that it looked at no PDF.
fn has_pdf_engine(config: &ReaderConfig) -> bool {
    let found = foreign::Readers::new(config).engines().iter().any(|report| report.is_trusted());
    if !found {
        let _ = writeln!(std::io::stderr(), "skipped: no PDF engine here, so no PDF is read");
    }
    found
}

fn one(name: &str, bytes: &[u8], source: &SourceConfig) -> FileRecords {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    read(&path, source, &foreign::Readers::new(&ReaderConfig::default())).unwrap()
}

fn reason(bytes: &[u8], format: Format) -> Reason {
    let out = one("파일", bytes, &SourceConfig { format, ..SourceConfig::default() });
    assert!(out.records.is_empty());
    assert_eq!(out.faults.len(), 1);
    out.faults[0].1
}

#[cfg(feature = "documents")]
fn docx(text: &str) -> Vec<u8> {
    let body = format!("<w:d xmlns:w='u'><w:p><w:t>{text}</w:t></w:p></w:d>");
    zipped(&[("word/document.xml", &body)])
}

#[test]
fn what_a_file_is_decides_and_not_its_name() {
    let auto = SourceConfig { format: Format::Auto, ..SourceConfig::default() };
    let check = |name: &str, bytes: &[u8], extractor: &str, text: &str| {
        let out = one(name, bytes, &auto);
        assert_eq!(out.extractor, extractor);
        assert_eq!(out.records[0].text.trim(), text);
    };
    check("a.pdf", "폐렴 CT".as_bytes(), "txt", "폐렴 CT");
    check("a.txt", b"<!DOCTYPE html><html><body>CT</body></html>", "html", "CT");
    check(
        "a.txt",
        "---\ntitle: 폐렴\ntags:\n- CT\n---\n# 폐렴\n\n**CT**로".as_bytes(),
        "markdown",
        "폐렴\n\nCT로",
    );
    // A rule, and a dialogue between rules, are no front matter.
    check("a.md", "---\n# 폐렴 **CT**".as_bytes(), "txt", "---\n# 폐렴 **CT**");
    let dialogue = "---\nDoctor: chest CT를 봅시다\n---\n환자: 네";
    check("a.md", dialogue.as_bytes(), "txt", dialogue);
    check("a", "<?xml version='1.0'?><a><b>폐렴</b></a>".as_bytes(), "xml", "폐렴");
    #[cfg(feature = "documents")]
    {
        check("a.txt", &docx("폐렴 CT"), "docx", "폐렴 CT");
        check("b.doc", &hwp5(&["폐렴"], 0), "hwp/unhwp", "폐렴");
    }
    if has_pdf_engine(&ReaderConfig::default()) {
        let text = "폐렴은 CT로 진단한다. No effusion.";
        let out = one("책.epub", &pdf(&[text, text]), &auto);
        assert_eq!(out.records[0].text.replace('\n', ""), format!("{text}\u{C}{text}"));
        assert_eq!((out.pages, out.dropped_pages.len()), (2, 0));
    }
}

#[test]
fn what_is_not_read_is_refused_by_reason() {
    for format in [Format::Txt, Format::Csv, Format::Hwp, Format::Pdf] {
        assert_eq!(reason(b"{\\rtf1 x}", format), Reason::UnknownType, "{format:?}");
    }
    assert_eq!(reason("폐렴 CT".as_bytes(), Format::Docx), Reason::UnknownType);
    assert_eq!(reason(b"PK\x03\x04", Format::Auto), Reason::UnknownType);
    #[cfg(feature = "documents")]
    {
        assert_eq!(reason(&docx("폐렴"), Format::Txt), Reason::UnknownType);
        assert_eq!(reason(&zipped(&[("a", "b")]), Format::Auto), Reason::UnknownType);
        assert_eq!(reason(&hwp5(&["x"], 2), Format::Auto), Reason::Encrypted);
    }
    assert_eq!(reason(b"", Format::Txt), Reason::Empty);
    if has_pdf_engine(&ReaderConfig::default()) {
        assert_eq!(reason(&pdf(&["", ""]), Format::Pdf), Reason::NeedsOcr);
        assert_eq!(reason(b"%PDF-1.4 cut", Format::Pdf), Reason::BadRecord);
    }
}

const PLANTED: [&str; 4] = ["홍길동", "800101-1234567", "010-9876-5432", "MRN7654321"];
const NOTE: &str = "성명: 홍길동 주민등록번호 800101-1234567 연락처 010-9876-5432 등록번호: MRN7654321 \
    환자는 흉부 CT를 시행하였다. No acute finding.";

/// A file of every format that holds [`NOTE`].
fn planted() -> Vec<(Format, &'static str, Vec<u8>)> {
    let markup = format!("<p>{NOTE}</p>");
    let html = format!("<html><body>{markup}</body></html>");
    let mut files = vec![
        (Format::Txt, "a.txt", NOTE.as_bytes().to_vec()),
        (Format::Csv, "a.csv", format!("id,text\n1,\"{NOTE}\"\n").into_bytes()),
        (Format::Jsonl, "a.jsonl", format!("{{\"id\":1,\"text\":\"{NOTE}\"}}\n").into_bytes()),
        (Format::Xml, "a.xml", format!("<a><text>{NOTE}</text></a>").into_bytes()),
        (Format::Html, "a.html", html.clone().into_bytes()),
        (Format::Markdown, "a.md", format!("# 기록\n\n{NOTE}\n").into_bytes()),
    ];
    #[cfg(feature = "documents")]
    files.extend([
        (Format::Docx, "a.docx", docx(NOTE)),
        (Format::Epub, "a.epub", book(&[&html], &[])),
        (Format::Hwp, "a.hwp", hwp5(&[NOTE], 0)),
        (Format::Xlsx, "a.xlsx", workbook(&["text", NOTE])),
    ]);
    if has_pdf_engine(&ReaderConfig::default()) {
        files.push((Format::Pdf, "a.pdf", pdf(&[NOTE])));
    }
    files
}

/// Everything under `dir`, unpacked.
fn everything(dir: &Path) -> String {
    let mut all = String::new();
    for entry in walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap) {
        if entry.path().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            let unpacked = zstd::decode_all(bytes.as_slice()).unwrap_or(bytes);
            all += &String::from_utf8_lossy(&unpacked);
        }
    }
    all
}

#[test]
fn nothing_planted_in_any_format_comes_out() {
    for (format, name, bytes) in planted() {
        // The whole file, the file cut in half, and the file beside a record that is dropped.
        let half = &bytes[..bytes.len() / 2];
        for (bytes, min_chars, is_whole) in
            [(&bytes[..], 5, true), (half, 5, false), (&bytes, 5000, true)]
        {
            let input = tempfile::tempdir().unwrap();
            fs::write(input.path().join(name), bytes).unwrap();
            let source = SourceConfig {
                name: "기록".into(),
                path: input.path().into(),
                licence: "none".into(),
                access_tier: AccessTier::Private,
                format,
                text: vec!["text".into()],
                min_chars: Some(min_chars),
                ..SourceConfig::default()
            };
            let mut config = CorpusConfig::default();
            config.deduplicate.exact = false;
            config.deduplicate.near = false;
            let (units, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let context = Context { progress: &Silent, cancel: &Cancel::default() };
            let said = match build(&[source], &config, units.path(), out.path(), &context) {
                Ok(summary) => format!("{summary:?}"),
                Err(error) => format!("{error} {error:?} {:?}", error.hint()),
            };
            let all = said + &everything(units.path()) + &everything(out.path());
            for planted in PLANTED {
                assert!(!all.contains(planted), "{format:?} lets {planted} through");
            }
            assert!(!is_whole || all.contains("[NAME]"), "{format:?} was not read");
        }
    }
}
