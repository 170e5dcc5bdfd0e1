#!/usr/bin/env bash
# Everything that needs a GPU, in parts of at most nine minutes that can be given again.
#
# Where there is a Rust toolchain (no GPU, no CUDA needed):
#   scripts/gpu.sh build                binaries and tests for CUDA    -> gpu/bin.tar.xz, gpu/tests.tar.xz
#   scripts/gpu.sh pack DATA BASE       the public corpus and the base -> gpu/data.tar.xz, gpu/base.tar.xz
# Where there is a GPU (its driver, NVRTC and CUDA's headers; python3 with PyTorch for `peers`):
#   scripts/gpu.sh smoke                does the device open, compute, train and keep its memory?
#   scripts/gpu.sh parity               golden fixtures and the bf16 recipe on the device
#   scripts/gpu.sh bench                our step: BERT-base at 128 and 512, and at 32 x 128
#   scripts/gpu.sh peers                PyTorch's step on the same shapes, ours beside it again
#   scripts/gpu.sh train                bilingual pretraining, pair_reg before and after
#
# A step that is done leaves gpu/done/PART/STEP.json and is not done again; PART's figures, table and
# log come to $OUT (gpu/out). The exit status is 1 where a step failed or is left to do. `parity` needs
# gpu/tests.tar.xz beside gpu/bin.tar.xz, `train` gpu/base.tar.xz and gpu/data.tar.xz.
# GPU_DEVICE=cpu, or wgpu on software Vulkan, tries the parts themselves on small shapes; so does
# GPU_SHAPES=small with CUDA, for the driver without a card of scripts/cuda-software.
set -euo pipefail

cd "$(dirname "$0")/.."
device=${GPU_DEVICE:-cuda}
out=${OUT:-gpu/out}
# Seconds that a part has in all.
limit=540

on_cuda() { [ "${device%%:*}" = cuda ]; }
# Whether there is a card, with time for what it is measured by.
on_card() { on_cuda && [ "${GPU_SHAPES:-}" != small ]; }

tests=(bimed-ops:cube bimed-ops:mixed bimed-bert:parity bimed-train:mixed bimed-train:resume)

bundle() { # bundle NAME TAR-ARGUMENTS...: gpu/NAME.tar.xz, whole or not at all
  local name=$1
  shift
  # The binaries hold much the same: a dictionary that reaches from one to the next halves the bundle.
  tar -cf - "$@" | xz --lzma2=preset=6,dict=128MiB >"gpu/.$name.partial"
  mv "gpu/.$name.partial" "gpu/$name.tar.xz"
}

