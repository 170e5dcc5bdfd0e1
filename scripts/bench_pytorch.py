"""Tokens a second of one PyTorch training step, beside `crates/train/examples/throughput.rs`.

    python scripts/bench_pytorch.py [LAYERS HIDDEN HEADS VOCAB BINS LENGTH STEPS]

The same shapes and defaults (6 384 12 30522 16 128 5), f32 on the CPU, dropout 0.1, 15 % masked,
AdamW with decay on weights alone, clipping at 1. Two forms take turns, and the median step of each
is shown: `stock` is Hugging Face's BertForMaskedLM as it is, logits at every position; `masked`
gives its head the masked rows alone, as `bimed` does. Versions: scripts/requirements.txt.
"""

import statistics
import sys
import time

import torch
from transformers import BertConfig, BertForMaskedLM


def optimizer_of(model):
    plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-4, eps=1e-6)


def step(model, optimizer, ids, labels, masked_only):
    optimizer.zero_grad(set_to_none=True)
    if masked_only:
        hidden = model.bert(ids).last_hidden_state
        chosen = labels != -100
        loss = torch.nn.functional.cross_entropy(model.cls(hidden[chosen]), labels[chosen])
    else:
        loss = model(ids, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def main():
    given = [int(argument) for argument in sys.argv[1:]]
    layers, hidden, heads, vocab, bins, length, steps = given + [6, 384, 12, 30522, 16, 128, 5][len(given):]
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=vocab, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * hidden, max_position_embeddings=length,
    )
    ids = torch.randint(5, vocab, (bins, length))
    labels = torch.full_like(ids, -100)
    count = length * 15 // 100
    for row in range(bins):
        places = torch.randperm(length)[:count]
        labels[row, places] = torch.randint(5, vocab, (count,))
    runs = {}
    for name, masked_only in (("stock", False), ("masked", True)):
        model = BertForMaskedLM(config).train()
        runs[name] = (model, optimizer_of(model), masked_only, [])
    for number in range(steps + 1):
        for model, optimizer, masked_only, times in runs.values():
            began = time.perf_counter()
            step(model, optimizer, ids, labels, masked_only)
            if number:
                times.append(time.perf_counter() - began)
    for name, (_, _, _, times) in runs.items():
        median = statistics.median(times)
        print(f"{name:<10} {bins * length / median:8.0f} tokens/s, {median:.3f} s a step, "
              f"torch {torch.__version__}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
