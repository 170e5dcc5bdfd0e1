"""The prose and clause banks, and what every file is written with."""

import csv
import io
import random
import re
import zlib
from pathlib import Path

SEED = 20250211
ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ROOT / "scripts" / "sample_sources"


def rng_for(name):
    """A generator of its own for every file, so that changing one leaves the others alone."""
    return random.Random(SEED ^ zlib.crc32(name.encode()))


def read(name):
    return (SOURCES / name).read_text(encoding="utf-8")


def read_sections(name):
    """`[section]` headers followed by one entry per line; what stands before the first is comment."""
    sections, current = {}, None
    for line in read(name).splitlines():
        if re.fullmatch(r"\[[a-z0-9.]+\]", line):
            current = sections.setdefault(line[1:-1], [])
        elif current is not None and line.strip():
            current.append(line.replace("\\n", "\n"))
    return sections


def csv_bytes(header, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()
