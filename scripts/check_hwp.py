"""How much of Hangul documents is recovered, beside pyhwp.

    pip install pyhwp==0.1b15 six==1.17.0 pyarrow==22.0.0
    cargo build --release -p bimed-cli --features parquet
    python3 scripts/check_hwp.py target/release/bimed FOLDER WORK

FOLDER holds `.hwp` files. The reference is every piece of text that `hwp5proc xml` finds. Compared are
characters that are no space, as often as each occurs, whatever their order. Prints a row for each file,
and the share of all; files that either refuses are listed with the reason and are in no share.
"""

import collections
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def reference(path: Path) -> str | None:
    done = subprocess.run(["hwp5proc", "xml", path], capture_output=True)
    if done.returncode != 0 or not done.stdout:
        return None
    try:
        root = ElementTree.fromstring(done.stdout)
    except ElementTree.ParseError:
        return None
    return "".join(one.text or "" for one in root.iter("Text"))


def ours(bimed: str, folder: Path, work: Path) -> tuple[dict[str, str], dict[str, str]]:
    experiment = work / "hwp.toml"
    experiment.write_text(
        f"""
[experiment]
name = "hwp"
seed = 1
output = "runs"
store = "store"

[[corpus.source]]
name = "hwp"
path = "{folder}"
include = ["*.hwp"]
format = "hwp"
licence = "none"
min_chars = 1
identifiers = "report"

[corpus]
max_broken = 1.0
drop_languages = []
deduplicate = {{ exact = false, near = false }}
shard = {{ parquet = true }}
""",
        encoding="utf-8",
    )
    subprocess.run([bimed, "corpus", experiment], check=True, capture_output=True)
    made = max(work.glob("store/corpus/*/manifest.json"), key=lambda path: path.stat().st_mtime).parent
    texts: dict[str, str] = collections.defaultdict(str)
    for shard in sorted(made.glob("shard-*.parquet")):
        for document in pq.read_table(shard, columns=["text", "provenance"]).to_pylist():
            texts[document["provenance"]["file"]] += document["text"]
    refused = {}
    for path in made.glob("rejected/*.jsonl.zst"):
        with pa.input_stream(str(path), compression="zstd") as lines:
            for line in lines.read().decode().splitlines():
                one = json.loads(line)
                refused[one["file"]] = one["reason"]
    return texts, refused


def characters(text: str) -> collections.Counter:
    return collections.Counter(character for character in text if not character.isspace())


def main() -> None:
    bimed, folder, work = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    texts, refused = ours(bimed, folder, work)
    all_expected = all_found = 0
    for path in sorted(folder.glob("*.hwp")):
        expected = reference(path)
        if expected is None or path.name in refused:
            pyhwp = "refused" if expected is None else f"{sum(characters(expected).values())} characters"
            print(f"{path.name}: ours {refused.get(path.name, 'read')}, pyhwp {pyhwp}")
            continue
        wanted, got = characters(expected), characters(texts.get(path.name, ""))
        found, more = (wanted & got).total(), (got - wanted).total()
        all_expected, all_found = all_expected + wanted.total(), all_found + found
        if found != wanted.total() or more:
            lost = "".join(sorted((wanted - got).elements()))[:40]
            added = "".join(sorted((got - wanted).elements()))[:40]
            print(f"{path.name}: {found} of {wanted.total()}, {more} more; lost `{lost}`, more `{added}`")
    share = all_found / max(all_expected, 1)
    print(f"together: {all_found} of {all_expected} characters, {share:.2%}")


if __name__ == "__main__":
    main()
