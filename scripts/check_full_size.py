#!/usr/bin/env python3
"""Checks parameter counts at the real shapes, from files that the real `torch` and `tensorflow` wrote.

    python scripts/check_full_size.py BIMED WORK_DIR --torch PYTHON --tensorflow PYTHON [--only NAME …]

For each of five vocabularies (KM-BERT, KM-BERT-vocab, BioBERT, M-BERT, the bilingual models) it has
`make_checkpoint_fixtures.py --base` write the model with random weights in every published form,
runs `bimed inspect --json` on it, and compares the parameters with those of `BertModel` (with its
pooler), `BertForPreTraining` and `BertForMaskedLM` (without). Each form is removed before the next is
written: WORK_DIR needs about 2 GB, memory about 4 GB. Exit status 1 where a count differs.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

# Rows, then the three counts: those of the published checkpoints.
EXPECTED = {
    "KM-BERT": (16_424, 98_654_976, 99_265_066, 98_672_936),
    "KM-BERT-vocab": (26_986, 106_766_592, 107_387_244, 106_795_114),
    "BioBERT": (28_996, 108_310_272, 108_932_934, 108_340_804),
    "M-BERT": (119_547, 177_853_440, 178_566_653, 177_974_523),
    "bi-*": (45_000, 120_601_344, 121_240_010, 120_647_880),
}
FORMS = {"legacy": "torch", "zip": "torch", "expected": "torch", "tensorflow": "tensorflow"}


def counts(bimed: str, path: pathlib.Path) -> tuple:
    shown = subprocess.run([bimed, "inspect", path, "--json"], check=True, capture_output=True, text=True).stdout
    model = json.loads(shown)["model"]
    parts = model["parameters"]
    encoder = parts["embeddings"] + parts["encoder layers"]
    bare = encoder + parts["pooler"]
    if "MLM head" not in parts:
        return model["weights"]["format"], bare, None, None
    return model["weights"]["format"], bare, model["num_parameters"], encoder + parts["MLM head"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bimed")
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--torch", required=True, help="a Python that has torch and safetensors")
    parser.add_argument("--tensorflow", required=True, help="a Python that has tensorflow")
    parser.add_argument("--only", nargs="*", choices=list(EXPECTED))
    arguments = parser.parse_args()
    script = pathlib.Path(__file__).resolve().with_name("make_checkpoint_fixtures.py")
    failed = False
    for name in arguments.only or EXPECTED:
        rows, *expected = EXPECTED[name]
        for form, library in FORMS.items():
            python = getattr(arguments, library)
            subprocess.run([python, script, library, arguments.work, "--base", "--vocab-size", str(rows),
                            "--only", form], check=True, capture_output=True)
            kind, *found = counts(arguments.bimed, arguments.work / form)
            equal = all(a == b for a, b in zip(found, expected) if a is not None)
            failed |= not equal
            print(f"{'ok  ' if equal else 'FAIL'}  {name:<14} {form:<11} {kind:<12}", *found, flush=True)
            shutil.rmtree(arguments.work / form)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
