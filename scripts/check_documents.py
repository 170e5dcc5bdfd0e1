"""How much of Hangul and PDF documents is recovered, beside a reader of others.

    pip install pyhwp==0.1b15 six==1.17.0 pdfminer.six==20251107 pyarrow==22.0.0
    cargo build --release
    python3 scripts/check_documents.py hwp target/release/bimed FOLDER WORK
    python3 scripts/check_documents.py pdf target/release/bimed FOLDER WORK [ENGINE]

FOLDER holds `.hwp` or `.pdf` files; ENGINE is `pdfium` (the default) or `pdftotext`. The reference is
every piece of text that `hwp5proc xml` finds, or what pdfminer.six extracts. Compared are characters
that are no space, in their compatibility forms, as often as each occurs, whatever their order. Prints a
row for each file that differs, and the share of all; files that either refuses are listed with the
reason and are in no share, and so are pages that ours leaves out.
"""

import collections
import json
import re
import subprocess
import sys
import unicodedata
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pyarrow as pa

Pages = list[str]


def of_hwp(path: Path) -> Pages | None:
    done = subprocess.run(["hwp5proc", "xml", path], capture_output=True)
    if done.returncode != 0 or not done.stdout:
        return None
    try:
        root = ElementTree.fromstring(done.stdout)
    except ElementTree.ParseError:
        return None
    return ["".join(one.text or "" for one in root.iter("Text"))]


def of_pdf(path: Path) -> Pages | None:
    from pdfminer.high_level import extract_text

    # What has no Unicode it spells as `(cid:7)`.
    text = re.sub(r"\(cid:\d+\)", "", extract_text(path))
    return text.split("\f")[:-1] if text.strip() else None


REFERENCES = {"hwp": of_hwp, "pdf": of_pdf}


def lines(path: Path) -> list[dict]:
    with pa.input_stream(str(path), compression="zstd") as stream:
        return [json.loads(line) for line in stream.read().decode().splitlines()]


def ours(bimed: str, kind: str, folder: Path, work: Path, engine: str) -> tuple[dict, dict, set]:
    experiment = work / f"{kind}.toml"
    experiment.write_text(
        f"""
[experiment]
name = "{kind}"
seed = 1
output = "runs"
store = "store"

[[corpus.source]]
name = "{kind}"
path = "{folder}"
include = ["*.{kind}"]
format = "{kind}"
licence = "none"
min_chars = 1
identifiers = "report"

[corpus]
max_broken = 1.0
drop_languages = []
deduplicate = {{ exact = false, near = false }}
readers = {{ pdf_engines = ["{engine}"] }}
""",
        encoding="utf-8",
    )
    done = subprocess.run([bimed, "corpus", experiment, "--fresh"], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(done.stderr)
    manifest = max(work.glob("store/corpus/*/manifest.json"), key=lambda path: path.stat().st_mtime)
    texts: dict[str, str] = collections.defaultdict(str)
    for shard in sorted(manifest.parent.glob("shard-*.jsonl.zst")):
        for document in lines(shard):
            texts[document["provenance"]["file"]] += document["text"]
    refused = {
        one["file"]: one["reason"] for path in manifest.parent.glob("rejected/*.jsonl.zst") for one in lines(path)
    }
    source = json.loads(manifest.read_text())["summary"]["sources"][0]
    dropped = {(one["file"], one["page"]): one["reason"] for one in source.get("dropped_pages", [])}
    return texts, refused, dropped


def characters(text: str) -> collections.Counter:
    text = unicodedata.normalize("NFKC", text)
    return collections.Counter(character for character in text if character.isprintable() and character != " ")


def hangul(counts: collections.Counter) -> int:
    return sum(count for character, count in counts.items() if "가" <= character <= "힣")


def main() -> None:
    kind, bimed, folder, work = sys.argv[1], sys.argv[2], Path(sys.argv[3]).resolve(), Path(sys.argv[4]).resolve()
    engine = sys.argv[5] if len(sys.argv) > 5 else "pdfium"
    work.mkdir(parents=True, exist_ok=True)
    texts, refused, dropped = ours(bimed, kind, folder, work, engine)
    totals = collections.Counter()
    for path in sorted(folder.glob(f"*.{kind}")):
        pages = REFERENCES[kind](path)
        if pages is None or path.name in refused:
            theirs = "refuses it" if pages is None else f"finds {characters(''.join(pages)).total()} characters"
            print(f"{path.name}: ours {refused.get(path.name, 'reads it')}, the reference {theirs}")
            continue
        left_out = {page: reason for (file, page), reason in dropped.items() if file == path.name}
        wanted = characters("".join(page for number, page in enumerate(pages, 1) if number not in left_out))
        got = characters(texts.get(path.name, ""))
        found, more = wanted & got, got - wanted
        totals.update(wanted=wanted.total(), found=found.total(), more=more.total(), pages=len(left_out))
        totals.update(hangul_wanted=hangul(wanted), hangul_found=hangul(found))
        if found != wanted or more or left_out:
            lost = "".join(sorted((wanted - got).elements()))[:30]
            added = "".join(sorted(more.elements()))[:30]
            print(
                f"{path.name}: {found.total()} of {wanted.total()}, {more.total()} more, "
                f"{len(left_out)} of {len(pages)} pages left out; lost `{lost}`, more `{added}`"
            )
    share = totals["found"] / max(totals["wanted"], 1)
    print(
        f"together: {totals['found']} of {totals['wanted']} characters, {share:.2%}; {totals['more']} more; "
        f"syllables {totals['hangul_found']} of {totals['hangul_wanted']}; {totals['pages']} pages left out"
    )


if __name__ == "__main__":
    main()
