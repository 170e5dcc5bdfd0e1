"""Writes the tiny Korean PDFs with which `bimed` tests a PDF engine before it is used.

Every file shows "폐렴 CT" in another encoding of its font. The font of the last one is drawn here, box
by box, so that nothing of anyone else's is in the files. A space is a quarter of a letter wide (glyph
1, which is also the space of Adobe-Korea1): poppler takes a wider one for the end of a line.

    python -m venv venv && venv/bin/pip install fonttools==4.68.0
    venv/bin/python scripts/make_pdf_fixtures.py crates/corpus/src/read/pdf/golden
"""

import sys
import zlib
from io import BytesIO
from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen

TEXT = "폐렴 CT"


def pdf(objects):
    """A PDF of `objects` (bytes), numbered from 1; the first is the catalogue."""
    out = bytearray(b"%PDF-1.5\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def stream(data, extra=b""):
    return b"<< /Length %d %s>>\nstream\n" % (len(data), extra) + data + b"\nendstream"


def page(shown, font, rest, corner=(0, 0)):
    """One page that shows the hexadecimal string `shown`; `font` is object 5, `rest` follow it. `corner`
    is the lower left one of its box."""
    x, y = corner
    content = b"BT /F1 24 Tf %d %d Td <" % (x + 50, y + 700) + shown.hex().encode() + b"> Tj ET"
    return pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [%d %d %d %d] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>" % (x, y, x + 400, y + 800),
            stream(content),
            font,
            *rest,
        ]
    )


def adobe_korea(encoding, codec, corner=(0, 0)):
    """A font that is not embedded, by one of the encodings that PDF predefines for Korean."""
    font = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /HYSMyeongJo-Medium /Encoding /%s"
        b" /DescendantFonts [6 0 R] >>" % encoding
    )
    descendant = (
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HYSMyeongJo-Medium /DW 1000 /W [1 [250]] /CIDSystemInfo"
        b" << /Registry (Adobe) /Ordering (Korea1) /Supplement 1 >> /FontDescriptor 7 0 R >>"
    )
    descriptor = (
        b"<< /Type /FontDescriptor /FontName /HYSMyeongJo-Medium /Flags 6 /FontBBox [0 -200 1000 900]"
        b" /ItalicAngle 0 /Ascent 900 /Descent -200 /CapHeight 700 /StemV 80 >>"
    )
    return page(TEXT.encode(codec), font, [descendant, descriptor], corner)


def embedded(with_to_unicode):
    """A font of our own, embedded, whose codes are numbers of glyphs."""
    characters = sorted(set(TEXT))
    names = [".notdef"] + [f"g{ord(character):04X}" for character in characters]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({})
    glyphs = {}
    for place, name in enumerate(names):
        pen = TTGlyphPen(None)
        for x, y in [(100, 0), (100, 700), (200 + 50 * place, 700), (200 + 50 * place, 0)]:
            (pen.moveTo if (x, y) == (100, 0) else pen.lineTo)((x, y))
        pen.closePath()
        glyphs[name] = pen.glyph()
    builder.setupGlyf(glyphs)
    widths = {name: 250 if name == "g0020" else 1000 for name in names}
    builder.setupHorizontalMetrics({name: (width, 100) for name, width in widths.items()})
    builder.setupHorizontalHeader(ascent=900, descent=-200)
    builder.setupPost()
    builder.updateHead(created=0, modified=0)
    file = BytesIO()
    builder.font.recalcTimestamp = False
    builder.save(file)
    data = file.getvalue()
    glyph = {character: place for place, character in enumerate(characters, 1)}
    shown = b"".join(glyph[character].to_bytes(2, "big") for character in TEXT)
    to_unicode = b" /ToUnicode 9 0 R" if with_to_unicode else b""
    font = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /ABCDEF+Boxes /Encoding /Identity-H"
        b" /DescendantFonts [6 0 R]%s >>" % to_unicode
    )
    descendant = (
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /ABCDEF+Boxes /DW 1000 /W [1 [250]] /CIDToGIDMap /Identity"
        b" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
        b" /FontDescriptor 7 0 R >>"
    )
    descriptor = (
        b"<< /Type /FontDescriptor /FontName /ABCDEF+Boxes /Flags 4 /FontBBox [0 -200 1000 900]"
        b" /ItalicAngle 0 /Ascent 900 /Descent -200 /CapHeight 700 /StemV 80 /FontFile2 8 0 R >>"
    )
    packed = zlib.compress(data, 9)
    rest = [descendant, descriptor, stream(packed, b"/Filter /FlateDecode /Length1 %d " % len(data))]
    if with_to_unicode:
        pairs = "".join(f"<{glyph[c]:04X}> <{ord(c):04X}>\n" for c in characters)
        cmap = (
            "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n/CMapName /Boxes def\n"
            "/CMapType 2 def\n1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
            f"{len(characters)} beginbfchar\n{pairs}endbfchar\nendcmap end end\n"
        )
        rest.append(stream(cmap.encode()))
    return page(shown, font, rest)


def main(folder):
    files = {
        "to_unicode": embedded(True),
        "uniks_ucs2": adobe_korea(b"UniKS-UCS2-H", "utf-16-be"),
        "kscms_uhc": adobe_korea(b"KSCms-UHC-H", "cp949"),
        "no_to_unicode": embedded(False),
        "corner": adobe_korea(b"UniKS-UCS2-H", "utf-16-be", corner=(1000, -2000)),
    }
    for name, data in files.items():
        (Path(folder) / f"{name}.pdf").write_bytes(data)
        print(f"{name}.pdf {len(data)} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
