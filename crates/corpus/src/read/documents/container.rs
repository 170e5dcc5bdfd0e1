//! ZIP containers, read within bounds: a small file must not become a large one in memory.

use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::Reason;

/// Unpacked, one entry may have this many bytes.
const MAX_ENTRY_BYTES: u64 = 256 << 20;
/// Unpacked, all text of a container may have this many bytes.
const MAX_TEXT_BYTES: u64 = 512 << 20;
/// More entries are no document.
const MAX_ENTRIES: usize = 100_000;

/// An open container.
pub(crate) struct Container<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Container<'a> {
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self, Reason> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Reason::BadRecord)?;
        if archive.len() > MAX_ENTRIES { Err(Reason::TooLarge) } else { Ok(Self { archive }) }
    }

    /// Whether it has the entry `name`.
    pub(crate) fn holds(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// The text of the entry `name`; nothing where there is none.
    pub(crate) fn text(&mut self, name: &str) -> Result<String, Reason> {
        let Ok(entry) = self.archive.by_name(name) else { return Ok(String::new()) };
        let mut bytes = Vec::new();
        // The size that an entry declares is not believed.
        let read = entry.take(MAX_ENTRY_BYTES + 1).read_to_end(&mut bytes);
        if bytes.len() as u64 > MAX_ENTRY_BYTES {
            return Err(Reason::TooLarge);
        }
        read.map_err(|_| Reason::BadRecord)?;
        String::from_utf8(bytes).map_err(|_| Reason::BadEncoding)
    }

    /// Unpacks all its markup to nowhere, so that a library which has no bounds may read it.
    pub(crate) fn check(&mut self) -> Result<(), Reason> {
        let mut total = 0;
        for index in 0..self.archive.len() {
            let Ok(entry) = self.archive.by_index(index) else { continue };
            let name = entry.name().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
            let is_markup = [".xml", ".xhtml", ".html", ".htm", ".opf", ".ncx", ".hpf", ".rels"]
                .iter()
                .any(|ending| name.ends_with(ending));
            if !is_markup && entry.size() <= MAX_ENTRY_BYTES {
                continue;
            }
            let mut within = entry.take(MAX_ENTRY_BYTES + 1);
            // What is broken is for the reader to say.
            let bytes = std::io::copy(&mut within, &mut std::io::sink()).unwrap_or(0);
            total += bytes;
            if bytes > MAX_ENTRY_BYTES || total > MAX_TEXT_BYTES {
                return Err(Reason::TooLarge);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    /// A container that holds the named texts.
    pub(crate) fn zipped(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// A container whose entry `name` unpacks to more than is allowed.
    pub(crate) fn bomb(name: &str) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        let block = vec![b' '; 1 << 20];
        for _ in 0..=(MAX_ENTRY_BYTES >> 20) {
            zip.write_all(&block).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn a_bomb_is_refused_and_a_text_is_read() {
        let bytes = bomb("word/document.xml");
        assert!(bytes.len() < 1 << 20);
        let mut container = Container::open(&bytes).unwrap();
        assert_eq!(container.text("word/document.xml"), Err(Reason::TooLarge));
        assert_eq!(container.check(), Err(Reason::TooLarge));
        let bytes = zipped(&[("a.xml", "폐렴 CT")]);
        let mut container = Container::open(&bytes).unwrap();
        assert_eq!(container.text("a.xml").as_deref(), Ok("폐렴 CT"));
        assert_eq!(container.text("b.xml").as_deref(), Ok(""));
        assert_eq!(container.check(), Ok(()));
    }
}
