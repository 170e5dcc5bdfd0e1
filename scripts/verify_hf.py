#!/usr/bin/env python3
"""Loads an exported model in `transformers` (4.57 or 5.x) and compares it with what `bimed` computes.

    python scripts/verify_hf.py MODEL_DIR [--texts FILE] [--reference FILE] [--write-reference FILE]
                                          [--tolerance 1e-4] [--positions 16] [--json FILE]

The reference comes from `bimed`, on the same texts:

    bimed inspect MODEL_DIR --dump-reference FILE --texts scripts/verify_texts.json [--states N]

Texts: a JSON array of strings; by default `verify_texts.json` beside this file (64 of them: Korean,
English, code-mixed, decomposed Hangul, empty, longer than 512 tokens).

Reference: a safetensors file, all `F32` (integers are exact there), one set for each text number i:
    ids.<i>      [seq]           token ids with [CLS] and [SEP], cut to `max_position_embeddings`
    hidden.<i>   [seq, hidden]   last hidden state; token types are all 0, nothing is padded
    pooler.<i>   [hidden]        after tanh
    logits.<i>   [n, vocab]      MLM logits of the first n <= seq positions
A tensor that the model has no part for (pooler, MLM head) is left out; `ids` are required for every
text, the states for the first N, so that a file of 10,000 lines can be compared by its ids. `--write-reference` writes one from this side, so that two versions of `transformers` can
be held against each other too.

What is checked (exit status 1 where one fails):
  load        no missing, unexpected or mismatched tensor, but for whole heads that the file lacks
  bytes       every tensor in memory equals the file bit for bit, in two loads
  outputs     two loads give the same hidden states bit for bit
  vocabulary  rows == config.vocab_size == len(tokenizer); model_max_length is the model's
  tokenizer   AutoTokenizer gives the ids of tokenizer.json itself: its config overrides nothing
  ids         equal to the reference's, text by text
  states      hidden, pooler and logits within the tolerance of the reference's (largest |difference|)
  card        the hub's own reader finds in README.md's `model-index` the figures of eval_results.json
  controls    the tanh GELU and an epsilon of 1e-5 must NOT be within the tolerance
No text is printed: a text is named by its number.
"""

import argparse
import json
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # the model is a directory: nothing is to be fetched

import numpy
import torch
import transformers
from huggingface_hub import ModelCard
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import AutoTokenizer, BertForPreTraining, BertConfig

PARTS = {
    "pooler": "bert.pooler.",
    "logits": "cls.predictions.",
    "nsp": "cls.seq_relationship.",
}
TIED = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}


class Report:
    """Collects named checks."""

    def __init__(self):
        self.checks = []

    def check(self, name: str, passed: bool, detail: str):
        self.checks.append(dict(name=name, passed=bool(passed), detail=detail))
        print(f"{'ok  ' if passed else 'FAIL'}  {name:<12} {detail}")

    def failed(self) -> bool:
        return any(not check["passed"] for check in self.checks)


def canonical(name: str) -> str:
    """The name inside `BertForPreTraining` of a tensor of the file."""
    return name if name.startswith(("bert.", "cls.")) else f"bert.{name}"


def file_tensors(directory: pathlib.Path) -> dict[str, torch.Tensor]:
    with safe_open(directory / "model.safetensors", "pt") as file:
        return {canonical(key): file.get_tensor(key) for key in file.keys()}


def load(directory: pathlib.Path, **changes):
    config = BertConfig.from_pretrained(directory, **changes)
    config._attn_implementation = "eager"
    model, info = BertForPreTraining.from_pretrained(
        directory, config=config, output_loading_info=True, dtype=torch.float32
    )
    return model.eval(), info


def outputs(model, batch_ids, positions: int) -> list[dict[str, numpy.ndarray]]:
    """One text at a time, so that nothing is padded."""
    results = []
    with torch.no_grad():
        for ids in batch_ids:
            hidden, pooled = model.bert(torch.tensor([ids]), return_dict=False)[:2]
            logits = model.cls.predictions(hidden[:, :positions])
            results.append(
                dict(hidden=hidden[0].numpy(), pooler=pooled[0].numpy(), logits=logits[0].numpy())
            )
    return results


