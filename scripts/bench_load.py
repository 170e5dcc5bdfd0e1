#!/usr/bin/env python3
"""Loads the model in a directory with `transformers`; says how long and with how much memory at most.

    python scripts/bench_load.py MODEL_DIR

The other side of `cargo run --release -p bimed-checkpoint --example load`. The time begins after the
imports. A `bert_config.json` is read too; a TensorFlow checkpoint needs `tensorflow` beside `torch`.
"""

import pathlib
import resource
import sys
import time

import torch
import transformers
from transformers import BertConfig, BertForPreTraining

directory = pathlib.Path(sys.argv[1])
transformers.logging.set_verbosity_error()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
config = next(path for name in ("config.json", "bert_config.json") if (path := directory / name).exists())
index = next(directory.glob("*.index"), None)
begin = time.perf_counter()
config = BertConfig.from_json_file(config)
if index:
    model = BertForPreTraining(config)
    transformers.models.bert.modeling_bert.load_tf_weights_in_bert(model, config, str(index.with_suffix("")))
else:
    model = BertForPreTraining.from_pretrained(directory, config=config, dtype=torch.float32)
total = float(sum(parameter.double().sum() for parameter in model.parameters()))  # every page is read
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{seconds:.2f} s, peak {peak} kB ({before} kB before), transformers {transformers.__version__}, sum {total:.3f}")
