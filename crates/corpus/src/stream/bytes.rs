//! The bytes of a file as UTF-8, decompressed and decoded as they are read.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use encoding_rs::{Decoder, Encoding, UTF_8};
use fs_err as fs;

use crate::decode::label;
use crate::encoding::{SAMPLE_BYTES, tell};
use crate::{Result, SourceConfig};

/// Bytes that are decoded at once.
const CHUNK_BYTES: usize = 256 << 10;
/// A stretch of [`CHUNK_BYTES`] with more NUL bytes is no text.
const MAX_NULS: usize = 16;

/// A file's content as it is read. Invalid UTF-8 is passed on: it is for the record that holds it.
pub(crate) struct Decoding {
    inner: Box<dyn Read + Send>,
    is_compressed: bool,
    /// Absent while all that was read is ASCII.
    encoding: Option<&'static Encoding>,
    decoder: Option<Decoder>,
    is_first: bool,
    has_ended: bool,
    /// Decoded and not yet taken.
    ready: Vec<u8>,
    taken: usize,
    /// The room for what is read next: clearing new pages costs more than reading does.
    raw: Vec<u8>,
    /// Whether the compressed stream ended before its end.
    pub(crate) is_partial: bool,
    /// Whether the content is no text.
    pub(crate) is_binary: bool,
    /// What the encoding seems to be, where it is none that is read.
    pub(crate) unread_encoding: Option<&'static str>,
}

impl Decoding {
    /// The content of `path` from the decoded byte `from`, where its encoding was `encoding`.
    pub(crate) fn open(
        path: &Path,
        source: &SourceConfig,
        from: u64,
        encoding: &str,
    ) -> Result<Self> {
        let mut file = fs::File::open(path)?;
        let mut magic = [0; 4];
        let length = read_full(&mut file, &mut magic).map_err(|(error, _)| error)?;
        let magic = &magic[..length];
        let is_gzip = magic.starts_with(&[0x1F, 0x8B]);
        let is_zstd = magic.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]);
        let configured = label(&source.encoding).flatten();
        let known = Encoding::for_label(encoding.as_bytes()).or(configured);
        let mut skipped = from;
        let mut at = 0;
        if !is_gzip && !is_zstd && from > 0 && known.is_none_or(|known| known == UTF_8) {
            // What is decoded is what lies there, behind the mark.
            let mark = if magic.starts_with(&[0xEF, 0xBB, 0xBF]) { 3 } else { 0 };
            (at, skipped) = (from + mark, 0);
        }
        file.seek(SeekFrom::Start(at))?;
        let inner: Box<dyn Read + Send> = if is_gzip {
            Box::new(flate2::read::MultiGzDecoder::new(BufReader::new(file)))
        } else if is_zstd {
            Box::new(zstd::Decoder::new(file)?)
        } else {
            Box::new(file)
        };
        let mut decoding = Self {
            inner,
            is_compressed: is_gzip || is_zstd,
            encoding: known,
            decoder: None,
            is_first: at == 0,
            has_ended: false,
            ready: Vec::new(),
            taken: 0,
            raw: Vec::new(),
            is_partial: false,
            is_binary: false,
            unread_encoding: None,
        };
        io::copy(&mut (&mut decoding).take(skipped), &mut io::sink())?;
        Ok(decoding)
    }

    /// The encoding's name; empty while it is not told.
    pub(crate) fn encoding(&self) -> &'static str {
        self.encoding.map_or("", Encoding::name)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        self.read_on(&mut raw, CHUNK_BYTES)?;
        let is_first = std::mem::take(&mut self.is_first);
        if is_first && let Some((encoding, mark)) = Encoding::for_bom(&raw) {
            self.encoding = Some(encoding);
            raw.drain(..mark);
        }
        let first = raw.iter().position(|byte| !byte.is_ascii());
        if self.encoding.is_none() && (first.is_some() || is_first && raw.contains(&0)) {
            // By the same bytes wherever the reading began.
            let needed = first.unwrap_or(0) + SAMPLE_BYTES;
            self.read_on(&mut raw, needed)?;
            match tell(&raw, self.has_ended && !self.is_partial) {
                Ok(encoding) => self.encoding = Some(encoding),
                Err(name) => {
                    self.unread_encoding = Some(name);
                    self.has_ended = true;
                    raw.clear();
                }
            }
        }
        self.taken = 0;
        match self.encoding.filter(|encoding| *encoding != UTF_8) {
            None => std::mem::swap(&mut self.ready, &mut raw),
            Some(encoding) => self.decode(encoding, &raw),
        }
        self.raw = raw;
        self.is_binary |= self.ready.iter().filter(|byte| **byte == 0).count() > MAX_NULS;
        Ok(())
    }

    /// Fills `raw` up to `length` bytes, or to the end.
    fn read_on(&mut self, raw: &mut Vec<u8>, length: usize) -> io::Result<()> {
        let begin = raw.len();
        if self.has_ended || begin >= length {
            return Ok(());
        }
        raw.resize(length, 0);
        let read = match read_full(&mut self.inner, &mut raw[begin..]) {
            Ok(read) => read,
            // What came before the fault is kept.
            Err((_, read)) if self.is_compressed => {
                self.is_partial = true;
                self.has_ended = true;
                read
            }
            Err((error, _)) => return Err(error),
        };
        raw.truncate(begin + read);
        self.has_ended |= raw.len() < length;
        Ok(())
    }

    fn decode(&mut self, encoding: &'static Encoding, raw: &[u8]) {
        let decoder =
            self.decoder.get_or_insert_with(|| encoding.new_decoder_without_bom_handling());
        let room = decoder.max_utf8_buffer_length(raw.len()).unwrap_or(4 * CHUNK_BYTES);
        self.ready.clear();
        self.ready.resize(room, 0);
        let (_, _, written, _) = decoder.decode_to_utf8(raw, &mut self.ready, self.has_ended);
        self.ready.truncate(written);
    }
}

impl BufRead for Decoding {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.ready.len() && !self.has_ended {
            self.fill()?;
        }
        Ok(&self.ready[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.ready.len());
    }
}

impl Read for Decoding {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(out)?;
        self.consume(length);
        Ok(length)
    }
}

/// Fills `out` or reads to the end; a fault comes with what was read before it.
fn read_full(inner: &mut impl Read, out: &mut [u8]) -> Result<usize, (io::Error, usize)> {
    let mut length = 0;
    while length < out.len() {
        match inner.read(&mut out[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((error, length)),
        }
    }
    Ok(length)
}