def check_load(report, directory, model, info, tensors) -> set[str]:
    """Returns the parts that the file has."""
    parts = {part for part, prefix in PARTS.items() if any(k.startswith(prefix) for k in tensors)}
    absent = tuple(prefix for part, prefix in PARTS.items() if part not in parts)
    missing = {k for k in info["missing_keys"] if k not in TIED and not (absent and k.startswith(absent))}
    unexpected = {k for k in info["unexpected_keys"] if not k.endswith(("position_ids", "token_type_ids"))}
    wrong = sorted(missing) + sorted(unexpected) + sorted(map(str, info["mismatched_keys"]))
    detail = f"{len(tensors)} tensors, parts: encoder {' '.join(sorted(parts))}"
    report.check("load", not wrong, f"{detail}; wrong: {wrong}" if wrong else detail)
    return parts


def check_bytes(report, directory, model, tensors):
    again, _ = load(directory)
    differing = []
    for loaded in (model, again):
        state = loaded.state_dict()
        for name, tensor in tensors.items():
            if name.endswith(("position_ids", "token_type_ids")):
                continue
            same = name in state and torch.equal(
                state[name].view(torch.int32), tensor.float().view(torch.int32)
            )
            if not same:
                differing.append(name)
    tied = (
        model.cls.predictions.decoder.weight.data_ptr()
        == model.bert.embeddings.word_embeddings.weight.data_ptr()
    )
    report.check("bytes", not differing and tied, f"differing: {differing[:4]}, decoder tied: {tied}")
    return again


def encode(report, directory, model, texts) -> list[list[int]] | None:
    if not any((directory / name).exists() for name in ("tokenizer.json", "vocab.txt")):
        print("skip  tokenizer    the directory has no tokenizer: ids are taken from the reference")
        return None
    tokenizer = AutoTokenizer.from_pretrained(directory)
    most = model.config.max_position_embeddings
    rows = model.bert.embeddings.word_embeddings.weight.shape[0]
    sizes = (rows, model.config.vocab_size, len(tokenizer))
    limit = tokenizer.model_max_length
    report.check(
        "vocabulary",
        len(set(sizes)) == 1 and limit == most,
        f"rows, vocab_size, len(tokenizer): {sizes}; model_max_length {limit}, positions {most}",
    )
    ids = [tokenizer(text, truncation=True, max_length=most)["input_ids"] for text in texts]
    if (directory / "tokenizer.json").exists():
        from tokenizers import Tokenizer

        plain = Tokenizer.from_file(str(directory / "tokenizer.json"))
        plain.no_padding()
        plain.enable_truncation(most)
        differing = [i for i, text in enumerate(texts) if plain.encode(text).ids != ids[i]]
        names = set(tokenizer.model_input_names)
        report.check(
            "tokenizer",
            not differing and "token_type_ids" in names,
            f"{type(tokenizer).__name__}, texts that differ from tokenizer.json: {differing[:20]}, "
            f"inputs {sorted(names)}, longest {max(map(len, ids))} ids",
        )
    return ids


def read_reference(path: pathlib.Path, count: int) -> tuple[list[list[int]], list[dict]]:
    ids, states = [], []
    with safe_open(path, "np") as file:
        names = set(file.keys())
        for i in range(count):
            if f"ids.{i}" not in names:
                sys.exit(f"{path}: found no `ids.{i}`, expected them for {count} texts")
            ids.append([int(x) for x in file.get_tensor(f"ids.{i}")])
            kinds = ("hidden", "pooler", "logits")
            found = {k: file.get_tensor(f"{k}.{i}") for k in kinds if f"{k}.{i}" in names}
            if found and len(states) == i:
                states.append(found)
    if not states:
        sys.exit(f"{path}: found no `hidden.0`, expected the states of the first texts")
    return ids, states


def largest(found: list[dict], expected: list[dict], kind: str) -> tuple[float, int]:
    """The largest |difference| of `kind` and the number of its text; -1 where none has it."""
    worst, where = 0.0, -1
    for i, (a, b) in enumerate(zip(found, expected)):
        if kind not in a or kind not in b:
            continue
        a, b = a[kind], b[kind]
        if kind == "logits":
            a, b = a[: len(b)], b[: len(a)]
        if a.shape != b.shape:
            return float("inf"), i
        difference = float(numpy.abs(a.astype(numpy.float64) - b).max(initial=0.0))
        if numpy.isnan(difference):
            return float("inf"), i
        if difference > worst or where < 0:
            worst, where = difference, i
    return worst, where


def check_states(report, found, expected, parts, tolerance):
    for kind in ("hidden", "pooler", "logits"):
        if kind != "hidden" and kind not in parts:
            continue
        have = sum(kind in states for states in expected)
        worst, where = largest(found, expected, kind)
        report.check(
            kind,
            have == len(expected) and worst <= tolerance,
            f"largest |difference| {worst:.3e} (text {where}), in {have} of {len(expected)} texts",
        )


