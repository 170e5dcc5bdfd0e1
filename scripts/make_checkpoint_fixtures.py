#!/usr/bin/env python3
"""Writes published forms of one BERT with the real `torch` and `tensorflow`, for the readers' tests.

    python scripts/make_checkpoint_fixtures.py torch      OUT [--vocab-size N --base] [--only NAME]
    python scripts/make_checkpoint_fixtures.py tensorflow OUT [--vocab-size N --base] [--only NAME]

The two need different environments: `requirements.txt` here, or `tensorflow-cpu==2.21.0`. Every weight
is a function of its name, so that all forms hold the same numbers. Without `--base` the model is tiny
(the fixtures in `crates/checkpoint/fixtures`); with it, it has BERT-base's shapes and N rows.

torch writes
  legacy       as KM-BERT: `bert_config.json`, `kmbert_vocab.txt`, `pytorch_model.bin` in the format of
               torch 1.5 and before; tied decoder on the embedding's storage, old LayerNorm names
  zip          a bare encoder as `madatnlp/km-bert`: no `bert.` prefix, no heads, position ids, kernels
               with exchanged strides, half precision for one tensor
  sharded      two `.bin` shards and their index
  expected     `model.safetensors` of the same numbers (written with the `safetensors` package)
tensorflow writes
  tensorflow   as BioBERT: `bert_config.json`, `vocab.txt`, `model.ckpt-7.{index,data-00000-of-00001}`
               with the variables of the optimizer
"""

import argparse
import json
import pathlib
import zlib

import numpy

TINY = dict(hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
            max_position_embeddings=32)
BASE = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
            max_position_embeddings=512)
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "환자", "##는", "CT", "##상", "chest", "폐렴", "소견",
         "both", "lung", "##에", "보임", ".", "a", "##b", "##한"]


def config(arguments) -> dict:
    sizes = BASE if arguments.base else TINY
    rows = arguments.vocab_size or len(VOCAB)
    return dict(vocab_size=rows, type_vocab_size=2, hidden_act="gelu", initializer_range=0.02,
                hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1, **sizes)


