"""The corpus builder beside datatrove: the same files, exact and MinHash deduplication, writer.

    pip install "datatrove[io]==0.10.1" spacy==3.8.18 xxhash==3.5.0 regex tokenizers tldextract
    python3 scripts/compare_corpus.py NOTES.jsonl WORK --bimed "target/release/examples/build_corpus" [--tasks 2]

NOTES.jsonl is what `scripts/make_notes.py` writes. datatrove: JsonlReader → MinhashDedupSignature (14
bands of 8, 5-grams of words) → buckets → cluster → filter → JsonlWriter; it has no exact deduplication
apart, of which the MinHash one is a superset. It verifies no candidate, and leaves out punctuation. bimed: reader → normalisation, language, sentences →
exact and MinHash deduplication (14 bands of 8, 5-grams of words, verified) → writer; identifiers are
looked for too. Prints a table of wall time, processor time and peak memory, of whole trees of
processes.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

DATATROVE = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig
from datatrove.utils.typeshelper import Languages
from datatrove.utils.text import TextNormConfig

if __name__ == "__main__":
    notes, work, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3])
    config = MinhashConfig(
        n_grams=5, num_buckets=14, hashes_per_bucket=8,
        hash_config=HashConfig(precision=64), norm_config=TextNormConfig(norm_numbers=False),
    )
    reader = lambda: JsonlReader(notes, glob_pattern="*.jsonl")
    steps = [
        (tasks, [reader(), MinhashDedupSignature(f"{work}/sig", config=config, language=Languages.english)]),
        (14, [MinhashDedupBuckets(f"{work}/sig", f"{work}/buckets", config=config)]),
        (1, [MinhashDedupCluster(f"{work}/buckets", f"{work}/remove", config=config)]),
        (tasks, [reader(), MinhashDedupFilter(f"{work}/remove"), JsonlWriter(f"{work}/out")]),
    ]
    for number, (count, pipeline) in enumerate(steps):
        LocalPipelineExecutor(
            pipeline, tasks=count, workers=tasks, logging_dir=f"{work}/logs-{number}", skip_completed=False,
        ).run()
"""


def measured(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Wall and processor seconds, and the peak memory, of the whole tree, sampled."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak, ticks = 0, {}
    while process.poll() is None:
        sizes = 0
        for pid in tree(process.pid):
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
                sizes += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except (FileNotFoundError, ProcessLookupError):
                continue
            user, system = stat.rsplit(")", 1)[1].split()[11:13]
            ticks[pid] = int(user) + int(system)
        peak = max(peak, sizes)
        time.sleep(0.05)
    wall = time.monotonic() - began
    if process.returncode:
        sys.exit(f"{command[0]}: {process.stderr.read().decode(errors='replace')[-2000:]}")
    return {"wall": wall, "cpu": sum(ticks.values()) / os.sysconf("SC_CLK_TCK"), "peak": peak}


def tree(root: int) -> list[int]:
    """A process and all below it. Pages that they share count in each."""
    found, open_pids = [], [root]
    while open_pids:
        pid = open_pids.pop()
        found.append(pid)
        try:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                open_pids += map(int, (thread / "children").read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("notes", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--bimed", required=True, help="the example `build_corpus`")
    parser.add_argument("--tasks", type=int, default=2)
    parser.add_argument("--without-datatrove", action="store_true")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    arguments.work.mkdir(parents=True)
    size = arguments.notes.stat().st_size / 1e6
    rows = []
    source = {
        "name": "notes", "path": arguments.notes.name, "format": "jsonl", "licence": "generated",
        "text": ["text"], "id": "id", "group": "patient", "domain": "medical", "genre": "note",
    }
    sources = arguments.work / "sources.json"
    sources.write_text(json.dumps([source]))
    for threads in arguments.threads:
        out = arguments.work / f"bimed-{threads}"
        command = shlex.split(arguments.bimed) + [str(sources), str(arguments.notes.parent), str(out)]
        # As the program itself does: pages that were freed are kept.
        environment = os.environ | {"RAYON_NUM_THREADS": str(threads), "MIMALLOC_PURGE_DELAY": "-1"}
        rows.append((f"bimed, {threads} threads", measured(command, environment)))
    if not arguments.without_datatrove:
        split = arguments.work / "split"
        split.mkdir()
        parts = [(split / f"{number}.jsonl").open("w") for number in range(arguments.tasks)]
        for number, line in enumerate(arguments.notes.open()):
            parts[number % arguments.tasks].write(line)
        for part in parts:
            part.close()
        script = arguments.work / "datatrove_run.py"
        script.write_text(DATATROVE)
        command = [sys.executable, str(script), str(split), str(arguments.work / "datatrove"), str(arguments.tasks)]
        rows.append((f"datatrove, {arguments.tasks} workers", measured(command, dict(os.environ))))
    print("| Tool | wall s | processor s | MB/s wall | MB/s a processor | peak MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, row in rows:
        wall, cpu, peak = row["wall"], row["cpu"], row["peak"] / 1e6
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {size / wall:.1f} | {size / cpu:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