def check_controls(report, directory, batch_ids, expected, parts, tolerance, positions):
    kinds = [k for k in ("hidden", "pooler", "logits") if k == "hidden" or k in parts]
    for name, changes in (
        ("tanh GELU", dict(hidden_act="gelu_pytorch_tanh")),
        ("eps 1e-5", dict(layer_norm_eps=1e-5)),
    ):
        changed, _ = load(directory, **changes)
        states = outputs(changed, batch_ids, positions)
        worst = {kind: largest(states, expected, kind)[0] for kind in kinds}
        shown = ", ".join(f"{kind} {value:.3e}" for kind, value in worst.items())
        report.check("control", max(worst.values()) > tolerance, f"{name} must differ: {shown}")


def check_card(report, directory):
    """The card as the hub reads it, held against what the evaluation left."""
    card = ModelCard.load(directory / "README.md").data
    if not (directory / "eval_results.json").exists():
        report.check("card", card.eval_results is None, f"{card.language}, nothing was evaluated")
        return
    results = json.loads((directory / "eval_results.json").read_text(encoding="utf-8"))
    arm = json.loads((directory / "training_manifest.json").read_text(encoding="utf-8"))["arm"]
    expected = {
        (row["task"], row.get("split"), f"{row['metric']} ({row['protocol']})"): row["value"]
        for row in results["rows"]
        if row["model"] == arm and not row.get("part") and row["value"] is not None
    }
    found = {
        (one.dataset_name, one.dataset_split, one.metric_name): one.metric_value
        for one in card.eval_results or []
    }
    metrics = sorted({one.metric_type for one in card.eval_results or []})
    same = bool(found) and found == expected and metrics == card.metrics
    report.check("card", same, f"{card.language}, {len(found)} figures, {len(expected)} expected, {metrics}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", type=pathlib.Path)
    here = pathlib.Path(__file__).resolve().parent
    parser.add_argument("--texts", type=pathlib.Path, default=here / "verify_texts.json")
    parser.add_argument("--reference", type=pathlib.Path)
    parser.add_argument("--write-reference", type=pathlib.Path)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--positions", type=int, default=16, help="MLM logits of this many positions")
    parser.add_argument("--json", type=pathlib.Path, help="also write the checks there")
    arguments = parser.parse_args()

    transformers.logging.set_verbosity_error()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")
    texts = json.loads(arguments.texts.read_text(encoding="utf-8"))
    report = Report()
    tensors = file_tensors(arguments.model)
    model, info = load(arguments.model)
    parts = check_load(report, arguments.model, model, info, tensors)
    again = check_bytes(report, arguments.model, model, tensors)

    check_card(report, arguments.model)

    batch_ids = encode(report, arguments.model, model, texts)
    reference = None
    if arguments.reference:
        reference_ids, reference = read_reference(arguments.reference, len(texts))
        if batch_ids is not None:
            differing = [i for i, ids in enumerate(batch_ids) if ids != reference_ids[i]]
            report.check("ids", not differing, f"{len(texts)} texts, {len(differing)} differ {differing[:20]}")
        batch_ids = reference_ids[: len(reference)]  # so that states are compared on equal input
    if batch_ids is None:
        sys.exit("found no tokenizer and no --reference, expected one of them")

    states = outputs(model, batch_ids, arguments.positions)
    same = all(
        a[kind].tobytes() == b[kind].tobytes()
        for a, b in zip(states, outputs(again, batch_ids, arguments.positions))
        for kind in a
        if kind == "hidden" or kind in parts  # a head that the file lacks is new in each load
    )
    report.check("outputs", same, "two loads agree bit for bit" if same else "two loads differ")
    if reference is not None:
        check_states(report, states, reference, parts, arguments.tolerance)
    expected = reference if reference is not None else states
    check_controls(
        report, arguments.model, batch_ids, expected, parts, arguments.tolerance, arguments.positions
    )
    if arguments.write_reference:
        written = {}
        for i, (ids, state) in enumerate(zip(batch_ids, states)):
            written[f"ids.{i}"] = numpy.array(ids, dtype=numpy.float32)
            written |= {
                f"{k}.{i}": v.copy() for k, v in state.items() if k == "hidden" or k in parts
            }
        save_file(written, arguments.write_reference)
    if arguments.json:
        result = dict(transformers=transformers.__version__, torch=torch.__version__)
        result |= dict(tolerance=arguments.tolerance, checks=report.checks)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(1 if report.failed() else 0)


if __name__ == "__main__":
    main()
