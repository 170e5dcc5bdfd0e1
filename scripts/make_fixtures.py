#!/usr/bin/env python3
"""Writes the golden fixtures of `crates/bert/fixtures` with `transformers` on the CPU.

    python scripts/make_fixtures.py [OUT_DIR]

What it writes:
  model/config.json, model/model.safetensors   a Hugging Face directory (2 layers, hidden 32), all
                                               tensors of `BertForPreTraining`, tied decoder omitted
  golden.safetensors                           a batch, and what the model makes of it (float32,
                                               integers too, which are exact there)
  golden.json                                  versions, hyperparameters, shapes, meaning of each name
  SHA256SUMS                                   of the files above, in `sha256sum` form

Everything is seeded and single-threaded: with the pinned versions, a second run on the same
processor gives the same bytes. Positions where `attention_mask` is 0 are not to be compared.
"""

import hashlib
import json
import pathlib
import sys

import numpy
import safetensors.torch
import torch
import transformers
from transformers import BertConfig, BertForPreTraining

SEED = 20250101
LENGTHS = [24, 7, 18, 13]
SEQ = 24
PAD, UNK, CLS, SEP, MASK = range(5)
IGNORE = -100

CONFIG = dict(
    vocab_size=120,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=64,
    type_vocab_size=2,
    hidden_act="gelu",
    layer_norm_eps=1e-12,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.02,
    pad_token_id=PAD,
)
OPTIMIZER = dict(lr=1e-3, betas=[0.9, 0.999], eps=1e-6, weight_decay=0.01, max_norm=1.0, steps=3)


def make_model() -> BertForPreTraining:
    """A model in which no tensor is trivially zero or one."""
    model = BertForPreTraining(BertConfig(attn_implementation="eager", **CONFIG))
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if name.endswith("LayerNorm.weight"):
                parameter.copy_(1.0 + 0.2 * noise)
            else:
                parameter.copy_(0.2 * noise)
    model.train()  # dropout is 0: the same as `eval()`, with gradients
    return model


def make_batch() -> dict[str, torch.Tensor]:
    """Four sentence pairs of the lengths `LENGTHS`, with masked, replaced and kept targets."""
    generator = torch.Generator().manual_seed(SEED + 1)
    input_ids = torch.full((len(LENGTHS), SEQ), PAD, dtype=torch.long)
    token_type_ids = torch.zeros_like(input_ids)
    attention_mask = torch.zeros_like(input_ids)
    labels = torch.full_like(input_ids, IGNORE)
    for row, length in enumerate(LENGTHS):
        middle = length // 2
        ids = torch.randint(5, CONFIG["vocab_size"], (length,), generator=generator)
        ids[0], ids[middle], ids[-1] = CLS, SEP, SEP
        if length > 10:
            ids[middle + 2] = UNK
        candidates = [i for i in range(1, length - 1) if i != middle]
        order = torch.randperm(len(candidates), generator=generator).tolist()
        targets = [candidates[i] for i in order[: max(2, round(length * 0.2))]]
        for count, position in enumerate(targets):
            labels[row, position] = ids[position]
            if count == 1:
                ids[position] = int(torch.randint(5, 120, (1,), generator=generator))
            elif count != 2:
                ids[position] = MASK
        input_ids[row, :length] = ids
        token_type_ids[row, middle + 1 : length] = 1
        attention_mask[row, :length] = 1
    next_sentence_label = torch.tensor([0, 1, 1, 0])
    return dict(
        input_ids=input_ids,
        token_type_ids=token_type_ids,
        attention_mask=attention_mask,
        labels=labels,
        next_sentence_label=next_sentence_label,
    )


def losses(output, batch) -> dict[str, torch.Tensor]:
    """The loss as sum and count, and their total as `BertForPreTraining` forms it."""
    logits = output.prediction_logits
    mlm_sum = torch.nn.functional.cross_entropy(
        logits.view(-1, logits.shape[-1]), batch["labels"].view(-1), reduction="sum"
    )
    mlm_count = (batch["labels"] != IGNORE).sum()
    nsp_loss = torch.nn.functional.cross_entropy(
        output.seq_relationship_logits, batch["next_sentence_label"]
    )
    return dict(
        mlm_loss_sum=mlm_sum,
        mlm_count=mlm_count,
        nsp_loss=nsp_loss,
        total_loss=mlm_sum / mlm_count + nsp_loss,
    )


def forward(model, batch):
    inputs = {k: batch[k] for k in ("input_ids", "token_type_ids", "attention_mask")}
    return model(**inputs, output_hidden_states=True)


def decays(name: str) -> bool:
    return not (name.endswith("bias") or "LayerNorm" in name)


