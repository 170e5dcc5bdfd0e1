"""One PyTorch training step, beside `crates/train/examples/throughput.rs` on the same shapes.

    python scripts/bench_pytorch.py --device cuda --layers 12 --hidden 768 --heads 12 \
        --vocab 45000 --bins 512 --length 128 --steps 20 --json peers.json

Forms take turns in one process, and each one's median step, peak memory and MFU are shown:

* `stock`: Hugging Face's BertForMaskedLM as it is, SDPA, logits at every position;
* `compiled`: the same under `torch.compile`;
* `masked`: `stock` with the masked rows alone given to the head;
* `strongest`: masked rows alone, samples packed without padding through a variable-length attention
  kernel, fused AdamW, all of it compiled. (CUDA; its attention kernel has no dropout, so it has the
  least work of all.)

On CUDA, bf16 under autocast over f32 weights; on the CPU f32. Dropout 0.1, 15 % masked, AdamW with
decay on weights alone, clipping at 1, in every form. Each bin holds samples whose lengths are a
function of its number, 8 to the bin's length: `--whole` gives every bin one sample. A form that
fails is named with its error, and the others go on. Versions: scripts/requirements.txt.
"""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F
from transformers import BertConfig, BertForMaskedLM

DROPOUT = 0.1
MASKED = 0.15


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    for name, default in (("layers", 6), ("hidden", 384), ("heads", 12), ("vocab", 30522),
                          ("bins", 16), ("length", 128), ("steps", 5), ("warmup", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--forms", default="stock,compiled,masked,strongest")
    parser.add_argument("--whole", action="store_true", help="one sample a bin")
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="dense bf16, of the data sheet")
    parser.add_argument("--profile", action="store_true", help="the kernels of one step of each form")
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args()


def lengths_of(bin_number, length, whole):
    """The samples of a bin: together `length` tokens."""
    if whole:
        return [length]
    found, left, draw = [], length, bin_number * 2654435761 % 2**32
    while left > 0:
        draw = (draw * 1664525 + 1013904223) % 2**32
        size = min(left, 8 + draw // 65536 % max(1, length - 8))
        found.append(size)
        left -= size
    return found


class Batch:
    """Full bins of random ids; what is masked has the same count in every bin."""

    def __init__(self, options):
        bins, length, vocab = options.bins, options.length, options.vocab
        generator = torch.Generator().manual_seed(1)
        self.ids = torch.randint(5, vocab, (bins, length), generator=generator)
        count = int(length * MASKED)
        rows = [torch.randperm(length, generator=generator)[:count].sort().values + at * length
                for at in range(bins)]
        self.rows = torch.cat(rows)
        self.labels = torch.randint(5, vocab, (bins * count,), generator=generator)
        self.dense_labels = torch.full((bins * length,), -100)
        self.dense_labels[self.rows] = self.labels
        self.dense_labels = self.dense_labels.view(bins, length)
        lengths = [size for at in range(bins) for size in lengths_of(at, length, options.whole)]
        self.positions = torch.cat([torch.arange(size) for size in lengths])
        ends = torch.tensor([0] + lengths).cumsum(0)
        self.bounds = ends.to(torch.int32)
        self.longest = max(lengths)
        self.sum_of_squares = sum(size * size for size in lengths)
        for name, value in list(vars(self).items()):
            if isinstance(value, torch.Tensor):
                setattr(self, name, value.to(options.device))


class Packed(torch.nn.Module):
    """Hugging Face's weights, over tokens without padding; attention stays within each sample."""

    def __init__(self, model, attend):
        super().__init__()
        self.model = model
        self.attend = attend

    def forward(self, batch_ids, positions, bounds, longest, rows, labels):
        bert, config = self.model.bert, self.model.config
        embeddings = bert.embeddings
        hidden = (embeddings.word_embeddings(batch_ids) + embeddings.position_embeddings(positions)
                  + embeddings.token_type_embeddings.weight[0])
        hidden = F.dropout(embeddings.LayerNorm(hidden), DROPOUT, self.training)
        for layer in bert.encoder.layer:
            attention, own = layer.attention.self, layer.attention.output
            weight = torch.cat([attention.query.weight, attention.key.weight, attention.value.weight])
            bias = torch.cat([attention.query.bias, attention.key.bias, attention.value.bias])
            qkv = F.linear(hidden, weight, bias).view(-1, 3, config.num_attention_heads,
                                                      config.hidden_size // config.num_attention_heads)
            query, key, value = qkv.unbind(1)
            context = self.attend(query, key, value, bounds, longest).reshape(hidden.shape)
            attended = own.LayerNorm(F.dropout(own.dense(context), DROPOUT, self.training) + hidden)
            inner = F.gelu(layer.intermediate.dense(attended))
            output = F.dropout(layer.output.dense(inner), DROPOUT, self.training)
            hidden = layer.output.LayerNorm(output + attended)
        return F.cross_entropy(self.model.cls(hidden[rows]).float(), labels)


def variable_length_attention():
    from torch.nn.attention.varlen import varlen_attn

    def attend(query, key, value, bounds, longest):
        # Attention kernels take half precision only.
        query, key, value = (part.to(torch.bfloat16) for part in (query, key, value))
        return varlen_attn(query, key, value, bounds, bounds, longest, longest)

    return attend


def optimizer_of(model, fused):
    plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=1e-4, eps=1e-6, fused=fused)


def loss_of(form, model, options):
    """The form's loss as a function of a batch."""
    if form == "stock":
        return lambda b: model(b.ids, labels=b.dense_labels).loss
    if form == "compiled":
        compiled = torch.compile(model, dynamic=False)
        return lambda b: compiled(b.ids, labels=b.dense_labels).loss
    if form == "masked":
        def masked(b):
            hidden = model.bert(b.ids).last_hidden_state.flatten(0, 1)
            return F.cross_entropy(model.cls(hidden[b.rows]).float(), b.labels)
        return masked
    if form == "strongest":
        if options.device != "cuda":
            raise RuntimeError("the variable-length kernel needs CUDA")
        packed = torch.compile(Packed(model, variable_length_attention()), dynamic=False)
        return lambda b: packed(b.ids.flatten(), b.positions, b.bounds, b.longest, b.rows, b.labels)
    raise ValueError(f"found the form `{form}`")


def step_of(form, options):
    config = BertConfig(
        vocab_size=options.vocab, hidden_size=options.hidden, num_hidden_layers=options.layers,
        num_attention_heads=options.heads, intermediate_size=4 * options.hidden,
        max_position_embeddings=options.length, hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT, attn_implementation="sdpa",
    )
    torch.manual_seed(1)
    model = BertForMaskedLM(config).to(options.device).train()
    optimizer = optimizer_of(model, fused=form == "strongest")
    loss_function = loss_of(form, model, options)
    cast = torch.autocast(options.device, torch.bfloat16, enabled=options.device == "cuda")

    def step(batch):
        optimizer.zero_grad(set_to_none=True)
        with cast:
            loss = loss_function(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step


def wait(options):
    if options.device == "cuda":
        torch.cuda.synchronize()


def flops_per_step(options, batch):
    """3 · [tokens · L · (8 h² + 16 h²) + L · 4 h · Σ length² + masked · 2 (h² + h V)]; padding and
    what a form computes beyond it (logits everywhere, other samples' scores) count nothing."""
    tokens, h = options.bins * options.length, options.hidden
    encoder = options.layers * (tokens * 24 * h * h + 4 * h * batch.sum_of_squares)
    return 3 * (encoder + len(batch.rows) * 2 * (h * h + h * options.vocab))


def kernels_of(step, batch):
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
        step(batch)
        torch.cuda.synchronize()
    spent = [(row.key, row.self_device_time_total, row.count) for row in profiler.key_averages()]
    spent.sort(key=lambda row: -row[1])
    return [{"kernel": name, "microseconds": round(time_), "launches": count}
            for name, time_, count in spent[:40] if time_ > 0]


def run(form, options, batch):
    if options.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    step = step_of(form, options)
    times = []
    for number in range(options.warmup + options.steps):
        wait(options)
        began = time.perf_counter()
        loss = step(batch)
        wait(options)
        if number >= options.warmup:
            times.append(time.perf_counter() - began)
    median = statistics.median(times)
    tokens = options.bins * options.length
    found = {
        "form": form, "tokens_per_second": tokens / median, "seconds": median,
        "fastest": min(times), "slowest": max(times), "loss": float(loss.detach()),
        "tflops": flops_per_step(options, batch) / median / 1e12,
    }
    found["mfu"] = found["tflops"] / options.peak_tflops
    if options.device == "cuda":
        found["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
        if options.profile:
            found["kernels"] = kernels_of(step, batch)
    return found


def main():
    options = arguments()
    batch = Batch(options)
    results = []
    for form in options.forms.split(","):
        try:
            found = run(form, options, batch)
            shown = {key: value for key, value in found.items() if key != "kernels"}
            print(" ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{v:<10}" for k, v in shown.items()
                           if k != "fastest" or not math.isnan(v)), flush=True)
        except Exception as error:  # one form's failure leaves the others their turn
            found = {"form": form, "error": f"{type(error).__name__}: {error}"[:500]}
            print(f"{form:<10} failed: {found['error']}", flush=True)
        results.append(found)
    if options.json:
        card = torch.cuda.get_device_name() if options.device == "cuda" else f"{torch.get_num_threads()} threads"
        with open(options.json, "w") as file:
            json.dump({"torch": torch.__version__, "on": card, "options": vars(options),
                       "flops_formula": flops_per_step.__doc__, "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
