//! Books in HTML: the chapters in reading order.

use std::io::Cursor;

use rbook::Epub;

use super::super::markup::plain;
use super::container::Container;
use crate::Reason;

/// Elements that are no text of a chapter.
const SKIPPED: [&str; 4] = ["head", "nav", "svg", "math"];

/// The text of the book in `bytes`, a form feed between its chapters.
pub(super) fn text(bytes: &[u8], skip: &[String]) -> Result<String, Reason> {
    let mut container = Container::open(bytes)?;
    container.check()?;
    // Encrypted fonts are common and do no harm; encrypted chapters are a lock.
    let encrypted = container.text("META-INF/encryption.xml")?.to_ascii_lowercase();
    if [".xhtml\"", ".html\"", ".htm\"", ".xml\""].iter().any(|end| encrypted.contains(end)) {
        return Err(Reason::Encrypted);
    }
    let skip: Vec<String> =
        SKIPPED.iter().map(|name| (*name).to_owned()).chain(skip.iter().cloned()).collect();
    let book = Epub::options().skip_toc(true).read(Cursor::new(bytes.to_vec()));
    let book = book.map_err(|_| Reason::BadRecord)?;
    let mut chapters = Vec::new();
    for chapter in book.reader() {
        let chapter = chapter.map_err(|_| Reason::BadRecord)?;
        chapters.push(plain(chapter.content(), &skip));
    }
    Ok(chapters.join("\u{C}"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::container::tests::zipped;
    use super::*;

    pub(crate) fn book(chapters: &[&str], extra: &[(&str, &str)]) -> Vec<u8> {
        let names: Vec<String> = (0..chapters.len()).map(|n| format!("OEBPS/c{n}.xhtml")).collect();
        let item = |n: usize| {
            format!("<item id='c{n}' href='c{n}.xhtml' media-type='application/xhtml+xml'/>")
        };
        let items: String = (0..chapters.len()).map(item).collect();
        // The reading order is the spine's, not that of the names.
        let spine: String =
            (0..chapters.len()).rev().map(|n| format!("<itemref idref='c{n}'/>")).collect();
        let opf = format!(
            "<?xml version='1.0'?><package xmlns='http://www.idpf.org/2007/opf' version='3.0' \
             unique-identifier='i'><metadata xmlns:dc='http://purl.org/dc/elements/1.1/'>\
             <dc:identifier id='i'>x</dc:identifier><dc:title>호흡기</dc:title>\
             <dc:language>ko</dc:language></metadata><manifest>{items}</manifest>\
             <spine>{spine}</spine></package>"
        );
        let container = "<?xml version='1.0'?><container version='1.0' \
            xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles><rootfile \
            full-path='OEBPS/content.opf' media-type='application/oebps-package+xml'/></rootfiles>\
            </container>";
        let mut entries = vec![
            ("mimetype", "application/epub+zip"),
            ("META-INF/container.xml", container),
            ("OEBPS/content.opf", opf.as_str()),
        ];
        entries.extend(names.iter().map(String::as_str).zip(chapters.iter().copied()));
        entries.extend(extra);
        zipped(&entries)
    }

    const CHAPTER: &str = "<html xmlns='http://www.w3.org/1999/xhtml'><head><title>제목</title></head>\
        <body><h1>폐렴</h1><p>CT로 진단한다.</p><nav>목차</nav></body></html>";

    #[test]
    fn chapters_are_read_in_the_order_of_the_spine() {
        let second = CHAPTER.replace("폐렴", "천식 asthma");
        let text = text(&book(&[CHAPTER, &second], &[]), &[]).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words, ["천식", "asthma", "CT로", "진단한다.", "폐렴", "CT로", "진단한다."]);
        assert!(text.contains('\u{C}'));
    }

    #[test]
    fn locked_and_broken_books_are_refused() {
        let lock = "<encryption><CipherReference URI=\"OEBPS/c0.xhtml\"/></encryption>";
        let locked = book(&[CHAPTER], &[("META-INF/encryption.xml", lock)]);
        assert_eq!(text(&locked, &[]), Err(Reason::Encrypted));
        let fonts = lock.replace("c0.xhtml", "font.otf");
        let open = book(&[CHAPTER], &[("META-INF/encryption.xml", &fonts)]);
        assert!(text(&open, &[]).is_ok());
        let broken = zipped(&[("mimetype", "application/epub+zip")]);
        assert_eq!(text(&broken, &[]), Err(Reason::BadRecord));
    }
}