def make_golden(model, batch) -> dict[str, torch.Tensor]:
    golden = dict(batch)

    pooled = []
    hook = model.bert.pooler.register_forward_hook(lambda _m, _i, out: pooled.append(out))
    output = forward(model, batch)
    hook.remove()
    golden["embeddings"] = output.hidden_states[0]
    for layer, hidden in enumerate(output.hidden_states[1:]):
        golden[f"hidden.{layer}"] = hidden
    golden["pooler"] = pooled[0]
    golden["prediction_logits"] = output.prediction_logits
    golden["seq_relationship_logits"] = output.seq_relationship_logits
    loss = losses(output, batch)
    golden.update(loss)

    reference = model(**batch).loss  # our sum/count form must be the library's own loss
    assert torch.allclose(reference, loss["total_loss"], rtol=1e-6), (reference, loss)

    loss["total_loss"].backward()
    for name, parameter in model.named_parameters():
        golden[f"grad.{name}"] = parameter.grad.clone()
    model.zero_grad()

    groups = [
        dict(params=[p for n, p in model.named_parameters() if decays(n)]),
        dict(params=[p for n, p in model.named_parameters() if not decays(n)], weight_decay=0.0),
    ]
    optimizer = torch.optim.AdamW(
        groups,
        lr=OPTIMIZER["lr"],
        betas=tuple(OPTIMIZER["betas"]),
        eps=OPTIMIZER["eps"],
        weight_decay=OPTIMIZER["weight_decay"],
        foreach=False,
    )
    norms, step_losses = [], []
    for _ in range(OPTIMIZER["steps"]):
        optimizer.zero_grad()
        total = losses(forward(model, batch), batch)["total_loss"]
        total.backward()
        norms.append(
            torch.nn.utils.clip_grad_norm_(model.parameters(), OPTIMIZER["max_norm"], foreach=False)
        )
        step_losses.append(total.detach())
        optimizer.step()
    golden["grad_norms"] = torch.stack(norms)
    golden["step_losses"] = torch.stack(step_losses)
    for name, parameter in model.named_parameters():
        golden[f"adamw3.{name}"] = parameter
    return {k: v.detach().to(torch.float32).contiguous().clone() for k, v in golden.items()}


NAMES = {
    "input_ids, token_type_ids, attention_mask, labels": "[batch, seq]; labels are -100 where not masked",
    "next_sentence_label": "[batch]; 0 = the second follows the first",
    "embeddings": "[batch, seq, hidden] after the embeddings' LayerNorm",
    "hidden.N": "[batch, seq, hidden] after layer N",
    "pooler": "[batch, hidden] after tanh",
    "prediction_logits": "[batch, seq, vocab]",
    "seq_relationship_logits": "[batch, 2]",
    "mlm_loss_sum, mlm_count": "scalars; sum of cross entropies in nats over the masked positions, and their number",
    "nsp_loss": "scalar; mean over the batch",
    "total_loss": "scalar; mlm_loss_sum / mlm_count + nsp_loss",
    "grad.NAME": "gradient of total_loss, not clipped",
    "adamw3.NAME": "the weight after three AdamW steps on the same batch",
    "grad_norms, step_losses": "[3]; before each of the three steps, the norm before clipping",
}


def main() -> None:
    default = pathlib.Path(__file__).resolve().parent.parent / "crates/bert/fixtures"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)

    model, batch = make_model(), make_batch()
    # `save_pretrained` also records the library's version and dtype; only config keys are wanted.
    (out / "model").mkdir(exist_ok=True)
    config = {"architectures": ["BertForPreTraining"], "model_type": "bert"}
    config |= CONFIG | {"position_embedding_type": "absolute"}
    (out / "model/config.json").write_text(json.dumps(config, indent=2) + "\n")
    safetensors.torch.save_file(
        {n: p.detach().contiguous() for n, p in model.named_parameters()},
        out / "model/model.safetensors",
        metadata={"format": "pt"},
    )
    loaded, info = BertForPreTraining.from_pretrained(
        out / "model", output_loading_info=True, attn_implementation="eager"
    )
    unexplained = set(info["missing_keys"]) - {
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
    }
    assert not unexplained and not info["unexpected_keys"], info
    for (name, written), (_, read) in zip(model.named_parameters(), loaded.named_parameters()):
        assert torch.equal(written, read), name

    golden = make_golden(model, batch)
    safetensors.torch.save_file(golden, out / "golden.safetensors")
    about = dict(
        versions=dict(
            python=".".join(map(str, sys.version_info[:3])),
            torch=torch.__version__,
            transformers=transformers.__version__,
            safetensors=safetensors.__version__,
            numpy=numpy.__version__,
        ),
        seed=SEED,
        lengths=LENGTHS,
        config=CONFIG,
        optimizer=OPTIMIZER
        | dict(
            kind="AdamW, decoupled decay, bias correction",
            not_decayed="names ending in `bias`, or with `LayerNorm`",
            clip="scale = min(1, max_norm / (norm + 1e-6))",
        ),
        precision="float32 on the CPU, one thread, eager attention",
        names=NAMES,
        compare="only where attention_mask is 1; `key.bias` has a zero gradient by theory, so its "
        "grad is noise and its adamw3 is not to be compared",
    )
    (out / "golden.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n")

    files = ["golden.json", "golden.safetensors", "model/config.json", "model/model.safetensors"]
    lines = [f"{hashlib.sha256((out / f).read_bytes()).hexdigest()}  {f}\n" for f in files]
    (out / "SHA256SUMS").write_text("".join(lines))
    for name in ("mlm_loss_sum", "mlm_count", "nsp_loss", "total_loss", "grad_norms", "step_losses"):
        print(f"{name}: {golden[name].tolist()}")
    smallest = min((golden[k].norm().item(), k) for k in golden if k.startswith("grad.") and "key.bias" not in k)
    print(f"smallest gradient norm: {smallest}")


if __name__ == "__main__":
    main()
