"""Trains a WordPiece vocabulary with Hugging Face `tokenizers` and with ours on the same text.

    pip install tokenizers==0.23.2
    cargo build --release -p bimed-vocab --examples
    target/release/examples/generate big.txt 1000000000 14000000 WORDS…
    python scripts/compare_vocab.py --ours target/release/examples/train big.txt

Each training is a process of its own, with `--threads` threads, an address space of `--memory-gb` and
`--seconds` at most. Prints a JSON object a training: seconds and peak resident memory of the whole
process, and how it ended. Theirs normalises (NFC, `BertNormalizer`, cased) and splits
(`BertPreTokenizer`) as ours does, but for the folding table and the barrier between scripts.
"""

import argparse
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile
import time


def train_theirs(path, size):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    bert = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), bert])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, special_tokens=specials, show_progress=False
    )
    tokenizer.train([path], trainer)
    print(tokenizer.get_vocab_size(), "rows")


def measure(name, command, path, args):
    """Runs `command` within its limits; its seconds, its peak memory and its end."""

    def limit():
        size = args.memory_gb << 30
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    threads = str(args.threads)
    environment = os.environ | {"RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "true"}
    start = time.monotonic()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env=environment, preexec_fn=limit, stdout=log, stderr=log
        )
        signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.alarm(args.seconds)
        _, status, usage = os.wait4(process.pid, 0)
        signal.alarm(0)
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()
    code = os.waitstatus_to_exitcode(status)
    ended = {0: "done", -signal.SIGKILL: f"stopped after {args.seconds} s"}
    return {
        "trainer": name,
        "bytes": os.path.getsize(path),
        "seconds": round(time.monotonic() - start, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "ended": ended.get(code, f"failed with {code}"),
        "said": said[-1][-200:] if said else "",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", help="texts, one document a line")
    parser.add_argument("--ours", type=pathlib.Path, help="the example `train`, built")
    parser.add_argument("--size", type=int, default=45000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=1200)
    parser.add_argument("--memory-gb", type=int, default=8)
    parser.add_argument("--only", choices=["ours", "theirs"])
    parser.add_argument("--train-theirs", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.train_theirs:
        return train_theirs(args.files[0], args.size)
    with tempfile.TemporaryDirectory() as out:
        for path in args.files:
            ours = [str(args.ours), out, str(args.size), path]
            theirs = [sys.executable, __file__, "--train-theirs", "--size", str(args.size), path]
            for name, command in [("ours", ours), ("theirs", theirs)]:
                if args.only in (None, name):
                    print(json.dumps(measure(name, command, path, args)), flush=True)


if __name__ == "__main__":
    main()
