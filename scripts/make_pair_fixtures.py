#!/usr/bin/env python3
"""Writes `crates/eval/tests/fixtures/pair.safetensors` with `transformers` on the CPU.

    python scripts/make_pair_fixtures.py [OUT_FILE]

The body is the model of `crates/bert/fixtures/model` (2 layers, hidden 32, dropout 0) under
`BertForSequenceClassification` with one output and `problem_type="regression"`: the mean squared
error that `sts.pair_reg` trains. What it writes, all float32 (integers are exact there):
  input_ids, token_type_ids, attention_mask   [batch, seq]; four pairs of different lengths
  scores                                      [batch], 0 to 1
  classifier.weight, classifier.bias          the head, seeded
  answers                                     [batch]
  loss                                        the mean squared error
  grad.NAME                                   its gradient, not clipped
"""

import pathlib
import sys

import safetensors.torch
import torch
from transformers import BertForSequenceClassification

SEED = 20250102
LENGTHS = [24, 9, 17, 12]
SEQ = 24
PAD, CLS, SEP = 0, 2, 3
VOCAB = 120


def make_batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    input_ids = torch.full((len(LENGTHS), SEQ), PAD, dtype=torch.long)
    token_type_ids = torch.zeros_like(input_ids)
    attention_mask = torch.zeros_like(input_ids)
    for row, length in enumerate(LENGTHS):
        middle = length // 3 + row
        ids = torch.randint(5, VOCAB, (length,), generator=generator)
        ids[0], ids[middle], ids[-1] = CLS, SEP, SEP
        input_ids[row, :length] = ids
        token_type_ids[row, middle + 1 : length] = 1
        attention_mask[row, :length] = 1
    scores = torch.tensor([0.0, 0.76, 1.0, 0.32])
    return dict(
        input_ids=input_ids,
        token_type_ids=token_type_ids,
        attention_mask=attention_mask,
        scores=scores,
    )


def main() -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    default = root / "crates/eval/tests/fixtures/pair.safetensors"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    model = BertForSequenceClassification.from_pretrained(
        root / "crates/bert/fixtures/model",
        num_labels=1,
        problem_type="regression",
        attn_implementation="eager",
    )
    generator = torch.Generator().manual_seed(SEED + 1)
    with torch.no_grad():
        for parameter in (model.classifier.weight, model.classifier.bias):
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    model.train()  # dropout is 0: the same as `eval()`, with gradients
    batch = make_batch()
    inputs = {k: batch[k] for k in ("input_ids", "token_type_ids", "attention_mask")}
    output = model(**inputs, labels=batch["scores"])
    answers = output.logits[:, 0]
    assert torch.allclose(output.loss, ((answers - batch["scores"]) ** 2).mean())
    output.loss.backward()
    written = batch | dict(answers=answers, loss=output.loss)
    for name in ("classifier.weight", "classifier.bias"):
        written[name] = model.get_parameter(name)
    for name, parameter in model.named_parameters():
        written[f"grad.{name}"] = parameter.grad
    written = {k: v.detach().to(torch.float32).contiguous().clone() for k, v in written.items()}
    safetensors.torch.save_file(written, out, metadata={"format": "pt"})
    print(f"loss {output.loss.item():.6f}, answers {[round(a, 6) for a in answers.tolist()]}")


if __name__ == "__main__":
    main()
