#!/usr/bin/env python3
"""Holds our ids against the `tokenizers` and `transformers` packages, line by line.

    python scripts/compare_tokenizer.py fuzz TEXT OUT [--lines 200000]
    python scripts/compare_tokenizer.py compare TOKENIZER_DIR IDS FILE...

`fuzz` writes lines of TEXT with what breaks tokenizers put into them: decomposed Hangul, jamo, Hanja,
zero-width and control characters, full-width forms, units, words of 99 to 101 characters, emoji,
unassigned and private characters, special tokens and the mask token `[NAME]` spelled out. The same
TEXT gives the same OUT.

`compare` reads the ids that the example `parity` of `bimed-vocab` wrote for the same FILEs:

    cargo run --release -p bimed-vocab --example parity -- TOKENIZER_DIR IDS FILE...

and compares them with `AutoTokenizer` on the directory (transformers 4.57.1 with tokenizers 0.22.2,
5.23.0 with 0.23.3): IDS.text with `split_special_tokens=True`, IDS.ids without. `[CLS]` and `[SEP]`
are not put around a text. It also checks that `8㎎` and `8mg` have the same ids there. No text is
printed: a line is named by its number. Exit status 1 where one differs. `--only text|ids` compares
one of the two.
"""

import argparse
import array
import itertools
import os
import random
import sys
import unicodedata

EDGES = [
    "\u1111\u1168\u1105\u1167\u11b7",
    "\u1100\u1161\u11a8",
    "\u1161",
    "\u11a8",
    "\u314b\u314b",
    "肺炎",
    "豈",
    "\U0002b820",
    "\U0002f800",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\u00ad",
    "\u0000",
    "\u0007",
    "\u0085",
    "\u3000",
    "\u00a0",
    "\u2028",
    "ＣＴ　５％",
    "8㎎",
    "㎍/㎗",
    "36.5℃",
    "ﬁ",
    "½",
    "10⁹/L",
    "e\u0301",
    "e\u0323\u0302",
    "\u0300",
    "\u302e",
    "\u20dd",
    "É",
    "İ",
    "ß",
    "Σ",
    "😀",
    "👩\u200d⚕\ufe0f",
    "\U0001f1f0\U0001f1f7",
    "\u0378",
    "\ue000",
    "\U000f0000",
    "[UNK",
    "[UNK]",
    "[CLS]",
    "[SEP]상",
    "CT[MASK]",
    "[PAD] [MASK]",
    "[NAME]님",
    "[NAME][MASK]",
    "[mask]",
    "[Ｍask]",
    "[MA\u200bSK]",
    "##상",
    "___",
    "ab" * 49 + "x",
    "ab" * 50,
    "ab" * 50 + "x",
    "폐" * 100,
    "폐" * 101,
]


def fuzzed(line: str, draw: random.Random) -> str:
    """`line` decomposed in a tenth of the cases, with one to three edges put in anywhere."""
    if draw.random() < 0.1:
        line = unicodedata.normalize("NFD", line)
    for _ in range(draw.randint(1, 3)):
        at = draw.randint(0, len(line))
        line = line[:at] + draw.choice(EDGES) + line[at:]
    return line


def lines_of(path: str):
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            # As Rust's `lines`: a line feed, or a carriage return before one.
            yield line.removesuffix("\n").removesuffix("\r")


def fuzz(text: str, out: str, count: int):
    draw = random.Random(1)
    lines = [line for line in lines_of(text) if len(line) < 2000]
    step = max(1, len(lines) // count)
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        for line in itertools.islice(lines[::step], count):
            file.write(fuzzed(line, draw).replace("\n", " ").replace("\r", " ") + "\n")


def ids_of(path: str):
    with open(path, "rb") as file:
        while head := file.read(4):
            ids = array.array("I")
            ids.fromfile(file, int.from_bytes(head, "little"))
            yield ids.tolist()


def compare(directory: str, ids: str, files: list[str], modes: list[str]) -> int:
    os.environ["HF_HUB_OFFLINE"] = "1"  # a directory: nothing is to be fetched
    import tokenizers
    import transformers

    auto = transformers.AutoTokenizer.from_pretrained(directory)
    print(f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}")
    unit = [auto(text, add_special_tokens=False)["input_ids"] for text in ("8㎎", "8mg")]
    same = unit[0] == unit[1] and auto.unk_token_id not in unit[0]
    print(f"{'ok  ' if same else 'FAIL'}  8㎎ and 8mg: {unit[0]} {unit[1]}")
    failed = not same
    for mode in modes:
        print(f"special tokens as {mode}")
        expected = ids_of(f"{ids}.{mode}")
        for path in files:
            failed |= compare_file(auto, expected, path, mode == "text")
        if next(expected, None) is not None:
            print("FAIL  there are ids of more lines")
            failed = True
    return 1 if failed else 0


def compare_file(auto, expected, path: str, split_special_tokens: bool) -> bool:
    """Whether a line of the file at `path` has other ids than `expected` gives."""
    total = differing = 0
    lines = lines_of(path)
    while batch := list(itertools.islice(lines, 4096)):
        found = auto(
            batch,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            split_special_tokens=split_special_tokens,
        )["input_ids"]
        for theirs in found:
            total += 1
            if next(expected) != theirs:
                differing += 1
                print(f"FAIL  {path}: line {total}")
    print(f"{'FAIL' if differing else 'ok  '}  {path}: {total} lines, {differing} differ", flush=True)
    return differing > 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("fuzz")
    one.add_argument("text")
    one.add_argument("out")
    one.add_argument("--lines", type=int, default=200_000)
    two = commands.add_parser("compare")
    two.add_argument("directory")
    two.add_argument("ids")
    two.add_argument("files", nargs="+")
    two.add_argument("--only", choices=["text", "ids"])
    arguments = parser.parse_args()
    if arguments.command == "fuzz":
        fuzz(arguments.text, arguments.out, arguments.lines)
        return 0
    modes = [arguments.only] if arguments.only else ["text", "ids"]
    return compare(arguments.directory, arguments.ids, arguments.files, modes)


if __name__ == "__main__":
    sys.exit(main())