def shapes(config: dict) -> dict[str, tuple]:
    """Every tensor of `BertForPreTraining` by its Hugging Face name, the tied decoder once."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    found = {
        "bert.embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "bert.embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "bert.embeddings.token_type_embeddings.weight": (2, hidden),
        "cls.predictions.bias": (config["vocab_size"],),
        "cls.seq_relationship.weight": (2, hidden),
        "cls.seq_relationship.bias": (2,),
    }
    linear = {"bert.pooler.dense": (hidden, hidden), "cls.predictions.transform.dense": (hidden, hidden)}
    norms = ["bert.embeddings.LayerNorm", "cls.predictions.transform.LayerNorm"]
    for layer in range(config["num_hidden_layers"]):
        at = f"bert.encoder.layer.{layer}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value",
                     "attention.output.dense"):
            linear[at + name] = (hidden, hidden)
        linear[at + "intermediate.dense"] = (inner, hidden)
        linear[at + "output.dense"] = (hidden, inner)
        norms += [at + "attention.output.LayerNorm", at + "output.LayerNorm"]
    for name, shape in linear.items():
        found[name + ".weight"] = shape
        found[name + ".bias"] = shape[:1]
    for name in norms:
        found[name + ".weight"] = found[name + ".bias"] = (hidden,)
    return dict(sorted(found.items()))


def values(name: str, shape: tuple) -> numpy.ndarray:
    generator = numpy.random.default_rng(zlib.crc32(name.encode()))
    noise = generator.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.02)
    return noise + numpy.float32(1) if name.endswith("LayerNorm.weight") else noise


def start(out: pathlib.Path, config_name: str, vocab_name: str, config: dict) -> pathlib.Path:
    out.mkdir(parents=True, exist_ok=True)
    (out / config_name).write_text(json.dumps(config, indent=2) + "\n")
    rows = (VOCAB + [f"[unused{i}]" for i in range(len(VOCAB), config["vocab_size"])])[: config["vocab_size"]]
    (out / vocab_name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return out


def write_torch(out: pathlib.Path, config: dict, only: str | None):
    import safetensors.numpy
    import torch

    arrays = {name: values(name, shape) for name, shape in shapes(config).items()}
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    words = tensors["bert.embeddings.word_embeddings.weight"]

    if only in (None, "expected"):
        at = start(out / "expected", "config.json", "vocab.txt", config | dict(model_type="bert"))
        safetensors.numpy.save_file(arrays, at / "model.safetensors", {"format": "pt"})
    if only in (None, "legacy"):
        at = start(out / "legacy", "bert_config.json", "kmbert_vocab.txt", config)
        old = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
               for name, t in tensors.items()}
        old["cls.predictions.decoder.weight"] = words.view_as(words)
        torch.save(ordered(old), at / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    if only in (None, "zip"):
        at = start(out / "zip", "config.json", "vocab.txt", config | dict(model_type="bert"))
        bare = {}
        for name, tensor in tensors.items():
            if name.startswith("bert."):
                exchanged = name.endswith("dense.weight")
                bare[name.removeprefix("bert.")] = tensor.t().contiguous().t() if exchanged else tensor
        bare["embeddings.token_type_embeddings.weight"] = bare["embeddings.token_type_embeddings.weight"].half()
        bare["embeddings.position_ids"] = torch.arange(config["max_position_embeddings"])[None]
        torch.save(ordered(bare), at / "pytorch_model.bin")
    if only in (None, "sharded"):
        at = start(out / "sharded", "config.json", "vocab.txt", config | dict(model_type="bert"))
        shards, weight_map = ({}, {}), {}
        for index, (name, tensor) in enumerate(tensors.items()):
            shards[index % 2][name] = tensor
            weight_map[name] = f"pytorch_model-{index % 2 + 1:05}-of-00002.bin"
        for index, shard in enumerate(shards):
            torch.save(shard, at / f"pytorch_model-{index + 1:05}-of-00002.bin")
        index = dict(metadata={}, weight_map=weight_map)
        (at / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")


def ordered(state: dict):
    """As `Module.state_dict()`: an ordered dictionary with the versions of its modules."""
    from collections import OrderedDict

    state = OrderedDict(state)
    state._metadata = OrderedDict({"": {"version": 1}})
    return state


def tensorflow_name(name: str) -> tuple[str, bool]:
    """The variable of google-research/bert, and whether it is a transposed kernel."""
    special = {"cls.predictions.bias": "cls/predictions/output_bias",
               "cls.seq_relationship.weight": "cls/seq_relationship/output_weights",
               "cls.seq_relationship.bias": "cls/seq_relationship/output_bias"}
    if name in special:
        return special[name], False
    path = name.replace("layer.", "layer_").replace(".", "/")
    if "_embeddings/" in path:
        return path.removesuffix("/weight"), False
    if "LayerNorm" in path:
        return path.replace("/weight", "/gamma").replace("LayerNorm/bias", "LayerNorm/beta"), False
    return path.replace("/weight", "/kernel"), path.endswith("/weight")


def write_tensorflow(out: pathlib.Path, config: dict, only: str | None):
    if only not in (None, "tensorflow"):
        return
    import tensorflow

    v1 = tensorflow.compat.v1
    at = start(out / "tensorflow", "bert_config.json", "vocab.txt", config)
    with tensorflow.Graph().as_default(), v1.Session() as session:
        for name, shape in shapes(config).items():
            variable, is_kernel = tensorflow_name(name)
            array = values(name, shape)
            array = array.T.copy() if is_kernel else array
            holder = v1.placeholder(tensorflow.float32, array.shape)
            session.run(v1.get_variable(variable, initializer=holder, validate_shape=True,
                                        use_resource=False).initializer, {holder: array})
            if shape == (config["hidden_size"],):
                for moment in ("adam_m", "adam_v"):
                    session.run(v1.get_variable(f"{variable}/{moment}", shape,
                                                use_resource=False).initializer)
        session.run(v1.get_variable("global_step", initializer=numpy.int64(7), use_resource=False).initializer)
        v1.train.Saver().save(session, str(at / "model.ckpt"), global_step=7, write_meta_graph=False,
                              write_state=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("library", choices=["torch", "tensorflow"])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--vocab-size", type=int)
    parser.add_argument("--base", action="store_true", help="BERT-base's shapes")
    parser.add_argument("--only", help="one form of those above")
    arguments = parser.parse_args()
    write = write_torch if arguments.library == "torch" else write_tensorflow
    write(arguments.out, config(arguments), arguments.only)


if __name__ == "__main__":
    main()
