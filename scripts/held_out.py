#!/usr/bin/env python3
"""The held-out figures of pretraining logs as a table, with all languages together.

    python scripts/held_out.py LOG.jsonl...

Of each log the first and the last validation: nats a masked token and bits a character by language, and
`all`, which weighs the languages by masked tokens, and by their characters.
"""

import json
import sys


def mean(languages, figure, weight):
    """The mean of `figure` over languages, each as heavy as its `weight`."""
    total = sum(one[weight] for one in languages)
    return sum(one[figure] * one[weight] for one in languages) / total


def rows(path):
    with open(path, encoding="utf-8") as file:
        records = [record for record in map(json.loads, file) if record["kind"] == "validation"]
    for record in dict.fromkeys((0, len(records) - 1)):
        found = records[record]["languages"]
        languages = list(found.values())
        loss = [one["loss"] for one in languages]
        bits = [one["bits_per_character"] for one in languages]
        loss.append(mean(languages, "loss", "predictions"))
        bits.append(mean(languages, "bits_per_character", "chars"))
        yield records[record]["step"], [*found, "all"], loss + bits


def main():
    for number, path in enumerate(sys.argv[1:]):
        for at, (step, names, figures) in enumerate(rows(path)):
            if number == at == 0:
                columns = [f"loss {name}" for name in names] + [f"bits {name}" for name in names]
                print("| log | step | " + " | ".join(columns) + " |")
                print("|---|--:|" + "--:|" * len(columns))
            print(f"| {path} | {step} | " + " | ".join(f"{one:.3f}" for one in figures) + " |")


if __name__ == "__main__":
    main()
