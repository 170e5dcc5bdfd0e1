#!/usr/bin/env python3
"""What ptxas says of the PTX that CUDA_SOFTWARE_KEEP kept: a table, a row for each kind of kernel.

kernels.py PTXAS FOLDER... > table.md
"""

import collections
import concurrent.futures
import pathlib
import re
import subprocess
import sys


def assemble(ptxas, path):
    text = path.read_text()
    target = re.search(r"\.target (sm_\w+)", text).group(1)
    said = subprocess.run([ptxas, "-v", f"-arch={target}", "-o", "/dev/null", path], capture_output=True, text=True)
    found = {"target": target, "fails": said.stderr.strip().splitlines()[:1] if said.returncode else None}
    number = lambda pattern: int((re.search(pattern, said.stderr) or [0, 0])[1])
    found["registers"] = number(r"Used (\d+) registers")
    found["spill"] = number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")
    found["stack"] = number(r"(\d+) bytes stack frame")
    found["shared"] = number(r"(\d+) bytes smem")
    loads = re.findall(r"\b(?:ld|st)\.global[.\w:]*", text)
    found["wide"] = sum(".v" in load or "b128" in load for load in loads)
    found["narrow"] = sum(".v" not in load and bool(re.search(r"16$", load)) for load in loads)
    found["single"] = len(loads) - found["wide"] - found["narrow"]
    found["tensor"] = len(re.findall(r"\b(?:mma\.sync|wmma\.mma)", text))
    return found


def main():
    ptxas, folders = sys.argv[1], sys.argv[2:]
    paths = sorted(path for folder in folders for path in pathlib.Path(folder).glob("*.ptx"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda path: assemble(ptxas, path), paths))
    kinds = collections.defaultdict(list)
    for path, result in zip(paths, results):
        name = re.sub(r"-[0-9a-f]{16}\.ptx$", "", path.name)
        kinds[(re.sub(r"_[0-9a-f]{8}$", "", name), result["target"])].append(result)
    print("| kernel | target | PTX | registers | spilled bytes | stack | shared | loads and stores: 16-bit, other single, vector | tensor products |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for (name, target), found in sorted(kinds.items()):
        most = lambda what: max(result[what] for result in found)
        low, high = min(result["registers"] for result in found), most("registers")
        registers = str(low) if low == high else f"{low}-{high}"
        print(f"| {name} | {target} | {len(found)} | {registers} | {most('spill')} | {most('stack')} | {most('shared')} "
              f"| {most('narrow')}, {most('single')}, {most('wide')} | {most('tensor')} |")
    failed = [(path.name, result["fails"]) for path, result in zip(paths, results) if result["fails"]]
    print(f"\n{len(paths)} texts, {len(failed)} that ptxas refuses, {sum(result['spill'] > 0 for result in results)} that spill.")
    for name, why in failed:
        print(f"- {name}: {why}")
    sys.exit(bool(failed))


main()
