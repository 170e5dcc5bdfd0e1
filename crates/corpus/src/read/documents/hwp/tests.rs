use std::io::{Cursor, Write};

use super::super::container::tests::zipped;
use super::*;

/// A record of HWP 5: its tag, its level and its bytes.
fn record(tag: u32, level: u32, bytes: &[u8]) -> Vec<u8> {
    let head = tag | (level << 10) | ((bytes.len() as u32) << 20);
    [&head.to_le_bytes()[..], bytes].concat()
}

/// An uncompressed HWP 5 document of `paragraphs`; `flags` as in the header (2 password, 4 locked).
pub(crate) fn hwp5(paragraphs: &[&str], flags: u32) -> Vec<u8> {
    const PARA_HEADER: u32 = 66;
    const PARA_TEXT: u32 = 67;
    let mut body = Vec::new();
    for paragraph in paragraphs {
        let text: Vec<u16> = paragraph.encode_utf16().chain([13]).collect();
        let mut header = [0; 24];
        header[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
        body.extend(record(PARA_HEADER, 0, &header));
        let bytes: Vec<u8> = text.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        body.extend(record(PARA_TEXT, 1, &bytes));
    }
    let mut header = [0; 256];
    header[..17].copy_from_slice(b"HWP Document File");
    header[32..36].copy_from_slice(&0x0500_0300u32.to_le_bytes());
    header[36..40].copy_from_slice(&flags.to_le_bytes());
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_storage("/BodyText").unwrap();
    for (name, bytes) in
        [("/FileHeader", &header[..]), ("/DocInfo", &[]), ("/BodyText/Section0", &body)]
    {
        file.create_stream(name).unwrap().write_all(bytes).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

/// An HWPX document whose section is `body`.
fn hwpx(body: &str, extra: &[(&str, &str)]) -> Vec<u8> {
    let section = format!(
        "<?xml version='1.0' encoding='UTF-8'?><hs:sec \
         xmlns:hs='http://www.hancom.co.kr/hwpml/2011/section' \
         xmlns:hp='http://www.hancom.co.kr/hwpml/2011/paragraph'>{body}</hs:sec>"
    );
    let package = "<?xml version='1.0'?><opf:package xmlns:opf='http://www.idpf.org/2007/opf/'>\
        <opf:manifest><opf:item id='section0' href='Contents/section0.xml' \
        media-type='application/xml'/></opf:manifest><opf:spine><opf:itemref idref='section0'/>\
        </opf:spine></opf:package>";
    let mut entries = vec![
        ("mimetype", "application/hwp+zip"),
        ("Contents/content.hpf", package),
        ("Contents/section0.xml", section.as_str()),
    ];
    entries.extend(extra);
    zipped(&entries)
}

const BODY: &str = "<hp:p><hp:run><hp:t>폐렴 CT상 확인</hp:t></hp:run></hp:p>\
    <hp:p><hp:run><hp:tbl rowCnt='1' colCnt='2'><hp:tr><hp:tc><hp:subList><hp:p><hp:run>\
    <hp:t>항목</hp:t></hp:run></hp:p></hp:subList></hp:tc><hp:tc><hp:subList><hp:p><hp:run>\
    <hp:t>Na 138</hp:t></hp:run></hp:p></hp:subList></hp:tc></hp:tr></hp:tbl></hp:run></hp:p>";

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = text(bytes).unwrap();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn both_forms_are_read() {
    assert_eq!(lines(&hwp5(&["폐렴 CT상", "둘째 문단"], 0)), ["폐렴 CT상", "둘째 문단"]);
    assert_eq!(lines(&hwpx(BODY, &[])), ["폐렴 CT상 확인", "항목 | Na 138"]);
}

#[test]
fn locked_documents_are_told_by_flag_and_by_notice() {
    assert_eq!(text(&hwp5(&["비밀"], 2)), Err(Reason::Encrypted));
    let notice = "이 문서는 상위 버전의 배포용 문서입니다. 문서를 읽으려면 상위 버전이 필요합니다.";
    assert_eq!(text(&hwp5(&[notice], 4)), Err(Reason::DistributionLocked));
    assert_eq!(text(&hwp5(&[notice], 0)), Err(Reason::DistributionLocked));
    let manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>";
    let locked = hwpx(BODY, &[("META-INF/manifest.xml", manifest)]);
    assert_eq!(text(&locked), Err(Reason::Encrypted));
}

#[test]
fn cut_documents_are_refused() {
    let whole = hwp5(&["폐렴"], 0);
    assert!(text(&whole[..whole.len() / 2]).is_err());
    assert!(text(&hwpx("<hp:p><hp:run>", &[])).is_err());
}
