"""Parquet both ways, beside pyarrow: its tables are read by bimed, and bimed's are read by it.

    pip install pyarrow==22.0.0
    cargo build --release -p bimed-cli --features parquet
    python3 scripts/check_parquet.py target/release/bimed WORK

Writes tables of made-up notes in the forms that pyarrow has (codecs, page versions, dictionaries, sizes
of row groups, lists beside), builds a corpus of each, as Parquet too, and compares the texts of what
pyarrow reads there with those that it wrote. Ends with 1 where a text differs.
"""

import datetime
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 3000
FORMS = {
    "plain": {"compression": "none", "use_dictionary": False},
    "snappy": {"compression": "snappy", "row_group_size": 700},
    "zstd": {"compression": "zstd", "row_group_size": 100},
    "gzip": {"compression": "gzip"},
    "brotli": {"compression": "brotli"},
    "lz4": {"compression": "lz4"},
    "pages of version 2": {"compression": "zstd", "data_page_version": "2.0"},
    "small pages": {"compression": "snappy", "data_page_size": 2048, "write_page_index": True},
    "old times": {"compression": "snappy", "use_deprecated_int96_timestamps": True},
}


def table() -> pa.Table:
    start = datetime.datetime(2180, 5, 6, 9, 30)
    text = "환자 {0}번은 chest CT를 시행하였고 결절 {0}개가 보였다. No acute finding, {0} mg/dL."
    notes = [None if row % 50 == 3 else text.format(row) for row in range(ROWS)]
    return pa.table(
        {
            "note_id": pa.array(range(ROWS), pa.int64()),
            "subject_id": pa.array([f"p{row // 10}" for row in range(ROWS)]).dictionary_encode(),
            "charttime": pa.array([start + datetime.timedelta(hours=row) for row in range(ROWS)], pa.timestamp("us")),
            "text": pa.array(notes, pa.large_string()),
            "codes": pa.array([["a", "b"][: row % 3] for row in range(ROWS)]),
        }
    )


def experiment(work: Path, data: Path) -> Path:
    path = work / f"{data.stem}.toml"
    path.write_text(
        f"""
[experiment]
name = "parquet"
seed = 1
output = "runs"
store = "store"

[[corpus.source]]
name = "notes"
path = "{data}"
format = "parquet"
text = ["text"]
id = "note_id"
group = "subject_id"
time = "charttime"
licence = "none"

[corpus]
deduplicate = {{ exact = false, near = false }}
shard = {{ parquet = true, shard_bytes = 100000 }}
""",
        encoding="utf-8",
    )
    return path


def check(bimed: str, work: Path, name: str, options: dict) -> bool:
    written = table()
    data = work / f"{name.replace(' ', '-')}.parquet"
    pq.write_table(written, data, **options)
    before = set(work.glob("store/corpus/*"))
    done = subprocess.run([bimed, "corpus", experiment(work, data)], capture_output=True, text=True)
    made = sorted(set(work.glob("store/corpus/*/manifest.json")) - {one / "manifest.json" for one in before})
    if done.returncode != 0 or len(made) != 1:
        print(f"{name}: bimed corpus ended with {done.returncode}: {done.stderr[-600:]}")
        return False
    read = pa.concat_tables(pq.read_table(path) for path in sorted(made[0].parent.glob("shard-*.parquet")))
    expected = [text for text in written["text"].to_pylist() if text is not None]
    texts = read["text"].to_pylist()
    rows = [row for row, text in enumerate(written["text"].to_pylist()) if text is not None]
    is_equal = texts == expected and [one["record"] for one in read["provenance"].to_pylist()] == rows
    for document in read.to_pylist():
        length = len(document["text"].encode())
        sentences = document["sentences"]
        is_equal &= document["num_chars"] == len(document["text"])
        is_equal &= sentences[0]["start"] == 0 and sentences[-1]["end"] == length
    groups = len(set(read["split_group"].to_pylist()))
    is_equal &= groups == ROWS // 10
    print(f"{name}: {len(texts)} of {len(expected)} texts, {groups} groups: {'equal' if is_equal else 'DIFFERENT'}")
    return is_equal


def main() -> None:
    bimed, work = sys.argv[1], Path(sys.argv[2]).resolve()
    work.mkdir(parents=True, exist_ok=True)
    results = [check(bimed, work, name, options) for name, options in FORMS.items()]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
