#!/usr/bin/env python3
"""Write data/sample from the prose and clause banks in scripts/sample_sources.

The output is a function of the sources and of a seed alone: no clock, no
environment, standard library only. `--check` compares instead of writing.
"""

import argparse
import gzip
import sys

from sample.articles import make_articles
from sample.ct_reports import make_ct_reports
from sample.notes import make_notes
from sample.sentences import make_general, make_pairs
from sample.sources import ROOT, read_sections
from sample.terms import Terms
from sample.textbooks import make_textbooks

OUTPUT = ROOT / "data" / "sample"
GENERATED = (
    "textbook-en",
    "textbook-ko",
    "articles.jsonl",
    "notes.csv.gz",
    "ct_reports.csv",
    "sts_ko.tsv",
    "sts_en.tsv",
    "general_ko.txt",
    "general_en.txt",
)


def make_all():
    terms = Terms()
    banks = {language: read_sections(f"clauses_{language}.txt") for language in ("en", "ko")}
    files = make_textbooks()
    for language in ("ko", "en"):
        files |= make_pairs(language) | make_general(language)
    files |= make_articles(terms, banks, files) | make_notes(terms, banks) | make_ct_reports()
    return files


def existing():
    found = set()
    for name in GENERATED:
        path = OUTPUT / name
        if path.is_dir():
            found |= {item.relative_to(OUTPUT).as_posix() for item in path.iterdir()}
        elif path.exists():
            found.add(name)
    return found


def check(files):
    """Names the files that differ; gzip files are compared by what they hold."""
    wrong = sorted(existing() - files.keys())
    for name, data in files.items():
        path = OUTPUT / name
        if not path.exists():
            wrong.append(name)
            continue
        found = path.read_bytes()
        if name.endswith(".gz"):
            found, data = gzip.decompress(found), gzip.decompress(data)
        if found != data:
            wrong.append(name)
    for name in wrong:
        print(f"differs: {name}", file=sys.stderr)
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with data/sample, write nothing")
    arguments = parser.parse_args()
    files = make_all()
    if arguments.check:
        return check(files)
    for name in existing() - files.keys():
        (OUTPUT / name).unlink()
    for name, data in files.items():
        path = OUTPUT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    print(f"{len(files)} files, {sum(map(len, files.values()))} bytes in {OUTPUT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