build() {
  local features=flex,cuda target bin=gpu/bin tests_dir=gpu/tests
  case $device in cpu) features=flex ;; wgpu) features=flex,wgpu ;; esac
  target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
  local select=(--locked --release --no-default-features)
  local on
  on=$(printf 'bimed-cli/%s,' ${features//,/ })
  cargo build "${select[@]}" -p bimed-cli -p bimed-train --features "${on%,}" --bin bimed --example throughput
  rm -rf "$bin" "$tests_dir" && mkdir -p "$bin" "$tests_dir"
  cp "$target/release/bimed" "$target/release/examples/throughput" "$bin/"
  local test package name binary
  for test in "${tests[@]}"; do
    package=${test%%:*} name=${test##*:}
    binary=$(cargo test "${select[@]}" -p bimed-cli -p "$package" --features "${on%,}" --test "$name" --no-run \
      --message-format json | python3 -c '
import json, sys
found = [m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["kind"] == ["test"]]
print(found[-1])')
    cp "$binary" "$tests_dir/$package-$name"
  done
  strip "$bin"/* "$tests_dir"/*
  # The tests look for their fixtures where they were built.
  { git rev-parse HEAD; pwd; } >"$bin/built"
  bundle bin -C gpu bin
  bundle tests -C gpu tests
  ls -l "$bin" "$tests_dir" gpu/*.tar.xz
}

pack() {
  local data=$1 base=$2 folders
  mkdir -p gpu/base
  python3 - "$base" gpu/base <<'PYTHON'
import pathlib, shutil, sys
import numpy
from safetensors.numpy import load_file, save_file
source, target = map(pathlib.Path, sys.argv[1:])
for file in source.iterdir():
    if file.suffix != ".safetensors":
        shutil.copy(file, target)
weights = load_file(source / "model.safetensors")
halved = {name: tensor.astype(numpy.float16) if tensor.dtype == numpy.float32 else tensor for name, tensor in weights.items()}
save_file(halved, target / "model.safetensors", {"format": "pt"})
PYTHON
  bundle base -C gpu base
  folders=$(grep -o '{data}/[^/"]*' configs/public/minilm-bilingual.toml | cut -d/ -f2 | sort -u)
  # shellcheck disable=SC2086
  bundle data -C "$data" $folders
  ls -l gpu/*.tar.xz
}

unpack() { # unpack NAME: gpu/NAME from its bundle, once
  [ -e "gpu/$1" ] && return
  [ -e "gpu/$1.tar.xz" ] || { echo "gpu.sh: gpu/$1.tar.xz is not there: make it with \`build\` or \`pack\`" >&2; exit 2; }
  if [ "$1" = data ]; then mkdir -p gpu/data && tar -C gpu/data -xJf gpu/data.tar.xz; else tar -C gpu -xJf "gpu/$1.tar.xz"; fi
}

begin() { # begin PART
  part=$1 began=$SECONDS left_to_do=0
  done_dir=gpu/done/$part
  mkdir -p "$done_dir/made" "$out"
  log=$out/$part.log
  unpack bin
  local root
  root=$(sed -n 2p gpu/bin/built)
  [ -e "$root" ] || { mkdir -p "$(dirname "$root")" && ln -s "$PWD" "$root"; }
  export BIMED_TEST_DEVICE=$device
  # Not where things are built: cudarc, and all of burn after it, is built anew where CUDA_PATH changes.
  export CUDA_PATH=${CUDA_PATH:-/usr/local/cuda}
  export LD_LIBRARY_PATH="$CUDA_PATH/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
}

step() { # step NAME SECONDS COMMAND...: its exit status, seconds and what it wrote to $json
  local name=$1 most=$2 left rc=0 from=$SECONDS
  shift 2
  [ -e "$done_dir/$name.json" ] && { echo "== $part/$name: done before"; return; }
  left=$((limit - (SECONDS - began)))
  [ "$left" -lt 20 ] && { echo "== $part/$name: no time left; give the part again"; left_to_do=1; return; }
  [ "$most" -gt "$left" ] && most=$left
  json=$done_dir/made/$name.json
  rm -f "$json"
  echo "== $part/$name: ${*//@JSON/$json}" | tee -a "$log"
  timeout --kill-after 10 "$most" "${@//@JSON/$json}" >"$done_dir/$name.log" 2>&1 || rc=$?
  tail -n 30 "$done_dir/$name.log" | tee -a "$log"
  python3 - "$json" "$done_dir/$name.json" "$name" "$rc" $((SECONDS - from)) "${@//@JSON/$json}" <<'PYTHON'
import json, os, pathlib, sys
made, target, name, status, seconds, *command = sys.argv[1:]
found = {"step": name, "command": " ".join(command), "exit": int(status), "seconds": int(seconds)}
if os.path.exists(made):
    found["figures"] = json.loads(pathlib.Path(made).read_text())
# What failed or was cut off is written down, and done again by the next call.
name = target if int(status) == 0 else target + ".failed"
pathlib.Path(name).write_text(json.dumps(found, indent=1))
PYTHON
}

finish() {
  python3 - "$part" "$done_dir" "$out" "$(sed -n 1p gpu/bin/built)" "$left_to_do" <<'PYTHON'
import json, pathlib, subprocess, sys
part, done, out, commit, left = sys.argv[1], *map(pathlib.Path, sys.argv[2:4]), *sys.argv[4:6]
def say(command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except OSError:
        return ""
card = say(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"])
steps = [json.loads(path.read_text()) for path in sorted(done.glob("*.json"))]
steps += [json.loads(path.read_text()) for path in sorted(done.glob("*.failed")) if not path.with_suffix("").exists()]
(out / f"{part}.json").write_text(json.dumps({"part": part, "commit": commit, "card": card, "steps": steps}, indent=1))
lines = [f"# {part}: {card or 'no GPU'}, commit {commit[:12]}", "", "| step | exit | seconds |", "|---|--:|--:|"]
lines += [f"| {s['step']} | {s['exit']} | {s['seconds']} |" for s in steps]
rows = [(s["step"], r) for s in steps for r in (s.get("figures") or {}).get("results", [])] if part != "train" else []
if rows:
    lines += ["", "| step | form | tokens/s | s a step | TFLOP/s | MFU | GiB | loss |", "|---|---|--:|--:|--:|--:|--:|--:|"]
    for step, r in rows:
        if "error" in r:
            lines.append(f"| {step} | {r['form']} | {r['error'][:80]} | | | | | |")
        else:
            lines.append(f"| {step} | {r['form']} | {r['tokens_per_second']:,.0f} | {r['seconds']:.4f} | {r['tflops']:.1f} "
                         f"| {r['mfu']:.1%} | {r.get('peak_gib', 0):.1f} | {r['loss']:.3f} |")
for step, r in rows:
    kernels = r.get("kernels") or []
    if kernels:
        whole = sum(k["microseconds"] for k in kernels) or 1
        lines += ["", f"{step}, {r['form']}: {whole / 1e3:.1f} ms of kernels", "",
                  "| kernel | launches | ms | share |", "|---|--:|--:|--:|"]
        lines += [f"| {k['kernel'][:90]} | {k['launches']} | {k['microseconds'] / 1e3:.2f} "
                  f"| {k['microseconds'] / whole:.1%} |" for k in kernels[:20]]
held = {step: r["peak_gib"] for step, r in rows if part == "smoke" and "peak_gib" in r}
grows = False
if {"small-bf16", "memory"} <= held.keys():
    early, late = held["small-bf16"], held["memory"]
    grows = late > 1.01 * early
    lines += ["", f"Held after 20 steps {early:.4f} GiB, after many {late:.4f} GiB: {'GROWS' if grows else 'flat'}."]
(out / f"{part}.md").write_text("\n".join(lines) + "\n")
print((out / f"{part}.md").read_text())
sys.exit(any(s["exit"] for s in steps) or grows or int(left))
PYTHON
}

# Shapes of the comparison: name, bins, length. 64k tokens a step, and the small step of the usual recipe.
if ! on_card; then
  model=(--layers 2 --hidden 64 --heads 2 --vocab 500)
  shapes=("128 4 32" "512 2 64" "small 2 32")
  few=(--steps 2 --warmup 1)
else
  model=(--layers 12 --hidden 768 --heads 12 --vocab 45000)
  shapes=("128 512 128" "512 128 512" "small 32 128")
  few=(--steps 10 --warmup 3)
fi
half=bf16
on_cuda || half=f32

ours() { # ours PREFIX SECONDS [MORE...]
  local prefix=$1 most=$2 shape name bins length
  shift 2
  for shape in "${shapes[@]}"; do
    read -r name bins length <<<"$shape"
    step "$prefix-$name" "$most" gpu/bin/throughput --device "$device" "${model[@]}" --bins "$bins" --length "$length" \
      "${few[@]}" --json @JSON "$@"
  done
}

smoke() {
  begin smoke
  step doctor 60 gpu/bin/bimed doctor
  step small-f32 180 gpu/bin/throughput --device "$device" --layers 2 --hidden 128 --heads 2 --vocab 2000 --bins 4 --length 64 --steps 20 --json @JSON
  step small-bf16 180 gpu/bin/throughput --device "$device" --precision $half --layers 2 --hidden 128 --heads 2 --vocab 2000 --bins 4 --length 64 --steps 20 --json @JSON
  # Bytes held after 1,000 steps beside those after 20: memory that grows shows here.
  step memory 240 gpu/bin/throughput --device "$device" --precision $half --layers 2 --hidden 128 --heads 2 --vocab 2000 --bins 4 --length 64 \
    --steps "$(on_card && echo 1000 || echo 40)" --json @JSON
  finish
}

parity() {
  begin parity
  unpack tests
  step kernels 180 gpu/tests/bimed-ops-cube --nocapture
  step mixed 120 gpu/tests/bimed-ops-mixed --test-threads 1
  step fixtures 180 gpu/tests/bimed-bert-parity --nocapture --test-threads 1
  step training 240 gpu/tests/bimed-train-mixed --nocapture
  # Killed and resumed with what its checkpoint says was tuned, and with nothing else: the same bits?
  step resume 240 gpu/tests/bimed-train-resume --nocapture a_killed_run
  finish
}

bench() {
  begin bench
  ours half 240 --precision $half --scores --profile
  ours f32 90
  finish
}

peers() {
  begin peers
  local shape name bins length more=(--forms "stock,masked")
  on_cuda && more=(--profile)
  for shape in "${shapes[@]}"; do
    read -r name bins length <<<"$shape"
    step "pytorch-$name" 170 python3 scripts/bench_pytorch.py --device "$(on_cuda && echo cuda || echo cpu)" "${model[@]}" \
      --bins "$bins" --length "$length" "${few[@]}" --json @JSON "${more[@]}"
  done
  ours ours 90 --precision $half
  finish
}

train() {
  begin train
  unpack base
  unpack data
  local runs=gpu/runs
  step run 500 gpu/bin/bimed run configs/public/minilm-bilingual.toml --arm bilingual --device "$device" --quiet \
    --set experiment.paths.data="$PWD/gpu/data" --set experiment.paths.base="$PWD/gpu/base" \
    --set experiment.output="$PWD/$runs" --set experiment.store="$PWD/gpu/store" \
    --set pretrain.precision=$half --set pretrain.length.steps="${GPU_STEPS:-1000}" \
    --set pretrain.tokens_per_step="${GPU_TOKENS_PER_STEP:-32768}" --set pretrain.micro_batch_tokens="${GPU_MICRO_BATCH_TOKENS:-16384}"
  find $runs -name results.md -exec cp {} "$out/train-results.md" \;
  find gpu/store -name log.jsonl -path '*pretrain*' -exec cp {} "$out/train-log.jsonl" \;
  local model
  model=$(find $runs -name model.safetensors | head -n 1)
  # The weights, in pieces that any way home takes: cat train-model.tar.xz.* | tar -xJ
  [ -n "$model" ] && tar -C "$(dirname "$model")" -cf - . | xz -2 -T0 | split -b 15M - "$out/train-model.tar.xz."
  finish
}

case ${1:-} in
  build | smoke | parity | bench | peers | train) "$1" ;;
  pack) pack "${2:?the folder of the public data}" "${3:?the base model}" ;;
  *) sed -n '2,19p' "$0" | sed 's/^# \{0,1\}//'; exit 2 ;;
esac
